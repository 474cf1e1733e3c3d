"""The anthropic Python SDK, newest and 0.x, parses strictly what the gateway says.

The old version lies in a folder of its own, which `make clients` fills from requirements-anthropic-0.txt.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import MODEL
from tests.support.answers import chat_call, chat_text, error
from tests.support.gateway import ROOT, Gateway
from tests.support.sockets import KEY
from tests.support.upstream import Upstream

PROGRAM = Path(__file__).with_name("anthropic_program.py")
OLD = ROOT / ".clients" / "anthropic-0"


class Program:
    """The program with one version of the SDK."""

    def __init__(self, folder: Path | None) -> None:
        env = {"PATH": os.environ["PATH"], **({"PYTHONPATH": str(folder)} if folder else {})}
        self.folder = folder
        self._process = subprocess.Popen(
            [sys.executable, str(PROGRAM)], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, **asked: str) -> Any:
        """Return what the SDK received in a case. Raises: AssertionError with its traceback."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        told = json.loads(self._process.stdout.readline())
        assert "fault" not in told, told["fault"]
        assert told["version"].startswith("0.") == (self.folder is not None)
        return told["received"]

    def stop(self) -> None:
        """End it: its input is over."""
        self._process.communicate(timeout=20)
        assert self._process.returncode == 0


@pytest.fixture(scope="module", params=["newest", "0.x"])
def program(request: pytest.FixtureRequest) -> Iterator[Program]:
    """The SDK in both versions."""
    if request.param == "0.x" and not OLD.is_dir():
        reason = f"the old anthropic SDK is not in {OLD}; run `make clients`"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    started = Program(OLD if request.param == "0.x" else None)
    yield started
    started.stop()


@dataclass(frozen=True)
class Sdk:
    """An SDK in front of the gateway."""

    program: Program
    base_url: str

    def receive(self, case: str) -> Any:
        """Return what the SDK received in a case. Raises: AssertionError with its traceback."""
        return self.program.run(base_url=self.base_url, key=KEY, model=MODEL, case=case)


@pytest.fixture
def sdk(program: Program, agents: Gateway) -> Sdk:
    """The SDK, pointed at the gateway as a user would."""
    return Sdk(program, agents.responses_url.removesuffix("/v1"))


def test_a_whole_message(sdk: Sdk, upstream: Upstream) -> None:
    upstream.answers(chat_call("get_weather", {"city": "Paris"}, text="I look.").with_usage(11, 7))
    message = sdk.receive("whole")

    assert (message["type"], message["role"], message["model"]) == ("message", "assistant", MODEL)
    assert message["stop_reason"] == "tool_use"
    text, call = message["content"]
    assert (text["type"], text["text"]) == ("text", "I look.")
    assert (call["type"], call["name"], call["input"]) == ("tool_use", "get_weather", {"city": "Paris"})
    assert (message["usage"]["input_tokens"], message["usage"]["output_tokens"]) == (11, 7)
    assert "stream_options" not in upstream.chats[0]


def test_the_events_of_a_stream(sdk: Sdk, upstream: Upstream) -> None:
    upstream.answers(chat_call("get_weather", {"city": "Paris"}, text="I look.", reasoning="Which city?"))
    events = sdk.receive("raw_stream")

    assert [events[0]["type"], events[-2]["type"], events[-1]["type"]] == [
        "message_start",
        "message_delta",
        "message_stop",
    ]
    begun = [event for event in events if event["type"] == "content_block_start"]
    assert [event["index"] for event in begun] == [0, 1, 2]
    assert [event["content_block"]["type"] for event in begun] == ["thinking", "text", "tool_use"]
    order = [event["index"] for event in events if "index" in event]
    assert order == sorted(order)
    written = [event["delta"]["partial_json"] for event in events if "partial_json" in event.get("delta", {})]
    assert json.loads("".join(written)) == {"city": "Paris"}


def test_the_stream_helper_collects_the_message(sdk: Sdk, upstream: Upstream) -> None:
    upstream.answers(chat_text("It is sunny.", reasoning="Which city?"))
    received = sdk.receive("stream_helper")

    assert received["text"] == "It is sunny."
    thinking, text = received["message"]["content"]
    assert thinking["thinking"] == "Which city?"
    assert thinking["signature"]
    assert text["text"] == "It is sunny."
    assert received["message"]["stop_reason"] == "end_turn"


def test_errors_have_their_class(sdk: Sdk, upstream: Upstream) -> None:
    upstream.answers(
        error(429, "The upstream's own words.", type="rate_limit_error"),
        chat_text("This text will never be finished.").streamed().cut(700),
    )
    seen = sdk.receive("failure")

    assert (seen["class"], seen["status"]) == ("RateLimitError", 429)
    assert seen["body"]["type"] == seen["streamed"]["type"] == "error"
    assert seen["body"]["error"] == {"type": "rate_limit_error", "message": "The upstream's own words."}


def test_tokens_are_counted(sdk: Sdk, upstream: Upstream) -> None:
    assert 10 < sdk.receive("count")["input_tokens"] < 300
    assert upstream.asked == []


def test_models_are_listed(sdk: Sdk) -> None:
    received = sdk.receive("models")
    assert MODEL in received["ids"]
    assert (received["one"]["id"], received["one"]["type"]) == (MODEL, "model")
