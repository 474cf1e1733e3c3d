"""Writes the page: markup, style and script once, then a block of data for each exchange. One file, no network.

What was recorded stands in blocks that no browser runs: the list as JSON without `<`, each exchange packed by gzip and
base64, unpacked when it is opened. The script puts all of it into the page as text. Should that ever fail, the policy
in the head lets nothing run but this very script, and nothing be loaded from anywhere.
"""

from __future__ import annotations

import base64
import hashlib
import html
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from gateway.jsonbody import dump
from gateway.types import JSON
from gateway.view.told import ROW

_FOLDER = Path(__file__).parent
_HEAD_END = "<!-- data -->"


def opening(title: str) -> bytes:
    """Return the document up to the data."""
    return _page()[0].replace("{title}", html.escape(title)).encode()


def block(number: int, detail: JSON) -> bytes:
    """Return the block of one exchange."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    packed = packer.compress(dump(detail)) + packer.flush()
    return b'<script type="text/plain" id="x%d">%s</script>\n' % (number, base64.b64encode(packed))


def closing(facts: JSON, rows: list[list[Any]]) -> bytes:
    """Return the list and the end of the document."""
    listed = _harmless({"facts": facts, "columns": ROW, "rows": rows})
    return b'<script type="application/json" id="list">' + listed + b"</script>\n" + _page()[1].encode()


def _harmless(value: JSON) -> bytes:
    """Return JSON that cannot end the block it stands in."""
    return dump(value).replace(b"<", b"\\u003c")


@cache
def _page() -> tuple[str, str]:
    style, script = (_text(name) for name in ("view.css", "view.js"))
    page = _text("view.html")
    page = page.replace("{policy}", "; ".join(_policy(style, script)))
    page = page.replace("/* view.css */", style).replace("/* view.js */", script)
    begin, _, end = page.partition(_HEAD_END)
    return begin, end


def _policy(style: str, script: str) -> Iterator[str]:
    yield "default-src 'none'"
    yield f"script-src {_hashed(script)}"
    yield f"style-src {_hashed(style)}"
    yield "img-src data:"
    yield "base-uri 'none'"
    yield "form-action 'none'"


def _text(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _hashed(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
