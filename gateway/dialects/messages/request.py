"""A Messages request, into the hub form (a Chat body).

Every member has one fate. It is *translated* (a function below), *copied* (sampling values of Chat servers,
which users of the SDKs send as extra body), or *dropped* and listed. `cache_control` is dropped in silence, at
the top and in every block: it asks for nothing that Chat upstreams do not do by themselves.

What the upstream's prefix cache works on stays the same from turn to turn: the billing line is taken out, and
nothing here depends on anything but the member it translates.

Reference: Anthropic API reference, "Messages".
"""

from __future__ import annotations

from typing import Any

from gateway import tokens
from gateway.dialects import Translation, shape
from gateway.dialects.chat.history import settle
from gateway.dialects.messages import tools
from gateway.dialects.messages.content import Intake
from gateway.dialects.messages.context import MessagesContext
from gateway.dialects.messages.thinking import reasoning_effort
from gateway.dialects.messages.turns import system, turns
from gateway.errors import RequestError, TooLarge, UnsupportedFeature
from gateway.profile import Limits, Model, Terms
from gateway.types import JSON

TRANSLATED = frozenset(
    (
        "model",
        "messages",
        "system",
        "max_tokens",
        "stream",
        "stop_sequences",
        "temperature",
        "top_p",
        "top_k",
        "thinking",
        "output_config",
        "output_format",
        "tools",
        "tool_choice",
        "thread",
    )
)

COPIED = (
    "min_p",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "repetition_penalty",
    "logit_bias",
    "chat_template_kwargs",
    "reasoning_effort",
)

SILENT = frozenset(("cache_control",))

_LEAST_ROOM = 1024
"""Answer tokens asked for in any case: the estimate of the prompt may be too high."""
_SPARE = 256


def to_chat(body: JSON, terms: Terms) -> Translation:
    """Translate a request; also the body of `count_tokens`, which has no `max_tokens`. Raises: RequestError."""
    model, limits = terms.model, terms.limits
    requested = shape.name(body, "model", "")
    _refuse_thread(body)
    intake = Intake(model)
    messages = _messages(body, intake, limits)
    terms.pause()
    settled, notes = settle(messages, model)
    terms.pause()
    hub: JSON = {"model": model.id, "messages": settled}
    offered = tools.offer(body, intake.loaded, limits)
    if offered.functions:
        hub["tools"] = offered.functions
    hub |= tools.choice(body, offered)
    hub |= _sampling(body)
    hub |= _output(body, model)
    hub |= {key: body[key] for key in COPIED if body.get(key) is not None}
    input_tokens = tokens.estimate_chat(hub)
    asked = shape.integer(body, "max_tokens", 1)
    if asked is not None:
        hub["max_tokens"] = _fitting(asked, model, input_tokens)
    stream = shape.boolean(body, "stream")
    if stream is not None:
        hub["stream"] = stream
    context = MessagesContext(requested, input_tokens, _renamed(offered))
    dropped = (*intake.dropped, *notes, *offered.dropped, *_dropped(body))
    return Translation(hub, context, dropped, input_tokens)


def _refuse_thread(body: JSON) -> None:
    thread = shape.mapping(body, "thread")
    if thread is not None and thread.get("type") == "continue":
        raise UnsupportedFeature(
            "`thread`: no conversation is kept here; send all of its messages.",
            param="thread",
            code="unsupported_thread",
        )


def _messages(body: JSON, intake: Intake, limits: Limits) -> list[JSON]:
    given = shape.listing(body, "messages")
    if not given:
        raise shape.fault("messages", "`messages` is missing or empty.")
    if len(given) > limits.max_input_items:
        raise RequestError(
            f"The request has {len(given)} messages; at most {limits.max_input_items} are taken (MAX_INPUT_ITEMS).",
            param="messages",
            code="too_many_input_items",
        )
    instructions = system(body, intake)
    if shape.size_of(instructions) > limits.max_instructions_bytes:
        raise RequestError(
            f"`system` is longer than {limits.max_instructions_bytes} bytes (MAX_INSTRUCTIONS_BYTES).",
            param="system",
            code="instructions_too_large",
        )
    messages = turns(given, intake)
    if not messages:
        raise shape.fault("messages", "`messages` holds nothing to answer.")
    texts: list[str] = []
    for message in messages:
        tokens.add_texts(message, texts)
    if sum(map(shape.size_of, texts)) > limits.max_text_bytes:
        raise TooLarge(
            f"The text of the messages is longer than {limits.max_text_bytes} bytes (MAX_TEXT_BYTES), "
            "not counting images.",
            param="messages",
        )
    return [{"role": "system", "content": instructions}, *messages] if instructions else messages


def _sampling(body: JSON) -> JSON:
    fields: JSON = {
        "temperature": shape.number(body, "temperature", 0, 2),
        "top_p": shape.number(body, "top_p", 0, 1),
        "top_k": shape.integer(body, "top_k"),
    }
    stop = shape.listing(body, "stop_sequences") or []
    for index, text in enumerate(stop):
        if not isinstance(text, str):
            raise shape.wrong(f"stop_sequences[{index}]", "a string", text)
    fields["stop"] = [text for text in stop if text] or None
    return {key: value for key, value in fields.items() if value is not None}


def _output(body: JSON, model: Model) -> JSON:
    """`output_config` and `thinking`: how hard to think, and the form of the answer."""
    fields: JSON = {}
    config = shape.mapping(body, "output_config") or {}
    form, path = shape.mapping(config, "format", "output_config"), "output_config.format"
    if form is None:
        # Where it stood before it moved into `output_config`; older SDKs send it there.
        form, path = shape.mapping(body, "output_format"), "output_format"
    if form is not None:
        fields["response_format"] = _response_format(form, path)
    effort = reasoning_effort(body, model)
    if effort is not None:
        fields["reasoning_effort"] = effort
    return fields


def _response_format(form: JSON, path: str) -> JSON:
    if shape.name(form, "type", path) != "json_schema":
        raise shape.fault(f"{path}.type", f"`{path}.type` must be json_schema.")
    schema = shape.mapping(form, "schema", path)
    if schema is None:
        raise shape.wrong(f"{path}.schema", "a JSON schema (an object)", None)
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}


def _fitting(asked: int, model: Model, input_tokens: int) -> int:
    """Return how long an answer to ask for: clients ask for more than many models can give."""
    most = asked if model.max_output_tokens is None else min(asked, model.max_output_tokens)
    if model.context_window is None:
        return most
    room = model.context_window - input_tokens - input_tokens // 20 - _SPARE
    return min(most, max(room, _LEAST_ROOM))


def _renamed(offered: tools.Offer) -> dict[str, str]:
    pairs = ((tools.short_name(name), name) for name in offered.names)
    return {short: name for short, name in pairs if short != name}


def _dropped(body: JSON) -> list[str]:
    known = TRANSLATED | SILENT
    dropped = [key for key, value in body.items() if value is not None and key not in known and key not in COPIED]
    thinking: Any = body.get("thinking") or {}
    if thinking.get("display") is not None:
        dropped.append("thinking.display")
    if body.get("thread") is not None:
        dropped.append("thread")
    return dropped
