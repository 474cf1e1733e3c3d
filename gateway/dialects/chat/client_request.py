"""A chat client's request to the hub, for upstreams that do not speak Chat.

Both are Chat, so little is translated: members are checked, the older and the odd ones put into one form, and
the history is settled as for all dialects. Beside that, what chat clients expect of such an upstream without
asking for it:

    web search      where they offer no tools, if the operator allows it
    reasoning       effort `medium` where they say nothing of it, for models that take such settings; a name
                    with `:res-…:sum-…` sets its own. What the client says itself wins

Reference: OpenAI API, "Create chat completion".
"""

from __future__ import annotations

from typing import Literal

from gateway.dialects import HUB_KEY, Translation, shape
from gateway.dialects.chat import client_tools
from gateway.dialects.chat.client_messages import MessageReader
from gateway.dialects.chat.client_parts import Intake
from gateway.dialects.chat.context import ChatContext
from gateway.dialects.chat.history import settle
from gateway.errors import RequestError, UnsupportedFeature
from gateway.profile import Limits, Terms
from gateway.types import JSON

Fate = Literal["mapped", "copied", "dropped", "silent"]

_FIELDS: dict[Fate, str] = {
    "mapped": "model messages tools tool_choice parallel_tool_calls functions function_call web_search_options"
    " max_tokens max_completion_tokens max_output_tokens temperature top_p logprobs top_logprobs reasoning_effort"
    " reasoning response_format verbosity stream stream_options n modalities",
    "copied": "audio frequency_penalty presence_penalty logit_bias metadata moderation prediction prompt_cache_key"
    " prompt_cache_options prompt_cache_retention safety_identifier seed service_tier stop store user access_programs",
    "dropped": "input instructions include text previous_response_id conversation prompt background"
    " api_base base_url api_key api_type api_version",
    "silent": "_gateway",
}
FATES: dict[str, Fate] = {name: fate for fate, names in _FIELDS.items() for name in names.split()}
"""What becomes of each member; those that stand in no table are an upstream's own, and copied.

Dropped are members of the other API, which would take the place of what is made here, and addresses and keys,
which only the operator sets. What of the copied an upstream cannot be told is for its own dialect to say.
"""

_DEFAULT_EFFORT = "medium"
_NO_SUMMARY = ("none", "never")
_LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens")
_REASONING = ("effort", "summary", "generate_summary", "context", "mode")


def to_chat(body: JSON, terms: Terms) -> Translation:
    """Translate the body of `POST /v1/chat/completions`. Raises: RequestError."""
    requested = shape.name(body, "model", "")
    _refuse(body)
    intake = Intake(terms)
    messages, notes = _messages(body, intake)
    offered = client_tools.offer(body, intake)
    hub: JSON = {"model": terms.model.id, "messages": messages}
    if offered.tools:
        hub["tools"] = offered.tools
    hub |= client_tools.choice(body, offered)
    hub |= _sampling(body)
    hub |= _reasoning(body, terms, intake.dropped)
    hub |= _output(body)
    if _searches(body, hub, offered, terms):
        hub[HUB_KEY] = {"web_search": True}
    for name, value in body.items():
        fate = FATES.get(name, "copied")
        if value is not None and fate == "dropped":
            intake.dropped.append(name)
        elif value is not None and fate == "copied":
            hub[name] = value
    options = shape.mapping(body, "stream_options") or {}
    context = ChatContext(
        requested,
        include_usage=shape.boolean(options, "include_usage", "stream_options") is True,
        legacy=offered.legacy,
        custom=offered.custom,
    )
    return Translation(hub, context, (*intake.dropped, *notes))


def _refuse(body: JSON) -> None:
    """Refuse what would make another answer than the one asked for. Raises: RequestError."""
    number = shape.integer(body, "n", 1)
    if number is not None and number > 1:
        raise UnsupportedFeature(
            "`n`: this upstream gives one answer to a request; send `n: 1`, or several requests.",
            param="n",
            code="unsupported_parameter",
        )
    modalities = shape.listing(body, "modalities") or []
    if "audio" in modalities:
        raise UnsupportedFeature(
            "`modalities`: this upstream cannot answer with audio.", param="modalities", code="unsupported_audio"
        )


