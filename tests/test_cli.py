"""The command line of the program."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gateway import __version__, cli
from gateway.config import Settings, declared
from tests.support.gateway import ROOT


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings that would be served."""
    seen: list[Settings] = []
    monkeypatch.setattr("gateway.server.serve", seen.append)
    monkeypatch.setattr("os.environ", {})
    return seen


@pytest.mark.parametrize("words", [["--chat-port", "7"], ["serve", "--chat-port=7"]], ids=["bare", "spelled-out"])
def test_serving_is_what_it_does(served: list[Settings], words: list[str]) -> None:
    assert cli.main(words) == 0
    assert served[0].chat_port == 7


def test_every_flag_is_read(served: list[Settings]) -> None:
    values = {"mode": "chat", "backend_url": "http://h", "backend_api": "chat", "log_level": "debug"}
    values |= {"host": "localhost", "models_file": __file__}
    words = []
    for name, one in declared():
        for flag in one.flags:
            words += [flag] if one.switch else [flag, values.get(name, "9")]
    words += ["--responses-port", "10"]
    assert cli.main(words) == 0
    settings = served[0]
    assert (settings.port, settings.mode, settings.workers, settings.backend_timeout_secs) == (9, "chat", 9, 9.0)
    assert settings.key_from_stdin
    assert not settings.auto_web_search


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--chat-port", "x"], "CHAT_PORT (--chat-port)"),
        (["--chat-port"], "--chat-port"),
        (["--chat"], "--chat"),
        (["--nonsense"], "--nonsense"),
        (["serve", "more"], "more"),
        (["frobnicate"], "frobnicate"),
        (["--backend-url", "nowhere"], "BACKEND_URL (--backend-url)"),
    ],
)
def test_wrong_words_end_with_one_line(
    served: list[Settings], capsys: pytest.CaptureFixture[str], words: list[str], named: str
) -> None:
    assert cli.main(words) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("openai_proxy.py: ")
    assert shown.err.count("\n") == 1
    assert named in shown.err
    assert served == []


def test_help_lists_every_setting_with_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["--help"])
    assert caught.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for _, one in declared():
        assert all(flag in text for flag in one.flags)
        assert one.env in text
        assert f"default: {one.shown}" in text or not one.shown
        assert one.help in text


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"openai-proxy {__version__}\n"


def test_the_program_itself() -> None:
    run = subprocess.run(
        [sys.executable, ROOT / "openai_proxy.py", "--port", "x"], capture_output=True, text=True, timeout=30
    )
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == "openai_proxy.py: --port: 'x' is not a whole number from 1 to 65535\n"


def test_a_python_without_the_packages_is_told_what_to_do() -> None:
    """`-S` hides what is installed."""
    run = subprocess.run(
        [sys.executable, "-S", "openai_proxy.py", "doctor"], cwd=ROOT, capture_output=True, text=True, timeout=30
    )
    assert run.returncode != 0
    assert "make run" in run.stderr
    assert run.stderr.count("\n") == 1
