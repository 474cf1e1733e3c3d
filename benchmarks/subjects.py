"""What is measured: the gateway, a peer, or the upstream alone. Each runs pinned to one core."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from benchmarks import process
from benchmarks.load import KEY, Traffic
from benchmarks.scenarios import SCENARIOS
from benchmarks.workloads import Workload

ROOT = Path(__file__).resolve().parents[1]
_STARTED_PACKAGES = ("gunicorn", "gevent", "flask", "urllib3", "orjson")


def two_cores() -> tuple[int, int]:
    """Return a core for the subject and one for upstream and load (the same where there is only one)."""
    cores = sorted(os.sched_getaffinity(0))
    return cores[0], cores[-1]


class Running:
    """A server process on a core of its own; `stop` ends it and its children."""

    def __init__(self, command: list[str], env: Mapping[str, str], core: int) -> None:
        self.home = tempfile.TemporaryDirectory(prefix="benchmark-")
        self.log = Path(self.home.name) / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=self.home.name,
                env={"PATH": os.environ["PATH"], "HOME": self.home.name, "PYTHONDONTWRITEBYTECODE": "1", **env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        os.sched_setaffinity(self.process.pid, {core})

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Wait until it serves. Raises: RuntimeError with its last words."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if ready():
                    return
            time.sleep(0.1)
        last_words = self.log.read_text(errors="replace")[-2000:]
        self.stop()
        raise RuntimeError(f"{self.process.args!r} did not start\n{last_words}")

    def stop(self) -> None:
        """End it with SIGTERM, at last with SIGKILL."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(5)
        self.home.cleanup()


