"""What a Chat request leaves for the encoder of its answer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ChatContext:
    """Frozen facts of one request.

    `model`: the name as the client wrote it. `include_usage`: a stream ends with a chunk of usage
    (`stream_options.include_usage`). `legacy`: the client offered `functions`, so a call is a
    `function_call`. `custom`: names of the tools that it offered with type `custom`.
    """

    model: str
    include_usage: bool = False
    legacy: bool = False
    custom: frozenset[str] = frozenset()
