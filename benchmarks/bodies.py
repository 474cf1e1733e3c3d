"""The requests: made by rule from a fixed seed, so that every run and every subject gets the same bytes."""

from __future__ import annotations

import json
import random
from functools import cache
from typing import Any

JSON = dict[str, Any]

# Each of these is one token in the usual vocabularies.
_WORDS = ("the", "of", "and", "to", "in", "is", "for", "that", "on", "with", "from", "have", "which", "more", "time")

_INSTRUCTIONS_WORDS = 80
_PARAMETERS = {
    "type": "object",
    "properties": {
        "command": {"type": "string", "description": "Shell command to run."},
        "workdir": {"type": "string", "description": "Folder to run it in."},
        "timeout_ms": {"type": "number", "description": "Longest run, in milliseconds."},
    },
    "required": ["command"],
    "additionalProperties": False,
}
_TOOL_NAMES = ("exec_command", "update_plan")


def words(count: int, seed: int) -> str:
    """Return a text of so many words."""
    return " ".join(random.Random(seed).choices(_WORDS, k=count))


def chat(model: str, stream: bool = True) -> bytes:
    """Return a short conversation for Chat."""
    messages = [
        {"role": "system", "content": words(_INSTRUCTIONS_WORDS, 1)},
        {"role": "user", "content": words(40, 2)},
        {"role": "assistant", "content": words(60, 3)},
        {"role": "user", "content": words(40, 4)},
    ]
    return _dump({"model": model, "messages": messages, "stream": stream})


def responses(model: str, stream: bool = True, tools: bool = False) -> bytes:
    """Return the same conversation for Responses, if asked with tools and reasoning."""
    body: JSON = {
        "model": model,
        "instructions": words(_INSTRUCTIONS_WORDS, 1),
        "input": [_message("user", words(40, 2)), _message("assistant", words(60, 3)), _message("user", words(40, 4))],
        "stream": stream,
        "store": False,
    }
    if tools:
        body |= {"tools": _tools(_TOOL_NAMES), "tool_choice": "auto", "reasoning": {"summary": "auto"}}
    return _dump(body)


def messages(model: str) -> bytes:
    """Return the same conversation for Messages."""
    turns = [
        {"role": "user", "content": words(40, 2)},
        {"role": "assistant", "content": words(60, 3)},
        {"role": "user", "content": words(40, 4)},
    ]
    system = words(_INSTRUCTIONS_WORDS, 1)
    return _dump({"model": model, "max_tokens": 1024, "system": system, "messages": turns, "stream": True})


@cache
def long_thread(model: str, items: int, total_words: int, stream: bool = False) -> bytes:
    """Return a long agent session for Responses: messages, calls and their outputs, in turn."""
    share = total_words // items
    history: list[JSON] = []
    for number in range(items // 4):
        history += [
            _message("user", words(share // 2, number)),
            _message("assistant", words(share // 2, number + 1)),
            _call(number, words(share // 2, number + 2)),
            _output(number, words(share * 5 // 2, number + 3)),
        ]
    body = {
        "model": model,
        "instructions": words(_INSTRUCTIONS_WORDS, 1),
        "input": history,
        "tools": _tools(_TOOL_NAMES),
        "stream": stream,
        "store": False,
    }
    return _dump(body)


@cache
def agent_thread(model: str, turns: int = 30) -> tuple[bytes, ...]:
    """Return the requests of one session as Codex sends them: each with all that came before.

    4 000 words of instructions, 12 tools, in each turn reasoning, a sentence, two calls and their outputs.
    """
    bodies = []
    history = [_message("user", words(200, 5))]
    names = (*_TOOL_NAMES, *(f"tool_{number}" for number in range(10)))
    fixed = {
        "instructions": words(4000, 6),
        "tools": _tools(names),
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "reasoning": {"effort": "medium", "summary": "auto"},
        "store": False,
        "stream": True,
        "include": [],
        "prompt_cache_key": "0198a0b2-7c1e-7b52-9f0a-1f6f6f0a5f11",
    }
    for turn in range(turns):
        bodies.append(_dump({"model": model, **fixed, "input": history}))
        summary = [{"type": "summary_text", "text": words(60, turn)}]
        history = [
            *history,
            {"type": "reasoning", "id": f"rs_{turn}", "summary": summary, "encrypted_content": None},
            _message("assistant", words(20, turn + 1)),
            _call(2 * turn, words(15, turn + 2)),
            _call(2 * turn + 1, words(15, turn + 3)),
            _output(2 * turn, words(500, turn + 4)),
            _output(2 * turn + 1, words(200, turn + 5)),
        ]
    return tuple(bodies)


def _message(role: str, text: str) -> JSON:
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}


def _call(number: int, command: str) -> JSON:
    arguments = json.dumps({"command": command})
    return {"type": "function_call", "name": "exec_command", "arguments": arguments, "call_id": f"call_{number}"}


def _output(number: int, text: str) -> JSON:
    return {"type": "function_call_output", "call_id": f"call_{number}", "output": text}


def _tools(names: tuple[str, ...]) -> list[JSON]:
    described = {"description": words(30, 7), "strict": False, "parameters": _PARAMETERS}
    return [{"type": "function", "name": name, **described} for name in names]


def _dump(body: JSON) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()
