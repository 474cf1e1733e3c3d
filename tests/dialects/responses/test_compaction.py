"""The messages of a compaction."""

from __future__ import annotations

from gateway.dialects.responses import compaction


def test_the_prompt_and_the_summary_are_user_messages() -> None:
    assert compaction.prompt_message()["role"] == "user"
    message = compaction.summary_message("Did X.")
    assert message["role"] == "user"
    assert "summary of the conversation so far" in message["content"]
    assert message["content"].endswith("Did X.")
