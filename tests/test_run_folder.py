"""The folder of a running gateway: private, gone at the end, swept where a gateway was killed."""

from __future__ import annotations

import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gateway import run_folder
from gateway.run_folder import RunFolder
from tests.support.gateway import ROOT


def test_the_folder_is_private_and_removed(tmp_path: Path) -> None:
    folder = RunFolder("gateway-", tmp_path)
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    folder.remove()
    assert list(tmp_path.iterdir()) == []


def test_only_its_maker_removes_it(tmp_path: Path) -> None:
    folder = RunFolder("gateway-", tmp_path)
    folder._master = -1
    folder.remove()
    assert folder.path.exists()


def test_what_a_killed_gateway_left_is_swept(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from gateway.run_folder import RunFolder\n"
        f"RunFolder('gateway-', Path({str(tmp_path)!r})); print('made', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "made\n"
    mine = RunFolder("gateway-", tmp_path)
    assert len(list(tmp_path.iterdir())) == 2, "one that lives is left alone"
    other.send_signal(signal.SIGKILL)
    other.wait(5)
    other.stdout.close()
    mine.remove()
    again = RunFolder("gateway-", tmp_path)
    assert list(tmp_path.iterdir()) == [again.path]
    again.remove()


def test_memory_is_used_only_where_it_has_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_folder, "_MEMORY", tmp_path)
    assert run_folder.memory_folder() == tmp_path
    assert run_folder.memory_folder(1 << 60) is None
    monkeypatch.setattr(run_folder, "_MEMORY", tmp_path / "none")
    assert run_folder.memory_folder() is None
