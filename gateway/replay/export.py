"""`replay LOG --export`: one exchange as a command that asks the same again, or as a case of the golden tests."""

from __future__ import annotations

import argparse
import json
import shlex
from pathlib import Path

from gateway.jsonbody import load_upstream
from gateway.recording.log import Exchange, Log, LogError
from gateway.replay.report import chosen
from gateway.replay.retranslating import NotComparable, client_dialect
from gateway.replay.sending import sent_headers


def run(log: Log, given: argparse.Namespace) -> int:
    """Export the exchange that was named, or the first with a request. Raises: LogError."""
    exchange = _one(log, given.exchange)
    if given.export == "curl":
        url = f"http://127.0.0.1:{exchange.port or 5102}"
        print(curl(exchange, url, given.key_env))
        return 0
    print(golden(exchange, Path(given.folder or exchange.id)))
    return 0


def _one(log: Log, name: str | None) -> Exchange:
    for entry in chosen(log, name):
        exchange = log.read(entry)
        if exchange.request is not None and (name or exchange.request.body):
            return exchange
    raise LogError(f"{log.path}: the request is not in the recording")


def curl(exchange: Exchange, url: str, key_variable: str) -> str:
    """Return a command for a shell that sends the request of an exchange to `url`."""
    request = exchange.request
    assert request is not None
    lines = [f"curl -sS -N -X {request.method} {shlex.quote(url + request.target)}"]
    lines += [f"  -H {_quoted(name, value, key_variable)}" for name, value in sent_headers(request, "")]
    if not request.body:
        return " \\\n".join(lines)
    return " \\\n".join([*lines, "  --data-binary @-"]) + _document(request.body)


def _quoted(name: str, value: str, key_variable: str) -> str:
    if name in ("authorization", "x-api-key", "api-key"):
        return f'"{name}: {value}${key_variable}"'
    return shlex.quote(f"{name}: {value}")


def _document(body: bytes) -> str:
    """Return a document that stands behind the command. It ends with a line end, which JSON does not mind."""
    text = body.decode("utf-8", "surrogateescape")
    mark = "BODY"
    while mark in text:
        mark += "_"
    return f" <<'{mark}'\n{text}\n{mark}"


def golden(exchange: Exchange, folder: Path) -> Path:
    """Write the case of a translated exchange into a folder, made where there is none. Raises: LogError."""
    request, last = exchange.request, exchange.last
    try:
        client = client_dialect(exchange)
    except NotComparable:
        client = None
    if request is None or last is None or last.request is None or client is None or not last.answer.chunks:
        raise LogError(f"{exchange.id}: only a translated exchange with an answer makes a golden case")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write_json(folder / "request.json", request.body)
        _write_json(folder / "upstream_request.json", last.request.body)
        for name, answer in (("upstream", last.answer), ("client", exchange.answer)):
            if answer.is_stream:
                (folder / f"{name}.sse").write_bytes(answer.plain_body)
            else:
                _write_json(folder / f"{name}.json", answer.plain_body)
    except OSError as exc:
        raise LogError(f"{folder}: {exc.strerror}") from None
    return folder


def _write_json(path: Path, raw: bytes | None) -> None:
    try:
        text = json.dumps(load_upstream(raw or b"null"), ensure_ascii=False, indent=1)
    except ValueError:
        text = (raw or b"").decode("utf-8", "replace")
    path.write_text(text + "\n", encoding="utf-8")
