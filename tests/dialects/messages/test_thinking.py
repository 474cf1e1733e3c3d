"""`gateway.dialects.messages.thinking`: the table of its docstring, and values that cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.dialects.messages.thinking import reasoning_effort
from gateway.errors import RequestError
from gateway.profile import Model

UNKNOWN = Model("m")
REASONS = Model("m", features=frozenset({"tools", "reasoning"}))
PLAIN = Model("m", features=frozenset({"tools"}))
LEVELS = Model("m", reasoning_levels=("low", "high", "max"))


@pytest.mark.parametrize(
    ("thinking", "effort", "reasons", "unknown"),
    [
        pytest.param(None, None, "medium", None, id="absent"),
        pytest.param(None, "high", "high", "high", id="effort-alone"),
        pytest.param({"type": "adaptive"}, None, "medium", "medium", id="adaptive"),
        pytest.param({"type": "adaptive", "display": "omitted"}, "low", "low", "low", id="adaptive-with-effort"),
        pytest.param({"type": "between_tools"}, None, "medium", "medium", id="newer-type"),
        pytest.param({"type": "enabled", "budget_tokens": 1024}, None, "low", "low", id="small-budget"),
        pytest.param({"type": "enabled", "budget_tokens": 10000}, None, "medium", "medium", id="middle-budget"),
        pytest.param({"type": "enabled", "budget_tokens": 31999}, None, "high", "high", id="large-budget"),
        pytest.param({"type": "enabled", "budget_tokens": 31999}, "low", "low", "low", id="effort-beats-budget"),
        pytest.param({"type": "disabled"}, "high", "none", None, id="disabled"),
        pytest.param(None, "xhigh", "high", "high", id="xhigh"),
        pytest.param(None, "max", "high", "high", id="max"),
    ],
)
def test_effort(thinking: Any, effort: str | None, reasons: str, unknown: str | None) -> None:
    body = {"thinking": thinking, "output_config": {"effort": effort}}
    assert reasoning_effort(body, REASONS) == reasons
    assert reasoning_effort(body, UNKNOWN) == unknown
    assert reasoning_effort(body, PLAIN) is None


def test_efforts_of_a_model_that_tells_them_pass_as_asked() -> None:
    assert reasoning_effort({"output_config": {"effort": "max"}}, LEVELS) == "max"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        pytest.param({"thinking": "on"}, "thinking", id="thinking"),
        pytest.param({"thinking": {}}, "thinking.type", id="type-missing"),
        pytest.param({"thinking": {"type": 1}}, "thinking.type", id="type"),
        pytest.param({"thinking": {"type": "enabled", "budget_tokens": "9"}}, "thinking.budget_tokens", id="budget"),
        pytest.param({"thinking": {"type": "enabled", "budget_tokens": True}}, "thinking.budget_tokens", id="bool"),
        pytest.param({"thinking": {"type": "enabled", "budget_tokens": 0}}, "thinking.budget_tokens", id="zero"),
        pytest.param({"output_config": []}, "output_config", id="output-config"),
        pytest.param({"output_config": {"effort": "utmost"}}, "output_config.effort", id="effort"),
        pytest.param({"output_config": {"effort": 3}}, "output_config.effort", id="effort-number"),
    ],
)
def test_faults(body: Any, param: str) -> None:
    with pytest.raises(RequestError) as raised:
        reasoning_effort(body, PLAIN)
    assert raised.value.param == param
