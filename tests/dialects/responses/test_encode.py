"""The Responses encoder: every frame is what the published types say, and a client that joins it loses nothing."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel

from gateway.dialects.responses.context import Context, Tool
from gateway.dialects.responses.encode import CompactionEncoder, Encoder, error_code
from gateway.errors import (
    AuthenticationError,
    GatewayError,
    RequestError,
    RequestTimeout,
    UpstreamProtocol,
    UpstreamStatus,
    UpstreamTimeout,
)
from gateway.events import (
    Annotation,
    BlockEnd,
    BlockStart,
    Delta,
    Event,
    Failure,
    Finish,
    FinishReason,
    Start,
    Usage,
    check,
)
from tests.strategies import answers, one_by_one

JSON = dict[str, Any]

FUNCTION_TOOL = {
    "type": "function",
    "name": "run",
    "parameters": {"type": "object"},
    "strict": False,
    "description": None,
}
ECHO: JSON = {
    "background": False,
    "frequency_penalty": 0.0,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "model": "as-asked",
    "parallel_tool_calls": True,
    "presence_penalty": 0.0,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "store": False,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [FUNCTION_TOOL, {"type": "custom", "name": "apply_patch"}],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
TOOLS = {
    "run": Tool("function", "run"),
    "mcp__probe__add": Tool("function", "add", "mcp__probe"),
    "apply_patch": Tool("custom", "apply_patch"),
    "code__exec": Tool("custom", "exec", "code"),
    "tool_search": Tool("tool_search", "tool_search"),
    "local_shell": Tool("local_shell", "local_shell"),
    "shell": Tool("shell", "shell"),
    "patch_file": Tool("apply_patch", "apply_patch"),
}
NAMES = (*TOOLS, "never_offered")
USAGE = Usage(10, 7, 4, 3)

EVENT_TYPES: dict[str, type[BaseModel]] = {
    get_args(model.model_fields["type"].annotation)[0]: model for model in get_args(get_args(ResponseStreamEvent)[0])
}
EXTRA = {
    "frequency_penalty",  # Open Responses requires these three, OpenAI's package does not know them
    "presence_penalty",
    "store",
    "status",  # of a custom tool call: OpenAI sends it
    "bytes",  # of a delta's logprobs: OpenAI sends them
}


def encoder(make: type[Encoder] = Encoder, **facts: Any) -> Encoder:
    """Return an encoder with predictable ids and times."""
    counter = itertools.count(1)
    facts = {"echo": ECHO, "tools": TOOLS} | facts
    return make(Context(**facts), lambda prefix: f"{prefix}{next(counter)}", itertools.count(1000).__next__)


def seal(text: str) -> str:
    """Stand for the envelope."""
    return f"sealed:{text}"


def data(frame: bytes) -> JSON:
    """Take a frame apart, strictly, and check it against the published type of its event."""
    match = re.fullmatch(rb"event: ([a-z_.]+)\ndata: ([^\r\n]+)\n\n", frame)
    assert match
    event: JSON = json.loads(match[2])
    assert event["type"] == match[1].decode()
    validate(EVENT_TYPES[event["type"]], event)
    return event


def validate(model: type[BaseModel], value: JSON) -> None:
    """Check a value as strictly as the package's types allow: no member missing, none unknown."""
    response = value.get("response", value)
    if (response.get("error") or {}).get("code") in ("context_length_exceeded", "insufficient_quota"):
        # Sent by OpenAI and understood by Codex, yet not in the package's list.
        value = json.loads(json.dumps(value).replace(f'"{response["error"]["code"]}"', '"server_error"'))
    assert not set(unknown_members(model.model_validate(value))) - EXTRA


def unknown_members(value: object) -> Iterable[str]:
    """Find members that no field of the types takes."""
    if isinstance(value, BaseModel):
        yield from value.model_extra or ()
        for name in type(value).model_fields:
            yield from unknown_members(getattr(value, name))
    elif isinstance(value, list):
        for entry in value:
            yield from unknown_members(entry)


def encoded(events: Iterable[Event], **facts: Any) -> tuple[list[JSON], JSON]:
    """Encode an answer; return the data of its frames, and its body."""
    subject = encoder(**facts)
    stream = [data(frame) for event in events for frame in subject.feed(event)]
    return stream, subject.body


