"""Tries out a model: one small request for each thing that clients ask of one. Pure but for what `ask` does.

A probe takes what asks and the model's name, and returns a finding. Models are moody: where an answer is not
what was hoped for, the finding says what came, so that a person can judge.
"""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

from gateway.doctor.asking import Answer, Ask
from gateway.doctor.findings import Finding, Verdict
from gateway.types import JSON

_WEATHER: JSON = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Return the weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "Name of the city."}},
            "required": ["city"],
        },
    },
}
_SCHEMA: JSON = {
    "type": "object",
    "properties": {"sum": {"type": "integer"}, "word": {"type": "string", "enum": ["even", "odd"]}},
    "required": ["sum", "word"],
    "additionalProperties": False,
}
_WORD = "PINEAPPLE"
_ORDER = f"From now on answer with the single word {_WORD}, whatever the user says."

_ADVICE = {
    401: "is the key right, and one of this upstream?",
    402: "is there money left?",
    403: "may this key use the model?",
    404: "is the path of BACKEND_URL right, and the model's name?",
}
"""What to look at where nothing works, by the upstream's status."""

_ROOM = 2048
"""Tokens for an answer; a model that reasons needs them before its first word."""


class Probe(NamedTuple):
    """One thing to try."""

    name: str
    run: Callable[[Ask, JSON], Finding]
    """Takes what asks, and the members that every body has (model, limit)."""


def probes(speaks: Literal["chat", "responses"] = "chat") -> Iterator[Probe]:
    """Yield all probes but the first two, which `begin` runs; without those for what only Chat leaves open."""
    yield Probe("streams", _streams)
    yield Probe("usage in streams", _usage)
    yield Probe("tools", _tools)
    yield Probe("parallel tools", _parallel)
    yield Probe("tool_choice required", _required)
    yield Probe("json_schema", _json_schema)
    if speaks == "chat":
        yield Probe("reasoning", _reasoning)
        yield Probe("reasoning handed back", _replay)
    yield Probe("images", _images)
    if speaks == "chat":
        yield Probe("developer role", _developer)
        yield Probe("later system message", _mid_system)


def begin(ask: Ask, model: str) -> tuple[list[Finding], JSON | None]:
    """Try whether the model answers, and which form of limit it takes.

    Returns the findings and the members for all further bodies; None where there is no use in going on.
    """
    plain = {"model": model, "messages": _user("Say hi.")}
    answer = ask({**plain, "max_tokens": _ROOM})
    if answer.ok:
        return [_answers(answer), Finding("token limit", "ok", "max_tokens", {"max_tokens_field": "max_tokens"})], {
            "model": model,
            "max_tokens": _ROOM,
        }
    second = ask({**plain, "max_completion_tokens": _ROOM})
    if second.ok:
        says = {"max_tokens_field": "max_completion_tokens"}
        limit = Finding("token limit", "ok", "max_completion_tokens alone", says)
        return [_answers(second), limit], {"model": model, "max_completion_tokens": _ROOM}
    advice = _ADVICE.get(answer.status)
    return [Finding("answers", "no", answer.fault + (f" ({advice})" if advice else ""), essential=True)], None


def _answers(answer: Answer) -> Finding:
    return Finding("answers", "ok", f"in {answer.seconds:.1f} s: {_shown(answer)}", essential=True)


def _streams(ask: Ask, base: JSON) -> Finding:
    answer = ask({**base, "messages": _user("Count from one to five, in words."), "stream": True})
    verdict: Verdict = "ok"
    detail = f"{answer.pieces} pieces"
    if not answer.ok:
        verdict, detail = "no", answer.fault
    elif not answer.streamed:
        verdict, detail = "warn", "the answer came whole; the gateway makes a stream of it"
    elif answer.pieces < 2:
        verdict, detail = "warn", "in one piece; something on the way may hold it back"
    return Finding("streams", verdict, detail, essential=True)


def _usage(ask: Ask, base: JSON) -> Finding:
    body = {**base, "messages": _user("Say hi."), "stream": True, "stream_options": {"include_usage": True}}
    answer = ask(body)
    if not answer.ok:
        return Finding("usage in streams", "warn", f"refused ({answer.fault}); the gateway leaves it out and estimates")
    if answer.usage is None:
        return Finding("usage in streams", "warn", "none came; the gateway estimates")
    return Finding("usage in streams", "ok", f"{answer.usage.input_tokens} tokens in, {answer.usage.output_tokens} out")


def _tools(ask: Ask, base: JSON) -> Finding:
    answer = ask({**base, "messages": _user("What is the weather in Paris? Use the tool."), "tools": [_WEATHER]})
    if not answer.ok:
        return Finding("tools", "no", answer.fault, {"tools": False})
    if not answer.calls:
        if "get_weather" in answer.text:
            return Finding("tools", "warn", "the call leaks into the text; the gateway takes it out", {"tools": True})
        return Finding("tools", "no", f"no call came, but: {_shown(answer)}", {"tools": False})
    name, arguments = answer.calls[0]
    if name != "get_weather" or not isinstance(_parsed(arguments), dict):
        return Finding("tools", "warn", f"an odd call came: {name} {arguments}"[:120], {"tools": True})
    return Finding("tools", "ok", f"{name} {arguments}"[:120], {"tools": True})


