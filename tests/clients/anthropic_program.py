"""A program that uses the anthropic Python SDK, of whichever version it finds, and prints what it received.

It is run as a process of its own, because two versions of one package do not fit into one interpreter. Loading the SDK
takes seconds, so one process serves all cases of a test run: each line of its input is a JSON object with `base_url`,
`key`, `model` and `case`, and each is answered by one line, with what was `received`, or the `fault`.

Answers are checked by the SDK against its types (`_strict_response_validation`).
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable
from typing import Any

import anthropic

TOOLS = [
    {
        "name": "get_weather",
        "description": "Tells the weather.",
        "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    }
]
ASKED = [{"role": "user", "content": "How is Paris?"}]


def whole(client: Any, model: str) -> Any:
    """An answer in one piece."""
    return client.messages.create(model=model, max_tokens=1000, messages=ASKED, tools=TOOLS).to_dict()


def raw_stream(client: Any, model: str) -> Any:
    """All events of a stream."""
    with client.messages.create(model=model, max_tokens=1000, messages=ASKED, tools=TOOLS, stream=True) as stream:
        return [event.to_dict() for event in stream]


def stream_helper(client: Any, model: str) -> Any:
    """The message that the SDK collects from a stream."""
    thinking = {"type": "enabled", "budget_tokens": 2000}
    with client.messages.stream(model=model, max_tokens=4000, messages=ASKED, tools=TOOLS, thinking=thinking) as stream:
        text = "".join(stream.text_stream)
        return {"text": text, "message": stream.get_final_message().to_dict()}


def failure(client: Any, model: str) -> Any:
    """The exception of an answer with an error status, whole; and of one that breaks, streamed."""
    try:
        whole(client, model)
    except anthropic.APIStatusError as error:
        seen = {"class": type(error).__name__, "status": error.status_code, "body": error.body}
    try:
        raw_stream(client, model)
    except anthropic.APIStatusError as error:
        return {**seen, "streamed": error.body}
    raise AssertionError("the broken stream did not fail")


def count(client: Any, model: str) -> Any:
    """A count of tokens."""
    return client.messages.count_tokens(model=model, messages=ASKED, tools=TOOLS, system="Be kind.").to_dict()


def models(client: Any, model: str) -> Any:
    """The list of models, and one of them."""
    return {
        "ids": [entry.id for entry in client.models.list(limit=1000)],
        "one": client.models.retrieve(model).to_dict(),
    }


CASES: dict[str, Callable[[Any, str], Any]] = {
    case.__name__: case for case in (whole, raw_stream, stream_helper, failure, count, models)
}


def main() -> None:
    """Run the cases that are asked for."""
    for line in sys.stdin:
        asked = json.loads(line)
        client = anthropic.Anthropic(
            base_url=asked["base_url"], api_key=asked["key"], max_retries=0, _strict_response_validation=True
        )
        try:
            told = {"received": CASES[asked["case"]](client, asked["model"])}
        except Exception:
            told = {"fault": traceback.format_exc()}
        print(json.dumps({"version": anthropic.__version__, **told}, default=str), flush=True)


if __name__ == "__main__":
    main()
