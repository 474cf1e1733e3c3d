"""The catalog: names in requests, what each port lists, near names, reasoning aliases."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.models import FALLBACK, Catalog, Named, Overlay, ReasoningAlias, Rules, Surface, fallback, split_alias
from gateway.models_upstream import Told, parse
from gateway.profile import Model

SURFACES: tuple[Surface, ...] = ("chat", "responses")


def told(*entries: Any) -> tuple[Told, ...]:
    return parse([entry if isinstance(entry, dict) else {"id": entry} for entry in entries])


def names(catalog: Catalog, surface: Surface) -> list[str]:
    return [line.name for line in catalog.listed(surface)]


CATALOG = Catalog(
    told("Qwen/Qwen3-32B", "qwen/QWEN3-32b", {"id": "zai-org/GLM-5", "aliases": ["glm"]}),
    [Overlay("zai-org/GLM-5", {"aliases": ("claude-main",), "context_window": 200}), Overlay("own", {})],
)


@pytest.mark.parametrize(
    ("name", "id"),
    [
        pytest.param("Qwen/Qwen3-32B", "Qwen/Qwen3-32B", id="exact"),
        pytest.param("qwen/QWEN3-32b", "qwen/QWEN3-32b", id="exact-beats-case"),
        pytest.param("QWEN/qwen3-32b", "Qwen/Qwen3-32B", id="first-of-two-ignoring-case"),
        pytest.param("claude-main", "zai-org/GLM-5", id="alias-of-the-operator"),
        pytest.param("glm", "zai-org/GLM-5", id="alias-of-the-upstream"),
        pytest.param("GLM", "zai-org/GLM-5", id="alias-ignoring-case"),
        pytest.param("own", "own", id="added-by-the-operator"),
    ],
)
def test_names_are_resolved(name: str, id: str) -> None:
    assert CATALOG.resolve(name).id == id
    assert CATALOG.known(name)


@pytest.mark.parametrize("name", ["", "GLM-5", "zai-org/GLM-5:free", " own"])
def test_an_unknown_name_stays_as_it_is(name: str) -> None:
    assert CATALOG.resolve(name) == Model(id=name)
    assert not CATALOG.known(name)


def test_an_id_beats_an_alias_of_the_same_name() -> None:
    catalog = Catalog(told("a", "b"), [Overlay("a", {"aliases": ("b",)})])
    assert catalog.resolve("b").id == "b"
    assert names(catalog, "chat") == ["a", "b"]


def test_an_overlay_keeps_what_it_does_not_say() -> None:
    upstream = told({"id": "m", "context_length": 100, "max_output_length": 10, "aliases": ["u"]})
    model = Catalog(upstream, [Overlay("m", {"context_window": 50, "aliases": ("o",)})]).resolve("m")
    assert (model.context_window, model.max_output_tokens, model.aliases) == (50, 10, ("o", "u"))


def test_an_overlay_finds_its_model_ignoring_case() -> None:
    catalog = Catalog(told("Qwen/Q"), [Overlay("qwen/q", {"files": True})])
    assert names(catalog, "chat") == ["Qwen/Q"]
    assert catalog.resolve("QWEN/Q").files


TOOLS = {"id": "with-tools", "supported_features": ["json_mode", "tools"]}
NO_TOOLS = {"id": "without", "supported_features": ["json_mode"]}


@pytest.mark.parametrize(
    ("upstream", "overlays", "rules", "chat", "responses"),
    [
        pytest.param(("a", "b-Codex"), (), Rules(), ["a"], ["a", "b-Codex"], id="no-features-published"),
        pytest.param(
            (TOOLS, NO_TOOLS, "silent"),
            (),
            Rules(),
            ["with-tools", "without", "silent"],
            ["with-tools"],
            id="features-published",
        ),
        pytest.param((NO_TOOLS,), (), Rules(), ["without"], [], id="features-published-and-no-tools"),
        pytest.param(
            (TOOLS,),
            (Overlay("mine", {}), Overlay("plain", {"features": frozenset(["reasoning"])})),
            Rules(),
            ["with-tools", "mine", "plain"],
            ["with-tools", "mine"],
            id="operator-s-own-beside-published-features",
        ),
        pytest.param(
            ("a", "b-codex", NO_TOOLS),
            (
                Overlay("a", {"ports": frozenset(["chat"])}),
                Overlay("b-codex", {"ports": frozenset(["chat", "responses"])}),
                Overlay("without", {"ports": frozenset[str]()}),
            ),
            Rules(),
            ["a", "b-codex"],
            ["b-codex"],
            id="ports-decide-first",
        ),
        pytest.param(
            ("gpt-5", "gpt-5-CODEX", "o3"), (), Rules(openai=True), ["gpt-5", "o3"], ["gpt-5-CODEX"], id="openai"
        ),
        pytest.param(
            ("a/one", "b/two", "a/codex"),
            (),
            Rules(shown=re.compile("^a/")),
            ["a/one"],
            ["a/one", "a/codex"],
            id="filter",
        ),
        pytest.param(
            ("m", "n"),
            (Overlay("m", {"aliases": ("claude-x", "codex-y")}),),
            Rules(shown=re.compile("m|claude")),
            ["m", "claude-x"],
            ["m", "claude-x"],
            id="aliases-behind-their-model-and-filtered",
        ),
        pytest.param(
            ("m",),
            (Overlay("m", {"reasoning_aliases": True, "aliases": ("x",)}),),
            Rules(shown=re.compile("high|^x")),
            ["x"],
            ["m:res-high:sum-auto", "m:res-high:sum-none", "x"],
            id="reasoning-aliases-on-the-responses-port",
        ),
        pytest.param(({"id": "m", "aliases": ["u"]},), (), Rules(), ["m"], ["m"], id="upstream-aliases-not-listed"),
        pytest.param((), (), Rules(), [], [], id="empty-list"),
    ],
)
def test_listed(
    upstream: tuple[Any, ...], overlays: tuple[Overlay, ...], rules: Rules, chat: list[str], responses: list[str]
) -> None:
    catalog = Catalog(told(*upstream), overlays, rules)
    assert names(catalog, "chat") == chat
    assert names(catalog, "responses") == responses


def test_all_reasoning_aliases_are_listed() -> None:
    catalog = Catalog(told("m"), [Overlay("m", {"reasoning_aliases": True})])
    assert names(catalog, "responses") == ["m"] + [
        f"m:res-{effort}:sum-{summary}" for effort in ("low", "medium", "high") for summary in ("auto", "none")
    ]


@pytest.mark.parametrize("surface", SURFACES)
def test_the_fallback_shows_names_and_knows_none(surface: Surface) -> None:
    catalog = fallback()
    assert names(catalog, surface) == list(FALLBACK)
    assert catalog.near(FALLBACK[0], 3) == []
    assert not catalog.known(FALLBACK[0])
    assert catalog.resolve(FALLBACK[0].lower()).id == FALLBACK[0].lower()
    assert names(fallback(Rules(openai=True, shown=re.compile("GLM"))), surface) == [
        name for name in FALLBACK if "GLM" in name
    ]


@pytest.mark.parametrize(
    ("name", "found", "kind"),
    [
        pytest.param("zai-org/GLM-5", "zai-org/GLM-5", "model", id="exact"),
        pytest.param("ZAI-ORG/glm-5", "zai-org/GLM-5", "model", id="ignoring-case"),
        pytest.param("claude-main", "claude-main", "alias", id="listed-alias"),
        pytest.param("Claude-Main", "claude-main", "alias", id="listed-alias-ignoring-case"),
        pytest.param("glm", "glm", "alias", id="alias-that-is-not-listed"),
    ],
)
def test_a_line_is_found(name: str, found: str, kind: str) -> None:
    line = CATALOG.find("chat", name)
    assert line is not None
    assert (line.name, line.kind) == (found, kind)


def test_what_is_not_listed_is_not_found() -> None:
    catalog = Catalog(told({"id": "x-codex", "aliases": ["x"]}))
    assert catalog.find("chat", "x-codex") is None
    assert catalog.find("chat", "x") is None
    assert catalog.find("responses", "x-codex") is not None
    assert catalog.find("responses", "nothing") is None


@pytest.mark.parametrize(
    ("name", "first"),
    [
        pytest.param("Qwen/Qwen3-33B", "Qwen/Qwen3-32B", id="one-letter"),
        pytest.param("qwen3-32b", "Qwen/Qwen3-32B", id="without-vendor"),
        pytest.param("openrouter/deepseek-v3.2", "deepseek-ai/DeepSeek-V3.2", id="another-vendor"),
        pytest.param("claude-sonet", "claude-sonnet-4-5", id="alias"),
    ],
)
def test_near_names(name: str, first: str) -> None:
    catalog = Catalog(
        told("zai-org/GLM-5", "deepseek-ai/DeepSeek-V3.2", "Qwen/Qwen3-32B", "secret"),
        [Overlay("zai-org/GLM-5", {"aliases": ("claude-sonnet-4-5",), "reasoning_aliases": True})],
        Rules(shown=re.compile("^(?!secret)")),
    )
    near = catalog.near(name, 3)
    assert near[0] == first
    assert len(near) == 3
    assert sorted(catalog.near(name, 99)) == sorted(
        ["zai-org/GLM-5", "deepseek-ai/DeepSeek-V3.2", "Qwen/Qwen3-32B", "claude-sonnet-4-5"]
    )


def test_what_is_made_for_a_catalog_is_made_once() -> None:
    catalog = Catalog(told("m"))
    made = [catalog.made("key", object) for _ in range(2)]
    assert made[0] is made[1]
    assert catalog.listed("chat") is catalog.listed("chat")


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        pytest.param("m:res-high:sum-auto", ("m", "high", "auto"), id="both"),
        pytest.param("m:res-none", ("m", "none", None), id="effort-alone"),
        pytest.param("m:sum-concise", ("m", None, "concise"), id="summary-alone"),
        pytest.param("m:res-xhigh:sum-never", ("m", "xhigh", "none"), id="never-is-none"),
        pytest.param("vendor/m:free:res-low", ("vendor/m:free", "low", None), id="other-colons-stay"),
        pytest.param("M:RES-High", ("M", "high", None), id="any-case"),
        pytest.param("m:res-huge", ("m:res-huge", None, None), id="unknown-effort"),
        pytest.param("m:res-high:sum-loud", ("m:res-high:sum-loud", None, None), id="unknown-summary"),
        pytest.param("m:res-huge:sum-auto", ("m:res-huge:sum-auto", None, None), id="unknown-effort-before-a-summary"),
        pytest.param("m:sum-auto:res-high", ("m:sum-auto:res-high", None, None), id="wrong-order"),
        pytest.param("m:free", ("m:free", None, None), id="plain-colon"),
        pytest.param("m:", ("m:", None, None), id="colon-at-the-end"),
        pytest.param("m", ("m", None, None), id="plain"),
        pytest.param("", ("", None, None), id="empty"),
        pytest.param(":res-high", (":res-high", None, None), id="no-base"),
        pytest.param("m:res-high\n", ("m:res-high\n", None, None), id="trailing-line-end"),
    ],
)
def test_split_alias(name: str, parts: tuple[str, str | None, str | None]) -> None:
    assert split_alias(name) == ReasoningAlias(*parts)


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("m", Named(Model("m"))),
        ("M:res-high", Named(Model("m"), "high")),
        ("m:sum-never", Named(Model("m"), None, "none")),
        ("m:res-huge", Named(Model("m:res-huge"))),
        ("x:res-low:sum-auto", Named(Model("x"), "low", "auto")),
        ("y:res-low", Named(Model("y:res-low"))),
    ],
)
def test_a_name_may_hold_reasoning(name: str, named: Named) -> None:
    catalog = Catalog([Told(Model("m"), {}), Told(Model("y:res-low"), {})])
    assert catalog.named(name) == named


@settings(max_examples=100, deadline=None)
@given(st.text(), st.lists(st.text(max_size=5), max_size=5), st.lists(st.text(max_size=5), max_size=3))
def test_any_name_is_taken(name: str, ids: list[str], aliases: list[str]) -> None:
    catalog = Catalog(told(*ids), [Overlay("o", {"aliases": tuple(aliases)})])
    assert catalog.known(name) or catalog.resolve(name).id == name
    assert split_alias(name).base or not name
    catalog.near(name, 3)
    for surface in SURFACES:
        for line in catalog.listed(surface):
            assert catalog.find(surface, line.name) == line
