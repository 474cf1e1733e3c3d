"""The folder in which the processes of one gateway keep their counts, for as long as it runs.

prometheus-client's multiprocess mode has each process write files of its own into a folder that an environment
variable names when the library is first imported; a scrape adds up what lies there. So the folder is made before
that import and before the fork, in memory where the machine has room for it, readable by nobody else.

Three rules keep it right: what a dead worker counted is folded into one file, so that the folder does not grow
with each restart; a scrape and a fold exclude each other (`flock`), so that no count is seen twice; the master
holds a lock for its whole life, by which the next start knows a folder that a killed gateway has left.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

ENV = "PROMETHEUS_MULTIPROC_DIR"

_PREFIX = "openai-proxy-metrics-"
_OWNER, _LOCK = "owner", "lock"
_MEMORY = Path("/dev/shm")
_ROOM = 8 * 1024 * 1024
"""Bytes that must be free in memory: what does not fit into a mapped file there ends the process."""


class MetricsFolder:
    """The folder; make it first, `remove` it last."""

    def __init__(self, parent: Path | None = None) -> None:
        """Make the folder and name it in the environment. Raises: OSError."""
        parent = parent or memory_folder() or Path(tempfile.gettempdir())
        _sweep(parent)
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        self._master = os.getpid()
        self._owner = _locked(self.path / _OWNER, fcntl.LOCK_EX)
        (self.path / _LOCK).touch(mode=0o600)
        os.environ[ENV] = str(self.path)

    def retire(self, pid: int) -> None:
        """Fold the counts of a worker that has died into one file; what it had open counts no more."""
        from prometheus_client.mmap_dict import MmapedDict

        with reading(self.path, fcntl.LOCK_EX):
            for kind in ("counter", "histogram"):
                dead = self.path / f"{kind}_{pid}.db"
                if dead.exists():
                    folded = MmapedDict(str(self.path / f"{kind}_retired.db"))
                    for key, value, _, _ in list(MmapedDict.read_all_values_from_file(str(dead))):
                        folded.write_value(key, folded.read_value(key)[0] + value, 0.0)
                    folded.close()
            for left in self.path.glob(f"*_{pid}.db"):
                left.unlink()

    def remove(self) -> None:
        """Remove the folder, if this is the process that made it."""
        if os.getpid() == self._master:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._owner)


def memory_folder() -> Path | None:
    """Return a folder that needs no disk; None where there is none, or hardly any room in it."""
    with contextlib.suppress(OSError):
        room = os.statvfs(_MEMORY)
        if os.access(_MEMORY, os.W_OK) and room.f_bavail * room.f_frsize >= _ROOM:
            return _MEMORY
    return None


@contextlib.contextmanager
def reading(folder: Path, mode: int = fcntl.LOCK_SH) -> Iterator[None]:
    """Hold the lock between scrapes and folds."""
    lock = _locked(folder / _LOCK, mode)
    try:
        yield
    finally:
        os.close(lock)


def _locked(path: Path, mode: int) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, mode)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _sweep(parent: Path) -> None:
    """Remove the folders of gateways that were killed."""
    for left in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if (left / _OWNER).exists():
                os.close(_locked(left / _OWNER, fcntl.LOCK_EX | fcntl.LOCK_NB))
                shutil.rmtree(left)
