"""`gateway.dialects.messages.content`: every block type has a fate, and each form of each is translated."""

from __future__ import annotations

import typing
from base64 import b64encode
from typing import Any

import pytest
from anthropic.types import ContentBlockParam
from anthropic.types.beta import BetaContentBlockParam
from anthropic.types.tool_result_block_param import Content
from pydantic import BaseModel

from gateway.dialects.chat.history import NO_IMAGE
from gateway.dialects.messages.content import NO_FILE, Intake, joined, parts_of, plain
from gateway.errors import RequestError, UnsupportedFeature
from gateway.profile import Model

SEEING = Model("m", files=True)
BLIND = Model("m", input_modalities=frozenset({"text"}))
PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}


def translated(block: Any, model: Model = SEEING) -> tuple[list[Any], list[str]]:
    intake = Intake(model)
    return parts_of(block, "p", intake), intake.dropped


def text(words: str) -> Any:
    return {"type": "text", "text": words}


def document(source: Any, **more: Any) -> Any:
    return {"type": "document", "source": source, **more}


def base64(words: str, media: str = "text/plain") -> Any:
    return {"type": "base64", "media_type": media, "data": b64encode(words.encode()).decode()}


DATA_IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}}
URL_IMAGE = {"type": "image", "source": {"type": "url", "url": "https://a.example/i.png"}}
DATA_PART = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}


@pytest.mark.parametrize(
    ("block", "parts"),
    [
        pytest.param({**text("hi"), "cache_control": {"type": "ephemeral"}}, [text("hi")], id="text"),
        pytest.param(text(""), [], id="empty-text"),
        pytest.param(DATA_IMAGE, [DATA_PART], id="image-data"),
        pytest.param(
            URL_IMAGE, [{"type": "image_url", "image_url": {"url": "https://a.example/i.png"}}], id="image-url"
        ),
        pytest.param(document({"type": "text", "data": "abc"}), [text("abc")], id="document-text"),
        pytest.param(
            document({"type": "text", "data": "abc"}, title="T", context="C"),
            [text("Document: T\nContext: C"), text("abc")],
            id="document-with-title",
        ),
        pytest.param(document({"type": "content", "content": "abc"}), [text("abc")], id="document-content-string"),
        pytest.param(
            document({"type": "content", "content": [text("a"), DATA_IMAGE]}), [text("a"), DATA_PART], id="content"
        ),
        pytest.param(document(base64("héllo", "text/markdown")), [text("héllo")], id="base64-text"),
        pytest.param(document(base64("{}", "application/json")), [text("{}")], id="base64-json"),
        pytest.param(
            document({"type": "base64", "media_type": "image/png", "data": "iVBO"}), [DATA_PART], id="base64-image"
        ),
        pytest.param(
            document(PDF),
            [
                {
                    "type": "file",
                    "file": {"filename": "document.pdf", "file_data": "data:application/pdf;base64,JVBERi0="},
                }
            ],
            id="pdf",
        ),
        pytest.param(
            {"type": "search_result", "title": "T", "source": "https://s", "content": [text("a"), text("b")]},
            [text("Search result: T\nSource: https://s"), text("a"), text("b")],
            id="search-result",
        ),
        pytest.param({"type": "compaction", "content": "So far."}, [text("So far.")], id="compaction"),
        pytest.param({"type": "compaction", "content": None}, [], id="compaction-failed"),
    ],
)
def test_block(block: Any, parts: list[Any]) -> None:
    assert translated(block) == (parts, [])


@pytest.mark.parametrize(
    ("block", "model", "note"),
    [
        pytest.param(DATA_IMAGE, BLIND, NO_IMAGE, id="image-for-the-blind"),
        pytest.param({"type": "image", "source": {"type": "file", "file_id": "f"}}, SEEING, NO_IMAGE, id="image-id"),
        pytest.param(document(PDF), BLIND, NO_FILE, id="pdf"),
        pytest.param(document({"type": "file", "file_id": "f"}), SEEING, NO_FILE, id="document-id"),
        pytest.param(
            document({"type": "url", "url": "https://a.example/x.pdf"}),
            SEEING,
            "[A document was here; this model cannot read it. Its address: https://a.example/x.pdf]",
            id="document-url",
        ),
    ],
)
def test_note_in_the_place_of_what_the_model_cannot_take(block: Any, model: Model, note: str) -> None:
    assert translated(block, model) == ([text(note)], ["p"])


