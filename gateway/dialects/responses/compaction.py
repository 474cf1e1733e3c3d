"""Compaction: a long history gives way to its summary, written by the model itself.

A `compaction_trigger` item, and `POST /v1/responses/compact`, end the history with the prompt below; the answer
becomes one `compaction` item whose `encrypted_content` is the sealed summary. On later requests that item
stands for the history and is opened again into a user message. Where a foreign or damaged seal does not open,
the item is left out and listed.
Reference: `ResponseCompactionItemParam`, `CompactedResponse` of the OpenAI API.
"""

from __future__ import annotations

from gateway.types import JSON

PROMPT = """\
Stop working on the task now. The conversation has become too long and will be replaced by a summary, which \
you write. Whoever goes on from it sees nothing else of what was said, called or returned so far.

Write down, as precisely as the work needs:
- what the user wants, with every wish, limit and correction in the user's own terms
- what was done and decided, and why; what was tried and failed
- the state of things: files read, made or changed with their paths, names, commands, values, errors
- what is still to be done, and the very next step

Call no tool. Answer with the summary alone, as plain text."""

_SUMMARY = "The earlier conversation was replaced by this summary of the conversation so far. Go on from it.\n\n"


def prompt_message() -> JSON:
    """Return the message that asks for the summary."""
    return {"role": "user", "content": PROMPT}


def summary_message(summary: str) -> JSON:
    """Return the message that stands for the history that was summarised."""
    return {"role": "user", "content": _SUMMARY + summary}
