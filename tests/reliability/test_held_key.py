"""A gateway that holds a key, as the system sees its processes: the key is nowhere to be found."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.answers import chat_text, error
from tests.support.gateway import ROOT, Gateway
from tests.support.processes import wait_until
from tests.support.upstream import Upstream

HELD = "sk-held.key_0123456789"
BODY = {"model": "m", "input": "hi"}
PLAIN = ["setpriv", "--bounding-set=-all"] if os.getuid() == 0 else []
"""Before a command: root without the privileges that it has over all processes."""


@pytest.fixture(scope="module")
def holder() -> Iterator[tuple[Gateway, Upstream]]:
    """A gateway with two workers that got its key on standard input, and its upstream."""
    with (
        Upstream() as upstream,
        Gateway(
            upstream.url,
            flags=["--key-from-stdin"],
            stdin=f"{HELD}\nmore\n".encode(),
            under=PLAIN,
            WORKERS="2",
            LOG_LEVEL="debug",
        ) as gateway,
    ):
        upstream.models = error(401, "No key.")
        yield gateway, upstream


def test_it_is_used_where_a_client_sends_none(holder: tuple[Gateway, Upstream]) -> None:
    gateway, upstream = holder
    upstream.always(chat_text("hi"))
    assert gateway.post("/v1/responses", BODY, key=None).status == 200
    assert gateway.post("/v1/responses", BODY, key="sk-own").status == 200
    assert [asked.headers["authorization"] for asked in upstream.asked] == [f"Bearer {HELD}", "Bearer sk-own"]
    # The upstream shows its list to nobody without a key.
    listed = {asked.headers.get("authorization") for asked in upstream.requests if asked.path.endswith("/models")}
    assert f"Bearer {HELD}" in listed


def test_it_is_in_no_environment_argument_or_log(holder: tuple[Gateway, Upstream]) -> None:
    gateway, _ = holder
    for process in (gateway.pid, *gateway.workers):
        for file in ("environ", "cmdline"):
            with contextlib.suppress(PermissionError):  # it is closed to its own user
                assert HELD.encode() not in Path(f"/proc/{process}/{file}").read_bytes()
        status = Path(f"/proc/{process}/status").read_text()
        assert "VmLck:\t       0 kB" not in status
        assert "Max core file size        0                    0 " in Path(f"/proc/{process}/limits").read_text()
    assert "sk-held" not in gateway.log_text


def test_strangers_are_refused_by_the_real_server(holder: tuple[Gateway, Upstream]) -> None:
    gateway, _ = holder
    for path in ("/health", "/metrics", "/v1/models"):
        assert gateway.get(path, headers={"Host": "gateway.lan"}).status == 403
        assert gateway.get(path, headers={"Origin": "https://evil.example"}).status == 403
    assert gateway.get("/health").status == 200


LOOKS = """
import sys
for process in sys.argv[1:]:
    try:
        print(len(open(f"/proc/{process}/environ").read()) > 0)
    except PermissionError:
        print("refused")
"""


def test_its_processes_are_closed_to_others_of_the_same_user(holder: tuple[Gateway, Upstream]) -> None:
    """Whoever may trace a process may read its environment (proc(5)), and nobody else may."""
    gateway, _ = holder
    assert wait_until(lambda: len(gateway.workers) == 2)
    with subprocess.Popen([*PLAIN, "sleep", "60"]) as other:
        every = [str(process) for process in (other.pid, gateway.pid, *gateway.workers)]
        looks = subprocess.run(
            [*PLAIN, sys.executable, "-c", LOOKS, *every], capture_output=True, text=True, timeout=30
        )
        other.kill()
    assert looks.stdout.split() == ["True", "refused", "refused", "refused"], looks.stderr


@pytest.mark.parametrize(
    ("flags", "stdin", "environ", "said"),
    [
        (["--key-from-stdin"], b"no key!\n", {}, "--key-from-stdin: the key may hold only ASCII letters"),
        ([], b"", {"BACKEND_KEY_FILE": os.devnull}, "BACKEND_KEY_FILE: a key must be given, in one line"),
    ],
)
def test_what_is_wrong_ends_the_start_with_one_line(
    flags: list[str], stdin: bytes, environ: dict[str, str], said: str
) -> None:
    run = subprocess.run(
        [sys.executable, str(ROOT / "openai_proxy.py"), *flags],
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", **environ},
        input=stdin,
        capture_output=True,
        timeout=30,
    )
    assert run.returncode == 2
    assert run.stderr.decode().startswith(f"openai_proxy.py: {said}")
    assert run.stderr.count(b"\n") == 1
    assert b"sk-held" not in run.stderr
