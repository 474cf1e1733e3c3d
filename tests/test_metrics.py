"""`/metrics`: what is counted, under which labels, over all workers."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from collections.abc import Callable

import pytest

from gateway.errors import UpstreamProtocol, UpstreamTimeout, UpstreamUnreachable
from gateway.events import Usage
from gateway.metrics import Metrics, Outcome, dialect_of
from tests.support import answers
from tests.support.gateway import Gateway
from tests.support.transport import (
    CHAT_PORT,
    KEY,
    ScriptedTransport,
    call,
    chunk,
    completion,
    gateway,
    refusal,
    sse,
)
from tests.support.upstream import Upstream

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
RESPONSES = {"model": "m", "input": "hi"}
MESSAGES = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}


def samples(text: str) -> dict[str, float]:
    """Return the samples of a scrape, each under its name with its labels."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def scrape(app: object, port: int = CHAT_PORT) -> dict[str, float]:
    reply = call(app, "GET", "/metrics", port=port, key=None)  # type: ignore[arg-type]
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    return samples(reply.text)


def test_exchanges_are_counted_by_port_dialect_status_and_end() -> None:
    transport = ScriptedTransport(
        completion(), completion(), sse(chunk(content="a"), chunk("stop")), refusal(429, "no")
    )
    app = gateway(transport, ["m"])
    call(app, "POST", "/v1/responses", RESPONSES)
    call(app, "POST", "/v1/messages", MESSAGES)
    call(app, "POST", "/v1/responses", {**RESPONSES, "stream": True})
    call(app, "POST", "/v1/responses", RESPONSES)
    call(app, "POST", "/v1/responses", {"model": "m"})
    call(app, "POST", "/v1/responses", RESPONSES, key=None)
    found = scrape(app)

    def requests(dialect: str, status: int, end: str) -> float:
        return found[f'gateway_requests_total{{dialect="{dialect}",end="{end}",port="5102",status="{status}"}}']

    assert requests("responses", 200, "complete") == 2
    assert requests("messages", 200, "complete") == 1
    assert requests("responses", 429, "refused") == 1
    assert requests("responses", 400, "refused") == 1
    assert requests("responses", 401, "refused") == 1
    assert found['gateway_request_duration_seconds_count{dialect="responses"}'] == 5
    assert found['gateway_time_to_first_byte_seconds_count{dialect="responses"}'] == 2
    assert found['gateway_overhead_seconds_count{dialect="responses"}'] == 2
    assert found['gateway_upstream_errors_total{dialect="responses",kind="status_429"}'] == 1
    assert found['gateway_tokens_total{kind="input",model="m"}'] >= 14
    assert found["gateway_open_streams"] == 0
    assert found["gateway_recorder_lost_records_total"] == 0


