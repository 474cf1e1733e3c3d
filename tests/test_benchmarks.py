"""The measuring tool itself: a tiny run without gateway, and that it sees what is wrong with an answer."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from benchmarks import bodies, report
from benchmarks.answers import AnswerError, StreamedAnswer, WholeAnswer
from benchmarks.load import Load, ResponseReader, Traffic
from benchmarks.measure import Figures, Measurement, measure, percentile, settle
from benchmarks.scenarios import SCENARIOS, Piece, Scenario
from benchmarks.subjects import MockUpstream, Subject
from benchmarks.upstream import frames
from benchmarks.workloads import Workload, all_workloads, soak

CHAT = "/v1/chat/completions"
SHORT = Scenario("short", (Piece("reasoning", " r0"), Piece("text", " t0"), Piece("text", " t1")))


@pytest.fixture(scope="module")
def subject() -> Iterator[Subject]:
    """The mock upstream, nothing in front of it."""
    upstream = MockUpstream(core=0)
    yield Subject(upstream.port, core=0)
    upstream.stop()


def until(done: Callable[[], bool], step: Callable[[], object]) -> None:
    """Take steps until it is done: how much fits into a window of time is the machine's affair."""
    for _ in range(200):
        step()
        if done():
            return
    pytest.fail("it does not come to that")


def measured(workload: Workload, subject: Subject, done: Callable[[Measurement], bool]) -> list[Measurement]:
    """Measure in short windows until one has what is wanted; return all."""
    found: list[Measurement] = []
    until(lambda: done(found[-1]), lambda: found.append(measure(workload, subject, 0.0, 0.05)))
    return found


@pytest.mark.parametrize("scenario", ["whole", "burst", "tools"])
def test_a_run_without_gateway_is_complete(subject: Subject, scenario: str) -> None:
    streamed = scenario != "whole"
    traffic = Traffic("chat", CHAT, scenario, (bodies.chat(scenario, streamed),), 2, streamed)
    found = measured(Workload("tiny", "tiny", traffic, "delta"), subject, lambda one: one.rate > 0)
    assert {(one.errors, one.missing, one.first_error) for one in found} == {(0, 0, "")}


def test_paced_deltas_tell_their_delay(subject: Subject) -> None:
    traffic = Traffic("chat", CHAT, "paced", (bodies.chat("paced"),), 4)
    load = Load(subject.port_of, [traffic])
    load.ramp = 0.0
    tally = load.tallies[0]
    until(lambda: len(tally.delays) > 4, lambda: load.run(0.0, 0.15, lambda: None))
    load.close()
    assert tally.errors == 0
    assert all(delay > 0 for delay in tally.delays)


def test_the_list_of_models_is_read(subject: Subject) -> None:
    row = Workload("models", "models", Traffic("models", "/v1/models", workers=1), "request")
    assert {one.errors for one in measured(row, subject, lambda one: one.rate > 0)} == {0}


def test_a_refused_request_is_an_error_that_tells_why(subject: Subject) -> None:
    traffic = Traffic("chat", CHAT, "burst", (b'{"model":"nobody"}',), 1)
    found = measured(Workload("bad", "bad", traffic, "delta"), subject, lambda one: one.errors > 0)
    assert "404" in found[-1].first_error


# --- what the load finds wrong ------------------------------------------------------------------------------


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def _responses(kind: str, text: str) -> bytes:
    return _event({"type": f"response.{kind}.delta", "delta": text})


def _messages(kind: str, member: str, text: str) -> bytes:
    return _event({"type": "content_block_delta", "delta": {"type": kind, member: text}})


STREAMS = {
    "chat": b"".join(frames(SHORT)),
    "responses": b"event: x\n"
    + _responses("reasoning_summary_text", " r0")
    + _responses("output_text", " t0 t")
    + _responses("output_text", "1")
    + _event({"type": "response.completed"}),
    "messages": _messages("thinking_delta", "thinking", " r0")
    + _messages("text_delta", "text", " t0 t1")
    + _event({"type": "message_stop"}),
}


def _read(dialect: str, stream: bytes) -> int:
    answer = StreamedAnswer(dialect, SHORT, array("q"))
    for byte in stream:
        answer.feed(bytes([byte]), 0)
    return answer.finish()


@pytest.mark.parametrize("dialect", STREAMS)
def test_a_complete_stream_misses_nothing(dialect: str) -> None:
    assert _read(dialect, STREAMS[dialect]) == 0
    assert _read(dialect, STREAMS[dialect].replace(b"\n", b"\r\n")) == 0


@pytest.mark.parametrize("dialect", STREAMS)
def test_a_lost_delta_is_counted(dialect: str) -> None:
    assert _read(dialect, STREAMS[dialect].replace(b" t0", b"")) == 1


@pytest.mark.parametrize("dialect", STREAMS)
@pytest.mark.parametrize(
    ("old", "new"),
    [(b" r0", b" r0 r0"), (b"[DONE]", b"{}"), (b"response.completed", b"ping"), (b"message_stop", b"ping")],
    ids=["altered", "no-done", "no-completed", "no-stop"],
)
def test_an_altered_or_unfinished_stream_is_an_error(dialect: str, old: bytes, new: bytes) -> None:
    if old not in STREAMS[dialect]:
        assert _read(dialect, STREAMS[dialect]) == 0
        return
    with pytest.raises(AnswerError):
        _read(dialect, STREAMS[dialect].replace(old, new))


