"""Requests and answers at random through the whole application; what it found stands below as cases.

Longer runs: `make fuzz`.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.fuzzing import PROPERTIES, Subject

SUBJECT = Subject()


@pytest.mark.parametrize("name", PROPERTIES)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_nothing_random_makes_the_gateway_fail(name: str, data: Any) -> None:
    strategy, holds = PROPERTIES[name]
    holds(SUBJECT, data.draw(strategy))