def test_tool_reference_loads_the_tool() -> None:
    intake = Intake(SEEING)
    assert parts_of({"type": "tool_reference", "tool_name": "adder"}, "p", intake) == [
        text("The tool adder is loaded.")
    ]
    assert intake.loaded == {"adder"}


@pytest.mark.parametrize(
    "kind", ["server_tool_use", "web_search_tool_result", "mcp_tool_use", "container_upload", "browser_state"]
)
def test_blocks_about_the_servers_tools_are_left_out_and_listed(kind: str) -> None:
    assert translated({"type": kind}) == ([], ["p"])


@pytest.mark.parametrize(
    ("block", "param"),
    [
        pytest.param({"type": "video"}, "p", id="unknown-type"),
        pytest.param({"type": "tool_use"}, "p", id="call-out-of-place"),
        pytest.param({"type": "text"}, "p.text", id="no-text"),
        pytest.param({"type": "text", "text": 4}, "p.text", id="text"),
        pytest.param({"type": "image"}, "p.source", id="no-source"),
        pytest.param({"type": "image", "source": "x"}, "p.source", id="source"),
        pytest.param({"type": "image", "source": {}}, "p.source.type", id="no-source-type"),
        pytest.param({"type": "image", "source": {"type": "ftp"}}, "p.source.type", id="source-type"),
        pytest.param(
            {"type": "image", "source": {"type": "base64", "data": "x"}}, "p.source.media_type", id="media-type"
        ),
        pytest.param(
            {"type": "image", "source": {"type": "base64", "media_type": "image/png"}}, "p.source.data", id="data"
        ),
        pytest.param({"type": "image", "source": {"type": "url"}}, "p.source.url", id="url"),
        pytest.param(document({"type": "tape"}), "p.source.type", id="document-type"),
        pytest.param(document({"type": "text", "data": 1}), "p.source.data", id="document-data"),
        pytest.param(
            document({"type": "base64", "media_type": "text/plain", "data": "?"}), "p.source.data", id="not-base64"
        ),
        pytest.param(document({"type": "content", "content": [4]}), "p.source.content[0]", id="document-content"),
        pytest.param(document({"type": "text", "data": ""}, title=4), "p.title", id="title"),
        pytest.param({"type": "search_result", "title": "", "source": ""}, "p.content", id="no-results"),
        pytest.param({"type": "tool_reference"}, "p.tool_name", id="no-tool-name"),
        pytest.param({"type": "compaction", "content": 1}, "p.content", id="compaction"),
    ],
)
def test_faults(block: Any, param: str) -> None:
    with pytest.raises(RequestError) as raised:
        translated(block)
    assert raised.value.param == param


def test_joined_and_plain() -> None:
    assert joined([text("a"), text("b")]) == "a\nb"
    assert joined([]) == ""
    assert joined([text("a"), DATA_PART]) == [text("a"), DATA_PART]
    with pytest.raises(UnsupportedFeature):
        plain([DATA_PART], "p")


def _types(union: Any) -> set[str]:
    """Collect the values of `type` that a union of the SDK's types knows; answers' own types are no input."""
    found: set[str] = set()
    for member in typing.get_args(union):
        if isinstance(member, type) and not issubclass(member, BaseModel):
            found |= set(typing.get_args(typing.get_type_hints(member)["type"]))
    return found


ELSEWHERE = {"thinking", "redacted_thinking", "tool_use", "tool_result"}
"""Fates of these are told by the turn they stand in."""


@pytest.mark.parametrize("kind", sorted(_types(ContentBlockParam) | _types(BetaContentBlockParam) | _types(Content)))
def test_every_type_of_the_sdk_has_a_fate(kind: str) -> None:
    if kind in ELSEWHERE:
        return
    try:
        translated({"type": kind})
    except UnsupportedFeature:
        pytest.fail(f"{kind} has no fate")
    except RequestError as error:
        assert error.param != "p"


def test_the_walk_finds_types() -> None:
    assert {"text", "image", "document", "server_tool_use"} <= _types(ContentBlockParam)
    assert {"compaction", "fallback"} <= _types(BetaContentBlockParam)
    assert {"tool_reference", "browser_state"} <= _types(Content)
