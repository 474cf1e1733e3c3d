"""The `signature` of thinking blocks: a mark that it is ours, and sealed reasoning of the upstream if there is any.

Clients hand signatures back untouched and read nothing in them, but some drop a thinking block without one.
"""

from __future__ import annotations

_MARK = "gateway1"
_SEALED = _MARK + ":"


def sign(sealed: str | None) -> str:
    """Return the signature for a block whose sealed form is this, if any."""
    return _MARK if sealed is None else _SEALED + sealed


def sealed_of(signature: str) -> str | None:
    """Return the sealed reasoning in a signature of ours; a foreign one holds nothing for our upstream."""
    return signature.removeprefix(_SEALED) if signature.startswith(_SEALED) else None
