"""Clients that send or read too slowly: they are ended or held back, and the others do not notice."""

from __future__ import annotations

import contextlib
import json
import resource
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.support import answers
from tests.support.answers import Answer, Pause
from tests.support.gateway import Gateway, ImpatientGateway
from tests.support.hostile import CHAT, HELLO, MESSAGES, endless, exchange, head, others_are_served
from tests.support.processes import wait_until
from tests.support.sockets import raw_request
from tests.support.upstream import Upstream

BODY_SECS = ImpatientGateway.body


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/messages", "/v1/chat/completions", "/v1/embeddings"])
@pytest.mark.parametrize(
    ("framing", "begun"),
    [("Content-Length: 100", b'{"model"'), ("Transfer-Encoding: chunked", b'5\r\n{"mod')],
    ids=["length", "chunked"],
)
def test_a_body_that_stops_is_ended(
    impatient: Gateway, upstream: Upstream, path: str, framing: str, begun: bytes
) -> None:
    found = exchange(impatient, head("POST", path, framing) + begun)
    assert (found.status, found.closed) == (408, True)
    assert BODY_SECS <= found.seconds < BODY_SECS + 2
    assert b"did not go on" in found.body
    assert upstream.asked == []


def test_a_body_that_breaks_off_is_no_request(impatient: Gateway, upstream: Upstream) -> None:
    with impatient.connect() as client:
        client.send(head("POST", "/v1/responses", "Content-Length: 100") + b'{"model"')
        client.sock.shutdown(socket.SHUT_WR)
        assert client.read_all().startswith(b"HTTP/1.1 400")
    assert upstream.asked == []


def test_a_slow_body_that_goes_on_is_served(impatient: Gateway, upstream: Upstream) -> None:
    upstream.always(answers.chat_text("hi"))
    body = json.dumps(HELLO).encode()
    with impatient.connect() as client:
        client.send(head("POST", "/v1/responses", f"Content-Length: {len(body)}"))
        for at in range(0, len(body), 8):
            time.sleep(BODY_SECS / 3)
            client.send(body[at : at + 8])
        assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 200")


@contextlib.contextmanager
def trickling(gateway: Gateway, count: int, begun: bytes, more: bytes) -> Iterator[None]:
    """Hold so many connections that have begun a request and send a little more of it all the time."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(gateway.connect()) for _ in range(count)]
        for client in clients:
            client.send(begun)
        with _in_background(lambda: [_poke(client.sock, more) for client in clients]):
            yield


def _poke(sock: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):  # the gateway may have ended it by now
        sock.sendall(data)
    time.sleep(0.0005)


@contextlib.contextmanager
def _in_background(work: Callable[[], object]) -> Iterator[None]:
    """Do something again and again until the end of the block."""
    over = threading.Event()

    def run() -> None:
        while not over.is_set():
            work()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(10)


@pytest.mark.parametrize(
    ("begun", "more"),
    [
        (head()[:-2], b"X: 1\r\n"),
        (head("POST", "/v1/responses", "Content-Length: 100000"), b" "),
        (head("POST", "/v1/responses", "Transfer-Encoding: chunked"), b"1\r\n \r\n"),
    ],
    ids=["heads", "bodies", "chunked-bodies"],
)
def test_hundreds_of_slow_senders_do_not_slow_the_others(
    gateway: Gateway, upstream: Upstream, begun: bytes, more: bytes
) -> None:
    upstream.always(answers.chat_text("hi"))
    others_are_served(gateway, lambda: trickling(gateway, 300, begun, more))


# --- slow readers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body"),
    [("/v1/responses", HELLO), ("/v1/messages", MESSAGES), ("/v1/chat/completions", CHAT)],
    ids=["responses", "messages", "chat"],
)
def test_a_client_that_hardly_reads_holds_the_upstream_back(
    gateway: Gateway, upstream: Upstream, path: str, body: dict[str, object]
) -> None:
    upstream.always(answers.chat_text("hi"))
    gateway.post("/v1/responses", HELLO)
    before = gateway.memory()
    upstream.always(endless())
    with gateway.connect() as client:
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.send(raw_request("POST", path, json.dumps({**body, "stream": True}).encode()))
        ends = time.monotonic() + 3
        while time.monotonic() < ends:
            assert client.sock.recv(1)
            time.sleep(0.1)
        grown = gateway.memory() - before
        waiting = upstream.asked[-1]
        assert waiting.ended is None, "the upstream was read to its end for a client that does not read"
        left = time.monotonic()
    assert grown < 8 * 1024 * 1024, f"{grown} bytes for one slow reader"
    assert upstream.wait_for(lambda: waiting.aborted is not None)
    assert waiting.aborted is not None and waiting.aborted - left < 1.0


def test_slow_readers_do_not_slow_the_others(gateway: Gateway, upstream: Upstream) -> None:
    upstream.answers_with(lambda request: endless() if request.streamed else answers.chat_text("hi"))

    @contextlib.contextmanager
    def reading_slowly() -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for _ in range(50):
                client = stack.enter_context(gateway.connect())
                client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                client.send(raw_request("POST", "/v1/responses", json.dumps({**HELLO, "stream": True}).encode()))
            # The buffers between are filled first, as fast as the gateway translates: until then it has work to do.
            assert wait_until(lambda: at_rest(gateway), 60)
            yield

    others_are_served(gateway, reading_slowly)


def at_rest(gateway: Gateway) -> bool:
    """Tell whether the workers hardly work, looking at them for a moment."""
    before = gateway.cpu_seconds()
    time.sleep(0.25)
    return gateway.cpu_seconds() - before <= 0.02


# --- idle streams -------------------------------------------------------------------------------------------

STREAMS = 1000
PER_STREAM = 100 * 1024
SILENCE = 6.0


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_thousand_idle_streams_cost_little_and_none_stalls(many_descriptors: None, upstream: Upstream) -> None:
    upstream.always(answers.chat_text("hi"))
    with Gateway(upstream.url, KEEPALIVE_SECS="2") as gateway, contextlib.ExitStack() as stack:
        for _ in range(20):
            gateway.post("/v1/responses", HELLO)
        before = gateway.memory()
        first, *rest = answers.chat_text("one two").streamed().steps
        upstream.always(Answer((first, Pause(SILENCE), *rest), headers={"content-type": "text/event-stream"}))
        request = raw_request("POST", "/v1/responses", json.dumps({**HELLO, "stream": True}).encode())
        clients = [stack.enter_context(gateway.connect()) for _ in range(STREAMS)]
        for client in clients:
            client.send(request)
        assert upstream.wait_for(lambda: len(upstream.requests) >= STREAMS + 20, 30)
        time.sleep(1.0)
        each = (gateway.memory() - before) / STREAMS
        print(f"\n{each / 1024:.1f} KiB for each idle stream")
        assert each < PER_STREAM
        texts = _read_all([client.sock for client in clients], 30)
    assert all(b"event: response.completed" in text for text in texts)
    assert all(text.count(b"event: response.in_progress") >= 3 for text in texts), "kept alive while silent"


def _read_all(socks: list[socket.socket], seconds: float) -> list[bytes]:
    """Read all connections at once, each to the end of its stream."""
    texts = dict.fromkeys(socks, b"")
    ends = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        for sock in socks:
            selector.register(sock, selectors.EVENT_READ)
        while selector.get_map() and time.monotonic() < ends:
            for key, _ in selector.select(1.0):
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                data = sock.recv(65536)
                texts[sock] += data
                if not data or texts[sock].endswith(b"0\r\n\r\n"):
                    selector.unregister(sock)
    return list(texts.values())
