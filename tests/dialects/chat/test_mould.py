from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.chat import mould as room
from gateway.dialects.chat.decode import Decoder
from gateway.dialects.chat.mould import Mould
from gateway.dialects.chat.read import Fragment, fragment_of
from gateway.events import Delta
from gateway.profile import Model, Terms
from gateway.sse import Frame


def chunk(delta: dict[str, Any], **members: Any) -> bytes:
    value = {"id": "x", "created": 1, "choices": [{"index": 0, "delta": delta, "finish_reason": None}], **members}
    return json.dumps(value, ensure_ascii=False).encode()


def content(text: str, **members: Any) -> bytes:
    return chunk({"content": text}, **members)


def cast(data: bytes) -> Mould:
    """A mould of a chunk."""
    fragment = fragment_of(json.loads(data))
    assert fragment is not None
    mould = Mould()
    mould.cast(data, fragment)
    return mould


@pytest.mark.parametrize(
    ("first", "next", "expected"),
    [
        pytest.param(content("a"), content("b"), "b", id="content"),
        pytest.param(content("a"), content('"\\\n\u2028é'), '"\\\n\u2028é', id="marks"),
        pytest.param(content("é"), content("b"), "b", id="cast-of-another-script"),
        pytest.param(content("a").replace(b": ", b":"), content("b").replace(b": ", b":"), "b", id="compact"),
        pytest.param(chunk({"reasoning_content": "a"}), chunk({"reasoning_content": "b"}), "b", id="reasoning"),
        pytest.param(chunk({"role": "assistant", "content": "a"}), chunk({"role": "assistant", "content": "b"}), "b",
                     id="a-role-beside-it"),
        pytest.param(content("a"), content(""), None, id="nothing-said"),
        pytest.param(content("a"), content("b", created=2), None, id="another-second"),
        pytest.param(content("a"), content("b", usage={"prompt_tokens": 1}), None, id="usage-behind-it"),
        pytest.param(content("a"), content("b")[:-1], None, id="cut"),
        pytest.param(content("a"), content("b").partition(b'"b"')[0] + b'"b"', None, id="cut-behind-the-string"),
        pytest.param(content("a"), content("b").replace(b'"b"', b"7"), None, id="a-number"),
        pytest.param(content("a"), content("b").replace(b'"b"', b"null"), None, id="null"),
        pytest.param(content("a"), content("b").replace(b'"b"', b'"b", "c": "d"'), None, id="two-strings"),
        pytest.param(content("a"), content("b").replace(b'"b"', b'"\xff"'), None, id="broken-utf8"),
        pytest.param(content("a"), b'"b"', None, id="a-string-alone"),
        pytest.param(content("a"), b"", None, id="nothing"),
    ],
)  # fmt: skip
def test_reads_what_was_cast_alike(first: bytes, next: bytes, expected: str | None) -> None:
    assert cast(first).text(next) == expected


def test_knows_whose_fragment_it_is() -> None:
    piece = {"index": 3, "function": {"arguments": '{"a'}}
    mould = cast(chunk({"tool_calls": [piece]}))
    assert (mould.member, mould.call) == ("arguments", 3)
    assert mould.text(chunk({"tool_calls": [{"index": 3, "function": {"arguments": '":1'}}]})) == '":1'


def test_without_a_mould_nothing_is_read() -> None:
    assert Mould().text(content("a")) is None
    assert Mould().text(b'"a"') is None


@pytest.mark.parametrize(
    "data",
    [
        # The first place of these bytes is not the one that is read.
        pytest.param(content("a").replace(b'{"id"', b'{"more": {"content": "a"}, "id"'), id="elsewhere-too"),
        pytest.param(content("a").replace(b'"content"', b'"content": "a", "content"'), id="said-twice"),
        pytest.param(content("é").replace("é".encode(), b"\\u00e9"), id="spelled-in-another-way"),
        pytest.param(content("a" * 5000), id="long"),
    ],
)
def test_casts_none_that_is_not_proved(data: bytes) -> None:
    assert cast(data).text(data) is None


def test_one_that_is_of_no_use_is_cast_ever_more_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []
    monkeypatch.setattr(room, "fragment_of", lambda chunk: tried.append(chunk) or fragment_of(chunk))
    mould = Mould()
    for second in range(1000):
        data = content("a", created=second)
        assert mould.text(data) is None
        mould.cast(data, Fragment("content", None, "a"))
    assert len(tried) < 15
    # One that is used is followed by another at once.
    data = content("b", created=tried[-1]["created"])
    assert mould.text(data) == "b"


def test_moulds_that_are_of_use_follow_each_other() -> None:
    mould = Mould()
    for second in range(100):
        data = content("a", created=second)
        assert mould.text(data) is None
        mould.cast(data, Fragment("content", None, "a"))
        assert mould.text(content("b", created=second)) == "b"


DELTAS = st.one_of(
    st.text(max_size=3).map(lambda text: {"content": text}),
    st.text(max_size=3).map(lambda text: {"reasoning_content": text}),
    st.text(max_size=3).map(lambda text: {"role": "assistant", "content": text, "tool_calls": None}),
    st.tuples(st.integers(0, 1), st.sampled_from(["", "{", '{"a":', '"}"', "}", "1"])).map(
        lambda call: {"tool_calls": [{"index": call[0], "function": {"arguments": call[1]}}]}
    ),
    st.tuples(st.integers(0, 1), st.sampled_from(["f", "g"])).map(
        lambda call: {"tool_calls": [{"index": call[0], "id": call[1], "function": {"name": call[1]}}]}
    ),
)
EXTRAS = st.sampled_from([{}, {}, {}, {}, {"created": 2}, {"usage": {"prompt_tokens": 1}}])


@given(st.lists(st.tuples(DELTAS, EXTRAS), max_size=30), st.booleans())
def test_a_stream_says_the_same_without_moulds(told: list[tuple[dict[str, Any], dict[str, Any]]], cut: bool) -> None:
    frames = [Frame(None, chunk(delta, **extra)) for delta, extra in told]
    if cut and frames:
        frames[-1] = Frame(None, frames[-1].data[:-2])

    def events(*, moulds: bool, short_way: bool = True) -> str:
        decoder = Decoder(Terms(Model("m")))
        if not moulds:
            decoder._mould.cast = lambda data, fragment: None  # type: ignore[method-assign]
        if not short_way:
            decoder._go_on = lambda member, call, text: None  # type: ignore[method-assign]
        return repr([event for frame in [*frames, Frame(None, b"[DONE]")] for event in decoder.feed(frame)])

    assert events(moulds=True) == events(moulds=False) == events(moulds=False, short_way=False)


def test_an_event_with_a_name_is_no_chunk_of_the_mould() -> None:
    decoder = Decoder(Terms(Model("m")))
    for _ in range(3):
        decoder.feed(Frame(None, content("a")))
    assert decoder.feed(Frame(None, content("b"))) == [Delta(0, "b")]
    (event,) = decoder.feed(Frame("error", content("b")))
    assert not isinstance(event, Delta)
