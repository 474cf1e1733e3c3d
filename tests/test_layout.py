"""The shape of the project, read from its own files: pure rooms stay pure, every room has its test."""

from __future__ import annotations

import ast
import fnmatch
from pathlib import Path

import pytest

from tests.support.pure_rooms import PURE

ROOT = Path(__file__).resolve().parents[1]
ROOMS = sorted(path.relative_to(ROOT) for path in (ROOT / "gateway").rglob("*.py"))
PURE_ROOMS = [room for room in ROOMS if any(fnmatch.fnmatch(str(room), pattern) for pattern in PURE)]

IMPURE = {"flask", "requests", "urllib3", "gevent", "gunicorn", "time", "random", "secrets", "uuid", "os", "socket"}
"""What a pure room does not import: I/O, clocks, chance, frameworks."""

SPLIT_AT = 500
"""Lines of a room that is really two."""

TESTED_ELSEWHERE = {
    "gateway/asking.py": "tests/routes/test_responses.py",
    "gateway/bridge.py": "tests/routes/test_responses.py",
    "gateway/bridged.py": "tests/routes/test_responses.py",
    "gateway/counting.py": "tests/routes/test_responses.py",
    "gateway/dialects/chat/context.py": "tests/dialects/chat/test_encode.py",
    "gateway/dialects/messages/context.py": "tests/dialects/messages/test_encode.py",
    "gateway/dialects/registry.py": "tests/test_app.py",
    "gateway/dialects/responses/calls.py": "tests/dialects/responses/test_encode.py",
    "gateway/dialects/responses/context.py": "tests/dialects/responses/test_encode.py",
    "gateway/dialects/responses/growing.py": "tests/dialects/responses/test_streams.py",
    "gateway/dialects/responses/items.py": "tests/dialects/responses/test_encode.py",
    "gateway/dialects/responses/wire.py": "tests/dialects/responses/test_encode.py",
    "gateway/errors.py": "tests/routes/test_responses.py",
    "gateway/exchange.py": "tests/routes/test_responses.py",
    "gateway/heads.py": "tests/test_server.py",
    "gateway/inbound.py": "tests/test_app.py",
    "gateway/quirks.py": "tests/test_remedy.py",
    "gateway/relayed.py": "tests/routes/test_chat.py",
    "gateway/routes/health.py": "tests/test_app.py",
    "gateway/routes/metrics.py": "tests/test_metrics.py",
    "gateway/services.py": "tests/test_app.py",
    "gateway/store/turn.py": "tests/routes/test_stored.py",
    "gateway/types.py": "tests/test_layout.py",
    "gateway/worker.py": "tests/test_server.py",
}
"""Rooms that are tested through others, which shows more of them than a test of their own would."""


def imported(room: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / room).read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("room", PURE_ROOMS, ids=str)
def test_a_pure_room_imports_no_io_no_clock_and_no_chance(room: Path) -> None:
    assert not imported(room) & IMPURE
    calls = [node for node in ast.walk(ast.parse((ROOT / room).read_text())) if isinstance(node, ast.Call)]
    assert not any(isinstance(call.func, ast.Name) and call.func.id == "open" for call in calls)


@pytest.mark.parametrize("room", PURE_ROOMS, ids=str)
def test_a_dialect_knows_only_the_vocabulary(room: Path) -> None:
    above = {"app", "exchange", "bridged", "relayed", "asking", "services", "routes", "server", "config", "cli"}
    for node in ast.walk(ast.parse((ROOT / room).read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gateway."):
            assert (node.module or "").split(".")[1] not in above


@pytest.mark.parametrize("room", ROOMS, ids=str)
def test_a_room_has_one_subject_and_says_which(room: Path) -> None:
    text = (ROOT / room).read_text()
    assert text.count("\n") <= SPLIT_AT
    if text:
        assert ast.get_docstring(ast.parse(text))


@pytest.mark.parametrize("room", [room for room in ROOMS if room.name != "__init__.py"], ids=str)
def test_every_room_has_its_test(room: Path) -> None:
    inside = room.relative_to("gateway")
    own = Path("tests") / inside.parent / f"test_{inside.name}"
    assert (ROOT / TESTED_ELSEWHERE.get(str(room), own)).exists(), own


@pytest.mark.parametrize("folder", ["streams", "responses-streams"])
def test_every_golden_stream_has_its_expectation(folder: str) -> None:
    golden = ROOT / "tests" / "golden" / folder
    streams = {path.stem for path in golden.glob("*.sse")}
    assert streams
    assert streams == {path.stem for path in golden.glob("*.json")}
