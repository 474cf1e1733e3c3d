"""What a translated Responses request leaves for the encoder of its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from gateway.types import JSON

ToolKind = Literal["function", "custom", "tool_search", "local_shell", "shell", "apply_patch"]


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool as the client offered it; the upstream knows it by another name and only as a function."""

    kind: ToolKind
    name: str
    namespace: str | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """Frozen facts of one request.

    `echo`: the members of the response resource that repeat the request, complete and with defaults
    (`model` as the client named it, `instructions`, `tools`, `tool_choice`, `temperature`, `text`, …).
    `tools`: by the name under which the upstream was offered them.
    `summary`: reasoning text is shown as summary (the request asked for one), else as content.
    `seal`: makes `encrypted_content` where the request asked for it, else None.
    `compaction`: the answer's text is the summary of a compaction item and nothing else is shown; `seal` is set.
    `keep`: stores the response as it ends, before its last event leaves, and tells whether it did; None: it is not
    to be stored.
    """

    echo: JSON
    tools: Mapping[str, Tool] = field(default_factory=dict)
    summary: bool = False
    seal: Callable[[str], str] | None = None
    compaction: bool = False
    keep: Callable[[JSON], bool] | None = None
