"""The real server on real sockets: ports, framing, deadlines, shutdown. Only the application is a small one."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway import ROOT, free_ports
from tests.support.sockets import RawClient, request

HEAD_SECS = 0.5
IDLE_SECS = 1.0
GET = b"GET /who HTTP/1.1\r\nHost: a\r\n\r\n"


class Server:
    """The server as a subprocess, ended with its whole group."""

    def __init__(self, folder: Path, *, flag: str = "", **env: str) -> None:
        self.chat_port, self.responses_port = free_ports(2)
        self.log = folder / f"log-{self.chat_port}"
        ports = {"CHAT_PORT": str(self.chat_port), "RESPONSES_PORT": str(self.responses_port)}
        kept = {name: value for name, value in os.environ.items() if name.startswith(("PATH", "COVERAGE"))}
        deadlines = [str(secs) for secs in (HEAD_SECS, IDLE_SECS, 0.5)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "tests/support/small_server.py"), *deadlines, *flag.split()],
                env={**kept, "WORKERS": "1", "SHUTDOWN_GRACE_SECS": "1", **ports, **env},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        assert self.process.stdout is not None
        self.banner = self.process.stdout.readline()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdout is not None
        self.process.stdout.close()
        if self.process.poll() is None:
            self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(5)

    def send(self, data: bytes) -> bytes:
        """Send bytes to the responses port and return all that comes back until the end."""
        with RawClient(self.responses_port) as client:
            client.send(data)
            return client.read_all()

    def who(self) -> dict[str, Any]:
        """Return what the application tells of itself."""
        facts: dict[str, Any] = request(self.responses_port, "GET", "/who").json
        return facts

    def end(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """Send a signal; return exit code and seconds."""
        began = time.monotonic()
        self.process.send_signal(number)
        return self.process.wait(15), time.monotonic() - began


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("server"), WORKERS="2") as running:
        yield running


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    with contextlib.ExitStack() as stack:
        yield lambda **options: stack.enter_context(Server(tmp_path, **options))


def parse(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    """Cut one answer into status, headers (names in lower case) and body."""
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return int(first.split()[1]), headers, body


def gone(port: int) -> bool:
    """Tell whether nothing listens on a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def wait_for(condition: Callable[[], bool], seconds: float = 8.0) -> None:
    """Wait until something holds."""
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it did not happen"
        time.sleep(0.02)


# --- ports --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("name", ["chat_port", "responses_port"])
def test_both_ports_are_served_over_ipv4_and_ipv6(server: Server, address: str, name: str) -> None:
    port = getattr(server, name)
    with socket.create_connection((address, port), 5) as sock:
        sock.sendall(b"GET /who HTTP/1.1\r\nHost: evil:1234\r\nScript_Name: /x\r\nConnection: close\r\n\r\n")
        status, _, body = parse(b"".join(iter(lambda: sock.recv(65536), b"")))
    assert status == 200
    # The listener's own port, whatever the Host header says.
    assert json.loads(body)["port"] == str(port)
    assert json.loads(body)["script"] == ""


@pytest.mark.parametrize("name", ["chat_port", "responses_port"])
def test_one_port_alone(start: Callable[..., Server], name: str) -> None:
    number = free_ports(1)[0]
    running = start(flag=f"port={number}", **{name.upper(): str(number)})
    assert request(number, "GET", "/who").json["port"] == str(number)
    assert gone(running.chat_port)
    assert gone(running.responses_port)


def test_the_start_says_where_to_point_clients(start: Callable[..., Server]) -> None:
    running = start(HOST="127.0.0.1")
    assert running.process.stdout is not None
    lines = [running.process.stdout.readline() for _ in range(2)]
    running.end()
    assert running.banner == "openai-proxy 0.1.0 in front of https://llm.chutes.ai/v1\n"
    assert lines == [
        f"  http://127.0.0.1:{running.chat_port}/v1  Chat Completions, passed through\n",
        f"  http://127.0.0.1:{running.responses_port}/v1  Responses and Messages\n",
    ]
    assert [json.loads(line)["message"] for line in running.log.read_text().splitlines()] == ["started", "stopping"]


def test_a_taken_port_ends_the_start(tmp_path: Path, server: Server) -> None:
    with Server(tmp_path, CHAT_PORT=str(server.chat_port)) as second:
        assert second.process.wait(10) == 2
        error = second.log.read_text()
    assert error == f"CHAT_PORT (--chat-port): port {server.chat_port} is taken by another program\n"


