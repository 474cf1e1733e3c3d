"""`thinking` and `output_config.effort`, into `reasoning_effort`.

    thinking            model known to reason    nobody told      known not to
    absent              effort, else medium      effort, if any   -
    adaptive            effort, else medium      effort, else medium   -
    enabled (budget)    effort, else by budget   the same         -
    disabled            none                     -                -

An upstream that refuses the field is asked once more without it, and that is remembered, so asking costs
little; but where nobody told and nobody asked, nothing is sent.

Reference: Anthropic API reference, "Extended thinking", "Effort".
"""

from __future__ import annotations

from gateway.dialects import shape
from gateway.profile import Model
from gateway.types import JSON

_FEATURES = frozenset(("reasoning", "thinking", "extended_thinking"))

_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_COMMON = "high"
"""The highest effort that servers with three levels know."""
_DEFAULT = "medium"

_BUDGETS = ((4_096, "low"), (16_384, "medium"))
"""Up to so many thinking tokens mean that effort; more mean high."""


def reasoning_effort(body: JSON, model: Model) -> str | None:
    """Return the effort to ask for, or None to leave it to the upstream. Raises: RequestError."""
    asked = _asked(body)
    kind, budget = _thinking(body)
    reasons = _reasons(model)
    if reasons is False:
        return None
    if kind == "disabled":
        return "none" if reasons else None
    if asked is None:
        if kind is None and not reasons:
            return None
        asked = _DEFAULT if budget is None else _by_budget(budget)
    return asked if model.reasoning_levels else _common(asked)


def _asked(body: JSON) -> str | None:
    config = shape.mapping(body, "output_config") or {}
    effort = shape.optional_text(config, "effort", "output_config")
    if effort is not None and effort not in _EFFORTS:
        raise shape.fault("output_config.effort", f"`output_config.effort` must be one of {', '.join(_EFFORTS)}.")
    return effort


def _thinking(body: JSON) -> tuple[str | None, int | None]:
    """Return type and budget; types that are new since this was written count as asking for thinking."""
    thinking = shape.mapping(body, "thinking")
    if thinking is None:
        return None, None
    kind = shape.name(thinking, "type", "thinking")
    budget = thinking.get("budget_tokens")
    if budget is not None and (isinstance(budget, bool) or not isinstance(budget, int) or budget < 1):
        raise shape.fault("thinking.budget_tokens", "`thinking.budget_tokens` must be a whole number above 0.")
    return kind, budget


def _reasons(model: Model) -> bool | None:
    """Tell whether the model reasons; None where nobody told."""
    if model.reasoning_levels:
        return True
    return None if model.features is None else bool(model.features & _FEATURES)


def _by_budget(budget: int) -> str:
    return next((effort for most, effort in _BUDGETS if budget <= most), "high")


def _common(effort: str) -> str:
    """Return an effort that servers know which do not say what they know."""
    return _COMMON if _EFFORTS.index(effort) > _EFFORTS.index(_COMMON) else effort
