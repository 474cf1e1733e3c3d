"""What two runs of one client say differently is taken out; what people mean stays."""

from __future__ import annotations

import pytest

from gateway.replay.volatile import settled, settled_value


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("<cwd>/home/ann/project</cwd>", "<cwd>/tmp/pytest-of-root/pytest-7/test_x0/work</cwd>"),
        ("cat /tmp/a1/work/poem.txt && ls", "cat /var/folders/x/poem.txt && ls"),
        (r"C:\Users\Ann\work", r"D:\Build Agents\7"),
        ("~/.claude/projects/-tmp-a/memory/", "~/.claude/projects/-tmp-b/memory/"),
        ("<current_date>2026-11-27</current_date>", "<current_date>2025-01-02</current_date>"),
        ("at 2026-11-27T16:01:45.123456Z", "at 2026-11-28 09:10:11+01:00"),
        ("Today is Friday, November 27, 2026.", "Today is Tuesday, January 6, 2026."),
        ("Fri Nov 27 16:01:45 UTC 2026", "Sat Nov 28 06:01:45 UTC 2026"),
        ("27 Nov 2026", "1 Dec 2026"),
        ("on 11/27/2026 at 4:05 PM", "on 1/2/2026 at 11:15 AM"),
        ("Chunk ID: 046397\nWall time: 0.0000 seconds", "Chunk ID: c0d37f\nWall time: 0.1 seconds"),
        ("took 12ms", "took 9ms"),
        ("session 5f7c9f0e-1c5b-4f0e-9f0e-0123456789ab", "session 00000000-1c5b-4f0e-9f0e-0123456789ab"),
        ("call_0123456789abcdef01", "call_fedcba98765432100f"),
        ("http://127.0.0.1:41234/v1", "http://127.0.0.1:5102/v1"),
    ],
)
def test_what_changes_is_named(one: str, other: str) -> None:
    assert settled(one) == settled(other) != one


@pytest.mark.parametrize(
    "text",
    [
        "Say hello.",
        "either/or, and 12 items of 300",
        "https://example.com/a/b",
        "call_1 and req_7",
        "</cwd><shell>bash</shell>",
        "decade of facades",
        "May I?",
        "version 1.2.3, port 80",
    ],
)
def test_what_is_meant_stays(text: str) -> None:
    assert settled(text) == text


def test_the_name_of_a_file_counts() -> None:
    assert settled("rm /tmp/a/x.txt") != settled("rm /tmp/a/y.txt")


def test_all_texts_of_a_value_are_settled() -> None:
    value = {"a": ["/tmp/x/y", 1, None, {"b": "2026-11-27"}]}
    assert settled_value(value) == {"a": ["‹path›", 1, None, {"b": "‹date›"}]}