# --- heads and framing --------------------------------------------------------------------------------------

CHUNKED = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"


@pytest.mark.parametrize(
    ("head", "status", "code"),
    [
        pytest.param(b"GET /who HTTP/1.1\r\n\r\n", 400, "bad_request", id="no-host"),
        pytest.param(b"GET /who HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "bad_request", id="two-hosts"),
        pytest.param(
            b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            400,
            "bad_request",
            id="two-lengths",
        ),
        pytest.param(CHUNKED + b"Content-Length: 3\r\n\r\n0\r\n\r\n", 400, "bad_request", id="both-framings"),
        pytest.param(
            b"POST /echo HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
            "bad_request",
            id="coding-on-1.0",
        ),
        pytest.param(
            b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            400,
            "bad_request",
            id="stacked-coding",
        ),
        pytest.param(
            b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: foo\r\n\r\n", 400, "bad_request", id="unknown-coding"
        ),
        pytest.param(CHUNKED + b"\r\nxyz\r\n", 400, "bad_request", id="bad-chunk-size"),
        pytest.param(CHUNKED + b"\r\n3\r\nabcdef\r\n", 400, "bad_request", id="bad-chunk-end"),
        pytest.param(
            b"GET /who HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n",
            400,
            "bad_request",
            id="two-authorizations",
        ),
        pytest.param(b"GET /who HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", 400, "bad_request", id="folded-line"),
        pytest.param(b"GET /who HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 400, "bad_request", id="nul"),
        pytest.param(b"GET /who HTTP/1.1\nHost: a\n\n", 400, "bad_request", id="bare-line-feeds"),
        pytest.param(b"GET /who HTTP/1.1\r\nHost a\r\n\r\n", 400, "bad_request", id="no-colon"),
        pytest.param(b"GET /who HTTP/3.0\r\nHost: a\r\n\r\n", 400, "bad_request", id="version"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01", 400, "bad_request", id="tls-hello"),
        pytest.param(b"GET /" + b"a" * 16400 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414, "uri_too_long", id="long-target"),
        pytest.param(b"GET /" + b"a" * 70000, 414, "uri_too_long", id="endless-target"),
        pytest.param(
            b"GET /who HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 8200 + b"\r\n\r\n",
            431,
            "headers_too_large",
            id="long-header",
        ),
        pytest.param(
            b"GET /who HTTP/1.1\r\nHost: a\r\n" + b"X: 1\r\n" * 100 + b"\r\n",
            431,
            "headers_too_large",
            id="101-headers",
        ),
        pytest.param(
            b"GET /who HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 300_000, 431, "headers_too_large", id="endless-header"
        ),
        pytest.param(
            b"GET /who HTTP/1.1\r\nHost: a\r\nExpect: magic\r\n\r\n", 417, "expectation_failed", id="expectation"
        ),
    ],
)
def test_faults_of_framing_are_refused_in_json(server: Server, head: bytes, status: int, code: str) -> None:
    found, headers, body = parse(server.send(head))
    assert (found, json.loads(body).get("code") or json.loads(body)["error"]["code"]) == (status, code)
    assert headers["connection"] == "close"


def test_a_refusal_has_all_that_answers_have(server: Server) -> None:
    _, headers, body = parse(server.send(b"GET /who HTTP/1.1\r\nAuthorization Bearer secret\r\n\r\n"))
    error = json.loads(body)["error"]
    assert error == {
        "message": "The request is not valid HTTP.",
        "type": "invalid_request_error",
        "param": None,
        "code": "bad_request",
    }
    assert headers["content-type"] == "application/json"
    assert headers["x-request-id"].startswith("req_")
    assert headers["access-control-allow-origin"] == "*"
    assert "secret" not in server.log.read_text()


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"\r\n" + GET, id="an-empty-line-before"),
        pytest.param(b"GET /who HTTP/1.0\r\n\r\n", id="old-version-without-host"),
        pytest.param(b"GET http://a/who HTTP/1.1\r\nHost: a\r\n\r\n", id="absolute-target"),
        pytest.param(b"GET /who?" + b"q" * 16000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", id="long-target"),
        pytest.param(b"GET /who HTTP/1.1\r\nHost: a\r\n" + b"X: 1\r\n" * 99 + b"\r\n", id="100-headers"),
        pytest.param(b"GET /who HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 8000 + b"\r\n\r\n", id="long-header"),
    ],
)
def test_unusual_heads_are_served(server: Server, head: bytes) -> None:
    with RawClient(server.chat_port) as client:
        client.send(head)
        assert client.read_until(b"\r\n\r\n").startswith((b"HTTP/1.1 200", b"HTTP/1.0 200"))


def test_a_head_may_come_byte_by_byte(server: Server) -> None:
    with RawClient(server.chat_port) as client:
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in GET:
            client.send(bytes([byte]))
        assert client.read_until(b"}").startswith(b"HTTP/1.1 200")


def test_a_connection_carries_many_requests(server: Server) -> None:
    post = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
    chunked = CHUNKED + b"\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
    with RawClient(server.chat_port) as client:
        client.send(post + chunked + GET)
        answers = client.read_until(b"pid")
    assert answers.count(b"HTTP/1.1 200") == 3
    assert answers.count(b"\r\n\r\nhello") == 2


def test_an_expected_continue_is_given(server: Server) -> None:
    with RawClient(server.chat_port) as client:
        client.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert client.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"hi")
        assert client.read_until(b"\r\n\r\nhi").endswith(b"hi")


def test_no_header_breaks_out_of_its_line(server: Server) -> None:
    def ask(value: bytes) -> tuple[int, dict[str, str], bytes]:
        with RawClient(server.chat_port) as client:
            client.send(b"POST /header HTTP/1.1\r\nHost: a\r\nConnection: close\r\n")
            client.send(b"Content-Length: %d\r\n\r\n" % len(value) + value)
            return parse(client.read_all())

    status, headers, body = ask(b"a value")
    assert (status, headers["x-own"], headers["connection"], body) == (200, "a value", "close", b"ok")
    for value in (b"a\r\nset-cookie: b", b"a\nb", b"a\0b"):
        status, headers, _ = ask(value)
        assert (status >= 400, "x-own" in headers, "set-cookie" in headers) == (True, False, False)


def test_the_client_reads_the_answer_to_a_body_that_nobody_reads(server: Server) -> None:
    size = 4 * 1024 * 1024
    with RawClient(server.chat_port) as client:
        client.send(b"POST /too-large HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
        client.send(bytes(size))
        status, headers, body = parse(client.read_all())
    assert (status, headers["connection"], body) == (413, "close", b"too large")


# --- deadlines ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", [b"G", GET[:-2], GET + b"GET /who HT"], ids=["one-byte", "no-end", "second-request"])
def test_an_unfinished_head_is_ended(server: Server, part: bytes) -> None:
    began = time.monotonic()
    answers = server.send(part)
    assert HEAD_SECS <= time.monotonic() - began < HEAD_SECS + 3
    _, _, last = answers.rpartition(b"HTTP/1.1 ")
    assert last.startswith(b"408")
    assert b'"code":"request_timeout"' in last


def test_a_trickled_head_is_ended_all_the_same(server: Server) -> None:
    with RawClient(server.chat_port) as client, contextlib.suppress(OSError):
        began = time.monotonic()
        client.send(b"GET / HTTP/1.1\r\n")
        while time.monotonic() - began < HEAD_SECS * 10:
            client.send(b"X: 1\r\n")
            time.sleep(0.1)
        pytest.fail("the connection was not ended")


@pytest.mark.parametrize("before", [b"", GET], ids=["fresh", "kept-alive"])
def test_an_idle_connection_is_closed_silently(server: Server, before: bytes) -> None:
    began = time.monotonic()
    answer = server.send(before)
    assert IDLE_SECS <= time.monotonic() - began < IDLE_SECS + 3
    assert answer.count(b"HTTP/1.1") == bool(before)


def test_a_client_that_hangs_up_within_a_head_is_not_answered(server: Server) -> None:
    with RawClient(server.chat_port) as client:
        client.send(b"GET /who")
        client.sock.shutdown(socket.SHUT_WR)
        assert client.read_all() == b""


# --- what the application does ------------------------------------------------------------------------------


def test_a_fault_of_the_application_is_a_500(server: Server) -> None:
    status, _, body = parse(server.send(b"GET /fail HTTP/1.1\r\nHost: a\r\n\r\n"))
    assert (status, json.loads(body)["error"]["code"]) == (500, "internal_error")
    assert b"secret" not in body
    assert "a secret detail" in server.log.read_text()


def test_a_body_that_tells_its_last_piece_ends_once(server: Server) -> None:
    with RawClient(server.chat_port) as client:
        for _ in range(2):
            client.send(GET.replace(b"who", b"told"))
            assert client.read_until(b"0\r\n\r\n").endswith(b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")


def test_nothing_is_sent_behind_the_last_piece(server: Server) -> None:
    with RawClient(server.chat_port) as client:
        client.send(GET.replace(b"who", b"told-too-soon"))
        assert client.read_all().endswith(b"3\r\none\r\n0\r\n\r\n")


@pytest.mark.parametrize("path", [b"break", b"fail-late"])
def test_an_answer_that_fails_is_cut(server: Server, path: bytes) -> None:
    _, _, body = parse(server.send(b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n" % path))
    assert body == b"6\r\nso far\r\n"


# --- the end ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_open_streams_get_their_grace_and_an_end(start: Callable[..., Server], number: int) -> None:
    running = start(SHUTDOWN_GRACE_SECS="2")
    with RawClient(running.chat_port) as stream, RawClient(running.chat_port) as idle:
        idle.send(GET)
        idle.read_until(b"}")
        stream.send(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
        stream.read_until(b"tick")
        began = time.monotonic()
        running.process.send_signal(number)
        wait_for(lambda: gone(running.chat_port))
        assert idle.read_all() == b""
        assert time.monotonic() - began < 1.5
        rest = stream.read_all()
        assert 1.9 < time.monotonic() - began < 4.5
        assert rest.endswith(b"8\r\nthe end\n\r\n0\r\n\r\n")
    assert running.process.wait(5) == 0


def test_idle_connections_do_not_delay_the_end(start: Callable[..., Server]) -> None:
    running = start(SHUTDOWN_GRACE_SECS="20")
    with RawClient(running.chat_port) as fresh, RawClient(running.chat_port) as used:
        used.send(GET)
        used.read_until(b"}")
        code, seconds = running.end()
        assert (code, fresh.read_all()) == (0, b"")
    assert seconds < 5


def test_a_second_signal_ends_at_once(start: Callable[..., Server]) -> None:
    running = start(SHUTDOWN_GRACE_SECS="20")
    with RawClient(running.chat_port) as stream:
        stream.send(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
        stream.read_until(b"tick")
        running.process.send_signal(signal.SIGTERM)
        wait_for(lambda: gone(running.chat_port))
        code, seconds = running.end(signal.SIGTERM)
    assert code == 0
    assert seconds < 8


def test_what_does_not_end_by_itself_is_cut(start: Callable[..., Server]) -> None:
    running = start(SHUTDOWN_GRACE_SECS="0")
    with RawClient(running.chat_port) as stuck:
        stuck.send(b"GET /stuck HTTP/1.1\r\nHost: a\r\n\r\n")
        stuck.read_until(b"tick")
        code, seconds = running.end()
        assert not stuck.read_all().endswith(b"0\r\n\r\n")
    assert code == 0
    assert 2 < seconds < 8
    assert "1 connections were cut" in running.log.read_text()


def test_a_killed_worker_is_replaced(start: Callable[..., Server]) -> None:
    running = start()
    before = running.who()["pid"]
    os.kill(before, signal.SIGKILL)
    assert running.who()["pid"] != before


def test_workers_do_not_outlive_their_master(start: Callable[..., Server]) -> None:
    running = start()
    worker = running.who()["pid"]
    running.process.kill()
    wait_for(lambda: not Path(f"/proc/{worker}").exists() or "Z" in Path(f"/proc/{worker}/stat").read_text().split()[2])


def test_a_hang_up_signal_restarts_the_workers(start: Callable[..., Server]) -> None:
    running = start()
    before = running.who()["pid"]
    with RawClient(running.chat_port) as stream:
        stream.send(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
        stream.read_until(b"tick")
        running.process.send_signal(signal.SIGHUP)
        wait_for(lambda: running.who()["pid"] != before)
        assert b"the end" in stream.read_until(b"the end")
    assert running.end()[0] == 0


def test_a_stop_is_heard_while_old_workers_end(start: Callable[..., Server]) -> None:
    running = start(SHUTDOWN_GRACE_SECS="3")
    before = running.who()["pid"]
    with RawClient(running.chat_port) as stream:
        stream.send(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
        stream.read_until(b"tick")
        running.process.send_signal(signal.SIGHUP)
        wait_for(lambda: running.who()["pid"] != before)
        running.process.send_signal(signal.SIGTERM)
        wait_for(lambda: gone(running.chat_port), 2)
        assert b"the end" in stream.read_until(b"the end")
    assert running.process.wait(5) == 0


def test_many_clients_at_once(server: Server) -> None:
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda: answers.append(request(server.chat_port, "GET", "/who").status))
        for _ in range(40)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 40
