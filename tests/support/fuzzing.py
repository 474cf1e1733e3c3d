"""Bodies and answers drawn at random, and what must hold for each of them through the whole application.

`PROPERTIES` are run quickly by `tests/reliability/test_fuzz.py` and for as long as one likes by `tests/fuzz.py`.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import strategies as st

from gateway.app import Gateway
from gateway.store import Bounds
from gateway.store.guarded import GuardedStore
from gateway.store.sqlite import SqliteStore
from gateway.upstream import UpstreamRequest
from tests.support.transport import (
    CHAT_PORT,
    RESPONSES_PORT,
    Scripted,
    ScriptedCall,
    ScriptedTransport,
    call,
    chunk,
    completion,
    gateway,
    sse,
)

JSON = dict[str, Any]

ERROR_MEMBERS = {"message", "type", "param", "code"}
PATHS = {"responses": "/v1/responses", "messages": "/v1/messages", "chat": "/v1/chat/completions"}
LAST = {
    "responses": ("response.completed", "response.incomplete", "response.failed"),
    "messages": ("message_stop", "error"),
}

FUNCTION = {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}}
FILE = "data:text/plain;base64,aGk="
IMAGE = "data:image/png;base64,iVBORw0KGgo="

RESPONSES: JSON = {
    "model": "m",
    "instructions": "be brief",
    "input": [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
        {"role": "developer", "content": "now"},
        {"type": "message", "role": "user", "content": [{"type": "input_image", "image_url": IMAGE, "detail": "low"}]},
        {"type": "message", "role": "user", "content": [{"type": "input_file", "file_data": FILE, "filename": "a"}]},
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "t"}],
            "encrypted_content": "x",
        },
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a":"b"}'},
        {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "done"}]},
        {"type": "custom_tool_call", "call_id": "c2", "name": "apply_patch", "input": "*** Begin Patch"},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": "ok"},
        {
            "type": "local_shell_call",
            "call_id": "c3",
            "status": "completed",
            "action": {"type": "exec", "command": ["a"]},
        },
        {"type": "local_shell_call_output", "call_id": "c3", "output": "ok"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "x", "annotations": []}]},
    ],
    "tools": [
        {"type": "function", **FUNCTION, "strict": True},
        {"type": "custom", "name": "apply_patch", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}},
        {"type": "local_shell"},
        {"type": "namespace", "name": "ns", "tools": [{"type": "function", **FUNCTION}]},
        {"type": "web_search", "search_context_size": "low"},
        {"type": "tool_search"},
    ],
    "tool_choice": {"type": "function", "name": "f"},
    "parallel_tool_calls": True,
    "reasoning": {"effort": "high", "summary": "auto"},
    "include": ["reasoning.encrypted_content"],
    "text": {"verbosity": "low", "format": {"type": "json_schema", "name": "s", "schema": {"type": "object"}}},
    "max_output_tokens": 100,
    "temperature": 0.5,
    "top_p": 1,
    "top_logprobs": 2,
    "metadata": {"a": "b"},
    "store": False,
    "truncation": "auto",
    "service_tier": "auto",
    "prompt_cache_key": "k",
    "user": "u",
}
MESSAGES: JSON = {
    "model": "m",
    "max_tokens": 100,
    "system": [{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "hi"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "t", "signature": "s"},
                {"type": "text", "text": "x"},
                {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": "b"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "t1",
                    "content": [{"type": "text", "text": "ok"}],
                    "is_error": False,
                },
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
                {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "d"}},
            ],
        },
        {"role": "user", "content": "go on"},
    ],
    "tools": [
        {"name": "f", "description": "d", "input_schema": {"type": "object", "properties": {"a": {"type": "string"}}}},
        {"type": "web_search_20250305", "name": "web_search"},
    ],
    "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "stop_sequences": ["x"],
    "temperature": 0.5,
    "top_k": 4,
    "metadata": {"user_id": "u"},
    "output_config": {"effort": "low"},
}
CHAT: JSON = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "s"},
        {
            "role": "user",
            "content": [{"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {"url": IMAGE}}],
        },
        {
            "role": "assistant",
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c", "content": "ok"},
    ],
    "tools": [{"type": "function", "function": FUNCTION}],
    "tool_choice": "auto",
    "stream_options": {"include_usage": True},
    "temperature": 0.5,
}
BODIES: Mapping[str, JSON] = {"responses": RESPONSES, "messages": MESSAGES, "chat": CHAT}


# --- what is drawn ------------------------------------------------------------------------------------------

NAMES = ["f", "m", "auto", "none", "required", "user", "assistant", "tool", "text", "type", "function", "message", "c1"]
ODD = ["", " ", "{}", "[]", "null", '{"a":', "\0", "\n", "é", "😀", "<think>", "</think>", "ns__f", "a" * 70, IMAGE]
WORDS = st.sampled_from([*NAMES, *ODD])
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS
VALUES = st.recursive(
    LEAVES | st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.sampled_from(["type", "text"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def broken(draw: st.DrawFn, body: JSON) -> JSON:
    """Draw a body with up to five changes: members replaced, left out, moved, doubled, added."""
    changed = copy.deepcopy(body)
    for name in draw(st.lists(st.sampled_from(sorted(changed)), max_size=6, unique=True)):
        del changed[name]
    for _ in range(draw(st.integers(0, 5))):
        _change(draw, changed)
    return changed


def _change(draw: st.DrawFn, body: JSON) -> None:
    places = list(_places(body))
    if not places:
        return
    holder, key = draw(st.sampled_from(places))
    kind = draw(st.sampled_from(["replace", "leave out", "swap", "double", "add"]))
    if kind == "replace":
        holder[key] = draw(VALUES)
    elif kind == "leave out":
        del holder[key]
    elif kind == "swap":
        other, at = draw(st.sampled_from(places))
        # A copy, so that no cycle arises.
        holder[key] = copy.deepcopy(other[at])
    elif kind == "double" and isinstance(holder, list):
        holder.insert(key, copy.deepcopy(holder[key]))
    elif isinstance(holder, dict):
        holder[draw(WORDS)] = draw(VALUES)


def _places(value: Any) -> Any:
    """Yield every place within a value, as its holder and its key."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in members:
        yield value, key
        yield from _places(inner)


