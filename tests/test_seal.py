"""Envelopes open for their own key only."""

from __future__ import annotations

import pytest

from gateway.seal import Envelope

TEXT = "thinking … 思考 \ud800 end"


def test_what_was_sealed_opens_again_also_in_another_process() -> None:
    sealed = Envelope("sk-one").seal(TEXT)
    assert sealed.startswith("gw1.")
    assert "thinking" not in sealed
    assert Envelope("sk-one").open(sealed) == TEXT
    assert Envelope("sk-one").seal(TEXT) == sealed


@pytest.mark.parametrize(
    "other", [Envelope("sk-two"), Envelope(None), Envelope("sk-one", b"secret")], ids=["key", "no-key", "secret"]
)
def test_it_opens_for_no_other_key(other: Envelope) -> None:
    assert other.open(Envelope("sk-one").seal(TEXT)) is None


@pytest.mark.parametrize("damage", ["", "gw1.", "gw1.!!!", "gw1.AAAA", "gw2.AAAA", "gAAAAABforeign", "gw1.é"])
def test_what_is_foreign_or_damaged_is_none(damage: str) -> None:
    assert Envelope("k").open(damage) is None


def test_every_flipped_character_is_noticed() -> None:
    sealed = Envelope("k").seal("some text")
    for at in range(4, len(sealed)):
        other = "A" if sealed[at] != "A" else "B"
        opened = Envelope("k").open(sealed[:at] + other + sealed[at + 1 :])
        # The last character of base64 has bits that mean nothing.
        assert opened is None or (at == len(sealed) - 1 and opened == "some text")
