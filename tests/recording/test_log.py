"""The reader: whatever a recording went through, all that is readable is read."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from gateway.recording import format
from gateway.recording.log import Log, LogError
from tests.support.recordings import Tape

ASKED = {"model": "m", "messages": []}


def tape() -> Tape:
    made = Tape()
    made.request("req_1", ASKED, port=5101)
    made.request("req_2", {"model": "n"}, "/v1/responses?x=1")
    made.asked("req_1", ASKED)
    made.asked("req_2", {"model": "n"})
    made.answered("req_2", [b'{"error": 1}'], status=500, headers=[["Content-Type", "application/json"]])
    made.answered("req_1", [b"data: a\n\n", b"\xff"], end="upstream_cut", error="broke")
    made.asked("req_2", {"model": "n", "x": 1}, attempt=2)
    made.answered("req_2", [b"data: b\n\n"], attempt=2)
    made.told("req_2", [b"event: b\n\n"], model="n", output_tokens=3)
    made.told("req_1", [b"data: a\n\n"], end="upstream_cut")
    return made


def test_exchanges_come_in_the_order_in_which_they_began(tmp_path: Path) -> None:
    read: list[int] = []
    with Log.open(tape().write(tmp_path / "log"), read.append) as log:
        assert log.head["gateway"] == "2.0.0"
        first, second = log.exchanges()
    assert sum(read) == (tmp_path / "log").stat().st_size
    assert (first.id, first.port, second.id, second.port) == ("req_1", 5101, "req_2", 5102)
    assert first.request and first.last
    assert first.request.body == b'{"model": "m", "messages": []}'
    assert first.answer.body == b"data: a\n\n"
    assert first.answer.is_stream
    assert first.last.answer.body == b"data: a\n\n\xff"
    assert (first.last.answer.end, first.last.answer.line["error"]) == ("upstream_cut", "broke")
    assert second.request and second.request.path == "/v1/responses"
    assert [attempt.answer.status for attempt in second.attempts] == [500, 200]
    assert second.attempts[0].answer.header("content-type") == "application/json"
    assert second.answer.line["output_tokens"] == 3
    offsets = [chunk.offset for chunk in first.last.answer.chunks]
    assert offsets == sorted(offsets)


@pytest.mark.parametrize(
    ("encoding", "sent", "plain"),
    [
        ("gzip", gzip.compress(b"hello", mtime=0), b"hello"),
        ("gzip", b"cut", b"cut"),
        ("identity", b"x", b"x"),
        ("odd", b"x", b"x"),
    ],
)
def test_a_compressed_body_is_read_plain_where_it_can_be(
    tmp_path: Path, encoding: str, sent: bytes, plain: bytes
) -> None:
    made = Tape()
    made.told("req_1", [sent[:2], sent[2:]], headers=[["content-encoding", encoding]])
    with Log.open(made.write(tmp_path / "log")) as log:
        (one,) = log.exchanges()
    assert one.answer.plain_body == plain
    assert one.answer.body == sent


@pytest.mark.parametrize("size", range(2, 120, 13))
def test_a_file_may_end_anywhere(tmp_path: Path, size: int) -> None:
    whole = tape().write(tmp_path / "log").read_bytes()
    (tmp_path / "log").write_bytes(whole[:-size])
    with Log.open(tmp_path / "log") as log:
        first, second = log.exchanges()
    assert first.answer.end is None
    assert second.answer.end == "complete"


def test_a_last_line_that_lacks_only_its_end_counts(tmp_path: Path) -> None:
    whole = tape().write(tmp_path / "log").read_bytes()
    (tmp_path / "log").write_bytes(whole.rstrip(b"\n"))
    with Log.open(tmp_path / "log") as log:
        assert next(log.exchanges()).answer.end == "upstream_cut"
        assert log.damaged == 0


def test_a_file_may_begin_in_the_middle_and_hold_damaged_lines(tmp_path: Path) -> None:
    made = tape()
    lines = [made.lines[0], *made.lines[3:7], b"\0\0\0\n", b'{"v":1,"direction":"later-kind","request_id":"req_1"}\n']
    lines += [b'{"v":1,"direction":"downstream-response-end","request_id":"req_1"}\n', *made.lines[7:]]
    lines += [format.format_line("upstream-push", 0, 0, {}, port=1, request_id="req_1")]
    (tmp_path / "log").write_bytes(b"".join(lines))
    with Log.open(tmp_path / "log") as log:
        first, second = log.exchanges()
        assert first.request is None
        assert first.answer.body == b"data: a\n\n"
        assert second.request is None
        assert log.damaged == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        (b"hello\n", "this is no recording"),
        (b'{"v":1,"direction":"log"}\n{"v":2,"direction":"upstream-request"}\n', "line 2: version 2 of the format"),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "log").write_bytes(content)
    with pytest.raises(LogError, match=said) as caught:
        Log.open(tmp_path / "log")
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="none: No such file"):
        Log.open(tmp_path / "none")
    with pytest.raises(LogError, match="directory"):
        Log.open(tmp_path)
