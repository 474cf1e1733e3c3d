"""Leaked calls in every form, however they are cut; and ordinary answers, which stay as they are.

`golden/answers/*.md` are ordinary answers: code about XML, quoted examples, explanations of such formats.
"""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import UpstreamProtocol
from gateway.events import Annotation, BlockEnd, BlockStart, Delta, Event, Failure, Finish, FinishReason, Start
from gateway.filters.calls import DOUBT_LIMIT, HOLD_LIMIT, CallsFilter
from tests import laws
from tests.strategies import TEXT, answers

TOOLS: dict[str, dict[str, Any]] = {
    "get_weather": {"properties": {"city": {"type": "string"}, "days": {"type": "integer"}}},
    "write": {"properties": {"path": {"type": "string"}, "content": {"type": "string"}, "mode": {"type": "object"}}},
    "mcp.time-now": {},
}
PARIS = ("get_weather", {"city": "Paris"})
PARIS_2 = ("get_weather", {"city": "Paris", "days": 2})

FORMS = [
    pytest.param(
        '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris", "days": 2}}\n</tool_call>',
        [PARIS_2],
        id="hermes",
    ),
    pytest.param('<tool_call>{"name":"get_weather","arguments":{"city":"Paris"}}</tool_call>', [PARIS], id="tight"),
    pytest.param(
        '<tool_call>{"arguments": {"city": "Paris"}, "name": "get_weather"}</tool_call>', [PARIS], id="name-last"
    ),
    pytest.param(
        '<tool_call>{"name": "get_weather", "parameters": {"city": "Paris"}}</tool_call>', [PARIS], id="parameters"
    ),
    pytest.param(
        '<tool_call>{"name": "get_weather", "arguments": "{\\"city\\": \\"Paris\\"}"}</tool_call>',
        [PARIS],
        id="arguments-as-text",
    ),
    pytest.param('<tool_call>{"name": "mcp.time-now"}</tool_call>', [("mcp.time-now", {})], id="no-arguments"),
    pytest.param(
        '<tool_call>{"type": "function", "function": {"name": "get_weather", "arguments": {"city": "Paris"}}}'
        "</tool_call>",
        [PARIS],
        id="function-within",
    ),
    pytest.param(
        '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}', [PARIS], id="hermes-never-closed"
    ),
    pytest.param(
        '<tool_call>\n[{"name": "get_weather", "arguments": {"city": "Paris"}},\n '
        '{"name": "mcp.time-now", "arguments": {}}]\n</tool_call>',
        [PARIS, ("mcp.time-now", {})],
        id="hermes-list",
    ),
    pytest.param(
        '<tool_call>{"name": "write", "arguments": {"content": "</tool_call>\\n{\\"a\\"", "path": "a\nb"}}</tool_call>',
        [("write", {"content": '</tool_call>\n{"a"', "path": "a\nb"})],
        id="tags-and-line-ends-in-strings",
    ),
    pytest.param(
        "<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n<parameter=days>\n2\n</parameter>\n"
        "</function>\n</tool_call>",
        [PARIS_2],
        id="qwen-coder",
    ),
    pytest.param(
        "<function=get_weather>\n<parameter=city>Paris</parameter>\n</function>", [PARIS], id="function-alone"
    ),
    pytest.param("<function=mcp.time-now></function>", [("mcp.time-now", {})], id="function-without-parameters"),
    pytest.param(
        "<function=get_weather><parameter=city>Paris</parameter></tool_call>", [PARIS], id="function-never-closed"
    ),
    pytest.param(
        "<function=write><parameter=path>a.xml</parameter><parameter=content>\n<parameter=x>1</parameter> "
        'and </function>\n\n</parameter>\n<parameter=mode>{"x": 1}</parameter></function>',
        [("write", {"path": "a.xml", "content": "<parameter=x>1</parameter> and </function>\n", "mode": {"x": 1}})],
        id="tags-in-a-value",
    ),
    pytest.param(
        "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Paris</arg_value>\n<arg_key>days</arg_key>\n"
        "<arg_value>2</arg_value>\n</tool_call>",
        [PARIS_2],
        id="glm",
    ),
    pytest.param(
        "<tool_call>get_weather<arg_key>city</arg_key><arg_value>Paris</arg_value></tool_call>", [PARIS], id="glm-tight"
    ),
    pytest.param("<tool_call>mcp.time-now\n</tool_call>", [("mcp.time-now", {})], id="glm-without-arguments"),
    pytest.param(
        '<tool_calls>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n'
        '{"name": "mcp.time-now", "arguments": {}}\n</tool_calls>',
        [PARIS, ("mcp.time-now", {})],
        id="minimax-m1",
    ),
    pytest.param(
        '<minimax:tool_call>\n<invoke name="get_weather">\n<parameter name="city">Paris</parameter>\n'
        '<parameter name="days">2</parameter>\n</invoke>\n<invoke name="mcp.time-now">\n</invoke>\n'
        "</minimax:tool_call>",
        [PARIS_2, ("mcp.time-now", {})],
        id="minimax-m2",
    ),
    pytest.param(
        "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n```json\n"
        '{"city": "Paris"}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>mcp.time-now\n```json\n'
        "{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        [PARIS, ("mcp.time-now", {})],
        id="deepseek-v3",
    ),
    pytest.param(
        '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"city": "Paris"}<｜tool▁call▁end｜>'
        "<｜tool▁calls▁end｜>",
        [PARIS],
        id="deepseek-v3.1",
    ),
    pytest.param(
        '<｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"city": "Paris"}<｜tool▁call▁end｜>',
        [PARIS],
        id="deepseek-no-section",
    ),
    pytest.param(
        '<｜DSML｜function_calls>\n<｜DSML｜invoke name="get_weather">\n<｜DSML｜parameter name="city" string="true">'
        'Paris</｜DSML｜parameter>\n<｜DSML｜parameter name="days" string="false">2</｜DSML｜parameter>\n'
        "</｜DSML｜invoke>\n</｜DSML｜function_calls>",
        [PARIS_2],
        id="deepseek-v3.2",
    ),
    pytest.param(
        '<|DSML|tool_calls><|DSML|invoke name="get_weather"><|DSML|parameter name="city" string="true">Paris'
        "</|DSML|parameter></|DSML|invoke></|DSML|tool_calls>",
        [PARIS],
        id="deepseek-v4-plain-bars",
    ),
    pytest.param(
        "<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>"
        '{"city": "Paris"}<|tool_call_end|>'
        "<|tool_call_begin|>functions.mcp.time-now:1<|tool_call_argument_begin|>{}<|tool_call_end|>"
        "<|tool_calls_section_end|>",
        [PARIS, ("mcp.time-now", {})],
        id="kimi",
    ),
    pytest.param(
        '<|tool_call_begin|>get_weather:0<|tool_call_argument_begin|> {"city": "Paris"} <|tool_call_end|>',
        [PARIS],
        id="kimi-no-section",
    ),
]


