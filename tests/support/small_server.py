"""A program for tests of the server alone: its processes and connections with a small application behind them.

python tests/support/small_server.py HEAD IDLE LINGER      (deadlines in seconds; settings by environment)
"""

from gevent import monkey

monkey.patch_all()

import json
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from gevent.event import Event

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from gateway.config import Settings
from gateway.drain import Drain
from gateway.errors import GatewayError, UpstreamProtocol
from gateway.heads import Deadlines
from gateway.server import serve
from gateway.setting import SettingError


class App:
    """Each path shows one thing that an application may do."""

    def __init__(self, settings: Settings, drain: Drain, metrics: Any) -> None:
        self._drain = drain

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        answer = getattr(self, "do_" + environ["PATH_INFO"].strip("/").replace("-", "_"))
        try:
            return answer(environ, start)
        except GatewayError as error:
            return _whole(start, json.dumps({"code": error.code}).encode(), f"{error.status} Error")

    def beat(self) -> None:
        """Nothing is due."""

    def do_who(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        facts = {"port": environ["SERVER_PORT"], "pid": os.getpid(), "script": environ["SCRIPT_NAME"]}
        return _whole(start, json.dumps(facts).encode())

    def do_echo(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        return _whole(start, environ["wsgi.input"].read())

    def do_too_large(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        return _whole(start, b"too large", "413 Too Large")

    def do_stream(self, environ: dict[str, Any], start: Any) -> Iterator[bytes]:
        start("200 OK", [("content-type", "text/plain")])
        return self._ticks()

    def _ticks(self) -> Iterator[bytes]:
        over = Event()
        token = self._drain.register(over.set)
        yield b"tick\n"
        while not over.wait(0.05):
            yield b"tick\n"
        self._drain.unregister(token)
        yield b"the end\n"

    def do_told(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        start("200 OK", [("content-type", "text/plain")])
        return _Told([b"one", b"two"], last=2)

    def do_told_too_soon(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        start("200 OK", [("content-type", "text/plain")])
        return _Told([b"one", b"two"], last=1)

    def do_stuck(self, environ: dict[str, Any], start: Any) -> Iterator[bytes]:
        start("200 OK", [("content-type", "text/plain")])
        yield b"tick\n"
        Event().wait(60)

    def do_break(self, environ: dict[str, Any], start: Any) -> Iterator[bytes]:
        start("200 OK", [("content-type", "text/plain")])
        yield b"so far"
        raise UpstreamProtocol("cut")

    def do_header(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        value = environ["wsgi.input"].read().decode()
        start("200 OK", [("x-own", value), ("connection", "x"), ("Content-Length", "2")])
        return [b"ok"]

    def do_fail(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        raise RuntimeError("a secret detail")

    def do_fail_late(self, environ: dict[str, Any], start: Any) -> Iterator[bytes]:
        start("200 OK", [("content-type", "text/plain")])
        yield b"so far"
        raise RuntimeError("a secret detail")


class _Told:
    """A body that tells which of its pieces is the last."""

    def __init__(self, pieces: list[bytes], last: int) -> None:
        self.ended = False
        self._pieces = enumerate(pieces, 1)
        self._last = last

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        number, piece = next(self._pieces)
        self.ended = number == self._last
        return piece


def _whole(start: Any, body: bytes, status: str = "200 OK") -> Iterable[bytes]:
    start(status, [("content-type", "application/json"), ("content-length", str(len(body)))])
    return [body]


if __name__ == "__main__":
    try:
        flags = dict(flag.split("=", 1) for flag in sys.argv[4:])
        serve(Settings.load(flags, os.environ), App, Deadlines(*map(float, sys.argv[1:3]), linger=float(sys.argv[3])))
    except SettingError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
