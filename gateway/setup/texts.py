"""The text to paste into each client: one source for the page, `setup` and the docs. Pure.

A text has marks for what differs from house to house:

    {chat}       base URL of the chat port, without `/v1`
    {responses}  base URL of the responses port, without `/v1`
    {port}       number of the chat port
    {model}      a model's name

They are written for a gateway whose clients send their own key; `for_key` makes them for one that needs none.

A name or address goes in only if it has no character that means something to a shell, TOML, YAML or JSON:
texts are pasted into terminals, and the names in them come from an upstream.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

PLACEHOLDER_MODEL = "MODEL"
KEY_VARIABLE = "GATEWAY_API_KEY"
"""Environment variable that texts take the key from."""
_PLACEHOLDER_KEY = "your-key"

KeyRule = Literal["own", "any", "held", "token"]
"""What a client has to send: a key of its own; whatever it likes; nothing, since the gateway holds the key; a token
in the key's place."""
KEY_RULES: tuple[KeyRule, ...] = ("own", "any", "held", "token")

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]*")
_SAFE_URL = re.compile(r"https?://[A-Za-z0-9._:\[\]-]+(/[A-Za-z0-9._/-]*)?")

Surface = Literal["chat", "responses"]


class Snippet(NamedTuple):
    """One text to paste."""

    where: str
    """File or place that it belongs to."""
    language: str
    text: str
    rules: tuple[KeyRule, ...] = ()
    """Where it fits; empty: everywhere."""


class Client(NamedTuple):
    """One client program."""

    id: str
    title: str
    surface: Surface
    """The port that it is pointed at; decides which models are offered for it."""
    note: tuple[str, ...]
    """Sentences; one that names a port which is not served is left out."""
    snippets: tuple[Snippet, ...]
    insists: tuple[KeyRule, ...] = ()
    """Where it wants a key although the gateway needs none."""
    keyless: str = ""
    """What it lacks without a key."""


_ALWAYS: tuple[KeyRule, ...] = ("any", "held")


CLIENTS: tuple[Client, ...] = (
    Client(
        "codex",
        "Codex",
        "responses",
        (
            "The two lines on top belong at the top of the file, before its first table.",
            "model_catalog_url tells Codex what the model can do.",
        ),
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
        insists=("any",),
        keyless="Without a key it asks for no catalog and knows little of its model; a client token helps.",
    ),
    Client(
        "claude",
        "Claude Code",
        "responses",
        (
            "Lines for a terminal, or settings.json to keep them.",
            "The small model does background work such as titles; any model of the list serves.",
        ),
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
        insists=_ALWAYS,
    ),
    Client(
        "xcode",
        "Xcode",
        "chat",
        ("Settings, Intelligence, Add a Model Provider.",),
        (
            Snippet(
                "Internet Hosted, its URL without /v1",
                "text",
                "URL             {chat}\nAPI Key         your-key\n"
                "API Key Header  x-api-key\nDescription     Gateway\n",
                ("own", "any", "token"),
            ),
            Snippet("Locally Hosted, on the gateway's own Mac", "text", "Port  {port}\n", ("any", "held")),
        ),
        insists=_ALWAYS,
    ),
    Client(
        "lobechat",
        "LobeChat",
        "chat",
        (
            "On the page of the OpenAI provider, or in the environment of its server.",
            "With its Responses switch on, the URL is {responses}/v1.",
            "Client-side fetching works as far as CORS_ALLOW_ORIGINS lets it.",
        ),
        (
            Snippet(
                "Settings, AI Service Provider, OpenAI", "text", "API Key        your-key\nAPI Proxy URL  {chat}/v1\n"
            ),
            Snippet(
                "environment", "sh", "OPENAI_PROXY_URL={chat}/v1\nOPENAI_API_KEY=your-key\nOPENAI_MODEL_LIST=+{model}\n"
            ),
        ),
        insists=_ALWAYS,
    ),
    Client(
        "openwebui",
        "Open WebUI",
        "chat",
        (
            "In the Admin Panel, or in the environment of its server.",
            "Direct connections work as far as CORS_ALLOW_ORIGINS lets them.",
        ),
        (
            Snippet("Settings, Connections, OpenAI API", "text", "URL  {chat}/v1\nKey  your-key\n"),
            Snippet(
                "environment",
                "sh",
                "OPENAI_API_BASE_URL={chat}/v1\nOPENAI_API_KEY=your-key\nENABLE_OLLAMA_API=False\n",
            ),
        ),
        insists=_ALWAYS,
    ),
    Client(
        "continue",
        "Continue",
        "chat",
        ("Its models called gpt-5 or o3 are asked by Responses: for those apiBase is {responses}/v1.",),
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
        insists=_ALWAYS,
    ),
    Client(
        "aider",
        "aider",
        "chat",
        (),
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
        insists=_ALWAYS,
    ),
    Client(
        "curl",
        "curl",
        "responses",
        (f"Your key is taken from the variable {KEY_VARIABLE}.",),
        (
            Snippet(
                "Responses",
                "sh",
                """\
curl {responses}/v1/responses \\
  -H "Authorization: Bearer $GATEWAY_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{"model": "{model}", "input": "Say hi."}'
""",
            ),
            Snippet(
                "Messages",
                "sh",
                """\
curl {responses}/v1/messages \\
  -H "x-api-key: $GATEWAY_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{"model": "{model}", "max_tokens": 500, "messages": [{"role": "user", "content": "Say hi."}]}'
""",
            ),
            Snippet(
                "Chat Completions",
                "sh",
                """\
curl {chat}/v1/chat/completions \\
  -H "Authorization: Bearer $GATEWAY_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{"model": "{model}", "messages": [{"role": "user", "content": "Say hi."}]}'
""",
            ),
        ),
    ),
)

