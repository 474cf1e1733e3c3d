"""What follows from findings."""

from __future__ import annotations

from typing import Any

import pytest

from gateway import models_file
from gateway.doctor.findings import Finding, Verdict, failed, line, switches, with_switches
from gateway.jsonbody import dump
from gateway.profile import Model


def found(**says: Any) -> list[Finding]:
    return [Finding(name, "ok", says={name: value}) for name, value in says.items()]


@pytest.mark.parametrize(
    ("finding", "shown"),
    [
        (Finding("a", "ok", "fine"), "  a       ok  fine"),
        (Finding("longer", "no"), "  longer  NO"),
        (Finding("c", "warn", "hm"), "  c       !   hm"),
        (Finding("d", "skip"), "  d       -"),
    ],
)
def test_the_report_is_lined_up(finding: Finding, shown: str) -> None:
    assert line(finding, 6) == shown


@pytest.mark.parametrize(
    ("verdict", "essential", "bad"),
    [("no", True, True), ("no", False, False), ("warn", True, False), ("ok", True, False)],
)
def test_only_what_is_essential_fails(verdict: Verdict, essential: bool, bad: bool) -> None:
    assert failed([Finding("x", "ok"), Finding("a", verdict, essential=essential)]) is bad


@pytest.mark.parametrize(
    ("model", "says", "told"),
    [
        pytest.param(Model("m"), {}, {}, id="nothing-tried"),
        pytest.param(Model("m"), {"tools": False, "reasoning": False}, {}, id="nothing-published-and-nothing-there"),
        pytest.param(Model("m"), {"tools": True}, {"features": ["tools"]}, id="found"),
        pytest.param(
            Model("m", features=frozenset(["tools", "json_mode"])),
            {"tools": False, "structured_outputs": True},
            {"features": ["json_mode", "structured_outputs"]},
            id="published-and-wrong",
        ),
        pytest.param(Model("m", features=frozenset(["tools"])), {"tools": True}, {}, id="published-and-right"),
        pytest.param(Model("m", features=frozenset(["tools"])), {"tools": False}, {"features": []}, id="none-left"),
        pytest.param(Model("m"), {"images": False}, {"input_modalities": ["text"]}, id="blind"),
        pytest.param(Model("m"), {"images": True}, {"input_modalities": ["text", "image"]}, id="seeing"),
        pytest.param(
            Model("m", input_modalities=frozenset(["text", "image"])), {"images": True}, {}, id="known-to-see"
        ),
        pytest.param(Model("m"), {"max_tokens_field": "max_tokens"}, {}, id="the-default"),
        pytest.param(
            Model("m"),
            {"max_tokens_field": "max_completion_tokens", "developer_role": True, "reasoning_replay": "off"},
            {"max_tokens_field": "max_completion_tokens", "developer_role": True, "reasoning_replay": "off"},
            id="other-than-the-default",
        ),
        pytest.param(Model("m", mid_system=True), {"mid_system": False}, {"mid_system": False}, id="taken-back"),
    ],
)
def test_switches(model: Model, says: dict[str, Any], told: dict[str, Any]) -> None:
    assert switches(model, found(**says)) == told


def test_switches_are_added_to_what_stands_there() -> None:
    old = {"$schema": "s", "models": [{"id": "V/M", "aliases": ["a"]}, {"id": "other"}]}
    new = with_switches(old, "v/m", {"mid_system": True})
    assert new["models"] == [{"id": "V/M", "aliases": ["a"], "mid_system": True}, {"id": "other"}]
    assert "mid_system" not in old["models"][0]  # type: ignore[operator]
    assert with_switches(None, "m", {"files": True}) == {"models": [{"id": "m", "files": True}]}
    models_file.parse_file(dump(new))


@pytest.mark.parametrize("content", [[], {"data": []}, {"models": 1}, "x"])
def test_other_forms_are_left_alone(content: Any) -> None:
    with pytest.raises(ValueError, match="by hand"):
        with_switches(content, "m", {"files": True})
    assert with_switches({"models": ["odd"]}, "m", {})["models"] == ["odd", {"id": "m"}]
