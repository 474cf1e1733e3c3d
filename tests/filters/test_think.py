from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import UpstreamProtocol
from gateway.events import Annotation, BlockEnd, BlockStart, Delta, Event, Failure, Finish, Start
from gateway.filters.think import ThinkFilter
from tests import laws
from tests.strategies import answers

SPLIT = [
    pytest.param("Hello", "", "Hello", id="no-tag"),
    pytest.param("<think>Hm</think>Hello", "Hm", "Hello", id="tag"),
    pytest.param("<think>\nHm\n\n</think>\n\nHello", "\nHm\n\n", "Hello", id="reasoning-is-kept-blank-lines-go"),
    pytest.param("<think>Hm</think>\n \t\n    code", "Hm", "    code", id="indentation-stays"),
    pytest.param("<think>Hm</think>\r\n\r\nHello", "Hm", "Hello", id="crlf"),
    pytest.param("<think>Hm</think> Hello\n\nYou", "Hm", " Hello\n\nYou", id="same-line"),
    pytest.param("\n <think>Hm</think>Hello", "Hm", "Hello", id="white-space-before"),
    pytest.param("<think></think>\n\nHello", "", "Hello", id="nothing-thought"),
    pytest.param("<think>Hm</think>\n\n", "Hm", "", id="nothing-said"),
    pytest.param("<think>Hm", "Hm", "", id="never-closed"),
    pytest.param("<think>Hm</thi", "Hm</thi", "", id="half-closed"),
    pytest.param("<think>a</thin</think>b", "a</thin", "b", id="half-a-tag-then-the-tag"),
    pytest.param("<think>a<</think>b", "a<", "b", id="bracket-before-the-tag"),
    pytest.param("<think>a</think>b<think>c</think>d", "a", "b<think>c</think>d", id="later-tags-are-text"),
    pytest.param("<thinking>a</thinking>", "", "<thinking>a</thinking>", id="another-tag"),
    pytest.param("<thi", "", "<thi", id="half-a-tag-alone"),
    pytest.param("  \n", "", "  \n", id="white-space-alone"),
    pytest.param("Say <think>a</think>", "", "Say <think>a</think>", id="tag-within-the-text"),
    pytest.param("a</think>b", "", "a</think>b", id="lone-closing-tag"),
]
OPENED = [
    pytest.param("Hm</think>\n\nHello", "Hm", "Hello", id="lone-closing-tag"),
    pytest.param("\n<think>\nHm</think>Hello", "\nHm", "Hello", id="opened-once-more"),
    pytest.param("\nHm</think>Hello", "\nHm", "Hello", id="white-space-stays"),
    pytest.param("<three>Hm</think>Hello", "<three>Hm", "Hello", id="another-tag"),
    pytest.param("Hm", "Hm", "", id="never-closed"),
    pytest.param("<th", "<th", "", id="half-a-tag-alone"),
    pytest.param("</think>Hello", "", "Hello", id="nothing-thought"),
]


def answer(deltas: list[str]) -> list[Event]:
    inside: list[Event] = [Delta(0, text) for text in deltas if text]
    return [Start(), BlockStart(0, "text"), *inside, BlockEnd(0), Finish("stop")]


def said(events: list[Event]) -> tuple[str, str]:
    laws.obeys_grammar(events)
    kinds = {event.block: event.kind for event in events if isinstance(event, BlockStart)}
    texts = {"reasoning": "", "text": ""}
    for event in events:
        if isinstance(event, Delta):
            texts[kinds[event.block]] += event.text
    return texts["reasoning"], texts["text"]


def every_cut(text: str) -> list[list[str]]:
    halves = [[text[:place], text[place:]] for place in range(len(text) + 1)]
    thirds = [[text[:a], text[a : a + 3], text[a + 3 :]] for a in range(len(text))]
    return [*halves, *thirds, list(text)]


