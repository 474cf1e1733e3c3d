"""One file for all workers: whole lines, kept once, bounded."""

from __future__ import annotations

import os
import signal
import stat
from pathlib import Path

import pytest

from gateway.recording.file import LogFile

HEAD = b'{"head":1}\n'
LIMIT = 1 << 20


def log_file(path: Path, limit: int = LIMIT) -> LogFile:
    return LogFile(path, limit, lambda: HEAD)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "traffic.jsonl"


def test_a_start_begins_anew_and_keeps_the_old_one_once(path: Path) -> None:
    kept = path.with_name("traffic.jsonl.1")
    kept.write_bytes(b"oldest\n")
    path.write_bytes(b"old\n")
    path.chmod(0o644)
    file = log_file(path)
    assert file.append([b"a\n", b"b\n"]) == (2, None)
    assert path.read_bytes() == HEAD + b"a\nb\n"
    assert kept.read_bytes() == b"old\n"
    assert mode(path) == mode(kept) == 0o600
    file.close()


def test_a_file_that_another_gateway_writes_is_left_to_it(path: Path) -> None:
    first = log_file(path, 4096)
    for _ in range(5):
        first.append([b"%b\n" % (b"x" * 997)])
    with pytest.raises(OSError, match="another gateway writes it"):
        log_file(path)
    first.close()
    log_file(path).close()


def test_a_full_file_becomes_the_kept_one(path: Path) -> None:
    file = log_file(path, 4096)
    lines = [b"%d %b\n" % (number, b"x" * 997) for number in range(7)]
    for line in lines:
        assert file.append([line]) == (1, None)
    assert file.kept.read_bytes() == HEAD + b"".join(lines[:4])
    assert path.read_bytes() == HEAD + b"".join(lines[4:])
    assert mode(path) == mode(file.kept) == 0o600
    assert file.lost == 0
    file.close()


def test_a_line_that_is_longer_than_a_file_may_be_is_written_all_the_same(path: Path) -> None:
    file = log_file(path, 4096)
    file.append([b"x" * 9000 + b"\n"])
    file.append([b"a\n"])
    assert path.read_bytes() == HEAD + b"a\n"
    assert file.kept.stat().st_size > 9000
    file.close()


@pytest.mark.parametrize("what", ["folder", "nowhere/traffic.jsonl", "pipe"])
def test_what_cannot_be_begun(what: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match=r"plain file|No such file"):
        log_file(tmp_path / what)


def test_a_full_disk_loses_lines_and_counts_them() -> None:
    file = log_file(Path("/dev/full"))
    assert file.lost == 0
    written, error = file.append([b"a\n", b"b\n"])
    assert written == 0
    assert error is not None and error.strerror == "No space left on device"
    file.count_lost(3)
    assert file.lost == 5
    file.close()


def test_a_disk_that_fills_up_keeps_whole_lines(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = log_file(path)
    write, room = os.write, [7]

    def nearly_full(descriptor: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(28, "No space left on device")
        written = write(descriptor, bytes(data)[: room[0]])
        room[0] -= written
        return written

    monkeypatch.setattr(os, "write", nearly_full)
    written, error = file.append([b"first\n", b"second\n", b"third\n"])
    assert (written, error is None) == (1, False)
    assert path.read_bytes() == HEAD + b"first\n"
    assert file.lost == 2
    monkeypatch.undo()
    assert file.append([b"next\n"]) == (1, None)
    assert path.read_bytes() == HEAD + b"first\nnext\n"
    file.close()


def test_a_file_that_was_emptied_begins_with_its_first_line_again(path: Path) -> None:
    file = log_file(path)
    file.append([b"a\n"])
    os.truncate(path, 0)
    file.append([b"b\n"])
    assert path.read_bytes() == HEAD + b"b\n"
    file.close()


def test_a_file_that_was_moved_away_while_it_is_full_is_begun_anew(path: Path) -> None:
    file = log_file(path, 4096)
    file.append([b"x" * 4000 + b"\n"])
    path.rename(path.with_name("elsewhere"))
    file.append([b"x" * 4000 + b"\n"])
    assert path.read_bytes() == HEAD + b"x" * 4000 + b"\n"
    assert not file.kept.exists()
    file.close()


def in_child(work: object) -> int:
    """Run in a forked process, as workers are; return its exit status."""
    child = os.fork()
    if not child:
        try:
            work()  # type: ignore[operator]
        except BaseException:
            os._exit(1)
        os._exit(0)
    return child


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")  # the children only write
def test_workers_write_whole_lines_also_where_the_file_is_begun_anew(path: Path) -> None:
    file = log_file(path, 60_000)

    def work(name: bytes) -> None:
        for number in range(60):
            file.append([b"%b %d %b\n" % (name, number, b"y" * 500), b"%b %d.\n" % (name, number)])

    children = [in_child(lambda name=name: work(name)) for name in (b"a", b"b", b"c")]  # type: ignore[misc]
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    lines = (file.kept.read_bytes() + path.read_bytes()).splitlines()
    assert lines.count(HEAD.strip()) == 2
    for name in (b"a", b"b", b"c"):
        own = [line for line in lines if line.startswith(name + b" ")]
        assert [line.split()[1] for line in own] == [b"%d%b" % (n, end) for n in range(60) for end in (b"", b".")]
    assert file.lost == 0
    file.close()


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_part_of_a_line_that_a_killed_worker_left_is_cut_off(path: Path) -> None:
    file = log_file(path)

    def die() -> None:
        def torn(descriptor: int, data: bytes, write: object = os.write) -> int:
            write(descriptor, bytes(data)[:5])  # type: ignore[operator]
            os.kill(os.getpid(), signal.SIGKILL)
            return 0

        os.write = torn  # type: ignore[assignment]
        file.append([b"never whole\n"])

    assert os.waitpid(in_child(die), 0)[1] == signal.SIGKILL
    assert path.read_bytes() == HEAD + b"never"
    assert file.append([b"next\n"]) == (1, None)
    assert path.read_bytes() == HEAD + b"next\n"
    file.close()