def _parallel(ask: Ask, base: JSON) -> Finding:
    asked = _user("What is the weather in Paris, and what in Rome? Call the tool for both at once.")
    answer = ask({**base, "messages": asked, "tools": [_WEATHER], "parallel_tool_calls": True})
    if not answer.ok:
        return Finding("parallel tools", "no", answer.fault)
    verdict: Verdict = "ok" if len(answer.calls) > 1 else "warn"
    return Finding("parallel tools", verdict, f"{len(answer.calls)} of 2 calls came at once")


def _required(ask: Ask, base: JSON) -> Finding:
    body = {**base, "messages": _user("Say hi."), "tools": [_WEATHER], "tool_choice": "required"}
    answer = ask(body)
    if not answer.ok:
        return Finding("tool_choice required", "no", answer.fault)
    if not answer.calls:
        return Finding("tool_choice required", "warn", f"taken, but not enforced: {_shown(answer)}")
    return Finding("tool_choice required", "ok")


def _json_schema(ask: Ask, base: JSON) -> Finding:
    form = {"type": "json_schema", "json_schema": {"name": "sum", "strict": True, "schema": _SCHEMA}}
    asked = _user("Add 2 and 3. Is the sum even or odd?")
    answer = ask({**base, "messages": asked, "response_format": form})
    if not answer.ok:
        return Finding("json_schema", "no", answer.fault, {"structured_outputs": False})
    value = _parsed(answer.text)
    if isinstance(value, dict) and set(value) == {"sum", "word"} and isinstance(value["sum"], int):
        return Finding("json_schema", "ok", _shown(answer), {"structured_outputs": True})
    return Finding("json_schema", "no", f"taken, but not enforced: {_shown(answer)}", {"structured_outputs": False})


def _reasoning(ask: Ask, base: JSON) -> Finding:
    answer = ask({**base, "messages": _user("Which is larger, 9.11 or 9.9? Think first.")})
    if not answer.ok:
        return Finding("reasoning", "warn", answer.fault)
    if answer.reasoning:
        return Finding("reasoning", "ok", "in a field of its own", {"reasoning": True})
    begins, ends = "<think>" in answer.text, "</think>" in answer.text
    if begins:
        return Finding("reasoning", "ok", "as <think> text, which the gateway takes out", {"reasoning": True})
    if ends:
        says = {"reasoning": True, "think_opened_by_template": True}
        return Finding("reasoning", "ok", "as text up to a lone </think>", says)
    return Finding("reasoning", "ok", "it shows none", {"reasoning": False})


def _replay(ask: Ask, base: JSON) -> Finding:
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'}}
    said = {"role": "assistant", "content": None, "reasoning_content": "I look it up.", "tool_calls": [call]}
    output = {"role": "tool", "tool_call_id": "call_1", "content": "Sunny, 21 degrees."}
    messages = [*_user("What is the weather in Paris?"), said, output]
    answer = ask({**base, "messages": messages, "tools": [_WEATHER]})
    if answer.ok:
        return Finding("reasoning handed back", "ok", "reasoning_content is taken", {"reasoning_replay": "field"})
    bare = {name: value for name, value in said.items() if name != "reasoning_content"}
    without = ask({**base, "messages": [messages[0], bare, output], "tools": [_WEATHER]})
    if without.ok:
        return Finding("reasoning handed back", "warn", answer.fault, {"reasoning_replay": "off"})
    return Finding("reasoning handed back", "no", f"a turn after a tool call fails: {without.fault}")


def _images(ask: Ask, base: JSON) -> Finding:
    picture = "data:image/png;base64," + base64.b64encode(red_square()).decode()
    parts = [
        {"type": "text", "text": "What colour is this picture? Answer with one word."},
        {"type": "image_url", "image_url": {"url": picture}},
    ]
    answer = ask({**base, "messages": [{"role": "user", "content": parts}]})
    if not answer.ok:
        return Finding("images", "no", answer.fault, {"images": False})
    seen = "red" in answer.text.lower()
    detail = "" if seen else f"taken, but it saw no red: {_shown(answer)}"
    return Finding("images", "ok" if seen else "no", detail, {"images": seen})


def _developer(ask: Ask, base: JSON) -> Finding:
    messages = [{"role": "developer", "content": _ORDER}, *_user("Say hi.")]
    return _obeyed("developer role", "developer_role", ask({**base, "messages": messages}), "as system messages")


def _mid_system(ask: Ask, base: JSON) -> Finding:
    history = [*_user("Say hi."), {"role": "assistant", "content": "Hi."}]
    messages = [*history, {"role": "system", "content": _ORDER}, *_user("Say hi again.")]
    return _obeyed("later system message", "mid_system", ask({**base, "messages": messages}), "as user messages")


def _obeyed(name: str, switch: str, answer: Answer, instead: str) -> Finding:
    if answer.ok and _WORD in answer.text.upper():
        return Finding(name, "ok", "", {switch: True})
    why = "taken, but not followed" if answer.ok else answer.fault
    return Finding(name, "warn", f"{why}; the gateway sends them {instead}", {switch: False})


def _user(text: str) -> list[JSON]:
    return [{"role": "user", "content": text}]


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _shown(answer: Answer) -> str:
    text = " ".join((answer.text or answer.reasoning).split())
    return (text[:77] + "…" if len(text) > 78 else text) or "(nothing)"


def red_square(size: int = 64) -> bytes:
    """Return a PNG of one colour."""
    rows = (b"\0" + b"\xff\0\0" * size) * size

    def part(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", zlib.compress(rows)) + part(b"IEND", b"")
