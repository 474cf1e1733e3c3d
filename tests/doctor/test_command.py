"""`doctor` over a scripted upstream; over the demo it runs in tests/demo."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway import cli
from gateway.doctor import command
from tests.support.answers import chat_call, chat_text, error, json_answer
from tests.support.gateway import free_ports
from tests.support.responses import Responses, function_call, message
from tests.support.upstream import Request, Upstream

KEY = "sk-doctor-secret-0123456789"
Doctor = Callable[..., tuple[int, str, str]]


@pytest.fixture
def doctor(
    upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Doctor:
    for name in command.KEY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GATEWAY_API_KEY", KEY)
    models = tmp_path / "models.json"
    models.write_text('{"models": []}')
    ports = [str(port) for port in free_ports(2)]

    def run(*words: str) -> tuple[int, str, str]:
        base = ["--backend-url", upstream.url, "--models-file", str(models), "--host", "127.0.0.1"]
        code = cli.main(["doctor", *base, "--chat-port", ports[0], "--responses-port", ports[1], *words])
        shown = capsys.readouterr()
        assert KEY not in shown.out + shown.err
        return code, shown.out, shown.err

    return run


def model(request: Request) -> Any:
    """A model with tools and no eyes, that knows only max_completion_tokens."""
    body = request.json
    if "max_tokens" in body:
        return error(400, "Unsupported parameter: 'max_tokens'", type="invalid_request_error")
    last = body["messages"][-1]
    if isinstance(last["content"], list):
        return error(400, "this model takes no images")
    if body.get("tools") and last["role"] == "user":
        return chat_call("get_weather", {"city": "Paris"})
    return chat_text("Hello there.")


def test_a_model_is_tried_out_and_advice_given(doctor: Doctor, upstream: Upstream, tmp_path: Path) -> None:
    upstream.lists("v/m")
    upstream.answers_with(model)
    code, out, _ = doctor()
    assert code == 0
    assert "Model v/m" in out
    assert "max_completion_tokens alone" in out
    assert "this model takes no images" in out
    advice = json.loads(out[out.index("{\n") : out.rindex("}\n") + 1])
    expected = {
        "id": "v/m",
        "features": ["tools"],
        "input_modalities": ["text"],
        "max_tokens_field": "max_completion_tokens",
    }
    assert advice == expected
    assert json.loads((tmp_path / "models.json").read_text()) == {"models": []}
    assert upstream.asked[0].headers["authorization"] == f"Bearer {KEY}"
    assert doctor("--write")[0] == 0
    assert json.loads((tmp_path / "models.json").read_text()) == {"models": [expected]}
    assert len(list(tmp_path.glob("models.json.backup-*"))) == 1
    assert "needs to say nothing more" in doctor()[1]


def test_on_a_terminal_it_shows_what_is_under_way(
    doctor: Doctor, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream.lists("v/m")
    upstream.answers_with(model)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    out = doctor()[1]
    assert "\r  answers …\r\033[K  answers " in out
    assert "\r  json_schema, 6 of 11 …\r\033[K  json_schema " in out


def test_a_file_of_another_form_is_left_alone(doctor: Doctor, upstream: Upstream, tmp_path: Path) -> None:
    pasted = '{"data": [{"id": "v/m"}]}'
    (tmp_path / "models.json").write_text(pasted)
    upstream.answers_with(model)
    code, _, err = doctor("--write", "--model", "v/m")
    assert code == 0
    assert "by hand" in err
    assert (tmp_path / "models.json").read_text() == pasted


def test_an_upstream_that_is_not_there_is_the_end(doctor: Doctor) -> None:
    code, out, _ = doctor("--backend-url", "http://127.0.0.1:9/v1")
    assert code == 1
    assert "connection" in out
    assert "Something essential does not work." in out
    assert "Model" not in out


def test_a_key_that_is_refused(doctor: Doctor, upstream: Upstream) -> None:
    upstream.models = error(401, "no")
    upstream.always(error(401, "Invalid API key"))
    code, out, _ = doctor("--model", "v/m")
    assert code == 1
    assert "key                     ok  from GATEWAY_API_KEY" in out
    assert "status 401: Invalid API key (is the key right, and one of this upstream?)" in out
    code, out, _ = doctor()
    assert code == 1
    assert "name one with --model" in out


def test_an_upstream_without_models(doctor: Doctor, upstream: Upstream) -> None:
    upstream.models = json_answer({"data": []})
    assert doctor()[0] == 1


def test_a_responses_upstream_is_tried_out_in_its_own_dialect(doctor: Doctor, upstream: Upstream) -> None:
    def model(request: Request) -> Any:
        if "input_image" in json.dumps(request.json["input"]):
            return error(400, "this model takes no images")
        if request.json.get("tools"):
            return Responses(*(function_call("get_weather", {"city": city}) for city in ("Paris", "Rome")))
        return Responses(message('{"sum": 5, "word": "odd"}'))

    upstream.answers_with(model)
    code, out, _ = doctor("--backend-api", "responses", "--model", "m")
    assert code == 0
    assert {request.path for request in upstream.asked} == {"/v1/responses"}
    assert "2 of 2 calls came at once" in out
    assert "20 tokens in, 5 out" in out
    assert "this model takes no images" in out
    assert "developer role" not in out
    upstream.always(error(500, "broken"))
    assert doctor("--backend-api", "responses", "--model", "m")[0] == 1


@pytest.mark.parametrize(
    ("words", "named"),
    [(["--timeout", "x"], "--timeout"), (["--nonsense"], "usage"), (["--backend-url", "x"], "BACKEND_URL")],
)
def test_wrong_words(doctor: Doctor, words: list[str], named: str) -> None:
    code, out, err = doctor(*words)
    assert (code, out) == (2, "")
    assert err.startswith(f"openai_proxy.py: {named}")


def test_a_broken_models_file_is_told_at_once(doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / "models.json").write_text("{")
    code, _, err = doctor()
    assert code == 2
    assert "MODELS_FILE" in err


def test_keys_come_from_where_they_are(
    doctor: Doctor, upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream.lists("v/m")
    upstream.answers_with(model)
    monkeypatch.delenv("GATEWAY_API_KEY")
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    file = tmp_path / "key"
    file.write_text("from-file\n")
    monkeypatch.setenv("BACKEND_KEY_FILE", str(file))
    doctor()
    assert upstream.asked[-1].headers["authorization"] == "Bearer from-file"
    monkeypatch.delenv("BACKEND_KEY_FILE")
    assert "asking without one" in doctor()[1]
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", lambda prompt: "typed")
    doctor()
    assert upstream.asked[-1].headers["authorization"] == "Bearer typed"
