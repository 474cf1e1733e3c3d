"""A request is taken apart alike wherever its API root is and whatever dialect it speaks."""

from __future__ import annotations

import json

import pytest

from gateway.replay.asked import take_apart


@pytest.mark.parametrize(
    ("target", "operation"),
    [
        ("/v1/chat/completions", "POST chat/completions"),
        ("/api/v1/chat/completions?x=1", "POST chat/completions"),
        ("/openai/deployments/mine/chat/completions?api-version=1", "POST chat/completions"),
        ("/v1beta/openai/chat/completions", "POST openai/chat/completions"),
        ("/v1/responses/", "POST responses"),
        ("/else/where", "POST else/where"),
    ],
)
def test_the_operation_stands_behind_the_root(target: str, operation: str) -> None:
    assert take_apart("POST", target, None).operation == operation


def asked(**body: object):  # type: ignore[no-untyped-def]
    return take_apart("POST", "/v1/x", json.dumps(body).encode())


def test_chat_is_messages_and_tools() -> None:
    one = asked(
        model="m",
        temperature=1,
        messages=[{"role": "system", "content": "a"}, {"role": "tool", "content": "b"}],
        tools=[{"type": "function", "function": {"name": "f"}}],
    )
    assert [(piece.place, piece.role) for piece in one.messages] == [("messages[0]", "system"), ("messages[1]", "tool")]
    assert [(piece.place, piece.role) for piece in one.tools] == [("tools[0]", "f")]
    assert one.model == "m"
    assert one.print.messages == tuple(piece.digest for piece in one.messages)


def test_responses_are_instructions_and_items() -> None:
    one = asked(
        instructions="be kind",
        input=[
            {"role": "user", "content": "x"},
            {"type": "reasoning"},
            {"type": "function_call", "name": "f"},
            {"type": "function_call_output"},
            "odd",
        ],
        tools=[{"type": "web_search"}, {"name": "g"}],
    )
    roles = ["system", "user", "assistant", "assistant", "tool", "user"]
    assert [piece.role for piece in one.messages] == roles
    assert [piece.role for piece in one.tools] == ["web_search", "g"]
    assert [piece.place for piece in one.messages][:2] == ["instructions", "input[0]"]


def test_other_bodies_are_one_piece() -> None:
    assert [piece.place for piece in asked(model="m", audio="x").messages] == ["body"]
    assert [piece.place for piece in take_apart("POST", "/v1/x", b"\xff").messages] == ["body"]
    assert take_apart("GET", "/v1/x", None).messages == ()
    assert asked(input="hi", tools="odd", model=3).model is None


def test_settings_are_the_rest_and_order_of_members_does_not_count() -> None:
    one, other = asked(prompt="a", seed=1, user="u"), asked(user="u", seed=1, prompt="a")
    assert one.print == other.print
    assert one.rest != asked(prompt="a", seed=2, user="u").rest
