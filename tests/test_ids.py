from __future__ import annotations

import re
import time

from gateway.ids import new_id, now


def test_ids_differ_and_are_as_long_as_openais() -> None:
    drawn = {new_id("resp_") for _ in range(1000)}
    assert len(drawn) == 1000
    assert all(re.fullmatch(r"resp_[0-9a-f]{48}", one) for one in drawn)


def test_the_time_is_in_whole_seconds() -> None:
    before = int(time.time())
    assert before <= now() <= time.time()