@pytest.mark.parametrize(("text", "reasoning", "rest"), SPLIT)
def test_split_however_cut(text: str, reasoning: str, rest: str) -> None:
    for deltas in every_cut(text):
        assert said(laws.through([ThinkFilter()], answer(deltas))) == (reasoning, rest), deltas


@pytest.mark.parametrize(("text", "reasoning", "rest"), OPENED)
def test_opened_by_the_template(text: str, reasoning: str, rest: str) -> None:
    for deltas in every_cut(text):
        assert said(laws.through([ThinkFilter(opened=True)], answer(deltas))) == (reasoning, rest), deltas


def test_reasoning_streams() -> None:
    step = ThinkFilter()
    step.feed(BlockStart(0, "text"))
    assert step.feed(Delta(0, "<think>")) == []
    first, delta = step.feed(Delta(0, "Let me <"))
    assert (first, delta) == (BlockStart(first.block, "reasoning"), Delta(first.block, "Let me "))  # type: ignore[union-attr]
    assert step.feed(Delta(0, "b>see")) == [Delta(first.block, "<b>see")]  # type: ignore[union-attr]


def test_reasoning_of_an_opened_tag_streams_from_the_first_character() -> None:
    step = ThinkFilter(opened=True)
    step.feed(BlockStart(0, "text"))
    assert len(step.feed(Delta(0, "L"))) == 2


def test_text_passes_untouched_once_it_is_text() -> None:
    step = ThinkFilter()
    start, delta = BlockStart(0, "text"), Delta(0, "Hi", [{"token": "Hi"}])
    assert step.feed(start) == []
    assert step.feed(delta) == [start, delta]
    assert step.feed(delta)[0] is delta


@pytest.mark.parametrize(
    "before",
    [
        pytest.param([BlockStart(9, "reasoning"), Delta(9, "Hm"), BlockEnd(9)], id="reasoning"),
        pytest.param([BlockStart(9, "tool_call", "c", "f"), BlockEnd(9)], id="call"),
    ],
)
@pytest.mark.parametrize("opened", [False, True])
def test_only_at_the_very_start(before: list[Event], opened: bool) -> None:
    events = answer(["<think>a</think>b"])
    events[1:1] = before
    assert laws.through([ThinkFilter(opened=opened)], events) == events


@pytest.mark.parametrize("text", ["<think>Hm", "<think>Hm</think>"])
def test_cut_marks_what_is_open(text: str) -> None:
    events: list[Event] = [Start(), BlockStart(0, "text"), Delta(0, text), BlockEnd(0, cut=True), Finish("length")]
    ends = [event for event in laws.through([ThinkFilter()], events) if isinstance(event, BlockEnd)]
    assert [end.cut for end in ends] == [not text.endswith("</think>")]


def test_failure_lets_go_of_text() -> None:
    failure = Failure(UpstreamProtocol("x"))
    begun: list[Event] = [Start(), BlockStart(0, "text")]
    assert laws.through([ThinkFilter()], [*begun, Delta(0, "<thi"), failure]) == [*begun, Delta(0, "<thi"), failure]
    assert laws.through([ThinkFilter()], [*begun, Delta(0, "<think>"), failure]) == [Start(), failure]


def test_annotations_stay_with_their_text() -> None:
    events = answer(["<think>Hm</think>", "\n", "Hello"])
    note = Annotation(0, {"type": "x"})
    events.insert(4, note)
    passed = laws.through([ThinkFilter()], events)
    assert said(passed) == ("Hm", "Hello")
    assert passed[-4:-2] == [note, Delta(0, "Hello")]


def test_other_blocks_pass_while_text_is_held() -> None:
    step = ThinkFilter()
    step.feed(BlockStart(0, "text"))
    call = BlockStart(1, "tool_call", "c", "f")
    assert step.feed(call) == [call]


@given(answers(), st.booleans())
def test_keeps_the_grammar(events: list[Event], opened: bool) -> None:
    laws.obeys_grammar(laws.through([ThinkFilter(opened=opened)], events))
