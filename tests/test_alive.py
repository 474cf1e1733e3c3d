"""The container's health check, as the image runs it."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from gateway import alive
from tests.support.gateway import ROOT, Gateway, free_ports


def test_a_gateway_that_lives(gateway: Gateway) -> None:
    (free,) = free_ports(1)
    for ports in ((gateway.chat_port, gateway.responses_port), (free, gateway.responses_port)):
        environ = {"CHAT_PORT": str(ports[0]), "RESPONSES_PORT": str(ports[1]), "http_proxy": "http://127.0.0.1:9"}
        assert alive.main(environ) == 0
        assert alive.main({**environ, "HOST": "127.0.0.1"}) == 0


def test_none_that_lives(capsys: pytest.CaptureFixture[str]) -> None:
    chat, responses = free_ports(2)
    assert alive.main({"CHAT_PORT": str(chat), "RESPONSES_PORT": str(responses)}) == 1
    assert f"port {chat} or {responses}" in capsys.readouterr().err
    assert alive.main({"CHAT_PORT": "x"}) == 1
    assert "CHAT_PORT" in capsys.readouterr().err


def test_the_image_runs_it(gateway: Gateway) -> None:
    (words,) = re.findall(r'CMD \["python", (.*)\]', (ROOT / "Dockerfile").read_text())
    run = subprocess.run(
        [sys.executable, *(word.strip(' "') for word in words.split(","))],
        cwd=ROOT,
        env={"CHAT_PORT": str(gateway.chat_port), "http_proxy": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert run.returncode == 0, run.stderr
