"""The folder in which the processes of one gateway keep their counts, for as long as it runs.

prometheus-client's multiprocess mode has each process write files of its own into a folder that an environment
variable names when the library is first imported; a scrape adds up what lies there. So the folder is made before
that import and before the fork, in memory where the machine has room for it, readable by nobody else.

Two rules keep it right: what a dead worker counted is folded into one file, so that the folder does not grow
with each restart; a scrape and a fold exclude each other (`flock`), so that no count is seen twice.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from gateway.run_folder import RunFolder, locked

ENV = "PROMETHEUS_MULTIPROC_DIR"

_PREFIX = "openai-proxy-metrics-"
_LOCK = "lock"


class MetricsFolder:
    """The folder; make it first, `remove` it last."""

    def __init__(self, parent: Path | None = None) -> None:
        """Make the folder and name it in the environment. Raises: OSError."""
        self._folder = RunFolder(_PREFIX, parent)
        self.path = self._folder.path
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
        self._folder.remove()


@contextlib.contextmanager
def reading(folder: Path, mode: int = fcntl.LOCK_SH) -> Iterator[None]:
    """Hold the lock between scrapes and folds."""
    lock = locked(folder / _LOCK, mode)
    try:
        yield
    finally:
        os.close(lock)
