"""Naive histories become valid ones."""

from __future__ import annotations

import copy
import json
import time
from dataclasses import replace
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dialects import HUB_KEY
from gateway.dialects.chat import history
from gateway.dialects.chat.history import settle
from gateway.profile import Model

JSON = dict[str, Any]

MODEL = Model("m")
BLIND = replace(MODEL, input_modalities=frozenset({"text"}))
MID_SYSTEM = replace(MODEL, mid_system=True)
DEVELOPER = replace(MODEL, developer_role=True)
MID_DEVELOPER = replace(DEVELOPER, mid_system=True)

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
FILE = {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}}


def user(content: Any) -> JSON:
    return {"role": "user", "content": content}


def system(content: Any) -> JSON:
    return {"role": "system", "content": content}


def developer(content: Any) -> JSON:
    return {"role": "developer", "content": content}


def said(text: Any) -> JSON:
    return {"role": "assistant", "content": text}


def thought(text: str) -> JSON:
    return {"role": "assistant", "content": None, "reasoning_content": text}


def function(call_id: str, arguments: str = "{}", name: str = "run") -> JSON:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def called(*call_ids: str) -> JSON:
    return {"role": "assistant", "content": None, "tool_calls": [function(call_id) for call_id in call_ids]}


def output(call_id: str, content: Any = "done") -> JSON:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def text(words: str) -> JSON:
    return {"type": "text", "text": words}


def instruction(words: str) -> JSON:
    return user(f"<system-instruction>\n{words}\n</system-instruction>")


def orphan(words: str) -> JSON:
    return user(f"{history.ORPHAN}\n{words}")


ASK = user("hi")
INTERRUPTED = history.INTERRUPTED

