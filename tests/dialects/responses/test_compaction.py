"""The messages of a compaction."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.dialects.responses import compaction


def test_the_prompt_and_the_summary_are_user_messages() -> None:
    assert compaction.prompt_message()["role"] == "user"
    message = compaction.summary_message("Did X.")
    assert message["role"] == "user"
    assert "summary of the conversation so far" in message["content"]
    assert message["content"].endswith("Did X.")


def kept(parts: Any, **members: Any) -> dict[str, Any]:
    return {**members, "type": "message", "role": "user", "status": "completed", "content": parts}


PARTS = [{"type": "input_text", "text": "a"}]

CASES: dict[str, tuple[Any, list[Any]]] = {
    "string": ("a", [kept(PARTS)]),
    "absent": (None, []),
    "items": (
        [
            {"role": "developer", "content": "x"},
            {"role": "user", "content": "a"},
            {"type": "message", "id": "msg_1", "role": "user", "content": PARTS},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "additional_tools", "role": "user", "tools": []},
        ],
        [kept(PARTS), kept(PARTS, id="msg_1")],
    ),
}


@pytest.mark.parametrize(("given", "expected"), CASES.values(), ids=CASES.keys())
def test_the_users_own_messages_are_kept(given: Any, expected: list[Any]) -> None:
    assert list(compaction.kept_messages({"input": given})) == expected
