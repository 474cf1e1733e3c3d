"""`gateway.dialects.messages.signature`: what is signed is found again, what is foreign holds nothing."""

from __future__ import annotations

import pytest

from gateway.dialects.messages.signature import sealed_of, sign


@pytest.mark.parametrize(
    ("signature", "sealed"),
    [
        pytest.param(sign("abc"), "abc", id="sealed"),
        pytest.param(sign(""), "", id="sealed-empty"),
        pytest.param(sign(None), None, id="mark"),
        pytest.param("", None, id="empty"),
        pytest.param("EqoBCkgIARAB", None, id="foreign"),
    ],
)
def test_signature(signature: str, sealed: str | None) -> None:
    assert sealed_of(signature) == sealed
