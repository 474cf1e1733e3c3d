"""Records: which answer a request gets, and in which order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.recording.log import Log
from gateway.replay.asked import Asked, take_apart
from gateway.replay.records import Found, Miss, Records
from tests.support.recordings import WHOLE, Tape


def body(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}], **more}


def asked(text: str, **more: Any) -> Asked:
    return take_apart("POST", "/v1/chat/completions", json.dumps(body(text, **more)).encode())


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    tape = Tape()
    tape.request("req_0", None, "/v1/models")
    tape.told("req_0", [b'{"data": [{"id": "n"}]}'], headers=WHOLE)
    for id, text, more in (
        ("req_1", "again", {}),
        ("req_2", "again", {}),
        ("req_3", "in /tmp/a/b", {}),
        ("req_4", "limit", {"max_tokens": 9}),
        ("req_6", "line\nline two\nshared", {}),
        ("req_7", "line\nline three\nshared", {}),
    ):
        tape.asked(id, body(text, **more))
        tape.answered(id, [b"x"])
    tape.asked("req_4", body("limit", max_tokens=5), attempt=2)
    tape.answered("req_5", [b"its request was rotated away"])
    with Log.open(tape.write(tmp_path / "log")) as log:
        yield Records.of(log)


def names(records: Records, *requests: Asked) -> list[tuple[str, str]]:
    found = [records.find(request) for request in requests]
    assert all(isinstance(one, Found) for one in found), found
    return [(one.record.name, one.likeness) for one in found if isinstance(one, Found)]


def test_the_same_request_gets_its_answers_in_order_and_the_last_again(records: Records) -> None:
    assert names(records, *[asked("again")] * 4) == [
        ("req_1", "exact"),
        ("req_2", "exact"),
        ("req_2", "exact"),
        ("req_2", "exact"),
    ]


def test_volatile_text_may_differ(records: Records) -> None:
    assert names(records, asked("in /home/ann/x")) == [("req_3", "settled")]


def test_settings_choose_among_equals_and_never_miss(records: Records) -> None:
    assert names(records, asked("limit", max_tokens=5), asked("limit", max_tokens=9), asked("limit", seed=1)) == [
        ("req_4, attempt 2", "exact"),
        ("req_4", "exact"),
        ("req_4, attempt 2", "exact"),
    ]


def test_of_several_at_a_position_the_nearest_answers(records: Records) -> None:
    assert names(records, asked("line\nline 3\nshared"))[0] == ("req_6", "position")


def test_a_miss_names_the_nearest_record_and_the_matcher(records: Records) -> None:
    miss = records.find(asked("never asked"))
    assert isinstance(miss, Miss)
    assert miss.nearest and miss.difference
    assert miss.nearest.entry.id == "req_1"
    assert (miss.difference.matcher, miss.difference.place) == ("messages", "messages[0]")


def test_what_is_listed_is_known(records: Records) -> None:
    assert records.models == ["m"]
    assert records.listed == {"n": {"id": "n"}}
    assert len(records) == 7


def test_an_empty_log_has_no_nearest(tmp_path: Path) -> None:
    with Log.open(Tape().write(tmp_path / "log")) as log:
        assert Records.of(log).find(asked("x")) == Miss(None, None)
