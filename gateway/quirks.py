"""What an upstream was found to refuse, remembered for each model so that it is refused only once.

The memory belongs to one worker and is bounded; a restart forgets it, so an upstream that learns a field is
asked again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from gateway.profile import Model
from gateway.remedy import Remedy
from gateway.types import JSON

_MODELS = 1000


@dataclass(frozen=True, slots=True)
class Quirk:
    """Repairs that one model's requests need."""

    omit: frozenset[str] = frozenset()
    """Fields that it refuses by name."""
    max_tokens_field: str | None = None
    max_tokens: int | None = None
    """The largest `max_tokens` it takes."""
    fitted: int | None = None
    """The same for the request at hand alone; never remembered."""

    def with_remedy(self, remedy: Remedy) -> Quirk:
        """Return the quirk with one more repair."""
        return Quirk(
            self.omit | {remedy.omit} if remedy.omit else self.omit,
            remedy.max_tokens_field or self.max_tokens_field,
            remedy.max_tokens or self.max_tokens,
            remedy.fitted or self.fitted,
        )

    def limited(self, body: JSON) -> JSON:
        """Return a hub body whose `max_tokens` is one that the upstream takes."""
        asked = body.get("max_tokens")
        most = min((n for n in (self.max_tokens, self.fitted) if n is not None), default=None)
        if most is None or not isinstance(asked, int) or asked <= most:
            return body
        return {**body, "max_tokens": most}

    def applied_to(self, model: Model) -> Model:
        """Return the model's profile with what was learnt."""
        match self.max_tokens_field:
            case "max_tokens" | "max_completion_tokens" as field:
                return replace(model, max_tokens_field=field)
            case _:
                return model


NO_QUIRK = Quirk()


class Quirks:
    """The memory: one quirk a model."""

    def __init__(self) -> None:
        self._of: dict[str, Quirk] = {}

    def of(self, model: str) -> Quirk:
        """Return what is known of a model."""
        return self._of.get(model, NO_QUIRK)

    def remember(self, model: str, quirk: Quirk) -> None:
        """Keep what made a request pass."""
        if len(self._of) >= _MODELS:
            self._of.pop(next(iter(self._of)))
        self._of[model] = replace(quirk, fitted=None)
