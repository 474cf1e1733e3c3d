from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import sse
from gateway.errors import UpstreamProtocol
from gateway.sse import Frame, Parser
from tests.laws import cuts

CASES = [
    pytest.param(b"data: a\n\n", [(None, b"a")], id="plain"),
    pytest.param(b"data:a\n\ndata:  b\n\n", [(None, b"a"), (None, b" b")], id="one-space-is-dropped"),
    pytest.param(b"event: x\ndata: a\n\n", [("x", b"a")], id="event-name"),
    pytest.param(b"event: \xff\ndata: a\n\n", [("\ufffd", b"a")], id="event-name-not-utf8"),
    pytest.param(b"data: a\ndata: b\n\n", [(None, b"a\nb")], id="two-data-lines"),
    pytest.param(b"data\n\n", [(None, b"")], id="data-without-colon"),
    pytest.param(b"data: a\r\n\r\ndata: b\r\n\r\n", [(None, b"a"), (None, b"b")], id="crlf"),
    pytest.param(b"data: a\r\rdata: b\r\r", [(None, b"a"), (None, b"b")], id="cr"),
    pytest.param(b"data: a\r\n\ndata: b\n\r\n", [(None, b"a"), (None, b"b")], id="mixed"),
    pytest.param(b": note\n\nid: 7\nretry: 5\nother\n\ndata: a\n\n", [(None, b"a")], id="no-data"),
    pytest.param(b"event: ping\n\ndata: a\n\n", [(None, b"a")], id="event-alone"),
    pytest.param(b"\n\n\n\ndata: a\n\n\n\n\ndata: b\n\n", [(None, b"a"), (None, b"b")], id="blank-lines"),
    pytest.param(b"\xef\xbb\xbfdata: a\n\n", [(None, b"a")], id="byte-order-mark"),
    pytest.param(b"\xef\xbb\n\ndata: a\n\n", [(None, b"a")], id="half-a-mark"),
    pytest.param(b"data: a", [(None, b"a")], id="no-blank-line"),
    pytest.param(b"data: a\n", [(None, b"a")], id="one-line-end"),
    pytest.param(
        "data: \u2028\u0085\u00c5\n\n".encode(), [(None, "\u2028\u0085\u00c5".encode())], id="other-line-ends"
    ),
    pytest.param(b"", [], id="empty"),
    pytest.param(b"\xef\xbb", [], id="mark-alone"),
]


@pytest.mark.parametrize(("data", "frames"), CASES)
def test_frames_however_cut(data: bytes, frames: list[tuple[str | None, bytes]]) -> None:
    for reads in cuts(data):
        parser = Parser()
        found = [frame for read in reads for frame in parser.feed(read)] + parser.finish()
        assert found == [Frame(*frame) for frame in frames]
        assert parser.finish() == []


@given(st.lists(st.tuples(st.none() | st.from_regex(r"[a-z.]{1,8}", fullmatch=True), st.binary(max_size=20))))
def test_format_is_what_the_parser_reads(frames: list[tuple[str | None, bytes]]) -> None:
    lines = [(event, data.replace(b"\r", b"").replace(b"\n", b"")) for event, data in frames]
    stream = b"".join(sse.comment("between") + sse.format(event, data) for event, data in lines)
    for reads in cuts(stream, times=3):
        parser = Parser()
        assert [(frame.event, frame.data) for read in reads for frame in parser.feed(read)] == lines


PIECES = st.sampled_from(
    [b"data: a", b"data:b", b"data: ", b"data", b"\n\ndata: c\n\n", b"\n", b"\n\n", b"\r", b": x", b"event: e"]
)


@given(st.lists(PIECES, max_size=12))
def test_the_short_way_finds_the_same_frames(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    at_once, by_bytes = Parser(), Parser()
    found = [*at_once.feed(data), *at_once.finish()]
    assert found == [frame for byte in data for frame in by_bytes.feed(bytes([byte]))] + by_bytes.finish()


@pytest.mark.parametrize("reads", [[b"data: " + b"a" * 20], [b"data: ", b"a" * 20]], ids=["at-once", "by-and-by"])
def test_refuses_a_frame_without_end(reads: list[bytes]) -> None:
    parser = Parser(limit=16)
    with pytest.raises(UpstreamProtocol, match="more than 16 bytes"):
        for read in reads:
            parser.feed(read)


def test_comment() -> None:
    assert sse.comment() == b": \n\n"
    assert Parser().feed(sse.comment("still here")) == []


@pytest.mark.parametrize(
    ("tail", "expected"),
    [(b"a\n\n", True), (b"a\r\r", True), (b"\r\n\r\n", True), (b"a\n", False), (b"\r\n", False), (b"", False)],
)
def test_ends_frame(tail: bytes, expected: bool) -> None:
    assert sse.ends_frame(tail) is expected
