"""The raw input of custom tools: what models send for it, whole and cut anywhere."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dialects.responses.freeform import Freeform, JSONString, read

PATCH = '*** Begin Patch\n*** Update File: a.py\n@@\n-x = "1"\n+x = "2\\n"\n*** End Patch'
CODE = 'const r = await tools.exec({"cmd": "ls"});\ntext(r);'


def extracted(arguments: str, name: str = "apply_patch", size: int = 1, *, cut: bool = False) -> str:
    """Feed the arguments in pieces of this size and return the input."""
    freeform = Freeform(name)
    pieces = [freeform.feed(arguments[at : at + size]) for at in range(0, len(arguments), size)]
    return "".join(pieces) + freeform.finish(cut=cut)


FORMS = {
    "canonical": (json.dumps({"input": PATCH}), PATCH),
    "canonical-line-end": (json.dumps({"input": PATCH + "\n"}), PATCH + "\n"),
    "white-space": (' {\n "input" :\t' + json.dumps(PATCH) + " \n}\n", PATCH),
    "raw-line-ends": ('{"input":"' + PATCH.replace("\\", "\\\\").replace('"', '\\"') + '"}', PATCH),
    "more-members-after": (json.dumps({"input": PATCH, "workdir": "/"}), PATCH),
    "more-members-before": (json.dumps({"workdir": "/", "input": PATCH}), PATCH),
    "patch-member": (json.dumps({"patch": PATCH}), PATCH),
    "unknown-only-member": (json.dumps({"diff_text": PATCH}), PATCH),
    "null-input": (json.dumps({"input": None, "patch": PATCH}), PATCH),
    "nested": (json.dumps({"input": {"patch": PATCH}}), PATCH),
    "command-list": (json.dumps({"command": ["apply_patch", PATCH]}), PATCH),
    "command-text": (json.dumps({"command": f"apply_patch <<'EOF'\n{PATCH}\nEOF"}), PATCH),
    "shell-list": (json.dumps({"command": ["bash", "-lc", f"cd b && apply_patch <<'EOF'\n{PATCH}\nEOF\n"]}), PATCH),
    "list": (json.dumps(["apply_patch", PATCH]), PATCH),
    "list-of-lines": (json.dumps({"input": PATCH.split("\n")}), PATCH),
    "bare-string": (json.dumps(PATCH), PATCH),
    "encoded-twice": (json.dumps(json.dumps({"input": PATCH})), PATCH),
    "line-ends-escaped-twice": (
        json.dumps({"input": "*** Begin Patch\\n*** End Patch"}),
        "*** Begin Patch\n*** End Patch",
    ),
    "no-json": (PATCH, PATCH),
    "fence": (json.dumps({"input": f"```\n{PATCH}\n```"}), PATCH),
    "fence-with-language": (f"```diff\n{PATCH}\n```\n", PATCH),
    "heredoc": (json.dumps({"input": f"apply_patch <<'EOF'\n{PATCH}\nEOF"}), PATCH),
    "quoted-command": (json.dumps({"cmd": f'apply_patch "{PATCH}"'}), PATCH),
    "starred-markers": (json.dumps({"input": PATCH.replace(" Patch", " Patch ***")}), PATCH),
    "quotes-not-escaped": ('{"input":"' + PATCH.replace("\\", "\\\\").replace("\n", "\\n") + '"}', PATCH),
    "quotes-not-escaped-in-patch": ('{"patch": "' + PATCH.replace("\\", "\\\\").replace("\n", "\\n") + '" }', PATCH),
    "end-missing": (json.dumps({"input": PATCH})[:-2], PATCH),
    "end-missing-in-patch": (json.dumps({"patch": PATCH})[:-2], PATCH),
    "brace-missing": (json.dumps({"input": PATCH})[:-1], PATCH),
    "one-brace-more": (json.dumps({"input": PATCH}) + "}", PATCH),
    "no-patch": (json.dumps({"input": "--- a\n+++ b\n"}), "--- a\n+++ b\n"),
    "start-of-a-patch": (json.dumps({"input": "*** Be"}), "*** Be"),
    "no-end": (json.dumps({"patch": "*** Begin Patch\n+a\n"}), "*** Begin Patch\n+a\n"),
    "one-line": (json.dumps({"input": "*** Begin Patch"}), "*** Begin Patch"),
    "empty": ("", ""),
    "empty-object": ("{}", ""),
    "empty-input": ('{"input": ""}', ""),
    "empty-list": ("[]", ""),
    "number": ("42", "42"),
    "list-of-numbers": ("[1, 2]", "[1, 2]"),
    "many-unknown-members": ('{"a": 1, "b": 2}', '{"a": 1, "b": 2}'),
    "string-like-an-object": (json.dumps("{x}"), "{x}"),
    "string-of-another-object": (json.dumps('{"x": 1}'), '{"x": 1}'),
    "deep": ("[" * 100_000, "[" * 100_000),
    "white-space-without-end": (" " * 300 + json.dumps({"input": PATCH}), PATCH),
    "half-pair-held": ('{"patch": "\\ud83d"}', "\ufffd"),
}


@pytest.mark.parametrize("size", [1, 7, 1_000_000])
@pytest.mark.parametrize(("arguments", "text"), FORMS.values(), ids=FORMS)
def test_forms(arguments: str, text: str, size: int) -> None:
    """Whatever the form, and wherever it is cut into pieces, the raw text comes out."""
    assert extracted(arguments, size=size) == text
    assert read(arguments, "apply_patch") == text


OTHER_TOOLS = {
    "exec-plain": ("exec", CODE, CODE),
    "exec-fence": ("exec", f"```js\n{CODE}\n```", CODE),
    "exec-fence-after-a-blank-line": ("exec", f"\n ```\n{CODE}\n```\n", CODE),
    "exec-unclosed-fence": ("exec", f"```js\n{CODE}", f"```js\n{CODE}"),
    "exec-template-literal": ("exec", f"``;\n{CODE}", f"``;\n{CODE}"),
    "exec-with-a-patch-inside": ("exec", f"apply(`{PATCH}`)", f"apply(`{PATCH}`)"),
    "exec-blank": ("exec", " ", " "),
    "exec-long-blank": ("exec", " " * 400, " " * 400),
    "markdown": ("note", f"```\n{PATCH}\n```", f"```\n{PATCH}\n```"),
}


@pytest.mark.parametrize("size", [1, 1_000_000])
@pytest.mark.parametrize(("name", "sent", "text"), OTHER_TOOLS.values(), ids=OTHER_TOOLS)
def test_only_known_wrappings_are_taken_off(name: str, sent: str, text: str, size: int) -> None:
    """Code for `exec` loses its fence; the text of an unknown tool loses nothing."""
    assert extracted(json.dumps({"input": sent}), name, size) == text


ESCAPES = {
    "short": (r"\"\\\/\b\f\n\r\t", '"\\/\b\f\n\r\t'),
    "unicode": (r"\u00e9\u4E2D", "\xe9\u4e2d"),
    "pair": (r"\ud83d\uDE00", "\U0001f600"),
    "half-pair-first": (r"\ud83dx", "\ufffdx"),
    "half-pair-second": (r"\ude00x", "\ufffdx"),
    "half-pair-then-escape": (r"\ud83d\n", "\ufffd\n"),
    "half-pair-then-other": (r"\ud83d\u0041", "\ufffdA"),
    "half-pair-then-pair": (r"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
    "backslash-then-u": (r"\\u0041", r"\u0041"),
    "unknown": (r"\d\'\U0041", r"\d\'\U0041"),
    "bad-unicode": (r"\u12zz", r"\u12zz"),
    "control-characters": ("a\n\tb", "a\n\tb"),
    "line-separators": ("\u2028\x85", "\u2028\x85"),
}


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 1_000])
@pytest.mark.parametrize(("inside", "text"), ESCAPES.values(), ids=ESCAPES)
def test_escapes(inside: str, text: str, size: int) -> None:
    """Escapes come out whole wherever they are cut."""
    assert extracted(f'{{"input":"{inside}"}}', "note", size) == text


@pytest.mark.parametrize("rest", ["\\", "\\u", "\\u00e", "\\ud83d", "\\ud83d\\", "\\ud83d\\ude0"])
def test_an_escape_that_was_cut_is_dropped(rest: str) -> None:
    """Of a cut answer the text stays as far as it came."""
    assert extracted('{"input":"ab' + rest, "note", cut=True) == "ab"


def test_a_cut_before_the_text_leaves_nothing() -> None:
    """The beginning of the member's name is no input."""
    assert extracted('{"inp', cut=True) == ""


