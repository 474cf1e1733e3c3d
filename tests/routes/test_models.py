"""`GET /v1/models` and `/v1/models/{id}` in each form, through the routes alone."""

from __future__ import annotations

import gzip
import logging
from typing import Any

import orjson
import pytest
from werkzeug.test import Client

from gateway.access import Access
from gateway.app import Port
from gateway.config import Settings
from gateway.listing import ModelList
from gateway.listing_fetch import ListUnavailable
from gateway.models import Overlay
from gateway.routes import models as routes
from tests.support.transport import ScriptedTransport, call
from tests.support.transport import answer as scripted

UPSTREAM = [
    {"id": "Qwen/Qwen3-32B", "created": 1, "owned_by": "q", "supported_features": ["tools"], "context_length": 100},
    {"id": "only/text", "supported_features": ["json_mode"]},
    {"id": "own/codex", "supported_features": ["tools"]},
]
OVERLAYS = (Overlay("Qwen/Qwen3-32B", {"aliases": ("claude-main",)}),)
ANTHROPIC = {"anthropic-version": "2026-10-21"}


def fetch(key: str | None) -> bytes:
    return orjson.dumps({"data": UPSTREAM})


def client(
    surface: str, fetch: Any = fetch, overlays: tuple[Overlay, ...] = OVERLAYS, *, alone: bool = False
) -> Client:
    models = ModelList(fetch, overlays=lambda: overlays, spawn=lambda flight: flight())
    ports = Settings.load({"port": "5101"} if alone else {}, {})
    return Client(Port([routes.create(models, surface, ports, Access())], logging.getLogger("test")))


CHAT = client("chat")
ALONE = client("chat", alone=True)
RESPONSES = client("responses")


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models?", "/v1/models?client_version=0.169.0"])
def test_the_list_of_the_chat_port(path: str) -> None:
    answer = CHAT.get(path)
    assert answer.status_code == 200
    assert answer.content_type == "application/json"
    assert set(answer.json) == {"object", "data"}
    assert [entry["id"] for entry in answer.json["data"]] == ["Qwen/Qwen3-32B", "claude-main", "only/text"]


def test_the_list_of_the_responses_port_is_also_codex_s_catalog() -> None:
    body = RESPONSES.get("/v1/models?client_version=0.169.0").json
    listed = ["Qwen/Qwen3-32B", "claude-main", "own/codex"]
    assert [entry["id"] for entry in body["data"]] == listed
    assert [entry["slug"] for entry in body["models"]] == listed


@pytest.mark.parametrize("app", [CHAT, RESPONSES], ids=["chat", "responses"])
def test_anthropic_s_form(app: Client) -> None:
    body = app.get("/v1/models?limit=1", headers=ANTHROPIC).json
    assert (body["has_more"], body["first_id"], body["last_id"]) == (True, "Qwen/Qwen3-32B", "Qwen/Qwen3-32B")
    body = app.get("/v1/models?limit=1&after_id=Qwen/Qwen3-32B", headers=ANTHROPIC).json
    assert [entry["id"] for entry in body["data"]] == ["claude-main"]
    body = app.get("/v1/models?limit=5&before_id=claude-main", headers=ANTHROPIC).json
    assert [entry["id"] for entry in body["data"]] == ["Qwen/Qwen3-32B"]
    assert app.get("/v1/models?limit=x", headers=ANTHROPIC).status_code == 400


@pytest.mark.parametrize("encodings", ["gzip, br", "*", "br", "gzip;q=0", ""])
def test_a_long_list_is_packed_for_clients_that_ask(encodings: str) -> None:
    def long(key: str | None) -> bytes:
        return orjson.dumps([{"id": f"model-{n}"} for n in range(100)])

    answer = client("responses", long).get("/v1/models", headers={"accept-encoding": encodings})
    packed = encodings in ("gzip, br", "*")
    assert answer.headers.get("content-encoding") == ("gzip" if packed else None)
    assert answer.headers["vary"] == "accept-encoding"
    assert len(orjson.loads(gzip.decompress(answer.data) if packed else answer.data)["models"]) == 102
    assert packed is (len(answer.data) < 30_000)


