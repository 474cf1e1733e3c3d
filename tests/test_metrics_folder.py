"""The folder of the counts: named where the library looks, no larger for workers that died."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.metrics_folder import ENV, MetricsFolder
from tests.support.gateway import ROOT


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(ENV, "before")
    yield


def test_it_is_named_in_the_environment_and_removed(tmp_path: Path) -> None:
    folder = MetricsFolder(tmp_path)
    assert os.environ[ENV] == str(folder.path)
    folder.remove()
    assert list(tmp_path.iterdir()) == []


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
