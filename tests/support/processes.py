"""What a running gateway holds: its workers, their memory and their descriptors (Linux, from /proc)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from tests.support.gateway import Gateway


def workers(gateway: Gateway) -> list[int]:
    """The worker processes, those that are dead but not yet reaped left out."""
    return [child for child in _children(gateway) if not _records(child)]


def recorders(gateway: Gateway) -> list[int]:
    """The process that writes the recording, if there is one."""
    return [child for child in _children(gateway) if _records(child)]


def peak_memory(pid: int) -> int:
    """The most memory that a process ever had resident since `forget_peak`, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmHWM")


def forget_peak(pid: int) -> int:
    """Measure the peak anew from here; return what is resident now, in bytes."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return peak_memory(pid)


def descriptors(pid: int) -> int:
    """How many files and sockets a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def wait_until(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Wait until something holds; return whether it does."""
    ends = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > ends:
            return False
        time.sleep(0.02)
    return True


def _children(gateway: Gateway) -> list[int]:
    children = Path(f"/proc/{gateway.pid}/task/{gateway.pid}/children").read_text().split()
    return [int(child) for child in children if _state(int(child)) not in ("Z", "X", "")]


def _records(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text() == "recorder\n"
    except OSError:
        return False


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""