CLOSED = [form for form in FORMS if form.id != "hermes-never-closed"]


def answer(deltas: list[str], reason: FinishReason = "stop") -> list[Event]:
    inside: list[Event] = [Delta(0, text) for text in deltas if text]
    cut = reason == "length"
    return [Start(), BlockStart(0, "text"), *inside, BlockEnd(0, cut=cut), Finish(reason)]


def new_filter(tools: dict[str, Any] = TOOLS) -> CallsFilter:
    numbers = count()
    return CallsFilter(tools, lambda prefix: f"{prefix}{next(numbers)}")


def said(events: list[Event]) -> list[Any]:
    """Return texts and calls in their order."""
    laws.obeys_grammar(events)
    blocks: dict[int, list[Any]] = {}
    for event in events:
        if isinstance(event, BlockStart):
            blocks[event.block] = [event.name, ""]
        elif isinstance(event, Delta):
            blocks[event.block][1] += event.text
    return [(name, json.loads(text)) if name else text for name, text in blocks.values()]


def every_cut(text: str) -> list[list[str]]:
    halves = [[text[:place], text[place:]] for place in range(0, len(text) + 1, 1 if len(text) < 200 else 3)]
    return [*halves, list(text), [text[i : i + 5] for i in range(0, len(text), 5)]]


