"""Payloads are made to fit, and it is said what is missing."""

from __future__ import annotations

import json

from gateway.view.trimmed import trimmed_body, trimmed_text


def test_what_fits_stays() -> None:
    assert trimmed_body(b'{"a": [1, "x"]}', 100) == ({"a": [1, "x"]}, 15)
    assert trimmed_body(None, 100) == (None, 0)
    assert trimmed_body(b"plain \xff", 100) == ("plain \ufffd", 7)
    assert trimmed_body(b"{broken", 100) == ("{broken", 7)


def test_long_texts_and_lists_are_cut() -> None:
    raw = json.dumps({"messages": [{"content": "x" * 30_000, "n": n} for n in range(900)]}).encode()
    body, size = trimmed_body(raw, 40_000)
    assert size == len(raw)
    assert len(json.dumps(body)) < 50_000
    assert body["messages"][0]["content"].endswith("more characters)")
    assert body["messages"][10] == "… (860 more)"
    assert body["messages"][-1]["n"] == 899


def test_of_tools_the_names_stay() -> None:
    tools = [{"function": {"name": "f", "description": "x" * 900}}, {"name": "g", "x": "y" * 900}, {"type": "web"}, 7]
    tools.append({"function": 3, "long": "x" * 900})
    body, _ = trimmed_body(json.dumps({"tools": tools}).encode(), 2000)
    assert body["tools"][:4] == [{"name": "f", "…": "942 bytes"}, {"name": "g", "…": "919 bytes"}, {"type": "web"}, 7]
    assert trimmed_body(json.dumps({"tools": "x" * 900}).encode(), 500)[0]["tools"].endswith("more characters)")


def test_short_lists_stay_whole_in_a_body_that_is_cut() -> None:
    body, _ = trimmed_body(json.dumps({"a": [1, "x" * 9000, None]}).encode(), 5000)
    assert body["a"][0] == 1
    assert body["a"][2] is None


def test_what_cannot_be_cut_is_text() -> None:
    raw = json.dumps({f"member{n}": n for n in range(5000)}).encode()
    body, _ = trimmed_body(raw, 1000)
    assert body.startswith('{"member0"')
    assert body.endswith("more bytes)")
    assert trimmed_text(b"x" * 10_000, 10) == "xxxxxxxxxx… (9,990 more bytes)"
    assert trimmed_text(b"x" * 20, 10) == "xxxxxxxxxx… (10 more bytes)"
