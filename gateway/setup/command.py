"""`setup CLIENT`: shows what a client has to be told to use this gateway, or writes it into the client's file.

Nothing is written without `--write`; what was there before is kept in a backup beside the file. An API key
goes into a file only with `--write-key`. Clients are not installed here.
"""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import requests

from gateway.cli import PROGRAM, Parser
from gateway.config import Settings
from gateway.setting import SettingError
from gateway.setup import edits, files
from gateway.setup.texts import (
    BY_ID,
    KEY_RULES,
    KEY_VARIABLE,
    PLACEHOLDER_MODEL,
    Addresses,
    Client,
    KeyRule,
    fill,
    for_key,
    needs_no_key,
    safe_url,
)

_ASK_SECS = 10.0

FAILED = 1


class Told(NamedTuple):
    """What a running gateway tells of itself; where none answers, what is likely."""

    answered: bool = False
    port: int | None = None
    """The port that answered, by its own account: a proxy in front has another one."""
    ports: Mapping[str, int] = {}
    """The ports it serves, by surface."""
    key: KeyRule = "own"
    models: Mapping[str, str] = {}
    """The first model of each surface."""


class Wanted(NamedTuple):
    """What a client's file is to say."""

    at: Addresses
    model: str
    key: str | None
    """The key to write, None for none."""
    keyless: bool
    """No key is to be sent."""
    file: Path | None


class Plan(NamedTuple):
    """What is to be written for a client: the file's new text, made from its old one."""

    path: Path
    edit: Callable[[str], str]
    """Raises: EditError."""


def main(words: Sequence[str]) -> int:
    """Show or write; return the exit code. Raises: SettingError for wrong flags."""
    given = _parser().parse_args(words)
    at = addresses(given.gateway, Settings.load({}, os.environ))
    if given.write_key and not given.write:
        raise SettingError("--write-key", "it means nothing without --write")
    told = ask(at)
    at = corrected(at, told)
    client = for_key(BY_ID[given.client], told.key)
    model = given.model or told.models.get(client.surface)
    if given.write:
        if model is None:
            raise SettingError("--model", "the gateway shows no model; name one, or start the gateway first")
        return _write(client, at, model, told.key, given)
    _show(client, at, model or PLACEHOLDER_MODEL, answered=told.answered)
    return 0


def _parser() -> Parser:
    parser = Parser(prog=f"{PROGRAM} setup", description="Show or write the settings of a client.", allow_abbrev=False)
    parser.add_argument("client", choices=list(BY_ID), metavar="CLIENT", help=", ".join(BY_ID))
    parser.add_argument("--gateway", metavar="URL", help="where the gateway is (default: this host, its usual ports)")
    parser.add_argument("--model", metavar="NAME", help="the model to use (default: the first that the gateway lists)")
    parser.add_argument("--write", action="store_true", help="write the client's file, with a backup")
    parser.add_argument(
        "--file", metavar="PATH", type=Path, help="the file to write (default: where the client has it)"
    )
    parser.add_argument(
        "--write-key",
        action="store_true",
        help=f"write the API key into the file as well; it is taken from {KEY_VARIABLE}, or asked for",
    )
    return parser


def addresses(gateway: str | None, settings: Settings) -> Addresses:
    """Return where the ports are; `http` without a port means both usual ones. Raises: SettingError."""
    numbers = {port.surface: port.number for port in settings.ports}
    chat = numbers.get("chat") or numbers["responses"]
    responses = numbers.get("responses") or chat
    url = (gateway or "http://127.0.0.1").rstrip("/").removesuffix("/v1")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise SettingError("--gateway", "its port is not a number from 0 to 65535") from None
    if not safe_url(url) or not parts.hostname:
        raise SettingError("--gateway", "not an address like http://gateway.lan or https://gateway.example")
    if port is not None or parts.scheme == "https":
        return Addresses(url, url)
    return Addresses(f"{url}:{chat}", f"{url}:{responses}")


def ask(at: Addresses) -> Told:
    """Ask the gateway what it tells its page. Whoever answers there may not be one, and is not believed unread."""
    key = os.environ.get(KEY_VARIABLE)
    headers = {"authorization": f"Bearer {key}"} if key else {}
    try:
        answer = requests.get(f"{at.responses}/page.json", headers=headers, timeout=_ASK_SECS, allow_redirects=False)
        page = answer.json()
        firsts: dict[str, str] = {}
        for model in page["models"]:
            for surface in model["ports"]:
                firsts.setdefault(surface, str(model["name"]))
        rule: KeyRule = next((rule for rule in KEY_RULES if rule == page["key"]), "own")
        ports = {surface: int(number) for surface, number in page["ports"].items() if number}
        return Told(True, int(page["port"]), ports, rule, firsts)
    except (requests.RequestException, ValueError, LookupError, TypeError, AttributeError):
        return Told()


def corrected(at: Addresses, told: Told) -> Addresses:
    """Return the addresses of both ports, where one was named and the gateway there tells the other."""
    parts = urlsplit(at.responses)
    if at.chat != at.responses or parts.port is None or parts.port != told.port:
        return at  # both are known; or a proxy is between, whose ports are its own
    host = parts.netloc.rpartition(":")[0]
    chat, responses = (
        f"{parts.scheme}://{host}:{told.ports[surface]}" if surface in told.ports else at.chat
        for surface in ("chat", "responses")
    )
    return Addresses(chat, responses)