@pytest.mark.parametrize(("text", "calls"), FORMS)
def test_forms_however_cut(text: str, calls: list[Any]) -> None:
    for deltas in every_cut(text):
        events = laws.through([new_filter()], answer(deltas))
        assert said(events) == calls, deltas
        assert events[-1] == Finish("tool_calls")


@pytest.mark.parametrize(("text", "calls"), CLOSED)
def test_text_round_a_call_stays(text: str, calls: list[Any]) -> None:
    for deltas in every_cut(f"Let me look.\n\n{text}\n\n  Done.\n"):
        events = laws.through([new_filter()], answer(deltas))
        assert said(events) == ["Let me look.\n\n", *calls, "  Done.\n"], deltas


@pytest.mark.parametrize(("text", "calls"), CLOSED)
def test_calls_one_after_another(text: str, calls: list[Any]) -> None:
    again = f"{text}\n{text}"
    for deltas in ([again], list(again)):
        events = laws.through([new_filter()], answer(deltas))
        assert said(events) == [*calls, *calls]
        ids = [event.call_id for event in events if isinstance(event, BlockStart)]
        assert ids == [f"call_{n}" for n in range(2 * len(calls))]


@pytest.mark.parametrize(("text", "_calls"), FORMS)
def test_forms_where_they_are_not_looked_for(text: str, _calls: list[Any]) -> None:
    line = text.replace("\n", " ")
    for there in (
        f"`{line}`",
        f"Use {line}",
        f"    {line}",
        f"\t{line}",
        f"```xml\n{text}\n```\n",
        f"~~~~\n```\n{text}\n~~~~",
        f"1. So:\n   ```\n{text}\n   ```",
        f"> {line}",
    ):
        for deltas in ([there], list(there)):
            assert said(laws.through([new_filter()], answer(deltas))) == [there], there


@pytest.mark.parametrize(("text", "_calls"), FORMS)
def test_undeclared_tools_stay_text(text: str, _calls: list[Any]) -> None:
    for deltas in every_cut(text):
        assert said(laws.through([new_filter({"another": {}})], answer(deltas))) == [text]
    events = answer([text])
    assert laws.through([new_filter({})], events) == events


@pytest.mark.parametrize(("text", "_calls"), FORMS)
@pytest.mark.parametrize("reason", ["stop", "length"])
def test_half_a_call_stays_text(text: str, _calls: list[Any], reason: FinishReason) -> None:
    for place in range(1, len(text) - 20, 7):
        half = text[:place] + "\u2026"
        parts = said(laws.through([new_filter()], answer([half], reason)))
        assert parts == [half]


FENCES = [
    pytest.param("```\ncode\n```\n", "call", id="closed"),
    pytest.param("```\ncode\n``\n", "text", id="too-short"),
    pytest.param("````\ncode\n```\n", "text", id="shorter-than-the-opening"),
    pytest.param("```\ncode\n`````\n", "call", id="longer-than-the-opening"),
    pytest.param("```\ncode\n~~~\n", "text", id="other-character"),
    pytest.param("```\ncode\n``` x\n", "text", id="words-after-the-closing"),
    pytest.param("```xml\r\ncode\r\n```\r\n", "call", id="crlf"),
    pytest.param("```not a fence```\n", "call", id="code-span"),
    pytest.param("~~~ a`b\ncode\n", "text", id="backtick-after-tildes"),
    pytest.param("a ```\n", "call", id="within-a-line"),
    pytest.param("`" * 2000 + "\n", "call", id="very-long-line"),
    pytest.param("    ```\n", "text", id="indented"),
]


@pytest.mark.parametrize(("before", "found"), FENCES)
def test_fences(before: str, found: str) -> None:
    text = '<tool_call>{"name": "get_weather", "arguments": {"city": "Paris"}}</tool_call>'
    for deltas in ([before + text], list(before + text)):
        parts = said(laws.through([new_filter()], answer(deltas)))
        assert parts == ([before, PARIS] if found == "call" else [before + text])