class MockUpstream:
    """The mock upstream in a process of its own."""

    def __init__(self, core: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.upstream"], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        os.sched_setaffinity(self._process.pid, {core})
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(5)
        assert self._process.stdout is not None
        self._process.stdout.close()


class Subject:
    """A thing to measure. The class itself is the upstream alone, without anything between."""

    name = "direct"

    def __init__(self, upstream_port: int, core: int) -> None:
        self.upstream_port = upstream_port
        self.core = core
        self.running: Running | None = None

    @property
    def versions(self) -> str:
        """What was measured."""
        return "no gateway"

    def start(self) -> None:
        """Start it, if it is not running."""

    def stop(self) -> None:
        """End it."""
        if self.running is not None:
            self.running.stop()
            self.running = None

    def adapted(self, traffic: Traffic) -> Traffic:
        """Return the traffic as this subject takes it: the upstream alone speaks only Chat."""
        if traffic.dialect == "models":
            return traffic
        return replace(traffic, dialect="chat", path="/v1/chat/completions")

    def takes(self, workload: Workload) -> bool:
        """Tell whether this workload is measured on it."""
        return True

    def port_of(self, traffic: Traffic) -> int:
        """Return where this traffic is taken."""
        return self.upstream_port

    def cpu_us(self) -> int:
        """Return the CPU time used so far, in microseconds."""
        return process.cpu_us(self.running.process.pid) if self.running else 0

    def recorder_us(self) -> int:
        """Return how much of it is the recorder process's."""
        return 0

    def memory_bytes(self) -> int:
        """Return the memory in use."""
        return process.memory_bytes(self.running.process.pid) if self.running else 0


class Gateway(Subject):
    """The gateway with its own defaults, one worker.

    Where it records, the recorder process has a core to spare, as on a machine that is not busy: that of upstream and
    load, who leave it enough. So the units a second are those of a worker that records; its CPU time counts as all.
    """

    name = "gateway"

    def __init__(
        self, upstream_port: int, core: int, root: Path = ROOT, recording: bool = False, spare_core: int | None = None
    ) -> None:
        super().__init__(upstream_port, core)
        self._root = root
        self._recording = recording
        self._spare_core = core if spare_core is None else spare_core
        self._recorders: list[int] = []
        self._ports = (0, 0)
        if recording:
            self.name = "gateway, recording"

    @property
    def versions(self) -> str:
        """What was measured."""
        packages = ", ".join(f"{name} {version(name)}" for name in _STARTED_PACKAGES)
        return f"Python {sys.version.split()[0]}, {packages}"

    def start(self) -> None:
        """Start it, if it is not running."""
        if self.running is not None:
            return
        chat, responses = _free_ports(2)
        self._ports = (chat, responses)
        env = {
            "HOST": "127.0.0.1",
            "CHAT_PORT": str(chat),
            "RESPONSES_PORT": str(responses),
            "BACKEND_URL": f"http://127.0.0.1:{self.upstream_port}/v1",
            "WORKERS": "1",
        }
        command = [sys.executable, str(self._root / "openai_proxy.py")]
        if self._recording:
            command += ["--log", "traffic.jsonl"]
        self.running = Running(command, env, self.core)
        self.running.wait_until(lambda: _answers(chat, "/health") and _answers(responses, "/v1/models"), 30)
        self._recorders = process.named(self.running.process.pid, "recorder") if self._recording else []
        for pid in self._recorders:
            os.sched_setaffinity(pid, {self._spare_core})

    def recorder_us(self) -> int:
        """Return how much of its CPU time is the recorder process's."""
        return process.cpu_us_of(self._recorders)

    def takes(self, workload: Workload) -> bool:
        """Recording is measured where it costs something."""
        return workload.recorded or not self._recording

    def adapted(self, traffic: Traffic) -> Traffic:
        """Return the traffic as this subject takes it."""
        return traffic

    def port_of(self, traffic: Traffic) -> int:
        """Return where this traffic is taken."""
        return self._ports[0 if traffic.dialect == "chat" else 1]


def can_record(root: Path) -> bool:
    """Tell whether a gateway has a traffic recorder."""
    command = [sys.executable, str(root / "openai_proxy.py"), "--help"]
    return re.search(r"--log(?![-\w])", subprocess.check_output(command, text=True)) is not None


class LiteLLM(Subject):
    """LiteLLM's proxy: one worker, no database, logging only errors.

    It does not start without a master key, so it has one, which all requests send. Checking it is a part of its
    figures.
    """

    name = "LiteLLM"

    def __init__(self, upstream_port: int, core: int, requirement: str) -> None:
        super().__init__(upstream_port, core)
        self._port = 0
        self._venv = Path(tempfile.gettempdir()) / "benchmark-litellm"
        self._install(requirement)

    @property
    def versions(self) -> str:
        """What was measured."""
        program = "from importlib.metadata import version as v; print('LiteLLM', v('litellm'), 'uvicorn', v('uvicorn'))"
        return subprocess.check_output([self._venv / "bin/python", "-c", program], text=True).strip()

    def start(self) -> None:
        """Start it, if it is not running."""
        if self.running is not None:
            return
        (port,) = _free_ports(1)
        self._port = port
        config = self._venv / "config.yaml"
        config.write_text(self._config())
        command = [str(self._venv / "bin/litellm"), "--config", str(config), "--host", "127.0.0.1"]
        command += ["--port", str(port), "--num_workers", "1"]
        env = {"LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False"}
        self.running = Running(command, env, self.core)
        self.running.wait_until(lambda: _answers(port, "/health/liveliness"), 120)

    def adapted(self, traffic: Traffic) -> Traffic:
        """Return the traffic as this subject takes it."""
        return traffic

    def port_of(self, traffic: Traffic) -> int:
        """Return where this traffic is taken."""
        return self._port

    def _install(self, requirement: str) -> None:
        if not (self._venv / "bin/litellm").exists():
            subprocess.run([sys.executable, "-m", "venv", self._venv], check=True)
            subprocess.run([self._venv / "bin/pip", "install", "--quiet", requirement], check=True)

    def _config(self) -> str:
        """A Chat upstream under every model's name; Responses and Messages are translated to Chat."""
        lines = ["model_list:"]
        for name in SCENARIOS:
            lines += [
                f"  - model_name: {name}",
                "    litellm_params:",
                f"      model: openai/{name}",
                "      use_chat_completions_api: true",
                f"      api_base: http://127.0.0.1:{self.upstream_port}/v1",
                f"      api_key: {KEY}",
            ]
        lines += ["litellm_settings:", "  drop_params: true", "  telemetry: false"]
        lines += ["  use_chat_completions_url_for_anthropic_messages: true"]
        return "\n".join([*lines, "general_settings:", f"  master_key: {KEY}", ""])


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    finally:
        connection.close()


def _free_ports(count: int) -> tuple[int, ...]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return tuple(sock.getsockname()[1] for sock in sockets)
