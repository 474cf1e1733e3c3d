"""The page in a real headless Chromium: what people see, on a desk and on a phone."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.answers import chat_text, error
from tests.support.browser import Browser, Page
from tests.support.gateway import Gateway
from tests.support.upstream import Upstream

EVIL = "<img src=x onerror=window.hacked=1>"
MODELS = [
    {"id": EVIL},
    {
        "id": "v/seer",
        "context_length": 131_072,
        "supported_features": ["tools", "reasoning"],
        "input_modalities": ["text", "image"],
        "pricing": {"prompt": 0.25, "completion": 1.5},
    },
    {"id": "v/plain", "supported_features": ["json_mode"]},
]
ROWS = "document.querySelectorAll('#models tr').length"

_WATCH = """
window.seen = new Set();
new MutationObserver(() => seen.add(document.querySelector('#text').textContent))
    .observe(document.querySelector('#text'), {childList: true, characterData: true, subtree: true});
"""

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as running:
        yield running


@pytest.fixture
def opened(browser: Browser, upstream: Upstream, gateway_with: Callable[..., Gateway]) -> Open:
    """Open the page of a gateway, whose list is that of this module alone, and wait until it is filled."""
    upstream.lists(*MODELS)
    gateway = gateway_with(ENABLE_CIRCUIT_BREAKER="true", BREAKER_FAILURES="99")

    def open_page(surface: str = "responses", host: str = "127.0.0.1", path: str = "/", **window: object) -> Page:
        port = gateway.responses_port if surface == "responses" else gateway.chat_port
        return filled(browser.open(f"http://{host}:{port}{path}", **window))  # type: ignore[arg-type]

    open_page.gateway = gateway  # type: ignore[attr-defined]
    return open_page


def filled(page: Page) -> Page:
    """Wait until a page shows its models and a card."""
    page.wait_for(f"{ROWS} === {len(MODELS)} && document.querySelector('#card > *')")
    return page


class Forwarder:
    """A port that leads to another one, as a proxy's does; a context manager that gives its number."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._sockets = [socket.create_server(("127.0.0.1", 0))]
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> int:
        self._begin(self._accept)
        return int(self._sockets[0].getsockname()[1])

    def __exit__(self, *_: object) -> None:
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        for one in self._sockets:
            one.close()

    def _begin(self, run: Callable[..., None], *sockets: socket.socket) -> None:
        self._threads.append(threading.Thread(target=run, args=sockets, daemon=True))
        self._threads[-1].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._sockets[0].accept()
                gateway = socket.create_connection(("127.0.0.1", self._to))
                self._sockets += [client, gateway]
                self._begin(_pump, client, gateway)
                self._begin(_pump, gateway, client)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