def types(stream: Iterable[JSON]) -> list[str]:
    """Name the events of a stream, shortly."""
    return [event["type"].removeprefix("response.") for event in stream]


def answer(*blocks: tuple[BlockStart, *tuple[Event, ...]], finish: Event | None = None) -> list[Event]:
    """Join blocks into an answer that the grammar allows."""
    events = [Start(), *itertools.chain(*blocks), finish or Finish("stop", usage=USAGE)]
    check(events)
    return events


def text(block: int, *texts: str, cut: bool = False) -> tuple[BlockStart, *tuple[Event, ...]]:
    """Make the events of a text block."""
    return (BlockStart(block, "text"), *(Delta(block, text) for text in texts), BlockEnd(block, cut=cut))


def refusal(block: int, *texts: str) -> tuple[BlockStart, *tuple[Event, ...]]:
    """Make the events of a refusal."""
    return (BlockStart(block, "refusal"), *(Delta(block, text) for text in texts), BlockEnd(block))


def reasoning(block: int, *texts: str, cut: bool = False) -> tuple[BlockStart, *tuple[Event, ...]]:
    """Make the events of a reasoning block."""
    return (BlockStart(block, "reasoning"), *(Delta(block, text) for text in texts), BlockEnd(block, cut=cut))


def call(block: int, name: str, *texts: str, cut: bool = False) -> tuple[BlockStart, *tuple[Event, ...]]:
    """Make the events of a tool call."""
    start = BlockStart(block, "tool_call", f"call_{block}", name)
    return (start, *(Delta(block, text) for text in texts), BlockEnd(block, cut=cut))


# --- the course of a stream ---


