"""The transport on real sockets: reuse, staleness, silence, cuts."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import gevent
import pytest

from gateway.errors import UpstreamHungUp, UpstreamProtocol, UpstreamTimeout, UpstreamUnreachable
from gateway.upstream import HttpTransport, Timeouts, UpstreamRequest

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
REQUEST = UpstreamRequest("POST", "/v1/x?y=1", [("a", "b")], b"body")
Script = Callable[[socket.socket], None]
MakeTransport = Callable[..., HttpTransport]


@contextmanager
def upstream(*scripts: Script) -> Iterator[str]:
    """Serve one connection after another, each by its script; yield the origin's URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for script in scripts:
                connection, _ = listener.accept()
                with connection:
                    script(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        thread.join(5)


@pytest.fixture
def transport_to() -> Iterator[MakeTransport]:
    """Return a function that makes transports; their kept connections are closed after the test."""
    made: list[HttpTransport] = []

    def make(url: str, timeouts: Timeouts | None = None, *, trust_env: bool = False) -> HttpTransport:
        made.append(HttpTransport(url, timeouts or Timeouts(), trust_env=trust_env))
        return made[-1]

    yield make
    for transport in made:
        transport.close()


def take_request(connection: socket.socket) -> bytes:
    data = b""
    while not data.endswith(b"body"):
        received = connection.recv(65536)
        if not received:
            return data
        data += received
    return data


def answering(*answers: bytes) -> Script:
    def script(connection: socket.socket) -> None:
        for answer in answers:
            take_request(connection)
            connection.sendall(answer)

    return script


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def whole(transport: HttpTransport, request: UpstreamRequest = REQUEST) -> tuple[int, bytes]:
    call = transport.send(request)
    try:
        head = call.head(5)
        assert head is not None
        body = b""
        while data := call.read(5):
            body += data
        return head.status, body
    finally:
        call.close()


def test_a_request_arrives_as_it_should(transport_to: MakeTransport) -> None:
    seen: list[bytes] = []

    def script(connection: socket.socket) -> None:
        seen.append(take_request(connection))
        connection.sendall(ANSWER)

    with upstream(script) as url:
        assert whole(transport_to(url)) == (200, b"ok")
        host = url.split("/")[2]
    assert seen == [f"POST /v1/x?y=1 HTTP/1.1\r\nhost: {host}\r\na: b\r\ncontent-length: 4\r\n\r\nbody".encode()]


def test_a_connection_is_used_again_after_a_complete_answer(transport_to: MakeTransport) -> None:
    with upstream(answering(ANSWER, ANSWER)) as url:
        transport = transport_to(url)
        assert whole(transport) == (200, b"ok")
        assert whole(transport) == (200, b"ok")


def test_a_kept_connection_that_was_closed_is_not_used(transport_to: MakeTransport) -> None:
    closed = threading.Event()

    def closing(connection: socket.socket) -> None:
        answering(ANSWER)(connection)
        connection.close()
        closed.set()

    with upstream(closing, answering(ANSWER)) as url:
        transport = transport_to(url)
        whole(transport)
        closed.wait(5)
        assert whole(transport) == (200, b"ok")


@pytest.mark.parametrize("ending", [lambda c: None, reset], ids=["closed", "reset"])
def test_a_reused_connection_that_dies_unanswered_is_replaced_once(transport_to: MakeTransport, ending: Script) -> None:
    def dying(connection: socket.socket) -> None:
        answering(ANSWER)(connection)
        take_request(connection)
        ending(connection)

    with upstream(dying, answering(ANSWER)) as url:
        transport = transport_to(url)
        whole(transport)
        assert whole(transport) == (200, b"ok")


@pytest.mark.parametrize("ending", [lambda c: None, reset], ids=["closed", "reset"])
def test_a_fresh_connection_that_dies_unanswered_is_not(transport_to: MakeTransport, ending: Script) -> None:
    def dying(connection: socket.socket) -> None:
        take_request(connection)
        ending(connection)

    with upstream(dying) as url, pytest.raises(UpstreamUnreachable):
        whole(transport_to(url))


@pytest.mark.parametrize("ending", [lambda c: None, reset], ids=["closed", "reset"])
def test_an_answer_that_breaks_off_is_a_fault(transport_to: MakeTransport, ending: Script) -> None:
    def cutting(connection: socket.socket) -> None:
        take_request(connection)
        connection.sendall(ANSWER[:-1])
        ending(connection)

    with upstream(cutting) as url, pytest.raises(UpstreamProtocol):
        whole(transport_to(url))


def test_silence_is_told_in_spells_and_ends_in_a_timeout(transport_to: MakeTransport) -> None:
    release = threading.Event()

    def silent(connection: socket.socket) -> None:
        take_request(connection)
        release.wait(5)

    with upstream(silent) as url:
        call = transport_to(url, Timeouts(silence=0.2)).send(REQUEST)
        assert call.head(0.05) is None
        with pytest.raises(UpstreamTimeout):
            while call.head(0.05) is None:
                pass
        with pytest.raises(UpstreamTimeout):
            call.head(5)
        call.close()
        call.close()
        release.set()


def test_silence_within_a_body_is_told_as_well(transport_to: MakeTransport) -> None:
    release = threading.Event()

    def halting(connection: socket.socket) -> None:
        take_request(connection)
        connection.sendall(ANSWER[:-1])
        release.wait(5)
        connection.sendall(ANSWER[-1:])

    with upstream(halting) as url:
        call = transport_to(url).send(REQUEST)
        assert call.head(5) is not None
        assert call.read(5) == b"o"
        assert call.read(0.05) is None
        release.set()
        assert call.read(5) == b"k"
        assert call.read(5) == b""
        call.close()
        assert call.read(5) == b""


def test_an_early_answer_is_read_although_the_upstream_stopped_reading(transport_to: MakeTransport) -> None:
    refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

    def refusing(connection: socket.socket) -> None:
        connection.recv(100)
        connection.sendall(refusal)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1 << 20):
            pass

    with upstream(refusing) as url:
        big = UpstreamRequest("POST", "/", [], b"x" * 5_000_000)
        assert whole(transport_to(url), big) == (413, b"")


