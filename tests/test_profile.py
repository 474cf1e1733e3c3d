"""What a model's profile says of itself."""

from __future__ import annotations

import pytest

from gateway.profile import Model, Terms


@pytest.mark.parametrize(
    ("modalities", "sees"), [(None, True), (frozenset(["text"]), False), (frozenset(["text", "image"]), True)]
)
def test_images_are_refused_only_where_that_is_known(modalities: frozenset[str] | None, sees: bool) -> None:
    assert Model("m", input_modalities=modalities).sees_images is sees


@pytest.mark.parametrize(
    ("features", "calls"),
    [
        (None, False),
        (frozenset(), False),
        (frozenset(["json_mode"]), False),
        (frozenset(["tools"]), True),
        (frozenset(["vision", "function_calling"]), True),
    ],
)
def test_tools_are_called_only_where_that_is_told(features: frozenset[str] | None, calls: bool) -> None:
    assert Model("m", features=features).calls_tools is calls


@pytest.mark.parametrize(
    ("model", "reasons"),
    [
        pytest.param(Model("m"), False, id="nothing-told"),
        pytest.param(Model("m", features=frozenset(["thinking"])), True, id="by-feature"),
        pytest.param(Model("gpt-5-mini", features=frozenset(["tools"])), True, id="by-name"),
        pytest.param(Model("openai/o3"), True, id="by-name-behind-a-vendor"),
        pytest.param(Model("gpt-4o"), False, id="another-name"),
        pytest.param(Model("gpt-5", reasoning=False), False, id="operator-says-no"),
        pytest.param(Model("m", reasoning=True), True, id="operator-says-yes"),
    ],
)
def test_reasoning(model: Model, reasons: bool) -> None:
    assert model.reasons is reasons


def test_without_a_key_nothing_is_sealed() -> None:
    terms = Terms(Model("m"))
    assert terms.seal("text") == "text"
    assert terms.unseal("text") is None
