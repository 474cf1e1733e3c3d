"""The page of a recording in a real headless Chromium, opened from the disk."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import main
from tests.support.browser import Browser, Page
from tests.support.recordings import STREAM, WHOLE, Tape

EVIL = '<img src=x onerror="window.hacked=1"></script><script>window.hacked=1</script>'
ROWS = "document.querySelectorAll('#rows tr').length"
CASE = Path(__file__).parents[1] / "golden" / "responses-chat" / "codex-a-shell-command-creates-a-file-2"

Open = Callable[..., Page]


def frame(delta: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": delta}]}).encode() + b"\n\n"


def recording() -> Tape:
    """A translated exchange, a slow relayed one that is cut, a refused one, and one full of markup."""
    tape = Tape()
    tape.golden("req_translated", CASE)
    slow = {"model": "v/slow", "messages": [{"role": "user", "content": "Tell me a story"}]}
    tape.request("req_slow", slow, port=5101)
    tape.asked("req_slow", slow, port=5101)
    tape.wait(2.0)
    tape.answered(
        "req_slow", [frame({"content": f"word{n} "}) for n in range(40)], end="upstream_cut", error="It broke."
    )
    tape.told("req_slow", [frame({"content": "word0 "})], end="upstream_cut", output_tokens=40, port=5101)
    tape.request("req_refused", {"model": "v/none", "input": "x"}, "/v1/responses")
    tape.told("req_refused", [b'{"error": {"message": "no such"}}'], status=404, headers=WHOLE, end="refused")
    evil = {"model": EVIL, EVIL: EVIL, "messages": [{"role": "user", "content": EVIL}]}
    tape.request("req_evil", evil, f"/v1/chat/completions?{EVIL}", headers=[[EVIL, EVIL]])
    tape.asked("req_evil", {"messages": [EVIL]})
    call = {"tool_calls": [{"index": 0, "id": EVIL, "function": {"name": EVIL, "arguments": EVIL}}]}
    tape.answered(
        "req_evil", [frame({"content": EVIL, "reasoning_content": EVIL}), frame(call)], end="upstream_cut", error=EVIL
    )
    tape.told("req_evil", [EVIL.encode()], headers=[*STREAM, ["x", EVIL]], end=EVIL, model=EVIL, dropped=[EVIL])
    return tape


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as running:
        yield running


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("view")
    log = recording().write(folder / "<b>log")
    assert main(["view", str(log), "-o", str(folder / "page.html")]) == 0
    return folder / "page.html"


@pytest.fixture
def opened(browser: Browser, page_file: Path) -> Open:
    def open_page(name: str = "", **window: Any) -> Page:
        page = browser.open(f"file://{page_file}#{name}", **window)
        page.wait_for("document.querySelector('.timeline svg')")
        return page

    return open_page


def evidence(page: Page, name: str) -> None:
    """Keep a picture where a person asks for them: SCREENSHOTS=folder."""
    if folder := os.environ.get("SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(Path(folder) / f"{name}.png")


def choose(page: Page, tab: str) -> str:
    """Open a tab and return what it shows."""
    page.run(f"[...document.querySelectorAll('[role=tab]')].find((one) => one.textContent === {tab!r}).click()")
    return page.text("[role=tabpanel]")


def test_the_page_asks_nobody_and_complains_of_nothing(opened: Open, page_file: Path) -> None:
    page = opened()
    evidence(page, "view")
    assert page.complaints == []
    assert all(url.startswith(("file://", "data:")) for url in page.requested)
    assert page.text("#name") == "<b>log"
    assert "gateway 2.0.0" in page.text("#pills")
    assert "3 with problems" in page.text("#pills")


def test_the_list_is_searched_filtered_and_ordered(opened: Open) -> None:
    page = opened()
    assert page.run(ROWS) == 4
    page.type("#search", "story V/SLOW")
    assert (page.run(ROWS), page.text("#count")) == (1, "1 of 4")
    page.type("#search", "nothing like it")
    assert page.text("#none") == "No exchange matches."
    page.type("#search", "")
    page.type("#port", "5101")
    assert page.run(ROWS) == 1
    page.type("#port", "")
    page.type("#end", "refused")
    assert "404" in page.text("#rows tr")
    page.type("#end", "")
    page.click("#problems")
    assert page.run(ROWS) == 3
    page.click("#problems")
    page.type("#order", "duration")
    assert "v/slow" in page.text("#rows tr")


def test_an_exchange_shows_both_legs(opened: Open) -> None:
    page = opened("req_translated")
    assert "echo made" in choose(page, "Requests")
    assert page.run("document.querySelectorAll('.pair > .block').length") == 2
    assert page.run("document.querySelectorAll('pre .only').length") > 3
    assert "Moved" in choose(page, "What changed")
    assert "messages[*]" in page.text("[role=tabpanel]")
    assert "event: response.created" in choose(page, "Answers")
    assert choose(page, "What was said").splitlines()[:2] == ["Text", "Done."]
    page.run("document.querySelector('#scroll').dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowDown'}))")
    page.wait_for("location.hash === '#req_slow'")


def test_the_picture_shows_chunks_gaps_and_the_end(opened: Open) -> None:
    page = opened("req_slow")
    assert page.run("document.querySelectorAll('.timeline line.upstream title').length") == 40
    assert page.run("document.querySelectorAll('.timeline .gap').length") >= 2
    assert page.run("document.querySelectorAll('.timeline .end-bad').length") == 2
    assert "It broke." in page.text(".notice")
    assert "tokens/s" in page.text("#detail .pills")
    evidence(page, "view-slow")


def test_a_refused_request_says_that_nobody_was_asked(opened: Open) -> None:
    page = opened("req_refused")
    assert "the upstream was not asked" in choose(page, "What changed")
    assert "no such" in choose(page, "Answers")


def test_what_was_recorded_is_text(opened: Open) -> None:
    page = opened("req_evil")
    for tab in ("What was said", "What changed", "Requests", "Answers"):
        assert EVIL in choose(page, tab).replace('\\"', '"').replace("\n", "")
    assert EVIL in page.text("#rows")
    assert EVIL in page.text(".notice")
    assert page.run("document.querySelectorAll('img').length") == 0
    assert page.run("window.hacked") is None
    assert page.complaints == []


def test_it_fits_a_phone(opened: Open) -> None:
    page = opened("req_slow", width=390, height=844, phone=True)
    assert page.run("document.documentElement.scrollWidth") == 390
    evidence(page, "view-phone")


def test_the_dark_page_is_dark(opened: Open) -> None:
    page = opened("req_slow")
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    assert page.run("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 27)"
    evidence(page, "view-dark")


def test_many_exchanges_are_built_as_one_scrolls(browser: Browser, tmp_path: Path) -> None:
    tape = Tape(tick=0.001)
    for number in range(1200):
        tape.relayed(f"req_{number}", {"model": "m", "messages": []}, [frame({"content": "x"})])
    log = tape.write(tmp_path / "log")
    assert main(["view", str(log)]) == 0
    page = browser.open(f"file://{log}.html")
    page.wait_for("document.querySelector('.timeline svg')")
    assert "1,200" in page.text("#count")
    assert page.run(ROWS) < 1000
    page.wait_for(f"(document.querySelector('#scroll').scrollTop = 1e6, {ROWS} === 1200)")
