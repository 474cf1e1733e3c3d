"""The models: which there are, what a name in a request means, and which port lists which. Pure.

A catalog is made of two things: what the upstream's list tells (`gateway.models_upstream`) and what the
operator's file says over it (`gateway.models_file`). It never changes; a new list makes a new catalog.

    names in requests   exact, then alias, then ignoring case; else the name as it is, of a model unknown
    listed              `ports` of models.json first; else by the upstream:
                          OpenAI itself   names with `codex` on the responses port, the others on the chat port
                          any other       chat port: all without `codex` in the name
                                          responses port: those whose features say tools, or all of them
                                          where the upstream publishes no features

Aliases of models.json are listed behind their model, as models of their own: whoever writes one wants to find
it in a client's picker, Codex finds its metadata only under the name it uses, and Claude Code shows no names
but those with `claude` or `anthropic`. Aliases that only the upstream tells are understood, not listed.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, TypeVar

from gateway.models_upstream import Told
from gateway.profile import Model
from gateway.types import JSON

T = TypeVar("T")

Surface = Literal["chat", "responses"]

FALLBACK = (
    "Qwen/Qwen3.5-397B-A17B-TEE",
    "Qwen/Qwen3-32B-TEE",
    "deepseek-ai/DeepSeek-V3.2-TEE",
    "moonshotai/Kimi-K2.6-TEE",
    "zai-org/GLM-5.1-TEE",
)
"""Shown where neither the upstream nor the operator has a list: names of Chutes, the default upstream."""

_LONGEST_NAME = 200
_NEAR_ENOUGH = 0.5

_ALIAS = re.compile(
    r"(?P<base>.+?)(?::res-(?P<effort>none|minimal|low|medium|high|xhigh))?"
    r"(?::sum-(?P<summary>auto|concise|detailed|none|never))?",
    re.IGNORECASE | re.DOTALL,
)
_UNKNOWN_HALF = re.compile(r":(?:res|sum)-[^:]*\Z", re.IGNORECASE)
_LISTED_EFFORTS = ("low", "medium", "high")
_LISTED_SUMMARIES = ("auto", "none")


class ReasoningAlias(NamedTuple):
    """A name with `:res-…:sum-…` taken apart; None for a half that it does not have."""

    base: str
    effort: str | None
    summary: str | None


def split_alias(name: str) -> ReasoningAlias:
    """Take a reasoning alias apart: `model:res-high:sum-auto`, either half alone, in any case.

    A word that no effort and no summary has makes the whole a plain name. `sum-never` means `none`.
    """
    match = _ALIAS.fullmatch(name)
    if match is None or _UNKNOWN_HALF.search(match["base"]):
        return ReasoningAlias(name, None, None)
    effort, summary = (word and word.lower() for word in match.group("effort", "summary"))
    return ReasoningAlias(match["base"], effort, "none" if summary == "never" else summary)


@dataclass(frozen=True, slots=True)
class Overlay:
    """One entry of models.json: what it says of a model, by the names of `Model`'s fields."""

    id: str
    says: Mapping[str, Any]
    entry: JSON = field(default_factory=dict)
    """Where the file holds an upstream's own list: the entry as it stands there."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What decides which models are listed beside their own `ports`."""

    openai: bool = False
    """The upstream is OpenAI itself."""
    shown: re.Pattern[str] | None = None
    """`MODELS_FILTER`: only names in which it is found are listed."""


_NO_RULES = Rules()


class Listed(NamedTuple):
    """One line of a list: a name, the model it means, and the upstream's own entry."""

    name: str
    model: Model
    entry: JSON
    kind: Literal["model", "alias", "reasoning"]
    """Its own name, an alias of models.json, or a `:res-…:sum-…` alias."""


class Named(NamedTuple):
    """What a name in a request means: a model, and the reasoning that a `:res-…:sum-…` behind it asks for."""

    model: Model
    effort: str | None = None
    summary: str | None = None


