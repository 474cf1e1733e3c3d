"""The reader under the grammars; the grammars themselves are shown in `test_calls.py`."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import pytest

from gateway.filters.leaks import GRAMMARS, NotACall, Reader

TOOLS: dict[str, Any] = {"f": {}, "f.more": {}}


def read(step: Callable[[Reader], Generator[None, None, Any]], text: str) -> tuple[Any, str]:
    """Return what a step reads from a text that comes character by character, and what it leaves."""
    reader = Reader()
    reading = step(reader)
    try:
        next(reading)
        for character in text:
            reader.text += character
            next(reading)
        reader.ended = True
        next(reading)
    except StopIteration as done:
        return done.value, reader.text
    except NotACall:
        return NotACall, reader.text
    raise AssertionError("waits for more after the end")


@pytest.mark.parametrize(
    ("step", "text", "expected"),
    [
        pytest.param(lambda r: r.space(), " \n\tx", True, id="space"),
        pytest.param(lambda r: r.space(), " \n", False, id="space-at-the-end"),
        pytest.param(lambda r: r.one_of("<a>", "<ab>"), "<ab>", "<ab>", id="one-of"),
        pytest.param(lambda r: r.one_of("<a>", "<ab>"), "<b", NotACall, id="none-of"),
        pytest.param(lambda r: r.one_of("<a>"), "<a", NotACall, id="half-of-one"),
        pytest.param(lambda r: r.optional("<a>"), "<a>", None, id="optional"),
        pytest.param(lambda r: r.optional("<a>"), "<b", None, id="optional-not-there"),
        pytest.param(lambda r: r.optional("<a>"), "<a", None, id="optional-half"),
        pytest.param(lambda r: r.trailing("<a>"), " \n<a>", None, id="trailing"),
        pytest.param(lambda r: r.trailing("<a>"), "\n  x", None, id="trailing-not-there"),
        pytest.param(lambda r: r.trailing("<a>"), "\n<a", None, id="trailing-half"),
        pytest.param(lambda r: r.until(">"), "key>", "key", id="until"),
        pytest.param(lambda r: r.until(">"), "key\n", NotACall, id="until-on-one-line"),
        pytest.param(lambda r: r.until(">"), "key", NotACall, id="until-the-end"),
        pytest.param(lambda r: r.name(TOOLS), "f>", "f", id="name"),
        pytest.param(lambda r: r.name(TOOLS), "f.more>", "f.more", id="longer-name"),
        pytest.param(lambda r: r.name(TOOLS), "f.mo>", NotACall, id="half-a-name"),
        pytest.param(lambda r: r.name(TOOLS), "g", NotACall, id="no-name"),
        pytest.param(lambda r: r.value("</v>", ("<n>",)), "a</v>b</v> <n>", "a</v>b", id="value"),
        pytest.param(lambda r: r.value("</v>", ("<n>",)), "a</v>", NotACall, id="value-without-follower"),
        pytest.param(lambda r: r.object(), ' {"a": "}"}x', {"a": "}"}, id="object"),
        pytest.param(lambda r: r.object(), "{a}", NotACall, id="broken-object"),
    ],
)
def test_reader(step: Any, text: str, expected: Any) -> None:
    found, left = read(step, text)
    assert found == expected
    assert found is NotACall or text.endswith(left)


def test_no_opener_is_the_beginning_of_another() -> None:
    assert [a for a in GRAMMARS for b in GRAMMARS if a != b and b.startswith(a)] == []
