"""The grammars of tool calls as models write them into their text.

Each grammar is a generator that reads from a `Reader`: it yields where it needs more text, raises `NotACall`
as soon as the text cannot be a call of a declared tool, and returns the calls. So it is the same grammar
however the text is cut, and never holds on to text longer than it must.

    opener                          written by
    <tool_call>{json}               Hermes, Qwen 2.5 and 3
    <tool_call><function=NAME>…     Qwen 3 Coder, MiMo; also without the outer tag
    <tool_call>NAME<arg_key>…       GLM 4.5 and later
    <tool_calls>{json}…             MiniMax M1
    <minimax:tool_call><invoke …    MiniMax M2
    <｜tool▁calls▁begin｜>…         DeepSeek V3, R1 and V3.1
    <｜DSML｜function_calls>…       DeepSeek V3.2; V4 with `tool_calls`
    <|tool_calls_section_begin|>…   Kimi K2

Reference: the chat templates of these models.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from gateway.filters.typed import as_json, typed
from gateway.json_scan import ObjectScan
from gateway.types import JSON

Tools = Mapping[str, JSON]
"""Parameter schemas by name."""


@dataclass(frozen=True, slots=True)
class Leaked:
    """A call found in the text."""

    name: str
    arguments: JSON


Calls = list[Leaked]
Reading = Generator[None, None, Calls]
Grammar = Callable[["Reader", Tools], Reading]


class NotACall(Exception):
    """The text is no call of a declared tool."""


class Reader:
    """Text that has come and was not yet consumed; `ended` when no more will come."""

    def __init__(self) -> None:
        self.text = ""
        self.ended = False

    def more(self) -> Generator[None, None, None]:
        """Wait for more text. Raises: NotACall where there will be none."""
        if self.ended:
            raise NotACall
        yield

    def space(self) -> Generator[None, None, bool]:
        """Consume white space; tell whether something follows."""
        while True:
            self.text = self.text.lstrip()
            if self.text or self.ended:
                return bool(self.text)
            yield

    def one_of(self, *options: str) -> Generator[None, None, str]:
        """Consume the first option that stands here."""
        while True:
            for option in options:
                if self.text.startswith(option):
                    self.text = self.text[len(option) :]
                    return option
            if not self.begins(options):
                raise NotACall
            yield from self.more()

    def optional(self, option: str) -> Generator[None, None, None]:
        """Consume the option if it stands here."""
        while self.begins((option,)) and not self.ended:
            yield
        self.text = self.text.removeprefix(option)

    def trailing(self, tag: str) -> Generator[None, None, None]:
        """Consume a tag behind white space, or nothing if it does not stand there."""
        while not self.ended and tag.startswith(rest := self.text.lstrip()) and rest != tag:
            yield
        rest = self.text.lstrip()
        if rest.startswith(tag):
            self.text = rest.removeprefix(tag)

    def begins(self, options: tuple[str, ...]) -> bool:
        """Tell whether the text is the beginning of an option, and not yet the whole of one."""
        return any(option.startswith(self.text) and len(option) > len(self.text) for option in options)

    def until(self, mark: str, limit: int = 256) -> Generator[None, None, str]:
        """Consume through the mark; return what stands before it, on one line."""
        while (end := self.text.find(mark)) < 0:
            if len(self.text) > limit or "\n" in self.text:
                raise NotACall
            yield from self.more()
        found, self.text = self.text[:end], self.text[end + len(mark) :]
        return found

    def name(self, tools: Tools) -> Generator[None, None, str]:
        """Consume the name of a declared tool."""
        while True:
            found = _NAME.match(self.text)
            name = found[0] if found else ""
            if len(name) < len(self.text):
                break
            if not any(tool.startswith(name) for tool in tools):
                raise NotACall
            yield from self.more()
        if name not in tools:
            raise NotACall
        self.text = self.text[len(name) :]
        return name

    def value(self, end: str, followers: tuple[str, ...]) -> Generator[None, None, str]:
        """Consume raw text through its end tag: the first one that a follower follows.

        The text may hold the tag itself; that is code about such tags.
        """
        parts: list[str] = []
        while True:
            at = self.text.find(end)
            if at < 0:
                keep = max(len(self.text) - len(end) + 1, 0)
                parts.append(self.text[:keep])
                self.text = self.text[keep:]
                yield from self.more()
                continue
            rest = self.text[at + len(end) :].lstrip()
            if rest.startswith(followers):
                parts.append(self.text[:at])
                self.text = rest
                return "".join(parts)
            if any(follower.startswith(rest) for follower in followers):
                yield from self.more()
                continue
            parts.append(self.text[: at + len(end)])
            self.text = self.text[at + len(end) :]

    def object(self, tools: Tools | None = None) -> Generator[None, None, JSON]:
        """Consume a JSON object; with `tools`, stop as soon as its `name` is none of them."""
        scan = ObjectScan()
        parts: list[str] = []
        while True:
            follows = scan.feed(self.text)
            parts.append(self.text[:follows])
            self.text = "" if follows is None else self.text[follows:]
            if scan.state == "foreign":
                raise NotACall
            if tools is not None and scan.state == "inside" and not _may_name(parts, tools):
                raise NotACall
            if scan.state == "whole":
                return _object("".join(parts))
            yield from self.more()


_NAME = re.compile(r"[\w.\-/]+")
_BEGUN = re.compile(r'\s*\{\s*(?:["}]|\Z)')
_NAMED = re.compile(r'\s*\{\s*"name"\s*:\s*"([^"\\]*)("?)')


def _may_name(parts: list[str], tools: Tools) -> bool:
    text = "".join(parts[:64])
    found = _NAMED.match(text)
    if not found:
        return _BEGUN.match(text) is not None
    return found[1] in tools if found[2] else any(tool.startswith(found[1]) for tool in tools)


def _object(text: str) -> JSON:
    try:
        value = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        raise NotACall from None
    return value  # type: ignore[no-any-return]  # a text from { to } is an object


# --- JSON between tags -------------------------------------------------------------------------------------


def _from_object(value: JSON, tools: Tools) -> Leaked:
    inner = value.get("function")
    if isinstance(inner, dict):
        value = inner
    name = value.get("name")
    if not isinstance(name, str) or name not in tools:
        raise NotACall
    arguments: Any = next((value[key] for key in ("arguments", "parameters") if value.get(key) is not None), {})
    if isinstance(arguments, str):
        arguments = as_json(arguments)
    if not isinstance(arguments, dict):
        raise NotACall
    return Leaked(name, arguments)


def _json_calls(reader: Reader, tools: Tools, closer: str) -> Reading:
    """Objects one after another, or an array of them; the closing tag may be missing at the end."""
    calls: Calls = []
    yield from reader.space()
    yield from reader.optional("[")
    while True:
        calls.append(_from_object((yield from reader.object(tools)), tools))
        while (yield from reader.space()) and reader.text[0] in ",]":
            reader.text = reader.text[1:]
        if not reader.text:
            return calls
        if reader.text[0] != "{":
            yield from reader.one_of(closer)
            return calls


# --- names and values in tags ------------------------------------------------------------------------------


def _function(reader: Reader, tools: Tools) -> Reading:
    """Qwen 3 Coder, from behind `<function=`; a forgotten `</function>` before `</tool_call>` is forgiven."""
    name = yield from reader.name(tools)
    yield from reader.one_of(">")
    arguments: list[tuple[str, str]] = []
    tags = ("<parameter=", "</function>", "</tool_call>")
    while True:
        yield from reader.space()
        tag = yield from reader.one_of(*tags)
        if tag != tags[0]:
            break
        key = yield from reader.until(">")
        text = yield from reader.value("</parameter>", tags)
        arguments.append((key, text.removeprefix("\n").removesuffix("\n")))
    if tag == "</function>":
        yield from reader.trailing("</tool_call>")
    return [Leaked(name, typed(arguments, tools[name]))]


def _glm(reader: Reader, tools: Tools) -> Reading:
    name = yield from reader.name(tools)
    arguments: list[tuple[str, str]] = []
    tags = ("<arg_key>", "</tool_call>")
    while True:
        yield from reader.space()
        if (yield from reader.one_of(*tags)) != tags[0]:
            return [Leaked(name, typed(arguments, tools[name]))]
        key = yield from reader.until("</arg_key>")
        yield from reader.space()
        yield from reader.one_of("<arg_value>")
        arguments.append((key.strip(), (yield from reader.value("</arg_value>", tags))))


def _tool_call(reader: Reader, tools: Tools) -> Reading:
    if not (yield from reader.space()):
        raise NotACall
    if reader.text[0] in "{[":
        return (yield from _json_calls(reader, tools, "</tool_call>"))
    if reader.text[0] == "<":
        yield from reader.one_of("<function=")
        return (yield from _function(reader, tools))
    return (yield from _glm(reader, tools))


def _invokes(reader: Reader, tools: Tools, prefix: str, closer: str) -> Reading:
    """MiniMax M2, and DeepSeek with a prefix in every tag and `string="…"` beside the key."""
    calls: Calls = []
    invoke = f'<{prefix}invoke name="'
    while True:
        yield from reader.space()
        if (yield from reader.one_of(*((invoke, closer) if calls else (invoke,)))) == closer:
            return calls
        name = yield from reader.name(tools)
        yield from reader.one_of('">')
        calls.append((yield from _invoked(reader, name, tools[name], prefix)))


def _invoked(reader: Reader, name: str, schema: JSON, prefix: str) -> Generator[None, None, Leaked]:
    raw: list[tuple[str, str]] = []
    told: JSON = {}
    tags = (f'<{prefix}parameter name="', f"</{prefix}invoke>")
    while True:
        yield from reader.space()
        if (yield from reader.one_of(*tags)) != tags[0]:
            return Leaked(name, {**typed(raw, schema), **told})
        key = yield from reader.until('"')
        attributes = yield from reader.until(">")
        text = yield from reader.value(f"</{prefix}parameter>", tags)
        if "string=" not in attributes:
            raw.append((key, text.removeprefix("\n").removesuffix("\n")))
        else:
            told[key] = text if '"true"' in attributes else as_json(text)


# --- special tokens ----------------------------------------------------------------------------------------


def _kimi(reader: Reader, tools: Tools, closer: str) -> Reading:
    """Kimi's section; without one (`closer` empty) a single call."""
    calls: Calls = []
    while True:
        if closer:
            yield from reader.space()
            options = ("<|tool_call_begin|>", closer) if calls else ("<|tool_call_begin|>",)
            if (yield from reader.one_of(*options)) == closer:
                return calls
        yield from reader.space()
        yield from reader.optional("functions.")
        name = yield from reader.name(tools)
        yield from reader.until("<|tool_call_argument_begin|>")
        arguments = yield from reader.object()
        yield from reader.space()
        yield from reader.one_of("<|tool_call_end|>")
        calls.append(Leaked(name, arguments))
        if not closer:
            return calls