@pytest.mark.parametrize(
    ("path", "id"),
    [
        pytest.param("/v1/models/Qwen/Qwen3-32B", "Qwen/Qwen3-32B", id="slash"),
        pytest.param("/v1/models/Qwen%2FQwen3-32B", "Qwen/Qwen3-32B", id="encoded-slash"),
        pytest.param("/v1/models/qwen%2fqwen3-32b", "Qwen/Qwen3-32B", id="other-case"),
        pytest.param("/v1/models/claude-main", "claude-main", id="alias"),
    ],
)
def test_one_model(path: str, id: str) -> None:
    answer = CHAT.get(path)
    assert answer.json == {**UPSTREAM[0], "id": id, "object": "model", "supported_features": ["tools"]}
    anthropic = CHAT.get(path, headers=ANTHROPIC).json
    assert (anthropic["type"], anthropic["id"], anthropic["max_input_tokens"]) == ("model", id, 100)


@pytest.mark.parametrize(
    ("app", "path", "hint"),
    [
        pytest.param(CHAT, "Qwen/Qwen3-33B", "The nearest names: Qwen/Qwen3-32B", id="near"),
        pytest.param(CHAT, "own/codex", "listed on port 5102", id="other-port"),
        pytest.param(ALONE, "own/codex", "The nearest names: ", id="no-other-port"),
        pytest.param(RESPONSES, "only/text", "listed on port 5101", id="other-port-the-other-way"),
    ],
)
def test_an_unknown_model_is_a_404(app: Client, path: str, hint: str) -> None:
    answer = app.get(f"/v1/models/{path}")
    error = answer.json["error"]
    assert answer.status_code == 404
    assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", "model_not_found", "model")
    assert hint in error["message"]


def test_an_unknown_model_where_no_list_is_known() -> None:
    def down(key: str | None) -> bytes:
        raise ListUnavailable("down")

    answer = client("chat", down, ()).get("/v1/models/none")
    assert answer.status_code == 404
    assert answer.json["error"]["message"] == "The model 'none' is not in the list of this port."


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/claude-main"])
def test_head(path: str) -> None:
    answer = CHAT.head(path)
    assert (answer.status_code, answer.data) == (200, b"")
    assert answer.content_type == "application/json"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v1/models", 405),
        ("DELETE", "/v1/models", 405),
        ("POST", "/v1/models/claude-main", 405),
        ("PATCH", "/v1/models/claude-main", 405),
    ],
)
def test_other_methods(method: str, path: str, status: int) -> None:
    answer = CHAT.open(path, method=method)
    assert answer.status_code == status
    assert answer.headers["allow"] == "GET, HEAD"
    assert answer.json["error"]["code"] == "method_not_allowed"


def test_a_delete_of_a_model_is_left_to_the_relay() -> None:
    transport = ScriptedTransport(scripted(b"{}"))
    call(transport, "DELETE", "/v1/models/ft:x")
    assert [(one.method, one.target) for one in transport.sent] == [("DELETE", "/api/v1/models/ft:x")]


@pytest.mark.parametrize(
    ("headers", "asked"),
    [
        pytest.param({}, [None], id="no-key"),
        pytest.param({"authorization": "Bearer k"}, [None, "k"], id="key"),
        pytest.param({"x-api-key": "k"}, [None, "k"], id="other-spelling"),
        pytest.param({"authorization": "Basic abc"}, [None], id="malformed-is-as-good-as-none"),
    ],
)
def test_the_client_s_key_is_used_where_the_list_needs_one(headers: dict[str, str], asked: list[str | None]) -> None:
    seen: list[str | None] = []

    def locked(key: str | None) -> bytes:
        seen.append(key)
        if key is None:
            raise ListUnavailable("401", refused=True)
        return fetch(key)

    answer = client("chat", locked).get("/v1/models", headers=headers)
    assert answer.status_code == 200
    assert seen == asked
