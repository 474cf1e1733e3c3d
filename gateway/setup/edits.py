"""Edits of clients' settings files: the text of a file to its new text. Pure.

Only the keys named are set; every other key, comment and blank line stays as it is. A file that cannot be read
as what it should be is refused, never overwritten.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, MutableMapping

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import InlineTable

from gateway.types import JSON


class EditError(ValueError):
    """The file cannot be edited; the message says why."""


def codex_config(text: str, top: Mapping[str, str], provider: Mapping[str, str | int | None]) -> str:
    """Set keys at the top level of Codex's config.toml and in its table `model_providers.gateway`.

    None takes a key of that table away.
    """
    try:
        document = tomlkit.parse(text)
        for name, value in top.items():
            document[name] = value
        if "model_providers" not in document:
            document["model_providers"] = tomlkit.table(is_super_table=True)
        providers = document["model_providers"]
        if not isinstance(providers, MutableMapping):
            raise EditError("`model_providers` is not a table")
        if "gateway" not in providers:
            inline = isinstance(providers, InlineTable)
            providers["gateway"] = tomlkit.inline_table() if inline else tomlkit.table()
        table = providers["gateway"]
        if not isinstance(table, MutableMapping):
            raise EditError("`model_providers.gateway` is not a table")
        for name, setting in provider.items():
            if setting is None:
                table.pop(name, None)
            else:
                table[name] = setting
        # tomlkit places a new top-level key before the first table, as TOML wants it.
        written = tomlkit.dumps(document)
        tomlkit.parse(written)
    except TOMLKitError as error:
        raise EditError(f"it is not TOML: {error}") from error
    return written


def json_env(text: str, values: Mapping[str, str]) -> str:
    """Set members of the object `env` in a JSON settings file, Claude Code's form."""
    try:
        document = json.loads(text) if text.strip() else {}
    except ValueError as error:
        raise EditError(f"it is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise EditError("it is not a JSON object")
    env: JSON | None = document.setdefault("env", {})
    if not isinstance(env, dict):
        raise EditError("`env` is not an object")
    env.update(values)
    return json.dumps(document, indent=_indent_of(text), ensure_ascii=False) + "\n"


def _indent_of(text: str) -> int | str:
    found = re.search(r"\n([ \t]+)\S", text)
    if found is None:
        return 2
    return "\t" if "\t" in found[1] else len(found[1])


def dotenv(text: str, values: Mapping[str, str]) -> str:
    """Set variables in a file of `NAME=value` lines."""
    lines = text.splitlines()
    for name, value in values.items():
        line = f"{name}={value}"
        places = [n for n, old in enumerate(lines) if re.match(rf"\s*(export\s+)?{re.escape(name)}\s*=", old)]
        if places:
            lines[places[-1]] = "export " + line if re.match(r"\s*export\s", lines[places[-1]]) else line
        else:
            lines.append(line)
    return "\n".join([*lines, ""])