CASES: dict[str, tuple[list[JSON], list[JSON]]] = {
    "nothing": ([], []),
    "plain": ([system("s"), ASK, said("hello"), user("more")], [system("s"), ASK, said("hello"), user("more")]),
    # the head
    "head-joined": ([system("a"), developer("b"), system("c"), ASK], [system("a\n\nb\n\nc"), ASK]),
    "head-of-parts": ([developer([text("a"), text("b")]), ASK], [system("a\nb"), ASK]),
    "empty-head": ([system(""), developer([]), developer(None), ASK], [ASK]),
    "no-head": ([ASK], [ASK]),
    "head-alone": ([system("a")], [system("a")]),
    # instructions after the head
    "late-system": ([ASK, system("a"), user("b")], [ASK, instruction("a"), user("b")]),
    "late-developer": ([system("s"), ASK, developer([text("a"), text("b")])], [system("s"), ASK, instruction("a\nb")]),
    "late-empty": ([ASK, said("a"), developer(""), said("b")], [ASK, said("a\n\nb")]),
    "instruction-between-call-and-output": (
        [ASK, called("a"), system("s"), output("a"), said("b")],
        [ASK, called("a"), output("a"), instruction("s"), said("b")],
    ),
    "instruction-ends-a-turn": (
        [ASK, said("a"), system("s"), said("b")],
        [ASK, said("a"), instruction("s"), said("b")],
    ),
    # user messages
    "users-stay-apart": ([ASK, user("b"), user("")], [ASK, user("b"), user("")]),
    "text-parts": ([user([text("a"), text("b")])], [user("a\nb")]),
    "no-parts": ([user([])], [user("")]),
    "null-content": ([user(None)], [user("")]),
    "parts-with-image": ([user([text("a"), IMAGE, text("b")])], [user([text("a"), IMAGE, text("b")])]),
    "user-name": ([{**user([text("a")]), "name": "n"}], [{**user("a"), "name": "n"}]),
    # one turn of an assistant
    "assistant-parts": ([ASK, said([text("a"), text("b"), {"type": "refusal", "refusal": "c"}])], [ASK, said("abc")]),
    "texts-joined": ([ASK, said("a"), said(""), said("b")], [ASK, said("a\n\nb")]),
    "empty-answer": ([ASK, said(""), user("b"), said(None)], [ASK, user("b")]),
    "prefill": ([ASK, said("The answer is (")], [ASK, said("The answer is (")]),
    "calls-joined": (
        [ASK, called("a"), called("b"), output("a", "1"), output("b", "2")],
        [ASK, called("a", "b"), output("a", "1"), output("b", "2")],
    ),
    "text-before-call": (
        [ASK, said("t"), called("a"), output("a")],
        [ASK, {**called("a"), "content": "t"}, output("a")],
    ),
    "text-after-call": (
        [ASK, called("a"), said("t"), output("a")],
        [ASK, {**called("a"), "content": "t"}, output("a")],
    ),
    "text-between-parallel-outputs": (
        [ASK, called("a"), called("b"), output("a"), said("t"), output("b"), said("u")],
        [ASK, {**called("a", "b"), "content": "t"}, output("a"), output("b"), said("u")],
    ),
    "call-between-parallel-outputs": (
        [ASK, called("a"), called("b"), output("a"), called("c"), output("b"), output("c")],
        [ASK, called("a", "b", "c"), output("a"), output("b"), output("c")],
    ),
    "turns-in-a-row": (
        [ASK, called("a"), output("a"), called("b"), output("b"), said("t")],
        [ASK, called("a"), output("a"), called("b"), output("b"), said("t")],
    ),
    "turns-of-whole-messages": (
        [ASK, {**called("a", "b"), "content": "t"}, output("a"), output("b"), user("u"), said("v")],
        [ASK, {**called("a", "b"), "content": "t"}, output("a"), output("b"), user("u"), said("v")],
    ),
    "outputs-out-of-order": (
        [ASK, called("a", "b", "c"), output("c", "3"), output("a", "1"), output("b", "2")],
        [ASK, called("a", "b", "c"), output("a", "1"), output("b", "2"), output("c", "3")],
    ),
    "assistant-first": ([called("a"), output("a"), system("s")], [called("a"), output("a"), instruction("s")]),
    # reasoning
    "thought-then-text": ([ASK, thought("r"), said("t")], [ASK, {**said("t"), "reasoning_content": "r"}]),
    "thought-then-call": (
        [ASK, thought("r"), called("a"), output("a"), thought("s"), called("b"), output("b"), thought("t"), said("u")],
        [
            ASK,
            {**called("a"), "reasoning_content": "r"},
            output("a"),
            {**called("b"), "reasoning_content": "s"},
            output("b"),
            {**said("u"), "reasoning_content": "t"},
        ],
    ),
    "thoughts-of-one-turn": (
        [ASK, thought("r"), called("a"), thought("s"), called("b"), output("a"), output("b")],
        [ASK, {**called("a", "b"), "reasoning_content": "r\n\ns"}, output("a"), output("b")],
    ),
    "thought-after-text": ([ASK, said("t"), thought("r"), ASK], [ASK, {**said("t"), "reasoning_content": "r"}, ASK]),
    "thought-and-empty-text": ([ASK, thought(""), said("t")], [ASK, said("t")]),
    # outputs that are missing or too many
    "call-at-the-end": ([ASK, called("a")], [ASK, called("a"), output("a", INTERRUPTED)]),
    "call-then-user": ([ASK, called("a"), user("stop")], [ASK, called("a"), output("a", INTERRUPTED), user("stop")]),
    "one-of-two-answered": (
        [ASK, called("a", "b"), output("b"), said("t")],
        [ASK, called("a", "b"), output("a", INTERRUPTED), output("b"), said("t")],
    ),
    "output-after-the-user": (
        [ASK, called("a", "b"), output("a"), user("wait"), said("t"), output("b"), said("u")],
        [ASK, called("a", "b"), output("a"), output("b"), user("wait"), said("t\n\nu")],
    ),
    "orphan-first": ([output("x", "1"), ASK], [orphan("1"), ASK]),
    "orphan-after-user": ([ASK, output("x", "1"), said("t")], [ASK, orphan("1"), said("t")]),
    "output-before-its-call": (
        [ASK, output("a", "1"), called("a"), user("b")],
        [ASK, orphan("1"), called("a"), output("a", INTERRUPTED), user("b")],
    ),
    "second-output": (
        [ASK, called("a"), output("a", "1"), output("a", "2"), said("t")],
        [ASK, called("a"), output("a", "1"), orphan("2"), said("t")],
    ),
    "orphan-between-outputs": (
        [ASK, called("a", "b"), output("a"), output("x", "1"), output("b"), said("t")],
        [ASK, called("a", "b"), output("a"), output("b"), orphan("1"), said("t")],
    ),
    "orphan-after-text": ([ASK, said("t"), output("x", "1"), said("u")], [ASK, said("t"), orphan("1"), said("u")]),
    "orphan-after-thought": (
        [ASK, thought("r"), output("x", "1"), called("a"), output("a")],
        [ASK, orphan("1"), {**called("a"), "reasoning_content": "r"}, output("a")],
    ),
    "orphan-image": ([ASK, output("x", [text("1"), IMAGE])], [ASK, user([text(f"{history.ORPHAN}\n1"), IMAGE])]),
    # outputs of parts
    "output-of-text-parts": (
        [ASK, called("a"), output("a", [text("1"), text("2")])],
        [ASK, called("a"), output("a", "1\n2")],
    ),
    "output-of-nothing": (
        [ASK, called("a", "b", "c"), output("a", []), output("b", ""), output("c", None)],
        [ASK, called("a", "b", "c"), output("a", ""), output("b", ""), output("c", "")],
    ),
    "image-output": (
        [ASK, called("a"), output("a", [IMAGE]), said("t")],
        [
            ASK,
            called("a"),
            output("a", history.SEE_BELOW),
            user([text("[attached to the output of run]"), IMAGE]),
            said("t"),
        ],
    ),
    "images-of-a-batch": (
        [ASK, called("a", "b", "c"), output("a", [text("1"), IMAGE]), output("b", "2"), output("c", [FILE, text("3")])],
        [
            ASK,
            called("a", "b", "c"),
            output("a", "1"),
            output("b", "2"),
            output("c", "3"),
            user([text("[attached to the output of run]"), IMAGE, text("[attached to the output of run]"), FILE]),
        ],
    ),
    "image-then-user": (
        [ASK, called("a"), output("a", [IMAGE]), user("what is it?")],
        [
            ASK,
            called("a"),
            output("a", history.SEE_BELOW),
            user([text("[attached to the output of run]"), IMAGE]),
            user("what is it?"),
        ],
    ),
    # what only the process knows
    "private-joined": (
        [ASK, {**thought("r"), HUB_KEY: {"sealed": "x"}}, {**called("a"), HUB_KEY: {"id": "y"}}, output("a")],
        [ASK, {**called("a"), "reasoning_content": "r", HUB_KEY: {"sealed": "x", "id": "y"}}, output("a")],
    ),
    "private-lists-joined": (
        [ASK, {**thought("r"), HUB_KEY: {"sealed": ["x"]}}, {**called("a"), HUB_KEY: {"sealed": ["y"]}}, output("a")],
        [ASK, {**called("a"), "reasoning_content": "r", HUB_KEY: {"sealed": ["x", "y"]}}, output("a")],
    ),
}


