"""Makes a history valid for chat templates, once for all client dialects. Pure; the time is linear.

A client dialect hands over naive messages, one for each item or turn. Chat templates want more order:

    system                      only at the head, as one message
    turn                        one assistant message with text and all its tool calls; then the output of each
                                call, in the order of the calls; then, as a user message, what outputs hold
                                beside text
    between the turns           user messages, as many as there are

So assistant pieces that follow each other are joined to one turn. A piece that comes after outputs begins the
next turn, unless an output of this turn is still to come (text between two parallel outputs belongs to the
calls). An output is found its call by id, first within the same stretch between user messages, else anywhere
before; where an id is used twice, calls and outputs pair in order.

What does not fit is kept in words: a call without output gets one that says so, an output without a call and
an instruction after the head become user messages, arguments that are no JSON object are wrapped in one. Only
a thought that nothing follows is left out: no template takes an assistant message without text or call, and
put into an earlier message it would stand in the wrong place.

What was settled stays settled: as a history grows at its end, all but the last turn stays the same byte for
byte, so an upstream's prompt cache finds it again. Hence call ids and texts depend on nothing that comes
later, nothing is random, and the texts below never change within a conversation.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson

from gateway.dialects import HUB_KEY
from gateway.profile import Model
from gateway.types import JSON

INTERRUPTED = "[no output: the call was interrupted]"
"""Output of a call that has none."""
ORPHAN = "[output of a tool call that is no longer in this conversation]"
"""Stands before an output without a call."""
INSTRUCTION = "<system-instruction>\n{}\n</system-instruction>"
"""Marks an instruction after the head, where only a user message may stand."""
ATTACHED = "[attached to the output of {}]"
"""Stands before images and files of a tool's output, with the tool's name."""
SEE_BELOW = "[see the attachment in the next user message]"
"""Output of a call whose output is images or files alone."""
NO_IMAGE = "[An image was here; this model does not see images.]"
"""Stands in the place of an image that the model would not see."""
WRAPPED = "invalid_arguments"
"""The one member of arguments that were no JSON object; holds their text."""

_INSTRUCTING = frozenset(["system", "developer"])
_FIT_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def settle(messages: Iterable[JSON], model: Model) -> tuple[list[JSON], list[str]]:
    """Return a valid history made of naive messages, and notes of what was left out (`reasoning`, `images`).

    The messages given are not changed; those returned may share parts with them.
    """
    given = [message for message in messages if not _is_empty_instruction(message)]
    history = _History(model, _paired(given))
    for index, message in enumerate(given):
        history.take(index, message)
    return history.settled()


@dataclass(slots=True)
class _Call:
    """A tool call as it will leave, and the message that answers it."""

    value: JSON
    output: JSON | None = None
    answered_at: int = -1
    """Place of its output, if that stands in the same stretch between user messages."""

    @property
    def id(self) -> str:
        return str(self.value["id"])

    @property
    def name(self) -> str:
        return str(self.value["function"]["name"])


@dataclass(slots=True)
class _Pairs:
    """The calls of each assistant message, and which call each tool message answers; by place."""

    calls: dict[int, list[_Call]] = field(default_factory=dict)
    answered: dict[int, _Call] = field(default_factory=dict)


@dataclass(slots=True)
class _Turn:
    """An assistant message in the making, with the outputs of its calls."""

    texts: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    calls: list[_Call] = field(default_factory=list)
    private: JSON = field(default_factory=dict)
    """What stands under `HUB_KEY`."""
    orphans: list[JSON] = field(default_factory=list)
    answering: bool = False
    """An output has come, so that the next piece belongs to the next turn."""
    open_until: int = -1
    """Place of the last output that its calls will get."""

    @property
    def said(self) -> bool:
        """There is something that templates take."""
        return bool(self.texts or self.calls)

    def add(self, piece: JSON, calls: list[_Call]) -> None:
        """Join one more assistant piece."""
        text = _flat(piece.get("content"), "")
        if text:
            self.texts.append(text)
        thought = piece.get("reasoning_content")
        if thought:
            self.thoughts.append(thought)
        for call in calls:
            self.calls.append(call)
            self.open_until = max(self.open_until, call.answered_at)
        for name, value in piece.get(HUB_KEY, {}).items():
            earlier = self.private.get(name)
            self.private[name] = [*earlier, *value] if isinstance(earlier, list) else value

    def message(self) -> JSON:
        """Return the assistant message."""
        message: JSON = {"role": "assistant", "content": "\n\n".join(self.texts) or None}
        if self.thoughts:
            message["reasoning_content"] = "\n\n".join(self.thoughts)
        if self.calls:
            message["tool_calls"] = [call.value for call in self.calls]
        if self.private:
            message[HUB_KEY] = self.private
        return message


class _History:
    """The history so far: finished messages and turns, in order."""

    def __init__(self, model: Model, pairs: _Pairs) -> None:
        self._model = model
        self._pairs = pairs
        self._head: list[JSON] = []
        self._slots: list[JSON | _Turn] = []
        self._turn: _Turn | None = None
        """The last slot, while assistant pieces and outputs may still join it."""
        self._notes: dict[str, None] = {}

    def take(self, index: int, message: JSON) -> None:
        """Take the next naive message."""
        match message["role"]:
            case "assistant":
                self._assistant(index, message)
            case "tool":
                self._tool(index, message)
            case "user":
                self._turn = None
                self._slots.append(self._user(message))
            case _:
                self._instruction(message)

    def settled(self) -> tuple[list[JSON], list[str]]:
        """Return all messages, and the notes."""
        out = self._system()
        for slot in self._slots:
            if isinstance(slot, _Turn):
                out += self._spelled(slot)
            else:
                out.append(slot)
        return out, list(self._notes)

    def _instruction(self, message: JSON) -> None:
        if not self._slots:
            self._head.append(message)
            return
        self._turn = None
        text = _flat(message["content"], "\n")
        if self._model.mid_system:
            self._slots.append({"role": self._role(message), "content": text})
        else:
            self._slots.append({"role": "user", "content": INSTRUCTION.format(text)})

    def _system(self) -> list[JSON]:
        """Return the one system message of the head, if there is any."""
        if not self._head:
            return []
        roles = {self._role(message) for message in self._head}
        content = "\n\n".join(_flat(message["content"], "\n") for message in self._head)
        return [{"role": "developer" if roles == {"developer"} else "system", "content": content}]

    def _role(self, message: JSON) -> str:
        return "developer" if message["role"] == "developer" and self._model.developer_role else "system"

    def _assistant(self, index: int, message: JSON) -> None:
        turn = self._turn
        if turn is None or (turn.answering and turn.open_until < index):
            turn = self._turn = _Turn()
            self._slots.append(turn)
        turn.add(message, self._pairs.calls.get(index, []))

    def _tool(self, index: int, message: JSON) -> None:
        turn = self._turn
        call = self._pairs.answered.get(index)
        if call is None:
            self._orphan(message, turn)
        elif turn is not None and call.answered_at == index:
            turn.answering = True

    def _orphan(self, message: JSON, turn: _Turn | None) -> None:
        text, parts = self._output(message)
        content = f"{ORPHAN}\n{text}"
        user = {"role": "user", "content": [_text(content), *parts] if parts else content}
        if turn is None:
            self._slots.append(user)
        elif turn.said:
            turn.answering = True
            turn.orphans.append(user)
        else:  # only thoughts yet: they go with what follows
            self._slots.insert(-1, user)

    def _user(self, message: JSON) -> JSON:
        content = message.get("content")
        if isinstance(content, str):
            return message
        parts = self._visible(content or [])
        plain = all(part["type"] == "text" for part in parts)
        return {**message, "content": _flat(parts, "\n") if plain else parts}

    def _spelled(self, turn: _Turn) -> list[JSON]:
        """Return the messages of one turn."""
        if not turn.said:
            if turn.thoughts:
                self._notes["reasoning"] = None
            return turn.orphans
        out = [turn.message()]
        attached: list[JSON] = []
        for call in turn.calls:
            text, parts = (INTERRUPTED, []) if call.output is None else self._output(call.output)
            if parts:
                attached += (_text(ATTACHED.format(call.name)), *parts)
                text = text or SEE_BELOW
            out.append({"role": "tool", "tool_call_id": call.id, "content": text})
        if attached:
            out.append({"role": "user", "content": attached})
        return out + turn.orphans

    def _output(self, message: JSON) -> tuple[str, list[JSON]]:
        """Return an output's text, and the parts that a tool message cannot hold."""
        content = message.get("content")
        if not isinstance(content, list):
            return content or "", []
        parts = self._visible(content)
        others = [part for part in parts if part["type"] != "text"]
        return _flat([part for part in parts if part["type"] == "text"], "\n"), others

    def _visible(self, parts: list[JSON]) -> list[JSON]:
        """Return the parts, with words in place of images that the model would not see."""
        if self._model.sees_images or all(part["type"] != "image_url" for part in parts):
            return parts
        self._notes["images"] = None
        return [_text(NO_IMAGE) if part["type"] == "image_url" else part for part in parts]