BY_ID = {client.id: client for client in CLIENTS}


_HINTS: dict[KeyRule, str] = {
    "any": "This gateway asks for no key: any word will do where the client insists on one.",
    "held": "This client insists on a key, and what a client sends is used first: give it a key of your own.",
    "token": "The gateway holds the key: a client token stands in its place.",
}


def for_key(client: Client, rule: KeyRule) -> Client:
    """Return what a client is told where keys are handled in this way."""
    note = client.note
    snippets = [one for one in client.snippets if not one.rules or rule in one.rules]
    if needs_no_key(client, rule):
        note = tuple(sentence for sentence in (*note, client.keyless) if sentence and not _names_key(sentence))
        snippets = [one._replace(text=_without_key(one.text)) for one in snippets]
    if rule in _HINTS and any(_names_key(one.text) for one in snippets):
        note = (*note, _HINTS[rule])
    word = {"any": "any-word", "token": "your-token"}.get(rule, _PLACEHOLDER_KEY)
    filled = (one._replace(text=one.text.replace(_PLACEHOLDER_KEY, word)) for one in snippets)
    return client._replace(note=note, snippets=tuple(filled))


def needs_no_key(client: Client, rule: KeyRule) -> bool:
    """Tell whether a client is to send no key at all."""
    return rule in ("any", "held") and rule not in client.insists


def _without_key(text: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if not _names_key(line))


def _names_key(text: str) -> bool:
    return _PLACEHOLDER_KEY in text or KEY_VARIABLE in text


class Addresses(NamedTuple):
    """Where clients reach the gateway: base URLs without `/v1`."""

    chat: str
    responses: str


def fill(text: str, at: Addresses, model: str) -> str:
    """Return a text with the marks replaced; a model's name that is not safe to paste stays a placeholder."""
    named = model if _SAFE.fullmatch(model) else PLACEHOLDER_MODEL
    port = urlsplit(at.chat).port or (443 if at.chat.startswith("https:") else 80)
    places = {"{chat}": at.chat, "{responses}": at.responses, "{port}": str(port), "{model}": named}
    for mark, place in places.items():
        text = text.replace(mark, place)
    return text


def safe_url(text: str) -> bool:
    """Tell whether an address may stand in a text."""
    return _SAFE_URL.fullmatch(text) is not None