@pytest.mark.parametrize(("naive", "settled"), CASES.values(), ids=CASES.keys())
def test_settle(naive: list[JSON], settled: list[JSON]) -> None:
    before = copy.deepcopy(naive)
    assert settle(naive, MODEL) == (settled, [])
    assert naive == before
    assert_valid(settled)
    assert settle(settled, MODEL)[0] == settled, "what is settled stays as it is"


@pytest.mark.parametrize(
    ("model", "naive", "settled"),
    [
        pytest.param(MID_SYSTEM, [ASK, developer("a")], [ASK, system("a")], id="mid-system"),
        pytest.param(MID_DEVELOPER, [ASK, developer("a")], [ASK, developer("a")], id="mid-developer"),
        pytest.param(MID_DEVELOPER, [ASK, system("a")], [ASK, system("a")], id="mid-system-stays-system"),
        pytest.param(DEVELOPER, [developer("a"), developer("b")], [developer("a\n\nb")], id="developer-head"),
        pytest.param(DEVELOPER, [system("a"), developer("b")], [system("a\n\nb")], id="mixed-head"),
        pytest.param(DEVELOPER, [ASK, developer("a")], [ASK, instruction("a")], id="late-developer"),
        pytest.param(
            MID_SYSTEM,
            [ASK, called("a"), system("s"), output("a")],
            [ASK, called("a"), output("a"), system("s")],
            id="mid-system-waits-for-outputs",
        ),
    ],
)
def test_roles_by_model(model: Model, naive: list[JSON], settled: list[JSON]) -> None:
    assert settle(naive, model)[0] == settled


