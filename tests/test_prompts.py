"""The project's own prompt for coding agents."""

from __future__ import annotations

import pytest

from gateway.prompts import AGENT


def test_it_is_a_real_one_and_not_a_long_one() -> None:
    assert 2000 <= len(AGENT.encode()) <= 4096
    assert AGENT.isascii()


@pytest.mark.parametrize("word", ["AGENTS.md", "apply_patch", "# Shell", "# Plans", "# Checking", "rg --files"])
def test_it_speaks_of_what_an_agent_needs(word: str) -> None:
    assert word in AGENT


def test_its_example_is_a_patch() -> None:
    patch = AGENT[AGENT.index("*** Begin Patch") : AGENT.index("*** End Patch")].splitlines()[1:]
    assert patch[0] == "*** Update File: src/app.py"
    assert all(line.startswith((" ", "+", "-", "@@ ", "*** ")) for line in patch)
