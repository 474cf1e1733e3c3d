"""A request with any single field broken gets an error that names the field, and nothing is a fault of ours."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.dialects.responses.fields import FATES
from tests.support.transport import ScriptedTransport, call, completion, gateway

WRONG: list[Any] = [{"a": 1}, [1], "text", 1.5, True, -1, [{}], [[]], "", {"type": 3}, [None]]
"""Values of every JSON type, of which a field takes some and refuses the others."""

TAKEN_AS_THEY_ARE = {"context_management", "moderation", "image", "access_programs", "prompt_cache_options", "n"}
TAKEN_AS_THEY_ARE |= {"prompt_cache_retention", "functions", "function_call", "api_base", "base_url", "api_key"}
TAKEN_AS_THEY_ARE |= {"api_type", "api_version", "client_metadata", "stream_options", "_gateway"}
"""Fields that mean nothing here: dropped and listed, whatever they hold."""

RESPONSES: dict[str, Any] = {"model": "m", "input": "hi"}
MESSAGES: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}


MESSAGES_FIELDS = ["model", "max_tokens", "messages", "system", "tools", "tool_choice", "thinking", "temperature"]
MESSAGES_FIELDS += ["top_p", "top_k", "stop_sequences", "stream", "output_config"]


class Endless(ScriptedTransport):
    """Answers every request alike."""

    def send(self, request: Any) -> Any:
        self._scripts = [completion()]
        return super().send(request)


APP = gateway(Endless(), ENABLE_CIRCUIT_BREAKER="false")


@pytest.mark.parametrize("field", sorted(set(FATES) - TAKEN_AS_THEY_ARE))
def test_a_broken_field_of_a_responses_request_is_named(field: str) -> None:
    refused = 0
    for value in WRONG:
        reply = call(APP, "POST", "/v1/responses", {**RESPONSES, field: value})
        assert reply.status_code in (200, 400, 413), (value, reply.text)
        if reply.status_code != 200:
            refused += 1
            assert reply.json is not None
            assert reply.json["error"]["param"].startswith(field), (value, reply.text)
    assert refused


@pytest.mark.parametrize("field", MESSAGES_FIELDS)
def test_a_broken_field_of_a_messages_request_is_named(field: str) -> None:
    refused = 0
    for value in WRONG:
        reply = call(APP, "POST", "/v1/messages", {**MESSAGES, field: value})
        assert reply.status_code in (200, 400, 413), (value, reply.text)
        if reply.status_code != 200:
            refused += 1
            assert reply.json is not None
            assert field in reply.json["error"]["message"], (value, reply.text)
    assert refused


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("path", "body"), [("/v1/responses", RESPONSES), ("/v1/messages", MESSAGES), ("/v1/chat/completions", MESSAGES)]
)
@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_body_is_a_fault_of_ours(path: str, body: dict[str, Any], data: st.DataObject) -> None:
    names = st.sampled_from([*FATES, *MESSAGES, "system", "tools", "thinking", "input", "odd"])
    sent = {**body, **data.draw(st.dictionaries(names, JSON_VALUES, max_size=3))}
    reply = call(APP, "POST", path, sent)
    assert reply.status_code < 500, reply.text
    assert "Traceback" not in reply.text