def test_a_model_without_eyes_is_told_of_images() -> None:
    naive = [user([text("a"), IMAGE, IMAGE]), called("a"), output("a", [text("1"), IMAGE]), user([text("b"), FILE])]
    settled, notes = settle(naive, BLIND)
    assert settled == [
        user(f"a\n{history.NO_IMAGE}\n{history.NO_IMAGE}"),
        called("a"),
        output("a", f"1\n{history.NO_IMAGE}"),
        user([text("b"), FILE]),
    ]
    assert notes == ["images"]


@pytest.mark.parametrize(
    ("naive", "settled"),
    [
        pytest.param([ASK, thought("r")], [ASK], id="end"),
        pytest.param([ASK, thought("r"), user("b"), thought("s")], [ASK, user("b")], id="before-user"),
        pytest.param([ASK, called("a"), output("a"), thought("r")], [ASK, called("a"), output("a")], id="after-output"),
        pytest.param([ASK, thought("r"), output("x", "1")], [ASK, orphan("1")], id="before-orphan"),
    ],
)
def test_a_thought_that_nothing_follows_is_left_out(naive: list[JSON], settled: list[JSON]) -> None:
    assert settle(naive, MODEL) == (settled, ["reasoning"])


# --- arguments ---------------------------------------------------------------------------------------------


def wrapped(given: str) -> str:
    return json.dumps({"invalid_arguments": given}, separators=(",", ":"), ensure_ascii=False)


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("", "{}"),
        (" \n", "{}"),
        (None, "{}"),
        ("null", "{}"),
        ('""', "{}"),
        ("{}", "{}"),
        ('{ "b" : 1,"a":"é\\u00e9" }', '{ "b" : 1,"a":"é\\u00e9" }'),
        ('{"cmd": "ls', wrapped('{"cmd": "ls')),
        ("ls -l", wrapped("ls -l")),
        ('{"a":1}{"b":2}', wrapped('{"a":1}{"b":2}')),
        ('{"a":NaN}', wrapped('{"a":NaN}')),
        ('{"a":"\\ud800"}', wrapped('{"a":"\\ud800"}')),
        ('["ls"]', wrapped('["ls"]')),
        ("[]", wrapped("[]")),
        ('"ls"', wrapped('"ls"')),
        ("false", wrapped("false")),
        ("0", wrapped("0")),
        ("[" * 5000, wrapped("[" * 5000)),
    ],
    ids=lambda value: str(value)[:20],
)
def test_arguments_are_an_object(given: str | None, sent: str) -> None:
    call: Any = {"id": "a", "type": "function", "function": {"name": "run", "arguments": given}}
    settled, _ = settle([ASK, {"role": "assistant", "content": None, "tool_calls": [call]}], MODEL)
    assert settled[1]["tool_calls"][0]["function"] == {"name": "run", "arguments": sent}
    assert isinstance(json.loads(sent), dict)


def test_missing_arguments() -> None:
    naive: list[JSON] = [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "a", "type": "function", "function": {"name": "x"}}],
        }
    ]
    assert settle(naive, MODEL)[0][0]["tool_calls"][0]["function"] == {"name": "x", "arguments": "{}"}


# --- call ids ----------------------------------------------------------------------------------------------


def ids_of(messages: list[JSON]) -> list[str]:
    return [call["id"] for message in messages for call in message.get("tool_calls", [])]


def answers_of(messages: list[JSON]) -> list[tuple[str, str]]:
    return [(m["tool_call_id"], m["content"]) for m in messages if m["role"] == "tool"]


@pytest.mark.parametrize("call_id", ["a", "call_abc-1", "toolu_01A", "0", "x" * 64])
def test_fit_ids_are_kept(call_id: str) -> None:
    assert ids_of(settle([called(call_id)], MODEL)[0]) == [call_id]


@pytest.mark.parametrize(
    "call_id", ["", "a b", "call:1", "functions.run:0", "é", "x" * 65, "a\n", "\u2028", "x" * 9999]
)
def test_unfit_ids_are_replaced_in_the_same_way_each_time(call_id: str) -> None:
    settled = settle([ASK, called(call_id), output(call_id)], MODEL)[0]
    (made,) = ids_of(settled)
    assert made.startswith("call_")
    assert len(made) <= 64
    assert answers_of(settled) == [(made, "done")]
    later = settle([user("b"), called("q"), output("q"), called(call_id), output(call_id)], MODEL)[0]
    assert ids_of(later) == ["q", made], "it does not depend on the place"


