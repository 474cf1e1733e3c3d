"""The laws over every recorded Responses stream, and what a person expects of each.

`golden/responses-streams/CASE.sse` is a stream, `CASE.json` what it says, in the words of `laws.summary`. Names
say what is odd; `real-…` were recorded from servers.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings

from gateway.dialects.chat.context import ChatContext
from gateway.dialects.chat.encode import Encoder as ChatEncoder
from gateway.dialects.responses.context import Context, Tool
from gateway.dialects.responses.decode import Decoder
from gateway.dialects.responses.echo import echo
from gateway.dialects.responses.encode import Encoder
from gateway.dialects.responses.freeform import Freeform
from gateway.events import Annotation, BlockEnd, BlockStart, Delta, Event, Failure, Finish, Usage
from gateway.filters.calls import CallsFilter
from gateway.filters.think import ThinkFilter
from gateway.filters.usage import UsageFilter
from gateway.json_scan import ObjectScan
from gateway.profile import Model, Terms
from gateway.sse import Frame
from tests import laws
from tests.strategies import answers, one_by_one

STREAMS = sorted((Path(__file__).parents[2] / "golden" / "responses-streams").glob("*.sse"))
cases = pytest.mark.parametrize("path", STREAMS, ids=[path.stem for path in STREAMS])
ENDS = ("response.completed", "response.incomplete", "response.failed", "error")


def make() -> Decoder:
    return Decoder(Terms(Model("m")))


def encoder(**context: Any) -> Encoder:
    numbers = itertools.count()
    made = Context(echo=echo({"model": "m", "input": "x"}), **context)
    return Encoder(made, lambda prefix: f"{prefix}{next(numbers)}", lambda: 1)


@cases
def test_says_what_a_person_expects(path: Path) -> None:
    events = laws.decode(make, [path.read_bytes()])
    assert laws.summary(events) == json.loads(path.with_suffix(".json").read_text())


@cases
def test_obeys_the_grammar(path: Path) -> None:
    laws.obeys_grammar(laws.decode(make, [path.read_bytes()]))


@cases
def test_is_the_same_however_it_is_cut(path: Path) -> None:
    laws.is_cut_invariant(make, path.read_bytes())


def tells_the_end(frame: Frame) -> bool:
    if frame.data == b"[DONE]":
        return True
    try:
        event = orjson.loads(frame.data)
        return (event.get("type") or frame.event) in ENDS or "error" in event
    except (ValueError, AttributeError):
        return False


@cases
def test_fails_if_cut_before_its_end(path: Path) -> None:
    laws.cut_fails(make, path.read_bytes(), tells_the_end)


@cases
def test_filters_keep_the_grammar(path: Path) -> None:
    calls = CallsFilter({"f": {}}, lambda prefix: f"{prefix}1")
    filters = (ThinkFilter(), calls, UsageFilter(lambda: 1, len))
    events = laws.through(filters, laws.decode(make, [path.read_bytes()]))
    laws.obeys_grammar(events)
    assert isinstance(events[-1], Failure) or (isinstance(events[-1], Finish) and events[-1].usage is not None)


@cases
def test_a_failure_before_any_content_comes_before_the_start(path: Path) -> None:
    """So that it can still become an HTTP status."""
    events = laws.decode(make, [path.read_bytes()])
    if isinstance(events[-1], Failure):
        assert len(events) == 1 or isinstance(events[1], BlockStart)


@cases
@pytest.mark.parametrize("summary", [False, True], ids=["content", "summary"])
def test_survives_encoding(path: Path, summary: bool) -> None:
    """Law 4. Reasoning that was sealed by an upstream is not told to a Responses client, which has it from us."""
    events = laws.decode(make, [path.read_bytes()])
    again = laws.decode(make, [laws.encode(encoder(summary=summary), events)])
    assert spelled(again) == spelled(events)


@cases
def test_the_final_response_says_the_same(path: Path) -> None:
    """What the stream told is what its last event holds, so a server that sends only that is understood alike."""
    events = laws.decode(make, [path.read_bytes()])
    if isinstance(events[-1], Failure):
        return
    made = encoder()
    laws.encode(made, events)
    assert spelled(make().decode(made.body)) == spelled(one_by_one(events))


@cases
def test_a_chat_client_is_told_the_same_streamed_and_whole(path: Path) -> None:
    events = laws.decode(make, [path.read_bytes()])
    if isinstance(events[-1], Failure):
        return
    chat = ChatEncoder(ChatContext("m", include_usage=True), lambda prefix: f"{prefix}1", lambda: 1)
    chunks = [orjson.loads(f.data) for f in laws.frames_of(laws.encode(chat, events)) if f.data != b"[DONE]"]
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    message = chat.body["choices"][0]["message"]
    for member in ("content", "reasoning_content", "refusal"):
        assert "".join(delta.get(member) or "" for delta in deltas) == (message.get(member) or "")


@settings(max_examples=150)
@given(answers(names=("run", "patch"), fail=False))
def test_any_answer_survives_encoding(events: list[Event]) -> None:
    """Law 4, for answers whose blocks follow one another."""
    tools = {"patch": Tool("custom", "patch")}
    in_order = one_by_one(events)
    again = laws.decode(make, [laws.encode(encoder(tools=tools), in_order)])
    laws.obeys_grammar(again)
    assert spelled(again, tools) == spelled(in_order, tools)


@settings(max_examples=100)
@given(answers(kinds=("tool_call",)))
def test_calls_that_overlap_keep_apart(events: list[Event]) -> None:
    again = laws.decode(make, [laws.encode(encoder(), events)])
    laws.obeys_grammar(again)
    if spelled(events) == "failure":
        assert isinstance(again[-1], Failure)
    else:
        assert [(b.name, b.id, b.text) for b in spelled(again)[0]] == [
            (b.name, b.id, b.text) for b in spelled(events)[0]
        ]


@dataclasses.dataclass
class Block:
    """One block as it is after Responses."""

    kind: str
    name: str | None
    id: str | None
    text: str = ""
    tokens: list[str] = dataclasses.field(default_factory=list)
    remarks: list[Any] = dataclasses.field(default_factory=list)
    cut: bool = dataclasses.field(default=False, compare=False)


def spelled(events: list[Event], custom: Iterable[str] = ()) -> Any:
    """Return an answer as it is after Responses.

    Runs of text and refusals are one message, with one text; empty blocks are not told; sealed reasoning and raw
    reasons are not kept; what a custom tool gets is only its raw input; with half a call the answer is cut.
    """
    finish = events[-1]
    if not isinstance(finish, Finish):
        return "failure"
    told = [block for block in grouped(events) if block.text or block.remarks or block.kind == "tool_call"]
    for block in told:
        if block.name in custom:
            block.text = raw_of(block.text, cut=block.cut)
        elif block.kind == "tool_call":
            block.text = block.text.strip() or "{}"
    cut = finish.reason in ("length", "content_filter") or any(is_half(block, custom) for block in told)
    return told, cut, finish.usage and counts(finish.usage)


def is_half(block: Block, custom: Iterable[str]) -> bool:
    """Tell whether a call's arguments are half an object: some servers say that such an answer is complete."""
    scan = ObjectScan()
    scan.feed(block.text)
    return block.kind == "tool_call" and block.name not in custom and scan.state == "inside"


