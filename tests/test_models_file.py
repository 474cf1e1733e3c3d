"""models.json: every key, every kind of fault with its place, and a file that changes."""

from __future__ import annotations

import dataclasses
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from gateway.models import Catalog, Overlay
from gateway.models_file import SCHEMA, ModelsFile, ModelsFileError, parse_file, read
from gateway.profile import Model

EXAMPLE = Path(__file__).resolve().parents[1] / "models.example.json"


def overlays(content: Any) -> tuple[Overlay, ...]:
    return parse_file(json.dumps(content).encode())


def entry_keys() -> set[str]:
    return set(SCHEMA["properties"]["models"]["items"]["properties"])


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_every_key_is_a_field_of_a_model() -> None:
    fields = {field.name for field in dataclasses.fields(Model)}
    assert entry_keys() <= fields
    assert fields - entry_keys() == {"created", "owned_by", "price"}


def test_the_example_is_accepted_and_shows_every_key() -> None:
    assert len(read(EXAMPLE)) == 3
    shown = {key for entry in json.loads(EXAMPLE.read_bytes())["models"] for key in entry}
    assert shown == entry_keys()


def test_values_become_a_model() -> None:
    entry = {
        "id": "m",
        "aliases": ["x"],
        "ports": ["chat"],
        "display_name": "M",
        "context_window": 4096.0,
        "input_modalities": ["text"],
        "features": ["tools"],
        "reasoning_levels": ["low"],
        "reasoning_replay": "off",
        "tool_calls_in_text": False,
        "max_tokens_field": "max_completion_tokens",
        "base_instructions": "Hi.",
        "files": None,
        "max_output_tokens": None,
    }
    model = Catalog((), overlays({"models": [entry]})).resolve("m")
    assert model == Model(
        "m",
        aliases=("x",),
        ports=frozenset(["chat"]),
        display_name="M",
        context_window=4096,
        input_modalities=frozenset(["text"]),
        features=frozenset(["tools"]),
        reasoning_levels=("low",),
        reasoning_replay="off",
        tool_calls_in_text=False,
        max_tokens_field="max_completion_tokens",
        base_instructions="Hi.",
    )
    assert type(model.context_window) is int


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b'{"models": []}', id="empty"),
        pytest.param(b'\xef\xbb\xbf{"models": []}', id="byte-order-mark"),
        pytest.param(b'{"$schema": "x", "models": []}', id="schema-named"),
    ],
)
def test_other_good_files(raw: bytes) -> None:
    assert parse_file(raw) == ()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param({"models": [{"id": "a"}, {}]}, "models[1]: 'id' is a required property", id="no-id"),
        pytest.param({"models": [{"id": ""}]}, "models[0].id: '' should be non-empty", id="empty-id"),
        pytest.param(
            {"models": [{"id": "a"}, {"id": "b"}, {"id": "c", "context_window": "8k"}]},
            "models[2].context_window: '8k' is not of type 'integer', 'null'",
            id="wrong-type",
        ),
        pytest.param(
            {"models": [{"id": "a", "context_window": True}]},
            "models[0].context_window: True is not of type 'integer', 'null'",
            id="a-truth-is-no-number",
        ),
        pytest.param(
            {"models": [{"id": "a", "max_output_tokens": 0}]},
            "models[0].max_output_tokens: 0 is less than the minimum of 1",
            id="nought",
        ),
        pytest.param(
            {"models": [{"id": "a", "ports": ["chat", "respond"]}]},
            "models[0].ports[1]: 'respond' is not one of ['chat', 'responses']",
            id="unknown-port",
        ),
        pytest.param(
            {"models": [{"id": "a", "reasoning_replay": "yes"}]},
            "models[0].reasoning_replay: 'yes' is not one of ['field', 'think', 'off', None]",
            id="unknown-word",
        ),
        pytest.param(
            {"models": [{"id": "a", "context_windw": 1}]},
            "models[0].context_windw: this key is not known, perhaps context_window is meant",
            id="mistyped-key",
        ),
        pytest.param(
            {"models": [{"id": "a", "xyz": 1}]},
            "models[0].xyz: this key is not known; the keys are id, aliases",
            id="key",
        ),
        pytest.param({"modells": []}, "modells: this key is not known, perhaps models is meant", id="mistyped-top"),
        pytest.param({}, "the file: 'models' is a required property", id="no-models"),
        pytest.param("x", "the file: 'x' is not of type 'object'", id="no-object"),
        pytest.param(
            {"models": [{"id": "a"}, {"id": "b", "aliases": ["c", "a"]}]},
            "models[1].aliases[1]: 'a' stands already in models[0].id",
            id="alias-that-is-an-id",
        ),
        pytest.param(
            {"models": [{"id": "a"}, {"id": "a"}]}, "models[1].id: 'a' stands already in models[0].id", id="id-twice"
        ),
        pytest.param({"data": [{"name": "a"}]}, "data[0]: 'id' is a required property", id="pasted-without-id"),
        pytest.param(
            {"data": [{"id": "a", "ports": "chat"}]},
            "data[0].ports: 'chat' is not of type 'array', 'null'",
            id="pasted-with-a-wrong-key-of-ours",
        ),
        pytest.param({"data": "x"}, "data: 'x' is not of type 'array'", id="data-that-is-no-list"),
    ],
)
def test_faults_are_named_with_their_place(content: Any, message: str) -> None:
    with pytest.raises(ModelsFileError) as fault:
        overlays(content)
    assert str(fault.value).startswith(message)


