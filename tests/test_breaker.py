"""Circuits: opening, probing, ageing, and sharing between processes."""

from __future__ import annotations

import os

import pytest

from gateway.breaker import AGES_AFTER, Breaker
from gateway.errors import (
    CircuitOpen,
    RequestError,
    UpstreamHungUp,
    UpstreamProtocol,
    UpstreamStatus,
    UpstreamTimeout,
    UpstreamUnreachable,
)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(failures=3, cooldown=30, clock=clock)


def test_it_needs_no_folder_for_temporary_files(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_usable() -> str:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr("tempfile._get_default_tempdir", none_usable)
    monkeypatch.setattr("tempfile.tempdir", None)
    with Breaker().enter("m"):
        pass


def fail(breaker: Breaker, model: str, times: int = 3) -> None:
    for _ in range(times):
        breaker.enter(model).failed()


def test_failures_in_a_row_open_the_circuit_of_their_model_alone(breaker: Breaker) -> None:
    fail(breaker, "cold")
    with pytest.raises(CircuitOpen) as refused:
        breaker.enter("cold")
    assert refused.value.headers == {"retry-after": "30"}
    assert "cold" in refused.value.message
    breaker.enter("warm").succeeded()
    state = breaker.state()
    assert (state["is_open"], state["open_models"], state["consecutive_failures"]) == (False, ["cold"], 3)


def test_failures_to_connect_open_the_upstreams_circuit(breaker: Breaker) -> None:
    for model in ("a", "b", "c"):
        breaker.enter(model).unreachable()
    with pytest.raises(CircuitOpen, match="The upstream"):
        breaker.enter("d")
    assert breaker.state()["is_open"] is True


def test_a_success_between_failures_resets_the_count(breaker: Breaker) -> None:
    fail(breaker, "m", 2)
    breaker.enter("m").succeeded()
    fail(breaker, "m", 2)
    breaker.enter("m").succeeded()


def test_after_the_cool_down_one_probe_passes_and_its_success_closes(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, "m")
    clock.now += 31
    assert breaker.state()["open_models"] == []
    probe = breaker.enter("m")
    with pytest.raises(CircuitOpen):
        breaker.enter("m")
    probe.succeeded()
    breaker.enter("m").succeeded()


def test_a_probe_that_fails_opens_the_circuit_again(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, "m")
    clock.now += 31
    breaker.enter("m").failed()
    clock.now += 29
    with pytest.raises(CircuitOpen):
        breaker.enter("m")
    clock.now += 2
    breaker.enter("m").succeeded()


def test_a_probe_whose_client_left_makes_room_for_the_next(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, "m")
    clock.now += 31
    breaker.enter("m").abandoned()
    breaker.enter("m").succeeded()


def test_a_probe_whose_worker_died_is_replaced_after_the_cool_down(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, "m")
    clock.now += 31
    breaker.enter("m")
    clock.now += 29
    with pytest.raises(CircuitOpen):
        breaker.enter("m")
    clock.now += 2
    breaker.enter("m").succeeded()


@pytest.mark.parametrize(
    ("error", "opens"),
    [
        (UpstreamStatus("x", status=500), "m"),
        (UpstreamStatus("x", status=429), None),
        (UpstreamTimeout("x"), "m"),
        (UpstreamProtocol("x"), "m"),
        (UpstreamUnreachable("x"), "upstream"),
        (UpstreamHungUp("x"), "m"),
        (RequestError("x"), None),
        (GeneratorExit(), None),
        (None, None),
    ],
    ids=lambda value: type(value).__name__ + str(getattr(value, "status", "")),
)
def test_what_ended_a_request_decides_what_it_counts_for(
    breaker: Breaker, error: BaseException | None, opens: str | None
) -> None:
    for _ in range(3):
        breaker.enter("m").ended_by(error)
    state = breaker.state()
    assert state["is_open"] is (opens == "upstream")
    assert state["open_models"] == (["m"] if opens == "m" else [])


def test_while_a_probe_is_answered_others_pass_and_its_end_decides(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, "m")
    clock.now += 31
    probe = breaker.enter("m")
    probe.answering()
    breaker.enter("m").abandoned()
    probe.failed()
    with pytest.raises(CircuitOpen):
        breaker.enter("m")
    clock.now += 31
    probe = breaker.enter("m")
    probe.answering()
    probe.answering()
    probe.succeeded()
    assert breaker.state()["consecutive_failures"] == 0


def test_an_answer_that_is_no_probe_says_nothing_by_its_beginning(breaker: Breaker) -> None:
    fail(breaker, "m", 2)
    breaker.enter("m").answering()
    assert breaker.state()["consecutive_failures"] == 2


def test_a_request_without_a_model_has_only_the_upstreams_circuit(breaker: Breaker) -> None:
    for _ in range(9):
        breaker.enter(None).failed()
    breaker.enter(None).succeeded()
    assert breaker.state()["consecutive_failures"] == 0
    for _ in range(3):
        breaker.enter(None).unreachable()
    with pytest.raises(CircuitOpen, match="The upstream"):
        breaker.enter(None)


def test_an_open_circuit_is_shown_as_long_as_it_is_open(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, "m")
    assert breaker.state()["consecutive_failures"] == 3
    clock.now += 31
    assert breaker.state()["consecutive_failures"] == 0


def test_failures_that_none_followed_for_long_are_forgotten(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, "rare", 2)
    fail(breaker, "open")
    clock.now += 30 * AGES_AFTER + 1
    assert breaker.state()["consecutive_failures"] == 0
    fail(breaker, "rare", 2)
    breaker.enter("rare").abandoned()
    first, second = breaker.enter("open"), breaker.enter("open")
    assert first.probes == second.probes == ()


def test_requests_under_way_do_not_keep_a_circuit_open(breaker: Breaker, clock: Clock) -> None:
    late = [breaker.enter("m") for _ in range(3)]
    fail(breaker, "m")
    clock.now += 20
    for permit in late:
        permit.failed()
    clock.now += 11
    breaker.enter("m").succeeded()


def test_a_permit_counts_once(breaker: Breaker) -> None:
    permit = breaker.enter("m")
    permit.failed()
    permit.succeeded()
    permit.failed()
    assert breaker.state()["consecutive_failures"] == 1


def test_a_permit_is_told_by_how_its_block_ends(breaker: Breaker) -> None:
    with pytest.raises(UpstreamTimeout), breaker.enter("m"):
        raise UpstreamTimeout("x")
    assert breaker.state()["consecutive_failures"] == 1


def test_switched_off_it_lets_everything_pass() -> None:
    breaker = Breaker(enabled=False, failures=1)
    breaker.enter("m").failed()
    breaker.enter("m").unreachable()
    breaker.enter("m").succeeded()
    assert breaker.state()["enabled"] is False
    assert breaker.state()["consecutive_failures"] == 0


def test_processes_share_the_state(breaker: Breaker) -> None:
    child = os.fork()
    if not child:
        fail(breaker, "shared")
        os._exit(0)
    os.waitpid(child, 0)
    with pytest.raises(CircuitOpen):
        breaker.enter("shared")


def test_more_models_than_slots_lose_the_healthiest(breaker: Breaker) -> None:
    fail(breaker, "open")
    for number in range(600):
        fail(breaker, f"model-{number}", 1)
    with pytest.raises(CircuitOpen):
        breaker.enter("open")
