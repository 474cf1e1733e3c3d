"""Takes out of a text what changes each time a client runs: paths, dates, ids, durations. Pure.

Two runs of the same task in two folders on two days then give the same text. The rules are general; none knows a
client. What they take too much only matters where nothing equals a request exactly.
"""

from __future__ import annotations

import re
from typing import Any

_DAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*"
_MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*"
_CLOCK = r"\d\d?:\d\d(?::\d\d(?:\.\d+)?)?(?: ?[AP]M)?"

_VOLATILE = re.compile(
    "|".join(
        (
            r"(?P<uuid>\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b)",
            r"(?P<host>\b(?:localhost|127\.0\.0\.1)(?::\d+)?)",
            rf"(?P<date>\b\d{{4}}-\d\d-\d\d(?:[T ]{_CLOCK})?(?:Z|[+-]\d\d:?\d\d)?"
            rf"|\b(?:{_DAY},? )?(?:{_MONTH} \d\d?|\d\d? {_MONTH})(?:,? {_CLOCK})?(?: [A-Z]{{3,4}})?(?:,? \d{{4}}\b)?"
            rf"|\b\d\d?/\d\d?/\d{{4}}\b)",
            rf"(?P<clock>\b{_CLOCK})",
            r"(?P<span>\b\d+(?:\.\d+)? ?(?:seconds?|secs?|ms|milliseconds?|minutes?|s)\b)",
            r"(?P<path>(?<![\w.:/<])~?(?:/[\w.@+%~-]+){2,}/?|\b[A-Za-z]:\\(?:[\w.@+%~ -]+\\?)+)",
            r"(?P<id>\b[A-Za-z]{2,12}[_-](?=[A-Za-z]*\d)[0-9A-Za-z]{16,}\b|\b(?=[0-9a-f]*\d)[0-9a-f]{6,}\b)",
        )
    )
)
_FILE = re.compile(r"[\w@+%~-]+\.\w{1,8}\Z")


def settled(text: str) -> str:
    """Return a text with names for what is volatile in it; of a path to a file the file's name stays."""
    return _VOLATILE.sub(_name, text)


def settled_value(value: Any) -> Any:
    """Return a JSON value, all texts in it settled."""
    match value:
        case str():
            return settled(value)
        case list():
            return [settled_value(one) for one in value]
        case dict():
            return {name: settled_value(one) for name, one in value.items()}
        case _:
            return value


def _name(match: re.Match[str]) -> str:
    if match.lastgroup == "path":
        file = _FILE.search(match[0])
        return f"‹path›{file[0] if file else ''}"
    return f"‹{match.lastgroup}›"