def test_the_first_of_several_faults_is_named() -> None:
    entries = [{"id": "a"}] * 10 + [{"id": 7}]
    entries[2] = {"id": "a", "files": "no"}
    with pytest.raises(ModelsFileError, match=r"^models\[2\]\.files: .* \(and 1 more\)$"):
        overlays({"models": entries})


def test_broken_json_is_named_with_its_line() -> None:
    with pytest.raises(ModelsFileError, match=r"^line 2, column 3: it is not JSON"):
        parse_file(b'{"models":\n [}')


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ModelsFileError, match=r"^it cannot be read: No such file"):
        read(tmp_path / "none.json")


@pytest.mark.parametrize("wrap", [lambda data: {"object": "list", "data": data, "models": [{"name": "z"}]}, list])
def test_a_pasted_list(wrap: Any) -> None:
    data = [
        {"id": "a", "max_model_len": 100, "owned_by": "x", "reasoning": {"mandatory": True}, "pricing": {"prompt": 1}},
        {"id": "b", "reasoning_replay": "think", "mid_system": True},
    ]
    catalog = Catalog((), overlays(wrap(data)))
    assert catalog.resolve("a") == Model("a", context_window=100, owned_by="x")
    assert catalog.resolve("b") == Model("b", reasoning_replay="think", mid_system=True)
    assert [line.entry for line in catalog.listed("chat")] == data


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def ids(file: ModelsFile) -> list[str]:
    return [overlay.id for overlay in file.overlays()]


def write(path: Path, *names: str) -> None:
    path.write_text(json.dumps({"models": [{"id": name} for name in names]}))


def test_without_a_file() -> None:
    assert ModelsFile(None).overlays() == ()


def test_a_changed_file_is_read_again_within_a_second(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, clock = tmp_path / "models.json", Clock()
    write(path, "a")
    file = ModelsFile(path, clock)
    assert ids(file) == ["a"]
    write(path, "a", "b")
    assert ids(file) == ["a"]
    clock.now += 1
    assert ids(file) == ["a", "b"]
    same = file.overlays()
    clock.now += 1
    assert file.overlays() is same
    with caplog.at_level(logging.ERROR, "gateway"):
        path.write_text('{"models": [{"id": 7}]}')
        for _ in range(3):
            clock.now += 1
            assert file.overlays() is same
        assert [record.getMessage() for record in caplog.records] == [
            "models file refused, the last good one stays: models[0].id: 7 is not of type 'string'"
        ]
        path.unlink()
        clock.now += 1
        assert file.overlays() is same
    write(path, "c")
    clock.now += 1
    assert ids(file) == ["c"]


def test_a_worker_comes_up_with_a_broken_file(tmp_path: Path) -> None:
    path = tmp_path / "models.json"
    path.write_text("{")
    assert ModelsFile(path, Clock()).overlays() == ()