def test_text() -> None:
    """A text is announced, streamed and closed; the final object repeats the request."""
    stream, body = encoded(answer(text(0, "Hel", "lo")))
    assert types(stream) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    part = {"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}
    message = {"id": "msg_2", "type": "message", "status": "completed", "role": "assistant", "content": [part]}
    assert body == {
        "id": "resp_1",
        "object": "response",
        "created_at": 1000,
        "completed_at": 1001,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        **ECHO,
        "output": [message],
        "usage": {
            "input_tokens": 10,
            "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
            "output_tokens": 7,
            "output_tokens_details": {"reasoning_tokens": 3},
            "total_tokens": 17,
        },
    }
    begun = {**body, "status": "in_progress", "completed_at": None, "output": [], "usage": None}
    assert stream[0]["response"] == stream[1]["response"] == begun
    assert stream[2]["item"] == {**message, "status": "in_progress", "content": []}
    assert stream[-1]["response"] == body


def test_delta_bytes() -> None:
    """A delta's frame is whole, and its text is JSON whatever it holds."""
    subject = encoder()
    for event in (Start(), BlockStart(0, "text")):
        subject.feed(event)
    assert subject.feed(Delta(0, 'a"\n\u2028\U0001f600')) == [
        b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","item_id":"msg_2",'
        b'"output_index":0,"content_index":0,"delta":"a\\"\\n\xe2\x80\xa8\xf0\x9f\x98\x80","logprobs":[],'
        b'"sequence_number":4}\n\n'
    ]


def test_body_is_empty_before_the_end() -> None:
    """Nothing passes for an answer that is not complete."""
    subject = encoder()
    subject.feed(Start())
    assert subject.body == {}


def test_unknown_usage_is_null() -> None:
    """Figures are never invented here."""
    assert encoded(answer(finish=Finish("stop")))[1]["usage"] is None


# --- messages ---


def test_text_and_refusal_are_parts_of_one_message() -> None:
    """Blocks of text and refusal without another between share a message."""
    stream, body = encoded(answer(text(0, "a"), refusal(1, "no", "!"), text(2, "b")))
    assert [part["type"] for part in body["output"][0]["content"]] == ["output_text", "refusal", "output_text"]
    assert body["output"][0]["content"][1] == {"type": "refusal", "refusal": "no!"}
    assert [e["content_index"] for e in stream if "content_index" in e] == [0] * 4 + [1] * 5 + [2] * 4
    assert types(stream).count("output_item.done") == 1
    assert len(body["output"]) == 1


def test_another_item_ends_the_message() -> None:
    """Text after a call is a new message, and the first is closed before the call is announced."""
    stream, body = encoded(answer(text(0, "a"), call(1, "run", "{}"), text(2, "b")))
    assert [item["type"] for item in body["output"]] == ["message", "function_call", "message"]
    items = [(e["type"][21:], e["output_index"]) for e in stream if "item" in e]
    assert items == [("added", 0), ("done", 0), ("added", 1), ("done", 1), ("added", 2), ("done", 2)]


def test_a_message_outlives_the_start_of_a_call() -> None:
    """Where blocks overlap, each frame names its item, and each item closes with its own block."""
    events: list[Event] = [
        Start(),
        BlockStart(0, "text"),
        Delta(0, "a"),
        BlockStart(1, "tool_call", "call_1", "run"),
        Delta(1, "{"),
        Delta(0, "b"),
        BlockEnd(0),
        Delta(1, "}"),
        BlockEnd(1),
        Finish("tool_calls"),
    ]
    check(events)
    stream, body = encoded(events)
    deltas = [(e["output_index"], e["delta"]) for e in stream if "delta" in e]
    assert deltas == [(0, "a"), (1, "{"), (0, "b"), (1, "}")]
    assert body["output"][0]["content"][0]["text"] == "ab"
    assert body["output"][1]["arguments"] == "{}"


def test_logprobs() -> None:
    """Token probabilities stand beside the delta, at the end and in the part; what is no object is left out."""
    rival = {"token": "b", "logprob": -2, "bytes": [98]}
    tokens: list[Any] = [
        {"token": "\xe9", "logprob": -0.5, "bytes": None, "top_logprobs": [rival, 3]},
        {"token": 1},
        None,
    ]
    stream, body = encoded(answer((BlockStart(0, "text"), Delta(0, "\xe9", tokens), Delta(0, "x"), BlockEnd(0))))
    spelled = [
        {
            "token": "\xe9",
            "bytes": [195, 169],
            "logprob": -0.5,
            "top_logprobs": [{"token": "b", "bytes": [98], "logprob": -2.0}],
        },
        {"token": "", "bytes": [], "logprob": 0.0, "top_logprobs": []},
    ]
    deltas = [event["logprobs"] for event in stream if event["type"].endswith("text.delta")]
    assert deltas == [spelled, []]
    assert body["output"][0]["content"][0]["logprobs"] == spelled
    assert next(e for e in stream if e["type"].endswith("output_text.done"))["logprobs"] == spelled


CITATION = {"type": "url_citation", "url": "http://a.example/", "title": "A", "start_index": 0, "end_index": 1}


def test_annotations() -> None:
    """Remarks are streamed and counted within their part; other blocks have no place for them."""
    remark = (Annotation(0, CITATION), Annotation(0, CITATION))
    stream, body = encoded(answer((BlockStart(0, "text"), Delta(0, "a"), *remark, BlockEnd(0))))
    added = [event for event in stream if event["type"] == "response.output_text.annotation.added"]
    assert [(event["annotation_index"], event["annotation"]) for event in added] == [(0, CITATION), (1, CITATION)]
    assert body["output"][0]["content"][0]["annotations"] == [CITATION, CITATION]


@pytest.mark.parametrize(
    "start",
    [BlockStart(0, "refusal"), BlockStart(0, "reasoning"), BlockStart(0, "tool_call", "c", "run")],
    ids=lambda start: start.kind,
)
@pytest.mark.parametrize("compaction", [False, True])
def test_annotations_of_other_blocks_are_not_shown(start: BlockStart, compaction: bool) -> None:
    """Only text can be annotated."""
    subject = encoder(compaction=compaction)
    for event in (Start(), start):
        subject.feed(event)
    assert subject.feed(Annotation(0, CITATION)) == []


# --- reasoning ---


def test_reasoning_as_content() -> None:
    """Without a wish for summaries the text is in `content`, and only there."""
    stream, body = encoded(answer(reasoning(0, "Hm", "m"), text(1, "a")))
    assert types(stream)[2:9] == [
        "output_item.added",
        "content_part.added",
        "reasoning_text.delta",
        "reasoning_text.delta",
        "reasoning_text.done",
        "content_part.done",
        "output_item.done",
    ]
    assert body["output"][0] == {
        "id": "rs_2",
        "type": "reasoning",
        "status": "completed",
        "summary": [],
        "content": [{"type": "reasoning_text", "text": "Hmm"}],
    }


def test_reasoning_as_summary() -> None:
    """Where a summary was asked for the text is in `summary`, and only there."""
    stream, body = encoded(answer(reasoning(0, "Hm", "m"), text(1, "a")), summary=True)
    assert types(stream)[2:9] == [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
    ]
    assert body["output"][0] == {
        "id": "rs_2",
        "type": "reasoning",
        "status": "completed",
        "summary": [{"type": "summary_text", "text": "Hmm"}],
    }
    assert "status" not in stream[7]


@pytest.mark.parametrize("summary", [False, True])
def test_sealed_reasoning(summary: bool) -> None:
    """The envelope is on the item that is done, not on the one announced."""
    stream, body = encoded(answer(reasoning(0, "Hmm")), summary=summary, seal=seal)
    assert "encrypted_content" not in stream[2]["item"]
    assert body["output"][0]["encrypted_content"] == "sealed:Hmm"


def test_reasoning_cut() -> None:
    """A summary that was cut says so in each form that has a place for it."""
    events = answer(reasoning(0, "Hm", cut=True), finish=Finish("length"))
    stream, body = encoded(events, summary=True)
    assert stream[-3]["status"] == "incomplete"
    assert body["output"][0]["status"] == "incomplete"
    assert encoded(events)[1]["output"][0]["status"] == "incomplete"


# --- calls ---


def test_function_call() -> None:
    """Arguments pass as they come, with the name and the namespace that the client knows."""
    stream, body = encoded(answer(call(0, "mcp__probe__add", '{"a"', ":1}")))
    assert types(stream)[2:-1] == [
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
    ]
    assert body["output"] == [
        {
            "id": "fc_2",
            "type": "function_call",
            "status": "completed",
            "call_id": "call_0",
            "name": "add",
            "namespace": "mcp__probe",
            "arguments": '{"a":1}',
        }
    ]
    assert stream[2]["item"] == {**body["output"][0], "status": "in_progress", "arguments": ""}


@pytest.mark.parametrize(
    ("sent", "cut", "arguments"),
    [("{a", False, "{a"), ("", False, "{}"), ('{"a', True, '{"a'), ("", True, "")],
    ids=["broken", "empty", "cut", "cut-empty"],
)
def test_function_arguments(sent: str, cut: bool, arguments: str) -> None:
    """Broken arguments are the client's to report; of a cut call nothing is made up, for it must not run."""
    finish = Finish("length" if cut else "tool_calls")
    stream, body = encoded(answer(call(0, "run", *filter(None, [sent]), cut=cut), finish=finish))
    assert body["output"][0]["arguments"] == arguments
    assert "".join(event["delta"] for event in stream if "delta" in event) == arguments
    assert body["output"][0]["status"] == ("incomplete" if cut else "completed")


def test_unknown_tool() -> None:
    """A call of what was never offered is a function call by that name."""
    item = encoded(answer(call(0, "nosuch.tool", "{}")))[1]["output"][0]
    assert (item["type"], item["name"], "namespace" in item) == ("function_call", "nosuch.tool", False)


def test_custom_tool_call() -> None:
    """The raw input streams out of the JSON that carries it."""
    pieces = ('{"input"', ':"*** Begin Patch\\n', '+say \\"', 'hi\\"\\n"', "}")
    stream, body = encoded(answer(call(0, "apply_patch", *pieces)))
    assert types(stream)[2:-1] == [
        "output_item.added",
        "custom_tool_call_input.delta",
        "custom_tool_call_input.delta",
        "custom_tool_call_input.delta",
        "custom_tool_call_input.done",
        "output_item.done",
    ]
    assert body["output"] == [
        {
            "id": "ctc_2",
            "type": "custom_tool_call",
            "status": "completed",
            "call_id": "call_0",
            "name": "apply_patch",
            "input": '*** Begin Patch\n+say "hi"\n',
        }
    ]


def test_custom_tool_call_held_back() -> None:
    """Another form than the canonical one leaves in a single delta."""
    stream, body = encoded(answer(call(0, "code__exec", '["no', 'de", "1"]')))
    assert [event["delta"] for event in stream if "delta" in event] == ["1"]
    assert (body["output"][0]["namespace"], body["output"][0]["name"]) == ("code", "exec")


def test_custom_tool_call_cut() -> None:
    """The input as far as it came, marked as incomplete."""
    body = encoded(answer(call(0, "code__exec", '{"input":"a\\'), finish=Finish("length")))[1]
    assert body["output"][0]["input"] == "a"
    events = answer(call(0, "code__exec", '{"input":"a\\', cut=True), finish=Finish("length"))
    assert encoded(events)[1]["output"][0]["status"] == "incomplete"


LOCAL = {"type": "exec", "command": [], "env": {}, "timeout_ms": None, "user": None, "working_directory": None}
SHELL = {"commands": [], "timeout_ms": None, "max_output_length": None}
BUILTIN: dict[str, tuple[str, str, JSON]] = {
    "tool-search": ("tool_search", '{"query":"add","limit":3}', {"arguments": {"query": "add", "limit": 3}}),
    "tool-search-broken": ("tool_search", '{"query":', {"arguments": {}}),
    "tool-search-no-object": ("tool_search", '["add"]', {"arguments": {}}),
    "tool-search-too-deep": ("tool_search", '{"a":' + "[" * 400 + "]" * 400 + "}", {"arguments": {}}),
    "local-shell": (
        "local_shell",
        '{"command":["ls","-l"],"env":{"A":"1","B":2},"timeout_ms":5,"user":"u","working_directory":"/w"}',
        {
            "action": {
                "type": "exec",
                "command": ["ls", "-l"],
                "env": {"A": "1"},
                "timeout_ms": 5,
                "user": "u",
                "working_directory": "/w",
            }
        },
    ),
    "local-shell-line": (
        "local_shell",
        '{"command":"ls | wc","workdir":"/w","timeout_ms":true,"user":1}',
        {"action": {**LOCAL, "command": ["bash", "-lc", "ls | wc"], "working_directory": "/w"}},
    ),
    "local-shell-broken": ("local_shell", "ls", {"action": LOCAL}),
    "shell": (
        "shell",
        '{"commands":["ls","pwd",1],"timeout_ms":5,"max_output_length":9}',
        {"action": {"commands": ["ls", "pwd"], "timeout_ms": 5, "max_output_length": 9}},
    ),
    "shell-one-line": ("shell", '{"commands":"ls"}', {"action": {**SHELL, "commands": ["ls"]}}),
    "shell-command-line": ("shell", '{"command":"ls -l"}', {"action": {**SHELL, "commands": ["ls -l"]}}),
    "shell-command-list": ("shell", '{"command":["echo","a b"]}', {"action": {**SHELL, "commands": ["echo 'a b'"]}}),
    "shell-broken": ("shell", "{}", {"action": SHELL}),
    "patch-create": (
        "patch_file",
        '{"type":"create_file","path":"a","diff":"+x"}',
        {"operation": {"type": "create_file", "path": "a", "diff": "+x"}},
    ),
    "patch-delete-nested": (
        "patch_file",
        '{"operation":{"type":"delete_file","path":"a","diff":""}}',
        {"operation": {"type": "delete_file", "path": "a"}},
    ),
    "patch-broken": ("patch_file", '{"type":', {"operation": {"type": "update_file", "path": "", "diff": ""}}),
}
PREFIX = {"tool_search": "ts_", "local_shell": "lsh_", "shell": "sh_", "patch_file": "apc_"}


@pytest.mark.parametrize(("name", "arguments", "members"), BUILTIN.values(), ids=BUILTIN)
def test_builtin_calls(name: str, arguments: str, members: JSON) -> None:
    """A built-in tool's call is announced and closed; its content is made of whole arguments."""
    stream, body = encoded(answer(call(0, name, arguments[:5], *filter(None, [arguments[5:]]))))
    assert types(stream)[2:-1] == ["output_item.added", "output_item.done"]
    item = body["output"][0]
    assert item | members == item
    assert (item["id"], item["call_id"], item["status"]) == (f"{PREFIX[name]}2", "call_0", "completed")
    assert stream[2]["item"]["status"] == "in_progress"
    if name == "tool_search":
        assert item["execution"] == "client"


@pytest.mark.parametrize("name", PREFIX)
def test_builtin_calls_cut(name: str) -> None:
    """A call that was cut never looks complete; the type of a patch knows no incomplete one."""
    body = encoded(answer(call(0, name, '{"a', cut=True), finish=Finish("content_filter")))[1]
    assert body["output"][0]["status"] == ("in_progress" if name == "patch_file" else "incomplete")


# --- ends ---


@pytest.mark.parametrize(
    ("reason", "details"),
    [("length", "max_output_tokens"), ("content_filter", "content_filter")],
)
def test_incomplete(reason: FinishReason, details: str) -> None:
    """An answer that was cut is incomplete, and so is the item it was cut in; earlier ones are complete."""
    events = answer(reasoning(0, "a"), text(1, "b"), refusal(2, "c"), finish=Finish(reason, usage=USAGE))
    stream, body = encoded([*events[:-2], BlockEnd(2, cut=True), events[-1]])
    assert types(stream)[-1] == "incomplete"
    assert body["incomplete_details"] == {"reason": details}
    assert (body["status"], body["completed_at"]) == ("incomplete", None)
    assert [item["status"] for item in body["output"]] == ["completed", "incomplete"]
    assert body["usage"]["total_tokens"] == 17


@pytest.mark.parametrize("reason", ["stop", "tool_calls", "other"])
def test_completed(reason: FinishReason) -> None:
    """Every other reason completes the answer."""
    assert encoded(answer(text(0, "a"), finish=Finish(reason)))[1]["status"] == "completed"


def test_failure_closes_nothing() -> None:
    """Items done stay, an open one is neither closed nor shown."""
    events: list[Event] = [
        Start(),
        *call(0, "run", "{}"),
        BlockStart(1, "tool_call", "call_1", "run"),
        Delta(1, "{}"),
        Failure(UpstreamStatus("slow down, try again in 2s", status=429)),
    ]
    check(events)
    stream, body = encoded(events)
    assert types(stream)[-3:] == ["output_item.added", "function_call_arguments.delta", "failed"]
    assert [item["call_id"] for item in body["output"]] == ["call_0"]
    assert body["error"] == {"code": "rate_limit_exceeded", "message": "slow down, try again in 2s"}
    assert (body["status"], body["completed_at"], body["usage"]) == ("failed", None, None)
    assert stream[-1]["response"] == body


def test_failure_after_a_text_that_ended() -> None:
    """A message whose text ended is still open, as more may follow: a repeated request must not see it twice."""
    stream, body = encoded([Start(), *text(0, "a"), Failure(UpstreamProtocol("cut"))])
    assert "output_item.done" not in types(stream)
    assert body["output"] == []


def test_failure_before_the_start() -> None:
    """A stream that has no answer at all still begins in order."""
    stream, body = encoded([Failure(UpstreamTimeout("silent"))])
    assert types(stream) == ["created", "in_progress", "failed"]
    assert body["error"] == {"code": "server_error", "message": "silent"}


ERRORS: dict[str, tuple[GatewayError, str]] = {
    "context": (RequestError("x", code="context_length_exceeded"), "context_length_exceeded"),
    "context-in-a-stream": (UpstreamStatus("x", status=502, code="context_length_exceeded"), "context_length_exceeded"),
    "quota": (UpstreamStatus("x", status=429, code="insufficient_quota"), "insufficient_quota"),
    "quota-by-type": (UpstreamStatus("x", status=429, type="insufficient_quota"), "insufficient_quota"),
    "billing": (UpstreamStatus("x", status=400, code="billing_hard_limit_reached"), "insufficient_quota"),
    "payment": (UpstreamStatus("x", status=402), "insufficient_quota"),
    "rate": (UpstreamStatus("x", status=429), "rate_limit_exceeded"),
    "prompt": (UpstreamStatus("x", status=500, code="invalid_prompt"), "invalid_prompt"),
    "bad-request": (UpstreamStatus("x", status=400), "invalid_prompt"),
    "key": (AuthenticationError("x"), "invalid_prompt"),
    "timeout": (RequestTimeout("x"), "server_error"),
    "server": (UpstreamStatus("x", status=503, code="overloaded"), "server_error"),
    "ours": (GatewayError("x"), "server_error"),
}


@pytest.mark.parametrize(("error", "code"), ERRORS.values(), ids=ERRORS)
def test_error_codes(error: GatewayError, code: str) -> None:
    """The code tells a client whether to try again."""
    assert error_code(error) == code
    assert encoded([Start(), Failure(error)])[1]["error"]["code"] == code


# --- silence ---


def test_keepalive() -> None:
    """Silence is filled by a repeated `in_progress` that has its number and no output."""
    subject = encoder()
    stream = [data(frame) for event in [Start(), *text(0, "a")] for frame in subject.feed(event)]
    again = data(subject.keepalive())
    assert again == {**stream[1], "sequence_number": len(stream)}
    last = [data(frame) for frame in subject.feed(Finish("stop"))]
    assert last[0]["sequence_number"] == len(stream) + 1
    assert subject.keepalive() == b""


def test_keepalive_before_the_start() -> None:
    """It begins the answer, and the start does not do so again."""
    subject = encoder()
    first, second = subject.keepalive().split(b"\n\n")[:2]
    assert types([data(first + b"\n\n"), data(second + b"\n\n")]) == ["created", "in_progress"]
    assert subject.feed(Start()) == []
    assert data(subject.keepalive())["sequence_number"] == 2
    assert data(subject.feed(Finish("stop"))[0])["response"]["id"] == "resp_1"


# --- compaction ---


def test_compaction() -> None:
    """The text becomes one sealed item; reasoning and calls are not shown."""
    events = answer(reasoning(0, "Hmm"), text(1, "We ", "did"), refusal(2, "no"), call(3, "run", "{}"), text(4, "x"))
    stream, body = encoded(events, compaction=True, seal=seal)
    assert types(stream) == ["created", "in_progress", "output_item.added", "output_item.done", "completed"]
    assert body["output"] == [{"id": "cmp_2", "type": "compaction", "encrypted_content": "sealed:We did\n\nx"}]
    assert stream[2]["item"] == {**body["output"][0], "encrypted_content": ""}


def test_compaction_without_a_seal() -> None:
    """Plain text where the context seals nothing."""
    body = encoded(answer(text(0, "a")), compaction=True)[1]
    assert body["output"][0]["encrypted_content"] == "a"


def test_compaction_cut() -> None:
    """A summary that was cut is still one, in an incomplete answer."""
    stream, body = encoded(answer(text(0, "a", cut=True), finish=Finish("length")), compaction=True, seal=seal)
    assert (types(stream)[-1], len(body["output"])) == ("incomplete", 1)


@pytest.mark.parametrize("blocks", [(), (reasoning(0, "Hmm"),), (text(0, " \n"),)], ids=["none", "reasoning", "blank"])
def test_compaction_of_nothing_fails(blocks: tuple[Any, ...]) -> None:
    """An empty summary would wipe out the client's history."""
    stream, body = encoded(answer(*blocks), compaction=True, seal=seal)
    assert types(stream) == ["created", "in_progress", "failed"]
    assert body["error"]["code"] == "server_error"


def test_compacted() -> None:
    """The answer of the compaction path: exactly one item."""
    subject = encoder(CompactionEncoder, compaction=True, seal=seal)
    for event in answer(text(0, "a"), finish=Finish("stop")):
        subject.feed(event)
    answered = subject.body
    assert [item["id"] for item in answered["output"]] == ["cmp_2"]
    assert (answered["id"], answered["object"], answered["created_at"]) == ("resp_1", "response.compaction", 1000)
    assert answered["usage"]["total_tokens"] == 0


def test_compacted_without_a_summary() -> None:
    """There is no such answer without its item."""
    subject = encoder(CompactionEncoder, compaction=True, seal=seal)
    for event in answer():
        subject.feed(event)
    with pytest.raises(UpstreamProtocol, match="no summary"):
        _ = subject.body


# --- laws ---


def joined(stream: list[JSON]) -> list[JSON]:
    """Be a client: join the items from the stream, check the order of its events, return those that are done."""
    items: dict[int, JSON] = {}
    done: dict[int, JSON] = {}
    for event in stream:
        place = event.get("output_index")
        if place is None:
            continue
        assert place not in done
        if event["type"] == "response.output_item.added":
            assert place == len(items)
            items[place] = {"id": event["item"]["id"], "parts": {}, "texts": {}, "ended": {}}
            continue
        item = items[place]
        if event["type"] == "response.output_item.done":
            assert event["item"]["id"] == item["id"]
            assert item["parts"].keys() == item["ended"].keys()
            done[place] = compared(event["item"], item)
            continue
        assert event["item_id"] == item["id"]
        took_part(event, item)
    return [done[place] for place in sorted(done)]


def took_part(event: JSON, item: JSON) -> None:
    """Take one event between an item's start and its end."""
    index = event.get("content_index", event.get("summary_index"))
    if event["type"].endswith("part.added"):
        assert index == len(item["parts"])
        item["parts"][index] = event["part"]
    elif event["type"].endswith("part.done"):
        assert event["part"].get("text", event["part"].get("refusal")) == item["texts"].get(index, "")
        item["ended"][index] = event["part"]
    elif "delta" in event:
        assert event["delta"]
        assert index is None or index in item["parts"]
        assert index not in item["ended"]
        item["texts"][index] = item["texts"].get(index, "") + event["delta"]
    elif event["type"].endswith(".done"):
        whole = next(event[name] for name in ("text", "refusal", "arguments", "input") if name in event)
        assert whole == item["texts"].get(index, "")
    else:
        assert event["type"] == "response.output_text.annotation.added"


def compared(final: JSON, item: JSON) -> JSON:
    """Compare an item that is done with what its deltas told."""
    parts = [part for _, part in sorted(item["ended"].items())]
    match final["type"]:
        case "message":
            assert final["content"] == parts
        case "reasoning":
            assert (final["summary"] or final["content"]) == parts
        case "function_call":
            assert final["arguments"] == item["texts"].get(None, "")
        case "custom_tool_call":
            assert final["input"] == item["texts"].get(None, "")
    return final


@settings(deadline=None, max_examples=80)
@given(answers(names=NAMES))
@pytest.mark.parametrize("summary", [False, True])
def test_laws(summary: bool, events: list[Event]) -> None:
    """Numbers without gaps, one end, all opened is closed unless it failed, and the pieces make the whole."""
    check(events)
    stream, body = encoded(events, summary=summary, seal=seal)
    assert [event["sequence_number"] for event in stream] == list(range(len(stream)))
    assert types(stream)[:2] == ["created", "in_progress"]
    assert types(stream)[-1] == body["status"]
    assert sum("response" in event for event in stream) == 3
    assert stream[-1]["response"] == body
    assert joined(stream) == body["output"]
    validate(Response, body)
    added, done = (types(stream).count(f"output_item.{which}") for which in ("added", "done"))
    assert added == done or body["status"] == "failed"
    ids = [item["id"] for item in body["output"]]
    assert len({*ids, body["id"]}) == len(ids) + 1


@settings(deadline=None, max_examples=60)
@given(answers(names=NAMES, fail=False))
def test_streamed_and_whole_answers_are_equal(events: list[Event]) -> None:
    """Blocks in pieces or whole, overlapping or one by one: the body is the same."""
    whole = one_by_one(events)
    check(whole)
    assert encoded(events)[1] == encoded(whole)[1]


@settings(deadline=None, max_examples=40)
@given(answers(names=NAMES))
def test_compaction_laws(events: list[Event]) -> None:
    """Exactly one item, or a failure."""
    stream, body = encoded(events, compaction=True, seal=seal)
    assert joined(stream) == body["output"]
    assert [item["type"] for item in body["output"]] == ([] if body["status"] == "failed" else ["compaction"])


@settings(deadline=None, max_examples=30)
@given(answers(names=NAMES))
def test_keepalives_do_no_harm(events: list[Event]) -> None:
    """A keep-alive after every event leaves the answer and its numbering as they are."""
    subject = encoder()
    frames = b"".join(b"".join([subject.keepalive(), *subject.feed(event)]) for event in events)
    stream = [data(frame + b"\n\n") for frame in frames.split(b"\n\n")[:-1]]
    assert [event["sequence_number"] for event in stream] == list(range(len(stream)))
    assert types(stream).count("created") == 1
    assert joined(stream) == subject.body["output"]
