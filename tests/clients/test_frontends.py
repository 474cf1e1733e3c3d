"""Other front ends, each at a pinned version and as its own docs set it up: a question, and the model's answer.

What they need beside an answer (unknown fields, `x-…` headers, a second request at once) is in the requests
that they really send. `docs/clients.md` lists what was tried.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import MODEL
from tests.support.answers import chat_text
from tests.support.clients import KEY, Run, client_binary, run_client
from tests.support.gateway import ROOT, Gateway
from tests.support.upstream import Upstream

pytestmark = pytest.mark.clients

LLM = ROOT / ".clients" / "llm"
ANSWER = "pong from the model"

Ask = Callable[..., Run]


@pytest.fixture
def ask(tmp_path: Path, upstream: Upstream) -> Ask:
    """Run a front end in an empty home with these files; the model always answers the same."""
    upstream.always(chat_text(ANSWER, reasoning="They say ping."))

    def run(command: list[str], files: dict[str, Any] | None = None, **env: str) -> Run:
        for name, content in (files or {}).items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content if isinstance(content, str) else json.dumps(content))
        done = run_client(command, {"HOME": str(tmp_path), **env}, tmp_path, 120)
        assert done.code == 0, done
        assert ANSWER in done.stdout, done
        assert all(request.headers["authorization"] == f"Bearer {KEY}" for request in upstream.asked)
        assert {body["model"] for body in upstream.chats} == {MODEL}
        return done

    return run


def base_url(gateway: Gateway, dialect: str, *, v1: bool = True) -> str:
    url = gateway.chat_url if dialect == "chat" else gateway.responses_url
    return url if v1 else url.removesuffix("/v1")


@pytest.mark.parametrize(
    ("dialect", "package"),
    [
        ("chat", "@ai-sdk/openai-compatible"),
        ("responses", "@ai-sdk/openai"),
        ("messages", "@ai-sdk/anthropic"),
    ],
)
def test_opencode(ask: Ask, agents: Gateway, dialect: str, package: str) -> None:
    binary = client_binary("opencode-ai", "opencode")
    provider = {
        "npm": package,
        "name": "gw",
        "options": {"baseURL": base_url(agents, dialect), "apiKey": KEY},
        "models": {MODEL: {"name": MODEL, "limit": {"context": 128_000, "output": 4096}}},
    }
    config = {"model": f"gw/{MODEL}", "small_model": f"gw/{MODEL}", "provider": {"gw": provider}}
    ask([binary, "run", "ping"], {"opencode.json": config})


@pytest.mark.parametrize(
    ("dialect", "api", "v1"),
    [
        ("chat", "openai-completions", True),
        ("responses", "openai-responses", True),
        ("messages", "anthropic-messages", False),
    ],
)
def test_pi(ask: Ask, agents: Gateway, dialect: str, api: str, v1: bool) -> None:
    binary = client_binary("@mariozechner/pi-coding-agent", "pi")
    provider = {"baseUrl": base_url(agents, dialect, v1=v1), "apiKey": KEY, "api": api, "models": [{"id": MODEL}]}
    models = {".pi/agent/models.json": {"providers": {"gw": provider}}}
    ask([binary, "--provider", "gw", "--model", MODEL, "-p", "ping"], models)


def test_qwen_code(ask: Ask, agents: Gateway) -> None:
    binary = client_binary("@qwen-code/qwen-code", "qwen")
    env = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": agents.chat_url, "OPENAI_MODEL": MODEL}
    ask([binary, "--auth-type", "openai", "--yolo", "-p", "ping"], **env)


def test_continue(ask: Ask, agents: Gateway) -> None:
    binary = client_binary("@continuedev/cli", "cn")
    model = {"name": "gw", "provider": "openai", "model": MODEL, "apiBase": agents.chat_url, "apiKey": KEY}
    # JSON is YAML.
    config = {"name": "gw", "version": "0.0.1", "schema": "v1", "models": [model]}
    ask([binary, "-p", "--config", "config.yaml", "ping"], {"config.yaml": config})


@pytest.mark.parametrize("flags", [[], ["--no-stream"]], ids=["streamed", "whole"])
@pytest.mark.parametrize("dialect", ["chat", "responses"])
def test_llm(ask: Ask, agents: Gateway, dialect: str, flags: list[str]) -> None:
    if not LLM.is_dir():
        reason = f"llm is not in {LLM}; run `make test`"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    model = {"model_id": "gw", "model_name": MODEL, "api_base": base_url(agents, dialect), "api_key_name": "gw"}
    if dialect == "responses":
        model["responses"] = True
    command = [sys.executable, "-m", "llm", "-m", "gw", "--key", KEY, *flags, "ping"]
    ask(command, {"extra-openai-models.yaml": [model]}, LLM_USER_PATH=".", PYTHONPATH=str(LLM))