class Catalog:
    """All models that are known at one time.

    Of a `fallback` nothing is known but names to show: no name in a request is changed by it.
    """

    def __init__(
        self,
        told: Sequence[Told] = (),
        overlays: Sequence[Overlay] = (),
        rules: Rules = _NO_RULES,
        *,
        fallback: bool = False,
    ) -> None:
        self._rules = rules
        self._fallback = fallback
        self._publishes = any(model.features for model, _ in told)
        self._told = {model.id: Told(model, entry) for model, entry in told}
        self._added: set[str] = set()
        self._shown_aliases: dict[str, tuple[str, ...]] = {}
        self._lay_all(overlays)
        self._aliases: dict[str, str] = {}
        for id, (model, _) in self._told.items():
            for alias in model.aliases:
                self._aliases.setdefault(alias, id)
        self._lower = _lowered([*((id, id) for id in self._told), *self._aliases.items()])
        self._made: dict[object, Any] = {}

    def _lay_all(self, overlays: Sequence[Overlay]) -> None:
        """Put each entry of models.json over what the upstream tells, or add its model."""
        true_case = _lowered((id, id) for id in self._told)
        for overlay in overlays:
            id = overlay.id if overlay.id in self._told else true_case.get(overlay.id.lower(), overlay.id)
            if id not in self._told:
                self._told[id] = Told(Model(id), {})
                self._added.add(id)
            model, entry = self._told[id]
            says = dict(overlay.says)
            aliases = tuple(says.pop("aliases", ()))
            laid = replace(model, aliases=tuple(dict.fromkeys((*aliases, *model.aliases))), **says)
            self._told[id] = Told(laid, {**overlay.entry, **entry})
            self._shown_aliases[id] = aliases

    @property
    def is_fallback(self) -> bool:
        """Neither the upstream nor the operator has a list: the names are only to be shown."""
        return self._fallback

    def resolve(self, name: str) -> Model:
        """Return the model that a name in a request means; one that nothing is known of has the name as id."""
        id = self._id_of(name)
        return Model(id=name) if id is None else self._told[id].model

    def named(self, name: str) -> Named:
        """Return what a name means that may be a reasoning alias; a model of that very name comes first."""
        if self.known(name):
            return Named(self.resolve(name))
        base, effort, summary = split_alias(name)
        return Named(self.resolve(base), effort, summary)

    def known(self, name: str) -> bool:
        """Tell whether a name means a model of the list."""
        return self._id_of(name) is not None

    def _id_of(self, name: str) -> str | None:
        if self._fallback:
            return None
        if name in self._told:
            return name
        return self._aliases.get(name) or self._lower.get(name.lower())

    def near(self, name: str, n: int) -> list[str]:
        """Return up to `n` names that a client may have meant, the nearest first, then others of the list."""
        if self._fallback:
            return []
        # Lower case to the name as it is written; the part behind the vendor counts as well as the whole.
        names: dict[str, str] = {}
        for listed in self._all():
            if listed.kind != "reasoning" and self._passes(listed.name):
                names.setdefault(listed.name.lower(), listed.name)
        for lower, whole in list(names.items()):
            names.setdefault(lower.rpartition("/")[2], whole)
        asked = name[:_LONGEST_NAME].lower()
        found = difflib.get_close_matches(asked, names, 2 * n, _NEAR_ENOUGH)
        found += difflib.get_close_matches(asked.rpartition("/")[2], names, n, _NEAR_ENOUGH)
        ranked = [names[key] for key in found] + list(names.values())
        return list(dict.fromkeys(ranked))[:n]

    def listed(self, surface: Surface) -> tuple[Listed, ...]:
        """Return what one port lists, in the upstream's order."""
        return self.made(("listed", surface), lambda: tuple(self._listed(surface)))

    def find(self, surface: Surface, name: str) -> Listed | None:
        """Return the line of a port's list that a name means, as in requests."""
        lines = self.made(("by name", surface), lambda: _by_name(self.listed(surface)))
        line = lines.get(name) or lines.get(name.lower())
        if line is None and self.known(name):
            # An alias that only the upstream tells: its model's line is shown under the name asked for.
            line = lines.get(self.resolve(name).id)
            return line and line._replace(name=name, kind="alias")
        return line

    def made(self, key: object, make: Callable[[], T]) -> T:
        """Return what `make` returned for this key the first time: a catalog never changes."""
        if key not in self._made:
            self._made[key] = make()
        made: T = self._made[key]
        return made

    def _all(self) -> Iterator[Listed]:
        for id, (model, entry) in self._told.items():
            yield Listed(id, model, entry, "model")
            if model.reasoning_aliases:
                for effort in _LISTED_EFFORTS:
                    for summary in _LISTED_SUMMARIES:
                        yield Listed(f"{id}:res-{effort}:sum-{summary}", model, entry, "reasoning")
            for alias in self._shown_aliases.get(id, ()):
                if alias not in self._told:
                    yield Listed(alias, model, entry, "alias")

    def _listed(self, surface: Surface) -> Iterator[Listed]:
        for line in self._all():
            # Reasoning aliases are for chat clients of the upgrade, which the responses port serves.
            if line.kind == "reasoning" and surface == "chat":
                continue
            if self._on(surface, line.model) and self._passes(line.name):
                yield line

    def _passes(self, name: str) -> bool:
        return self._rules.shown is None or self._rules.shown.search(name) is not None

    def _on(self, surface: Surface, model: Model) -> bool:
        if model.ports is not None:
            return surface in model.ports
        codex_only = "codex" in model.id.lower()
        if self._rules.openai:
            return codex_only == (surface == "responses")
        if surface == "chat":
            return not codex_only
        if model.features is None and model.id in self._added:
            return True
        return model.calls_tools or not self._publishes


def fallback(rules: Rules = _NO_RULES) -> Catalog:
    """Return the catalog of a gateway that knows no list at all."""
    shown = Rules(shown=rules.shown)
    return Catalog([Told(Model(id), {}) for id in FALLBACK], (), shown, fallback=True)


def _lowered(names: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return what each name means by the name in lower case; of two the first counts."""
    lowered: dict[str, str] = {}
    for name, meant in names:
        lowered.setdefault(name.lower(), meant)
    return lowered


def _by_name(lines: Sequence[Listed]) -> dict[str, Listed]:
    named = {line.name: line for line in lines}
    for line in lines:
        named.setdefault(line.name.lower(), line)
    return named
