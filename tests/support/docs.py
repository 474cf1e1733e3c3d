"""The parts of the docs that are made from the code, between `<!-- name -->` and `<!-- /name -->`.

    python -m tests.support.docs        (or `make docs`) writes them anew

A test compares them, so they cannot fall behind.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from gateway.config import settings_table
from gateway.dialects.messages import request as messages
from gateway.dialects.responses.fields import FATES
from gateway.setup.texts import CLIENTS, Addresses, fill, for_key
from tests.support.codex_proxy_differences import table
from tests.support.gateway import ROOT

PLACES = Addresses("http://GATEWAY:5101", "http://GATEWAY:5102")

FATE_WORDS = {
    "mapped": "mapped: has a form of its own in Chat",
    "copied": "copied: means the same in Chat",
    "stored": "answered from stored responses; refused with 400 where what they name is not known",
    "echoed": "echoed in the answer, not sent on: it concerns OpenAI's servers",
    "dropped": "left out and listed in `x-gateway-warnings`",
    "silent": "left out without a word: it says nothing to a model",
    "rejected": "refused with 400: without it the answer would not be the one asked for",
}

FRONT_ENDS = [
    ("Codex", "@openai/codex", "Responses", "tests/clients/test_codex.py"),
    ("Claude Code", "@anthropic-ai/claude-code", "Messages", "tests/clients/test_claude.py"),
    ("opencode", "opencode-ai", "Chat, Responses, Messages", "tests/clients/test_frontends.py"),
    ("pi", "@mariozechner/pi-coding-agent", "Chat, Responses, Messages", "tests/clients/test_frontends.py"),
    ("Qwen Code", "@qwen-code/qwen-code", "Chat", "tests/clients/test_frontends.py"),
    ("Continue CLI", "@continuedev/cli", "Chat", "tests/clients/test_frontends.py"),
    ("Vercel AI SDK, stored responses", "ai", "Responses", "tests/clients/test_stored.py"),
]
OTHERS = [
    ("llm", "llm", "requirements-llm.txt", "Chat, Responses"),
    ("openai-agents, stored responses", "openai-agents", "requirements-agents.txt", "Responses"),
    ("LangChain, stored responses", "langchain-openai", "requirements-agents.txt", "Responses"),
    ("anthropic (Python), old", "anthropic", "requirements-anthropic-0.txt", "Messages"),
]
SDKS = [("anthropic (Python)", "anthropic", "Messages"), ("openai (Python)", "openai", "Chat, Responses")]
BY_HAND = [("Open WebUI", "0.12.4", "Chat"), ("aider", "0.86.2", "Chat")]


def fates() -> str:
    """Return the fates of the fields of a Responses request."""
    rows = ["| Fate | Fields |", "|---|---|"]
    for fate, words in FATE_WORDS.items():
        names = [name for name, one in FATES.items() if one == fate and not name.startswith("_")]
        rows.append(f"| {words} | {_names(names)} |")
    return "\n".join(rows)


def message_fates() -> str:
    """Return the fates of the members of a Messages request."""
    rows = ["| Fate | Members |", "|---|---|"]
    rows.append(f"| mapped | {_names(sorted(messages.TRANSLATED))} |")
    rows.append(f"| copied | {_names(messages.COPIED)} |")
    rows.append(f"| left out without a word | {_names(sorted(messages.SILENT))} |")
    rows.append("| left out and listed in `x-gateway-warnings` | any other |")
    return "\n".join(rows)


def _names(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in names)


def texts() -> str:
    """Return what to paste into each client."""
    parts = []
    for client in (for_key(client, "own") for client in CLIENTS):
        parts.append(f"### {client.title}")
        if client.note:
            parts.append(fill(" ".join(client.note), PLACES, "MODEL"))
        for snippet in client.snippets:
            parts.append(f"{snippet.where}:\n\n```{snippet.language}\n{fill(snippet.text, PLACES, 'MODEL')}```")
    return "\n\n".join(parts)


def tried() -> str:
    """Return which front ends were tried, with their versions."""
    pins = json.loads((ROOT / "tests/clients/package.json").read_text())["dependencies"]
    rows = ["| Client | Version | Dialects | How |", "|---|---|---|---|"]
    rows += [f"| {title} | {pins[package]} | {dialects} | test |" for title, package, dialects, _ in FRONT_ENDS]
    for title, package, file, dialects in OTHERS:
        rows.append(f"| {title} | {_pinned(package, f'tests/clients/{file}')} | {dialects} | test |")
    for title, package, dialects in (
        ("anthropic (Python)", "anthropic", "Messages"),
        ("openai (Python)", "openai", "all"),
    ):
        rows.append(f"| {title} | {_pinned(package, 'requirements-dev.txt')} | {dialects} | test |")
    rows.append("| a page of another origin, in Chromium | | Chat | test |")
    rows += [f"| {title} | {version} | {dialects} | by hand |" for title, version, dialects in BY_HAND]
    return "\n".join(rows)


def _pinned(package: str, file: str) -> str:
    found = re.search(rf"^{package}==(\S+)", (ROOT / file).read_text(), re.MULTILINE)
    assert found is not None, package
    return found[1]


MADE: dict[str, dict[str, Callable[[], str]]] = {
    "README.md": {"tried": tried, "settings": lambda: settings_table().strip()},
    "docs/configuration.md": {"settings": lambda: settings_table().strip()},
    "docs/api.md": {"responses": fates, "messages": message_fates},
    "docs/clients.md": {"texts": texts, "tried": tried},
    "docs/codex-proxy.md": {"differences": table},
}


def made_anew(name: str) -> str:
    """Return the text of a page with its parts made anew."""
    text = (ROOT / name).read_text()
    for mark, make in MADE[name].items():
        part = f"<!-- {mark} -->\n{make()}\n<!-- /{mark} -->"
        text, count = re.subn(rf"<!-- {mark} -->\n.*?<!-- /{mark} -->", lambda _: part, text, flags=re.DOTALL)  # noqa: B023
        assert count == 1, f"{name} has no place for {mark}"
    return text


if __name__ == "__main__":
    for page in MADE:
        (ROOT / page).write_text(made_anew(page))
