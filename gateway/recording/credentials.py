"""Finds credentials in what is recorded and puts stars in their place. Pure.

What counts as one:

    headers      the value of every header whose name tells of a key (`authorization`, `x-goog-api-key`, `cookie` …)
    targets      the value of every query parameter whose name does (`api_key`, `key`, `sig` …)
    bodies       the text of members named like one (`api_key`, `clientSecret`, `OPENAI_API_KEY` …), also in JSON that
                 stands within a string; what has the form of a well-known key (`sk-…`, `cpk_…`, `Bearer …`)
    everywhere   what was one of these in a header, a target or a request of the same exchange

In bodies the stars are as many as the bytes that they replace, so that lengths and framing stay right.

All marks that may begin a credential are looked for in one pass, by an automaton that costs a tenth of what as many
searches would; only where one is found is the text around it looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import unquote_plus

from ahocorasick_rs import BytesAhoCorasick, MatchKind

from gateway.http1 import Headers
from gateway.recording.spelling import finder, hinted

STARS: Final = "***"
SHORTEST: Final = 8
"""Characters from which a credential is looked for in texts. `x`, `none` or `ollama`, which people send to servers
that need no key, stand in too many texts."""

LONGEST: Final = 8192
"""Longest value that is replaced as one, in bytes."""

_LEARNT_FROM = 12
"""Characters from which a value found in a request is looked for in its answer: `password` may be just a word."""

_TELLS = re.compile(r"key|token|secret|auth|passw|passphrase|cookie|credential|signature|session|jwt|^sig$")
_TELLS_NOT = re.compile(r"ratelimit|tokens|www-authenticate|proxy-authenticate|authority|session[-_]?id$|^author$")
"""Names that hold such a word and no credential: `anthropic-ratelimit-tokens-remaining`, `max_tokens`."""

_MEMBER_NAMES = re.compile(
    r""".*(?:
        api_?key | access_?key | secret_?key | private_?key | signing_?key | account_?key | subscription_?key
      | (?:access|refresh|auth|bearer|session|id|api|secret|security|service|client|bot)_?token
      | (?:client|app|shared|webhook|signing|consumer)_?secret | secret | secret_?access_?key
      | pass(?:word|wd|phrase) | (?:proxy_?)?authorization | credentials? | (?:set_?)?cookie
    )""",
    re.VERBOSE,
)


@lru_cache(maxsize=1024)
def named_secret(name: str) -> bool:
    """Tell whether a header or a query parameter of this name holds a credential."""
    low = name.lower()
    return bool(_TELLS.search(low)) and not _TELLS_NOT.search(low)


@lru_cache(maxsize=1024)
def named_secret_member(name: bytes) -> bool:
    """Tell whether the text of a JSON member of this name is a credential. Stricter: `token` and `key` are words."""
    low = name.decode("latin-1").replace("-", "_").lower()
    return bool(_MEMBER_NAMES.fullmatch(low))


class _Form(NamedTuple):
    """How keys of one kind look: what they begin with, and all of it."""

    mark: bytes
    pattern: re.Pattern[bytes]


# Not within a word (`task-…` holds `sk-`); what follows a backslash is an escape of JSON and ends a word.
_APART = rb"(?:(?<![A-Za-z0-9])|(?<=\\[nrtbf])|(?<=\\u[0-9a-fA-F]{4}))"


def _form(mark: str, rest: str) -> _Form:
    return _Form(mark.encode(), re.compile(_APART + re.escape(mark).encode() + rest.encode()))


_FORMS = (
    _form("sk-", r"(?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{12,}"),  # OpenAI, OpenRouter, DeepSeek, Anthropic, LiteLLM
    _form("cpk_", r"[A-Za-z0-9_.-]{12,}"),  # Chutes
    _form("gsk_", r"[A-Za-z0-9]{16,}"),  # Groq
    _form("xai-", r"[A-Za-z0-9]{16,}"),
    _form("nvapi-", r"[A-Za-z0-9_-]{16,}"),
    _form("AIza", r"[A-Za-z0-9_-]{30,}"),  # Google
    _form("hf_", r"[A-Za-z0-9]{20,}"),  # Hugging Face
    _form("ghp_", r"[A-Za-z0-9]{20,}"),
    _form("github_pat_", r"[A-Za-z0-9_]{20,}"),
    _form("AKIA", r"[A-Z0-9]{16}(?![A-Za-z0-9])"),  # Amazon
    _form("eyJ", r"[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"),  # JSON web tokens
    _form("Bearer ", r"(?=[^\s\"\\]*[0-9])[A-Za-z0-9._~+/=-]{8,}"),
    _form("bearer ", r"(?=[^\s\"\\]*[0-9])[A-Za-z0-9._~+/=-]{8,}"),
)
_NAME_MARKS = (
    *("api_key", "api-key", "apikey", "apiKey", "Api-Key", "ApiKey", "API_KEY", "API-KEY", "APIKEY"),
    *("access_key", "accessKey", "ACCESS_KEY", "private_key", "privateKey", "PRIVATE_KEY", "_key", "ption-Key"),
    *("_token", "Token", "_TOKEN", "-token", "ecret", "ECRET", "assword", "ASSWORD", "asswd", "assphrase"),
    *("uthorization", "UTHORIZATION", "redential", "ookie"),
)
_MARKS = tuple(form.mark for form in _FORMS)
_FINDER = BytesAhoCorasick([*_MARKS, *(name.encode() for name in _NAME_MARKS)], matchkind=MatchKind.LeftmostFirst)
_FORM_FINDER = BytesAhoCorasick(_MARKS, matchkind=MatchKind.LeftmostFirst)
_IN_NAMES = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
_MEMBER = re.compile(rb'[A-Za-z0-9_.-]{0,32}(\\*)"\s{0,8}:\s{0,8}(\\*)"')
_ASSIGNED = re.compile(
    rb"[A-Za-z0-9_.-]{0,32}(?:\s?[=:]\s?|%3D)(?:\\*[\"'])?((?=[^\s\"'&\\]*[0-9])[A-Za-z0-9_.~+/=%-]{12,})",
    re.IGNORECASE,
)
_NAME_LIMIT = 64

Span = tuple[int, int]


def found(data: bytes, marks: Iterable[tuple[int, int, int]]) -> Iterator[Span]:
    """Yield where credentials stand that their form or the name before them gives away; they may overlap."""
    for mark, start, end in marks:
        if mark < len(_FORMS):
            match = _FORMS[mark].pattern.match(data, start)
            if match:
                yield start + (7 if data[start + 6 : start + 7] == b" " else 0), match.end()
        elif data[end : end + 1] != b"s" or data[end - 3 : end].lower() != b"ken":
            # `completion_tokens` and its like stand in every answer.
            yield from _named(data, start, end)


def _named(data: bytes, start: int, end: int) -> Iterator[Span]:
    """Yield the value that stands behind a name, of which a mark was found."""
    before = max(0, start - _NAME_LIMIT)
    begin = before + len(data[before:start].rstrip(_IN_NAMES))
    member = _MEMBER.match(data, end)
    if member is None:
        assigned = _ASSIGNED.match(data, end)
        name_end = assigned and re.compile(rb"[A-Za-z0-9_.-]*").match(data, end)
        if assigned and name_end and named_secret_member(data[begin : name_end.end()]):
            yield assigned.span(1)
        return
    if member[1] != member[2] or not named_secret_member(data[begin : member.end(1) - len(member[1])]):
        return
    yield member.end(), _end_of_text(data, member.end(), member[2])


def _end_of_text(data: bytes, begin: int, escape: bytes) -> int:
    """Return where a JSON string ends, whose quotes have this much of an escape; the end of the data if it is cut."""
    limit = min(len(data), begin + LONGEST)
    at = begin
    while (at := data.find(b'"', at, limit)) >= 0:
        slashes = at - len(data[begin:at].rstrip(b"\\")) - begin
        if slashes <= len(escape) or (not escape and slashes % 2 == 0):
            return at - slashes if escape else at
        at += 1
    return limit


class Credentials:
    """The credentials of one exchange, gathered as its requests are seen; see the module."""

    __slots__ = ("_known", "_noted", "shown")

    def __init__(self, known: Iterable[str] = ()) -> None:
        self.shown = False
        """A request held one in its body, so the model may spell it out in its answer."""
        self._known: tuple[bytes, ...] = ()
        self._noted: set[str] = set()
        for value in known:
            self.add(value)

    @property
    def known(self) -> tuple[bytes, ...]:
        """Those that are known, the longest first."""
        return self._known

    def add(self, value: str) -> None:
        """Take note of a credential, to be replaced wherever it stands."""
        if len(value) >= SHORTEST and value not in self._noted:
            self._noted.add(value)
            self._note(value.encode("latin-1", "replace"))

    def _note(self, value: bytes) -> None:
        if value in self._known:
            return
        known = {*self._known, value, value.replace(b"\\", b"\\\\").replace(b'"', b'\\"')}  # as JSON spells it, too
        self._known = tuple(sorted(known, key=len, reverse=True))

    def headers(self, lines: Headers) -> list[list[str]]:
        """Return header lines without those values whose names tell of credentials, and take note of these."""
        return [[name, self._shown(name, value) if named_secret(name) else value] for name, value in lines]

    def _shown(self, name: str, value: str) -> str:
        value, hidden = _hidden(name, value)
        for one in hidden:
            self.add(one)
        return value

    def target(self, target: str) -> str:
        """Return a path without those parameters whose names tell of credentials, and take note of these."""
        path, mark, query = target.partition("?")
        if mark:
            query = "&".join(self._parameter(one) for one in query.split("&"))
        return path + mark + query

    def _parameter(self, parameter: str) -> str:
        name, equals, value = parameter.partition("=")
        if not value or not (named_secret(name) or name.lower() in ("code", "pass", "pwd")):
            return parameter
        self.add(value)
        self.add(unquote_plus(value))
        return f"{name}{equals}{STARS}"

    def clean(self, data: bytes, *, learn: bool = False, names: bool = True) -> bytes:
        """Return bytes without credentials, as many as they were: the same object where there are none.

        `learn`: take note of those that are found, since the answer may repeat them. `names`: whether the names of
        members count.
        """
        if not names and not finder(self._known, _MARKS).find_matches_as_indexes(data):
            return data
        marks = (_FINDER if names else _FORM_FINDER).find_matches_as_indexes(data)
        if marks:
            spans = list(found(data, marks))
            if learn:
                self._learn(data[start:end] for start, end in spans)
            data = starred(data, spans)
        if self._known and hinted(data, self._known):
            for secret in self._known:
                if secret in data:
                    self.shown = self.shown or learn
                    data = data.replace(secret, b"*" * len(secret))
        return data

    def _learn(self, values: Iterable[bytes]) -> None:
        for value in values:
            if len(value) >= _LEARNT_FROM and any(48 <= byte <= 57 for byte in value):
                self._note(value)
                self.shown = True


def starred(data: bytes, spans: Iterable[Span]) -> bytes:
    """Return bytes with stars in some places; the same object where there are none."""
    out = None
    for start, end in spans:
        if end > start:
            out = out or bytearray(data)
            out[start:end] = b"*" * (end - start)
    return data if out is None else bytes(out)


def _hidden(name: str, value: str) -> tuple[str, list[str]]:
    """Return what is shown of a header's value that is a credential, and the credentials in it."""
    if "cookie" in name.lower():
        pairs = (pair.partition("=") for pair in value.split(";"))
        return STARS, [text.strip() for _, _, text in pairs if len(text.strip()) >= _LEARNT_FROM]
    scheme, blank, rest = value.strip().partition(" ")
    if blank and scheme.isalpha():
        return f"{scheme} {STARS}", [rest.strip()]
    return STARS, [value.strip()]