def _paired(messages: list[JSON]) -> _Pairs:
    """Find the call that each output answers."""
    pairs = _Pairs()
    ids = _Ids()
    near: defaultdict[tuple[int, str], deque[_Call]] = defaultdict(deque)
    anywhere: defaultdict[str, deque[_Call]] = defaultdict(deque)
    stretch = 0
    for index, message in enumerate(messages):
        match message["role"]:
            case "assistant":
                pairs.calls[index] = calls = [_Call(_valid(call, ids)) for call in message.get("tool_calls") or ()]
                for call, given in zip(calls, message.get("tool_calls") or (), strict=True):
                    near[stretch, given["id"]].append(call)
                    anywhere[given["id"]].append(call)
            case "tool":
                named = message["tool_call_id"]
                found = _unanswered(near[stretch, named])
                if found is not None:
                    found.answered_at = index
                else:
                    found = _unanswered(anywhere[named])
                if found is not None:
                    found.output = message
                    pairs.answered[index] = found
            case _:
                stretch += 1
    return pairs


def _unanswered(calls: deque[_Call]) -> _Call | None:
    """Take the first call that has no output yet."""
    while calls:
        call = calls.popleft()
        if call.output is None:
            return call
    return None


class _Ids:
    """Gives each call an id of its own that any upstream takes; the same one in every request of a thread."""

    def __init__(self) -> None:
        self._used: set[str] = set()
        self._seen: dict[str, int] = {}

    def take(self, wanted: str) -> str:
        """Return the id itself where it is fit and free, else one made from it."""
        nth = self._seen.get(wanted, 0)
        made = wanted if nth == 0 and _FIT_ID.fullmatch(wanted) else _made_id(wanted, nth)
        while made in self._used:
            nth += 1
            made = _made_id(wanted, nth)
        self._seen[wanted] = nth + 1
        self._used.add(made)
        return made


