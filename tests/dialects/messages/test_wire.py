"""`gateway.dialects.messages.wire`: errors in Anthropic's envelope."""

from __future__ import annotations

import pytest

from gateway.dialects.messages.wire import encode_error, type_of_status
from gateway.errors import GatewayError, NotFound, RequestError, UpstreamStatus
from gateway.upstream_error import CONTEXT_CODE, ContextOverflow, Overflow


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (402, "billing_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (405, "invalid_request_error"),
        (413, "request_too_large"),
        (415, "invalid_request_error"),
        (422, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (501, "api_error"),
        (502, "api_error"),
        (503, "overloaded_error"),
        (504, "timeout_error"),
        (529, "overloaded_error"),
    ],
)
def test_type_of_status(status: int, expected: str) -> None:
    assert type_of_status(status) == expected


def test_envelope() -> None:
    assert encode_error(NotFound("No such model."), "req_7") == {
        "type": "error",
        "error": {"type": "not_found_error", "message": "No such model."},
        "request_id": "req_7",
    }
    assert "request_id" not in encode_error(NotFound("x"), "")


def overflow(message: str, prompt: int | None, limit: int | None) -> ContextOverflow:
    return ContextOverflow(message, status=400, overflow=Overflow(prompt, limit), headers={})


@pytest.mark.parametrize(
    ("error", "message"),
    [
        pytest.param(overflow("w", 40000, 32768), "prompt is too long: 40000 tokens > 32768 maximum", id="figures"),
        pytest.param(overflow("Input too big", None, 32768), "prompt is too long: Input too big", id="no-prompt"),
        pytest.param(overflow("Input too big", 9, None), "prompt is too long: Input too big", id="no-limit"),
        pytest.param(overflow("A + B > C", 30000, 32768), "prompt is too long: A + B > C", id="only-with-the-answer"),
        pytest.param(
            overflow("Prompt is too long: 5 tokens > 4 maximum", 5, 4),
            "Prompt is too long: 5 tokens > 4 maximum",
            id="worded-so-already",
        ),
        pytest.param(
            UpstreamStatus("window exceeded", status=400, code=CONTEXT_CODE),
            "prompt is too long: window exceeded",
            id="code-alone",
        ),
        pytest.param(RequestError("no `model`"), "no `model`", id="other"),
        pytest.param(GatewayError("ours"), "ours", id="our-fault"),
    ],
)
def test_context_overflow_is_worded_so_that_clients_compact(error: GatewayError, message: str) -> None:
    assert encode_error(error, "")["error"]["message"] == message
