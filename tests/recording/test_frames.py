"""Records there and back again, however the bytes are cut."""

from __future__ import annotations

import pytest

from gateway.recording.frames import LARGE, Frames, Record, pack

BODY = b"body" * LARGE
SMALL: list[Record] = [
    (0, "client_request", 1.5, ("8000", "req_1"), "POST", "/", [("a", "b")], None, b"small"),
    (0, "client_end", 2.5, 1.5, 0, {"end": "complete", "status": 200, "model": None}),
]
MIXED: list[Record] = [
    (1, "upstream_request", 1.0, 1, "GET", "/", [], None, None),
    (1, "upstream_chunk", 1.0, BODY),
    (1, "client_chunk", 1.0, BODY),
    (1, "client_chunk", 1.0, BODY + b"2"),
    *SMALL,
]


def packed(*batches: list[Record]) -> bytes:
    return b"".join(part for batch in batches for part in pack(batch))


@pytest.mark.parametrize("records", [SMALL, MIXED, []], ids=["small", "large", "none"])
def test_records_come_as_they_were(records: list[Record]) -> None:
    assert list(Frames().feed(packed(records))) == [records]


def test_frames_are_found_however_they_are_cut() -> None:
    data = packed(SMALL, MIXED, SMALL)
    frames = Frames()
    found = []
    for at in range(0, len(data), 5000):
        found += frames.feed(data[at : at + 5000])
    assert found == [SMALL, MIXED, SMALL]
    frames = Frames()
    assert [batch for byte in packed(SMALL) for batch in frames.feed(bytes([byte]))] == [SMALL]


def test_a_large_payload_travels_once_and_is_one_object_again() -> None:
    parts = pack(MIXED)
    assert len(parts) == 3
    assert sum(map(len, parts)) < 2 * len(BODY) + 2000
    assert parts[1].obj is BODY, "it is not copied"
    (records,) = Frames().feed(b"".join(parts))
    assert records[1][-1] is records[2][-1]


def test_what_is_small_but_stands_twice_is_one_object_too() -> None:
    chunk = b"".join([b"x", b"y"])
    (records,) = Frames().feed(packed([(1, "upstream_chunk", 1.0, chunk), (1, "client_chunk", 1.0, chunk)]))
    assert records[0][-1] is records[1][-1]


def test_where_nothing_is_large_nothing_is_looked_for() -> None:
    assert list(Frames().feed(b"".join(pack(SMALL, large=False)))) == [SMALL]


def test_what_is_not_plain_is_refused() -> None:
    with pytest.raises(ValueError, match="unmarshallable"):
        pack([(1, "client_head", 1.0, object())])
