"""The page that tells what happens when something goes wrong names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.gateway import ROOT

HERE = Path(__file__).parent


def test_every_test_that_the_page_names_exists() -> None:
    files = list(HERE.glob("test_*.py"))
    known = {path.stem.removeprefix("test_") for path in files}
    for path in files:
        known |= set(re.findall(r"^def test_(\w+)", path.read_text(), re.MULTILINE))
    page = (ROOT / "docs/reliability.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("|") and not line.startswith("|---")]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row.rstrip("|").rpartition("|")[2])}
    assert named - known == set()
    assert len(named) > 50