def evidence(page: Page, name: str) -> None:
    """Keep a picture where a person asks for them: SCREENSHOTS=folder."""
    if folder := os.environ.get("SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(Path(folder) / f"{name}.png")


def test_the_page_runs_and_asks_nobody_else(opened: Open) -> None:
    page = opened()
    page.wait_for("document.querySelector('#card pre')")
    evidence(page, "desktop")
    assert page.complaints == []
    origin = page.run("location.origin")
    assert all(url.startswith((origin, "data:")) for url in page.requested)
    assert "responses port" in page.text("#pills")
    assert "upstream answers" in page.text("#pills")
    assert "The upstream is a server of this network; it speaks Chat Completions." in page.text("#lead")
    assert "breaker closed" in page.text("#pills")


def test_names_of_models_are_text(opened: Open) -> None:
    page = opened()
    assert EVIL in page.text("#models")
    page.run(f"[...document.querySelectorAll('#models .name')].find((one) => one.textContent === {EVIL!r}).click()")
    assert page.run("document.querySelectorAll('img').length") == 0
    assert page.run("window.hacked") is None
    # What might do harm in a terminal is not pasted into one.
    assert 'model = "MODEL"' in page.text("#card")


def test_models_show_what_is_known_and_can_be_searched(opened: Open) -> None:
    page = opened()
    row = "#models tr:nth-child(2)"
    assert page.run(f"document.querySelector('{row}').innerText.split(/\\s+/).join(' ')") == (
        "v/seer 131k toolsvisionreasoning 0.25 / 1.5 both"
    )
    page.type("#search", "TOOLS vision")
    assert page.run(ROWS) == 1
    assert "1 of 3" in page.text("#count")
    page.type("#search", "nothing like it")
    assert page.text("#none") == "No model matches."


@pytest.mark.parametrize("surface", ["chat", "responses"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_every_text_is_made_for_the_address(opened: Open, surface: str, host: str) -> None:
    page = opened(surface, host)
    gateway: Gateway = opened.gateway  # type: ignore[attr-defined]
    chat, responses = (f"http://{host}:{port}" for port in (gateway.chat_port, gateway.responses_port))
    expected = {
        "codex": [f'base_url = "{responses}/v1"', f'model_catalog_url = "{responses}/v1/models"', 'model = "v/seer"'],
        "claude": [f"export ANTHROPIC_BASE_URL={responses}\n", f'"ANTHROPIC_BASE_URL": "{responses}"'],
        "xcode": [f"URL             {chat}\n", "x-api-key"],
        "lobechat": [f"OPENAI_PROXY_URL={chat}/v1"],
        "openwebui": [f"OPENAI_API_BASE_URL={chat}/v1"],
        "continue": [f"apiBase: {chat}/v1"],
        "aider": [f"export OPENAI_API_BASE={chat}/v1", "openai/v/seer"],
        "curl": [f"curl {responses}/v1/messages", f"curl {chat}/v1/chat/completions"],
    }
    for client, texts in expected.items():
        page.click(f'[data-id="{client}"]')
        shown = page.run("[...document.querySelectorAll('#card pre')].map((one) => one.textContent).join('')")
        for text in texts:
            assert text in shown
        assert page.run("location.hash") == f"#{client}"


CARD = "[...document.querySelectorAll('#card pre')].map((one) => one.textContent).join('\\n')"


def test_behind_a_proxy_texts_name_the_address_of_the_page(browser: Browser, opened: Open) -> None:
    """A proxy has ports of its own, so nothing is guessed from the gateway's; no forwarded header is believed."""
    gateway: Gateway = opened.gateway  # type: ignore[attr-defined]
    with Forwarder(gateway.responses_port) as port, Forwarder(gateway.chat_port) as chat_port:
        page = filled(browser.open(f"http://127.0.0.1:{port}/#curl"))
        text = page.run(CARD)
        assert text.count(f"curl http://127.0.0.1:{port}/v1/") == 3
        assert "Xcode" in page.text("#tabs")
        assert "The chat port" not in page.text("#lead")
        page = filled(browser.open(f"http://127.0.0.1:{chat_port}/#curl"))
        assert page.run(CARD).count("curl ") == 1
        page.click('[data-id="codex"]')
        assert "open its page" in page.text("#card")


def test_where_the_gateway_holds_the_key_a_token_is_asked_for(
    browser: Browser, upstream: Upstream, gateway_with: Callable[..., Gateway], tmp_path: Path
) -> None:
    upstream.lists(*MODELS)
    upstream.always(chat_text("let in"))
    for name, text in (("key", "sk-held-0123456789\n"), ("tokens", "token-of-a-client\n")):
        (tmp_path / name).write_text(text)
    files = {"BACKEND_KEY_FILE": str(tmp_path / "key"), "CLIENT_TOKENS_FILE": str(tmp_path / "tokens")}
    gateway = gateway_with(**files)
    page = filled(browser.open(f"http://127.0.0.1:{gateway.responses_port}/"))
    assert "GATEWAY_API_KEY=your-token" in page.run(CARD)
    assert f"The chat port is {gateway.chat_port}." in page.text("#lead")
    page.click("#send")
    page.wait_for("document.querySelector('#text').textContent === 'A client token is needed here: type yours above.'")
    page.type("#key", "token-of-a-client")
    page.click("#send")
    page.wait_for("document.querySelector('#text').textContent === 'let in'")


def test_a_gateway_with_one_port(browser: Browser, upstream: Upstream) -> None:
    upstream.lists(*({"id": f"m{number:02}"} for number in range(60)))
    with Gateway(upstream.url, flags=["--mode", "chat"], REQUIRE_KEY="false") as gateway:
        page = browser.open(f"http://127.0.0.1:{gateway.chat_port}/")
        page.wait_for(f"{ROWS} === 25")
        assert "which this gateway does not serve" in page.text("#card")
        page.click('[data-id="lobechat"]')
        assert "Responses" not in page.text("#card")
        assert "any-word" in page.run(CARD)
        page.click('[data-id="xcode"]')
        assert page.run(CARD).endswith(f"Port  {gateway.chat_port}")
        assert page.run("document.querySelector('#key').placeholder") == "not needed"
        upstream.always(chat_text("no key was asked for"))
        page.click("#more")
        assert page.run(ROWS) == 60
        page.click("#send")
        page.wait_for("document.querySelector('#facts').textContent")


def test_texts_can_be_copied_and_tabs_turned_by_keys(opened: Open) -> None:
    page = opened()
    page.run(
        "Object.defineProperty(navigator, 'clipboard', {value: {writeText: async (text) => { window.got = text; }}})"
    )
    page.click("#card button")
    page.wait_for("document.querySelector('#card button').textContent === 'Copied'")
    assert page.run("window.got") == page.run("document.querySelector('#card pre').textContent")
    # Where the browser gives no clipboard, as over plain HTTP.
    page.run("void (navigator.clipboard.writeText = () => Promise.reject())")
    page.click('[data-id="claude"]')
    page.click("#card button")
    page.wait_for("['Copied', 'Selected'].includes(document.querySelector('#card button').textContent)")
    page.run("document.querySelector('[data-id=claude]').focus()")
    for key, client in (
        ("ArrowRight", "xcode"),
        ("ArrowLeft", "claude"),
        ("ArrowLeft", "codex"),
        ("ArrowLeft", "curl"),
    ):
        page.run(f"document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {{key: '{key}', bubbles: true}}))")
        assert page.run("location.hash") == f"#{client}"
        assert page.run("document.activeElement.dataset.id") == client


def test_a_key_that_is_typed_shows_nowhere_and_is_kept_nowhere(opened: Open) -> None:
    page = opened()
    page.type("#key", "sk-typed-secret")
    page.click('[data-id="claude"]')
    assert "sk-typed-secret" not in page.run("document.documentElement.innerHTML")
    assert page.run("localStorage.length + sessionStorage.length + document.cookie.length") == 0
    assert "sk-typed-secret" not in page.run("location.href")


def test_try_it_streams_an_answer_with_the_key(opened: Open, upstream: Upstream) -> None:
    answer = chat_text("Hello there, dear friend", reasoning="A greeting is asked for").streamed().slow(0.15)
    upstream.always(answer)
    page = opened()
    page.type("#key", "sk-typed-secret")
    page.run(_WATCH)
    page.click("#send")
    page.wait_for("document.querySelector('#facts').textContent")
    assert page.text("#text") == "Hello there, dear friend"
    assert page.run("document.querySelector('#thought').textContent") == "A greeting is asked for"
    assert "tokens" in page.text("#facts")
    assert page.run("seen.has('Hello there,')"), "it came in one piece"
    request = upstream.asked[-1]
    assert request.headers["authorization"] == "Bearer sk-typed-secret"
    assert request.json["model"] == "v/seer"
    evidence(page, "answered")


def test_try_it_can_be_stopped(opened: Open, upstream: Upstream) -> None:
    upstream.always(chat_text("one two").streamed().silent(20, after=2))
    page = opened()
    page.type("#key", "k")
    page.click("#send")
    page.wait_for("document.querySelector('#text').textContent === 'one'")
    assert page.text("#send") == "Stop"
    page.click("#send")
    page.wait_for("document.querySelector('#facts').textContent === 'stopped'")
    assert upstream.wait_for(lambda: upstream.asked[-1].aborted is not None)


def test_errors_are_shown_in_their_words(
    browser: Browser, upstream: Upstream, gateway_with: Callable[..., Gateway]
) -> None:
    upstream.lists(*MODELS)
    gateway = gateway_with(ENABLE_CIRCUIT_BREAKER="true", BREAKER_FAILURES="1", CORS_ALLOW_ORIGINS="off")
    page = filled(browser.open(f"http://127.0.0.1:{gateway.responses_port}/"))
    page.click("#send")
    page.wait_for("document.querySelector('#text').textContent === 'A key is needed here: type yours above.'")
    assert page.run("document.activeElement.id") == "key"
    upstream.always(error(500, "the <b>disk</b> is full"))
    page.type("#key", "sk-typed-secret")
    page.click("#send")
    page.wait_for("document.querySelector('#text').textContent.includes('the <b>disk</b> is full')")
    # The breaker of this gateway opens at the first failure, and the page tells.
    page.wait_for("document.querySelector('#pills').textContent.includes('breaker open')")
    assert "v/seer" in page.text("#notice")
    evidence(page, "failing")


def test_it_fits_a_phone(opened: Open, upstream: Upstream) -> None:
    page = opened(width=390, height=844, phone=True, path="/#claude")
    page.wait_for("document.querySelector('#card pre')")
    assert page.run("document.documentElement.scrollWidth") == 390
    assert "ANTHROPIC_BASE_URL" in page.text("#card")
    small = page.run(
        "[...document.querySelectorAll('input, select')].filter((one) => "
        "parseFloat(getComputedStyle(one).fontSize) < 16).length"
    )
    assert small == 0, "iPhones zoom into fields with small type"
    evidence(page, "phone")


def test_a_page_of_another_origin_may_call_the_api(browser: Browser, opened: Open, upstream: Upstream) -> None:
    """As LobeChat and Open WebUI do from the browser: preflight, key, and an error that can be read."""
    upstream.always(chat_text("across"))
    page = opened()
    gateway: Gateway = opened.gateway  # type: ignore[attr-defined]
    url = f"http://localhost:{gateway.chat_port}/v1/chat/completions"  # another origin than 127.0.0.1
    script = f"""fetch({url!r}, {{method: "POST", body: JSON.stringify({{model: "m", messages: []}}),
        headers: {{"authorization": "Bearer k", "content-type": "application/json", "x-stainless-os": "Linux"}}}})
        .then((answer) => answer.text().then((text) => answer.status + text))"""
    # The policy of the gateway's own page forbids it; a page without one stands in for a front end.
    page.call("Page.navigate", url=f"http://127.0.0.1:{gateway.responses_port}/health")
    page.wait_for("document.readyState === 'complete' && location.pathname === '/health'")
    assert page.run(script).startswith("200")
    assert "across" in page.run(script)
    assert page.run(script.replace("Bearer k", "odd")).startswith("401")
