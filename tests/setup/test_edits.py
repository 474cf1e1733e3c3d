"""Edits of settings files: what is not named stays."""

from __future__ import annotations

import json
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.setup.edits import EditError, codex_config, dotenv, json_env

TOP = {"model": "m", "model_provider": "gateway"}
PROVIDER = {"base_url": "http://h/v1", "env_key": "K", "stream_idle_timeout_ms": 5}

CODEX = """\
# my settings
model = "old" # the old one
approval_policy = "never"

[mcp_servers.docs]
command = "docs" # a server

[model_providers.other]
name = "Other"
"""


def test_codex_keeps_everything_else() -> None:
    new = codex_config(CODEX, TOP, PROVIDER)
    for line in CODEX.splitlines():
        assert line in new or line.startswith("model = ")
    assert 'model = "m" # the old one' in new
    read = tomllib.loads(new)
    assert read["approval_policy"] == "never"
    assert read["model_providers"] == {"other": {"name": "Other"}, "gateway": PROVIDER}
    assert (read["model"], read["model_provider"]) == ("m", "gateway")
    assert codex_config(new, TOP, PROVIDER) == new


def test_codex_from_nothing() -> None:
    assert tomllib.loads(codex_config("", TOP, PROVIDER)) == {**TOP, "model_providers": {"gateway": PROVIDER}}


def test_codex_takes_a_key_of_its_own_table_away() -> None:
    once = codex_config("", TOP, PROVIDER)
    twice = tomllib.loads(codex_config(once, TOP, {"env_key": None, "experimental_bearer_token": "t"}))
    assert "env_key" not in twice["model_providers"]["gateway"]
    assert twice["model_providers"]["gateway"]["base_url"] == "http://h/v1"


def test_codex_tables_in_a_row_are_understood() -> None:
    text = 'model_providers = { gateway = { name = "x" } }\n'
    assert tomllib.loads(codex_config(text, TOP, {"env_key": "K"}))["model_providers"]["gateway"]["name"] == "x"


@pytest.mark.parametrize("text", ["model = ", "model_providers = 1", "[model_providers]\ngateway = 1", "a = 1\na = 2"])
def test_codex_files_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(EditError):
        codex_config(text, TOP, PROVIDER)


def test_json_env_keeps_everything_else() -> None:
    old = '{\n    "hooks": {"x": [1]},\n    "env": {"A": "1", "ANTHROPIC_MODEL": "old"}\n}\n'
    new = json_env(old, {"ANTHROPIC_MODEL": "m"})
    assert json.loads(new) == {"hooks": {"x": [1]}, "env": {"A": "1", "ANTHROPIC_MODEL": "m"}}
    assert '\n    "hooks"' in new
    assert json_env(new, {"ANTHROPIC_MODEL": "m"}) == new


def test_json_env_indents_as_it_was() -> None:
    assert json_env("", {"A": "b"}) == '{\n  "env": {\n    "A": "b"\n  }\n}\n'
    assert "\n\t" in json_env('{\n\t"a": 1\n}', {"A": "b"})


@pytest.mark.parametrize("text", ["{", "[]", '{"env": 1}', "1"])
def test_json_that_is_no_settings_file_is_refused(text: str) -> None:
    with pytest.raises(EditError):
        json_env(text, {"A": "b"})


def test_dotenv() -> None:
    old = "# mine\nexport A=1\nB = 2\nAB=3\n"
    assert dotenv(old, {"A": "x", "B": "y", "C": "z"}) == "# mine\nexport A=x\nB=y\nAB=3\nC=z\n"
    assert dotenv("", {"A": "x"}) == "A=x\n"
    assert dotenv("A=1\nA=2\n", {"A": "x"}) == "A=1\nA=x\n"


@given(st.lists(st.from_regex(r"\A(#[^\r\n]{0,9}|[B-Z]{1,3}=[a-z]{0,5}|)\Z"), max_size=6))
def test_dotenv_touches_no_other_line(lines: list[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    assert dotenv(text, {"A": "1"}).splitlines() == [*text.splitlines(), "A=1"]


def test_providers_that_stand_in_one_line_stay_there() -> None:
    old = 'model_providers = { a = { name = "x" } }\n[profiles.p]\nmodel = "y"\n'
    new = codex_config(old, {"model": "m"}, {"name": "Gateway"})
    assert tomllib.loads(new) == {
        "model": "m",
        "model_providers": {"a": {"name": "x"}, "gateway": {"name": "Gateway"}},
        "profiles": {"p": {"model": "y"}},
    }
