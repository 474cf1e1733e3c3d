"""Puts the tool calls of a Chat stream together from their pieces.

A piece belongs to the call with its id, else to the one with its index, else to the latest. Upstreams break
each part of that: no index (several pieces of one chunk then count by position), index 0 for every call, ids
and names in every piece, late, or never, one id for two calls. So a piece begins a new call where it has an
id not yet seen, another name after whole arguments, or where a second JSON object follows the first.

States of a call: *held* until its name is known, and its id or arguments; then *open* until the answer ends.
That its arguments parse never ends a call: more may follow.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from gateway.errors import UpstreamProtocol
from gateway.events import BlockEnd, BlockStart, Delta, Event
from gateway.json_scan import ObjectScan

CALLS_LIMIT = 1024
"""Most calls in one answer; an upstream that repeats itself without end is stopped there."""


class _Call:
    """One call. `block` is None while it is held."""

    __slots__ = ("block", "index", "key", "name", "scan", "text")

    def __init__(self, index: int, key: str | None, name: str | None) -> None:
        self.index = index
        self.key = key
        """The upstream's id."""
        self.name = name
        self.block: int | None = None
        self.text: list[str] = []
        self.scan = ObjectScan()


class ToolCalls:
    """The calls of one answer. `new_block` gives the next block number."""

    def __init__(self, new_block: Callable[[], int], seed: str = "") -> None:
        self.seed = seed
        """Tells this answer from others: ids that the upstream leaves out are made from it, so that they are unique
        over the turns of a conversation."""
        self._new_block = new_block
        self._calls: list[_Call] = []
        self._by_key: dict[str, _Call] = {}
        self._by_index: dict[int, _Call] = {}
        self._ids: set[str] = set()

    def feed(self, pieces: list[Any]) -> list[Event]:
        """Take the `tool_calls` of one chunk. Raises: UpstreamProtocol where there are too many."""
        events: list[Event] = []
        for position, piece in enumerate(pieces):
            if isinstance(piece, dict):
                self._piece(piece, position if len(pieces) > 1 else None, events)
        return events

    def go_on(self, index: int | None, arguments: str) -> list[Event] | None:
        """Take a fragment of the arguments of an announced call; None for any other."""
        call = None if index is None else self._by_index.get(index)
        if call is None or call.block is None or call.scan.state == "whole" or "}" in arguments:
            return None  # behind the last bracket another call may follow
        call.scan.feed(arguments)
        call.text.append(arguments)
        return [Delta(call.block, arguments)]

    def flush(self) -> list[Event]:
        """The answer ends: announce the calls that still wait for their ids."""
        events: list[Event] = []
        for call in self._calls:
            if call.block is None and call.name is not None:
                self._announce(call, events)
        return events

    def end(self, cut: bool) -> list[Event]:
        """End all open calls; those without arguments get an empty object, unless they were cut."""
        opened = [(call.block, call) for call in self._calls if call.block is not None]
        empty = [block for block, call in opened if call.scan.state == "blank" and not cut]
        return [*(Delta(block, "{}") for block in empty), *(BlockEnd(block, cut=cut) for block, _ in opened)]

    @property
    def announced(self) -> bool:
        """Some call has a name."""
        return any(call.block is not None for call in self._calls)

    @property
    def nameless(self) -> bool:
        """Some call never got a name."""
        return any(call.name is None for call in self._calls)

    @property
    def broken_off(self) -> bool:
        """The arguments of some call end in the middle of their object."""
        return any(call.scan.state == "inside" for call in self._calls)

    @property
    def parse(self) -> bool:
        """The arguments of every call are JSON."""
        return all(_is_json("".join(call.text)) for call in self._calls if call.block is not None)

    def _piece(self, piece: dict[str, Any], position: int | None, events: list[Event]) -> None:
        function = piece.get("function")
        if not isinstance(function, dict):
            function = piece
        key, name = _word(piece.get("id")), _word(function.get("name"))
        arguments = _arguments(function.get("arguments"))
        if not (key or name or arguments):
            return
        index = piece.get("index")
        if type(index) is not int:
            index = position
        call = self._find(key, index, name)
        if call is None or _is_another(call, key, name):
            call = self._new(index, key, name)
        elif call.key is None and key is not None:
            call.key = key
            self._by_key[key] = call
        if call.name is None:
            call.name = name
        self._extend(call, name, arguments, events)

    def _find(self, key: str | None, index: int | None, name: str | None) -> _Call | None:
        if key is None:
            return self._at(index)
        call = self._by_key.get(key)
        if call is None:
            call = self._at(index)
            return call if call is not None and call.key is None else None
        if index is None or index == call.index:
            return call
        # One id at two indexes: two calls, if each has a name.
        other = self._by_index.get(index)
        if other is not None and other.key == key:
            return other
        return None if name else call

    def _at(self, index: int | None) -> _Call | None:
        if index is not None:
            return self._by_index.get(index)
        return self._calls[-1] if self._calls else None

    def _new(self, index: int | None, key: str | None, name: str | None) -> _Call:
        if len(self._calls) >= CALLS_LIMIT:
            raise UpstreamProtocol(f"The upstream's answer has more than {CALLS_LIMIT} tool calls.")
        call = _Call(len(self._calls) if index is None else index, key, name)
        self._calls.append(call)
        self._by_index[call.index] = call
        if key is not None:
            self._by_key[key] = call
        return call

    def _extend(self, call: _Call, name: str | None, arguments: str, events: list[Event]) -> None:
        while arguments:
            follows = call.scan.feed(arguments)
            if follows is None or arguments[follows] != "{":
                break
            self._add(call, arguments[:follows], events)
            call = self._new(call.index, call.key, name or call.name)
            arguments = arguments[follows:]
        self._add(call, arguments, events)

    def _add(self, call: _Call, arguments: str, events: list[Event]) -> None:
        if arguments:
            call.text.append(arguments)
        if call.block is not None:
            if arguments:
                events.append(Delta(call.block, arguments))
        elif call.name is not None and (call.key is not None or call.text):
            # Without an id and arguments it waits: the id may come with the next piece.
            self._announce(call, events)

    def _announce(self, call: _Call, events: list[Event]) -> None:
        block = call.block = self._new_block()
        events.append(BlockStart(block, "tool_call", call_id=self._unique(call.key), name=call.name))
        if call.text:
            events.append(Delta(block, "".join(call.text)))

    def _unique(self, key: str | None) -> str:
        if key is None:
            key = "call_" + hashlib.sha256(f"{self.seed}|{len(self._ids)}".encode()).hexdigest()[:24]
        unique, count = key, 1
        while unique in self._ids:
            count += 1
            unique = f"{key}_{count}"
        self._ids.add(unique)
        return unique


def _is_another(call: _Call, key: str | None, name: str | None) -> bool:
    """Tell whether a piece that seems to belong to the call is the beginning of another one."""
    if name is None or call.name is None or name == call.name:
        return False
    same_id = key is not None and key == call.key
    return call.scan.state == "whole" or (call.scan.state == "blank" and not same_id)


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _arguments(value: Any) -> str:
    """Return arguments as text; some servers send an object, Ollama's own API for one."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else ""


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