def test_long_ids_with_one_beginning_stay_apart() -> None:
    first, second = "x" * 70 + "1", "x" * 70 + "2"
    settled = settle([called(first, second), output(second, "2"), output(first, "1")], MODEL)[0]
    one, two = ids_of(settled)
    assert one != two
    assert answers_of(settled) == [(one, "1"), (two, "2")]


def test_an_id_that_comes_twice_in_one_turn() -> None:
    settled = settle([ASK, called("a"), called("a"), output("a", "1"), output("a", "2")], MODEL)[0]
    first, second = ids_of(settled)
    assert first == "a" != second
    assert answers_of(settled) == [("a", "1"), (second, "2")]


def test_an_id_that_comes_in_every_turn() -> None:
    naive: list[JSON] = []
    for turn in range(3):
        naive += [called("call_0"), output("call_0", str(turn))]
    settled = settle(naive, MODEL)[0]
    ids = ids_of(settled)
    assert ids[0] == "call_0"
    assert len(set(ids)) == 3
    assert answers_of(settled) == [(call_id, str(turn)) for turn, call_id in enumerate(ids)]


def test_an_output_answers_the_nearer_call_of_its_id() -> None:
    settled = settle([called("a"), user("stop"), called("a"), output("a", "2")], MODEL)[0]
    first, second = ids_of(settled)
    assert answers_of(settled) == [(first, INTERRUPTED), (second, "2")]


def test_late_outputs_of_one_id_pair_in_order() -> None:
    naive = [called("a"), user("b"), called("a"), user("c"), output("a", "1"), output("a", "2"), output("a", "3")]
    settled = settle(naive, MODEL)[0]
    assert [content for _, content in answers_of(settled)] == ["1", "2"]
    assert settled[-1] == orphan("3")


def test_an_id_like_one_that_was_made() -> None:
    made = ids_of(settle([called("a", "a")], MODEL)[0])[1]
    ids = ids_of(settle([called("a", "a", made, made, "a")], MODEL)[0])
    assert ids[:2] == ["a", made]
    assert len(set(ids)) == 5


# --- laws --------------------------------------------------------------------------------------------------


def assert_valid(messages: list[JSON], *, mid_system: bool = False) -> None:
    """Check what chat templates demand."""
    waiting: list[str] = []
    seen: set[str] = set()
    for place, message in enumerate(messages):
        role = message["role"]
        if role == "tool":
            assert waiting, "an output right after its call, in the order of the calls"
            assert message["tool_call_id"] == waiting.pop(0)
            assert isinstance(message["content"], str)
            continue
        assert not waiting, "every call is answered at once"
        if role == "system":
            assert mid_system or place == 0
        if role == "assistant":
            assert message["content"] or message.get("tool_calls")
            assert message["content"] is None or isinstance(message["content"], str)
            waiting = [call["id"] for call in message.get("tool_calls", [])]
            assert all(isinstance(json.loads(c["function"]["arguments"]), dict) for c in message.get("tool_calls", []))
            assert seen.isdisjoint(waiting)
            assert len(set(waiting)) == len(waiting)
            seen.update(waiting)
        else:
            assert role in ("user", "system")
    assert not waiting
    for one, other in pairwise(messages):
        assert (one["role"], other["role"]) != ("assistant", "assistant")


IDS = st.sampled_from(["a", "b", "c d", "x" * 70, "call_0"])
TEXTS = st.sampled_from(["", "t", "two\nlines"])
CONTENTS = TEXTS | st.lists(st.sampled_from([text("p"), text(""), IMAGE, FILE]), max_size=3)
MESSAGES = (
    st.builds(user, CONTENTS)
    | st.builds(system, TEXTS)
    | st.builds(developer, TEXTS)
    | st.builds(said, TEXTS)
    | st.builds(thought, TEXTS)
    | st.lists(IDS, min_size=1, max_size=3).map(lambda ids: called(*ids))
    | st.builds(output, IDS, CONTENTS)
    | st.builds(output, IDS, CONTENTS)
)


@settings(deadline=None, max_examples=300)
@given(st.lists(MESSAGES, max_size=14), st.sampled_from([MODEL, BLIND, MID_SYSTEM]))
def test_any_history_becomes_valid(naive: list[JSON], model: Model) -> None:
    before = copy.deepcopy(naive)
    settled, _ = settle(naive, model)
    assert naive == before
    assert_valid(settled, mid_system=model.mid_system)
    assert settle(naive, model)[0] == settled
    calls = [call for message in naive for call in message.get("tool_calls", [])]
    assert len(ids_of(settled)) == len(calls), "no call is lost"
    outputs = sum(message["role"] == "tool" for message in naive)
    kept = sum(content != INTERRUPTED for _, content in answers_of(settled))
    orphans = sum(history.ORPHAN in str(message["content"]) for message in settled)
    assert kept + orphans == outputs, "no output is lost"


