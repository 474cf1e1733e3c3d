"""Fixtures of the tests that mean harm."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.gateway import Gateway, ImpatientGateway
from tests.support.upstream import Upstream


@pytest.fixture(scope="module")
def _impatient(_session_upstream: Upstream) -> Iterator[ImpatientGateway]:
    with ImpatientGateway(_session_upstream.url, KEEPALIVE_SECS="1") as running:
        yield running


@pytest.fixture
def impatient(_impatient: ImpatientGateway, upstream: Upstream) -> Gateway:
    """A gateway with short deadlines, one worker."""
    return _impatient