RELEASED = [
    pytest.param("<tool_box", id="another-tag"),
    pytest.param("<tool_call>\nThe", id="prose"),
    pytest.param("<tool_call> {'", id="no-json"),
    pytest.param('<tool_call>{"name": "get_x', id="undeclared-name"),
    pytest.param('<tool_call>{"name": "get_weather"} x', id="text-behind-the-object"),
    pytest.param('<tool_call>{"name": "get_weather", "arguments": [1]}', id="arguments-no-object"),
    pytest.param('<tool_call>{"name": "get_weather", "arguments": "Paris"}', id="arguments-no-json"),
    pytest.param('<tool_call>{"title": "get_weather"}', id="no-name"),
    pytest.param('<tool_call>{"name": get_weather}', id="broken-json"),
    pytest.param("<tool_call>[1", id="array-of-numbers"),
    pytest.param("<tool_call></tool_call>", id="empty"),
    pytest.param("<tool_call><tool_call>", id="opener-twice"),
    pytest.param("<function=get_weather x", id="attribute"),
    pytest.param("<function=get_weather>text", id="text-in-place-of-parameters"),
    pytest.param("<function=get_weather><parameter=a\n", id="key-over-two-lines"),
    pytest.param("<function=get_weather><parameter=" + "a" * 300, id="endless-key"),
    pytest.param("<tool_call>get_weather\n\nthe", id="name-then-prose"),
    pytest.param("<minimax:tool_call></", id="section-without-calls"),
]


@pytest.mark.parametrize("text", RELEASED)
def test_released_as_soon_as_it_cannot_be_a_call(text: str) -> None:
    step = new_filter()
    events = [event for piece in (Start(), BlockStart(0, "text")) for event in step.feed(piece)]
    for character in text:
        events += step.feed(Delta(0, character))
    assert "".join(event.text for event in events if isinstance(event, Delta)) == text


def test_rescans_what_it_released() -> None:
    text = '<tool_call>\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>'
    for deltas in every_cut(text):
        assert said(laws.through([new_filter()], answer(deltas))) == ["<tool_call>\n", PARIS]


def test_text_streams_up_to_the_opener() -> None:
    step = new_filter()
    step.feed(BlockStart(0, "text"))
    assert step.feed(Delta(0, "Hi.\n<to")) == [BlockStart(0, "text"), Delta(0, "Hi.\n")]
    assert step.feed(Delta(0, "ast>")) == [Delta(0, "<toast>")]
    delta = Delta(0, " more", [{"token": " more"}])
    assert step.feed(delta)[0] is delta


def test_logprobs_stay_with_text() -> None:
    token = {"token": "a\n"}
    events = laws.through([new_filter()], [Start(), BlockStart(0, "text"), Delta(0, "a\n", [token]), BlockEnd(0)])
    assert events[2] == Delta(0, "a\n", [token])


def test_native_calls_switch_it_off() -> None:
    text = '<tool_call>{"name": "get_weather", "arguments": {}}</tool_call>'
    native: list[Event] = [BlockStart(1, "tool_call", "c", "get_weather"), BlockEnd(1)]
    after: list[Event] = [Start(), *native, BlockStart(0, "text"), Delta(0, text), BlockEnd(0), Finish("stop")]
    assert laws.through([new_filter()], after) == after


def test_a_native_call_beside_open_text() -> None:
    step = new_filter()
    step.feed(BlockStart(0, "text"))
    step.feed(Delta(0, "<to"))
    native = BlockStart(1, "tool_call", "c", "f")
    assert step.feed(native) == [native]
    text = 'ol_call>{"name": "get_weather"}</tool_call>'
    assert step.feed(Delta(0, text)) == [BlockStart(0, "text"), Delta(0, "<to" + text)]
    assert step.feed(BlockEnd(0)) == [BlockEnd(0)]


@pytest.mark.parametrize("reason", ["stop", "other"])
def test_the_finish_reason_becomes_tool_calls(reason: FinishReason) -> None:
    text = '<tool_call>{"name": "mcp.time-now"}</tool_call>'
    assert laws.through([new_filter()], answer([text], reason))[-1] == Finish("tool_calls")


def test_length_stays_length() -> None:
    events = laws.through(
        [new_filter()], answer(['<tool_call>{"name": "mcp.time-now"}</tool_call>', "\nand"], "length")
    )
    assert said(events) == [("mcp.time-now", {}), "and"]
    assert [event.cut for event in events if isinstance(event, BlockEnd)] == [False, True]


