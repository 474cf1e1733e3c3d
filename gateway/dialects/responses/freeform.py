"""The raw input of a custom (freeform) tool, taken out of the JSON arguments of the function that stood for it.

The function has one string member `input`. Arguments that begin `{"input": "` are unescaped while they
stream. Models send other things as well: another member (`patch`, `command`), a list as for a shell, a bare
string, no JSON at all, and round the text a code fence or a heredoc. Any such form is held back until the
arguments are complete and then read as a whole. What `feed` and `finish` returned, joined, is the input.

States of `Freeform`, each one only left for a later one:

    head      the arguments may still begin in the canonical way
    opening   they did; the tool is one whose text models wrap, and the text's beginning does not tell yet
    streaming the text goes out as it comes
    held      nothing goes out before the end

Reference: RFC 8259, section 7 "Strings".
"""

from __future__ import annotations

import json
import re
from typing import Any

_HEAD = re.compile(r'\s*\{\s*"input"\s*:\s*"')
_MEMBER = re.compile(r'\s*\{\s*"(?:input|patch|command|cmd|code|script|text|content)"\s*:\s*"')
_MEMBERS = ("input", "patch", "command", "cmd", "code", "script", "text", "content")
_RUNNERS = frozenset({"apply_patch", "bash", "sh", "zsh", "/bin/bash", "/bin/sh", "node"})
"""First words of a list that is a command line; its last word is the text."""
_UNDECIDED = 256
"""Longest beginning, in characters, about which to be in doubt."""

_BEGIN = "*** Begin Patch"
_END = "\n*** End Patch"
_FENCED = re.compile(r"\s*```[\w+-]*[ \t]*\r?\n(.*?)\r?\n?```\s*\Z", re.DOTALL)
_CLOSING = re.compile(r'(?<!\\)"\s*\}?\s*\Z')
_AFTER_STRING = re.compile(r'\s*(?:\}|,\s*"|\Z)')
_SURROGATE = re.compile("[\ud800-\udfff]")
_X = "[0-9a-fA-F]"
_HIGH = rf"\\u[dD][89abAB]{_X}{_X}"
_LOW = rf"\\u[dD][c-fC-F]{_X}{_X}"
_HALF_LOW = r"\\(?:u(?:[dD](?:[c-fC-F][0-9a-fA-F]?)?)?)?"
_TOKEN = re.compile(
    rf"(?P<cut>(?:\\(?:u{_X}{{0,3}})?|{_HIGH}(?:{_HALF_LOW})?)\Z)"
    rf"|(?P<unicode>{_HIGH}{_LOW}|\\u{_X}{{4}})"
    r"|(?P<short>\\.)"
    r'|(?P<quote>")',
    re.DOTALL,
)
_SHORT = {
    r"\"": '"',
    r"\\": "\\",
    r"\/": "/",
    r"\b": "\b",
    r"\f": "\f",
    r"\n": "\n",
    r"\r": "\r",
    r"\t": "\t",
}


class JSONString:
    """Unescapes the inside of one JSON string that arrives in pieces, cut anywhere.

    `after` is what follows the closing quote; None while the string is open. More lenient than JSON: raw
    control characters and unknown escapes stay as they are, half of a surrogate pair becomes U+FFFD.
    """

    def __init__(self, *, quotes_close: bool = True) -> None:
        self.after: list[str] | None = None
        self._quotes_close = quotes_close
        self._rest = ""

    def feed(self, piece: str) -> str:
        """Take a piece; return what it adds to the string."""
        if self.after is not None:
            self.after.append(piece)
            return ""
        if not self._rest and "\\" not in piece and '"' not in piece:
            return piece
        piece = self._rest + piece
        self._rest = ""
        text: list[str] = []
        position = 0
        for token in _TOKEN.finditer(piece):
            text.append(piece[position : token.start()])
            position = token.end()
            if token.lastgroup == "cut":
                self._rest = token[0]
            elif token.lastgroup == "quote" and self._quotes_close:
                self.after = [piece[position:]]
                return "".join(text)
            else:
                text.append(_unescaped(token[0]))
        text.append(piece[position:])
        return "".join(text)


def _unescaped(token: str) -> str:
    if len(token) > 2:
        return _SURROGATE.sub("\ufffd", json.loads(f'"{token}"'))
    return _SHORT.get(token, token)


