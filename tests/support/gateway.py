"""The real gateway as a subprocess on free ports.

    with Gateway(upstream.url, KEEPALIVE_SECS="1") as gateway:
        answer = gateway.post("/v1/responses", {"model": "m", "input": "hi"})
        with gateway.stream("/v1/responses", {...}) as stream:
            for frame in stream: ...

The environment of a gateway is clean: only what is given here reaches it. Its breaker is off unless a test
asks for it, since one test's failures must not close the way for the next one.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.sockets import KEY, RawClient, Reply, Stream, request, with_key

JSON = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2]
START_SECS = 30.0


class Gateway:
    """One running gateway; a context manager that ends it with SIGTERM and expects exit code 0."""

    program = "openai_proxy.py"

    def __init__(
        self, backend_url: str, *, flags: Sequence[str] = (), stdin: bytes = b"", under: Sequence[str] = (), **env: str
    ) -> None:
        """`under`: a command that runs the gateway."""
        self.env = env
        self.stdin = stdin
        self.under = under
        self.flags = list(flags)
        self.backend_url = backend_url
        self.stderr: list[str] = []
        self._home = tempfile.TemporaryDirectory(prefix="gateway-")
        self._start_on_free_ports()

    def __enter__(self) -> Gateway:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        code = self.stop()
        assert kind is not None or code == 0, f"exit code {code}\n{self.log_text}"

    # --- the process ------------------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        """The process to signal."""
        return self.process.pid

    @property
    def log_text(self) -> str:
        """What it wrote to standard error."""
        return "".join(self.stderr)

    @property
    def log_lines(self) -> list[JSON]:
        """The JSON lines of its service log."""
        lines = [line for line in list(self.stderr) if line.startswith("{")]
        return [json.loads(line) for line in lines]

    @property
    def workers(self) -> list[int]:
        """The processes that serve."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(child) for child in children.split()]

    def memory(self, what: str = "Anonymous") -> int:
        """Return the memory of the workers in bytes: what they hold now, or with `VmHWM` the most ever.

        Files are not counted: other programs share them, and what falls to us (`Pss`) changes as those end.
        """
        file = "status" if what.startswith("Vm") else "smaps_rollup"
        texts = [Path(f"/proc/{worker}/{file}").read_text() for worker in self.workers]
        return sum(int(re.findall(rf"^{what}:\s+(\d+) kB", text, re.MULTILINE)[0]) * 1024 for text in texts)

    def cpu_seconds(self) -> float:
        """Return the processor time that the workers have used; the kernel counts it in hundredths."""
        stats = [Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split() for worker in self.workers]
        return sum(int(fields[11]) + int(fields[12]) for fields in stats) / os.sysconf("SC_CLK_TCK")

    def stop(self, signal_number: int = signal.SIGTERM, seconds: float = 15.0) -> int:
        """End the gateway and return its exit code; may be called twice. Raises: AssertionError if it stays."""
        if self.process.poll() is None:
            self.process.send_signal(signal_number)
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running {seconds} s after the signal\n{self.log_text}") from None
        finally:
            self._end_group()
        return code

    def _end_group(self) -> None:
        # Workers that outlive their master would keep the ports; the group is the gateway's own.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(5)
        self._pump.join(5)
        if self.process.stderr is not None:
            self.process.stderr.close()
        self._home.cleanup()

    def _start_on_free_ports(self) -> None:
        for attempt in range(3):
            self.chat_port, self.responses_port = free_ports(2)
            self._start()
            if self._wait_until_alive():
                return
            taken = "CHAT_PORT" in self.log_text or "RESPONSES_PORT" in self.log_text
            if attempt == 2 or not taken:
                self._end_group()
                raise AssertionError(f"the gateway did not start\n{self.log_text}")
            self.stderr.clear()

    def _start(self) -> None:
        self.process = subprocess.Popen(
            [*self.under, sys.executable, str(ROOT / self.program), *self.flags],
            cwd=self._home.name,
            env=self._environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError), self.process.stdin as pipe:
            pipe.write(self.stdin.decode())
        self._pump = threading.Thread(target=self._collect, args=(self.process,), daemon=True)
        self._pump.start()

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name == "PATH" or name.startswith("COVERAGE")}
        return {
            **kept,
            "HOME": self._home.name,
            "TMPDIR": self._home.name,
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOST": "127.0.0.1",
            "CHAT_PORT": str(self.chat_port),
            "RESPONSES_PORT": str(self.responses_port),
            "BACKEND_URL": self.backend_url,
            "WORKERS": "1",
            "MODELS_FILE": self._empty_models_file(),
            "ENABLE_CIRCUIT_BREAKER": "false",
            **self.env,
        }

    def _empty_models_file(self) -> str:
        """A models file of the user's own must not be found beside the program."""
        path = Path(self._home.name) / "no-models.json"
        path.write_text('{"models": []}')
        return str(path)

    def _collect(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            self.stderr.append(line)

    def _wait_until_alive(self) -> bool:
        end = time.monotonic() + START_SECS
        port = self.chat_port if self.flags == ["--mode", "chat"] else self.responses_port
        while time.monotonic() < end:
            if self.process.poll() is not None:
                self._pump.join(1)
                return False
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.get("/health/live", port=port).status == 200:
                    return True
            time.sleep(0.05)
        return False

    # --- clients ----------------------------------------------------------------------------------------

    @property
    def responses_url(self) -> str:
        """Base URL of the responses port, as clients write it."""
        return f"http://127.0.0.1:{self.responses_port}/v1"

    @property
    def chat_url(self) -> str:
        """Base URL of the chat port."""
        return f"http://127.0.0.1:{self.chat_port}/v1"

    def get(self, path: str, *, port: int | None = None, headers: Mapping[str, str] | None = None) -> Reply:
        """Get a path of the responses port, unless another is named."""
        return request(port or self.responses_port, "GET", path, headers=headers)

    def post(
        self,
        path: str,
        body: Any,
        *,
        port: int | None = None,
        headers: Mapping[str, str] | None = None,
        key: str | None = KEY,
        timeout: float = 30.0,
    ) -> Reply:
        """Post JSON (bytes go as they are) to the responses port, unless another is named."""
        target = port or self.responses_port
        return request(target, "POST", path, body=body, headers=with_key(headers, key), timeout=timeout)

    def stream(
        self,
        path: str,
        body: Any,
        *,
        port: int | None = None,
        headers: Mapping[str, str] | None = None,
        key: str | None = KEY,
        timeout: float = 30.0,
    ) -> Stream:
        """Post JSON and read the answer frame by frame."""
        return Stream(port or self.responses_port, path, body, with_key(headers, key), timeout)

    def connect(self, port: int | None = None, timeout: float = 10.0) -> RawClient:
        """Open a plain socket to the responses port, unless another is named."""
        return RawClient(port or self.responses_port, timeout)


class ImpatientGateway(Gateway):
    """The same with short deadlines towards clients, in seconds, see `tests/support/impatient.py`."""

    program = "tests/support/impatient.py"
    head, idle, body = 1.0, 2.0, 1.0


def free_ports(count: int) -> list[int]:
    """Return ports that were free a moment ago."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [sock.getsockname()[1] for sock in sockets]


class GatewayPool:
    """Gateways that tests share, one for each set of settings; a start costs a second."""

    def __init__(self, backend_url: str) -> None:
        self._backend_url = backend_url
        self._running: dict[frozenset[tuple[str, str]], Gateway] = {}

    def get(self, **env: str) -> Gateway:
        """Return the gateway with these settings, started if there is none that lives."""
        key = frozenset(env.items())
        found = self._running.get(key)
        if found is None or found.process.poll() is not None:
            found = self._running[key] = Gateway(self._backend_url, **env)
        return found

    def stop(self) -> None:
        """End all of them. Raises: AssertionError where one does not end with exit code 0."""
        codes = [gateway.stop() for gateway in self._running.values()]
        assert not any(codes), f"exit codes {codes}"
