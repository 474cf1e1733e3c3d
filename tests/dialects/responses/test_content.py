"""Content parts."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from gateway.dialects.chat.history import NO_IMAGE
from gateway.dialects.responses.content import Intake, content, plain_text
from gateway.errors import RequestError, TooLarge
from gateway.profile import Limits, Model, Terms

PNG = "data:image/png;base64,iVBORw0KGgo="
PDF = "data:application/pdf;base64," + b64encode(b"%PDF-1.7 \xff").decode()


def intake(**model: Any) -> Intake:
    return Intake(Terms(Model("m", **model)))


def b64(text: str) -> str:
    return b64encode(text.encode()).decode()


TEXTS: dict[str, tuple[Any, str]] = {
    "string": ("hi", "hi"),
    "input-text": ([{"type": "input_text", "text": "hi"}], "hi"),
    "output-text": ([{"type": "output_text", "text": "hi", "annotations": []}], "hi"),
    "text-of-chat": ([{"type": "text", "text": "hi"}], "hi"),
    "two-texts": ([{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}], "a\nb"),
    "refusal": ([{"type": "refusal", "refusal": "No."}], "No."),
    "empty-list": ([], ""),
    "breakpoint-is-ignored": ([{"type": "input_text", "text": "a", "prompt_cache_breakpoint": {}}], "a"),
    "file-base64": ([{"type": "input_file", "file_data": b64("né")}], "né"),
    "file-base64-lines": ([{"type": "input_file", "file_data": "YWJj\nZA=="}], "abcd"),
    "file-named": ([{"type": "input_file", "filename": "a.md", "file_data": b64("x")}], "File a.md:\n\nx"),
    "file-text-url": ([{"type": "input_file", "file_data": "data:text/csv;charset=utf-8;base64," + b64("1,2")}], "1,2"),
    "file-percent-url": ([{"type": "input_file", "file_data": "data:,a%20b"}], "a b"),
    "file-json-url": ([{"type": "input_file", "file_data": "DATA:application/json;base64," + b64("{}")}], "{}"),
    "file-suffix-url": ([{"type": "input_file", "file_data": "data:image/svg+xml," + "<svg/>"}], "<svg/>"),
    "file-url-with-data": ([{"type": "input_file", "file_url": "data:text/plain," + "a"}], "a"),
    "file-with-mark": ([{"type": "input_file", "file_data": b64("\ufeffa")}], "a"),
}


@pytest.mark.parametrize(("value", "expected"), [pytest.param(*case, id=name) for name, case in TEXTS.items()])
def test_text_becomes_a_string(value: Any, expected: str) -> None:
    assert content(value, "p", intake()) == expected
    assert plain_text(value, "p", intake()) == expected


def test_parts_of_an_assistant_are_joined_by_nothing() -> None:
    value = [{"type": "output_text", "text": "a"}, {"type": "output_text", "text": "b"}]
    assert plain_text(value, "p", intake(), "") == "ab"


IMAGES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "data": ({"type": "input_image", "image_url": PNG}, {"url": PNG}),
    "url": ({"type": "input_image", "image_url": "https://a.example/b.png"}, {"url": "https://a.example/b.png"}),
    "detail": ({"type": "input_image", "image_url": PNG, "detail": "low"}, {"url": PNG, "detail": "low"}),
    "original": ({"type": "input_image", "image_url": PNG, "detail": "original"}, {"url": PNG, "detail": "high"}),
    "null-detail": ({"type": "input_image", "image_url": PNG, "detail": None}, {"url": PNG}),
    "chat": ({"type": "image_url", "image_url": {"url": PNG, "detail": "auto"}}, {"url": PNG, "detail": "auto"}),
}


@pytest.mark.parametrize(("part", "expected"), [pytest.param(*case, id=name) for name, case in IMAGES.items()])
def test_images(part: dict[str, Any], expected: dict[str, Any]) -> None:
    text = {"type": "input_text", "text": "see"}
    assert content([text, part], "p", intake()) == [
        {"type": "text", "text": "see"},
        {"type": "image_url", "image_url": expected},
    ]


def test_an_image_for_a_text_model_becomes_a_note_and_is_listed() -> None:
    taken = intake(input_modalities=frozenset({"text"}))
    value = [{"type": "input_text", "text": "see"}, {"type": "input_image", "image_url": PNG}]
    assert content(value, "input[0].content", taken) == f"see\n{NO_IMAGE}"
    assert taken.dropped == ["input[0].content[1]"]


def test_an_image_is_not_counted_as_text() -> None:
    taken = intake()
    content([{"type": "input_image", "image_url": PNG}], "p", taken)
    assert taken.text_bytes == 0


FILES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "data": ({"file_data": PDF, "filename": "a.pdf"}, {"filename": "a.pdf", "file_data": PDF}),
    "id": ({"file_id": "file-1"}, {"file_id": "file-1"}),
    "bare-base64": ({"file_data": "//8="}, {"file_data": "//8="}),
    "zeros": ({"file_data": b64("a\0b")}, {"file_data": b64("a\0b")}),
}


@pytest.mark.parametrize(("members", "expected"), [pytest.param(*case, id=name) for name, case in FILES.items()])
def test_files_for_a_model_that_takes_them(members: dict[str, Any], expected: dict[str, Any]) -> None:
    value = [{"type": "input_file", **members}]
    assert content(value, "p", intake(files=True)) == [{"type": "file", "file": expected}]
    with pytest.raises(RequestError) as caught:
        content(value, "p", intake())
    assert (caught.value.param, caught.value.code) == ("p[0]", "unsupported_file")
    assert "input_text" in caught.value.message


FAULTS: dict[str, tuple[Any, str, str]] = {
    "null": (None, "p", "invalid_request_format"),
    "number": (5, "p", "invalid_request_format"),
    "object": ({"type": "input_text", "text": "a"}, "p", "invalid_request_format"),
    "part-string": (["a"], "p[0]", "invalid_request_format"),
    "no-type": ([{"text": "a"}], "p[0].type", "invalid_request_format"),
    "type-list": ([{"type": ["input_text"]}], "p[0].type", "invalid_request_format"),
    "unknown-type": ([{"type": "input_text", "text": ""}, {"type": "smell"}], "p[1]", "unsupported_content"),
    "audio": ([{"type": "input_audio", "input_audio": {}}], "p[0]", "unsupported_content"),
    "text-missing": ([{"type": "input_text"}], "p[0].text", "invalid_request_format"),
    "text-number": ([{"type": "output_text", "text": 1}], "p[0].text", "invalid_request_format"),
    "refusal-missing": ([{"type": "refusal"}], "p[0].refusal", "invalid_request_format"),
    "image-missing": ([{"type": "input_image"}], "p[0].image_url", "invalid_request_format"),
    "image-number": ([{"type": "input_image", "image_url": 1}], "p[0].image_url", "invalid_request_format"),
    "image-chat-empty": ([{"type": "image_url", "image_url": {}}], "p[0].image_url", "invalid_request_format"),
    "image-id": ([{"type": "input_image", "file_id": "f"}], "p[0].file_id", "unsupported_image"),
    "image-scheme": ([{"type": "input_image", "image_url": "file:///a"}], "p[0].image_url", "unsupported_image"),
    "detail": ([{"type": "input_image", "image_url": PNG, "detail": "x"}], "p[0].detail", "invalid_request_format"),
    "file-empty": ([{"type": "input_file"}], "p[0]", "invalid_request_format"),
    "file-url": ([{"type": "input_file", "file_url": "https://a.example/a"}], "p[0]", "unsupported_file"),
    "file-number": ([{"type": "input_file", "file_data": 1}], "p[0].file_data", "invalid_request_format"),
    "file-name": ([{"type": "input_file", "filename": 1}], "p[0].filename", "invalid_request_format"),
    "file-not-base64": ([{"type": "input_file", "file_data": "?"}], "p[0]", "invalid_request_format"),
    "file-not-ascii": ([{"type": "input_file", "file_data": "é"}], "p[0]", "invalid_request_format"),
    "file-no-comma": ([{"type": "input_file", "file_data": "data:text/plain"}], "p[0]", "invalid_request_format"),
}


@pytest.mark.parametrize(("value", "param", "code"), [pytest.param(*case, id=name) for name, case in FAULTS.items()])
def test_faults_are_named(value: Any, param: str, code: str) -> None:
    with pytest.raises(RequestError) as caught:
        content(value, "p", intake(files=True))
    assert (caught.value.status, caught.value.param, caught.value.code) == (400, param, code)


def test_an_image_where_only_text_can_be() -> None:
    value = [{"type": "input_text", "text": "a"}, {"type": "input_image", "image_url": PNG}]
    with pytest.raises(RequestError) as caught:
        plain_text(value, "p", intake())
    assert (caught.value.param, caught.value.code) == ("p[1]", "unsupported_content")


def test_text_is_counted_in_bytes() -> None:
    taken = Intake(Terms(Model("m"), Limits(max_text_bytes=4)))
    taken.count("ab")
    taken.count("é")
    with pytest.raises(TooLarge) as caught:
        taken.count("a")
    assert (caught.value.status, caught.value.code) == (413, "request_too_large")
    assert "4 bytes (MAX_TEXT_BYTES)" in caught.value.message
