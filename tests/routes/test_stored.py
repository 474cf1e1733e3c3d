"""Stored responses through the whole application: gone on from, referred to, read, listed, removed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai.types.responses import Response, ResponseItem
from pydantic import TypeAdapter
from werkzeug.test import TestResponse

from gateway.app import Gateway
from gateway.errors import StoreDown, UpstreamProtocol
from gateway.store import Bounds
from gateway.store.guarded import GuardedStore
from gateway.store.sqlite import SqliteStore
from tests.support.transport import (
    Scripted,
    ScriptedTransport,
    call,
    chunk,
    completion,
    frames,
    gateway,
    refusal,
    sse,
)

JSON = dict[str, Any]
CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"a":1}'}}
LOOK = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}


class Conversation:
    """One gateway with a store, and what was sent through it."""

    def __init__(self, path: Path, **bounds: Any) -> None:
        self.transport = ScriptedTransport()
        self.store = SqliteStore(path / "responses.db", Bounds(**bounds))
        self.guard = GuardedStore(self.store)
        self.app: Gateway = gateway(self.transport, store=self.guard)

    def reply(
        self, given: Any, answer: Scripted | None = None, *, key: str | None = "key-1", **members: Any
    ) -> TestResponse:
        """Send a request and return the reply as it is."""
        self.transport._scripts.append(answer or completion("fine"))
        body = {"model": "m", **members} | ({} if given is None else {"input": given})
        return call(self.app, "POST", "/v1/responses", body, key=key)

    def ask(self, given: Any, answer: Scripted | None = None, **members: Any) -> JSON:
        """Send a request and return the response object."""
        reply = self.reply(given, answer, **members)
        assert reply.status_code == 200, reply.text
        assert reply.json is not None
        return reply.json

    def fetch(self, method: str, path: str, key: str = "key-1") -> TestResponse:
        """Ask for something stored."""
        return call(self.app, method, f"/v1/responses/{path}", key=key)

    @property
    def sent(self) -> list[JSON]:
        """The messages of the last request to the upstream."""
        messages: list[JSON] = self.transport.body(-1)["messages"]
        return messages


@pytest.fixture
def talk(tmp_path: Path) -> Iterator[Conversation]:
    yield Conversation(tmp_path)


def error_of(reply: TestResponse, status: int) -> JSON:
    assert reply.status_code == status, reply.text
    assert reply.json is not None
    error: JSON = reply.json["error"]
    return error


def said(*messages: tuple[str, str]) -> list[JSON]:
    return [{"role": role, "content": content} for role, content in messages]


# --- going on -----------------------------------------------------------------------------------------------


def test_a_thread_goes_on_by_the_id_of_its_last_response(talk: Conversation) -> None:
    first = talk.ask("one", completion("1"), instructions="Count.")
    assert (first["store"], first["previous_response_id"]) == (True, None)
    second = talk.ask("two", completion("2"), previous_response_id=first["id"])
    assert second["previous_response_id"] == first["id"]
    talk.ask([{"role": "user", "content": "three"}], completion("3"), previous_response_id=second["id"])
    assert talk.sent == said(
        ("user", "one"), ("assistant", "1"), ("user", "two"), ("assistant", "2"), ("user", "three")
    )


def test_a_thread_may_branch_and_go_on_without_input(talk: Conversation) -> None:
    first = talk.ask("one", completion("1"))
    talk.ask("two", previous_response_id=first["id"])
    talk.ask("other", previous_response_id=first["id"], instructions="Be brief.")
    assert talk.sent == said(("system", "Be brief."), ("user", "one"), ("assistant", "1"), ("user", "other"))
    talk.ask(None, previous_response_id=first["id"])
    assert talk.sent == said(("user", "one"), ("assistant", "1"))


def test_a_tool_loop_goes_on_with_outputs_alone(talk: Conversation) -> None:
    first = talk.ask(
        "look", completion(None, "tool_calls", tool_calls=[CALL], reasoning_content="Look first."), tools=[LOOK]
    )
    output = {"type": "function_call_output", "call_id": "call_1", "output": "seen"}
    talk.ask([output], previous_response_id=first["id"], tools=[LOOK])
    assert talk.sent[1]["reasoning_content"] == "Look first."
    assert talk.sent[1]["tool_calls"] == [CALL]
    assert talk.sent[2] == {"role": "tool", "tool_call_id": "call_1", "content": "seen"}


def test_a_response_that_is_not_to_be_stored_goes_on_but_is_not_there(talk: Conversation) -> None:
    first = talk.ask("one", completion("1"))
    second = talk.ask("two", previous_response_id=first["id"], store=False)
    assert (second["store"], second["previous_response_id"]) == (False, first["id"])
    assert len(talk.sent) == 3
    assert error_of(talk.fetch("GET", second["id"]), 404)["code"] == "not_found"
    error = error_of(talk.reply("three", previous_response_id=second["id"]), 400)
    assert (error["code"], error["param"]) == ("previous_response_not_found", "previous_response_id")


def test_faults_and_warnings_name_the_places_of_the_clients_own_items(talk: Conversation) -> None:
    first = talk.ask("one", completion("1"))
    reply = talk.reply([{"role": "nobody", "content": "x"}], previous_response_id=first["id"])
    assert error_of(reply, 400)["param"] == "input[0].role"
    odd = [{"type": "computer_call", "id": "cu_1"}, {"role": "user", "content": "hm"}]
    second = talk.reply(odd, previous_response_id=first["id"])
    assert second.headers["x-gateway-warnings"] == "input[0]"
    assert second.json is not None
    third = talk.reply("more", previous_response_id=second.json["id"])
    assert third.headers["x-gateway-warnings"] == "previous_response_id"


def test_the_bound_on_items_counts_the_earlier_ones(tmp_path: Path) -> None:
    talk = Conversation(tmp_path)
    talk.app = gateway(talk.transport, store=talk.guard, MAX_INPUT_ITEMS="3")
    first = talk.ask("one")
    second = talk.ask("two", previous_response_id=first["id"])
    error = error_of(talk.reply([{"role": "user", "content": "x"}], previous_response_id=second["id"]), 400)
    assert error["code"] == "too_many_input_items"


def test_a_compaction_stands_for_all_that_came_before_it(talk: Conversation) -> None:
    first = talk.ask("a long story", completion("indeed"))
    trigger = [{"type": "compaction_trigger"}]
    second = talk.ask(trigger, completion("They told a story."), previous_response_id=first["id"])
    assert second["output"][0]["type"] == "compaction"
    talk.ask("go on", previous_response_id=second["id"])
    assert len(talk.sent) == 2
    assert "They told a story." in talk.sent[0]["content"]


def test_compaction_and_counting_go_on_too_and_are_not_stored(talk: Conversation) -> None:
    first = talk.ask("one", completion("1"))
    talk.transport._scripts.append(completion("All of it."))
    body = {"model": "m", "previous_response_id": first["id"]}
    assert call(talk.app, "POST", "/v1/responses/compact", body, key="key-1").status_code == 200
    assert [message["content"] for message in talk.sent[:2]] == ["one", "1"]
    alone = call(talk.app, "POST", "/v1/responses/input_tokens", {"model": "m", "input": "hi"}, key="key-1").json
    more = call(talk.app, "POST", "/v1/responses/input_tokens", {**body, "input": "hi"}, key="key-1").json
    assert alone is not None
    assert more is not None
    assert more["input_tokens"] > alone["input_tokens"]
    talk.ask("end")
    assert talk.store._run(lambda db: db.execute("SELECT responses FROM totals").fetchone()) == (2,)


# --- references ---------------------------------------------------------------------------------------------


def test_references_stand_for_every_kind_of_item(talk: Conversation) -> None:
    first = talk.ask(
        "look", completion("I look.", "tool_calls", tool_calls=[CALL], reasoning_content="Hm."), tools=[LOOK]
    )
    assert [item["type"] for item in first["output"]] == ["reasoning", "message", "function_call"]
    told = [{"type": "item_reference", "id": item["id"]} for item in first["output"]]
    told[1] = {"id": first["output"][1]["id"]}  # SDKs may leave the type out
    output = {"type": "function_call_output", "call_id": "call_1", "output": "seen"}
    second = talk.ask([{"role": "user", "content": "look"}, *told, output], tools=[LOOK])
    assert talk.sent[1] == {
        "role": "assistant",
        "content": "I look.",
        "reasoning_content": "Hm.",
        "tool_calls": [CALL],
    }
    listed = talk.fetch("GET", f"{second['id']}/input_items?order=asc").json
    assert listed is not None
    assert [item["id"] for item in listed["data"][1:4]] == [item["id"] for item in first["output"]]
    assert listed["data"][2]["content"][0]["text"] == "I look."


def test_an_unknown_reference_is_named_by_its_place(talk: Conversation) -> None:
    first = talk.ask("one")
    known = {"type": "item_reference", "id": first["output"][0]["id"]}
    error = error_of(talk.reply([known, {"type": "item_reference", "id": "msg_0"}]), 400)
    assert error["param"] == "input[1]"
    assert "item_reference" in error["message"]


# --- what is kept -------------------------------------------------------------------------------------------


def test_a_streamed_answer_is_kept_as_its_last_event_tells_it(talk: Conversation) -> None:
    answer = sse(chunk(role="assistant", content="hel"), chunk(content="lo"), chunk("stop"))
    events = frames(talk.reply("hi", answer, stream=True, metadata={"a": "b"}).text)
    assert events[0]["response"]["store"] is True
    final = events[-1]["response"]
    assert final["status"] == "completed"
    assert talk.fetch("GET", final["id"]).json == final
    Response.model_validate(final, strict=True)


def test_an_answer_cut_by_its_limit_is_kept_as_incomplete(talk: Conversation) -> None:
    cut = talk.ask("hi", completion("hel", "length"))
    stored = talk.fetch("GET", cut["id"]).json
    assert stored == cut
    assert cut["status"] == "incomplete"
    talk.ask("go on", previous_response_id=cut["id"])
    assert talk.sent == said(("user", "hi"), ("assistant", "hel"), ("user", "go on"))


def test_a_stream_that_breaks_is_kept_as_failed(talk: Conversation) -> None:
    answer = sse(chunk(role="assistant", content="hel"), done=False)
    answer.pieces.append(UpstreamProtocol("It broke."))
    failed = frames(talk.reply("hi", answer, stream=True).text)[-1]["response"]
    stored = talk.fetch("GET", failed["id"]).json
    assert stored == failed
    assert (failed["status"], failed["output"]) == ("failed", [])
    talk.ask("again", previous_response_id=failed["id"])
    assert talk.sent == said(("user", "hi"), ("user", "again"))


def test_an_answer_whose_client_left_is_kept_as_failed(talk: Conversation) -> None:
    talk.transport._scripts.append(sse(chunk(role="assistant", content="hel"), chunk(content="lo"), chunk("stop")))
    body = {"model": "m", "input": "hi", "stream": True}
    reply = call(talk.app, "POST", "/v1/responses", body, key="key-1", buffered=False)
    first = next(iter(reply.response)).decode()  # type: ignore[arg-type]
    reply.close()
    response = frames(first)[0]["response"]
    stored = talk.fetch("GET", response["id"]).json
    assert stored is not None
    assert stored["status"] == "failed"
    assert "client left" in stored["error"]["message"]
    Response.model_validate(stored, strict=True)


def test_a_refused_request_leaves_nothing(talk: Conversation) -> None:
    error_of(talk.reply("hi", refusal(429, "slow down")), 429)
    assert talk.store._run(lambda db: db.execute("SELECT responses FROM totals").fetchone()) == (0,)


def test_a_request_that_is_too_large_for_the_store_is_answered_all_the_same(tmp_path: Path) -> None:
    talk = Conversation(tmp_path, bytes=4000)
    assert talk.ask("x" * 2000)["store"] is False
    assert talk.ask("x")["store"] is True


# --- paths --------------------------------------------------------------------------------------------------


def test_a_response_is_removed(talk: Conversation) -> None:
    first = talk.ask("one")
    second = talk.ask("two", previous_response_id=first["id"])
    reply = talk.fetch("DELETE", first["id"])
    assert reply.json == {"id": first["id"], "object": "response", "deleted": True}
    for method in ("GET", "DELETE"):
        error_of(talk.fetch(method, first["id"]), 404)
    error = error_of(talk.reply("three", previous_response_id=second["id"]), 400)
    assert (error["code"], error["param"]) == ("previous_response_not_found", "previous_response_id")
    reference = [{"type": "item_reference", "id": first["output"][0]["id"]}]
    assert error_of(talk.reply(reference), 400)["param"] == "input[0]"


def test_what_another_key_made_is_not_there(talk: Conversation) -> None:
    first = talk.ask("one")
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/input_items"), ("POST", "/cancel")):
        foreign = error_of(talk.fetch(method, first["id"] + path, key="key-2"), 404)
        unknown = error_of(talk.fetch(method, "resp_0" + path, key="key-2"), 404)
        assert foreign["message"].replace(first["id"], "resp_0") == unknown["message"]
    error_of(talk.reply("two", previous_response_id=first["id"], key="key-2"), 400)
    reference = [{"type": "item_reference", "id": first["output"][0]["id"]}]
    error_of(talk.reply(reference, key="key-2"), 400)
    assert talk.fetch("GET", first["id"]).status_code == 200
    assert b"key-1" not in (talk.store._path.read_bytes() + Path(f"{talk.store._path}-wal").read_bytes())


def test_a_client_token_tells_clients_apart_that_share_a_held_key(tmp_path: Path) -> None:
    talk = Conversation(tmp_path)
    (tmp_path / "key").write_text("sk-held-0123456789")
    (tmp_path / "tokens").write_text("token-one-0123456789\ntoken-two-0123456789\n")
    held = {"BACKEND_KEY_FILE": str(tmp_path / "key"), "CLIENT_TOKENS_FILE": str(tmp_path / "tokens")}
    talk.app = gateway(talk.transport, store=talk.guard, **held)
    first = talk.ask("one", key="token-one-0123456789")
    assert dict(talk.transport.sent[-1].headers)["authorization"] == "Bearer sk-held-0123456789"
    assert talk.fetch("GET", first["id"], key="token-one-0123456789").status_code == 200
    error_of(talk.fetch("GET", first["id"], key="token-two-0123456789"), 404)


def test_clients_without_a_key_are_one(tmp_path: Path) -> None:
    talk = Conversation(tmp_path)
    talk.app = gateway(talk.transport, store=talk.guard, REQUIRE_KEY="false")
    first = talk.ask("one", key=None)
    assert call(talk.app, "GET", f"/v1/responses/{first['id']}", key=None).status_code == 200
    error_of(talk.fetch("GET", first["id"], key="key-1"), 404)


def test_input_items_come_in_pages(talk: Conversation) -> None:
    given = [{"role": "user", "content": str(number)} for number in range(25)]
    path = f"{talk.ask(given)['id']}/input_items"
    first = talk.fetch("GET", path).json
    assert first is not None
    assert (first["object"], first["has_more"]) == ("list", True)
    assert [item["content"][0]["text"] for item in first["data"]] == [str(n) for n in range(24, 4, -1)]
    assert (first["first_id"], first["last_id"]) == (first["data"][0]["id"], first["data"][-1]["id"])
    rest = talk.fetch("GET", f"{path}?after={first['last_id']}&limit=100").json
    assert rest is not None
    assert [item["content"][0]["text"] for item in rest["data"]] == ["4", "3", "2", "1", "0"]
    assert rest["has_more"] is False
    asc = talk.fetch("GET", f"{path}?order=asc&limit=1").json
    assert asc is not None
    assert asc["data"] == [rest["data"][-1]]
    end = talk.fetch("GET", f"{path}?after={rest['last_id']}").json
    assert end == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", f"limit={'1' * 5000}", "order=up", "after=msg_0"])
def test_a_wrong_page_is_refused_by_its_name(talk: Conversation, query: str) -> None:
    error = error_of(talk.fetch("GET", f"{talk.ask('hi')['id']}/input_items?{query}"), 400)
    assert error["param"] == query.partition("=")[0]


def test_input_items_have_the_published_form(talk: Conversation) -> None:
    given = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": [{"type": "input_text", "text": "see"}, {"type": "input_image", "image_url": PNG}]},
        {"role": "assistant", "content": "I see."},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}]},
        {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "ok"},
        {"type": "custom_tool_call", "call_id": "d", "name": "patch", "input": "x"},
        {"type": "custom_tool_call_output", "call_id": "d", "output": "done"},
        {"role": "user", "content": [{"type": "text", "text": "and?"}]},
    ]
    listed = talk.fetch("GET", f"{talk.ask(given)['id']}/input_items?order=asc&limit=50").json
    assert listed is not None
    TypeAdapter(list[ResponseItem]).validate_python(listed["data"], strict=True)
    assert [item["id"][:3] for item in listed["data"]] == ["msg"] * 3 + ["rs_", "fc_", "fco", "ctc", "ctc", "msg"]
    assert listed["data"][8]["content"] == [{"type": "input_text", "text": "and?"}]


PNG = "data:image/png;base64,iVBORw0KGgo="


def test_other_methods_and_paths_are_refused(talk: Conversation) -> None:
    id = talk.ask("hi")["id"]
    assert talk.fetch("HEAD", id).status_code == 200
    for method, path, allowed in (("POST", id, "GET, HEAD, DELETE"), ("GET", f"{id}/cancel", "POST")):
        reply = talk.fetch(method, path)
        error_of(reply, 405)
        assert reply.headers["allow"] == allowed
    error_of(talk.fetch("GET", f"{id}/odd/path"), 404)
    assert error_of(talk.fetch("GET", f"{id}?stream=true"), 400)["param"] == "stream"
    assert "background" in error_of(talk.fetch("POST", f"{id}/cancel"), 400)["message"]
    assert call(talk.app, "GET", f"/v1/responses/{id}", key=None).status_code == 401


# --- a store that is down -----------------------------------------------------------------------------------


def test_a_store_that_is_down_fails_only_those_who_need_it(
    talk: Conversation, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first = talk.ask("one")

    def down(*_: object) -> None:
        raise StoreDown("The store of responses does not work: gone.")

    monkeypatch.setattr(talk.store, "_run", down)
    answer = talk.ask("two", completion("2"))
    assert (answer["output"][0]["content"][0]["text"], answer["store"]) == ("2", False)
    for reply in (talk.fetch("GET", first["id"]), talk.reply("three", previous_response_id=first["id"])):
        assert error_of(reply, 503)["code"] == "store_unavailable"
    talk.ask("stateless", store=False)
    assert [record.message for record in caplog.records].count("stored responses fail") == 1
