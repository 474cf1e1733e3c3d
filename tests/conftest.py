"""Fixtures of the tests on real sockets: one scripted upstream and a pool of gateways for each test process."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from tests.support.gateway import ROOT, Gateway, GatewayPool
from tests.support.upstream import Upstream


def pytest_configure(config: pytest.Config) -> None:
    """Name the marks of these tests."""
    config.addinivalue_line("markers", "clients: runs a real client program through a real gateway; takes seconds")
    runs_tests = "PYTEST_XDIST_WORKER" in os.environ or not config.getoption("numprocesses", None)
    if runs_tests and os.environ.pop("COVERAGE_PROCESS_CONFIG", None):
        os.environ["COVERAGE_PROCESS_START"] = str(ROOT / "tests" / "support" / "gateway.coveragerc")
        os.environ["COVERAGE_FILE"] = str(ROOT / ".coverage")


def pytest_xdist_auto_num_workers() -> int:
    """Run more tests at a time than there are processors: most of their time they wait for sockets."""
    return 2 * len(os.sched_getaffinity(0))


@pytest.fixture(scope="session")
def _session_upstream() -> Iterator[Upstream]:
    with Upstream() as upstream:
        yield upstream


@pytest.fixture(scope="session")
def _gateway_pool(_session_upstream: Upstream) -> Iterator[GatewayPool]:
    pool = GatewayPool(_session_upstream.url)
    yield pool
    pool.stop()


@pytest.fixture
def upstream(_session_upstream: Upstream) -> Upstream:
    """The scripted upstream behind `gateway`, as new."""
    _session_upstream.reset()
    return _session_upstream


@pytest.fixture
def gateway(_gateway_pool: GatewayPool, upstream: Upstream) -> Gateway:
    """A running gateway with the settings of the tests; shared, so tests use model names of their own."""
    return _gateway_pool.get()


@pytest.fixture
def gateway_with(_gateway_pool: GatewayPool, upstream: Upstream) -> Callable[..., Gateway]:
    """Return a function that gives a running gateway with further settings; shared like `gateway`."""
    return _gateway_pool.get
