"""The file that tells where the proxy is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.codex_proxy.info_file import InfoFile


def line(port: int = 18991) -> bytes:
    return b'{"port":%d,"pid":%d}\n' % (port, os.getpid())


def test_it_is_one_line_that_everybody_may_read(tmp_path: Path) -> None:
    path = tmp_path / "made" / "for" / "info.json"
    info = InfoFile(path)
    old = os.umask(0o077)
    try:
        info.write(18991)
    finally:
        os.umask(old)
    assert path.read_bytes() == line()
    assert path.stat().st_mode & 0o777 == 0o644
    assert [each.name for each in path.parent.iterdir()] == ["info.json"]
    info.remove()
    assert not path.exists()
    info.remove()


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("keep me")
    path = tmp_path / "info.json"
    path.symlink_to(precious)
    InfoFile(path).write(1)
    assert precious.read_text() == "keep me"
    assert not path.is_symlink()
    assert path.read_bytes() == line(1)


def test_what_another_proxy_wrote_stays(tmp_path: Path) -> None:
    path = tmp_path / "info.json"
    first = InfoFile(path)
    first.write(1)
    InfoFile(path).write(2)
    first.remove()
    assert path.read_bytes() == line(2)
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").write_bytes(line(1))
    first.remove()
    assert path.is_symlink()


def test_only_the_process_that_wrote_it_removes_it(tmp_path: Path) -> None:
    path = tmp_path / "info.json"
    info = InfoFile(path)
    info.write(1)
    if (child := os.fork()) == 0:
        info.remove()
        os._exit(0)
    os.waitpid(child, 0)
    assert path.exists()


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):
        InfoFile(tmp_path / "folder").write(1)
    assert [each.name for each in tmp_path.iterdir()] == ["folder"]
    with pytest.raises(OSError):
        InfoFile(Path("/proc/nowhere/info.json")).write(1)


def test_without_a_path_there_is_no_file() -> None:
    info = InfoFile(None)
    info.write(1)
    info.remove()
