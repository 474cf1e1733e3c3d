"""The plain fields of a Responses request: the fate of each, and what Chat calls them.

Every field of the published schema has one fate, and so have those of Chat bodies that front ends leave in:

    mapped      has a Chat form of its own, made here or in `request`
    copied      means the same in Chat; so do fields that stand in no table (an upstream's own sampling)
    stored      what the store reads (`gateway.store.turn`), and tells of in the answer
    echoed      stands in the answer and is not sent: it concerns OpenAI's servers
    dropped     left out and listed, unless its value asks for nothing
    silent      left out without a word: it says nothing to a model
    rejected    refused: without it the answer would not be the one that was asked for

Reference: `ResponseCreateParams` of the OpenAI API.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

from gateway.dialects import shape
from gateway.errors import RequestError, UnsupportedFeature
from gateway.types import JSON

Fate = Literal["mapped", "copied", "stored", "echoed", "dropped", "silent", "rejected"]

_FIELDS: dict[Fate, str] = {
    "mapped": "model input instructions stream tools tool_choice parallel_tool_calls max_output_tokens max_tokens"
    " max_completion_tokens temperature top_p presence_penalty frequency_penalty top_logprobs logprobs include"
    " reasoning text",
    "copied": "seed stop user logit_bias response_format reasoning_effort verbosity",
    "stored": "previous_response_id store",
    "echoed": "metadata service_tier prompt_cache_key safety_identifier max_tool_calls",
    "dropped": "truncation context_management moderation image access_programs prompt_cache_options"
    " prompt_cache_retention n functions function_call api_base base_url api_key api_type api_version",
    "silent": "client_metadata stream_options _gateway",
    "rejected": "messages background prompt conversation",
}
FATES: dict[str, Fate] = {name: fate for fate, names in _FIELDS.items() for name in names.split()}

_ASKS_NOTHING: JSON = {"truncation": "disabled", "n": 1, "context_management": []}

_SUMMARIES = (None, "none")


def refuse(body: JSON) -> None:
    """Refuse what cannot be answered here. Raises: RequestError."""
    if body.get("messages") is not None:
        raise RequestError(
            "This is a Chat Completions body (`messages`). Send it to /v1/chat/completions, or send `input` here.",
            param="messages",
        )
    if shape.boolean(body, "background"):
        raise _unsupported("background", "Answers in the background are not made here: send `background: false`.")
    if body.get("prompt") is not None:
        raise _unsupported("prompt", "Stored prompts are at OpenAI: send their text as `instructions` and `input`.")
    if body.get("conversation") is not None:
        raise _unsupported("conversation", "Conversations are not kept here: send the earlier items in `input`.")
    # A store that knows it has taken this member away and brings the earlier items.
    previous = shape.optional_text(body, "previous_response_id")
    if previous is not None:
        raise RequestError(
            f"The previous response {shape.shown(previous)} is not known here. Send the earlier items in `input`.",
            param="previous_response_id",
            code="previous_response_not_found",
        )


def _unsupported(field: str, message: str) -> UnsupportedFeature:
    return UnsupportedFeature(message, param=field, code="unsupported_parameter")


def plain(body: JSON, dropped: list[str]) -> JSON:
    """Return the Chat members for all fields but the structured ones; list what is left out."""
    members: JSON = {}
    for field, value in body.items():
        if value is None:
            continue
        check = _CHECKS.get(field)
        if check is not None:
            check(body, field)
        fate = FATES.get(field, "copied")
        if fate == "copied":
            members[field] = value
        elif fate == "dropped" and value != _ASKS_NOTHING.get(field):
            dropped.append(field)
    members.update(_sampling(body))
    members.update(_reasoning(body, dropped))
    members.update(_text(body))
    if shape.boolean(body, "stream"):
        members["stream"] = True
    return members


def wants_summary(body: JSON) -> bool:
    """Tell whether reasoning is to be shown as summary. `generate_summary` is the older name."""
    reasoning = shape.mapping(body, "reasoning") or {}
    return (reasoning.get("summary") or reasoning.get("generate_summary")) not in _SUMMARIES


def included(body: JSON) -> list[str]:
    """Return the extra data that `include` asks for."""
    values = shape.listing(body, "include") or []
    for index, value in enumerate(values):
        if not isinstance(value, str):
            raise shape.wrong(f"include[{index}]", "a string", value)
    return values


def token_limit(body: JSON) -> int | None:
    """Return the limit of the answer's tokens, also under Chat's names: LobeChat sends `max_tokens`."""
    limits = [shape.integer(body, name, 1) for name in _LIMITS if body.get(name) is not None]
    return limits[0] if limits else None


def _check_truncation(body: JSON, field: str) -> None:
    if shape.optional_text(body, field) not in (None, "auto", "disabled"):
        raise shape.fault(field, f"`{field}` must be `auto` or `disabled`.")


def _check_stop(body: JSON, field: str) -> None:
    stop = body[field]
    if not isinstance(stop, str | list) or not all(isinstance(word, str) for word in stop):
        raise shape.wrong(field, "a string or a list of strings", stop)


def _check_metadata(body: JSON, field: str) -> None:
    metadata = shape.mapping(body, field) or {}
    if len(metadata) > 16:
        raise shape.fault(field, f"`{field}` has {len(metadata)} keys; at most 16 are allowed.")
    for key, value in metadata.items():
        if not isinstance(value, str):
            wanted = f"an object of strings; the value of {shape.shown(key)} must be a string"
            raise shape.wrong(field, wanted, value)


_CHECKS: dict[str, Callable[[JSON, str], object]] = {
    **dict.fromkeys(
        ("user", "service_tier", "prompt_cache_key", "safety_identifier", "reasoning_effort", "verbosity"),
        shape.optional_text,
    ),
    **dict.fromkeys(("logit_bias", "stream_options", "response_format"), shape.mapping),
    "truncation": _check_truncation,
    "store": shape.boolean,
    "seed": shape.integer,
    "max_tool_calls": partial(shape.integer, low=1),
    "stop": _check_stop,
    "metadata": _check_metadata,
}
"""Checks of the fields that are echoed or copied as they are."""

_NUMBERS: dict[str, tuple[float | None, float | None]] = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "presence_penalty": (None, None),
    "frequency_penalty": (None, None),
}
"""Sampling values with their bounds."""

_LIMITS = ("max_output_tokens", "max_completion_tokens", "max_tokens")


def _sampling(body: JSON) -> JSON:
    logprobs = shape.integer(body, "top_logprobs", 0, 20)
    wanted = shape.boolean(body, "logprobs") or bool(logprobs) or "message.output_text.logprobs" in included(body)
    members: JSON = {}
    limit = token_limit(body)
    if limit is not None:
        members["max_tokens"] = limit
    for name, bounds in _NUMBERS.items():
        if body.get(name) is not None:
            members[name] = shape.number(body, name, *bounds)
    if wanted:
        members["logprobs"] = True
    if logprobs:
        members["top_logprobs"] = logprobs
    return members


def _reasoning(body: JSON, dropped: list[str]) -> JSON:
    reasoning = shape.mapping(body, "reasoning")
    if reasoning is None:
        return {}
    effort = shape.optional_text(reasoning, "effort", "reasoning")
    for member in ("summary", "generate_summary", "context", "mode"):
        shape.optional_text(reasoning, member, "reasoning")
    if reasoning.get("mode") not in (None, "standard"):
        dropped.append("reasoning.mode")
    return {} if effort is None else {"reasoning_effort": effort}


def _text(body: JSON) -> JSON:
    text = shape.mapping(body, "text")
    members: JSON = {}
    if text is None:
        return members
    verbosity = shape.optional_text(text, "verbosity", "text")
    if verbosity is not None:
        members["verbosity"] = verbosity
    form = text_format(text)
    if form["type"] == "json_schema":
        schema = {key: form[key] for key in ("name", "description", "schema", "strict") if form[key] is not None}
        members["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif form["type"] == "json_object":
        members["response_format"] = {"type": "json_object"}
    return members


def text_format(text: JSON) -> JSON:
    """Return `text.format`, checked, flat and with its defaults, as OpenAI echoes it."""
    path = "text.format"
    form = shape.mapping(text, "format", "text") or {"type": "text"}
    kind = shape.text(form, "type", path)
    if kind in ("text", "json_object"):
        return {"type": kind}
    if kind != "json_schema":
        raise _unsupported(
            f"{path}.type", f"`{path}.type` {shape.shown(kind)} is not one of text, json_object, json_schema."
        )
    inner = shape.mapping(form, "json_schema", path)  # Chat nests it
    if inner is not None:
        form, path = inner, f"{path}.json_schema"
    schema = shape.mapping(form, "schema", path)
    if schema is None:
        raise shape.wrong(f"{path}.schema", "an object", None)
    return {
        "type": kind,
        "name": shape.name(form, "name", path),
        "description": shape.optional_text(form, "description", path),
        "schema": schema,
        "strict": shape.boolean(form, "strict", path) is True,
    }
