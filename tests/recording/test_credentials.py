"""Credentials are found wherever they stand, and nothing else is."""

from __future__ import annotations

import pytest

from gateway.recording.credentials import Credentials, named_secret

KEY = "sk-canary-0123456789abcdef"


@pytest.mark.parametrize(
    "name",
    [
        *("authorization", "Authorization", "x-api-key", "api-key", "proxy-authorization", "cookie", "set-cookie"),
        *("x-goog-api-key", "x-auth-token", "ocp-apim-subscription-key", "x-amz-security-token", "x-client-secret"),
        *("openai-api-key", "x-session-key", "signature", "sig", "access_token", "private-token", "x-jwt"),
    ],
)
def test_names_of_headers_and_parameters_that_tell_of_a_credential(name: str) -> None:
    assert named_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        *("content-type", "x-request-id", "x-ratelimit-remaining-tokens", "anthropic-ratelimit-tokens-remaining"),
        *("www-authenticate", "session_id", "design", "openai-organization", "max_tokens", "after", "limit"),
    ],
)
def test_names_that_do_not(name: str) -> None:
    assert not named_secret(name)


def test_the_values_of_headers_go_and_their_schemes_stay() -> None:
    credentials = Credentials()
    lines = [
        ("authorization", f"Bearer {KEY}"),
        ("x-api-key", "abc"),
        ("cookie", "theme=dark; session=0123456789abc"),
        ("accept", "*/*"),
    ]
    assert credentials.headers(lines) == [
        ["authorization", "Bearer ***"],
        ["x-api-key", "***"],
        ["cookie", "***"],
        ["accept", "*/*"],
    ]
    assert credentials.clean(f"{KEY} 0123456789abc abc dark".encode()) == b"*" * 26 + b" ************* abc dark"


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("/v1/models", "/v1/models"),
        ("/v1/models?", "/v1/models?"),
        ("/v1/x?api-version=1&api_key=abc&limit=2", "/v1/x?api-version=1&api_key=***&limit=2"),
        ("/v1/x?key=a%2Fb&sig=c&token", "/v1/x?key=***&sig=***&token"),
        ("/v1/x?code=&code=abc", "/v1/x?code=&code=***"),
    ],
)
def test_the_values_of_parameters_go(target: str, shown: str) -> None:
    assert Credentials().target(target) == shown


def test_a_parameter_is_known_in_either_spelling() -> None:
    credentials = Credentials()
    credentials.target("/v1/x?key=abc%2Fdef%2Fghi")
    assert credentials.clean(b"abc/def/ghi abc%2Fdef%2Fghi") == b"*********** ***************"


BODIES = [
    (b'{"api_key": "abc def", "x": 1}', b'{"api_key": "*******", "x": 1}'),
    (b'{"apiKey":"a\\"b","x":"y"}', b'{"apiKey":"****","x":"y"}'),
    (b'{"headers":{"Authorization":"Basic zzz"}}', b'{"headers":{"Authorization":"*********"}}'),
    (b'{"X-Api-Key": "v1"}', b'{"X-Api-Key": "**"}'),
    (b'{"AZURE_OPENAI_API_KEY":"qq"}', b'{"AZURE_OPENAI_API_KEY":"**"}'),
    (b'{"client_secret":"q","clientSecret":"r"}', b'{"client_secret":"*","clientSecret":"*"}'),
    (b'{"password":"cut he', b'{"password":"******'),
    (b'{"password":""}', b'{"password":""}'),
    (b'{"password":"back\\\\"}', b'{"password":"******"}'),
    (
        b'{"arguments":"{\\"password\\":\\"hu\\\\\\"nter\\",\\"n\\":1}"}',
        b'{"arguments":"{\\"password\\":\\"**********\\",\\"n\\":1}"}',
    ),
    (b'"export OPENAI_API_KEY=abcdefgh12345678\\nls"', b'"export OPENAI_API_KEY=****************\\nls"'),
    (b"client_secret=abc123def456&grant=x", b"client_secret=************&grant=x"),
    (b"say sk-dummy-0123456789.", b"say *******************."),
    (b'"\\nsk-dummy-0123456789"', b'"\\n*******************"'),
    (b'"\\u003esk-dummy-0123456789"', b'"\\u003e*******************"'),
    (b"cpk_0123456789ab.cdef", b"*" * 21),
    (b"Authorization: Bearer abcdef012345", b"Authorization: Bearer ************"),
    (b"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl", b"*" * 53),
]
WORDS = [
    b'{"max_tokens":"12","token":"hello","key":"Enter","required":["password"],"type":"password"}',
    b'{"password":{"type":"string"},"api_key":null}',
    b"task-force-0123456789abcdef disk-0123456789abcdef",
    b"class sk-toggleable__content-is-a-name",
    b"Bearer authentication is a scheme",
    b"api_key=get_the_key(), secret = settings.secret",
    b'{"next_page_token":"abc","monkey":"b"}',
    b'{"api_key\\":"mixed"}',
]


@pytest.mark.parametrize(("body", "clean"), BODIES, ids=[body.decode() for body, _ in BODIES])
def test_credentials_in_bodies_become_as_many_stars(body: bytes, clean: bytes) -> None:
    assert Credentials().clean(body) == clean
    assert len(clean) == len(body)


@pytest.mark.parametrize("body", WORDS, ids=bytes.decode)
def test_what_only_looks_like_one_stays_and_costs_no_copy(body: bytes) -> None:
    assert Credentials().clean(body) is body


def test_what_a_request_held_is_replaced_in_its_answer() -> None:
    credentials = Credentials()
    credentials.clean(b'{"password":"correct-horse-7","secret":"word"}', learn=True)
    assert credentials.clean(b"the password is correct-horse-7, a word") == b"the password is ***************, a word"


def test_keys_of_servers_that_need_none_are_words() -> None:
    credentials = Credentials(["x", "ollama"])
    assert credentials.clean(b"ollama x") == b"ollama x"


def test_a_key_with_quotes_is_found_in_json_too() -> None:
    credentials = Credentials(['ab"cd\\efgh'])
    assert credentials.clean(b'ab"cd\\efgh') == b"*" * 10
    assert credentials.clean(b'"ab\\"cd\\\\efgh"') == b'"************"'


def test_a_name_alone_counts_only_in_bodies() -> None:
    assert Credentials().clean(b'{"password":"abc"}', names=False) == b'{"password":"abc"}'