def test_a_port_where_nobody_listens_is_unreachable(transport_to: MakeTransport) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(UpstreamUnreachable, match="cannot be reached"):
        transport_to(f"http://127.0.0.1:{port}").send(REQUEST)


def test_a_name_that_does_not_exist_is_told_without_it(transport_to: MakeTransport) -> None:
    with pytest.raises(UpstreamUnreachable, match="name cannot be resolved") as told:
        transport_to("http://nowhere.invalid", Timeouts(connect=5)).send(REQUEST)
    assert "nowhere" not in told.value.message


def test_tls_towards_a_server_without_it_is_unreachable(transport_to: MakeTransport) -> None:
    def plain(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with upstream(plain) as url, pytest.raises(UpstreamUnreachable, match="TLS"):
        transport_to(url.replace("http:", "https:")).send(REQUEST)


def test_a_proxy_of_the_environment_is_used_only_when_trusted(
    transport_to: MakeTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bytes] = []

    def proxy(connection: socket.socket) -> None:
        seen.append(take_request(connection))
        connection.sendall(ANSWER)

    with upstream(proxy) as url:
        monkeypatch.setenv("http_proxy", url.removesuffix("/v1"))
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        transport = transport_to("http://model.example:8000/v1", trust_env=True)
        assert whole(transport) == (200, b"ok")
    assert seen[0].startswith(b"POST http://model.example:8000/v1/x?y=1 HTTP/1.1\r\nhost: model.example:8000\r\n")


def test_idle_connections_that_are_too_old_are_let_go(
    transport_to: MakeTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.upstream.IDLE_SECS", -1.0)
    with upstream(answering(ANSWER), answering(ANSWER)) as url:
        transport = transport_to(url)
        whole(transport)
        whole(transport)


def test_idle_connections_are_let_go_without_another_request(
    transport_to: MakeTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.upstream.IDLE_SECS", 0.1)
    ended = threading.Event()

    def script(connection: socket.socket) -> None:
        answering(ANSWER)(connection)
        assert connection.recv(1) == b""
        ended.set()

    with upstream(script) as url:
        assert whole(transport_to(url)) == (200, b"ok")
        gevent.sleep(0.2)
        assert ended.wait(2)


def test_a_kept_connection_that_dies_after_a_while_is_not_replaced(
    transport_to: MakeTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.upstream.STALE_SECS", 0.0)

    def script(connection: socket.socket) -> None:
        answering(ANSWER)(connection)
        take_request(connection)

    with upstream(script) as url:
        transport = transport_to(url)
        assert whole(transport) == (200, b"ok")
        with pytest.raises(UpstreamHungUp):
            whole(transport)


def test_an_upstream_that_takes_nothing_of_a_large_request_is_a_timeout(transport_to: MakeTransport) -> None:
    done = threading.Event()
    with upstream(lambda connection: done.wait(5) and None) as url:
        transport = transport_to(url, timeouts=Timeouts(5, 0.3))
        with pytest.raises(UpstreamTimeout, match="took nothing"):
            transport.send(UpstreamRequest("POST", "/", [], bytes(50_000_000)))
        done.set()
