"""How records travel from a worker to the recorder: batches of them, each a frame. Pure.

    length of the records (4 bytes), length of the large payloads (8 bytes), records, large payloads

Records are spelled by `marshal`, which costs a tenth of JSON and keeps what stands there twice as one object, so that
what is relayed is looked through once. It is no format for strangers: both ends are forked from one process, over a
pair of sockets that nobody else can open. A payload is the last part of its record; a large one is not copied, it
travels behind the records.
"""

from __future__ import annotations

import marshal
import struct
from collections.abc import Iterator, Sequence
from typing import Any, Final

Record = tuple[Any, ...]
"""The number of its exchange, its kind, its time, and what else belongs to it: plain values only."""

LARGE: Final = 64 * 1024
"""Bytes from which a payload travels by itself."""

_HEAD = struct.Struct("<IQ")


def pack(records: Sequence[Record], large: bool = True) -> list[memoryview]:
    """Return the parts of a frame. `large`: there may be large payloads. Raises: ValueError for what is not plain."""
    payloads: list[bytes] = []
    if large:
        records = [_apart(record, payloads) for record in records]
    lengths = [len(one) for one in payloads]
    frame: Any = (records, lengths)
    spelt = marshal.dumps(frame)
    head = _HEAD.pack(len(spelt), sum(lengths))
    return [memoryview(head + spelt), *(memoryview(one) for one in payloads)]


def _apart(record: Record, payloads: list[bytes]) -> Record:
    payload = record[-1]
    if not isinstance(payload, bytes) or len(payload) < LARGE:
        return record
    if not (payloads and payloads[-1] is payload):
        payloads.append(payload)
    return (*record[:-1], len(payloads) - 1)  # no record ends with a number of its own


class Frames:
    """Puts frames together again."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[list[Record]]:
        """Take what was read; yield the records of each frame that is complete now."""
        self._data += data
        while len(self._data) >= _HEAD.size:
            spelt, behind = _HEAD.unpack_from(self._data)
            begin = _HEAD.size + spelt
            end = begin + behind
            if len(self._data) < end:
                return
            with memoryview(self._data) as view:
                records = _records(view[_HEAD.size : begin], view[begin:end])
            del self._data[:end]
            yield records


def _records(spelt: memoryview, behind: memoryview) -> list[Record]:
    with spelt, behind:
        records, lengths = marshal.loads(spelt)
        payloads, at = [], 0
        for length in lengths:
            payloads.append(bytes(behind[at : at + length]))
            at += length
    if not payloads:
        found: list[Record] = records
        return found
    return [(*one[:-1], payloads[one[-1]]) if type(one[-1]) is int else one for one in records]