def test_text_streams_as_it_comes() -> None:
    """Nothing is held back of the canonical form, once it is known."""
    freeform = Freeform("apply_patch")
    pieces = ['{"inp', 'ut": "*** Begin', " Patch\\n", "+a", '\\"b"', ', "x": 1}']
    assert [freeform.feed(piece) for piece in pieces] == ["", "", "*** Begin Patch\n", "+a", '"b', ""]
    assert freeform.finish() == ""


def test_another_form_is_held_back() -> None:
    """What may turn out otherwise goes out in one piece at the end."""
    freeform = Freeform("apply_patch")
    arguments = json.dumps({"patch": PATCH})
    assert [freeform.feed(piece) for piece in (arguments[:20], arguments[20:])] == ["", ""]
    assert freeform.finish() == PATCH


def test_a_cut_after_the_string_adds_nothing() -> None:
    """Half a member after the text is no quote within the text."""
    assert extracted('{"input":"ab", x', "note", cut=True) == "ab"
    assert extracted('{"input":"a"b"}', "note") == 'a"b'


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=40), st.booleans(), st.lists(st.integers(1, 9), min_size=1, max_size=9))
def test_any_string_survives(text: str, ascii_only: bool, sizes: list[int]) -> None:
    """Canonical arguments give back exactly their text, however cut."""
    arguments = json.dumps({"input": text}, ensure_ascii=ascii_only)
    freeform = Freeform("note")
    pieces = []
    at = 0
    while at < len(arguments):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(freeform.feed(arguments[at : at + size]))
        at += size
    assert "".join(pieces) + freeform.finish() == text


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from(['"', "\\", "u", "d83d", "\\ude00", "{", "}", '"input"', ":", "a", "\n"]), max_size=20))
def test_no_cut_changes_the_outcome(fragments: list[str]) -> None:
    """Broken arguments give the same input piece by piece and whole, and it is valid Unicode."""
    arguments = "".join(fragments)
    for prefix in ("", '{"input":"'):
        whole = extracted(prefix + arguments, "note", 1_000)
        assert extracted(prefix + arguments, "note", 1) == whole
        whole.encode()


def test_string_after_its_end() -> None:
    """What follows the closing quote is kept apart."""
    string = JSONString()
    assert [string.feed(piece) for piece in ("a", 'b" ', "}")] == ["a", "b", ""]
    assert string.after == [" ", "}"]
