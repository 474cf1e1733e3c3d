"""Lists of upstreams, in the forms that real servers send."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.models_upstream import parse
from gateway.profile import Model

CHUTES = {
    "id": "Qwen/Qwen3.5-397B-A17B-TEE",
    "object": "model",
    "created": 1677652288,
    "owned_by": "sglang",
    "context_length": 262144,
    "max_model_len": 262144,
    "max_output_length": 65536,
    "input_modalities": ["text", "Image"],
    "supported_features": ["json_mode", "tools", "structured_outputs", "reasoning"],
    "pricing": {"prompt": 0.45, "completion": 3.0, "input_cache_read": 0.045},
}
OPENROUTER = {
    "id": "z-ai/glm-5",
    "name": "Z.AI: GLM 5",
    "created": 1730000000.0,
    "context_length": None,
    "architecture": {"modality": "text->text", "input_modalities": ["text"]},
    "top_provider": {"context_length": 200000, "max_completion_tokens": 32000, "is_moderated": False},
    "pricing": {"prompt": "0.0000006", "completion": "0.0000022"},
    "supported_parameters": ["tools", "reasoning", "verbosity"],
    "reasoning": {"mandatory": True},
}
LLAMACPP = {
    "id": "small",
    "aliases": ["small", "tiny", 7],
    "created": 1795238902,
    "owned_by": "llamacpp",
    "architecture": {"input_modalities": ["text"], "output_modalities": ["text"]},
    "meta": {"n_ctx": 8192, "n_ctx_train": 32768},
}
MISTRAL = {
    "id": "large",
    "created": "1700000000",
    "max_context_length": 128000,
    "aliases": ["large-latest"],
    "capabilities": {"completion_chat": True, "function_calling": True, "fine_tuning": False, "vision": True},
}
COPILOT = {
    "id": "copilot",
    "capabilities": {
        "limits": {"max_context_window_tokens": 64000, "max_output_tokens": 4096},
        "supports": {"tool_calls": True, "vision": False},
    },
}
ANTHROPIC = {
    "type": "model",
    "id": "claude-x",
    "display_name": "Claude X",
    "created_at": "2025-02-19T00:00:00Z",
    "max_input_tokens": 200000,
    "capabilities": {"batch": {"supported": True}},
}


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        pytest.param(
            CHUTES,
            Model(
                "Qwen/Qwen3.5-397B-A17B-TEE",
                context_window=262144,
                max_output_tokens=65536,
                input_modalities=frozenset(["text", "image"]),
                features=frozenset(["json_mode", "tools", "structured_outputs", "reasoning"]),
                created=1677652288,
                owned_by="sglang",
                price=(0.45, 3.0),
            ),
            id="chutes",
        ),
        pytest.param(
            OPENROUTER,
            Model(
                "z-ai/glm-5",
                display_name="Z.AI: GLM 5",
                context_window=200000,
                max_output_tokens=32000,
                input_modalities=frozenset(["text"]),
                features=frozenset(["tools", "reasoning", "verbosity"]),
                created=1730000000,
                price=(0.6, 2.2),
            ),
            id="openrouter",
        ),
        pytest.param(
            {"id": "v", "created": 1, "owned_by": "vllm", "max_model_len": 8192, "permission": [{}]},
            Model("v", context_window=8192, created=1, owned_by="vllm"),
            id="vllm",
        ),
        pytest.param(
            LLAMACPP,
            Model(
                "small",
                aliases=("tiny",),
                context_window=8192,
                input_modalities=frozenset(["text"]),
                created=1795238902,
                owned_by="llamacpp",
            ),
            id="llamacpp",
        ),
        pytest.param(
            {"id": "l", "meta": {"n_ctx_train": 4096}}, Model("l"), id="llamacpp-trained-window-is-not-the-served-one"
        ),
        pytest.param(
            {"name": "q:7b", "model": "q:7b", "capabilities": ["completion", "tools"]},
            Model("q:7b", features=frozenset(["completion", "tools"])),
            id="ollama",
        ),
        pytest.param(
            {"id": "g", "context_window": 131072, "max_completion_tokens": 8192, "supported_features": []},
            Model("g", context_window=131072, max_output_tokens=8192, features=frozenset()),
            id="groq",
        ),
        pytest.param(
            MISTRAL,
            Model(
                "large",
                aliases=("large-latest",),
                context_window=128000,
                input_modalities=frozenset(["text", "image"]),
                features=frozenset(["completion_chat", "function_calling", "vision"]),
                created=1700000000,
            ),
            id="mistral",
        ),
        pytest.param(
            {"id": "s", "loaded_context_length": 4096, "max_context_length": 32768},
            Model("s", context_window=4096),
            id="lm-studio",
        ),
        pytest.param(
            {"id": "f", "supports_tools": True, "supports_image_input": False},
            Model("f", features=frozenset(["tools"]), input_modalities=frozenset(["text"])),
            id="fireworks",
        ),
        pytest.param({"id": "f", "supports_tools": False}, Model("f", features=frozenset()), id="fireworks-no-tools"),
        pytest.param(
            {"id": "d", "metadata": {"context_length": 10, "pricing": {"input_tokens": 0.1, "output_tokens": 0.2}}},
            Model("d", context_window=10, price=(0.1, 0.2)),
            id="deepinfra",
        ),
        pytest.param(
            COPILOT,
            Model(
                "copilot",
                context_window=64000,
                max_output_tokens=4096,
                input_modalities=frozenset(["text"]),
                features=frozenset(["tool_calls"]),
            ),
            id="copilot",
        ),
        pytest.param(
            ANTHROPIC,
            Model("claude-x", display_name="Claude X", context_window=200000, created=1739923200),
            id="anthropic",
        ),
        pytest.param(
            {"id": "p", "price": {"input": {"usd": 0.1, "tao": 1}, "output": {"usd": 0.3}}},
            Model("p", price=(0.1, 0.3)),
            id="chutes-older-price",
        ),
        pytest.param(
            {"id": "p", "pricing": {"prompt": "-1", "completion": "-1"}}, Model("p"), id="openrouter-variable-price"
        ),
        pytest.param(
            {
                "id": "odd",
                "display_name": 3,
                "aliases": "x",
                "context_length": True,
                "max_model_len": [4096],
                "context_window": "many",
                "meta": "n_ctx",
                "max_output_length": 0,
                "input_modalities": "text",
                "supported_features": {"tools": True},
                "created": -5,
                "created_at": "yesterday",
                "owned_by": None,
                "pricing": {"prompt": {}, "completion": float("nan")},
            },
            Model("odd"),
            id="wrong-types-everywhere",
        ),
        pytest.param(
            {"id": "huge", "context_length": 10**400, "created": 1e300}, Model("huge"), id="numbers-beyond-all-measure"
        ),
    ],
)
def test_entries_are_understood(entry: dict[str, Any], expected: Model) -> None:
    assert parse({"data": [entry]}) == ((expected, entry),)


@pytest.mark.parametrize(
    ("listed", "ids"),
    [
        pytest.param({"object": "list", "data": [{"id": "a"}]}, ["a"], id="openai"),
        pytest.param({"models": [{"name": "b"}], "data": [{"id": "a"}]}, ["a"], id="data-before-models"),
        pytest.param({"models": [{"name": "b"}], "data": None}, ["b"], id="models-alone"),
        pytest.param([{"id": "a"}], ["a"], id="bare"),
        pytest.param([{"id": "a", "x": 1}, {"id": "a", "x": 2}], ["a"], id="the-first-of-two-counts"),
        pytest.param([None, "a", {}, {"id": 7}, {"id": " "}, {"id": "b"}], ["b"], id="entries-without-id"),
        pytest.param({"data": []}, [], id="empty"),
    ],
)
def test_lists_are_found(listed: Any, ids: list[str]) -> None:
    assert [told.model.id for told in parse(listed)] == ids


@pytest.mark.parametrize("listed", [None, "x", 7, {}, {"data": {}}, {"error": {"message": "no"}}])
def test_what_is_no_list_is_refused(listed: Any) -> None:
    with pytest.raises(ValueError, match="no list of models"):
        parse(listed)


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
_MEMBERS = ["aliases", "capabilities", "pricing", "meta", "created", "created_at", "context_length", "architecture"]


@settings(max_examples=100, deadline=None)
@given(st.lists(_JSON | st.dictionaries(st.sampled_from(["id", *_MEMBERS]), _JSON), max_size=3))
def test_any_list_is_taken(entries: list[Any]) -> None:
    for told in parse(entries):
        assert told.model.id