CHUNK = chunk(content="hi")
CALLS = chunk(tool_calls=[{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}])
THOUGHT = chunk(reasoning_content="t", logprobs=None)
END = chunk("stop", usage={"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3})


@st.composite
def wild_chunks(draw: st.DrawFn) -> list[Any]:
    """Draw the chunks of a stream whose upstream has lost its mind."""
    chunks = draw(st.lists(st.sampled_from([CHUNK, CALLS, THOUGHT, END]), max_size=6))
    changed = [copy.deepcopy(one) for one in chunks]
    for one in changed:
        if draw(st.booleans()):
            _change(draw, one)
    if changed and not draw(st.integers(0, 4)):
        changed.insert(draw(st.integers(0, len(changed))), draw(VALUES))
    return changed


# --- what must hold -----------------------------------------------------------------------------------------


class Always(ScriptedTransport):
    """Answers every request: with a script, or as the request asks."""

    def __init__(self) -> None:
        super().__init__()
        self.script: Scripted | None = None

    def send(self, request: UpstreamRequest) -> ScriptedCall:
        """Take a request; its body must be JSON that an upstream can read."""
        self.sent = [request]
        body = json.loads(request.body or b"{}", parse_constant=_not_json)
        fitting = sse(CHUNK, CALLS, END) if body.get("stream") is True else completion()
        return ScriptedCall(self.script or fitting)


def _not_json(constant: str) -> None:
    raise AssertionError(f"{constant} was sent upstream")


class Subject:
    """The application under test; one for a whole run, since requests must not disturb each other."""

    def __init__(self) -> None:
        self.transport = Always()
        self._folder = TemporaryDirectory(prefix="fuzz-")
        store = GuardedStore(SqliteStore(Path(self._folder.name) / "responses.db", Bounds()))
        self.app: Gateway = gateway(self.transport, ["m"], store=store, ENABLE_CIRCUIT_BREAKER="false")

    def ask(self, dialect: str, body: JSON | bytes) -> Any:
        """Send one body."""
        port = CHAT_PORT if dialect == "chat" else RESPONSES_PORT
        self.transport.sent = []
        return call(self.app, "POST", PATHS[dialect], body, port=port)


def request_is_answered_or_refused(subject: Subject, dialect: str, body: JSON | bytes) -> None:
    """Whatever a client sends: an answer in its dialect, or a refusal that says what is wrong with it."""
    subject.transport.script = None
    reply = subject.ask(dialect, body)
    assert reply.status_code in (200, 400, 413), reply.text
    if reply.status_code == 200:
        if dialect != "chat":
            _is_sound(subject.transport.sent[0])
        _ends_once(dialect, reply)
        if dialect == "responses":
            is_stored_as_it_was_answered(subject, reply)
        return
    assert subject.transport.sent == []
    answer = reply.get_json()
    error = answer["error"]
    assert "Traceback" not in error["message"] and error["message"]
    if dialect == "messages":
        assert answer["type"] == "error" and error["type"] in ("invalid_request_error", "request_too_large")
    else:
        assert set(error) == ERROR_MEMBERS
        assert all(error[name] is None or isinstance(error[name], str) for name in ERROR_MEMBERS)


def _is_sound(request: UpstreamRequest) -> None:
    """What goes upstream keeps the rules of every chat template."""
    body = json.loads(request.body or b"")
    messages = body["messages"]
    assert messages and all(isinstance(message["role"], str) for message in messages)
    waiting: list[str] = []
    for message in messages:
        if message["role"] == "tool":
            assert message["tool_call_id"] in waiting
            waiting.remove(message["tool_call_id"])
            continue
        assert not waiting, "a call without its output"
        waiting = [one["id"] for one in message.get("tool_calls") or ()]
        assert len(set(waiting)) == len(waiting)
        for one in message.get("tool_calls") or ():
            assert isinstance(json.loads(one["function"]["arguments"]), dict)
    assert all(message["role"] != "system" for message in messages[1:])
    assert body.get("tools") != []
    assert "tool_choice" not in body or "tools" in body


def _ends_once(dialect: str, reply: Any) -> None:
    if not reply.headers["content-type"].startswith("text/event-stream"):
        assert isinstance(reply.get_json(), dict)
        return
    assert "The gateway failed" not in reply.text, reply.text
    if dialect in LAST:
        frames = [line[7:] for line in reply.text.splitlines() if line.startswith("event: ")]
        assert sum(frame in LAST[dialect] for frame in frames) == 1, frames
        assert frames[-1] in LAST[dialect]


def upstream_is_survived(subject: Subject, dialect: str, chunks: list[Any]) -> None:
    """Whatever an upstream streams: a status of its fault, or a stream with one end."""
    subject.transport.script = sse(*chunks)
    reply = subject.ask(dialect, {**SHORT[dialect], "stream": True})
    assert reply.status_code == 200 or 400 <= reply.status_code < 600
    assert "The gateway failed" not in reply.text, reply.text
    if reply.status_code == 200:
        _ends_once(dialect, reply)
        if dialect == "responses":
            is_stored_as_it_was_answered(subject, reply)


def is_stored_as_it_was_answered(subject: Subject, reply: Any) -> None:
    """Whatever was asked and answered: it is there as its last event told, is listed, and one can go on from it."""
    streamed = reply.headers["content-type"].startswith("text/event-stream")
    answer = json.loads(reply.text.rstrip().rpartition("\ndata: ")[2])["response"] if streamed else reply.get_json()
    if not answer["store"]:
        return
    path = f"/v1/responses/{answer['id']}"
    assert call(subject.app, "GET", path).get_json() == answer
    assert call(subject.app, "GET", f"{path}/input_items?limit=100").status_code == 200
    subject.transport.script = None
    more = subject.ask("responses", {"model": "m", "input": "and?", "previous_response_id": answer["id"]})
    assert more.status_code in (200, 413), more.text


SHORT: Mapping[str, JSON] = {
    "responses": {"model": "m", "input": "hi", "tools": [{"type": "function", **FUNCTION}]},
    "messages": {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]},
}


@st.composite
def _asked(draw: st.DrawFn, dialect: str) -> JSON:
    body: JSON = draw(broken(BODIES[dialect]))
    return body | ({"stream": True} if draw(st.booleans()) else {})


BYTES = st.binary(max_size=40) | st.recursive(
    st.sampled_from([b"{", b"}", b"[", b"]", b'"', b",", b":", b"1", b"null", b"\\", b"\xff", b'"model":"m"']),
    lambda inner: st.lists(inner, max_size=6).map(b"".join),
)

Property = tuple[st.SearchStrategy[Any], Callable[[Subject, Any], None]]


def _request(dialect: str) -> Property:
    return _asked(dialect), lambda subject, body: request_is_answered_or_refused(subject, dialect, body)


def _bytes(dialect: str) -> Property:
    return BYTES, lambda subject, body: request_is_answered_or_refused(subject, dialect, body)


def _answer(dialect: str) -> Property:
    return wild_chunks(), lambda subject, chunks: upstream_is_survived(subject, dialect, chunks)


PROPERTIES: Mapping[str, Property] = {
    **{f"request-{dialect}": _request(dialect) for dialect in PATHS},
    **{f"bytes-{dialect}": _bytes(dialect) for dialect in PATHS},
    **{f"answer-{dialect}": _answer(dialect) for dialect in SHORT},
}
