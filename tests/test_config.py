"""The settings as a whole: what beats what, what follows from what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.config import PROGRAM_FOLDER, Settings, declared, settings_table
from gateway.profile import Limits
from gateway.setting import SettingError


@pytest.fixture
def load(tmp_path: Path) -> Any:
    """Load settings beside which no models.json stands."""

    def load(*, flags: dict[str, str] | None = None, **environ: str) -> Settings:
        return Settings.load(flags or {}, environ, tmp_path)

    return load


def test_the_defaults(load: Any) -> None:
    settings = load()
    assert settings == Settings()
    assert (settings.host, settings.chat_port, settings.responses_port) == (None, 5101, 5102)
    assert settings.backend_url == "https://llm.chutes.ai/v1/chat/completions"
    assert (settings.backend_timeout_secs, settings.keepalive_secs, settings.shutdown_grace_secs) == (600, 15, 30)
    assert settings.limits == Limits()
    assert settings.max_body_bytes == 64 * 1024 * 1024
    assert settings.workers >= 1


def test_a_flag_beats_the_environment_and_empty_is_absent(load: Any) -> None:
    assert load(CHAT_PORT="1").chat_port == 1
    assert load(flags={"chat_port": "2"}, CHAT_PORT="1").chat_port == 2
    assert load(flags={"chat_port": ""}, CHAT_PORT="1").chat_port == 1
    assert load(CHAT_PORT="").chat_port == 5101
    assert load(CHAT_PORT=" 7 ").chat_port == 7


def test_the_port_flag_has_no_variable(load: Any) -> None:
    # Hosts set PORT for programs of one port; this one has two.
    assert load(PORT="80", MODE="chat").ports == Settings().ports


@pytest.mark.parametrize("name", [name for name, one in declared() if one.env])
def test_variables_are_named_like_fields(name: str) -> None:
    assert dict(declared())[name].env == name.upper()


@pytest.mark.parametrize(
    ("flags", "environ", "name"),
    [
        ({}, {"CHAT_PORT": "x"}, "CHAT_PORT (--chat-port)"),
        ({"chat_port": "x"}, {}, "CHAT_PORT (--chat-port)"),
        ({"port": "x"}, {}, "--port"),
        ({}, {"MAX_TOOLS": "0"}, "MAX_TOOLS"),
        ({}, {"CHAT_PORT": "5102"}, "RESPONSES_PORT (--responses-port)"),
        ({}, {"BACKEND_URL": "llm.chutes.ai"}, "BACKEND_URL (--backend-url)"),
        ({}, {"MODELS_FILE": "/nowhere"}, "MODELS_FILE (--models-file)"),
        ({}, {"RESPONSES_STORE": "disk"}, "RESPONSES_STORE"),
        ({}, {"ENVELOPE_SECRET_FILE": "/dev/null"}, "ENVELOPE_SECRET_FILE"),
    ],
)
def test_a_wrong_value_is_named(load: Any, flags: dict[str, str], environ: dict[str, str], name: str) -> None:
    with pytest.raises(SettingError) as caught:
        load(flags=flags, **environ)
    assert caught.value.setting_name == name
    assert str(caught.value).startswith(f"{name}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("flags", "ports"),
    [
        ({}, [(5101, "chat"), (5102, "responses")]),
        ({"chat_port": "1", "responses_port": "2"}, [(1, "chat"), (2, "responses")]),
        ({"port": "5102"}, [(5102, "responses")]),
        ({"port": "5101"}, [(5101, "chat")]),
        ({"port": "8080"}, [(8080, "chat")]),
        ({"port": "8080", "mode": "responses"}, [(8080, "responses")]),
        ({"port": "5102", "mode": "chat"}, [(5102, "chat")]),
        ({"mode": "responses"}, [(5102, "responses")]),
        ({"mode": "chat", "chat_port": "5102"}, [(5102, "chat")]),
    ],
)
def test_which_ports_are_served(load: Any, flags: dict[str, str], ports: list[tuple[int, str]]) -> None:
    settings = load(flags=flags)
    assert [(port.number, port.surface) for port in settings.ports] == ports
    by_surface = {surface: number for number, surface in ports}
    assert [settings.port_of(surface) for surface in ("chat", "responses")] == [
        by_surface.get("chat"),
        by_surface.get("responses"),
    ]


@pytest.mark.parametrize(
    ("url", "origin", "root", "query"),
    [
        ("https://llm.chutes.ai/v1/chat/completions", "https://llm.chutes.ai", "/v1", ""),
        ("https://api.openai.com/v1/responses", "https://api.openai.com", "/v1", ""),
        ("http://localhost:8000/v1", "http://localhost:8000", "/v1", ""),
        ("http://localhost:8000/v1/", "http://localhost:8000", "/v1", ""),
        ("http://localhost:8000", "http://localhost:8000", "", ""),
        ("http://localhost:8000/", "http://localhost:8000", "", ""),
        ("http://[::1]:8000/v1/chat/completions/", "http://[::1]:8000", "/v1", ""),
        (
            "https://x.openai.azure.com/openai/deployments/d/chat/completions?api-version=2025-01-01",
            "https://x.openai.azure.com",
            "/openai/deployments/d",
            "api-version=2025-01-01",
        ),
    ],
)
def test_the_pieces_of_the_upstream(load: Any, url: str, origin: str, root: str, query: str) -> None:
    settings = load(BACKEND_URL=url)
    tail = f"?{query}" if query else ""
    assert (settings.backend_origin, settings.backend_root_path, settings.backend_query) == (origin, root, query)
    assert settings.chat_target == f"{root}/chat/completions{tail}"
    assert settings.responses_target == f"{root}/responses{tail}"
    assert settings.models_target == f"{root}/models{tail}"


@pytest.mark.parametrize(
    ("environ", "api"),
    [
        ({}, "chat"),
        ({"BACKEND_URL": "http://h/v1"}, "chat"),
        ({"BACKEND_URL": "http://h/v1/responses"}, "responses"),
        ({"BACKEND_URL": "http://h/v1/responses/?x=1"}, "responses"),
        ({"BACKEND_URL": "http://h/v1", "BACKEND_API": "responses"}, "responses"),
        ({"BACKEND_URL": "http://h/v1/responses", "BACKEND_API": "chat"}, "chat"),
    ],
)
def test_what_the_upstream_speaks(load: Any, environ: dict[str, str], api: str) -> None:
    assert load(**environ).backend_api == api


def test_a_held_key_keeps_the_gateway_to_this_machine(load: Any, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("k")
    for settings in (load(flags={"key_from_stdin": "true"}), load(BACKEND_KEY_FILE=str(key))):
        assert settings.holds_key
        assert (settings.host, settings.cors_allow_origins) == ("127.0.0.1", "")
        assert settings.guarded
    told = load(BACKEND_KEY_FILE=str(key), HOST="localhost", CORS_ALLOW_ORIGINS="http://localhost:3000")
    assert (told.host, told.cors_allow_origins, told.guarded) == ("localhost", "http://localhost:3000", True)
    assert not load().holds_key
    assert not load().guarded


def test_a_host_and_tokens_together_open_it(load: Any, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("k")
    files = {"BACKEND_KEY_FILE": str(key), "CLIENT_TOKENS_FILE": str(key)}
    assert load(**files).guarded
    told = load(**files, HOST="0.0.0.0", CORS_ALLOW_ORIGINS="https://a")
    assert (told.host, told.cors_allow_origins, told.guarded) == ("0.0.0.0", "https://a", False)
    assert load(**files, HOST="::").cors_allow_origins == ""
    # Behind a proxy of the same machine, which hands on the name that its clients use.
    assert not load(**files, HOST="127.0.0.1").guarded


KEY_FILE = {"BACKEND_KEY_FILE": __file__}


@pytest.mark.parametrize(
    ("flags", "environ", "name"),
    [
        ({}, {"CLIENT_TOKENS_FILE": __file__}, "CLIENT_TOKENS_FILE"),
        ({"key_from_stdin": "true"}, KEY_FILE, "--key-from-stdin"),
        ({}, KEY_FILE | {"HOST": "0.0.0.0"}, "HOST (--host)"),
        ({}, KEY_FILE | {"HOST": "::"}, "HOST (--host)"),
        ({"host": "gateway.lan"}, KEY_FILE, "HOST (--host)"),
        ({}, KEY_FILE | {"CORS_ALLOW_ORIGINS": "*"}, "CORS_ALLOW_ORIGINS"),
        ({}, KEY_FILE | {"CORS_ALLOW_ORIGINS": "http://localhost:1, https://a"}, "CORS_ALLOW_ORIGINS"),
    ],
)
def test_a_held_key_that_anybody_could_spend_ends_the_start(
    load: Any, flags: dict[str, str], environ: dict[str, str], name: str
) -> None:
    with pytest.raises(SettingError) as caught:
        load(flags=flags, **environ)
    assert caught.value.setting_name == name


def test_switches_turn_off_what_is_on(load: Any) -> None:
    assert load().auto_web_search
    assert not load(flags={"auto_web_search": "false"}).auto_web_search
    assert not load(AUTO_WEB_SEARCH="off").auto_web_search


def test_a_models_file_beside_the_program_is_found(load: Any, tmp_path: Path) -> None:
    assert load().models_file is None
    beside = tmp_path / "models.json"
    beside.write_text("{}")
    assert load().models_file == beside
    other = tmp_path / "other.json"
    other.write_text("{}")
    assert load(MODELS_FILE=str(other)).models_file == other


def test_the_envelope_secret_is_read_and_not_shown(load: Any, tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("s3cret\n")
    settings = load(ENVELOPE_SECRET_FILE=str(path))
    assert settings.envelope_secret == b"s3cret"
    assert "s3cret" not in repr(settings)


def test_a_secret_that_cannot_be_read_after_all(load: Any) -> None:
    with pytest.raises(SettingError, match="cannot be read"):
        load(ENVELOPE_SECRET_FILE="/proc/self/mem")


def test_the_table_has_a_row_for_every_setting() -> None:
    rows = settings_table().splitlines()[2:]
    assert len(rows) == len(list(declared()))
    workers = next(row for row in rows if "WORKERS" in row)
    assert workers == "| `--workers` | `WORKERS` | number of cores | Worker processes. |"
    # A bar inside a cell would cut it in two.
    assert {row.count("|") for row in rows} == {5}


def test_the_readme_has_the_table() -> None:
    text = (PROGRAM_FOLDER / "README.md").read_text()
    assert text.split("<!-- settings -->\n")[1].split("<!-- /settings -->")[0] == settings_table()