def _made_id(wanted: str, nth: int) -> str:
    return f"call_{hashlib.sha256(f'{nth}:{wanted}'.encode()).hexdigest()[:24]}"


def _valid(call: JSON, ids: _Ids) -> JSON:
    """Return a call with an id of its own and arguments that are a JSON object."""
    function = call["function"]
    arguments = _arguments(function.get("arguments") or "")
    return {**call, "id": ids.take(call["id"]), "function": {**function, "arguments": arguments}}


def _arguments(given: str) -> str:
    """Return arguments that templates can parse; good ones exactly as they are."""
    try:
        value = orjson.loads(given)
    except orjson.JSONDecodeError:
        value = given.strip()
    if isinstance(value, dict):
        return given
    return "{}" if value in (None, "") else orjson.dumps({WRAPPED: given}).decode()


def _is_empty_instruction(message: JSON) -> bool:
    return message["role"] in _INSTRUCTING and not _flat(message.get("content"), "\n")


def _flat(content: Any, joint: str) -> str:
    """Return the text of content; a refusal is text too, and what is neither leaves nothing."""
    if not isinstance(content, list):
        return content or ""
    texts = (part.get("refusal") if part["type"] == "refusal" else part.get("text") for part in content)
    return joint.join(text for text in texts if text)


def _text(text: str) -> JSON:
    return {"type": "text", "text": text}
