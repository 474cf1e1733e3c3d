"""Hypothesis strategies: whole answers in events, as the grammar of `gateway.events` allows them."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from gateway.errors import UpstreamProtocol
from gateway.events import (
    Annotation,
    BlockEnd,
    BlockStart,
    Delta,
    Event,
    Failure,
    Finish,
    FinishReason,
    Kind,
    Start,
    Usage,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
KINDS: tuple[Kind, ...] = ("text", "reasoning", "refusal", "tool_call")
REASONS: tuple[FinishReason, ...] = ("stop", "length", "tool_calls", "content_filter", "other")
ARGUMENTS = ('{"input": "a', "\\n\\u00e9\\ud83d", "\\ude00", '"}', '{"patch":', '"*** Begin Patch\\n', "```", '{"a":1}')
"""Fragments of tool arguments, whole and broken, in the forms that encoders look at."""


@st.composite
def answers(
    draw: st.DrawFn,
    *,
    kinds: Sequence[Kind] = KINDS,
    names: Sequence[str] = ("run",),
    blocks: int = 5,
    fail: bool | None = None,
) -> list[Event]:
    """Draw one answer: up to so many blocks, which may overlap; ended by `Failure` if `fail`, None: or not."""
    usage = Usage(draw(st.integers(0, 99)), draw(st.integers(0, 99)), draw(st.integers(0, 9)))
    events: list[Event] = [Start("up-1", "model", 1)]
    open_kinds: dict[int, Kind] = {}
    begun = 0
    for _ in range(draw(st.integers(0, 6 * blocks))):
        block = draw(st.sampled_from(sorted(open_kinds))) if open_kinds and draw(st.integers(0, 3)) else None
        if block is None:
            if begun == blocks:
                continue
            kind = open_kinds[begun] = draw(st.sampled_from(kinds))
            tool = kind == "tool_call"
            name = draw(st.sampled_from(names)) if tool else None
            events.append(BlockStart(begun, kind, f"call_{begun}" if tool else None, name))
            begun += 1
        elif not draw(st.integers(0, 3)):
            events.append(BlockEnd(block))
            del open_kinds[block]
        else:
            events.append(draw(_inside(block, open_kinds[block])))
    if draw(st.booleans()) if fail is None else fail:
        return [*events, Failure(UpstreamProtocol("broken off"))]
    reason = draw(st.sampled_from(REASONS))
    cut = reason in ("length", "content_filter")
    events += [BlockEnd(block, cut=cut) for block in sorted(open_kinds)]
    return [*events, Finish(reason, usage=usage if draw(st.booleans()) else None)]


@st.composite
def _inside(draw: st.DrawFn, block: int, kind: Kind) -> Delta | Annotation:
    if kind == "tool_call":
        return Delta(block, draw(TEXT | st.sampled_from(ARGUMENTS)))
    if kind == "text" and not draw(st.integers(0, 5)):
        citation = {"type": "url_citation", "url": "http://a.example/", "title": "A", "start_index": 0, "end_index": 1}
        return Annotation(block, citation)
    text = draw(TEXT)
    if kind == "text" and not draw(st.integers(0, 5)):
        return Delta(block, text, [{"token": text, "logprob": -0.5, "bytes": None, "top_logprobs": []}])
    return Delta(block, text)


def one_by_one(events: Sequence[Event]) -> list[Event]:
    """Return the same answer with its blocks one after the other, each in one delta: as a whole answer decodes."""
    whole: list[Event] = []
    for event in events:
        match event:
            case BlockStart(block):
                inside = [e for e in events if isinstance(e, Delta | Annotation | BlockEnd) and e.block == block]
                deltas = [e for e in inside if isinstance(e, Delta)]
                whole.append(event)
                if deltas:
                    logprobs = [entry for e in deltas for entry in e.logprobs or ()]
                    whole.append(Delta(block, "".join(e.text for e in deltas), logprobs or None))
                whole += [e for e in inside if not isinstance(e, Delta)]
            case Delta() | Annotation() | BlockEnd():
                pass
            case _:
                whole.append(event)
    return whole
