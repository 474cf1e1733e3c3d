"""The demo through a real gateway: any client can be tried with no key and no network."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client

from gateway.demo.script import MODELS
from gateway.demo.upstream import Beside
from tests.support.clients import Claude, Codex, claude_result, codex_commands, codex_text
from tests.support.gateway import ROOT, Gateway
from tests.support.processes import wait_until


@pytest.fixture(scope="module")
def demo() -> Iterator[Gateway]:
    with Gateway("http://127.0.0.1:9/v1", flags=["--demo"], WORKERS="2") as gateway:
        yield gateway


def test_its_models_are_listed(demo: Gateway) -> None:
    listed = demo.get("/v1/models", port=demo.chat_port).json["data"]
    assert [model["id"] for model in listed] == ["demo/assistant", "demo/quick"]


def test_what_it_answers_is_counted(demo: Gateway) -> None:
    assert demo.post("/v1/responses", {"model": "demo/quick", "input": "hi"}).status == 200
    counted = b'gateway_requests_total{dialect="responses",end="complete",port="%d",status="200"}' % demo.responses_port
    assert wait_until(lambda: counted in demo.get("/metrics").body)


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
def test_every_dialect_is_answered_without_a_key(demo: Gateway, stream: bool) -> None:
    said = [{"role": "user", "content": "hi"}]
    bodies: dict[str, dict[str, Any]] = {
        "/v1/responses": {"input": "hi"},
        "/v1/messages": {"messages": said, "max_tokens": 1000},
        "/v1/chat/completions": {"messages": said},
    }
    for path, body in bodies.items():
        answer = demo.post(path, {"model": "demo/assistant", "stream": stream, **body}, key=None)
        assert answer.status == 200
        assert b" upstream" in answer.body
        assert b"thinking" in answer.body


def test_what_is_no_chat_is_not_served(demo: Gateway) -> None:
    assert demo.post("/v1/embeddings", {}, key=None).status == 404


def test_the_gateway_s_own_ports_are_its_own() -> None:
    class Other:
        beats = 0

        def __call__(self, environ: object, start_response: object) -> list[bytes]:
            return [b"gateway"]

        def beat(self) -> None:
            self.beats += 1

    gateway = Other()
    both = Beside(gateway, 7)
    both.beat()
    assert gateway.beats == 1
    assert both({"SERVER_PORT": "5101"}, print) == [b"gateway"]
    client = Client(both)
    assert client.get("/v1/models", environ_overrides={"SERVER_PORT": "7"}).json == {"object": "list", "data": MODELS}


def test_it_ends_with_the_gateway(demo: Gateway) -> None:
    with Gateway("http://127.0.0.1:9/v1", flags=["--demo"]) as other:
        assert other.get("/health").json["status"] == "healthy"
        assert other.stop() == 0


@pytest.mark.clients
def test_codex_works_with_the_demo(demo: Gateway, tmp_path: Path) -> None:
    run = Codex(tmp_path, demo.responses_url, "demo/assistant").exec("say hi")
    assert run.code == 0, run
    assert "Hello from the demo" in codex_commands(run)[0]["aggregated_output"]
    assert "So tools work through the gateway." in codex_text(run)


@pytest.mark.clients
def test_claude_works_with_the_demo(demo: Gateway, tmp_path: Path) -> None:
    run = Claude(tmp_path, demo.responses_url.removesuffix("/v1"), "demo/assistant").ask("say hi")
    assert "So tools work through the gateway." in claude_result(run)["result"], run


def test_doctor_finds_the_demo_well(demo: Gateway, tmp_path: Path) -> None:
    """The whole of `doctor`, as a person runs it."""
    models = tmp_path / "models.json"
    models.write_text(json.dumps({"models": []}))
    flags = ["--backend-url", demo.chat_url, "--models-file", str(models), "--write"]
    ports = ["--chat-port", str(demo.chat_port), "--responses-port", str(demo.responses_port)]
    run = subprocess.run(
        [sys.executable, ROOT / "openai_proxy.py", "doctor", *flags, *ports],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "Clients can work." in run.stdout
    assert json.loads(models.read_text()) == {"models": [{"id": "demo/assistant", "input_modalities": ["text"]}]}
