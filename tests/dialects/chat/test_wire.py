from __future__ import annotations

from typing import Any

import pytest

from gateway.dialects.chat.wire import (
    CHAT_REASONS,
    FINISH_REASONS,
    annotation_from_chat,
    annotation_to_chat,
    encode_error,
)
from gateway.errors import RequestError, UpstreamStatus


def test_errors_have_all_members() -> None:
    assert encode_error(RequestError("No.", param="input[0]"), "req_1") == {
        "error": {
            "message": "No.",
            "type": "invalid_request_error",
            "param": "input[0]",
            "code": "invalid_request_format",
        }
    }
    assert encode_error(UpstreamStatus("No.", status=500), "")["error"] == {
        "message": "No.",
        "type": "server_error",
        "param": None,
        "code": None,
    }


def test_each_reason_goes_out_and_comes_back() -> None:
    assert {reason: FINISH_REASONS[word] for reason, word in CHAT_REASONS.items() if reason != "other"} == {
        reason: reason for reason in CHAT_REASONS if reason != "other"
    }


CITATION = {"type": "url_citation", "url": "u", "title": "t", "start_index": 1, "end_index": 2}


@pytest.mark.parametrize("flat", [CITATION, {"type": "file_citation", "file_id": "f"}])
def test_annotations_go_out_and_come_back(flat: dict[str, Any]) -> None:
    assert annotation_from_chat(annotation_to_chat(flat)) == flat
    assert annotation_from_chat(flat) == flat


def test_citations_are_completed() -> None:
    assert annotation_from_chat({"type": "url_citation", "url_citation": {"url": "u", "title": None}}) == {
        "type": "url_citation",
        "url": "u",
        "title": "",
        "start_index": 0,
        "end_index": 0,
    }