def test_a_cut_call_without_its_closing_tag_is_text() -> None:
    text = '<tool_call>{"name": "mcp.time-now"}'
    assert said(laws.through([new_filter()], answer([text], "length"))) == [text]


def test_failure_lets_go_of_what_is_held() -> None:
    failure = Failure(UpstreamProtocol("x"))
    for held in ("<tool_c", '<tool_call>{"name"'):
        events = laws.through([new_filter()], [Start(), BlockStart(0, "text"), Delta(0, held), failure])
        assert events == [Start(), BlockStart(0, "text"), Delta(0, held), failure]


def test_annotations_stay_with_their_text() -> None:
    note = Annotation(0, {"type": "x"})
    text = '<tool_call>{"name": "mcp.time-now"}</tool_call>\nDone'
    events = laws.through(
        [new_filter()], [Start(), BlockStart(0, "text"), Delta(0, text), note, BlockEnd(0), Finish("stop")]
    )
    laws.obeys_grammar(events)
    assert [event.value for event in events if isinstance(event, Annotation)] == [note.value]
    alone = [Start(), BlockStart(0, "text"), note, BlockEnd(0), Finish("stop")]
    assert laws.through([new_filter()], alone) == alone


@pytest.mark.parametrize("text", ["", " \n"])
def test_text_without_words_stays(text: str) -> None:
    events = answer([text])
    assert laws.through([new_filter()], events) == events


def test_what_is_held_is_bounded() -> None:
    step = new_filter()
    step.feed(BlockStart(0, "text"))
    step.feed(Delta(0, "<function=write><parameter=content>"))
    block = "a" * 1024 * 64
    released = [event for _ in range(HOLD_LIMIT // len(block) + 1) for event in step.feed(Delta(0, block))]
    assert sum(len(event.text) for event in released if isinstance(event, Delta)) > HOLD_LIMIT
    later = "\n<function=mcp.time-now></function>"
    assert step.feed(Delta(0, later)) == [Delta(0, later)]


def test_doubt_ends_the_search() -> None:
    long = '<tool_call>{"name": "write", "arguments": {"content": "' + "a" * DOUBT_LIMIT + '"}} no\n'
    call = '<tool_call>{"name": "mcp.time-now"}</tool_call>'
    assert said(laws.through([new_filter()], answer([long, call]))) == [long + call]


@pytest.mark.parametrize("number", [2**70, 1])
def test_arguments_are_json(number: int) -> None:
    text = f'<tool_call>{{"name": "write", "arguments": {{"mode": {number}, "path": "\\ud83d"}}}}</tool_call>'
    assert said(laws.through([new_filter()], answer([text]))) == [("write", {"mode": number, "path": "\ud83d"})]


ORDINARY = sorted((Path(__file__).parents[1] / "golden" / "answers").glob("*.md"))


@pytest.mark.parametrize("path", ORDINARY, ids=[path.stem for path in ORDINARY])
@pytest.mark.parametrize("size", [1, 4, 17, 100_000])
def test_ordinary_answers_stay_as_they_are(path: Path, size: int) -> None:
    text = path.read_text()
    events = laws.through([new_filter()], answer([text[i : i + size] for i in range(0, len(text), size)]))
    assert said(events) == [text]


@given(answers())
def test_keeps_the_grammar(events: list[Event]) -> None:
    laws.obeys_grammar(laws.through([new_filter()], events))


PIECES = st.sampled_from(
    [
        *("<tool_call>", "</tool_call>", "\n", "{", "}", '"name": "write"', "<function=write>", "</function>", "```"),
        *("  ", "<parameter=path>", "</parameter>", '{"name": "mcp.time-now"}', "<arg_key>", "a", "write", "[", ","),
    ]
)


@given(st.lists(PIECES | TEXT, max_size=20))
def test_text_is_never_lost(pieces: list[str]) -> None:
    """Without a call found, all text comes out; however it was cut, the same comes out."""
    text = "".join(pieces)
    parts = said(laws.through([new_filter()], answer(pieces)))
    assert parts == said(laws.through([new_filter()], answer(list(text))))
    assert parts == said(laws.through([new_filter()], answer([text])))
    if all(isinstance(part, str) for part in parts):
        assert parts == [text]
