"""The command: its flags, its key, its exit codes, and its processes from outside."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import cli
from tests.support.answers import chat_text, json_answer, sse
from tests.support.codex_proxy import HELD, OURS, Proxy, environment
from tests.support.processes import wait_until
from tests.support.sockets import Stream, request
from tests.support.upstream import Upstream

BODY = {"model": "m", "input": "hi", "stream": True}


def fails(tmp_path: Path, flags: list[str], stdin: bytes = b"sk-held\n") -> tuple[int, str]:
    run = subprocess.run(
        [*OURS, *flags], input=stdin, env=environment(tmp_path), capture_output=True, timeout=30, cwd=tmp_path
    )
    assert b"sk-held" not in run.stderr + run.stdout
    return run.returncode, run.stderr.decode()


@pytest.mark.parametrize(
    "flags", [["--port", "x"], ["--port", "65536"], ["--port", "-1"], ["--no-such-flag"], ["extra"], ["--server-info"]]
)
def test_wrong_flags_are_exit_code_2(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["codex-proxy", *flags]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("stdin", "said"),
    [
        (b"sk held\n", "codex-proxy: the key may hold only ASCII letters, digits, `-`, `_` and `.`\n"),
    ],
)
def test_a_bad_key_is_exit_code_1(tmp_path: Path, stdin: bytes, said: str) -> None:
    assert fails(tmp_path, ["--server-info", "info.json"], stdin) == (1, said)
    assert not (tmp_path / "info.json").exists()


def test_what_cannot_be_had_is_exit_code_1(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert fails(tmp_path, ["--port", port]) == (
            1,
            f"codex-proxy: --port: port {port} is taken by another program\n",
        )
    for flags, name in (
        (["--server-info", "/proc/nowhere/info.json"], "--server-info: it cannot be written"),
        (["--upstream-url", "ftp://nowhere/x"], "--upstream-url: not a URL"),
    ):
        code, said = fails(tmp_path, flags)
        assert code == 1
        assert said.splitlines()[-1].startswith(f"codex-proxy: {name}")


def test_help_lists_the_flags(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["codex-proxy", "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    for flag in ("--port", "--server-info", "--http-shutdown", "--upstream-url", "--bridge-to-chat", "--dump-dir"):
        assert flag in shown


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as running:
        yield running


def test_a_life(upstream: Upstream) -> None:
    """It serves on loopback alone, shows its key to nobody, and ends by /shutdown with code 0 and its file gone."""
    upstream.always(json_answer({"ok": True}))
    # Nothing of the environment counts.
    env = {"BACKEND_URL": "http://127.0.0.1:9/v1", "HOST": "0.0.0.0", "PORT": "1", "http_proxy": "http://127.0.0.1:9"}
    with Proxy(OURS, f"{upstream.url}/responses", "--http-shutdown", env=env) as proxy:
        assert proxy.info.read_bytes() == b'{"port":%d,"pid":%d}\n' % (proxy.port, proxy.pid)
        assert request(proxy.port, "POST", "/v1/responses", body=BODY).json == {"ok": True}
        assert upstream.asked[-1].headers["authorization"] == f"Bearer {HELD}"
        for process in (proxy.pid, *map(int, Path(f"/proc/{proxy.pid}/task/{proxy.pid}/children").read_text().split())):
            assert "VmLck:\t       0 kB" not in Path(f"/proc/{process}/status").read_text()
            for file in ("environ", "cmdline"):
                if os.getuid() == 0:
                    assert HELD.encode() not in Path(f"/proc/{process}/{file}").read_bytes()
        reply = request(proxy.port, "GET", "/shutdown")
        assert (reply.status, reply.body) == (200, b"")
        assert proxy.process.wait(10) == 0
        assert not proxy.info.exists()
    assert f"codex-proxy listening on 127.0.0.1:{proxy.port}" in proxy.said
    assert "sk-held" not in proxy.said


def test_an_end_by_signal_lets_open_answers_end(upstream: Upstream) -> None:
    frame = b"data: {}\n\n"
    upstream.always(sse(frame, frame).silent(1.0, after=1))
    with Proxy(OURS, f"{upstream.url}/responses") as proxy:
        with Stream(proxy.port, "/v1/responses", BODY, {}, 20) as stream:
            body = iter(stream)
            next(body)
            os.kill(proxy.pid, signal.SIGTERM)
            assert len(list(body)) == 2
        assert proxy.process.wait(10) == 0
        assert wait_until(lambda: not proxy.info.exists())


def test_a_bridge(upstream: Upstream) -> None:
    upstream.always(chat_text("hello"))
    with Proxy(OURS, f"{upstream.url}/chat/completions", "--bridge-to-chat") as proxy:
        reply = request(proxy.port, "POST", "/v1/responses", body={"model": "m", "input": "hi"})
        assert reply.json["output"][0]["content"][0]["text"] == "hello"
        assert upstream.asked[-1].path == "/v1/chat/completions"
        assert request(proxy.port, "GET", "/shutdown").status == 403
