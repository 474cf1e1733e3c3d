"""Follows a JSON object that arrives in pieces: has it begun, is it whole, does a second one begin. Pure.

Only strings and brackets are looked at, so it is cheap and never wrong about a correct object; whether the
object is correct is for a parser to say. Text that does not begin with `{` is not followed at all.

States of `ObjectScan`, each one only left for a later one:

    blank     nothing but white space yet
    inside    the object has begun
    whole     its last bracket has closed
    foreign   the text is something else

Reference: RFC 8259.
"""

from __future__ import annotations

import re
from typing import Literal

State = Literal["blank", "inside", "whole", "foreign"]

_MARK = re.compile(r'["{}\[\]]')
_STRING_END = re.compile(r'["\\]')
_SOLID = re.compile(r"[^ \t\r\n]")


class ObjectScan:
    """The place within the text fed so far."""

    __slots__ = ("_depth", "_escaped", "_in_string", "state")

    def __init__(self) -> None:
        self.state: State = "blank"
        self._depth = 0
        self._in_string = False
        self._escaped = False

    def feed(self, text: str) -> int | None:
        """Take a piece; return the place in it where something follows the whole object, else None.

        What stands from there on is not taken.
        """
        at = 0
        if self.state == "blank":
            solid = _SOLID.search(text)
            if solid is None:
                return None
            self.state = "inside" if solid[0] == "{" else "foreign"
            at = solid.start()
        if self.state == "inside":
            at = self._inside(text, at)
        if self.state == "whole":
            solid = _SOLID.search(text, at)
            return solid.start() if solid else None
        return None

    def _inside(self, text: str, at: int) -> int:
        """Go on to the end of the object or of the text; return where."""
        if self._in_string and not self._escaped and '"' not in text and "\\" not in text:
            return len(text)  # most pieces are a word within a string
        size = len(text)
        while at < size:
            if self._escaped:
                self._escaped = False
                at += 1
                continue
            found = (_STRING_END if self._in_string else _MARK).search(text, at)
            if found is None:
                return size
            at = found.end()
            self._mark(found[0])
            if self._depth == 0:
                self.state = "whole"
                return at
        return size

    def _mark(self, mark: str) -> None:
        if mark == '"':
            self._in_string = not self._in_string
        elif mark == "\\":
            self._escaped = True
        elif mark in "{[":
            self._depth += 1
        else:
            self._depth -= 1
