"""What a translated Messages request leaves for the encoder of its answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class MessagesContext:
    """Frozen facts of one request.

    `model`: the name exactly as the client wrote it; Claude Code hands thinking back only if the answer
    repeats it. `input_tokens`: our estimate of the prompt, shown until the upstream tells. `tools`: the
    client's name of a tool by the upstream's, where they differ.
    """

    model: str
    input_tokens: int = 0
    tools: Mapping[str, str] = field(default_factory=dict)
