"""The openai Python SDK speaks Chat to an upstream that speaks Responses, and parses strictly what it gets.

Once with a scripted Responses upstream, once through two gateways: the upgrade of the first, whose upstream is
the Responses port of the second, whose upstream is Chat. What goes in at one end comes out at the other.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, cast

import openai
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletion, ChatCompletionToolParam
from pydantic import BaseModel

from tests.clients.conftest import MODELS_FILE
from tests.support.answers import Chat, chat_call, chat_calls, chat_text, error
from tests.support.chat_bodies import images_of, outputs_of, text_of
from tests.support.gateway import Gateway
from tests.support.responses import Responses, function_call, message, reasoning
from tests.support.sockets import KEY
from tests.support.upstream import Upstream

MODEL = "test/coder"
PNG = "data:image/png;base64,iVBORw0KGgo="
WEATHER: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tells the weather.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
ASKED = cast("Any", [{"role": "user", "content": "Say it."}])

each_way = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])


class Person(BaseModel):
    """What `parse` asks for."""

    name: str
    age: int


def strict(gateway: Gateway) -> OpenAI:
    return OpenAI(base_url=gateway.responses_url, api_key=KEY, max_retries=0, _strict_response_validation=True)


@pytest.fixture
def client(gateway_with: Callable[..., Gateway]) -> Iterator[OpenAI]:
    """A client of the upgrade, before the scripted upstream."""
    with strict(gateway_with(BACKEND_API="responses")) as made:
        yield made


@pytest.fixture(scope="module")
def _second() -> Iterator[Gateway]:
    """A gateway whose upstream is set by no other test: it closes the row."""
    with Upstream() as upstream, Gateway(upstream.url, MODELS_FILE=str(MODELS_FILE)) as gateway:
        gateway.upstream = upstream  # type: ignore[attr-defined]
        yield gateway


@pytest.fixture(scope="module")
def _first(_second: Gateway) -> Iterator[Gateway]:
    with Gateway(_second.responses_url, BACKEND_API="responses", AUTO_WEB_SEARCH="false") as gateway:
        yield gateway


@pytest.fixture
def last(_second: Gateway) -> Upstream:
    """The Chat upstream at the end of the row."""
    upstream: Upstream = _second.upstream  # type: ignore[attr-defined]
    upstream.reset()
    return upstream


@pytest.fixture
def far(_first: Gateway, last: Upstream) -> Iterator[OpenAI]:
    """A client of the first of two gateways."""
    with strict(_first) as made:
        yield made


def ask(client: OpenAI, *, streamed: bool, **members: Any) -> ChatCompletion:
    """Ask whole, or streamed and put together by the SDK."""
    members = {"model": MODEL, "messages": ASKED, **members}
    if not streamed:
        return client.chat.completions.create(**members)
    with client.chat.completions.stream(**members) as stream:
        chunks = [event.chunk for event in stream if event.type == "chunk"]
        final = stream.get_final_completion()
    said = [choice.delta for chunk in chunks for choice in chunk.choices]
    thought = "".join(getattr(delta, "reasoning_content", None) or "" for delta in said)
    final.choices[0].message.reasoning_content = thought or None  # type: ignore[attr-defined]
    return cast("ChatCompletion", final)


def thought_of(completion: ChatCompletion) -> Any:
    return getattr(completion.choices[0].message, "reasoning_content", None)


# --- a scripted Responses upstream -------------------------------------------------------------------------------


@each_way
def test_text_and_reasoning(client: OpenAI, upstream: Upstream, streamed: bool) -> None:
    upstream.answers(Responses(reasoning("First.", "Then."), message("Hello there.")))
    completion = ask(client, streamed=streamed)
    assert completion.choices[0].message.content == "Hello there."
    assert thought_of(completion) == "First.\n\nThen."
    assert completion.choices[0].finish_reason == "stop"
    assert completion.model == MODEL
    sent = upstream.chats[0]
    assert upstream.asked[0].path == "/v1/responses"
    assert (sent["tools"], sent["store"]) == ([{"type": "web_search"}], False)


@each_way
def test_calls(client: OpenAI, upstream: Upstream, streamed: bool) -> None:
    calls = [function_call("get_weather", {"city": city}, id=f"call_{city}") for city in ("Rome", "Oslo")]
    upstream.answers(Responses(message("I look."), *calls))
    completion = ask(client, streamed=streamed, tools=[WEATHER], tool_choice="required")
    made = cast("Any", completion.choices[0].message.tool_calls)
    assert [(call.id, json.loads(call.function.arguments)) for call in made] == [
        ("call_Rome", {"city": "Rome"}),
        ("call_Oslo", {"city": "Oslo"}),
    ]
    assert completion.choices[0].finish_reason == "tool_calls"
    assert upstream.chats[0]["tools"][0]["name"] == "get_weather"
    assert upstream.chats[0]["tools"][0]["strict"] is False


def test_a_chunk_of_usage_comes_where_it_is_asked_for(client: OpenAI, upstream: Upstream) -> None:
    upstream.always(Responses(message("Hello there.")))
    asked = {"model": MODEL, "messages": ASKED, "stream": True}
    chunks: Any = list(client.chat.completions.create(**asked, stream_options={"include_usage": True}))
    assert chunks[-1].usage.total_tokens == 25
    assert all(chunk.usage is None for chunk in client.chat.completions.create(**asked))  # type: ignore[call-overload]


def test_an_answer_is_parsed_into_a_model(client: OpenAI, upstream: Upstream) -> None:
    upstream.answers(Responses(message('{"name": "Ada", "age": 36}')))
    completion = client.chat.completions.parse(model=MODEL, messages=ASKED, response_format=Person)
    assert completion.choices[0].message.parsed == Person(name="Ada", age=36)
    form = upstream.chats[0]["text"]["format"]
    assert (form["type"], form["name"], form["strict"]) == ("json_schema", "Person", True)


def test_logprobs(client: OpenAI, upstream: Upstream) -> None:
    token = {
        "token": "Hi",
        "logprob": -0.1,
        "bytes": [72, 105],
        "top_logprobs": [{"token": "Hi", "logprob": -0.1, "bytes": None}],
    }
    said = message("Hi")
    said["content"][0]["logprobs"] = [token]
    upstream.answers(Responses(said))
    completion = ask(client, streamed=False, logprobs=True, top_logprobs=1)
    logprobs = completion.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    assert (logprobs.content[0].token, logprobs.content[0].bytes) == ("Hi", [72, 105])
    assert upstream.chats[0]["include"] == ["message.output_text.logprobs"]


@each_way
@pytest.mark.parametrize(
    ("status", "raised"),
    [(400, openai.BadRequestError), (401, openai.AuthenticationError), (429, openai.RateLimitError)],
)
def test_an_error_has_its_class(
    client: OpenAI, upstream: Upstream, status: int, raised: type[openai.APIStatusError], streamed: bool
) -> None:
    upstream.always(error(status, "The upstream's own words."))
    with pytest.raises(raised, match="The upstream's own words"):
        ask(client, streamed=streamed)


@each_way
def test_a_failed_response_has_the_class_of_its_code(client: OpenAI, upstream: Upstream, streamed: bool) -> None:
    upstream.always(Responses(status="failed", error={"code": "rate_limit_exceeded", "message": "Slow down."}))
    with pytest.raises(openai.RateLimitError, match=r"Slow down\."):
        ask(client, streamed=streamed)


def test_a_stream_that_fails_midway_raises(client: OpenAI, upstream: Upstream) -> None:
    upstream.answers(
        Responses(message("Hello there."), status="failed", error={"code": "server_error", "message": "Oops."})
    )
    with pytest.raises(openai.APIError, match=r"Oops\."):
        ask(client, streamed=True)


def test_responses_are_relayed(client: OpenAI, upstream: Upstream) -> None:
    upstream.always(Responses(message("Hello there.")).whole())
    loose = client.with_options(max_retries=0)
    loose._strict_response_validation = False
    assert loose.responses.create(model=MODEL, input="hi", store=True, previous_response_id="resp_0").output_text
    assert loose.responses.retrieve("resp_1").id == "resp_1"
    loose.responses.cancel("resp_1")
    loose.responses.delete("resp_1")
    assert upstream.asked[0].json["previous_response_id"] == "resp_0"
    assert [(request.method, request.path) for request in upstream.asked[1:]] == [
        ("GET", "/v1/responses/resp_1"),
        ("POST", "/v1/responses/resp_1/cancel"),
        ("DELETE", "/v1/responses/resp_1"),
    ]


# --- two gateways in a row ---------------------------------------------------------------------------------------


@each_way
def test_text_and_reasoning_survive_two_gateways(far: OpenAI, last: Upstream, streamed: bool) -> None:
    last.answers(chat_text("Hello there, friend.", reasoning="A greeting, then."))
    system = {"role": "system", "content": "Be kind."}
    completion = ask(far, streamed=streamed, messages=[system, *ASKED], reasoning_effort="low", max_tokens=50)
    assert completion.choices[0].message.content == "Hello there, friend."
    assert thought_of(completion) == "A greeting, then."
    assert completion.choices[0].finish_reason == "stop"
    assert completion.model == MODEL
    sent = last.chats[0]
    assert [(m["role"], text_of(m)) for m in sent["messages"]] == [("system", "Be kind."), ("user", "Say it.")]
    assert (sent["max_tokens"], sent["reasoning_effort"]) == (50, "low")


@each_way
def test_tools_images_and_reasoning_survive_two_gateways(far: OpenAI, last: Upstream, streamed: bool) -> None:
    last.answers(
        chat_calls(
            ("get_weather", {"city": "Rome"}), ("get_weather", {"city": "Oslo"}), text="I look.", reasoning="Two."
        ),
        chat_text("Sunny and cold."),
    )
    picture = {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}}
    question = {"role": "user", "content": [{"type": "text", "text": "Which is warmer?"}, picture]}
    first = ask(far, streamed=streamed, messages=[question], tools=[WEATHER])
    said = first.choices[0].message
    calls = cast("Any", said.tool_calls)
    assert [json.loads(call.function.arguments)["city"] for call in calls] == ["Rome", "Oslo"]
    assert (said.content, thought_of(first), first.choices[0].finish_reason) == ("I look.", "Two.", "tool_calls")
    assert images_of(last.chats[0]) == [PNG]
    assert [tool["function"]["name"] for tool in last.chats[0]["tools"]] == ["get_weather"]

    answered = {
        "role": "assistant",
        "content": said.content,
        "reasoning_content": thought_of(first),
        "tool_calls": [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.function.name, "arguments": call.function.arguments},
            }
            for call in calls
        ],
    }
    outputs = [{"role": "tool", "tool_call_id": call.id, "content": f"{n} degrees"} for n, call in enumerate(calls)]
    second = ask(far, streamed=streamed, messages=[question, answered, *outputs], tools=[WEATHER])
    assert second.choices[0].message.content == "Sunny and cold."
    history = last.chats[1]["messages"]
    assert [m["role"] for m in history] == ["user", "assistant", "tool", "tool"]
    assert history[1]["reasoning_content"] == "Two."
    assert [call["id"] for call in history[1]["tool_calls"]] == [call.id for call in calls]
    assert outputs_of(last.chats[1]) == ["0 degrees", "1 degrees"]
    assert images_of(last.chats[1]) == [PNG]


@each_way
def test_a_custom_tool_survives_two_gateways(far: OpenAI, last: Upstream, streamed: bool) -> None:
    last.answers(chat_call("patch", {"input": 'a "quoted"\nline'}))
    members: Any = {"model": MODEL, "messages": ASKED, "tools": [{"type": "custom", "custom": {"name": "patch"}}]}
    if streamed:
        # The SDK has no type for them in a stream, nor for what OpenAI itself sends there.
        far._strict_response_validation = False
        chunks: Any = list(far.chat.completions.create(**members, stream=True))
        called = [call for chunk in chunks for choice in chunk.choices for call in choice.delta.tool_calls or ()]
        assert [call.model_extra["custom"] for call in called] == [{"name": "patch", "input": 'a "quoted"\nline'}]
        return
    (call,) = far.chat.completions.create(**members).choices[0].message.tool_calls
    assert (call.type, call.custom.name, call.custom.input) == ("custom", "patch", 'a "quoted"\nline')


@each_way
def test_a_schema_and_a_cut_survive_two_gateways(far: OpenAI, last: Upstream, streamed: bool) -> None:
    half: Chat = chat_text('{"name": "A', finish="length")
    last.answers(half)
    schema = {"name": "person", "schema": Person.model_json_schema(), "strict": True}
    members = {"model": MODEL, "messages": ASKED, "response_format": {"type": "json_schema", "json_schema": schema}}
    if streamed:
        chunks: Any = list(far.chat.completions.create(**members, stream=True))  # type: ignore[call-overload]
        reasons = [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]
        assert reasons == ["length"]
    else:
        assert far.chat.completions.create(**members).choices[0].finish_reason == "length"  # type: ignore[call-overload]
    assert last.chats[0]["response_format"]["json_schema"] == schema


@each_way
def test_a_failure_survives_two_gateways(far: OpenAI, last: Upstream, streamed: bool) -> None:
    last.always(error(429, "Slow down.", code="rate_limit_exceeded"))
    with pytest.raises(openai.RateLimitError, match=r"Slow down\."):
        ask(far, streamed=streamed)


def test_a_cut_stream_does_not_look_complete_behind_two_gateways(far: OpenAI, last: Upstream) -> None:
    last.answers(chat_text("This text will never be finished.").streamed().cut(700))
    with pytest.raises(openai.APIError):
        ask(far, streamed=True)
