"""Who a client is, and which key goes upstream."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.access import NOBODY, Access, Caller, Tokens, TokensRefused
from gateway.config import Settings
from gateway.errors import AuthenticationError
from gateway.held_key import HeldKey
from gateway.setting import SettingError

HELD = HeldKey(b"sk-held-0123456789")
KEY = {"HTTP_AUTHORIZATION": "Bearer sk-own-0123456789"}
TOKEN = {"HTTP_X_API_KEY": "token-of-anna"}
APART = {"HTTP_X_GATEWAY_TOKEN": "token-of-anna"}
WRONG = {"HTTP_X_API_KEY": "token-of-annq"}
MALFORMED = {"HTTP_AUTHORIZATION": "Basic abc"}


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    path = tmp_path / "tokens"
    path.write_text("token-of-anna\n\n  token-of-bert  \n")
    return path


def told(caller: Caller) -> tuple[str | None, str | None, str | None]:
    return caller.key, caller.credential, caller.shown


NOTHING: dict[str, Any] = {}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        (KEY, ("sk-own-0123456789", "sk-own-0123456789", "sk-own...6789")),
        (NOTHING, ("sk-held-0123456789", None, "held")),
    ],
    ids=["own", "none"],
)
def test_a_held_key_is_for_clients_without_one(environ: dict[str, str], expected: tuple[str, ...]) -> None:
    assert told(Access(HELD).admit(environ)) == expected


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        (TOKEN, ("sk-held-0123456789", "token-of-anna", "token-...anna")),
        (APART, ("sk-held-0123456789", "token-of-anna", "token-...anna")),
        (APART | KEY, ("sk-own-0123456789", "sk-own-0123456789", "sk-own...6789")),
    ],
    ids=["in-the-place-of-a-key", "apart", "apart-with-a-key"],
)
def test_a_token_opens_the_way(tokens: Path, environ: dict[str, str], expected: tuple[str, ...]) -> None:
    assert told(Access(HELD, Tokens(tokens)).admit(environ)) == expected


@pytest.mark.parametrize(
    "environ",
    [
        NOTHING,
        WRONG,
        MALFORMED,
        KEY,
        WRONG | APART | {"HTTP_X_GATEWAY_TOKEN": "x"},
        KEY | {"HTTP_X_GATEWAY_TOKEN": "x"},
    ],
    ids=["none", "wrong", "malformed", "a-key", "wrong-apart", "a-key-and-a-wrong-one"],
)
def test_all_else_is_refused_with_the_same_words(tokens: Path, environ: dict[str, str]) -> None:
    access = Access(HELD, Tokens(tokens))
    with pytest.raises(AuthenticationError) as first:
        access.admit(NOTHING)
    with pytest.raises(AuthenticationError) as refused:
        access.admit(environ)
    told = (refused.value.status, refused.value.code, refused.value.message)
    assert told == (401, "invalid_api_key", first.value.message)
    # What anybody may ask for needs no token, and what was sent in its place stays here.
    assert access.guess(environ).key == "sk-held-0123456789"


def test_without_a_held_key() -> None:
    with pytest.raises(AuthenticationError) as refused:
        Access().admit(NOTHING)
    assert refused.value.code == "missing_api_key"
    assert Access(require_key=False).admit(NOTHING) == NOBODY
    assert told(NOBODY) == (None, None, None)
    assert told(Access().guess(KEY))[0] == "sk-own-0123456789"
    assert Access().guess(MALFORMED).key is None


def test_where_clients_are_not_heeded_the_held_key_goes_up() -> None:
    access = Access(HELD, heeds_clients=False)
    for environ in (KEY, MALFORMED, TOKEN, NOTHING):
        assert told(access.admit(environ)) == ("sk-held-0123456789", None, "held")


def test_nothing_of_a_caller_is_in_its_repr() -> None:
    assert repr(Caller("sk-own", "token", "sk-held")) == "Caller()"


def test_what_a_client_is_shown_of_a_key() -> None:
    held, own = Caller(held="sk-held-0123456789"), Caller(own="sk-own-0123456789", held="sk-held-0123456789")
    assert held.mask.text("bad key sk-held-0123456789") == "bad key ***"
    assert own.mask.text("bad key sk-own-0123456789") == "bad key sk-own...6789"
    assert NOBODY.mask.text("bad key") == "bad key"


def test_envelopes_are_sealed_with_what_only_the_client_knows() -> None:
    assert Caller("own", "token", "held").sealing_key == "own"
    assert Caller(None, "token", "held").sealing_key == "token"
    assert Caller(None, None, "held").sealing_key == "held"
    assert NOBODY.sealing_key is None


def test_a_token_can_be_revoked(tokens: Path) -> None:
    known = Tokens(tokens)
    access = Access(HELD, known)
    assert known.know("token-of-bert")
    tokens.write_text("token-of-anna\n")
    access.look()
    assert known.know("token-of-anna")
    assert not known.know("token-of-bert")
    access.look()
    # A broken file locks nobody out; nor does one that is gone.
    tokens.write_bytes(b"\xff")
    access.look()
    assert known.know("token-of-anna")
    tokens.unlink()
    access.look()
    assert known.know("token-of-anna")
    Access().look()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b"\n \n", "empty"),
        (b"two words\n", "visible ASCII"),
        (b"a\x01b\n", "visible ASCII"),
        ("é".encode(), "visible ASCII"),
        (b"t\n" * 1001, "more than 1000"),
    ],
)
def test_a_file_that_holds_no_tokens(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "tokens"
    path.write_bytes(content)
    with pytest.raises(TokensRefused, match=why):
        Tokens(path)


def test_the_settings_make_it(tokens: Path, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("sk-file\n")
    access = Access.of(Settings(backend_key_file=key, client_tokens_file=tokens))
    assert access.admit(TOKEN).key == "sk-file"
    assert Access.of(Settings(require_key=False)).admit(NOTHING) == NOBODY


@pytest.mark.parametrize(
    ("content", "name", "why"),
    [("not a key", "backend_key_file", "only ASCII letters"), ("", "client_tokens_file", "empty")],
)
def test_a_file_at_fault_is_named(tmp_path: Path, content: str, name: str, why: str) -> None:
    path = tmp_path / "file"
    path.write_text(content)
    with pytest.raises(SettingError, match=f"^{name.upper()}: .*{why}"):
        Access.of(Settings(**{name: path}))  # type: ignore[arg-type]
