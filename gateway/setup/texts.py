"""The text to paste into each client: one source for the page, `setup` and the docs. Pure.

A text has marks for what differs from house to house:

    {chat}       base URL of the chat port, without `/v1`
    {responses}  base URL of the responses port, without `/v1`
    {model}      a model's name

A name or address goes in only if it has no character that means something to a shell, TOML, YAML or JSON:
texts are pasted into terminals, and the names in them come from an upstream.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

PLACEHOLDER_MODEL = "MODEL"
KEY_VARIABLE = "GATEWAY_API_KEY"
"""Environment variable that texts take the key from."""

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]*")
_SAFE_URL = re.compile(r"https?://[A-Za-z0-9._:\[\]-]+(/[A-Za-z0-9._/-]*)?")

Surface = Literal["chat", "responses"]


class Snippet(NamedTuple):
    """One text to paste."""

    where: str
    """File or place that it belongs to."""
    language: str
    text: str


class Client(NamedTuple):
    """One client program."""

    id: str
    title: str
    surface: Surface
    """The port that it is pointed at; decides which models are offered for it."""
    note: str
    snippets: tuple[Snippet, ...]


CLIENTS: tuple[Client, ...] = (
    Client(
        "codex",
        "Codex",
        "responses",
        "model_catalog_url tells Codex the context size and gives it apply_patch. Start it with the key in "
        "GATEWAY_API_KEY.",
        (
            Snippet(
                "~/.codex/config.toml",
                "toml",
                """\
model = "{model}"
model_provider = "gateway"

[model_providers.gateway]
name = "Gateway"
base_url = "{responses}/v1"
model_catalog_url = "{responses}/v1/models"
env_key = "GATEWAY_API_KEY"
wire_api = "responses"
stream_idle_timeout_ms = 600000
""",
            ),
            Snippet("terminal", "sh", "export GATEWAY_API_KEY=your-key\ncodex\n"),
        ),
    ),
    Client(
        "claude",
        "Claude Code",
        "responses",
        "The small model does background work such as titles; any name of the list serves.",
        (
            Snippet(
                "terminal",
                "sh",
                """\
export ANTHROPIC_BASE_URL={responses}
export ANTHROPIC_AUTH_TOKEN=your-key
export ANTHROPIC_MODEL={model}
export ANTHROPIC_DEFAULT_HAIKU_MODEL={model}
claude
""",
            ),
            Snippet(
                "~/.claude/settings.json",
                "json",
                """\
{
  "env": {
    "ANTHROPIC_BASE_URL": "{responses}",
    "ANTHROPIC_MODEL": "{model}",
    "ANTHROPIC_DEFAULT_HAIKU_MODEL": "{model}"
  }
}
""",
            ),
        ),
    ),
    Client(
        "xcode",
        "Xcode",
        "chat",
        "Settings, Intelligence, Add a Model Provider, Internet Hosted. With the header Authorization instead, "
        "type Bearer and a blank before the key.",
        (
            Snippet(
                "Internet Hosted",
                "text",
                "URL             {chat}\nAPI Key         your-key\n"
                "API Key Header  x-api-key\nDescription     Gateway\n",
            ),
        ),
    ),
    Client(
        "lobechat",
        "LobeChat",
        "chat",
        "On the page of the OpenAI provider, or in the environment of its server. Its Responses switch wants "
        "{responses}/v1. Use Client-Side Fetching works too.",
        (
            Snippet("AI Service Provider, OpenAI", "text", "API Key        your-key\nAPI Proxy URL  {chat}/v1\n"),
            Snippet(
                "environment", "sh", "OPENAI_PROXY_URL={chat}/v1\nOPENAI_API_KEY=your-key\nOPENAI_MODEL_LIST=+{model}\n"
            ),
        ),
    ),
    Client(
        "openwebui",
        "Open WebUI",
        "chat",
        "Admin Panel, Settings, Connections, OpenAI API; or the environment of its server. Direct connections work "
        "too.",
        (
            Snippet("OpenAI API connection", "text", "URL  {chat}/v1\nKey  your-key\n"),
            Snippet(
                "environment",
                "sh",
                "OPENAI_API_BASE_URL={chat}/v1\nOPENAI_API_KEY=your-key\nENABLE_OLLAMA_API=False\n",
            ),
        ),
    ),
    Client(
        "continue",
        "Continue",
        "chat",
        "",
        (
            Snippet(
                "~/.continue/config.yaml",
                "yaml",
                """\
name: Gateway
version: 0.0.1
schema: v1
models:
  - name: Gateway
    provider: openai
    model: {model}
    apiBase: {chat}/v1
    apiKey: your-key
""",
            ),
        ),
    ),
    Client(
        "aider",
        "aider",
        "chat",
        "",
        (
            Snippet(
                "terminal",
                "sh",
                """\
export OPENAI_API_BASE={chat}/v1
export OPENAI_API_KEY=your-key
aider --model openai/{model}
""",
            ),
        ),
    ),
    Client(
        "curl",
        "curl",
        "responses",
        "",
        (
            Snippet(
                "Responses",
                "sh",
                """\
curl {responses}/v1/responses -H "Authorization: Bearer $GATEWAY_API_KEY" \\
  -H "Content-Type: application/json" -d '{"model": "{model}", "input": "Say hi."}'
""",
            ),
            Snippet(
                "Messages",
                "sh",
                """\
curl {responses}/v1/messages -H "x-api-key: $GATEWAY_API_KEY" -H "Content-Type: application/json" \\
  -d '{"model": "{model}", "max_tokens": 500, "messages": [{"role": "user", "content": "Say hi."}]}'
""",
            ),
            Snippet(
                "Chat Completions",
                "sh",
                """\
curl {chat}/v1/chat/completions -H "Authorization: Bearer $GATEWAY_API_KEY" \\
  -H "Content-Type: application/json" -d '{"model": "{model}", "messages": [{"role": "user", "content": "Say hi."}]}'
""",
            ),
        ),
    ),
)

BY_ID = {client.id: client for client in CLIENTS}


class Addresses(NamedTuple):
    """Where clients reach the gateway: base URLs without `/v1`."""

    chat: str
    responses: str


def fill(text: str, at: Addresses, model: str) -> str:
    """Return a text with the marks replaced; a model's name that is not safe to paste stays a placeholder."""
    named = model if _SAFE.fullmatch(model) else PLACEHOLDER_MODEL
    return text.replace("{chat}", at.chat).replace("{responses}", at.responses).replace("{model}", named)


def safe_url(text: str) -> bool:
    """Tell whether an address may stand in a text."""
    return _SAFE_URL.fullmatch(text) is not None
