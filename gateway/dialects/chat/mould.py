"""Reads chunks that are all alike but for one string without parsing the rest of them.

Theory. A server casts the chunks of an answer in one mould: the same id, model and members each time, and one string
that goes on. Once such a chunk has been parsed and understood, what stood before and behind its string is kept, and
another chunk with the same bytes there says the same thing in other words: in JSON a string can take the place of
a string without any change to what is around it. Only that string is parsed then.

A mould is proved when it is cast: with another string in its place the chunk must be understood as the same, saying
that string. Where chunks keep changing (llama.cpp writes the second into each), a new mould is cast as long as they
are of use, and else ever more seldom.

Reference: RFC 8259, section 2 (values are tokens, whatever is in them).
"""

from __future__ import annotations

import orjson

from gateway.dialects.chat.read import Fragment, fragment_of

_LONGEST = 4096
"""Longest chunk of which a mould is made, in bytes."""


class Mould:
    """The mould of the chunks that come now; at first there is none."""

    def __init__(self) -> None:
        self.member = ""
        """Of the fragments, see `Fragment`."""
        self.call: int | None = None
        self._before = b""
        self._behind = b""
        self._around = -1
        """Length of both; -1: there is no mould."""
        self._used = True
        self._patience = 0
        self._skipped = 0

    def text(self, data: bytes) -> str | None:
        """Return what a chunk says that was cast in this mould; None for any other."""
        token = data.removeprefix(self._before).removesuffix(self._behind)
        if len(token) != len(data) - self._around:
            return None
        try:
            text = orjson.loads(token)
        except orjson.JSONDecodeError:
            return None
        if type(text) is not str or not text:
            return None
        self._used = True
        return text

    def cast(self, data: bytes, fragment: Fragment) -> None:
        """Take a chunk that was understood as this fragment for a pattern of those to come."""
        if self._skipped < self._patience:
            self._skipped += 1
            return
        self._skipped = 0
        self._patience = 0 if self._used else 2 * self._patience + 1
        self._used = False
        self._around = -1
        if len(data) > _LONGEST:
            return
        token = orjson.dumps(fragment.text)
        for colon in (b":", b": "):
            name = b'"%b"%b' % (fragment.member.encode(), colon)
            at = data.find(name + token)
            if at >= 0:
                self._prove(data[: at + len(name)], data[at + len(name) + len(token) :], fragment)
                return

    def _prove(self, before: bytes, behind: bytes, fragment: Fragment) -> None:
        probe = fragment.text + "."
        if fragment_of(orjson.loads(before + orjson.dumps(probe) + behind)) == fragment._replace(text=probe):
            self.member, self.call = fragment.member, fragment.call
            self._before, self._behind, self._around = before, behind, len(before) + len(behind)
