"""Fixtures for the real clients: one gateway whose model can do all that they ask of one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.clients import Claude, Codex
from tests.support.gateway import Gateway
from tests.support.upstream import Upstream

MODELS_FILE = Path(__file__).with_name("models.json")
MODEL = "test/coder"


@pytest.fixture
def agents(gateway_with: Callable[..., Gateway], upstream: Upstream) -> Gateway:
    """A gateway for agents. It keeps the model list for a minute, so the list is the same in every test."""
    upstream.lists({"id": MODEL, "object": "model", "context_length": 100000})
    return gateway_with(MODELS_FILE=str(MODELS_FILE), KEEPALIVE_SECS="2")


@pytest.fixture
def codex(tmp_path: Path, agents: Gateway) -> Codex:
    """Codex, set up as the README says."""
    return Codex(tmp_path, agents.responses_url, MODEL)


@pytest.fixture
def claude(tmp_path: Path, agents: Gateway) -> Claude:
    """Claude Code, set up as the README says."""
    return Claude(tmp_path, agents.responses_url.removesuffix("/v1"), MODEL)
