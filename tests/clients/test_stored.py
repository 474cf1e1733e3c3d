"""Clients that rely on stored responses: the Agents SDK, Vercel's AI SDK, LangChain, the openai SDK."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.clients.conftest import MODEL
from tests.support.answers import chat_call, chat_text
from tests.support.clients import KEY, Run, client_library, run_client
from tests.support.gateway import ROOT, Gateway
from tests.support.upstream import Upstream

JSON = dict[str, Any]
AGENTS = ROOT / ".clients" / "agents"
PROGRAMS = ROOT / "tests" / "clients"

WEATHER = chat_call("get_weather", {"city": "Paris"}, reasoning="First the weather.", text="I look.", id="call_w")
SIZE = chat_call("get_size", {"city": "Paris"}, reasoning="Then the size.", id="call_s")


def python_program(name: str, folder: Path, *arguments: str) -> JSON:
    """Run a program over the libraries in `.clients/agents`; return what it printed."""
    if not AGENTS.is_dir():
        reason = f"the libraries are not in {AGENTS}; run `make test`"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    env = {"HOME": str(folder), "PYTHONPATH": str(AGENTS), "PYTHONDONTWRITEBYTECODE": "1"}
    return printed(run_client([sys.executable, "-S", str(PROGRAMS / name), *arguments], env, folder, 60))


def printed(run: Run) -> JSON:
    assert run.code == 0, run
    return run.events[-1]


def check_loop(upstream: Upstream) -> None:
    """Each step reached the model with all that was said before it, whatever little the client sent."""
    first, second, third = (body["messages"] for body in upstream.chats[:3])
    assert second[: len(first)] == first
    assert third[: len(second)] == second
    roles = [message["role"] for message in third if message["role"] != "system"]
    assert roles == ["user", "assistant", "tool", "assistant", "tool"]
    calls = [message for message in third if message["role"] == "assistant"]
    assert [message["tool_calls"][0]["id"] for message in calls] == ["call_w", "call_s"]
    assert [message["reasoning_content"] for message in calls] == ["First the weather.", "Then the size."]
    assert calls[0]["content"] == "I look."
    assert [message["content"] for message in third if message["role"] == "tool"] == ["sun in Paris", "Paris is big"]


@pytest.mark.clients
@pytest.mark.parametrize("how", ["stream", "whole"])
def test_vercel_refers_to_earlier_items_over_three_steps(
    how: str, tmp_path: Path, agents: Gateway, upstream: Upstream
) -> None:
    modules = client_library("ai", "@ai-sdk/openai")
    upstream.answers(WEATHER, SIZE, chat_text("Sunny and big."))
    (tmp_path / "node_modules").symlink_to(modules)
    program = tmp_path / "steps.mjs"
    program.write_text((PROGRAMS / "vercel_steps.mjs").read_text())
    command = ["node", str(program), agents.responses_url, KEY, MODEL, how]
    assert printed(run_client(command, {"HOME": str(tmp_path)}, tmp_path, 60)) == {"text": "Sunny and big.", "steps": 3}
    check_loop(upstream)


@pytest.mark.clients
def test_the_agents_sdk_goes_on_by_the_previous_response(tmp_path: Path, agents: Gateway, upstream: Upstream) -> None:
    upstream.answers(WEATHER, SIZE, chat_text("Sunny and big."), chat_text("Welcome."))
    result = python_program("agents_program.py", tmp_path, agents.responses_url, KEY, MODEL)
    assert result == {"first": "Sunny and big.", "second": "Welcome."}
    check_loop(upstream)
    assert upstream.chats[3]["messages"][-2:] == [
        {"role": "assistant", "content": "Sunny and big."},
        {"role": "user", "content": "Thanks."},
    ]


@pytest.mark.clients
def test_langchain_goes_on_by_the_previous_response(tmp_path: Path, agents: Gateway, upstream: Upstream) -> None:
    upstream.answers(WEATHER, SIZE, chat_text("Sunny and big."), chat_text("Welcome."))
    result = python_program("langchain_program.py", tmp_path, agents.responses_url, KEY, MODEL)
    assert result == {"first": "Sunny and big.", "second": "Welcome."}
    check_loop(upstream)
    assert len(upstream.chats[3]["messages"]) == 7


@pytest.fixture
def client(agents: Gateway) -> Iterator[OpenAI]:
    """A client that raises where an answer does not fit its types."""
    with OpenAI(base_url=agents.responses_url, api_key=KEY, max_retries=0, _strict_response_validation=True) as made:
        yield made


def test_the_openai_sdk_retrieves_lists_and_removes(client: OpenAI, upstream: Upstream) -> None:
    upstream.answers(WEATHER, chat_text("Sunny."))
    first = client.responses.create(model=MODEL, input="How is Paris?", metadata={"a": "b"})
    output = {"type": "function_call_output", "call_id": "call_w", "output": "sun"}
    second = client.responses.create(
        model=MODEL,
        previous_response_id=first.id,
        input=[output, {"role": "user", "content": "And?"}],  # type: ignore[list-item]
    )
    assert second.previous_response_id == first.id
    assert client.responses.retrieve(second.id).output_text == "Sunny."
    assert client.responses.retrieve(first.id).metadata == {"a": "b"}

    items = list(client.responses.input_items.list(second.id, limit=1, order="asc"))
    assert [item.type for item in items] == ["function_call_output", "message"]
    assert next(iter(client.responses.input_items.list(first.id))).type == "message"

    with pytest.raises(openai.BadRequestError, match="background"):
        client.responses.cancel(second.id)
    client.responses.delete(second.id)
    for ask in (client.responses.retrieve, client.responses.delete, client.responses.input_items.list):
        with pytest.raises(openai.NotFoundError):
            ask(second.id)
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model=MODEL, previous_response_id=second.id, input="hi")
    assert (caught.value.code, caught.value.param) == ("previous_response_not_found", "previous_response_id")
