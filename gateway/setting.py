"""What one setting is: its flag, its environment variable, its default, its meaning and how its text is read.

The command line, `--help`, the table of the README and the reading of values all come from these records, so
that they cannot drift apart. Parsers take the operator's text and raise ValueError with a sentence that says
what is wrong; who reads the setting puts its name in front.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")
Word = TypeVar("Word", bound=str)

KEY = "setting"
"""Name of the record in a dataclass field's metadata."""


class SettingError(Exception):
    """A value that the gateway cannot start with. Its text is one line that names the setting."""

    def __init__(self, setting_name: str, message: str) -> None:
        super().__init__(f"{setting_name}: {message}")
        self.setting_name = setting_name
        self.message = message


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting, as people meet it."""

    help: str
    parse: Callable[[str], Any]
    shown: str
    """The default, in words."""
    flags: tuple[str, ...] = ()
    env: str = ""
    """Empty: there is only the flag."""
    switch: str = ""
    """For a flag that takes no value: the text it stands for."""

    @property
    def name(self) -> str:
        """What errors call it: the environment variable and the flag."""
        if self.env and self.flags:
            return f"{self.env} ({self.flags[0]})"
        return self.env or self.flags[0]

    def given(self, name: str, flags: Mapping[str, str], environ: Mapping[str, str]) -> str | None:
        """Return the text that was given, None for none. A flag beats the environment; empty text is none."""
        return flags.get(name) or (environ.get(self.env) if self.env else None) or None

    def read(self, text: str) -> Any:
        """Return the value of a text. Raises: SettingError."""
        try:
            return self.parse(text.strip())
        except ValueError as error:
            raise SettingError(self.name, str(error)) from None


def setting(
    parse: Callable[[str], T],
    default: T,
    help: str,
    *,
    flags: tuple[str, ...] = (),
    env: str = "",
    shown: str | None = None,
    switch: str = "",
) -> T:
    """Return a dataclass field that is a setting; `shown` is the default in words where its value tells too little."""
    words = (str(default).lower() if isinstance(default, bool) else str(default)) if shown is None else shown
    record = Setting(help, parse, words, flags, env, switch)
    return field(default=default, metadata={KEY: record})


# --- parsers ------------------------------------------------------------------------------------------------

_TRUE = frozenset(["true", "1", "yes", "on"])
_FALSE = frozenset(["false", "0", "no", "off"])


def truth(text: str) -> bool:
    """Read true or false in the usual spellings."""
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise ValueError(f"{text!r} is neither true nor false")


def whole(low: int, high: int) -> Callable[[str], int]:
    """Return a parser of whole numbers from `low` to `high`."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,18}", text) or not low <= int(text) <= high:
            raise ValueError(f"{text!r} is not a whole number from {low} to {high}")
        return int(text)

    return parse


port = whole(1, 65535)
size = whole(1, 1 << 40)


def seconds(low: float, high: float = 86_400) -> Callable[[str], float]:
    """Return a parser of seconds, with or without a fraction, from `low` to `high`."""

    def parse(text: str) -> float:
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text) or not low <= float(text) <= high:
            raise ValueError(f"{text!r} is not a number of seconds from {low:g} to {high:g}")
        return float(text)

    return parse


def one_of(*words: Word) -> Callable[[str], Word]:
    """Return a parser that knows only these words, in any case."""

    def parse(text: str) -> Word:
        for word in words:
            if text.lower() == word:
                return word
        raise ValueError(f"{text!r} is none of {', '.join(words)}")

    return parse


def address(text: str) -> str:
    """Read a host name or an address to bind; an IPv6 address with or without its brackets."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if not re.fullmatch(r"[A-Za-z0-9._:%-]+", bare):
        raise ValueError(f"{text!r} is no host name or address")
    return bare


def url(text: str) -> str:
    """Read the URL of an upstream. The text is not repeated in errors, since it may hold a secret."""
    if not re.fullmatch(r"[\x21-\x7e]+", text):
        raise ValueError("the URL holds characters that no URL has")
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not a URL with scheme and host; write it like https://host/v1")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL with a user name or password is not taken; clients send the key")
    if parts.port == 0 or parts.fragment:
        raise ValueError("the URL has a port or fragment that cannot be used")
    return text


def pattern(text: str) -> re.Pattern[str]:
    """Read a regular expression."""
    try:
        return re.compile(text)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None


def readable_file(text: str) -> Path:
    """Read the path of a file that exists and may be read."""
    path = Path(text)
    if not path.exists():
        raise ValueError(f"there is no file {text!r}")
    if path.is_dir():
        raise ValueError(f"{text!r} is a folder, not a file")
    if not os.access(path, os.R_OK):
        raise ValueError(f"{text!r} may not be read by this user")
    return path


def path(text: str) -> Path:
    """Read the path of a file that need not exist."""
    if "\0" in text:
        raise ValueError("a path has no zero bytes")
    return Path(text)


def origins(text: str) -> str:
    """Read `*`, `off` (which becomes empty) or a comma-separated list of origins."""
    if text == "*" or text.lower() == "off":
        return text.lower().removeprefix("off")
    for origin in text.split(","):
        if not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^\s/,*]+|null", origin.strip()):
            raise ValueError(
                f"{origin.strip()!r} is no origin like https://chat.example.org; `*` allows all, `off` none"
            )
    return text


def store(text: str) -> str:
    """Read where responses are stored. The text is not repeated in errors, since it may hold a password."""
    if text.lower() in ("off", "memory"):
        return text.lower()
    scheme, _, rest = text.partition(":")
    if scheme.lower() == "sqlite" and rest:
        if rest == ":memory:":
            raise ValueError("the store that has no file is called `memory`")
        return f"sqlite:{rest}"
    if scheme.lower() in ("redis", "rediss", "unix") and rest.startswith("//"):
        if scheme.lower() != "unix" and not re.fullmatch(r"/?[0-9]{0,9}", urlsplit(text).path):
            # The library would take the first database instead.
            raise ValueError("the path of the URL is no number of a database")
        return text
    raise ValueError("none of off, memory, sqlite:PATH and redis://HOST:PORT/NUMBER")