@pytest.mark.parametrize(
    ("dialect", "event"),
    [
        ("chat", {"error": {"message": "broken"}}),
        ("responses", {"type": "response.failed"}),
        ("messages", {"type": "error", "error": {}}),
    ],
)
def test_a_failure_within_a_stream_is_an_error(dialect: str, event: dict[str, Any]) -> None:
    with pytest.raises(AnswerError):
        _read(dialect, _event(event))


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        ("chat", {"choices": [{"message": {"content": " t0 t1", "reasoning_content": " r0"}}]}),
        ("responses", {"output": [{"type": "message", "content": [{"text": " t0 t1"}]}]}),
        ("messages", {"content": [{"type": "text", "text": " t0 t1"}]}),
    ],
)
def test_a_whole_answer_is_compared(dialect: str, body: dict[str, Any]) -> None:
    answer = WholeAnswer(dialect, SHORT)
    answer.feed(json.dumps(body).encode(), 0)
    assert answer.finish() == (0 if dialect == "chat" else 1)


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"error": {}}'], ids=["html", "list", "error"])
def test_a_whole_answer_that_is_none_is_an_error(body: bytes) -> None:
    answer = WholeAnswer("chat", SHORT)
    answer.feed(body, 0)
    with pytest.raises(AnswerError):
        answer.finish()


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello",
    ],
    ids=["length", "chunked", "until-close"],
)
def test_responses_are_read_however_they_are_cut(response: bytes) -> None:
    for step in (1, 7, len(response)):
        reader = ResponseReader()
        body = b"".join(reader.feed(response[i : i + step]) for i in range(0, len(response), step))
        reader.closed()
        assert (reader.status, body, reader.complete) == (200, b"hello", True)


# --- the figures --------------------------------------------------------------------------------------------


def _measurement(cpu: float, delay: float = 1.0) -> Measurement:
    return Measurement(1000.0, cpu, 100.0, (delay, delay * 2, delay * 3), 5.0, 1.0, 0, 0, "")


def test_percentiles_are_in_milliseconds() -> None:
    times = [i * 1_000_000 for i in range(100)]
    assert (percentile(times, 0.5), percentile(times, 0.99), percentile(times, 1.0)) == (50.0, 99.0, 99.0)


def test_the_report_shows_all_rows_and_what_missed_its_floor() -> None:
    rows = all_workloads()
    results = {}
    for row in rows:
        results[row.key, "gateway"] = Figures(
            [_measurement(900.0, 2.0), _measurement(10.0, 2.0), _measurement(10.0, 2.0)]
        )
        results[row.key, "direct"] = Figures([_measurement(0.0, 1.9)])
        results[row.key, "LiteLLM"] = Figures([_measurement(500.0)])
    made = report.Report(rows, {"direct": "", "gateway": "1", "LiteLLM": "2"}, results)
    page = made.markdown()
    assert all(row.title in page for row in rows)
    assert "| chat relayed, burst of 64 | delta | 10.0 | 20.0 | 8.0 | must | 500 | 50.0 |" in page
    assert "| 0.10 / 0.20 | 0.60 / 15.0 | 0.30 / 5.0 | goal |" in page
    assert made.missed() == []
    plot = made.plot()
    assert plot.startswith("<svg") and plot.count("<rect") > 2 * 11


def test_a_missed_floor_is_named() -> None:
    rows = all_workloads()[:1]
    made = report.Report(rows, {"gateway": ""}, {(rows[0].key, "gateway"): Figures([_measurement(601.0)])})
    assert made.missed() == ["chat relayed, not streamed: 601, must be 600"]


def test_workloads_have_keys_of_their_own_and_known_answers() -> None:
    rows = [*all_workloads(), *soak(1.0)]
    assert len({row.key for row in rows}) == len(rows)
    for row in rows:
        for traffic in row.traffics:
            if traffic.scenario:
                assert traffic.scenario in SCENARIOS
                assert all(json.loads(body)["model"] == traffic.scenario for body in traffic.bodies)


def test_deltas_count_as_they_arrive_and_not_twice() -> None:
    answer = StreamedAnswer("responses", SHORT, array("q"))
    answer.feed(_responses("output_text", " t0"), 0)
    assert answer.arrived == 1
    answer.feed(_responses("output_text", " t") + _responses("output_text", "1"), 0)
    assert answer.arrived == 1  # a mark that was cut is found at the end


def test_a_slow_stream_counts_before_it_is_complete(subject: Subject) -> None:
    traffic = Traffic("chat", CHAT, "paced", (bodies.chat("paced"),), 2)
    load = Load(subject.port_of, [traffic])
    load.ramp = 0.0
    tally = load.tallies[0]
    until(lambda: tally.deltas > 0, lambda: load.run(0.0, 0.1, lambda: None))
    load.close()
    assert tally.deltas == len(tally.delays)


def test_a_peer_without_a_figure_has_no_ratio() -> None:
    rows = all_workloads()[:1]
    results = {(rows[0].key, "gateway"): Figures([_measurement(10.0)])}
    results[rows[0].key, "LiteLLM"] = Figures([_measurement(float("nan"))])
    assert "nan" not in report.Report(rows, {"gateway": "", "LiteLLM": ""}, results).markdown()


def test_a_subject_that_uses_nothing_is_settled(subject: Subject) -> None:
    assert settle([subject]) == []


def test_a_peer_that_cannot_follow_gets_no_ratio() -> None:
    row = next(row for row in all_workloads() if row.key == "chat-paced")
    slow = Measurement(100.0, 900.0, 0.0, (1.0, 2.0, 3.0), 5.0, 1.0, 0, 0, "")
    measured = {"direct": _measurement(0.0), "gateway": _measurement(50.0), "LiteLLM": slow}
    results = {(row.key, name): Figures([one]) for name, one in measured.items()}
    page = report.Report([row], dict.fromkeys(measured, ""), results).markdown()
    assert "| 900 (overloaded) |  |" in page
