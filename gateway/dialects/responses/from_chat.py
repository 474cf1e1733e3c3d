"""A hub body (Chat) to a Responses request: what a Responses upstream is sent for any client.

    system at the head          `instructions`
    messages                    items; a later instruction stays where it stands
    reasoning of earlier turns  a reasoning item: sealed as the upstream gave it, else its text
    tool_calls, tool messages   call and output items; tools of type `custom` have kinds of their own
    tools, tool_choice          flat; `strict` is false unless asked for, where Responses defaults to true
    response_format, verbosity  `text`
    reasoning_effort            `reasoning`, with the summary `auto` unless another is named
    max_tokens                  `max_output_tokens`, at least 16
    logprobs                    `include`
    store                       false unless asked for: chat clients do not expect to be remembered

Every member has one fate; those without a form here are told by `unsent`. Members that stand in no table are an
upstream's own, and copied. The order is the same in every turn, for the upstream's prompt cache.
Reference: OpenAI API, "Create a model response".
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any, Literal

import orjson

from gateway.dialects import HUB_KEY
from gateway.dialects.chat.request import nearest_effort, thinking
from gateway.profile import Model
from gateway.types import JSON

Fate = Literal["mapped", "copied", "unsent"]

_FIELDS: dict[Fate, str] = {
    "mapped": "model messages tools tool_choice reasoning_effort reasoning response_format verbosity max_tokens"
    " logprobs top_logprobs store stream stream_options",
    "copied": "parallel_tool_calls temperature top_p metadata user service_tier prompt_cache_key prompt_cache_options"
    " prompt_cache_retention safety_identifier moderation access_programs",
    "unsent": "stop seed presence_penalty frequency_penalty logit_bias prediction audio modalities n",
}
FATES: dict[str, Fate] = {name: fate for fate, names in _FIELDS.items() for name in names.split()}
"""What becomes of each member of a hub body."""

_ASKS_NOTHING: dict[str, tuple[Any, ...]] = {
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
    "stop": ([],),
    "n": (1,),
    "modalities": (["text"],),
}

_LEAST_TOKENS = 16
"""Less is refused by OpenAI."""


def fitted(model: Model) -> Model:
    """Return a model's profile with what the Responses API takes for every model."""
    return replace(model, mid_system=True, developer_role=True, files=True)


def unsent(body: JSON) -> tuple[str, ...]:
    """Return the members of a hub body that ask for something and have no form here."""
    return tuple(
        name
        for name, value in body.items()
        if FATES.get(name) == "unsent" and value is not None and value not in _ASKS_NOTHING.get(name, ())
    )


def from_chat(body: JSON, model: Model, omit: frozenset[str] = frozenset()) -> JSON:
    """Return the body as it leaves for this model, without the fields named in `omit`."""
    private = body.get(HUB_KEY) or {}
    tools = body.get("tools") or []
    instructions, rest = _head(body["messages"])
    replay = "off" if "reasoning_content" in omit else model.reasoning_replay
    request: JSON = {"model": body["model"]}
    if instructions:
        request["instructions"] = instructions
    request["input"] = _Conversation(tools, replay).items(rest)
    request |= _tools(body, bool(private.get("web_search")) and "web_search" not in omit)
    request |= _reasoning(body, model, omit)
    request |= _text(body, omit)
    request |= _plain(body)
    include = _include(body, bool(private.get("sealed")) and "reasoning" in request)
    if include:
        request["include"] = include
    request["store"] = body.get("store") is True
    return {name: value for name, value in request.items() if name not in omit}


# --- the conversation ----------------------------------------------------------------------------------------


def _head(messages: list[JSON]) -> tuple[str, list[JSON]]:
    """Take the instructions at the head off the messages, unless there is nothing else: `input` is required."""
    first = messages[0]
    if first["role"] in ("system", "developer") and len(messages) > 1:
        return first["content"], messages[1:]
    return "", messages


class _Conversation:
    """Makes the items of one request. `replay` is how earlier reasoning goes back."""

    def __init__(self, tools: list[JSON], replay: str) -> None:
        self._replay = replay
        self._custom = {tool["custom"]["name"] for tool in tools if tool["type"] == "custom"}
        self._custom_calls: set[str] = set()
        """Ids of the calls of custom tools: their outputs are of a kind of their own."""

    def items(self, messages: list[JSON]) -> list[JSON]:
        """Return the items of settled messages."""
        return [item for message in messages for item in self._items(message)]

    def _items(self, message: JSON) -> list[JSON]:
        match message["role"]:
            case "assistant":
                return self._turn(message)
            case "tool":
                id = message["tool_call_id"]
                kind = "custom_tool_call_output" if id in self._custom_calls else "function_call_output"
                return [{"type": kind, "call_id": id, "output": message["content"]}]
            case role:
                return [{"type": "message", "role": role, "content": _content(message["content"])}]

    def _turn(self, message: JSON) -> list[JSON]:
        """Return the items of an assistant's turn: reasoning, text, calls."""
        text: str = message.get("content") or ""
        thought = message.get("reasoning_content")
        sealed = (message.get(HUB_KEY) or {}).get("sealed")
        items: list[JSON] = []
        if sealed and self._replay != "off":
            items += [{"type": "reasoning", "summary": [], "encrypted_content": envelope} for envelope in sealed]
        elif thought and self._replay == "field":
            items.append(_thought(thought))
        elif thought and self._replay == "think":
            text = thinking(thought, text)
        if text:
            # A plain string: parts of an assistant's message would need an id and a status.
            items.append({"type": "message", "role": "assistant", "content": text})
        return items + [self._call(call) for call in message.get("tool_calls") or ()]

    def _call(self, call: JSON) -> JSON:
        id, name, arguments = call["id"], call["function"]["name"], call["function"]["arguments"]
        if name not in self._custom:
            return {"type": "function_call", "call_id": id, "name": name, "arguments": arguments}
        self._custom_calls.add(id)
        return {"type": "custom_tool_call", "call_id": id, "name": name, "input": _raw_input(arguments)}