def grouped(events: list[Event]) -> list[Block]:
    """Return the blocks, those of one message joined."""
    said = {event.block for event in events if isinstance(event, Delta)}
    blocks: dict[tuple[int, str], Block] = {}
    by_number: dict[int, Block] = {}
    place = 0
    for event in events:
        match event:
            case BlockStart(number, kind, call_id, name):
                apart = kind == "tool_call" or (kind == "reasoning" and number in said)
                place += apart
                # Within a message it is chance which of text and refusal is told of first.
                by_number[number] = blocks.setdefault((place, kind), Block(kind, name, call_id))
                place += apart
            case Delta(number, text, logprobs):
                by_number[number].text += text
                by_number[number].tokens += [entry["token"] for entry in logprobs or ()]
            case Annotation(number, value):
                by_number[number].remarks.append(value)
            case BlockEnd(number, cut=cut):
                by_number[number].cut = cut
            case _:
                pass
    return [block for _, block in sorted(blocks.items(), key=lambda item: item[0])]


def counts(usage: Usage) -> tuple[int, ...] | None:
    """Return what is told of a usage: details never exceed the whole, and nothing at all is none."""
    taken, given = usage.input_tokens, usage.output_tokens
    told = (taken, given, min(usage.cached_tokens, taken), min(usage.reasoning_tokens, given))
    return told if any(told) else None


def raw_of(arguments: str, *, cut: bool) -> str:
    """Return the raw input that a custom tool gets."""
    freeform = Freeform("patch")
    return freeform.feed(arguments) + freeform.finish(cut=cut)
