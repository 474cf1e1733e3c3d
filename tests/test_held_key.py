"""A held key: what is taken for one, and that nobody else gets at it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gateway import held_key
from gateway.held_key import KEY_LIMIT, HeldKey, KeyRefused

LONGEST = b"k" * KEY_LIMIT


def read(*pieces: bytes) -> str:
    """Read a key from a pipe that these pieces come through, one after the other."""
    out, into = os.pipe()

    def write() -> None:
        for piece in pieces:
            os.write(into, piece)
        os.close(into)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        return held_key.read_key(out).reveal()
    finally:
        writer.join()
        os.close(out)


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ([b"sk-a_b.C9\n"], "sk-a_b.C9"),
        ([b"sk-a"], "sk-a"),
        ([b"sk-a\r\n"], "sk-a"),
        ([b"sk-a\nsecond line !\n"], "sk-a"),
        ([b"s", b"k", b"-a", b"\n"], "sk-a"),
        ([LONGEST], LONGEST.decode()),
        ([LONGEST + b"\n"], LONGEST.decode()),
    ],
    ids=["line", "no-end", "crlf", "two-lines", "pieces", "longest", "longest-line"],
)
def test_the_first_line_is_the_key(given: list[bytes], key: str) -> None:
    assert read(*given) == key


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (b"", "must be given"),
        (b"\n", "must be given"),
        (b"\r\n", "must be given"),
        (LONGEST + b"k", "longer than 1016"),
        (LONGEST + b"k\n", "longer than 1016"),
        (b"se cret\n", "only ASCII letters"),
        (b" secret\n", "only ASCII letters"),
        (b"secret!\n", "only ASCII letters"),
        ("sécret\n".encode(), "only ASCII letters"),
        (b"Bearer secret\n", "only ASCII letters"),
        (b"secret\0\n", "only ASCII letters"),
    ],
)
def test_what_is_no_key_is_refused_and_not_repeated(given: bytes, why: str) -> None:
    with pytest.raises(KeyRefused, match=why) as refused:
        read(given)
    assert "cret" not in str(refused.value)


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("sk-from-file\n")
    assert held_key.from_file(path).reveal() == "sk-from-file"
    for no_file in (tmp_path, tmp_path / "none"):
        with pytest.raises(KeyRefused, match="cannot be read"):
            held_key.from_file(no_file)


def test_on_a_terminal_it_is_asked_for_without_an_echo() -> None:
    master, terminal = os.openpty()
    typing = "import sys, gateway.held_key as h; print(h.from_stdin().reveal() == 'sk-typed')"
    root = Path(__file__).resolve().parents[1]
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(root)}
    with subprocess.Popen(
        [sys.executable, "-c", typing], stdin=terminal, stderr=terminal, stdout=subprocess.PIPE, env=environ
    ) as asking:
        os.close(terminal)
        shown = b""
        while b"API key: " not in shown:
            shown += os.read(master, 1024)
        os.write(master, b"sk-typed\n")
        assert asking.stdout is not None
        assert asking.stdout.read() == b"True\n"
    os.close(master)


def test_a_terminal_that_gives_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def leave(prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr(held_key.getpass, "getpass", leave)
    monkeypatch.setattr(held_key.os, "isatty", lambda descriptor: True)
    with pytest.raises(KeyRefused, match="must be given"):
        held_key.from_stdin()


def test_its_repr_hides_it() -> None:
    key = HeldKey(b"sk-secret")
    assert "secret" not in f"{key} {key!r}"


HARDENED = """
import ctypes, os, resource, sys
from gateway import held_key
held_key.harden()
key = held_key.from_stdin()
def told():
    dumpable = ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)
    locked = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmLck")][0]
    return [dumpable, resource.getrlimit(resource.RLIMIT_CORE), int(locked) > 0, sys.stdin.buffer.read(), key.reveal()]
print(told(), flush=True)
if os.fork() == 0:
    key.lock()
    print(told(), flush=True)
    os._exit(0)
os.wait()
"""


def test_the_process_and_what_it_forks_are_closed_to_others() -> None:
    root = Path(__file__).resolve().parents[1]
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(root)}
    run = subprocess.run(
        [sys.executable, "-c", HARDENED], input=b"sk-held\nrest", env=environ, capture_output=True, timeout=30
    )
    told = "[0, (0, 0), True, b'', 'sk-held']"
    assert run.stdout.decode().splitlines() == [told, told], run.stderr


def test_what_the_system_refuses_is_logged(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    class Refusing:
        def mlock(self, *_: object) -> int:
            return -1

        def prctl(self, *_: object) -> int:
            return -1

    monkeypatch.setattr(held_key, "_LIBC", Refusing())
    monkeypatch.setattr(held_key.resource, "setrlimit", lambda *_: None)
    assert HeldKey(b"sk-held").reveal() == "sk-held"
    held_key.harden()
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "sk-held" not in caplog.text
