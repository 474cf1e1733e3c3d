"""What a process and all its descendants use, from /proc (Linux)."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Sequence
from pathlib import Path

_TICK_US = 1_000_000 // os.sysconf("SC_CLK_TCK")
_PSS = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)


def tree(root: int) -> list[int]:
    """Return a process and its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields:
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def named(root: int, name: str) -> list[int]:
    """Return the processes of the tree that call themselves so."""
    found = []
    for pid in tree(root):
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/comm").read_text().strip() == name:
                found.append(pid)
    return found


def cpu_us(root: int) -> int:
    """Return the CPU time of the tree, user and system, ended children included, in microseconds.

    The kernel tells it in ticks of 10 ms, so a window of some seconds is exact to a percent.
    """
    return cpu_us_of(tree(root))


def cpu_us_of(pids: Sequence[int]) -> int:
    """Return the CPU time of some processes, as `cpu_us`."""
    total = 0
    for pid in pids:
        fields = _stat(pid)
        if fields:
            total += sum(int(field) for field in fields[11:15])
    return total * _TICK_US


def memory_bytes(root: int) -> int:
    """Return the memory of the tree: what processes share is counted once (PSS)."""
    total = 0
    for pid in tree(root):
        with contextlib.suppress(OSError):
            match = _PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_text())
            total += int(match[1]) * 1024 if match else 0
    return total


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the third (state) on; nothing where the process is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return []
    # The name of the program stands in parentheses and may hold blanks.
    return text.rpartition(")")[2].split()
