"""The client's API key: where it is read from, how it is shown in logs. Keys are stored nowhere.

Which key goes upstream, the client's or one that the gateway holds, is decided in `gateway.access`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.errors import AuthenticationError, GatewayError

_RIGHT_FORM = "Send it as `Authorization: Bearer KEY` or as `x-api-key: KEY`."
_NOT_IN_A_HEADER = re.compile(r"[^\x21-\x7e]")


def read_key(environ: Mapping[str, Any]) -> str | None:
    """Return the key of a WSGI request, None where it has none.

    `Authorization: Bearer` first (the scheme in any case, RFC 9110, 11.1), then `x-api-key`, then `api-key`;
    an empty header counts as absent.
    Raises: AuthenticationError for another scheme, a bare `Bearer`, or a bare key in `Authorization`.
    """
    authorization = str(environ.get("HTTP_AUTHORIZATION", "")).strip()
    if authorization:
        return _checked(_bearer(authorization))
    for name in ("HTTP_X_API_KEY", "HTTP_API_KEY"):
        key = str(environ.get(name, "")).strip()
        if key:
            return _checked(key)
    return None


def optional_key(environ: Mapping[str, Any]) -> str | None:
    """Return the key where none is needed: a malformed one is as good as none."""
    try:
        return read_key(environ)
    except AuthenticationError:
        return None


def _bearer(value: str) -> str:
    scheme, _, key = value.partition(" ")
    key = key.strip()
    if scheme.lower() == "bearer":
        if key:
            return key
        raise AuthenticationError(
            f"`Authorization: Bearer` has no key behind it. {_RIGHT_FORM}",
            code="invalid_api_key",
        )
    if not key:
        # Xcode sends what its user typed, and users type the bare key.
        raise AuthenticationError(
            f"The key stands in `Authorization` without the word Bearer. {_RIGHT_FORM}",
            code="invalid_api_key",
        )
    raise AuthenticationError(
        f"Only Bearer keys are understood in `Authorization`. {_RIGHT_FORM}",
        code="invalid_api_key",
    )


def _checked(key: str) -> str:
    if _NOT_IN_A_HEADER.search(key):
        raise AuthenticationError("The API key holds characters that no key has.", code="invalid_api_key")
    return key


def masked(key: str | None) -> str | None:
    """Return what a log line may show of a key: six characters and four of a long one, else nothing."""
    if key is None:
        return None
    return f"{key[:6]}...{key[-4:]}" if len(key) > 12 else "***"


@dataclass(frozen=True, slots=True)
class Mask:
    """Takes a key out of the words of an upstream that repeats it; `shown` stands in its place."""

    key: str | None = field(repr=False)
    shown: str

    def text(self, text: str) -> str:
        """Return a text without the key."""
        return text.replace(self.key, self.shown) if self.key else text

    def error(self, error: GatewayError) -> None:
        """Mask the key in an error, in whatever member."""
        error.message = self.text(error.message)
        error.code = error.code and self.text(error.code)
        error.param = error.param and self.text(error.param)

    def body(self, body: bytes) -> bytes:
        """Return a body without the key."""
        return body.replace(self.key.encode(), self.shown.encode()) if self.key else body

    def body_of_same_length(self, body: bytes) -> bytes:
        """Return a body without the key whose length has been announced."""
        return body.replace(self.key.encode(), b"*" * len(self.key)) if self.key else body


def refuse_foreign_key(key: str | None) -> None:
    """Raise for a key of Anthropic's: passing it on would hand it to another provider."""
    if key is not None and key.startswith("sk-ant-"):
        raise AuthenticationError(
            "This is a key of Anthropic's. It would be sent to another provider, so it is refused; use a key of the "
            "upstream behind this gateway.",
            code="invalid_api_key",
        )
