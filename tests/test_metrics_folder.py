"""The folder of the counts: private, gone at the end, no larger for workers that died."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import metrics_folder
from gateway.metrics_folder import ENV, MetricsFolder
from tests.support.gateway import ROOT


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(ENV, "before")
    yield


def test_the_folder_is_private_and_removed(tmp_path: Path) -> None:
    folder = MetricsFolder(tmp_path)
    assert os.environ[ENV] == str(folder.path)
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    folder.remove()
    assert list(tmp_path.iterdir()) == []


def test_only_its_maker_removes_it(tmp_path: Path) -> None:
    folder = MetricsFolder(tmp_path)
    folder._master = -1
    folder.remove()
    assert folder.path.exists()


def test_what_a_killed_gateway_left_is_swept(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from gateway.metrics_folder import MetricsFolder\n"
        f"MetricsFolder(Path({str(tmp_path)!r})); print('made', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "made\n"
    mine = MetricsFolder(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2, "one that lives is left alone"
    other.send_signal(signal.SIGKILL)
    other.wait(5)
    other.stdout.close()
    mine.remove()
    again = MetricsFolder(tmp_path)
    assert list(tmp_path.iterdir()) == [again.path]
    again.remove()


def test_memory_is_used_only_where_it_has_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_folder, "_MEMORY", tmp_path)
    assert metrics_folder.memory_folder() == tmp_path
    monkeypatch.setattr(metrics_folder, "_ROOM", 1 << 60)
    assert metrics_folder.memory_folder() is None
    monkeypatch.setattr(metrics_folder, "_MEMORY", tmp_path / "none")
    assert metrics_folder.memory_folder() is None


COUNTING = """
import os, sys
from pathlib import Path
from gateway.metrics_folder import MetricsFolder
folder = MetricsFolder(Path(sys.argv[1]))
from gateway.metrics import Metrics, Outcome
from gateway.events import Usage
metrics = Metrics()
idle = {"is_open": False, "open_models": [], "consecutive_failures": 0}
for _ in range(3):
    pid = os.fork()
    if not pid:
        metrics.streams(1)
        metrics.ended(Outcome("1", "/v1/messages", 200, "complete", 1, 0.1, 0.001, None, "m", Usage(5, 7), 2))
        assert b"gateway_open_streams 1.0" in metrics.render(idle)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    folder.retire(pid)
sys.stdout.buffer.write(metrics.render(idle))
print(len(list(folder.path.glob("*.db"))))
folder.remove()
"""


def test_the_counts_of_dead_workers_stay_and_their_files_go(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", COUNTING, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stderr
    assert 'gateway_requests_total{dialect="messages",end="complete",port="1",status="200"} 3.0' in run.stdout
    assert 'gateway_request_duration_seconds_count{dialect="messages"} 3.0' in run.stdout
    assert 'gateway_tokens_total{kind="output",model="m"} 21.0' in run.stdout
    assert "gateway_open_streams 0.0" in run.stdout
    assert run.stdout.splitlines()[-1] == "3", "two folded files, and the master's gauge"
