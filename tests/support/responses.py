"""Answers of a scripted upstream that speaks the Responses API, streamed or whole as the request asks.

upstream.answers(Responses(reasoning("Hm."), message("Hello there.")), Responses(function_call("f", {"a": 1})))
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.support.answers import Answer, json_answer

JSON = dict[str, Any]
USAGE: JSON = {
    "input_tokens": 20,
    "input_tokens_details": {"cached_tokens": 8},
    "output_tokens": 5,
    "output_tokens_details": {"reasoning_tokens": 2},
    "total_tokens": 25,
}


@dataclass(frozen=True)
class Responses:
    """One answer, of whole items."""

    items: tuple[JSON, ...] = ()
    members: JSON = field(default_factory=dict)
    """Members of the final response that are not as usual: `status`, `incomplete_details`, `error`."""

    def __init__(self, *items: JSON, **members: Any) -> None:
        object.__setattr__(self, "items", items)
        object.__setattr__(self, "members", members)

    @property
    def final(self) -> JSON:
        """The response at its end."""
        return {**_response("completed"), "output": list(self.items), "usage": USAGE, **self.members}

    def whole(self) -> Answer:
        """The answer as one object."""
        return json_answer(self.final)

    def streamed(self) -> Answer:
        """The answer as a stream, one step for each event, texts word by word."""
        events = [
            {"type": f"response.{name}", "response": _response("in_progress")} for name in ("created", "in_progress")
        ]
        for index, item in enumerate(self.items):
            events += _item(index, item)
        events.append({"type": f"response.{self.final['status']}", "response": self.final})
        steps = tuple(_frame(event, number) for number, event in enumerate(events))
        return Answer(steps, 200, {"content-type": "text/event-stream; charset=utf-8"})


def message(
    text: str = "", *, refusal: str = "", annotations: list[JSON] | None = None, status: str = "completed"
) -> JSON:
    """An answer in words."""
    part = {"type": "output_text", "text": text, "annotations": annotations or [], "logprobs": []}
    content = [{"type": "refusal", "refusal": refusal}] if refusal else [part]
    return {"id": "msg_1", "type": "message", "role": "assistant", "status": status, "content": content}


def reasoning(*summary: str, sealed: str | None = None) -> JSON:
    """A summary of reasoning, in parts."""
    parts = [{"type": "summary_text", "text": text} for text in summary]
    item: JSON = {"id": "rs_1", "type": "reasoning", "status": "completed", "summary": parts}
    return item if sealed is None else {**item, "encrypted_content": sealed}


def function_call(name: str, arguments: Any, *, id: str = "call_1", status: str = "completed") -> JSON:
    """A call of a function; arguments that are not a string are written as JSON."""
    written = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return {
        "id": f"fc_{id}",
        "type": "function_call",
        "status": status,
        "call_id": id,
        "name": name,
        "arguments": written,
    }


def custom_call(name: str, text: str, *, id: str = "call_1") -> JSON:
    """A call of a custom tool."""
    return {
        "id": f"ctc_{id}",
        "type": "custom_tool_call",
        "status": "completed",
        "call_id": id,
        "name": name,
        "input": text,
    }


def _response(status: str) -> JSON:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1700000000,
        "model": "upstream-model",
        "status": status,
        "error": None,
        "incomplete_details": None,
        "output": [],
        "usage": None,
    }


def _item(index: int, item: JSON) -> list[JSON]:
    blank = {
        key: "" if key in ("arguments", "input") else [] if key in ("content", "summary") else value
        for key, value in item.items()
    }
    blank.pop("encrypted_content", None)
    place = {"item_id": item["id"], "output_index": index}
    return [
        {"type": "response.output_item.added", "output_index": index, "item": {**blank, "status": "in_progress"}},
        *({**place, **event} for event in _deltas(item)),
        {"type": "response.output_item.done", "output_index": index, "item": item},
    ]


def _deltas(item: JSON) -> Iterator[JSON]:
    for member, kind in (("arguments", "function_call_arguments"), ("input", "custom_tool_call_input")):
        for piece in _words(item.get(member, "")):
            yield {"type": f"response.{kind}.delta", "delta": piece}
    for index, part in enumerate(item.get("summary", ())):
        for piece in _words(part["text"]):
            yield {"type": "response.reasoning_summary_text.delta", "summary_index": index, "delta": piece}
    for index, part in enumerate(item.get("content", ())):
        kind = "refusal" if part["type"] == "refusal" else "output_text"
        for piece in _words(part.get("text") or part.get("refusal") or ""):
            yield {"type": f"response.{kind}.delta", "content_index": index, "delta": piece, "logprobs": []}
        for annotation in part.get("annotations", ()):
            yield {"type": "response.output_text.annotation.added", "content_index": index, "annotation": annotation}


def _words(text: str) -> list[str]:
    pieces = text.split(" ")
    return [piece for piece in (pieces[:1] + [f" {piece}" for piece in pieces[1:]]) if piece]


def _frame(event: JSON, number: int) -> bytes:
    data = json.dumps({**event, "sequence_number": number}, ensure_ascii=False)
    return f"event: {event['type']}\ndata: {data}\n\n".encode()