# --- showing ------------------------------------------------------------------------------------------------


def _show(client: Client, at: Addresses, model: str, *, answered: bool) -> None:
    lines = [client.title, ""]
    if client.note:
        lines += [*(fill(sentence, at, model) for sentence in client.note), ""]
    for snippet in client.snippets:
        lines += [f"--- {snippet.where}", fill(snippet.text, at, model)]
    if model == PLACEHOLDER_MODEL and any("{model}" in snippet.text for snippet in client.snippets):
        why = "The gateway lists no model" if answered else f"No gateway answered at {at.responses}"
        lines.append(f"{why}: put a model's name in the place of {model}.")
    if client.id in _PLANS:
        lines.append("With --write the file is written, with a backup of what was there.")
    print("\n".join(lines).rstrip())


# --- writing ------------------------------------------------------------------------------------------------


def _codex(wanted: Wanted) -> Plan:
    home = Path(os.environ.get("CODEX_HOME") or Path.home() / ".codex")
    provider: dict[str, str | int | None] = {
        "name": "Gateway",
        "base_url": f"{wanted.at.responses}/v1",
        "model_catalog_url": f"{wanted.at.responses}/v1/models",
        "env_key": None if wanted.key or wanted.keyless else KEY_VARIABLE,
        "wire_api": "responses",
        "stream_idle_timeout_ms": 600_000,
    }
    if wanted.key:
        provider["experimental_bearer_token"] = wanted.key
    top = {"model": wanted.model, "model_provider": "gateway"}
    return Plan(wanted.file or home / "config.toml", lambda text: edits.codex_config(text, top, provider))


def _claude(wanted: Wanted) -> Plan:
    home = Path(os.environ.get("CLAUDE_CONFIG_DIR") or Path.home() / ".claude")
    values = {
        "ANTHROPIC_BASE_URL": wanted.at.responses,
        "ANTHROPIC_MODEL": wanted.model,
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": wanted.model,
        **({"ANTHROPIC_AUTH_TOKEN": wanted.key} if wanted.key else {}),
    }
    return Plan(wanted.file or home / "settings.json", lambda text: edits.json_env(text, values))


def _lobechat(wanted: Wanted) -> Plan:
    values = {"OPENAI_PROXY_URL": f"{wanted.at.chat}/v1", "OPENAI_MODEL_LIST": f"+{wanted.model}"}
    return _env_plan(values, wanted)


def _openwebui(wanted: Wanted) -> Plan:
    return _env_plan({"OPENAI_API_BASE_URL": f"{wanted.at.chat}/v1", "ENABLE_OLLAMA_API": "False"}, wanted)


def _env_plan(values: Mapping[str, str], wanted: Wanted) -> Plan:
    if wanted.file is None:
        raise SettingError("--file", "name the file of environment variables that the server reads, such as .env")
    every = {**values, **({"OPENAI_API_KEY": wanted.key} if wanted.key else {})}
    return Plan(wanted.file, lambda text: edits.dotenv(text, every))


_PLANS: Mapping[str, Callable[[Wanted], Plan]] = {
    "codex": _codex,
    "claude": _claude,
    "lobechat": _lobechat,
    "openwebui": _openwebui,
}


def _write(client: Client, at: Addresses, model: str, rule: KeyRule, given: Any) -> int:
    if client.id not in _PLANS:
        raise SettingError(
            "--write", f"{client.title} keeps its settings itself; type in what is shown without --write"
        )
    if fill("{model}", at, model) != model:
        raise SettingError("--model", "the name has characters that settings files might misread")
    key = _key() if given.write_key else None
    keyless = needs_no_key(client, rule)
    plan = _PLANS[client.id](Wanted(at, model, key, keyless, given.file))
    try:
        backup = files.replace(plan.path, plan.edit(files.read(plan.path)), secret=key is not None)
    except (edits.EditError, OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        print(f"{PROGRAM}: {plan.path}: {why}; nothing was written", file=sys.stderr)
        return FAILED
    print(f"Written: {plan.path}" + (f"\nBefore:  {backup}" if backup else ""))
    if key is None and not keyless:
        print(_WHERE_THE_KEY_GOES[client.id].replace("your-key", "any-word" if rule == "any" else "your-key"))
    return 0


_WHERE_THE_KEY_GOES = {
    "codex": f"The key is not in the file: start Codex with `export {KEY_VARIABLE}=your-key`.",
    "claude": "The key is not in the file: start Claude Code with `export ANTHROPIC_AUTH_TOKEN=your-key`.",
    "lobechat": "The key is not in the file: set OPENAI_API_KEY, or let each user type a key.",
    "openwebui": "The key is not in the file: set OPENAI_API_KEY, or type it in the Admin Panel.",
}


def _key() -> str:
    """Return the key to write. Raises: SettingError."""
    key = os.environ.get(KEY_VARIABLE) or (getpass.getpass("API key: ") if sys.stdin.isatty() else "")
    if not key or not key.isascii() or not key.isprintable() or any(letter in key for letter in " \"'\\$`#"):
        raise SettingError(KEY_VARIABLE, "there is no key in it, or one with characters that settings files misread")
    return key
