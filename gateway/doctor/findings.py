"""What the doctor finds, how it is shown, and which switches of `models.json` follow from it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from gateway.profile import Model
from gateway.types import JSON

Verdict = Literal["ok", "no", "warn", "skip"]
"""`no`: it does not work. `warn`: it does, with something to know. `skip`: not tried, the text says why."""

_SIGNS: dict[Verdict, str] = {"ok": "ok", "no": "NO", "warn": "!", "skip": "-"}

_FEATURES = ("tools", "structured_outputs", "reasoning")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    name: str
    verdict: Verdict
    detail: str = ""
    says: JSON = field(default_factory=dict)
    """What it tells of the model: keys of `models.json`; of features and the like, by name, whether it has them."""
    essential: bool = False
    """Where this does not work, no client works."""


def line(finding: Finding, width: int) -> str:
    """Return one line of the report, its name as wide as the others."""
    return f"  {finding.name.ljust(width)}  {_SIGNS[finding.verdict].ljust(2)}  {finding.detail}".rstrip()


def failed(findings: Iterable[Finding]) -> bool:
    """Tell whether something does not work without which nothing does."""
    return any(finding.essential and finding.verdict == "no" for finding in findings)


def switches(model: Model, findings: Iterable[Finding]) -> JSON:
    """Return what `models.json` should say of a model beyond what the gateway assumes of it already."""
    found: JSON = {}
    for finding in findings:
        found |= finding.says
    told: JSON = {}
    features = _features(model, found)
    if features != model.features:
        told["features"] = sorted(features or ())
    if "images" in found:
        modalities = (model.input_modalities or frozenset(["text"])) - {"image"}
        modalities |= {"image"} if found["images"] else frozenset()
        if modalities != model.input_modalities:
            told["input_modalities"] = sorted(modalities, reverse=True)
    for name in ("max_tokens_field", "developer_role", "mid_system", "think_opened_by_template", "reasoning_replay"):
        if name in found and found[name] != getattr(model, name):
            told[name] = found[name]
    return told


def _features(model: Model, found: JSON) -> frozenset[str] | None:
    had = model.features or frozenset()
    tried = {name for name in _FEATURES if name in found}
    has = {name for name in tried if found[name]}
    features = (had - tried) | has
    # Where the upstream publishes no features, a model with none of them stays as it is.
    return features if features or model.features is not None else None


def with_switches(content: Any, model_id: str, told: JSON) -> JSON:
    """Return the content of a models file with these switches set for a model. Raises: ValueError."""
    if content is None:
        content = {"models": []}
    if not isinstance(content, dict) or not isinstance(content.get("models"), list):
        raise ValueError("it holds an upstream's own list; put the switches into the model's entry by hand")
    entries = [dict(entry) if isinstance(entry, dict) else entry for entry in content["models"]]
    for entry in entries:
        if isinstance(entry, dict) and str(entry.get("id", "")).lower() == model_id.lower():
            entry |= told
            break
    else:
        entries.append({"id": model_id, **told})
    return {**content, "models": entries}
