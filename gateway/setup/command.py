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
from gateway.setup.texts import BY_ID, KEY_VARIABLE, PLACEHOLDER_MODEL, Addresses, Client, fill, safe_url

_LIST_SECS = 10.0

FAILED = 1


class Plan(NamedTuple):
    """What is to be written for a client: the file's new text, made from its old one."""

    path: Path
    edit: Callable[[str], str]
    """Raises: EditError."""


def main(words: Sequence[str]) -> int:
    """Show or write; return the exit code. Raises: SettingError for wrong flags."""
    given = _parser().parse_args(words)
    client = BY_ID[given.client]
    at = addresses(given.gateway, Settings.load({}, os.environ))
    if given.write_key and not given.write:
        raise SettingError("--write-key", "it means nothing without --write")
    model = given.model or _first_model(at, client)
    if given.write:
        if model is None:
            raise SettingError("--model", "the gateway shows no model; name one, or start the gateway first")
        return _write(client, at, model, given)
    _show(client, at, model or PLACEHOLDER_MODEL)
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


def _first_model(at: Addresses, client: Client) -> str | None:
    """Return the first model that the gateway lists for the client's port."""
    base = at.responses if client.surface == "responses" else at.chat
    key = os.environ.get(KEY_VARIABLE)
    headers = {"authorization": f"Bearer {key}"} if key else {}
    try:
        answer = requests.get(f"{base}/v1/models", headers=headers, timeout=_LIST_SECS, allow_redirects=False)
        listed = answer.json()["data"]
        return str(listed[0]["id"]) if listed else None
    except (requests.RequestException, ValueError, LookupError, TypeError):
        return None


# --- showing ------------------------------------------------------------------------------------------------


def _show(client: Client, at: Addresses, model: str) -> None:
    lines = [client.title, ""]
    if client.note:
        lines += [fill(client.note, at, model), ""]
    for snippet in client.snippets:
        lines += [f"--- {snippet.where}", fill(snippet.text, at, model)]
    if model == PLACEHOLDER_MODEL:
        lines.append(f"No gateway answered at {at.responses}, so put a model's name in the place of {model}.")
    if client.id in _PLANS:
        lines.append("With --write the file is written, with a backup of what was there.")
    print("\n".join(lines).rstrip())


# --- writing ------------------------------------------------------------------------------------------------


def _codex(at: Addresses, model: str, key: str | None, file: Path | None) -> Plan:
    home = Path(os.environ.get("CODEX_HOME") or Path.home() / ".codex")
    provider: dict[str, str | int | None] = {
        "name": "Gateway",
        "base_url": f"{at.responses}/v1",
        "model_catalog_url": f"{at.responses}/v1/models",
        "env_key": None if key else KEY_VARIABLE,
        "wire_api": "responses",
        "stream_idle_timeout_ms": 600_000,
    }
    if key:
        provider["experimental_bearer_token"] = key
    top = {"model": model, "model_provider": "gateway"}
    return Plan(file or home / "config.toml", lambda text: edits.codex_config(text, top, provider))


def _claude(at: Addresses, model: str, key: str | None, file: Path | None) -> Plan:
    home = Path(os.environ.get("CLAUDE_CONFIG_DIR") or Path.home() / ".claude")
    values = {
        "ANTHROPIC_BASE_URL": at.responses,
        "ANTHROPIC_MODEL": model,
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": model,
        **({"ANTHROPIC_AUTH_TOKEN": key} if key else {}),
    }
    return Plan(file or home / "settings.json", lambda text: edits.json_env(text, values))


def _lobechat(at: Addresses, model: str, key: str | None, file: Path | None) -> Plan:
    return _env_plan({"OPENAI_PROXY_URL": f"{at.chat}/v1", "OPENAI_MODEL_LIST": f"+{model}"}, key, file)


def _openwebui(at: Addresses, model: str, key: str | None, file: Path | None) -> Plan:
    return _env_plan({"OPENAI_API_BASE_URL": f"{at.chat}/v1", "ENABLE_OLLAMA_API": "False"}, key, file)


def _env_plan(values: Mapping[str, str], key: str | None, file: Path | None) -> Plan:
    if file is None:
        raise SettingError("--file", "name the file of environment variables that the server reads, such as .env")
    every = {**values, **({"OPENAI_API_KEY": key} if key else {})}
    return Plan(file, lambda text: edits.dotenv(text, every))


_PLANS: Mapping[str, Callable[[Addresses, str, str | None, Path | None], Plan]] = {
    "codex": _codex,
    "claude": _claude,
    "lobechat": _lobechat,
    "openwebui": _openwebui,
}


def _write(client: Client, at: Addresses, model: str, given: Any) -> int:
    if client.id not in _PLANS:
        raise SettingError(
            "--write", f"{client.title} keeps its settings itself; type in what is shown without --write"
        )
    if fill("{model}", at, model) != model:
        raise SettingError("--model", "the name has characters that settings files might misread")
    key = _key() if given.write_key else None
    plan = _PLANS[client.id](at, model, key, given.file)
    try:
        backup = files.replace(plan.path, plan.edit(files.read(plan.path)))
    except (edits.EditError, OSError, UnicodeDecodeError) as error:
        print(f"{PROGRAM}: {plan.path}: {error}; nothing was written", file=sys.stderr)
        return FAILED
    print(f"Written: {plan.path}" + (f"\nBefore:  {backup}" if backup else ""))
    if key is None:
        print(_WHERE_THE_KEY_GOES[client.id])
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
