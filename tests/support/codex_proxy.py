"""A running key proxy: ours, or codex-responses-api-proxy itself, which Codex carries as a subcommand."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.clients import client_binary
from tests.support.gateway import ROOT

HELD = "sk-held-0123456789"
START_SECS = 30.0

OURS = [sys.executable, str(ROOT / "openai_proxy.py"), "codex-proxy"]


def original() -> list[str]:
    """Return the command of the real one; where it is not installed the test is skipped."""
    return [client_binary("@openai/codex", "codex"), "responses-api-proxy"]


def environment(folder: str | Path) -> dict[str, str]:
    """Return a clean environment."""
    kept = {name: value for name, value in os.environ.items() if name == "PATH" or name.startswith("COVERAGE")}
    return {**kept, "HOME": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}


class Proxy:
    """One proxy under way; a context manager that ends it."""

    def __init__(
        self,
        command: Sequence[str],
        upstream_url: str,
        *flags: str,
        key: str = HELD,
        env: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        """`folder`: where its info file is to be, if not in one of its own."""
        self.folder = tempfile.TemporaryDirectory(prefix="codex-proxy-")
        self.info = (folder or Path(self.folder.name)) / "info.json"
        self.process = subprocess.Popen(
            [*command, "--server-info", str(self.info), "--upstream-url", upstream_url, *flags],
            env={**environment(self.folder.name), **(env or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError), self.process.stdin as pipe:
            pipe.write(f"{key}\n".encode())
        self._said: list[bytes] = []
        self._pump = threading.Thread(target=self._collect, daemon=True)
        self._pump.start()
        told = json.loads(self._read_info())
        self.port: int = told["port"]
        self.pid: int = told["pid"]

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        self.folder.cleanup()

    @property
    def url(self) -> str:
        """Base URL, as Codex wants it."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def said(self) -> str:
        """What it wrote to standard error."""
        return b"".join(self._said).decode("utf-8", "replace")

    def end(self, number: int = signal.SIGTERM) -> int:
        """End it by the process that its file names; return the exit code."""
        if self.process.poll() is None:
            os.kill(self.pid, number)
        try:
            return self.process.wait(15)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(5)
            self._pump.join(5)
            if self.process.stderr is not None:
                self.process.stderr.close()

    def _collect(self) -> None:
        assert self.process.stderr is not None
        with contextlib.suppress(ValueError):
            self._said.extend(self.process.stderr)

    def _read_info(self) -> str:
        ends = time.monotonic() + START_SECS
        while time.monotonic() < ends and self.process.poll() is None:
            with contextlib.suppress(FileNotFoundError):
                if (text := self.info.read_text()).startswith("{"):
                    return text
            time.sleep(0.02)
        self._pump.join(1)
        raise AssertionError(f"the proxy did not start\n{self.said}")
