"""The command line: a table of commands, and the flags of `serve`, made from the settings.

    openai_proxy.py [serve] [flags]
    openai_proxy.py doctor | setup | … [flags]

A command is imported when it is named, so each start pays for its own alone. A wrong setting or flag ends the
program with exit code 2 and one line on standard error.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import NamedTuple, NoReturn

from gateway import __version__
from gateway.config import Settings, declared
from gateway.setting import Setting, SettingError

PROGRAM = "openai_proxy.py"
USAGE_ERROR = 2


class Command(NamedTuple):
    """One command: where its `main(words) -> exit code` is, and what it is for."""

    target: str
    """Module and function, `module:function`."""
    summary: str


COMMANDS: Mapping[str, Command] = {
    "serve": Command("gateway.cli:serve", "run the gateway; meant where no command is named"),
    "codex-proxy": Command("gateway.codex_proxy.command:main", "hold a key for Codex, as codex-responses-api-proxy"),
    "doctor": Command("gateway.doctor.command:main", "check settings, upstream and key, and try out a model"),
    "setup": Command("gateway.setup.command:main", "show or write the settings of a client"),
    "replay": Command("gateway.replay.command:main", "serve, send again or export what --log recorded"),
    "view": Command("gateway.view.command:main", "make a page of what --log recorded"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name and return the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    name = words.pop(0) if words and not words[0].startswith("-") else "serve"
    try:
        if name not in COMMANDS:
            raise SettingError(name[:40], f"no such command; known are {', '.join(COMMANDS)}")
        module, _, function = COMMANDS[name].target.partition(":")
        run: Callable[[Sequence[str]], int] = getattr(import_module(module), function)
        return run(words)
    except SettingError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return USAGE_ERROR


def serve(words: Sequence[str]) -> int:
    """Run the gateway; returns only in tests, since the server ends the process itself. Raises: SettingError."""
    settings = load_settings(serve_parser().parse_args(words))
    from gateway.server import serve  # gunicorn, which --help and wrong settings need not load

    serve(settings)
    return 0


def load_settings(flags: argparse.Namespace) -> Settings:
    """Return the settings of the flags and the environment. Raises: SettingError."""
    return Settings.load(given_flags(flags), os.environ)


class Parser(argparse.ArgumentParser):
    """argparse, with errors of one line."""

    def error(self, message: str) -> NoReturn:
        raise SettingError("usage", f"{message}; --help lists all flags")


def serve_parser() -> Parser:
    """Return the parser of `serve`."""
    parser = Parser(
        prog=PROGRAM,
        usage="%(prog)s [serve] [flags]",
        description="A gateway that lets every client talk to every model.",
        epilog=_epilog(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"openai-proxy {__version__}")
    add_settings(parser)
    return parser


def add_settings(parser: argparse.ArgumentParser, but: frozenset[str] = frozenset()) -> None:
    """Give a parser the flags of all settings, but for those of the fields named."""
    for name, one in declared():
        if not one.flags or name in but:
            continue
        if one.switch:
            parser.add_argument(*one.flags, dest=name, action="store_const", const=one.switch, help=_help(one))
        else:
            parser.add_argument(*one.flags, dest=name, metavar=one.flags[0].rpartition("-")[2].upper(), help=_help(one))


def given_flags(parsed: argparse.Namespace) -> dict[str, str]:
    """Return the flags of settings that were given, by field name."""
    names = {name for name, _ in declared()}
    return {name: text for name, text in vars(parsed).items() if name in names and text is not None}


def _help(one: Setting) -> str:
    facts = [f"environment: {one.env}"] if one.env else []
    facts += [f"default: {one.shown}"] if one.shown else []
    return f"{one.help} ({', '.join(facts)})".replace(" ()", "").replace("%", "%%")


def _epilog() -> str:
    lines = ["commands (each has its own --help):"]
    lines += [f"  {name:<15}{command.summary}" for name, command in COMMANDS.items()]
    lines += ["", "settings that are environment variables only:"]
    lines += [f"  {one.env}\n      {one.help} (default: {one.shown})" for _, one in declared() if not one.flags]
    lines += [
        "",
        "signals:",
        "  SIGTERM, SIGINT  stop; open answers get SHUTDOWN_GRACE_SECS, a second signal ends at once",
        "  SIGHUP           restart the workers; open answers get the same grace",
    ]
    return "\n".join(lines)
