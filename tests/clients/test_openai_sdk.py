"""The openai Python SDK parses strictly what the gateway says: every event and answer against its own types."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

import openai
import pytest
from openai import OpenAI
from openai.types.responses import FunctionToolParam, ResponseFunctionToolCall, ResponseReasoningItem
from pydantic import BaseModel

from tests.clients.conftest import MODEL
from tests.support.answers import chat_call, chat_text, error
from tests.support.chat_bodies import whole_text
from tests.support.gateway import Gateway
from tests.support.sockets import KEY
from tests.support.upstream import Upstream

WEATHER: FunctionToolParam = {
    "type": "function",
    "name": "get_weather",
    "description": "Tells the weather.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": False,
}


class Person(BaseModel):
    """What `parse` asks for."""

    name: str
    age: int


@pytest.fixture
def client(agents: Gateway) -> Iterator[OpenAI]:
    """A client that raises where an answer does not fit its types."""
    with OpenAI(base_url=agents.responses_url, api_key=KEY, max_retries=0, _strict_response_validation=True) as made:
        yield made


@pytest.fixture
def chat_client(agents: Gateway) -> Iterator[OpenAI]:
    """The same on the port for chat."""
    with OpenAI(base_url=agents.chat_url, api_key=KEY, max_retries=0, _strict_response_validation=True) as made:
        yield made


def test_a_whole_response(client: OpenAI, upstream: Upstream) -> None:
    upstream.answers(chat_text("Hello there.", reasoning="A greeting.").with_usage(11, 7))
    response = client.responses.create(model=MODEL, input="Say hello.", instructions="Be kind.", temperature=0.5)

    assert response.output_text == "Hello there."
    assert response.status == "completed"
    assert [item.type for item in response.output] == ["reasoning", "message"]
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens, response.usage.total_tokens) == (11, 7, 18)
    assert (response.model, response.instructions, response.temperature) == (MODEL, "Be kind.", 0.5)
    assert "stream_options" not in upstream.chats[0]


def test_a_streamed_response(client: OpenAI, upstream: Upstream) -> None:
    upstream.answers(chat_text("Hello there, friend.", reasoning="A greeting."))
    events = list(client.responses.create(model=MODEL, input="Say hello.", stream=True))

    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [events[0].type, events[1].type, events[-1].type] == [
        "response.created",
        "response.in_progress",
        "response.completed",
    ]
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == "Hello there, friend."
    assert len(deltas) > 1
    final = events[-1]
    assert final.type == "response.completed"
    done = [event.item for event in events if event.type == "response.output_item.done"]
    assert done == final.response.output


def test_the_stream_helper_collects_a_call(client: OpenAI, upstream: Upstream) -> None:
    upstream.answers(chat_call("get_weather", {"city": "Paris"}, text="I look.", reasoning="Which city?"))
    with client.responses.stream(
        model=MODEL, input="How is Paris?", tools=[WEATHER], reasoning={"summary": "auto"}
    ) as stream:
        arguments = [event.delta for event in stream if event.type == "response.function_call_arguments.delta"]
        final = stream.get_final_response()

    reasoning, message, call = final.output
    assert isinstance(reasoning, ResponseReasoningItem)
    assert [part.text for part in reasoning.summary] == ["Which city?"]
    assert message.type == "message"
    assert isinstance(call, ResponseFunctionToolCall)
    assert json.loads("".join(arguments)) == json.loads(call.arguments) == {"city": "Paris"}
    assert call.call_id == "call_1"


def test_a_response_is_parsed_into_a_model(client: OpenAI, upstream: Upstream) -> None:
    upstream.answers(chat_text('{"name": "Ada", "age": 36}'))
    response = client.responses.parse(model=MODEL, input="Who?", text_format=Person)

    assert response.output_parsed == Person(name="Ada", age=36)
    wanted = upstream.chats[0]["response_format"]
    assert wanted["json_schema"]["name"] == "Person"
    assert set(wanted["json_schema"]["schema"]["properties"]) == {"name", "age"}


def test_a_conversation_goes_on_with_what_was_received(client: OpenAI, upstream: Upstream) -> None:
    upstream.answers(
        chat_call("get_weather", {"city": "Paris"}, reasoning="Which city?", id="call_w"), chat_text("Sunny.")
    )
    first = client.responses.create(
        model=MODEL, input="How is Paris?", tools=[WEATHER], include=["reasoning.encrypted_content"], store=False
    )
    # As OpenAI's guide says: what was received goes back as it is.
    received = [item.model_dump(exclude_none=True) for item in first.output]
    output = {"type": "function_call_output", "call_id": "call_w", "output": "18 degrees"}
    history = cast("Any", [{"role": "user", "content": "How is Paris?"}, *received, output])
    second = client.responses.create(model=MODEL, input=history, tools=[WEATHER], store=False)

    assert second.output_text == "Sunny."
    question, call, result = upstream.chats[1]["messages"]
    assert question["role"] == "user"
    assert call["reasoning_content"] == "Which city?"
    assert (result["tool_call_id"], result["content"]) == ("call_w", "18 degrees")


def test_a_conversation_is_compacted(client: OpenAI, upstream: Upstream) -> None:
    upstream.answers(chat_text("SUMMARY: greetings were exchanged."), chat_text("Going on."))
    history = cast("Any", [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Hi."}])
    (item,) = client.responses.compact(model=MODEL, input=history).output
    assert item.type == "compaction"
    following = cast("Any", [item.model_dump(), {"role": "user", "content": "Go on."}])
    response = client.responses.create(model=MODEL, input=following)

    assert response.output_text == "Going on."
    assert "SUMMARY" not in item.encrypted_content
    assert "SUMMARY: greetings were exchanged." in whole_text(upstream.chats[1])


def test_input_tokens_are_counted(client: OpenAI, upstream: Upstream) -> None:
    counted = client.responses.input_tokens.count(model=MODEL, input="How is Paris?", tools=[WEATHER])
    assert 10 < counted.input_tokens < 300
    assert upstream.asked == []


def test_an_answer_cut_for_length_is_incomplete(client: OpenAI, upstream: Upstream) -> None:
    upstream.answers(chat_text("Half a", finish="length"))
    response = client.responses.create(model=MODEL, input="Tell.", max_output_tokens=16)

    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.output_text == "Half a"


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("status", "raised"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (404, openai.NotFoundError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
    ],
)
def test_an_error_has_its_class(
    client: OpenAI, upstream: Upstream, status: int, raised: type[openai.APIStatusError], streamed: bool
) -> None:
    upstream.always(error(status, "The upstream's own words."))
    with pytest.raises(raised, match="The upstream's own words") as caught:
        client.responses.create(model=MODEL, input="Say hello.", stream=streamed)
    assert caught.value.request_id


def test_a_stream_that_breaks_fails(client: OpenAI, upstream: Upstream) -> None:
    upstream.answers(chat_text("This text will never be finished.").streamed().cut(700))
    *_, last = client.responses.create(model=MODEL, input="Say hello.", stream=True)

    assert last.type == "response.failed"
    assert last.response.error is not None
    assert last.response.error.code == "server_error"


def test_the_model_list(client: OpenAI, chat_client: OpenAI, agents: Gateway) -> None:
    assert MODEL in [model.id for model in client.models.list()]
    assert MODEL in [model.id for model in chat_client.models.list()]


@pytest.mark.parametrize("port", ["client", "chat_client"])
def test_chat_is_served_on_both_ports(request: pytest.FixtureRequest, upstream: Upstream, port: str) -> None:
    chat: OpenAI = request.getfixturevalue(port)
    # The gateway of the fixture asked for the list before; the script is for chats alone.
    upstream.answers(chat_text("Whole."), chat_text("Streamed text."), chat_call("get_weather", {"city": "Rome"}))
    asked = cast("Any", [{"role": "user", "content": "Say it."}])

    whole = chat.chat.completions.create(model=MODEL, messages=asked)
    assert whole.choices[0].message.content == "Whole."

    chunks = list(chat.chat.completions.create(model=MODEL, messages=asked, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Streamed text."

    with chat.chat.completions.stream(model=MODEL, messages=asked) as stream:
        final = stream.get_final_completion()
    (call,) = final.choices[0].message.tool_calls or []
    assert json.loads(call.function.arguments) == {"city": "Rome"}
