"""Content of a chat client's messages."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.dialects import HUB_KEY
from gateway.dialects.chat.client_parts import Intake, content, plain_text
from gateway.errors import RequestError, TooLarge, UnsupportedFeature
from gateway.profile import Limits, Model, Terms

PNG = "data:image/png;base64,AA"


def intake(**limits: int) -> Intake:
    return Intake(Terms(Model("m"), Limits(**limits)))


PARTS: dict[str, tuple[Any, dict[str, Any]]] = {
    "text": ({"type": "text", "text": "a"}, {"type": "text", "text": "a"}),
    "input-text": ({"type": "input_text", "text": "a"}, {"type": "text", "text": "a"}),
    "output-text": ({"type": "output_text", "text": "a", "annotations": []}, {"type": "text", "text": "a"}),
    "bare-string": ("a", {"type": "text", "text": "a"}),
    "refusal": ({"type": "refusal", "refusal": "No."}, {"type": "text", "text": "No."}),
    "image": ({"type": "image_url", "image_url": {"url": PNG}}, {"type": "image_url", "image_url": {"url": PNG}}),
    "image-with-detail": (
        {"type": "image_url", "image_url": {"url": "https://a/b.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://a/b.png", "detail": "low"}},
    ),
    "image-as-a-string": ({"type": "image_url", "image_url": PNG}, {"type": "image_url", "image_url": {"url": PNG}}),
    "input-image": (
        {"type": "input_image", "image_url": PNG, "detail": "high"},
        {"type": "image_url", "image_url": {"url": PNG, "detail": "high"}},
    ),
    "detail-beside-an-object": (
        {"type": "image_url", "image_url": {"url": PNG, "detail": None}, "detail": "low"},
        {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
    ),
    "image-by-file-id": (
        {"type": "input_image", "file_id": "file-1"},
        {"type": "file", "file": {"file_id": "file-1"}, HUB_KEY: {"type": "input_image", "detail": "auto"}},
    ),
    "file": (
        {"type": "file", "file": {"file_data": "data:x", "filename": "a.pdf", "file_id": None}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:x"}},
    ),
    "file-id": ({"type": "file", "file": {"file_id": "file-1"}}, {"type": "file", "file": {"file_id": "file-1"}}),
    "input-file": ({"type": "input_file", "file_id": "file-1"}, {"type": "file", "file": {"file_id": "file-1"}}),
    "input-file-by-address": (
        {"type": "input_file", "file_url": "https://a"},
        {"type": "file", "file": {}, HUB_KEY: {"file_url": "https://a"}},
    ),
}


@pytest.mark.parametrize(("given", "part"), PARTS.values(), ids=PARTS)
def test_a_part(given: Any, part: dict[str, Any]) -> None:
    assert content([given], "c", intake()) == [part]


@pytest.mark.parametrize(
    ("given", "param", "code"),
    [
        (None, "c", "invalid_request_format"),
        (7, "c", "invalid_request_format"),
        ([7], "c[0]", "invalid_request_format"),
        ([{}], "c[0].type", "invalid_request_format"),
        ([{"type": []}], "c[0].type", "invalid_request_format"),
        ([{"type": "text"}], "c[0].text", "invalid_request_format"),
        ([{"type": "text", "text": 1}], "c[0].text", "invalid_request_format"),
        ([{"type": "input_audio", "input_audio": {}}], "c[0]", "unsupported_audio"),
        ([{"type": "video_url"}], "c[0]", "unsupported_content"),
        ([{"type": "image_url"}], "c[0].image_url", "invalid_request_format"),
        ([{"type": "image_url", "image_url": {}}], "c[0].image_url.url", "invalid_request_format"),
        ([{"type": "image_url", "image_url": "file:///etc"}], "c[0].image_url", "unsupported_image"),
        ([{"type": "input_image", "file_id": ""}], "c[0].file_id", "invalid_request_format"),
        ([{"type": "file", "file": {}}], "c[0].file", "invalid_request_format"),
        ([{"type": "file", "file": "x"}], "c[0].file", "invalid_request_format"),
        ([{"type": "input_file", "file_data": 1}], "c[0].file_data", "invalid_request_format"),
    ],
)
def test_a_fault_names_its_place(given: Any, param: str, code: str) -> None:
    with pytest.raises(RequestError) as caught:
        content(given, "c", intake())
    assert (caught.value.param, caught.value.code) == (param, code)


def test_a_string_stays_one() -> None:
    assert content("a", "c", intake()) == "a"


def test_text_alone_is_joined() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert plain_text(parts, "c", intake()) == "a\nb"
    assert plain_text("a", "c", intake()) == "a"
    with pytest.raises(UnsupportedFeature) as caught:
        plain_text([*parts, {"type": "image_url", "image_url": PNG}], "c", intake())
    assert caught.value.param == "c[2]"


def test_all_text_counts_and_images_do_not() -> None:
    small = intake(max_text_bytes=4)
    content(["ab", {"type": "image_url", "image_url": PNG}, "é"], "c", small)
    with pytest.raises(TooLarge, match="MAX_TEXT_BYTES"):
        content("x", "c", small)