class Freeform:
    """Takes the arguments of one call of the custom tool `name`, piece by piece."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._state = self._head
        self._raw: list[str] = []
        """The arguments so far, as long as nothing of them went out."""
        self._opening = ""
        self._string = JSONString()

    def feed(self, piece: str) -> str:
        """Take a piece of the arguments; return what it adds to the input, perhaps nothing."""
        return self._state(piece)

    def finish(self, *, cut: bool = False) -> str:
        """The arguments are complete, or were cut; return the rest of the input."""
        if cut and self._state == self._head:
            return ""
        if self._state != self._streaming:
            return read("".join(self._raw), self._name)
        after = "".join(self._string.after or ())
        if cut or _AFTER_STRING.match(after):
            return ""
        # A quote within the text that the model did not escape: without the rest a client would run half.
        return _loosely('"' + after)

    def _head(self, piece: str) -> str:
        self._raw = ["".join(self._raw) + piece]
        raw = self._raw[0]
        head = _HEAD.match(raw)
        if head:
            self._state = self._opened
            return self._opened(raw[head.end() :], known=True)
        if len(raw) > _UNDECIDED or not '{"input":"'.startswith("".join(raw.split())):
            self._state = self._held
        return ""

    def _opened(self, piece: str, *, known: bool = False) -> str:
        if not known:
            self._raw.append(piece)
        self._opening += self._string.feed(piece)
        clean = _begins_clean(self._name, self._opening)
        if clean is None:
            return ""
        if not clean:
            self._state = self._held
            return ""
        self._state = self._streaming
        self._raw = []
        return self._opening

    def _streaming(self, piece: str) -> str:
        return self._string.feed(piece)

    def _held(self, piece: str) -> str:
        self._raw.append(piece)
        return ""


def _begins_clean(name: str, text: str) -> bool | None:
    """Tell whether a text of this tool begins unwrapped; None: not to be told yet."""
    if name == "apply_patch":
        opening = _BEGIN + "\n"
        if text.startswith(opening):
            return True
        return None if opening.startswith(text) else False
    if name == "exec":
        start = text.lstrip()[:3]
        if start == "```":
            return False
        return None if "```".startswith(start) and len(text) <= _UNDECIDED else True
    return True


def read(arguments: str, name: str) -> str:
    """Return the input that whole arguments for the custom tool `name` stand for, whatever their form."""
    try:
        value = json.loads(arguments, strict=False)
        if isinstance(value, str) and value.lstrip().startswith("{"):
            value = _decoded_twice(value)
    except (ValueError, RecursionError):
        member = _MEMBER.match(arguments)
        text = _loosely(arguments[member.end() :]) if member else arguments
    else:
        found = _text(value)
        text = arguments if found is None else _SURROGATE.sub("\ufffd", found)
    return _unwrapped(text, name)


def _decoded_twice(text: str) -> Any:
    """Take a string that holds the arguments once more as JSON for what it is."""
    try:
        value = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return text
    return value if any(name in value for name in _MEMBERS) else text


def _text(value: Any) -> str | None:
    """Find the one text in parsed arguments."""
    for _ in range(2):  # {"input": {"patch": "…"}}
        if isinstance(value, dict):
            value = _member(value)
    if isinstance(value, list):
        if not all(isinstance(word, str) for word in value):
            return None
        return value[-1] if value and value[0] in _RUNNERS else "\n".join(value)
    return value if isinstance(value, str) else None


def _member(value: dict[str, Any]) -> Any:
    if not value:
        return ""
    for name in _MEMBERS:
        if value.get(name) is not None:
            return value[name]
    return next(iter(value.values())) if len(value) == 1 else None


def _loosely(inside: str) -> str:
    """Return the text of a string that is not JSON (quotes not escaped, or its end missing)."""
    return JSONString(quotes_close=False).feed(_CLOSING.sub("", inside))


def _unwrapped(text: str, name: str) -> str:
    """Take fence, heredoc and the like off a patch, and the fence off code for `exec`.

    The text of other tools stays: it may well be Markdown.
    """
    if name == "exec":
        fenced = _FENCED.match(text)
        return fenced[1] if fenced else text
    return _patch(text) if name == "apply_patch" else text


def _patch(text: str) -> str:
    if "\n" not in text and r"\n" in text:
        text = _loosely(text)  # escaped twice
    begin = text.find(_BEGIN)
    line_end = text.find("\n", begin)
    if begin < 0 or line_end < 0:
        return text
    # What else stands on the first line goes: some write `*** Begin Patch ***`, which Codex refuses.
    body = text[line_end:]
    end = body.rfind(_END)
    if end >= 0:
        end += len(_END)
        # So does what follows the last: stars, the end of a heredoc or of a fence. A line end stays.
        body = body if not body[end:].strip() else body[:end]
    return _BEGIN + body
