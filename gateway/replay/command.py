"""`replay LOG`: a recording served as an upstream, sent again, translated again, or exported.

Exit code 0; 1 where something differs from the recording; 2 for wrong flags and files that cannot be read.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from gateway.cli import PROGRAM, Parser
from gateway.progress import Progress
from gateway.recording.log import Log, LogError
from gateway.setting import SettingError

_EPILOG = """\
with no flag but LOG, the recorded upstream is served:
  %(prog)s traffic.jsonl --speed 10
  python openai_proxy.py --backend-url http://127.0.0.1:PORT/v1
"""


def main(words: Sequence[str]) -> int:
    """Run the command; return the exit code. Raises: SettingError."""
    given = _parser().parse_args(words)
    try:
        with open_log(given.log) as log:
            return _run(log, given)
    except LogError as error:
        raise SettingError("replay", str(error)) from None
    except BrokenPipeError:
        return 0


def open_log(path: str) -> Log:
    """Look through a recording, with a progress bar. Raises: LogError."""
    try:
        size = Path(path).stat().st_size
    except OSError as exc:
        raise LogError(f"{path}: {exc.strerror}") from None
    with Progress("looking through the log", size) as progress:
        return Log.open(path, progress.add)


def _run(log: Log, given: argparse.Namespace) -> int:
    if given.to is not None:
        return int(import_module("gateway.replay.sending").run(log, given))
    if given.retranslate:
        return int(import_module("gateway.replay.retranslating").run(log, given))
    if given.export:
        return int(import_module("gateway.replay.export").run(log, given))
    return serve(log, given)


def serve(log: Log, given: argparse.Namespace) -> int:
    """Serve the recording until the process is told to end. Raises: SettingError."""
    from gateway.replay.records import Records
    from gateway.replay.serving import Player, Server

    with Progress("reading requests", len(log.entries)) as progress:
        records = Records.of(log, progress.add)
    if log.damaged:
        _note(f"{log.damaged} damaged lines were left out")
    player = Player(records, 0.0 if given.fast else given.speed, _note)
    try:
        server = Server((given.host, given.port), player)
    except OSError as exc:
        raise SettingError("--port", f"cannot listen on {given.host}:{given.port}: {exc.strerror or exc}") from None
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        rhythm = {0.0: "at once", 1.0: "in the recorded rhythm"}.get(player.speed, f"{player.speed:g} times as fast")
        hint = " (start the gateway with --backend-api responses)" if log.head.get("backend_api") == "responses" else ""
        print(f"{len(records)} recorded answers, {rhythm}: {server.url}{hint}", flush=True)
        _wait_for_the_end()
        server.shutdown()
    return 0


def _wait_for_the_end() -> None:
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    # A wait without an end would not see the signal on every platform.
    while not over.wait(1.0):
        pass


def _note(text: str) -> None:
    print(f"replay: {text}", file=sys.stderr, flush=True)


def _parser() -> Parser:
    parser = Parser(
        prog=f"{PROGRAM} replay",
        description="Serve a recording as an upstream, send it again, translate it again, or export of it.",
        epilog=_EPILOG.replace("%(prog)s", f"python {PROGRAM} replay"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("log", metavar="LOG", help="the recording (what --log PATH wrote)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--to", metavar="URL", help="send the requests to a gateway, show what differs")
    parser.add_argument("--chat-to", metavar="URL", help="with --to: where requests of the recorded chat port go")
    what.add_argument(
        "--retranslate",
        action="store_true",
        help="translate all anew, show what differs",
    )
    what.add_argument("--export", choices=("curl", "golden"), help="one exchange as a command or a test case")
    serving = parser.add_argument_group("serving")
    serving.add_argument("--host", default="127.0.0.1", help="bind address (default: %(default)s)")
    serving.add_argument("--port", type=_port, default=0, help="port (default: a free one; it is printed)")
    serving.add_argument(
        "--speed", type=_speed, default=1.0, metavar="N", help="times as fast as recorded, 0: at once (default: 1)"
    )
    serving.add_argument("--fast", action="store_true", help="the same as --speed 0")
    chosen = parser.add_argument_group("sending, translating, exporting")
    chosen.add_argument("--exchange", metavar="ID|N", help="this one alone: request id, or number in the log")
    chosen.add_argument(
        "--key-env", metavar="NAME", default="OPENAI_API_KEY", help="variable with the key (default: %(default)s)"
    )
    chosen.add_argument("--folder", metavar="DIR", help="where the test case goes (default: the request id)")
    return parser


def _port(text: str) -> int:
    if text.isdecimal() and int(text) < 65536:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no port")


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = -1.0
    if 0 <= speed < 1e6:
        return speed
    raise argparse.ArgumentTypeError(f"{text!r} is no speed; it is a number from 0 on")
