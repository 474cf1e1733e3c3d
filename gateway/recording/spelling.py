"""Finds credentials that are spelled out over several frames of a stream, a few characters in each. Pure.

A model that repeats a key sends it in pieces, one delta after the other, so no search in the bytes finds it:

    data: {"choices":[{"delta":{"content":"it is sk-"}}]}
    data: {"choices":[{"delta":{"content":"canary"}}]}
    data: {"choices":[{"delta":{"content":"-01234."}}]}

The texts of members of one name are followed from frame to frame, whatever the dialect calls them. A piece of
`SURE` characters is replaced even where no other comes before or behind it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from ahocorasick_rs import BytesAhoCorasick, MatchKind

SURE: Final = 6
"""Bytes of a credential that are no chance."""

_GRAM, _STRIDE = 4, 3
"""Each piece of `SURE` bytes holds one of the grams of this length that begin so far apart."""

_TEXT = re.compile(rb'"(\w{1,40})":\s?"((?:[^"\\]|\\.)*)"')

Span = tuple[int, int]


def hinted(data: bytes, secrets: tuple[bytes, ...]) -> bool:
    """Tell whether a piece of a credential may stand here that is long enough to be none of chance.

    Where not, no whole one stands here either. One search, however many credentials there are.
    """
    return bool(secrets) and bool(finder(secrets).find_matches_as_indexes(data))


@lru_cache(maxsize=128)
def finder(secrets: tuple[bytes, ...], marks: tuple[bytes, ...] = ()) -> BytesAhoCorasick:
    """Return what finds pieces of these credentials, and further marks, in one search."""
    grams = {secret[at : at + _GRAM] for secret in secrets for at in range(0, len(secret) - _GRAM + 1, _STRIDE)}
    return BytesAhoCorasick([*marks, *sorted(grams)], matchkind=MatchKind.LeftmostFirst)


@dataclass(slots=True)
class _Match:
    """A credential of which the first `at` bytes, or some before these, have been seen."""

    secret: bytes
    at: int
    spans: list[Span] = field(default_factory=list)

    @property
    def sure(self) -> bool:
        """So much has been seen that it is no chance."""
        return sum(end - start for start, end in self.spans) >= SURE


def spelled(text: bytes, secrets: Iterable[bytes]) -> tuple[list[Span], list[Span]]:
    """Return where pieces of credentials stand, and where those that may go on behind the text."""
    found: list[Span] = []
    under_way: dict[bytes, _Match] = {}
    for member in _TEXT.finditer(text):
        name, value, start = member[1], member[2], member.start(2)
        if not value:
            continue
        match = under_way.pop(name, None)
        if match is not None and (size := _goes_on(match, value)):
            match.spans.append((start, start + size))
            match.at += size
        else:
            if match is not None and match.sure:
                found += match.spans
            match = _begun(value, start, secrets)
        if match is None:
            continue
        if match.at < len(match.secret):
            under_way[name] = match
        else:
            found += match.spans
    return found, [span for match in under_way.values() for span in match.spans]


def _goes_on(match: _Match, value: bytes) -> int:
    """Return how many bytes of a text continue a match: all of the text, or all that was left."""
    rest = match.secret[match.at :]
    if rest.startswith(value):
        return len(value)
    return len(rest) if value.startswith(rest) else 0


def _begun(value: bytes, start: int, secrets: Iterable[bytes]) -> _Match | None:
    """Return the match that a text begins: by its end, as a whole, or as what ends one whose beginning was not seen."""
    for secret in secrets:
        if len(value) >= SURE and value in secret:
            return _Match(secret, secret.index(value) + len(value), [(start, start + len(value))])
        for size in range(min(len(value), len(secret) - 1), 0, -1):
            if value.endswith(secret[:size]):
                return _Match(secret, size, [(start + len(value) - size, start + len(value))])
        for size in range(min(len(value), len(secret) - 1), SURE - 1, -1):
            if value.startswith(secret[-size:]):
                return _Match(secret, len(secret), [(start, start + size)])
    return None
