"""What real clients did is done again from its recording, with no upstream: the same files, in another folder."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.cli import main
from gateway.recording.log import Log
from gateway.replay.records import Records
from gateway.replay.serving import Player, Server
from tests.clients.conftest import MODEL, MODELS_FILE
from tests.support.answers import chat_call, chat_calls, chat_text
from tests.support.clients import KEY, Claude, Codex, claude_result, codex_text
from tests.support.gateway import Gateway
from tests.support.upstream import Upstream

pytestmark = pytest.mark.clients

POEM = "roses are red\nviolets are green\n"
PATCH = """\
*** Begin Patch
*** Update File: poem.txt
@@
 roses are red
-violets are green
+violets are blue
*** End Patch
"""


@dataclass
class Done:
    """What a client left behind."""

    files: dict[str, str]
    text: str


def files_of(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def run_codex(folder: Path, gateway: Gateway) -> Done:
    """A thread with a shell command, an answer that breaks off and is asked for again, parallel calls and a patch."""
    codex = Codex(folder, gateway.responses_url, MODEL)
    run = codex.exec("Write a poem and mend it.")
    assert run.code == 0, run
    return Done(files_of(codex.work), codex_text(run))


def run_claude(folder: Path, gateway: Gateway) -> Done:
    """A thread with parallel calls, a call that fails, and thinking; then a second question."""
    claude = Claude(folder, gateway.responses_url.removesuffix("/v1"), MODEL)
    first = claude.ask("Make two files.")
    second = claude.ask("And a third one.", "--continue")
    assert (first.code, second.code) == (0, 0), f"{first}\n{second}"
    return Done(files_of(claude.work), claude_result(first)["result"] + claude_result(second)["result"])


def bash(command: str) -> tuple[str, dict[str, str]]:
    return "Bash", {"command": command, "description": "A step"}


CODEX_SCRIPT = (
    chat_call(
        "exec_command", {"cmd": f"printf {POEM!r} > poem.txt; date; pwd; echo $$"}, reasoning="Write.", id="call_1"
    ),
    chat_call("exec_command", {"cmd": "touch never && touch never"}).streamed().cut(500),
    chat_calls(
        ("exec_command", {"cmd": "ls -l > /dev/null; echo a > a.txt"}),
        ("exec_command", {"cmd": "echo b > b.txt"}),
        text="Both at once.",
        ids=["call_2", "call_3"],
    ),
    chat_call("apply_patch", {"input": PATCH}, id="call_4"),
    chat_text("The poem is mended."),
)
CLAUDE_SCRIPT = (
    chat_calls(
        bash("echo a > a.txt; date; pwd"), bash("mkdir -p x; echo b > x/b.txt; exit 3"), ids=["call_1", "call_2"]
    ),
    chat_text("Two files.", reasoning="Both are there."),
    chat_call(*bash("cat a.txt x/b.txt > c.txt"), reasoning="From the two.", id="call_3"),
    chat_text("A third one."),
)


@dataclass
class Recorded:
    """What was recorded, and a gateway that has nothing but the recording."""

    codex: Done
    claude: Done
    log: Path
    gateway: Gateway
    server: Server

    def rewind(self) -> list[str]:
        """Let the answers come from the first on; return where it is noted what was asked."""
        notes: list[str] = []
        self.server.player = Player(Records.of(self.server.player.records.log), 0.0, notes.append)
        return notes


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    folder = tmp_path_factory.mktemp("recorded")
    log = folder / "traffic.jsonl"
    settings = {"MODELS_FILE": str(MODELS_FILE), "KEEPALIVE_SECS": "2"}
    with Upstream() as upstream:
        upstream.lists({"id": MODEL, "object": "model", "context_length": 100000})
        with Gateway(upstream.url, LOG_FILE=str(log), **settings) as gateway:
            upstream.answers(*CODEX_SCRIPT)
            (folder / "codex").mkdir()
            codex = run_codex(folder / "codex", gateway)
            upstream.answers(*CLAUDE_SCRIPT)
            (folder / "claude").mkdir()
            claude = run_claude(folder / "claude", gateway)
    with Log.open(log) as opened, Server(("127.0.0.1", 0), Player(Records.of(opened), 0.0)) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        with Gateway(server.url, **settings) as gateway:
            yield Recorded(codex, claude, log, gateway, server)
        server.shutdown()


@pytest.mark.parametrize(("name", "run"), [("codex", run_codex), ("claude", run_claude)])
def test_a_client_does_the_same_again(
    recorded: Recorded, tmp_path: Path, name: str, run: Callable[[Path, Gateway], Done]
) -> None:
    notes = recorded.rewind()
    again = run(tmp_path, recorded.gateway)
    assert again == getattr(recorded, name), notes
    assert len(again.files) == 3
    assert not [note for note in notes if "no recorded answer" in note]


def test_todays_translators_say_the_same(recorded: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["replay", str(recorded.log), "--retranslate"])
    shown = capsys.readouterr().out
    assert code == 0, shown
    assert "none differ" in shown


def test_a_gateway_before_the_recording_says_the_same(recorded: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    recorded.rewind()
    code = main(["replay", str(recorded.log), "--to", recorded.gateway.responses_url])
    assert code == 0, capsys.readouterr().out


def test_the_page_of_it_holds_no_key(recorded: Recorded, tmp_path: Path) -> None:
    assert main(["view", str(recorded.log), "-o", str(tmp_path / "page.html")]) == 0
    assert KEY not in recorded.log.read_text()
    assert KEY not in (tmp_path / "page.html").read_text()
