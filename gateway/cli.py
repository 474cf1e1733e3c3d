"""The command line: commands and flags, made from the settings.

    openai_proxy.py [serve] [flags]

A wrong setting or flag ends the program with exit code 2 and one line on standard error.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from gateway import __version__
from gateway.config import Settings, declared
from gateway.setting import Setting, SettingError

PROGRAM = "openai_proxy.py"
USAGE_ERROR = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name and return the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    name = words.pop(0) if words and not words[0].startswith("-") else "serve"
    command = COMMANDS.get(name)
    try:
        if command is None:
            raise SettingError(name[:40], f"no such command; known are {', '.join(COMMANDS)}")
        return command(words)
    except SettingError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return USAGE_ERROR


def _serve(words: Sequence[str]) -> int:
    flags = _parser().parse_args(words)
    settings = Settings.load(given_flags(flags), os.environ)
    from gateway.server import serve  # gunicorn, which --help and wrong settings need not load

    serve(settings)
    return 0


COMMANDS: Mapping[str, Callable[[Sequence[str]], int]] = {"serve": _serve}


class _Parser(argparse.ArgumentParser):
    """argparse, with errors of one line."""

    def error(self, message: str) -> NoReturn:
        raise SettingError("usage", f"{message}; --help lists all flags")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=PROGRAM,
        usage="%(prog)s [serve] [flags]",
        description="A gateway that lets every client talk to every model.",
        epilog=_epilog(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"openai-proxy {__version__}")
    for name, one in declared():
        if one.flags and one.switch:
            parser.add_argument(*one.flags, dest=name, action="store_const", const=one.switch, help=_help(one))
        elif one.flags:
            parser.add_argument(*one.flags, dest=name, metavar=one.flags[0].strip("-").upper(), help=_help(one))
    return parser


def given_flags(parsed: argparse.Namespace) -> dict[str, str]:
    """Return the flags that were given, by field name."""
    return {name: text for name, text in vars(parsed).items() if text is not None}


def _help(one: Setting) -> str:
    facts = [f"environment: {one.env}"] if one.env else []
    facts += [f"default: {one.shown}"] if one.shown else []
    return f"{one.help} ({', '.join(facts)})".replace(" ()", "").replace("%", "%%")


def _epilog() -> str:
    lines = ["settings that are environment variables only:"]
    lines += [f"  {one.env}\n      {one.help} (default: {one.shown})" for _, one in declared() if not one.flags]
    lines += [
        "",
        "signals:",
        "  SIGTERM, SIGINT  stop; open answers get SHUTDOWN_GRACE_SECS, a second signal ends at once",
        "  SIGHUP           restart the workers; open answers get the same grace",
    ]
    return "\n".join(lines)
