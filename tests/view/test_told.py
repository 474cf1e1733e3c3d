"""What the page is told of an exchange, also of one of which half is missing."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from gateway.recording.log import Log
from gateway.view.told import ROW, Told, told
from tests.support.recordings import STREAM, WHOLE, Tape

ASKED = {"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "Tell me"}]}]}
FRAME = b'data: {"choices":[{"index":0,"delta":{"content":"yo "},"finish_reason":null}]}\n\n'
LAST = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


def tell(tape: Tape, folder: Path, limit: int = 100_000) -> list[Told]:
    with Log.open(tape.write(folder / "log")) as log:
        return [told(exchange, limit) for exchange in log.exchanges()]


def row(one: Told) -> dict[str, Any]:
    return dict(zip(ROW, one.row, strict=True))


def test_a_row_has_what_the_log_says(tmp_path: Path) -> None:
    tape = Tape()
    tape.request("req_1", ASKED, "/v1/messages?beta=true")
    tape.asked("req_1", ASKED)
    tape.answered("req_1", [FRAME, LAST])
    facts = {"model": "m2", "input_tokens": 3, "output_tokens": 4, "first_byte_ms": 5.5, "duration_ms": 60.5}
    tape.told("req_1", [b"x"], dropped=["seed"], lost=2, **facts)
    (one,) = tell(tape, tmp_path)
    assert row(one) == {
        "id": "req_1",
        "time": "2026-11-27T16:01:45.010000Z",
        "port": 5102,
        "method": "POST",
        "path": "/v1/messages",
        "model": "m2",
        "status": 200,
        "input": 3,
        "output": 4,
        "first": 5.5,
        "duration": 60.5,
        "end": "complete",
        "warnings": 1,
        "dropped": 1,
        "attempts": 1,
        "said": "Tell me yo ",
    }
    detail = one.detail
    assert detail["warnings"] == ["2 records of this exchange were lost"]
    assert detail["dropped"] == ["seed"]
    assert detail["said"]["text"] == "yo "
    assert detail["client"]["body"] == ASKED
    assert detail["changes"]["same"] == -1
    answer = detail["attempts"][0]["answer"]
    assert answer["body"] == [[0.03, FRAME.decode()], [0.04, LAST.decode()]]
    assert answer["marks"] == [[0.03, len(FRAME)], [0.04, len(LAST)]]
    assert (answer["at"], answer["ended"], answer["end"]) == (0.02, 0.05, "complete")


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    tape = Tape()
    tape.request("req_1", ASKED)
    tape.asked("req_1", {"model": "n"})
    tape.answered("req_1", [b'{"error": "x"}'], status=500, headers=WHOLE)
    tape.asked("req_1", {"model": "n"}, attempt=2)
    tape.answered("req_1", [FRAME], end="upstream_cut", attempt=2, error="It broke.")
    tape.told("req_1", [b"a", b"b"], end=None)
    tape.told("req_2", [b"c"])
    tape.request("req_3", b"not json", "/v1/x")
    tape.request("req_4", {"model": "m", "input": "plain"})
    first, second, third, fourth = tell(tape, tmp_path)
    assert first.detail["warnings"] == [
        "the recording ends before the end of this exchange",
        "upstream, attempt 1: status 500",
        "upstream, attempt 2: It broke.",
        "the answer is broken: The upstream's answer broke off before its end.",
    ]
    assert first.detail["changes"]["moved"] == []
    assert (row(first)["first"], row(first)["duration"], row(first)["end"]) == (100.0, 110.0, None)
    assert second.detail["warnings"] == ["the request is not in the recording"]
    assert (row(second)["time"], row(second)["path"], row(second)["duration"]) == (None, None, 20.0)
    assert second.detail["changes"] is None
    assert (third.detail["client"]["body"], row(third)["status"], row(third)["said"]) == ("not json", None, " ")
    assert row(fourth)["said"] == "plain "


def test_a_long_answer_fits_the_limit(tmp_path: Path) -> None:
    tape = Tape(tick=0.001)
    tape.request("req_1", ASKED)
    tape.asked("req_1", ASKED)
    tape.answered("req_1", [FRAME] * 4000)
    tape.told("req_1", [FRAME] * 4000)
    (one,) = tell(tape, tmp_path, 20_000)
    answer = one.detail["attempts"][0]["answer"]
    assert answer["chunks"] == 4000
    assert len(answer["marks"]) <= 1500
    assert sum(size for _, size in answer["marks"]) == 4000 * len(FRAME)
    assert answer["body"][-1][1].endswith("more chunks)")
    assert len(json.dumps(one.detail)) < 80_000


def test_a_compressed_stream_is_shown_plain(tmp_path: Path) -> None:
    tape = Tape()
    tape.request("req_1", ASKED)
    tape.asked("req_1", ASKED)
    tape.answered("req_1", [gzip.compress(FRAME + LAST)], headers=[*STREAM, ["content-encoding", "gzip"]])
    (one,) = tell(tape, tmp_path)
    answer = one.detail["attempts"][0]["answer"]
    assert (answer["stream"], answer["body"]) == (False, (FRAME + LAST).decode())
    assert one.detail["said"]["text"] == "yo "
