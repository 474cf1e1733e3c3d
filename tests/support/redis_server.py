"""A real Redis of the test's own: Debian's `redis-server` on a free port, with nothing on disk."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import pytest

from tests.support.gateway import free_ports


class RedisServer:
    """One server; a context manager. It is skipped where the program is missing, except in CI."""

    def __init__(self) -> None:
        self.program = shutil.which("redis-server") or ""
        if not self.program:
            reason = "redis-server is not installed; apt install redis-server"
            pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
        (self.port,) = free_ports(1)
        self._folder = tempfile.TemporaryDirectory(prefix="redis-")
        self.start()

    def __enter__(self) -> RedisServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.pause(False)
        self.stop()
        self._folder.cleanup()

    @property
    def url(self) -> str:
        """Where it is, as in RESPONSES_STORE."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, empty; return when it answers."""
        self._process = subprocess.Popen(
            [self.program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
            cwd=self._folder.name,
            stdout=subprocess.DEVNULL,
        )
        end = time.monotonic() + 10
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as client:
                    client.sendall(b"PING\r\n")
                    if client.recv(7) == b"+PONG\r\n":
                        return
            except OSError:
                pass
            assert time.monotonic() < end, "redis-server did not start"
            time.sleep(0.02)

    def stop(self) -> None:
        """End it, and all that it holds."""
        self._process.kill()
        self._process.wait(5)

    def pause(self, pause: bool) -> None:
        """Make it hang, or go on."""
        self._process.send_signal(signal.SIGSTOP if pause else signal.SIGCONT)
