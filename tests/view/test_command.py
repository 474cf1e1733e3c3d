"""The command as people run it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.cli import main
from gateway.view import command
from tests.support.recordings import Tape


def recording(folder: Path, count: int = 1) -> Path:
    tape = Tape()
    for number in range(count):
        tape.relayed(f"req_{number}", {"model": "m", "messages": []}, [b"data: x\n\n"])
    return tape.write(folder / "traffic.jsonl")


def test_a_page_stands_beside_its_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = recording(tmp_path)
    assert main(["view", str(log)]) == 0
    page = tmp_path / "traffic.jsonl.html"
    assert capsys.readouterr().out == f"{page}\n"
    assert page.stat().st_mode & 0o777 == 0o600
    assert page.read_bytes().startswith(b"<!doctype html>")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["traffic.jsonl", "traffic.jsonl.html"]


def test_it_stands_where_it_is_asked_for(tmp_path: Path) -> None:
    log = recording(tmp_path)
    assert main(["view", str(log), "-o", str(tmp_path / "page.html")]) == 0
    assert (tmp_path / "page.html").exists()


def test_details_are_bounded_to_the_latest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "PAGE_BYTES", 3 * command._LEAST)
    log = recording(tmp_path, 5)
    assert main(["view", str(log)]) == 0
    page = (tmp_path / "traffic.jsonl.html").read_text()
    assert [number for number in range(5) if f'id="x{number}"' in page] == [2, 3, 4]


@pytest.mark.parametrize(
    ("words", "said"),
    [(["none"], "none: No such file"), ([], "required: LOG"), (["log", "-o", "no/page"], "no/page: No")],
)
def test_a_wrong_use_is_one_line(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    recording(tmp_path).rename("log")
    assert main(["view", *words]) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert shown.count("\n") == 1