def _thought(text: str) -> JSON:
    """Return reasoning in plain text. vLLM refuses it without an id, llama.cpp without the member `content`."""
    id = f"rs_{hashlib.sha256(text.encode()).hexdigest()[:24]}"
    return {"type": "reasoning", "id": id, "summary": [], "content": [{"type": "reasoning_text", "text": text}]}


def _raw_input(arguments: str) -> str:
    """Return the raw input of a custom tool's call: the member `input` of its arguments, or they are."""
    try:
        value = orjson.loads(arguments)["input"]
    except (ValueError, TypeError, KeyError):
        return arguments
    return value if isinstance(value, str) else arguments


def _content(content: str | list[JSON]) -> list[JSON]:
    if isinstance(content, str):
        return [{"type": "input_text", "text": content}]
    return [_part(part) for part in content]


def _part(part: JSON) -> JSON:
    match part["type"]:
        case "image_url":
            image = part["image_url"]
            return {"type": "input_image", "image_url": image["url"], "detail": image.get("detail") or "auto"}
        case "file":
            # What Chat has no member for (an image by its file id, a file by its address) rides along.
            return {"type": "input_file", **part["file"], **(part.get(HUB_KEY) or {})}
        case _:
            return {"type": "input_text", "text": part["text"]}


# --- tools ---------------------------------------------------------------------------------------------------


def _tools(body: JSON, search: bool) -> JSON:
    """Return what is about tools; `search`: a web search is added to what is offered."""
    offered = [_tool(tool) for tool in body.get("tools") or ()]
    if search:
        offered.append({"type": "web_search"})
    if not offered:
        return {}
    choice = body.get("tool_choice")
    return {"tools": offered} if choice is None else {"tools": offered, "tool_choice": _choice(choice)}


def _tool(tool: JSON) -> JSON:
    match tool["type"]:
        case "function":
            function = tool["function"]
            return {
                "type": "function",
                "name": function["name"],
                **({"description": function["description"]} if function.get("description") else {}),
                "parameters": function.get("parameters") or {"type": "object", "properties": {}},
                "strict": function.get("strict") is True,
            }
        case "custom":
            custom = {name: value for name, value in tool["custom"].items() if value is not None}
            form = custom.get("format") or {}
            if isinstance(form.get("grammar"), dict):
                custom["format"] = {"type": "grammar", **form["grammar"]}
            return {"type": "custom", **custom}
        case _:
            return tool


def _choice(choice: str | JSON) -> str | JSON:
    if isinstance(choice, str):
        return choice
    kind = choice["type"]
    inner = choice.get(kind)
    if not isinstance(inner, dict):
        return choice
    flat: JSON = {"type": kind, **inner}
    if kind == "allowed_tools":
        flat["tools"] = [_choice(tool) for tool in inner["tools"]]
    return flat


# --- all else ------------------------------------------------------------------------------------------------


def _reasoning(body: JSON, model: Model, omit: frozenset[str]) -> JSON:
    effort = body.get("reasoning_effort")
    if effort is not None:
        effort = nearest_effort(effort, model)
    given = body.get("reasoning") or {}
    summary = given.get("summary")
    if summary is None and effort not in (None, "none"):
        summary = "auto"
    reasoning = {**given, "effort": effort, "summary": None if summary == "none" else summary}
    kept = {name: value for name, value in reasoning.items() if value is not None and f"reasoning.{name}" not in omit}
    return {"reasoning": kept} if kept else {}


def _text(body: JSON, omit: frozenset[str]) -> JSON:
    text: JSON = {}
    form = body.get("response_format")
    if form is not None:
        text["format"] = {"type": form["type"], **(form.get("json_schema") or {})}
    if body.get("verbosity") is not None and "text.verbosity" not in omit:
        text["verbosity"] = body["verbosity"]
    return {"text": text} if text else {}


def _plain(body: JSON) -> JSON:
    members: JSON = {}
    limit = body.get("max_tokens")
    if limit is not None:
        members["max_output_tokens"] = max(limit, _LEAST_TOKENS)
    if body.get("top_logprobs"):
        members["top_logprobs"] = body["top_logprobs"]
    if body.get("stream") is True:
        members["stream"] = True
    options = body.get("stream_options") or {}
    if options.get("include_obfuscation") is not None:
        members["stream_options"] = {"include_obfuscation": options["include_obfuscation"]}
    for name, value in body.items():
        if value is not None and name != HUB_KEY and FATES.get(name, "copied") == "copied":
            members[name] = value
    if not body.get("tools"):
        members.pop("parallel_tool_calls", None)
    return members


def _include(body: JSON, sealed: bool) -> list[str]:
    """Return the extra data to ask for; `sealed`: the client keeps sealed reasoning for us."""
    include = ["message.output_text.logprobs"] if body.get("logprobs") or body.get("top_logprobs") else []
    return [*include, "reasoning.encrypted_content"] if sealed else include
