"""The page as one document: markup, style and script put together once, and the policy that holds them.

The browser is told to run this very script and style, by their hashes, to connect to this gateway alone, and to
load nothing from anywhere (Content Security Policy, level 3).
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import NamedTuple

_FOLDER = Path(__file__).parent


class Page(NamedTuple):
    """The document and its policy."""

    html: bytes
    policy: str


@cache
def page() -> Page:
    """Return the page, read from its files the first time."""
    style, script = (_text(name) for name in ("page.css", "page.js"))
    html = _text("page.html").replace("/* page.css */", style).replace("/* page.js */", script)
    rules = {
        "default-src": "'none'",
        "script-src": _hashed(script),
        "style-src": _hashed(style),
        "connect-src": "'self'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return Page(html.encode(), "; ".join(f"{name} {value}" for name, value in rules.items()))


def _text(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _hashed(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