def _messages(body: JSON, intake: Intake) -> tuple[list[JSON], list[str]]:
    given = shape.listing(body, "messages")
    if not given:
        raise shape.fault("messages", "`messages` is missing or empty.")
    limits = intake.terms.limits
    if len(given) > limits.max_input_items:
        raise RequestError(
            f"The request has {len(given)} messages; at most {limits.max_input_items} are taken (MAX_INPUT_ITEMS).",
            param="messages",
            code="too_many_input_items",
        )
    reader = MessageReader(intake)
    reader.read(given)
    intake.terms.pause()
    messages, notes = settle(reader.messages, intake.terms.model)
    if not messages:
        raise shape.fault("messages", "`messages` holds nothing to answer.")
    _check_instructions(messages[0], limits)
    return messages, notes


def _check_instructions(first: JSON, limits: Limits) -> None:
    if first["role"] in ("system", "developer") and shape.size_of(first["content"]) > limits.max_instructions_bytes:
        raise RequestError(
            f"The instructions are longer than {limits.max_instructions_bytes} bytes (MAX_INSTRUCTIONS_BYTES).",
            param="messages[0]",
            code="instructions_too_large",
        )


def _sampling(body: JSON) -> JSON:
    limits = [shape.integer(body, name, 1) for name in _LIMITS]
    members = {
        "max_tokens": next((limit for limit in limits if limit is not None), None),
        "temperature": shape.number(body, "temperature", 0, 2),
        "top_p": shape.number(body, "top_p", 0, 1),
        "logprobs": shape.boolean(body, "logprobs"),
        "top_logprobs": shape.integer(body, "top_logprobs", 0, 20),
        "stream": shape.boolean(body, "stream"),
        "stream_options": shape.mapping(body, "stream_options"),
    }
    return {name: value for name, value in members.items() if value is not None}


def _reasoning(body: JSON, terms: Terms, dropped: list[str]) -> JSON:
    given = shape.mapping(body, "reasoning") or {}
    effort = shape.optional_text(body, "reasoning_effort") or shape.optional_text(given, "effort", "reasoning")
    summary = shape.optional_text(given, "summary", "reasoning")
    summary = summary or shape.optional_text(given, "generate_summary", "reasoning")
    dropped += [f"reasoning.{name}" for name in given if name not in _REASONING and given[name] is not None]
    own = effort is not None or summary is not None
    if effort is None:
        effort = terms.effort
    if effort is None and not own and terms.model.reasons:
        effort = _DEFAULT_EFFORT
    summary = summary or terms.summary
    rest: JSON = {name: given[name] for name in ("context", "mode") if given.get(name) is not None}
    if summary is not None:
        rest["summary"] = "none" if summary in _NO_SUMMARY else summary
    members: JSON = {} if effort is None else {"reasoning_effort": effort}
    return {**members, "reasoning": rest} if rest else members


def _output(body: JSON) -> JSON:
    members: JSON = {}
    verbosity = shape.optional_text(body, "verbosity")
    if verbosity is not None:
        members["verbosity"] = verbosity
    form = shape.mapping(body, "response_format")
    if form is not None:
        members["response_format"] = _response_format(form)
    return members


def _response_format(form: JSON) -> JSON:
    path = "response_format"
    kind = shape.text(form, "type", path)
    if kind in ("text", "json_object"):
        return {"type": kind}
    if kind != "json_schema":
        raise UnsupportedFeature(
            f"`{path}.type` {shape.shown(kind)} is not one of text, json_object, json_schema.",
            param=f"{path}.type",
            code="unsupported_parameter",
        )
    inner = shape.mapping(form, "json_schema", path)
    if inner is None:  # flat, as in the Responses API
        inner = {name: value for name, value in form.items() if name != "type"}
    else:
        path = f"{path}.json_schema"
    if shape.mapping(inner, "schema", path) is None:
        raise shape.wrong(f"{path}.schema", "an object", None)
    schema: JSON = {"name": shape.optional_text(inner, "name", path) or "answer", "schema": inner["schema"]}
    description, strict = shape.optional_text(inner, "description", path), shape.boolean(inner, "strict", path)
    schema |= {key: value for key, value in (("description", description), ("strict", strict)) if value is not None}
    return {"type": "json_schema", "json_schema": schema}


def _searches(body: JSON, hub: JSON, offered: client_tools.Offer, terms: Terms) -> bool:
    """Tell whether a web search is to be added: the model is not known to be unable to, and nothing forbids it."""
    model = terms.model
    able = model.features is None or model.calls_tools
    forbidden = "none" in (body.get("tool_choice"), body.get("function_call"))
    # OpenAI refuses the tool beside the least effort, and beside JSON mode: "Web Search cannot be used with JSON mode."
    refused = hub.get("reasoning_effort") == "minimal" or hub.get("response_format") == {"type": "json_object"}
    return terms.web_search and offered.absent and able and not forbidden and not refused
