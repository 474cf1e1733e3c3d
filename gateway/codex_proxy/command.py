"""`codex-proxy`: holds a key for Codex, in the place of codex-responses-api-proxy and with the same flags.

    printf '%s\\n' "$KEY" | python openai_proxy.py codex-proxy --server-info info.json --http-shutdown

It listens on 127.0.0.1 only, reads its key from standard input, and has no other settings than its flags: none is
taken from the environment. Exit codes: 0 after `/shutdown` and SIGTERM, 1 where the start fails, 2 for wrong flags.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gateway import service_log, setting
from gateway.access import Access
from gateway.cli import PROGRAM, Parser
from gateway.codex_proxy.info_file import InfoFile
from gateway.config import Settings
from gateway.held_key import KeyRefused, from_stdin, harden
from gateway.listeners import listen
from gateway.setting import SettingError

if TYPE_CHECKING:
    from gateway.drain import Drain
    from gateway.metrics import Metrics
    from gateway.worker import Serving

NAME = "codex-proxy"
UPSTREAM = "https://api.openai.com/v1/responses"

_GRACE_SECS = 5.0
"""How long open answers may go on at the end."""

_FAILED = 1


def main(words: Sequence[str]) -> int:
    """Run the proxy; returns only where its start fails, since the server ends the process itself.

    Raises: SettingError for wrong flags.
    """
    given = _parser().parse_args(words)
    try:
        port = setting.whole(0, 65535)(given.port)
    except ValueError as error:
        raise SettingError("--port", str(error)) from None
    service_log.configure("info")
    harden()
    try:
        _run(given, port)
    except (SettingError, KeyRefused) as error:
        print(f"{NAME}: {error}", file=sys.stderr)
    return _FAILED


def _parser() -> Parser:
    parser = Parser(
        prog=f"{PROGRAM} {NAME}",
        description="Hold a key for Codex: serve POST /v1/responses on 127.0.0.1 and put the key in. The key is read "
        "from the first line of standard input.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--port", default="0", metavar="PORT", help="port to listen on (default: one that is free)")
    add(
        "--server-info", type=Path, metavar="FILE", help="write a line of JSON with port and pid, and remove it at exit"
    )
    add("--http-shutdown", action="store_true", help="let GET /shutdown end the proxy")
    add("--upstream-url", default=UPSTREAM, metavar="URL", help=f"where requests go (default: {UPSTREAM})")
    add("--bridge-to-chat", action="store_true", help="the upstream speaks Chat Completions: translate for it")
    add("--dump-dir", type=Path, metavar="DIR", help="write each request and answer to a file, credentials taken out")
    return parser


def _run(given: argparse.Namespace, port: int) -> None:
    """Serve; does not return. Raises: SettingError, KeyRefused where the start fails."""
    settings = _settings(given, port)
    key = from_stdin()
    listeners = listen(settings)
    from gateway.server import Program, run  # the whole gateway, which a start that fails need not load

    settings = replace(settings, port=listeners[0].getsockname()[1])
    access = Access(key, heeds_clients=False)
    make = partial(_make, given, access)
    info = InfoFile(given.server_info)
    try:
        run(Program(settings, listeners, make, partial(_tell, settings.ports[0].number, info), access.forked))
    finally:
        info.remove()


def _tell(port: int, info: InfoFile) -> None:
    """Say that connections are taken; signals are heard from here on. Raises: SettingError."""
    with _named("--server-info"):
        info.write(port)
    print(f"{NAME} listening on 127.0.0.1:{port}", file=sys.stderr, flush=True)


def _settings(given: argparse.Namespace, port: int) -> Settings:
    """Return the settings of a gateway that serves as this proxy. Raises: SettingError."""
    try:
        url = setting.url(given.upstream_url)
    except ValueError as error:
        raise SettingError("--upstream-url", str(error)) from None
    return Settings(
        host="127.0.0.1",
        port=port,
        mode="responses",
        backend_url=url,
        backend_api="chat" if given.bridge_to_chat else "responses",
        workers=1,
        cors_allow_origins="",
        shutdown_grace_secs=_GRACE_SECS,
    )


def _make(given: argparse.Namespace, access: Access, settings: Settings, drain: Drain, metrics: Metrics) -> Serving:
    from gateway.codex_proxy.dumps import Dumps
    from gateway.codex_proxy.surface import Manner, build

    dumps = None
    if given.dump_dir is not None:
        with _named("--dump-dir"):
            dumps = Dumps(given.dump_dir, access.held.reveal() if access.held else "")
    parts = urlsplit(settings.backend_url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    manner = Manner(target, given.bridge_to_chat, given.http_shutdown, dumps)
    return build(settings, manner, access, drain, metrics)


@contextlib.contextmanager
def _named(flag: str) -> Iterator[None]:
    """Let a fault of the file system end the start. Raises: SettingError."""
    try:
        yield
    except OSError as error:
        raise SettingError(flag, f"it cannot be written: {error.strerror}") from None