def _deepseek(reader: Reader, tools: Tools, closer: str) -> Reading:
    """DeepSeek's section; without one (`closer` empty) a single call. V3 and R1 fence the arguments."""
    calls: Calls = []
    while True:
        if closer:
            yield from reader.space()
            options = ("<｜tool▁call▁begin｜>", closer) if calls else ("<｜tool▁call▁begin｜>",)
            if (yield from reader.one_of(*options)) == closer:
                return calls
        yield from reader.optional("function<｜tool▁sep｜>")
        name = yield from reader.name(tools)
        yield from reader.space()
        yield from reader.one_of("<｜tool▁sep｜>", "```json")
        arguments = yield from reader.object()
        yield from reader.space()
        yield from reader.optional("```")
        yield from reader.space()
        yield from reader.one_of("<｜tool▁call▁end｜>")
        calls.append(Leaked(name, arguments))
        if not closer:
            return calls


def _dsml() -> dict[str, Grammar]:
    """DeepSeek's tags; relays replace the wide bars by plain ones."""
    return {
        f"<{bar}DSML{bar}{section}>": partial(_invokes, prefix=f"{bar}DSML{bar}", closer=f"</{bar}DSML{bar}{section}>")
        for bar in ("｜", "|")
        for section in ("function_calls", "tool_calls")
    }


GRAMMARS: dict[str, Grammar] = {
    "<tool_call>": _tool_call,
    "<function=": _function,
    "<tool_calls>": partial(_json_calls, closer="</tool_calls>"),
    "<minimax:tool_call>": partial(_invokes, prefix="", closer="</minimax:tool_call>"),
    "<｜tool▁calls▁begin｜>": partial(_deepseek, closer="<｜tool▁calls▁end｜>"),
    "<｜tool▁call▁begin｜>": partial(_deepseek, closer=""),
    "<|tool_calls_section_begin|>": partial(_kimi, closer="<|tool_calls_section_end|>"),
    "<|tool_call_begin|>": partial(_kimi, closer=""),
    **_dsml(),
}
"""What reads on behind each opener. No opener is the beginning of another."""
