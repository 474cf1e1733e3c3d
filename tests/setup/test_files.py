"""Files are written whole or not at all, and what was there is kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.setup import files


def test_a_new_file_is_its_owner_s(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    assert files.replace(path, "a\n") is None
    assert path.read_text() == "a\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(path.parent) == ["file"]


def test_what_was_there_is_kept_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o640)
    backups = {files.replace(path, text) for text in ("one", "two", "three")}
    assert {backup.read_text() for backup in backups if backup} == {"old", "one", "two"}
    assert {entry.stat().st_mode & 0o777 for entry in tmp_path.iterdir()} == {0o640}


@pytest.mark.parametrize(("before", "after"), [(0o644, 0o640), (0o600, 0o600), (0o664, 0o660)])
def test_a_file_with_a_secret_is_not_for_everybody(tmp_path: Path, before: int, after: int) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(before)
    files.replace(path, "key", secret=True)
    assert path.stat().st_mode & 0o777 == after
    files.replace(path, "another")
    assert path.stat().st_mode & 0o777 == after


def test_no_change_no_backup(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("same")
    assert files.replace(path, "same") is None
    assert os.listdir(tmp_path) == ["file"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    files.replace(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_a_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"

    def fail(*_: object) -> None:
        raise OSError("disk")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk"):
        files.replace(path, "new")
    assert os.listdir(tmp_path) == []


def test_a_missing_file_reads_as_empty(tmp_path: Path) -> None:
    assert files.read(tmp_path / "none") == ""


def test_line_ends_and_the_mark_in_front_stay(tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_bytes(b"\xef\xbb\xbf{\r\n}\r\n")
    assert files.read(file) == "{\n}\n"
    assert files.replace(file, "{\n}\n") is None
    assert files.replace(file, "{1\n}\n") is not None
    assert file.read_bytes() == b"\xef\xbb\xbf{1\r\n}\r\n"
