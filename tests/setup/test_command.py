"""`setup` as people run it, and what the real clients make of the files it writes."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway import cli
from gateway.config import declared
from gateway.setup.texts import CLIENTS
from tests.support.answers import chat_text, json_answer
from tests.support.clients import Claude, Codex, claude_result, codex_errors, codex_text
from tests.support.gateway import Gateway
from tests.support.upstream import Upstream

KEY = "sk-secret-0123456789"
Setup = Callable[..., tuple[int, str, str]]


@pytest.fixture
def setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Setup]:
    """Run the command with an empty home and no terminal."""
    for name in ("CODEX_HOME", "CLAUDE_CONFIG_DIR", *(one.env for _, one in declared() if one.env)):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))

    def run(*words: str, **env: str) -> tuple[int, str, str]:
        with monkeypatch.context() as patch:
            for name, value in {"GATEWAY_API_KEY": KEY, **env}.items():
                patch.setenv(name, value)
            code = cli.main(["setup", *words])
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    with open(os.devnull) as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        yield run


MODEL = "v/setup-model"


@pytest.fixture
def own(upstream: Upstream) -> Iterator[Gateway]:
    """A gateway whose list has this one model."""
    upstream.lists({"id": MODEL, "context_length": 100_000})
    with Gateway(upstream.url) as gateway:
        yield gateway


NOWHERE = ["--gateway", "http://127.0.0.1:9"]


@pytest.mark.parametrize("client", [client.id for client in CLIENTS])
def test_it_shows_what_to_paste_and_never_the_key(setup: Setup, client: str, tmp_path: Path) -> None:
    code, out, _ = setup(client, "--gateway", "http://gw.invalid", "--model", "v/m")
    assert code == 0
    assert "http://gw.invalid:510" in out
    assert KEY not in out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "chat", "responses"),
    [
        ([], "http://127.0.0.1:5101", "http://127.0.0.1:5102"),
        (["--gateway", "http://gw.invalid/"], "http://gw.invalid:5101", "http://gw.invalid:5102"),
        (["--gateway", "http://gw.invalid:5102/v1"], "http://gw.invalid:5102", "http://gw.invalid:5102"),
        (["--gateway", "https://gw.invalid"], "https://gw.invalid", "https://gw.invalid"),
        (["--gateway", "http://[::1]"], "http://[::1]:5101", "http://[::1]:5102"),
    ],
)
def test_the_address(setup: Setup, words: list[str], chat: str, responses: str) -> None:
    _, out, _ = setup("curl", "--model", "m", *words)
    assert f"curl {chat}/v1/chat/completions" in out
    assert f"curl {responses}/v1/responses" in out


def test_the_ports_of_the_settings_are_meant(setup: Setup) -> None:
    assert "127.0.0.1:7002/v1/responses" in setup("curl", "--model", "m", RESPONSES_PORT="7002")[1]


def test_without_a_gateway_a_placeholder_stands_for_the_model(setup: Setup) -> None:
    _, out, _ = setup("codex", *NOWHERE)
    assert 'model = "MODEL"' in out
    assert "No gateway answered" in out


def test_the_first_model_of_the_gateway_is_taken(setup: Setup, own: Gateway) -> None:
    assert f'model = "{MODEL}"' in setup("codex", "--gateway", own.responses_url)[1]


def test_of_one_port_the_gateway_tells_the_other(setup: Setup, own: Gateway) -> None:
    for url in (own.responses_url, own.chat_url):
        out = setup("curl", "--gateway", url)[1]
        assert f"127.0.0.1:{own.responses_port}/v1/responses" in out
        assert f"127.0.0.1:{own.chat_port}/v1/chat/completions" in out


def test_a_gateway_that_needs_no_key_is_told_from_others(setup: Setup, gateway_with: Callable[..., Gateway]) -> None:
    keyless = gateway_with(REQUIRE_KEY="false")
    assert "any-word" in setup("claude", "--write", "--model", "m", "--gateway", keyless.chat_url)[1]
    assert "any-word" in setup("codex", "--model", "m", "--gateway", keyless.chat_url)[1]
    assert "Authorization" not in setup("curl", "--model", "m", "--gateway", keyless.chat_url)[1]


def test_codex_sends_no_key_where_the_gateway_holds_one(setup: Setup, upstream: Upstream, tmp_path: Path) -> None:
    page = {"port": 1, "ports": {}, "key": "held", "models": [{"name": "m", "ports": ["responses"]}]}
    upstream.answers_with(lambda request: json_answer(page))
    config = tmp_path / ".codex/config.toml"
    config.parent.mkdir()
    config.write_text('[model_providers.gateway]\nenv_key = "OLD"\n')
    out = setup("codex", "--write", "--gateway", upstream.url.removesuffix("/v1"))[1]
    assert "env_key" not in config.read_text()
    assert "your-key" not in out


@pytest.mark.parametrize(
    "page",
    [
        [],
        "hello",
        {"models": []},
        {"models": ["x"], "key": "own", "port": 1, "ports": {}},
        {"models": [], "key": "own", "port": "x", "ports": {}},
        {"models": [], "key": "own", "port": 1, "ports": {"chat": "1;reboot"}},
    ],
)
def test_a_stranger_that_answers_is_not_believed(setup: Setup, upstream: Upstream, page: object) -> None:
    upstream.answers_with(lambda request: json_answer(page))
    out = setup("codex", "--gateway", upstream.url.removesuffix("/v1"))[1]
    assert "No gateway answered" in out
    assert "reboot" not in out


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["codex", "--gateway", "gw"], "--gateway"),
        (["codex", "--gateway", "http://gw.invalid:99999"], "--gateway"),
        (["codex", "--gateway", "http://$(x)"], "--gateway"),
        (["codex", "--write-key"], "--write-key"),
        (["codex", "--write", *NOWHERE], "--model"),
        (["codex", "--write", "--model", 'a"b'], "--model"),
        (["xcode", "--write", "--model", "m"], "--write"),
        (["lobechat", "--write", "--model", "m"], "--file"),
        (["emacs"], "usage"),
        ([], "usage"),
    ],
)
def test_wrong_words_end_with_one_line(setup: Setup, words: list[str], named: str) -> None:
    code, out, err = setup(*words)
    assert (code, out) == (2, "")
    assert err.startswith(f"openai_proxy.py: {named}")
    assert err.count("\n") == 1


def test_a_key_that_is_none_is_not_written(setup: Setup, tmp_path: Path) -> None:
    for key in ("", "a b", "ü", "a'b"):
        assert setup("codex", "--write", "--write-key", "--model", "m", GATEWAY_API_KEY=key)[0] == 2
    assert list(tmp_path.iterdir()) == []


def test_codex_is_written_with_a_backup_and_without_the_key(setup: Setup, tmp_path: Path) -> None:
    config = tmp_path / ".codex" / "config.toml"
    config.parent.mkdir()
    config.write_text('# mine\napproval_policy = "never"\n')
    code, out, _ = setup("codex", "--write", "--model", "v/m", "--gateway", "http://gw.invalid")
    assert code == 0
    assert KEY not in config.read_text() + out
    assert config.read_text().startswith("# mine\n")
    read = tomllib.loads(config.read_text())
    shown = tomllib.loads(
        setup("codex", "--model", "v/m", "--gateway", "http://gw.invalid")[1].split("---")[1].partition("\n")[2]
    )
    assert read == {"approval_policy": "never", **shown}
    (backup,) = config.parent.glob("config.toml.backup-*")
    assert backup.read_text() == '# mine\napproval_policy = "never"\n'


def test_keys_are_written_when_asked_for(setup: Setup, tmp_path: Path) -> None:
    flags = ["--write", "--write-key", "--model", "m"]
    assert setup("codex", *flags)[0] == 0
    provider = tomllib.loads((tmp_path / ".codex/config.toml").read_text())["model_providers"]["gateway"]
    assert provider["experimental_bearer_token"] == KEY
    assert "env_key" not in provider
    assert setup("claude", *flags)[0] == 0
    settings = tmp_path / ".claude/settings.json"
    assert json.loads(settings.read_text())["env"]["ANTHROPIC_AUTH_TOKEN"] == KEY
    assert settings.stat().st_mode & 0o777 == 0o600
    for client in ("lobechat", "openwebui"):
        file = tmp_path / f"{client}.env"
        file.write_text("OTHER=1\n")
        file.chmod(0o644)
        assert setup(client, *flags, "--file", str(file))[0] == 0
        assert f"OPENAI_API_KEY={KEY}" in file.read_text().splitlines()
        assert file.stat().st_mode & 0o777 == 0o640


def test_servers_get_lines_in_their_environment(setup: Setup, tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("OTHER=1\n")
    setup("openwebui", "--write", "--model", "m", "--file", str(file), "--gateway", "http://gw.invalid")
    assert file.read_text() == "OTHER=1\nOPENAI_API_BASE_URL=http://gw.invalid:5101/v1\nENABLE_OLLAMA_API=False\n"
    setup("lobechat", "--write", "--model", "m", "--file", str(file), "--gateway", "http://gw.invalid")
    assert "OPENAI_PROXY_URL=http://gw.invalid:5101/v1\nOPENAI_MODEL_LIST=+m\n" in file.read_text()


def test_a_file_that_cannot_be_read_is_left_alone(setup: Setup, tmp_path: Path) -> None:
    settings = tmp_path / "settings.json"
    settings.write_text("{ // a comment")
    code, _, err = setup("claude", "--write", "--model", "m", "--file", str(settings))
    assert code == 1
    assert "nothing was written" in err
    assert settings.read_text() == "{ // a comment"


@pytest.mark.clients
def test_codex_works_with_what_is_written(
    setup: Setup, tmp_path: Path, own: Gateway, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream.always(chat_text("set up"))
    client = Codex(tmp_path / "codex", own.responses_url, MODEL)
    config = client.home / ".codex" / "config.toml"
    setup("codex", "--write", "--model", MODEL, "--gateway", own.responses_url, CODEX_HOME=str(config.parent))
    monkeypatch.setattr(client, "_config", config.read_text)
    run = client.exec("say hi")
    assert codex_text(run) == "set up", run
    assert codex_errors(run) == ""


@pytest.mark.clients
def test_claude_works_with_what_is_written(setup: Setup, tmp_path: Path, own: Gateway, upstream: Upstream) -> None:
    upstream.always(chat_text("set up"))
    (tmp_path / "claude").mkdir()
    client = Claude(tmp_path / "claude", "http://127.0.0.1:9", MODEL)
    folder = client.home / ".claude"
    flags = ["--write", "--model", MODEL, "--gateway", own.responses_url]
    setup("claude", *flags, CLAUDE_CONFIG_DIR=str(folder))
    del client.env["ANTHROPIC_BASE_URL"]
    run = client.ask("say hi")
    assert claude_result(run)["result"] == "set up", run
    assert upstream.chats[-1]["model"] == MODEL