@st.composite
def threads(draw: st.DrawFn) -> list[list[JSON]]:
    """Draw what each request of a thread adds to the one before: a wish, or all outputs of the last calls."""
    steps: list[list[JSON]] = [[system("s"), user("begin")]]
    for number in range(draw(st.integers(0, 6))):
        step: list[JSON] = [thought(f"r{number}")] if draw(st.booleans()) else []
        if draw(st.booleans()):
            step.append(said(f"t{number}"))
        ids = draw(st.lists(IDS, max_size=3))
        step += [called(call_id) for call_id in ids]
        step += [output(call_id, draw(CONTENTS)) for call_id in ids]
        if not ids or draw(st.booleans()):
            step.append(draw(st.sampled_from([user("go on"), developer("d"), user([text("see"), IMAGE])])))
        steps.append(step)
    return steps


@settings(deadline=None, max_examples=150)
@given(threads(), st.sampled_from([MODEL, BLIND, MID_SYSTEM]))
def test_a_growing_thread_keeps_its_beginning(steps: list[list[JSON]], model: Model) -> None:
    naive: list[JSON] = []
    before = b"[]"
    for step in steps:
        naive += step
        after = orjson.dumps(settle(naive, model)[0])
        assert after.startswith(before[:-1])
        before = after


def turn(number: int) -> list[JSON]:
    """Return what one turn of an agent adds: a thought, words, parallel calls with one id, outputs, a picture."""
    return [
        thought(f"think {number}"),
        said(f"Step {number}."),
        called("call_0"),
        called("call_0"),
        called(f"functions.patch:{number}"),
        output("call_0", f"first {number}"),
        output("call_0", [IMAGE]),
        output(f"functions.patch:{number}", ""),
        developer(f"permissions {number}"),
        user(f"go on {number}"),
    ]


def test_twenty_turns_keep_their_beginning_byte_for_byte() -> None:
    """At any cut: all messages stay but those of the last turn, where what is missing may still come."""
    naive = [system("s"), ASK]
    requests: list[bytes] = [orjson.dumps(settle(naive, MODEL)[0])]
    for number in range(20):
        naive += turn(number)
        requests.append(orjson.dumps(settle(naive, MODEL)[0]))
    for before, after in pairwise(requests):
        assert after.startswith(before[:-1])
    whole = settle(naive, MODEL)[0]
    for cut in range(2, len(naive)):
        settled = settle(naive[:cut], MODEL)[0]
        last_turn = max((i for i, m in enumerate(settled) if m["role"] == "assistant"), default=len(settled))
        assert orjson.dumps(settled[:last_turn]) == orjson.dumps(whole[:last_turn])
    assert [m["reasoning_content"] for m in whole if m["role"] == "assistant"] == [f"think {n}" for n in range(20)]


@pytest.mark.parametrize(
    "naive",
    [
        pytest.param([m for n in range(1000) for m in turn(n)], id="turns"),
        pytest.param([called("a") for _ in range(5000)] + [output("a") for _ in range(5000)], id="one-id"),
        pytest.param([m for _ in range(5000) for m in (called("a"), ASK)], id="never-answered"),
        pytest.param(
            [called("a")] * 5000 + [ASK] + [m for _ in range(2500) for m in (called("a"), output("a"))], id="reused"
        ),
        pytest.param([output("x")] * 10_000, id="orphans"),
        pytest.param([thought("r"), *[output("x")] * 10_000, said("t")], id="orphans-after-thought"),
        pytest.param([said("t")] * 10_000, id="texts"),
        pytest.param([ASK, *[system("s")] * 10_000], id="instructions"),
        pytest.param(
            [called(*(f"c{n}" for n in range(10_000))), *(output(f"c{n}") for n in reversed(range(10_000)))], id="batch"
        ),
    ],
)
def test_time_is_linear(naive: list[JSON]) -> None:
    began = time.process_time()
    settled = settle(naive, MODEL)[0]
    assert time.process_time() - began < 1
    assert_valid(settled)