def test_what_the_gateway_answers_itself_is_counted_too() -> None:
    app = gateway(ScriptedTransport())
    call(app, "GET", "/health", key=None)
    call(app, "GET", "/nothing", key=None)
    call(app, "GET", "/v1/responses/x", port=CHAT_PORT)
    found = scrape(app)
    assert found['gateway_requests_total{dialect="other",end="complete",port="5102",status="200"}'] == 1
    assert found['gateway_requests_total{dialect="other",end="refused",port="5102",status="404"}'] == 1
    assert found['gateway_requests_total{dialect="responses",end="refused",port="5101",status="404"}'] == 1


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (UpstreamUnreachable("no"), "unreachable"),
        (UpstreamTimeout("no"), "timeout"),
        (UpstreamProtocol("no"), "invalid"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("path", ["/v1/responses", "/v1/chat/completions"])
def test_faults_of_the_upstream_are_counted_by_kind(fault: Exception, kind: str, path: str) -> None:
    app = gateway(ScriptedTransport(fault), ["m"])
    call(app, "POST", path, CHAT if "chat" in path else RESPONSES)
    assert scrape(app)[f'gateway_upstream_errors_total{{dialect="{dialect_of(path)}",kind="{kind}"}}'] == 1


def test_a_refusal_that_was_repaired_is_no_error() -> None:
    refused = refusal(400, "Unrecognized request argument supplied: verbosity", code="unknown_parameter")
    app = gateway(ScriptedTransport(refused, completion()), ["m"])
    assert call(app, "POST", "/v1/responses", {**RESPONSES, "text": {"verbosity": "low"}}).status_code == 200
    assert not [name for name in scrape(app) if name.startswith("gateway_upstream_errors_total")]


def test_dropped_fields_are_counted() -> None:
    app = gateway(ScriptedTransport(completion()), ["m"])
    call(app, "POST", "/v1/responses", {**RESPONSES, "tools": [{"type": "web_search"}]})
    assert scrape(app)['gateway_dropped_fields_total{dialect="responses"}'] >= 1


def test_nothing_a_client_writes_becomes_a_label() -> None:
    canary = "canary-4711"
    transport = ScriptedTransport(completion(), completion(), refusal(400, canary, code=canary, type=canary))
    app = gateway(transport, ["m"])
    body = {**RESPONSES, "model": canary, "tools": [{"type": canary}], canary: 1, "user": canary}
    call(app, "POST", "/v1/responses", body, headers={"user-agent": canary})
    call(app, "POST", "/v1/chat/completions", {**CHAT, "model": canary})
    call(app, "POST", f"/v1/{canary}", body, headers={"Host": canary})
    call(app, "GET", f"/{canary}")
    text = call(app, "GET", "/metrics", key=None).text
    assert canary not in text
    assert KEY not in text
    assert 'gateway_tokens_total{kind="input",model="other"}' in text


def test_only_so_many_models_get_a_label() -> None:
    metrics = Metrics()
    for number in range(150):
        metrics.ended(Outcome("1", "/v1/messages", 200, "complete", 1, 1, 0, None, f"model-{number}", Usage(1, 1), 0))
    text = metrics.render({"is_open": True, "open_models": ["secret-name"], "consecutive_failures": 6}).decode()
    assert len(set(re.findall(r'model="([^"]+)"', text))) == 101
    assert samples(text)['gateway_tokens_total{kind="input",model="other"}'] == 50
    assert samples(text)['gateway_breaker_open{circuit="upstream"}'] == 1
    assert samples(text)['gateway_breaker_open{circuit="models"}'] == 1
    assert samples(text)["gateway_breaker_consecutive_failures"] == 6
    assert "secret-name" not in text


def test_stored_responses_are_counted() -> None:
    metrics = Metrics()
    for kept in (True, True, False):
        metrics.stored(kept)
    found = samples(metrics.render({"is_open": False, "open_models": [], "consecutive_failures": 0}).decode())
    assert found['gateway_stored_responses_total{result="kept"}'] == 2
    assert found['gateway_stored_responses_total{result="lost"}'] == 1


def test_lost_records_are_counted() -> None:
    text = Metrics().render({"is_open": False, "open_models": [], "consecutive_failures": 0}, 3).decode()
    assert samples(text)["gateway_recorder_lost_records_total"] == 3


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/responses", RESPONSES),
        ("POST", "/v1/messages", MESSAGES),
        ("POST", "/v1/chat/completions", CHAT),
        ("POST", "/v1/messages/count_tokens", MESSAGES),
        ("GET", "/v1/models", None),
        ("GET", "/health", None),
        ("GET", "/v1/embeddings", None),
        ("POST", "/v1/responses", {}),
        ("GET", "/nothing", None),
    ],
)
def test_every_whole_answer_tells_the_gateways_own_time(method: str, path: str, body: object) -> None:
    reply = call(ScriptedTransport(completion()), method, path, body)
    assert re.fullmatch(r"\d+\.\d\d", reply.headers["x-gateway-overhead-ms"])


def test_a_stream_does_not() -> None:
    script = ScriptedTransport(sse(chunk(content="a"), chunk("stop")))
    assert "x-gateway-overhead-ms" not in call(script, "POST", "/v1/responses", {**RESPONSES, "stream": True}).headers


# --- over all workers ---------------------------------------------------------------------------------------


def test_all_workers_are_added_up_and_survive_a_death(upstream: Upstream) -> None:
    upstream.always(answers.chat_text("hi"))
    with Gateway(upstream.url, WORKERS="2") as running:

        def count() -> float:
            found = samples(running.get("/metrics").body.decode())
            total = 'gateway_requests_total{dialect="responses",end="complete",port="%d",status="200"}'
            return found.get(total % running.responses_port, 0)

        def wait(condition: Callable[[], bool]) -> None:
            ends = time.monotonic() + 10
            while not condition():
                assert time.monotonic() < ends
                time.sleep(0.05)

        for _ in range(20):
            assert running.post("/v1/responses", RESPONSES).status == 200
        wait(lambda: count() == 20)
        wait(lambda: len(_children(running.pid)) == 2)
        workers = _children(running.pid)
        os.kill(workers[0], signal.SIGKILL)
        wait(lambda: len(_children(running.pid)) == 2 and workers[0] not in _children(running.pid))
        with contextlib.suppress(OSError):
            running.post("/v1/responses", RESPONSES)
        wait(lambda: count() == 21)
        with running.stream("/v1/responses", {**RESPONSES, "stream": True}) as stream:
            next(iter(stream))
        found = samples(running.get("/metrics").body.decode())
        assert found["gateway_connections"] >= 0
        assert found["gateway_greenlets"] >= 1
        folder = _environment(workers[1])
        assert os.path.isdir(folder)
    assert not os.path.exists(folder)


def _children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]


def _environment(pid: int) -> str:
    with open(f"/proc/{pid}/maps") as file:
        return re.findall(r"(/\S+/openai-proxy-metrics-[^/]+)/", file.read())[0]
