"""A Responses request, into a Chat body and what the encoder of its answer must know.

Three requests have this form: `POST /v1/responses`, and its `/compact` and `/input_tokens`. The body is read
and never changed. Plain fields are in `fields`, tools in `tools` and `tool_choice`, the history in
`input_items`; here they come together, in an order that is the same in every turn (an upstream's prompt cache
compares from the beginning).
Reference: OpenAI API, "Create a model response".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from gateway.dialects import Translation, shape
from gateway.dialects.chat.history import settle
from gateway.dialects.responses import compaction, fields
from gateway.dialects.responses.content import Intake
from gateway.dialects.responses.context import Context
from gateway.dialects.responses.echo import echo
from gateway.dialects.responses.input_items import ItemReader
from gateway.dialects.responses.tool_choice import choose
from gateway.dialects.responses.tools import Toolbox
from gateway.errors import RequestError
from gateway.profile import Limits, Terms
from gateway.types import JSON

_SEALED = "reasoning.encrypted_content"
_NOT_FOR_SUMMARIES = ("response_format", "stream", "logprobs", "top_logprobs")

Purpose = Literal["answer", "compact", "count"]


def to_chat(body: JSON, terms: Terms) -> Translation:
    """Translate the body of `POST /v1/responses`. Raises: RequestError."""
    return _translate(body, terms, "answer")


def compact_to_chat(body: JSON, terms: Terms) -> Translation:
    """Translate the body of `POST /v1/responses/compact` to a request for the summary. Raises: RequestError."""
    return _translate(body, terms, "compact")


def count_to_chat(body: JSON, terms: Terms) -> Translation:
    """Translate the body of `POST /v1/responses/input_tokens`: neither `model` nor `input` is needed."""
    return _translate(body, terms, "count")


def _translate(body: JSON, terms: Terms, purpose: Purpose) -> Translation:
    fields.refuse(body)
    if purpose != "count" or body.get("model") is not None:
        shape.name(body, "model", "")
    intake = Intake(terms)
    plain = fields.plain(body, intake.dropped)
    toolbox = Toolbox(terms.limits.max_tools, intake.dropped)
    toolbox.declare(shape.listing(body, "tools") or [], "tools")
    reader = ItemReader(intake, toolbox)
    _read_instructions(body, reader, terms.limits)
    _read_input(body, reader, intake, purpose)
    if purpose == "compact":
        reader.messages.append(compaction.prompt_message())
    compacts = reader.compaction or purpose == "compact"
    terms.pause()
    messages, notes = settle(reader.messages, terms.model)
    terms.pause()
    chat: JSON = {"model": terms.model.id, "messages": messages}
    chat.update(_tools(body, toolbox, compacts))
    chat.update(plain if not compacts else _for_summary(plain, keep_stream=purpose == "answer"))
    context = Context(
        echo=echo(body),
        tools={} if compacts else toolbox.tools,
        summary=fields.wants_summary(body),
        seal=terms.seal if compacts or _SEALED in fields.included(body) else None,
        compaction=compacts,
    )
    return Translation(chat, context, (*intake.dropped, *notes))


def _read_instructions(body: JSON, reader: ItemReader, limits: Limits) -> None:
    instructions = shape.optional_text(body, "instructions")
    if not instructions:
        return
    size = shape.size_of(instructions)
    if size > limits.max_instructions_bytes:
        raise RequestError(
            f"`instructions` has {size} bytes; at most {limits.max_instructions_bytes} are allowed"
            " (MAX_INSTRUCTIONS_BYTES).",
            param="instructions",
            code="instructions_too_large",
        )
    reader.messages.append({"role": "system", "content": instructions})


def _read_input(body: JSON, reader: ItemReader, intake: Intake, purpose: Purpose) -> None:
    given, earlier = body.get("input"), intake.terms.earlier
    _bound(len(earlier) + (len(given) if isinstance(given, list) else 0), intake.terms.limits.max_input_items)
    _read_earlier(earlier, reader, intake)
    if isinstance(given, str):
        reader.messages.append({"role": "user", "content": intake.count(given)})
        return
    if given is None and (purpose == "count" or earlier):
        return
    if not isinstance(given, list):
        raise shape.wrong("input", "a string or a list of items", given)
    if not given and not earlier:
        raise shape.fault("input", "`input` must not be an empty list.")
    reader.read(given)
    if not reader.messages:
        raise shape.fault("input", "`input` holds nothing that can be sent to this model.")


def _bound(count: int, limit: int) -> None:
    if count > limit:
        raise RequestError(
            f"`input` has {count} items, with those of earlier responses; at most {limit} are allowed"
            " (MAX_INPUT_ITEMS).",
            param="input",
            code="too_many_input_items",
        )


def _read_earlier(earlier: Sequence[JSON], reader: ItemReader, intake: Intake) -> None:
    """Take the items of stored responses; what is left out of them is named once, and not by its place."""
    told = len(intake.dropped)
    reader.read(earlier, "previous_response_id")
    if len(intake.dropped) > told:
        intake.dropped[told:] = ["previous_response_id"]


def _tools(body: JSON, toolbox: Toolbox, compacts: bool) -> JSON:
    """Return the Chat members about tools: none where nothing is offered, as many servers refuse an empty list."""
    parallel = shape.boolean(body, "parallel_tool_calls")
    choice = choose(body.get("tool_choice"), toolbox)
    if compacts or not choice.functions:
        return {}
    members: JSON = {"tools": choice.functions}
    if choice.value is not None:
        members["tool_choice"] = choice.value
    if parallel is not None:
        members["parallel_tool_calls"] = parallel
    return members


def _for_summary(plain: JSON, *, keep_stream: bool) -> JSON:
    """Return the plain members as they fit a summary: text, and all of it whatever form the answer was to have."""
    return {
        name: value
        for name, value in plain.items()
        if name not in _NOT_FOR_SUMMARIES or (name == "stream" and keep_stream)
    }
