"""The readers of single settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway import setting


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (setting.truth, "TRUE", True),
        (setting.truth, "0", False),
        (setting.truth, "off", False),
        (setting.port, "65535", 65535),
        (setting.seconds(0), "0", 0.0),
        (setting.seconds(0.1), "2.5", 2.5),
        (setting.one_of("a", "b"), "B", "b"),
        (setting.address, "[::1]", "::1"),
        (setting.address, "fe80::1%eth0", "fe80::1%eth0"),
        (setting.address, "gateway.local", "gateway.local"),
        (setting.url, "http://[::1]:8000/v1?x=1", "http://[::1]:8000/v1?x=1"),
        (setting.origins, "*", "*"),
        (setting.origins, "OFF", ""),
        (setting.origins, "https://a.example, app://b:1", "https://a.example, app://b:1"),
        (setting.store, "OFF", "off"),
        (setting.store, "memory", "memory"),
        (setting.store, "sqlite:/data/Responses.db", "sqlite:/data/Responses.db"),
        (setting.store, "redis://:secret@host:6379/1", "redis://:secret@host:6379/1"),
        (setting.store, "redis://host/?db=2", "redis://host/?db=2"),
        (setting.store, "unix:///run/redis.sock?db=2", "unix:///run/redis.sock?db=2"),
    ],
)
def test_values_are_read(parse: Callable[[str], Any], text: str, value: object) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(
    ("parse", "text", "words"),
    [
        (setting.truth, "maybe", "neither true nor false"),
        (setting.port, "0", "from 1 to 65535"),
        (setting.port, "65536", "from 1 to 65535"),
        (setting.port, "abc", "from 1 to 65535"),
        (setting.port, "1_0", "from 1 to 65535"),
        (setting.port, "٣", "from 1 to 65535"),
        (setting.port, "-1", "from 1 to 65535"),
        (setting.port, "9" * 5000, "from 1 to 65535"),
        (setting.seconds(0.1), "0", "from 0.1 to 86400"),
        (setting.seconds(0.1), "nan", "number of seconds"),
        (setting.seconds(0.1), "1e3", "number of seconds"),
        (setting.one_of("a", "b"), "c", "none of a, b"),
        (setting.address, "a b", "no host name"),
        (setting.url, "llm.chutes.ai/v1", "write it like https://host/v1"),
        (setting.url, "ftp://host/v1", "write it like https://host/v1"),
        (setting.url, "http:///v1", "write it like https://host/v1"),
        (setting.url, "http://host/a b", "characters"),
        (setting.url, "http://user:secret@host/v1", "user name"),
        (setting.url, "http://host:99999/v1", "ort"),
        (setting.url, "http://host:0/v1", "port"),
        (setting.url, "http://host/v1#top", "fragment"),
        (setting.url, "http://[::1/v1", "URL"),
        (setting.pattern, "(", "regular expression"),
        (setting.origins, "example.org", "no origin"),
        (setting.origins, "https://a, *", "no origin"),
        (setting.store, "sqlite:", "none of off, memory"),
        (setting.store, "redis:secret", "none of off, memory"),
        (setting.store, "sqlite::memory:", "is called `memory`"),
        (setting.store, "redis://:secret@host/one", "no number of a database"),
        (setting.store, "rediss://host/1/2", "no number of a database"),
        (setting.store, "postgres://user:secret@host/db", "none of off, memory"),
        (setting.readable_file, "/nowhere/at/all", "no file"),
        (setting.readable_file, "/", "a folder"),
    ],
)
def test_wrong_values_are_refused_with_a_reason(parse: Callable[[str], Any], text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        parse(text)
    assert "secret" not in str(caught.value)


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key"
    path.write_text("k")
    assert setting.readable_file(str(path)) == path
    # The superuser, as whom tests may run, may read everything.
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(ValueError, match="may not be read"):
        setting.readable_file(str(path))
