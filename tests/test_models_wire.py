"""The three forms of a list, against the types of the clients that read them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from anthropic.types import ModelInfo
from openai.types import Model as OpenAIModel

from gateway.errors import RequestError
from gateway.models import Catalog, Overlay
from gateway.models_upstream import parse
from gateway.models_wire import anthropic_model, anthropic_page, codex_model, openai_list, openai_model
from gateway.prompts import AGENT

FULL = {
    "id": "vendor/full",
    "created": 1700000000,
    "owned_by": "sglang",
    "context_length": 100000,
    "max_output_length": 16000,
    "input_modalities": ["image", "text"],
    "supported_features": ["tools", "reasoning", "verbosity"],
    "pricing": {"prompt": 0.1, "completion": 0.2},
}
CATALOG = Catalog(
    parse([FULL, {"id": "bare", "supported_features": ["tools"], "input_modalities": ["text"]}]),
    [
        Overlay(
            "vendor/full",
            {"display_name": "Full", "aliases": ("claude-main",), "context_window": 50000, "reasoning_aliases": True},
        ),
        Overlay("added", {"reasoning_levels": ("low", "max"), "base_instructions": "Be good."}),
    ],
)
LINES = {line.name: line for line in CATALOG.listed("responses")}


def test_the_openai_form_keeps_the_upstream_s_extras() -> None:
    body = openai_model(LINES["vendor/full"])
    assert body == {
        **FULL,
        "object": "model",
        "context_length": 50000,
        "display_name": "Full",
        "input_modalities": ["text", "image"],
        "supported_features": ["reasoning", "tools", "verbosity"],
    }


def test_the_openai_form_of_a_model_that_nothing_is_known_of() -> None:
    assert openai_model(LINES["added"]) == {"id": "added", "object": "model", "created": 0, "owned_by": "upstream"}


def test_the_list_on_each_port() -> None:
    chat = openai_list(CATALOG, "chat")
    both = openai_list(CATALOG, "responses")
    assert set(chat) == {"object", "data"}
    assert [entry["id"] for entry in chat["data"]] == ["vendor/full", "claude-main", "bare", "added"]
    assert [entry["id"] for entry in both["data"]] == list(LINES)
    assert [entry["slug"] for entry in both["models"]] == ["vendor/full", "claude-main", "bare", "added"]
    assert [entry["priority"] for entry in both["models"]] == [1, 2, 3, 4]
    for entry in (*chat["data"], *both["data"]):
        OpenAIModel.model_validate(entry, strict=True)


CODEX_REQUIRED: dict[str, Any] = {
    "slug": str,
    "display_name": str,
    "supported_reasoning_levels": list,
    "shell_type": str,
    "visibility": str,
    "supported_in_api": bool,
    "priority": int,
    "base_instructions": str,
    "support_verbosity": bool,
    "truncation_policy": dict,
    "experimental_supported_tools": list,
}


@pytest.mark.parametrize("name", ["vendor/full", "claude-main", "bare", "added"])
def test_codex_finds_all_it_requires(name: str) -> None:
    entry: Any = codex_model(LINES[name], 1)
    assert {key: type(entry[key]) for key in CODEX_REQUIRED} == CODEX_REQUIRED
    assert entry["slug"] == name
    assert entry["apply_patch_tool_type"] == "freeform"
    assert entry["shell_type"] == "unified_exec"
    assert entry["visibility"] == "list"
    assert entry["truncation_policy"] == {"mode": "tokens", "limit": 10000}
    assert json.loads(json.dumps(entry)) == entry


def test_codex_is_told_what_is_known_and_nothing_else() -> None:
    full, bare, added = (codex_model(LINES[name], 1) for name in ("vendor/full", "bare", "added"))
    assert [(entry["context_window"], entry["max_context_window"]) for entry in (full, bare, added)] == [
        (50000, 50000),
        (None, None),
        (None, None),
    ]
    assert [entry["input_modalities"] for entry in (full, bare, added)] == [
        ["text", "image"],
        ["text"],
        ["text", "image"],
    ]
    assert [entry["support_verbosity"] for entry in (full, bare, added)] == [True, False, False]
    assert [[level["effort"] for level in entry["supported_reasoning_levels"]] for entry in (full, bare, added)] == [
        ["low", "medium", "high"],
        [],
        ["low", "max"],
    ]
    assert added["supported_reasoning_levels"][1]["description"] == "Effort max"
    assert [entry["base_instructions"] for entry in (full, bare, added)] == [AGENT, AGENT, "Be good."]
    assert [entry["display_name"] for entry in (full, bare, added)] == ["Full", "bare", "added"]


def test_an_alias_shows_itself() -> None:
    assert codex_model(LINES["claude-main"], 1)["display_name"] == "claude-main"
    assert anthropic_model(LINES["claude-main"])["display_name"] == "claude-main"


def test_the_anthropic_form() -> None:
    full = ModelInfo.model_validate(anthropic_model(LINES["vendor/full"]))
    assert (full.id, full.type, full.display_name, full.lifecycle) == ("vendor/full", "model", "Full", "active")
    assert (full.max_input_tokens, full.max_tokens) == (50000, 16000)
    assert full.created_at == datetime.fromtimestamp(1700000000, UTC)
    added = ModelInfo.model_validate(anthropic_model(LINES["added"]))
    assert added.created_at == datetime.fromtimestamp(0, UTC)
    assert (added.max_input_tokens, added.max_tokens) == (None, None)


def test_a_time_beyond_the_calendar_is_no_time() -> None:
    line = Catalog(parse([{"id": "m", "created": 10**14}])).listed("chat")[0]
    assert anthropic_model(line)["created_at"] == "1970-01-01T00:00:00Z"


TEN = Catalog(parse([{"id": f"m{n}"} for n in range(10)]))


@pytest.mark.parametrize(
    ("limit", "after", "before", "ids", "more"),
    [
        pytest.param(None, None, None, range(10), False, id="all"),
        pytest.param("3", None, None, range(3), True, id="first-page"),
        pytest.param("3", "m2", None, range(3, 6), True, id="after"),
        pytest.param("3", "m6", None, range(7, 10), False, id="last-page"),
        pytest.param("3", "m9", None, [], False, id="after-the-last"),
        pytest.param("3", None, "m5", range(2, 5), True, id="before"),
        pytest.param("1000", None, "m2", range(2), False, id="before-to-the-start"),
        pytest.param("3", None, "m0", [], False, id="before-the-first"),
        pytest.param("", "", "", range(10), False, id="empty-values-are-absent"),
    ],
)
def test_pages(limit: str | None, after: str | None, before: str | None, ids: Any, more: bool) -> None:
    page = anthropic_page(TEN, "chat", limit, after, before)
    found = [f"m{n}" for n in ids]
    assert [entry["id"] for entry in page["data"]] == found
    assert (page["has_more"], page["first_id"], page["last_id"]) == (
        more,
        found[0] if found else None,
        found[-1] if found else None,
    )


def test_a_page_has_twenty_unless_told_otherwise() -> None:
    catalog = Catalog(parse([{"id": f"m{n}"} for n in range(21)]))
    assert len(anthropic_page(catalog, "chat", None, None, None)["data"]) == 20


def test_reasoning_aliases_are_not_for_anthropic_s_clients() -> None:
    page = anthropic_page(CATALOG, "responses", None, None, None)
    assert [entry["id"] for entry in page["data"]] == ["vendor/full", "claude-main", "bare", "added"]


@pytest.mark.parametrize(
    ("limit", "after", "before", "param"),
    [
        pytest.param("0", None, None, "limit", id="nought"),
        pytest.param("1001", None, None, "limit", id="too-many"),
        pytest.param("99999999", None, None, "limit", id="far-too-many"),
        pytest.param("-1", None, None, "limit", id="negative"),
        pytest.param("²", None, None, "limit", id="odd-digit"),
        pytest.param(None, "x", None, "after_id", id="after-unknown"),
        pytest.param(None, None, "x", "before_id", id="before-unknown"),
        pytest.param(None, "m1", "m2", "before_id", id="both"),
    ],
)
def test_queries_that_mean_nothing_are_refused(
    limit: str | None, after: str | None, before: str | None, param: str
) -> None:
    with pytest.raises(RequestError) as refused:
        anthropic_page(TEN, "chat", limit, after, before)
    assert refused.value.param == param
