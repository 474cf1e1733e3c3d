"""The Caddyfile with the real Caddy in front of the real gateway: TLS, streams without delay, two gateways."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.answers import chat_text
from tests.support.gateway import ROOT, Gateway, free_ports
from tests.support.processes import wait_until
from tests.support.upstream import Upstream

SECRET = {"Authorization": "Bearer k", "Content-Type": "application/json"}


def caddy() -> str:
    """Return the path of Caddy; else skip the test, or fail it in CI."""
    found = shutil.which("caddy")
    if found:
        return found
    if os.environ.get("CI"):
        pytest.fail("Caddy is not installed")
    pytest.skip("Caddy is not installed")


Answer = http.client.HTTPResponse


class Front:
    """Caddy with the project's Caddyfile on free ports, in front of these gateways."""

    def __init__(self, folder: Path, *gateways: Gateway) -> None:
        self.responses_port, self.chat_port = free_ports(2)
        self.root = folder / "data" / "caddy" / "pki" / "authorities" / "local" / "root.crt"
        self._process = subprocess.Popen(
            [caddy(), "run", "--adapter", "caddyfile", "--config", str(ROOT / "Caddyfile")],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(folder),
                "XDG_DATA_HOME": str(folder / "data"),
                "XDG_CONFIG_HOME": str(folder / "config"),
                "CADDY_PORT": str(self.responses_port),
                "CADDY_CHAT_PORT": str(self.chat_port),
                "CADDY_RESPONSES_TO": " ".join(f"127.0.0.1:{gateway.responses_port}" for gateway in gateways),
                "CADDY_CHAT_TO": " ".join(f"127.0.0.1:{gateway.chat_port}" for gateway in gateways),
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._wait()

    def _wait(self) -> None:
        ends = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError, ssl.SSLError, http.client.HTTPException):
                if self.root.exists() and self.ask("GET", "/health/live")[0] == 200:
                    return
            assert self._process.poll() is None, self._process.stderr and self._process.stderr.read()
            assert time.monotonic() < ends, "Caddy did not start"
            time.sleep(0.1)

    @contextlib.contextmanager
    def asking(self, method: str, path: str, body: bytes | None = None, port: int = 0) -> Iterator[Answer]:
        """Send a request over TLS that trusts Caddy's own authority; give its answer, to be read."""
        context = ssl.create_default_context(cafile=str(self.root))
        connection = http.client.HTTPSConnection("localhost", port or self.responses_port, timeout=20, context=context)
        with contextlib.closing(connection):
            connection.request(method, path, body, SECRET)
            with connection.getresponse() as answer:
                yield answer

    def ask(self, method: str, path: str, body: bytes | None = None, port: int = 0) -> tuple[int, bytes]:
        """Send a request; return status and body of its answer."""
        with self.asking(method, path, body, port) as answer:
            return answer.status, answer.read()

    def stop(self) -> None:
        """End it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)
        assert self._process.stderr is not None
        self._process.stderr.close()


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Front, Upstream, Gateway, Gateway]]:
    caddy()
    with Upstream() as upstream, Gateway(upstream.url) as one, Gateway(upstream.url) as other:
        running = Front(tmp_path_factory.mktemp("caddy"), one, other)
        yield running, upstream, one, other
        running.stop()


Fronted = tuple[Front, Upstream, Gateway, Gateway]


def test_the_file_is_valid_and_in_caddy_s_own_form() -> None:
    run = subprocess.run(
        [caddy(), "validate", "--adapter", "caddyfile", "--config", "Caddyfile"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    formatted = subprocess.run([caddy(), "fmt", "Caddyfile"], cwd=ROOT, capture_output=True, text=True)
    assert formatted.stdout.strip() == (ROOT / "Caddyfile").read_text().strip()


def test_both_ports_are_served_over_tls(front: Fronted) -> None:
    running, upstream, *_ = front
    upstream.always(chat_text("hello"))
    for port, path in ((running.responses_port, "/v1/responses"), (running.chat_port, "/v1/chat/completions")):
        body = b'{"model": "m", "input": "hi"}' if "responses" in path else b'{"model": "m", "messages": []}'
        status, answer = running.ask("POST", path, body, port)
        assert status == 200
        assert b"hello" in answer
    # Which port it is is decided by the gateway's socket, not by what Caddy was called.
    assert running.ask("POST", "/v1/responses", b"{}", running.chat_port)[0] == 404


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/responses", b'{"model": "m", "input": "hi", "stream": true}'),
        (
            "/v1/messages",
            b'{"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}], "stream": true}',
        ),
        ("/v1/chat/completions", b'{"model": "m", "messages": [], "stream": true}'),
    ],
    ids=["responses", "messages", "chat"],
)
def test_a_stream_goes_through_without_delay(front: Fronted, path: str, body: bytes) -> None:
    running, upstream, *_ = front
    upstream.always(chat_text("one two three four").streamed().slow(0.3))
    seen: dict[str, float] = {}
    text = ""
    with running.asking("POST", path, body) as answer:
        assert answer.status == 200
        while piece := answer.read1(65536):
            text += piece.decode()
            for word in ("one", "two", "three", "four"):
                if word in text:
                    seen.setdefault(word, time.monotonic())
    gaps = [seen[later] - seen[word] for word, later in (("one", "two"), ("two", "three"), ("three", "four"))]
    assert all(0.15 < gap < 0.6 for gap in gaps), gaps


def test_a_client_that_leaves_is_noticed_through_caddy(front: Fronted) -> None:
    running, upstream, *_ = front
    upstream.always(chat_text("one two").streamed().silent(20, after=2))
    with running.asking("POST", "/v1/responses", b'{"model": "m", "input": "hi", "stream": true}') as answer:
        assert answer.read1(100)
        asked = upstream.asked[-1]
    assert upstream.wait_for(lambda: asked.aborted is not None, 3)


def test_large_bodies_reach_the_gateway_which_says_what_is_too_large(front: Fronted) -> None:
    running, upstream, *_ = front
    upstream.always(chat_text("seen"))
    picture = {"type": "input_image", "image_url": "data:image/png;base64," + "A" * (20 * 1024 * 1024)}
    large = json.dumps({"model": "m", "input": [{"role": "user", "content": [picture]}]}).encode()
    assert running.ask("POST", "/v1/responses", large)[0] == 200
    status, answer = running.ask(
        "POST", "/v1/responses", b'{"model": "m", "input": "' + b"x" * (6 * 1024 * 1024) + b'"}'
    )
    assert status == 413
    assert b"MAX_TEXT_BYTES" in answer


def test_one_gateway_that_ends_does_not_end_the_service(front: Fronted) -> None:
    """Runs last: it ends one of the two."""
    running, upstream, one, other = front
    upstream.always(chat_text("still there"))

    def ask() -> int:
        status, _ = running.ask("POST", "/v1/responses", b'{"model": "m", "input": "hi"}')
        return status

    assert one.stop() == 0
    # A POST that meets a kept connection in the moment in which it ends is not repeated by Caddy.
    assert wait_until(lambda: ask() == 200, 2)
    assert [ask() for _ in range(4)] == [200] * 4
    assert other.process.poll() is None
