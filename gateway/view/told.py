"""What the page knows of one exchange: a line for the list, and all the rest for when it is opened. Pure.

Times are in seconds after the client's request; sizes in bytes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from gateway.recording.log import Answer, Attempt, Exchange, Request
from gateway.types import JSON
from gateway.view.assembled import assembled
from gateway.view.changes import changes
from gateway.view.trimmed import trimmed_body, trimmed_text

_MARKS = 1500
"""Chunks of an answer that the timeline draws one by one; of more, neighbours are one mark."""
_HAY = 240
"""Characters of question and answer that the search of the list sees."""


class Told(NamedTuple):
    """One exchange."""

    row: list[Any]
    """See `ROW`."""
    detail: JSON


ROW = (
    *("id", "time", "port", "method", "path", "model", "status", "input", "output", "first", "duration", "end"),
    *("warnings", "dropped", "attempts", "said"),
)
"""What stands at which place of a row."""


def told(exchange: Exchange, limit: int) -> Told:
    """Return what the page knows; `limit` bounds the size of the detail, in bytes."""
    began = _began(exchange)
    said = _said(exchange)
    warnings = _warnings(exchange, said)
    part = max(1000, limit // (2 + 2 * max(1, len(exchange.attempts)) + 1))
    detail = {
        "id": exchange.id,
        "client": _request(exchange.request, began, part),
        "answer": _answer(exchange.answer, began, part),
        "attempts": [_attempt(attempt, began, part) for attempt in exchange.attempts],
        "said": {name: trimmed_text(one.encode(), part) if isinstance(one, str) else one for name, one in said.items()},
        "changes": _changes(exchange),
        "dropped": _dropped(exchange),
        "warnings": warnings,
    }
    return Told(_row(exchange, began, said, warnings), detail)


def _began(exchange: Exchange) -> float:
    requests = [exchange.request, *(attempt.request for attempt in exchange.attempts)]
    answers = [exchange.answer, *(attempt.answer for attempt in exchange.attempts)]
    known = [request.offset for request in requests if request]
    known += [answer.chunks[0].offset for answer in answers if answer.chunks]
    known += [answer.offset for answer in answers if answer.offset is not None]
    known += [answer.ended for answer in answers if answer.ended is not None]
    return min(known, default=0.0)


def _row(exchange: Exchange, began: float, said: JSON, warnings: list[str]) -> list[Any]:
    request, answer, line = exchange.request, exchange.answer, exchange.answer.line
    body = _loaded(request)
    usage = said.get("usage") or [None, None]
    first = line.get("first_byte_ms")
    if first is None and answer.chunks:
        first = round((answer.chunks[0].offset - began) * 1000, 1)
    duration = line.get("duration_ms")
    if duration is None and (answer.ended is not None or answer.chunks):
        duration = round(((answer.ended if answer.ended is not None else answer.chunks[-1].offset) - began) * 1000, 1)
    first_line = request or next((one.request for one in exchange.attempts if one.request), None)
    return [
        exchange.id,
        first_line.timestamp if first_line else None,
        exchange.port,
        request.method if request else None,
        request.path if request else None,
        line.get("model") or body.get("model"),
        answer.status,
        line.get("input_tokens", usage[0]),
        line.get("output_tokens", usage[1]),
        first,
        duration,
        answer.end,
        len(warnings),
        len(_dropped(exchange)),
        len(exchange.attempts),
        f"{_question(body)} {said.get('text') or ''}"[: 2 * _HAY],
    ]


def _loaded(request: Request | None) -> JSON:
    try:
        body = orjson.loads((request and request.body) or b"")
    except orjson.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}


def _question(body: JSON) -> str:
    """Return the beginning of what was said last to the model."""
    spoken = body.get("messages") or body.get("input") or body.get("prompt")
    last = spoken[-1] if isinstance(spoken, list) and spoken else spoken
    content = last.get("content", last.get("output")) if isinstance(last, dict) else last
    if isinstance(content, list):
        content = next((part["text"] for part in reversed(content) if isinstance(part, dict) and "text" in part), "")
    return content[-_HAY:] if isinstance(content, str) else ""


def _said(exchange: Exchange) -> JSON:
    last = exchange.last
    if last is None or last.request is None or last.request.method != "POST" or last.answer.status != 200:
        return {}
    opened = bool((last.request.line.get("model_profile") or {}).get("think_opened_by_template"))
    answer = last.answer
    return assembled(last.request.path, answer.plain_body, streamed=answer.is_stream, think_opened=opened)


def _changes(exchange: Exchange) -> JSON | None:
    last = exchange.last
    if exchange.request is None or last is None or last.request is None or exchange.request.body is None:
        return None
    if exchange.request.body == last.request.body:
        return {"same": -1, "moved": [], "left_out": [], "added": []}
    return changes(_loaded(exchange.request), _loaded(last.request))


def _dropped(exchange: Exchange) -> list[str]:
    return [str(place) for place in exchange.answer.line.get("dropped") or ()]


def _warnings(exchange: Exchange, said: JSON) -> list[str]:
    line = exchange.answer.line
    found: list[str] = []
    if line.get("lost"):
        found.append(f"{line['lost']} records of this exchange were lost")
    if exchange.request is None:
        found.append("the request is not in the recording")
    if exchange.answer.end is None:
        found.append("the recording ends before the end of this exchange")
    for attempt in exchange.attempts:
        fault = attempt.answer.line.get("error")
        if fault:
            found.append(f"upstream, attempt {attempt.number}: {fault}")
        elif attempt.answer.status is not None and attempt.answer.status >= 400:
            found.append(f"upstream, attempt {attempt.number}: status {attempt.answer.status}")
    if said.get("fault"):
        found.append(f"the answer is broken: {said['fault']}")
    return found


def _request(request: Request | None, began: float, limit: int) -> JSON | None:
    if request is None:
        return None
    body, size = trimmed_body(request.body, limit)
    return {
        "at": round(request.offset - began, 6),
        "method": request.method,
        "target": request.target,
        "headers": request.headers,
        "body": body,
        "size": size,
        "profile": request.line.get("model_profile"),
    }


def _attempt(attempt: Attempt, began: float, limit: int) -> JSON:
    return {
        "number": attempt.number,
        "request": _request(attempt.request, began, limit),
        "answer": _answer(attempt.answer, began, limit),
    }


def _answer(answer: Answer, began: float, limit: int) -> JSON:
    marks = [[round(chunk.offset - began, 6), len(chunk.data)] for chunk in answer.chunks]
    in_pieces = answer.is_stream and not answer.is_compressed
    body = _pieces(answer, began, limit) if in_pieces else trimmed_body(answer.plain_body, limit)[0]
    return {
        "at": None if answer.offset is None else round(answer.offset - began, 6),
        "status": answer.status,
        "headers": answer.headers,
        "marks": _thinned(marks),
        "chunks": len(marks),
        "stream": in_pieces,
        "body": body,
        "size": sum(size for _, size in marks),
        "end": answer.end,
        "ended": None if answer.ended is None else round(answer.ended - began, 6),
        "error": answer.line.get("error"),
    }


def _pieces(answer: Answer, began: float, limit: int) -> list[list[Any]]:
    """Return the chunks with their times, from the beginning on as far as they fit."""
    pieces: list[list[Any]] = []
    left = limit
    for number, chunk in enumerate(answer.chunks):
        if left <= 0:
            pieces.append([None, f"… ({len(answer.chunks) - number:,} more chunks)"])
            break
        text = trimmed_text(chunk.data, left)
        left -= len(text) + 16
        pieces.append([round(chunk.offset - began, 4), text])
    return pieces


def _thinned(marks: list[list[Any]]) -> list[list[Any]]:
    if len(marks) <= _MARKS:
        return marks
    step = -(-len(marks) // _MARKS)
    groups = [marks[at : at + step] for at in range(0, len(marks), step)]
    return [[group[0][0], sum(size for _, size in group)] for group in groups]
