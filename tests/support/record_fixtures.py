"""Makes the recordings of tests/golden/recordings: the real gateway with `--log`, before a scripted upstream.

    python -m tests.support.record_fixtures      (`make record-fixtures`)

Each file is small and shows one kind of traffic. Their requests are those of the golden cases, which are trimmed, and
some that no case has: relayed and whole answers, refusals, repairs, cuts, and an upstream that speaks Responses.
"""

from __future__ import annotations

import contextlib
import http.client
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.support.answers import Answer, chat_call, chat_text, error
from tests.support.gateway import ROOT, Gateway
from tests.support.responses import Responses, message, reasoning
from tests.support.upstream import Upstream

JSON = dict[str, Any]

RECORDINGS = ROOT / "tests" / "golden" / "recordings"
MODELS = RECORDINGS / "models.json"
MODEL = "test/coder"

_TOO_LONG = (
    "This model's maximum context length is 32768 tokens. However, you requested 40000 tokens "
    "(8000 in the messages, 32000 in the completion). Please reduce the length of the messages or completion."
)


def main() -> None:
    """Record all of them anew."""
    RECORDINGS.mkdir(exist_ok=True)
    for name, (make, settings) in _FIXTURES.items():
        with recording(RECORDINGS / f"{name}.jsonl", **settings) as (gateway, upstream):
            make(gateway, upstream)
        print(RECORDINGS / f"{name}.jsonl")


@contextlib.contextmanager
def recording(path: Path, **settings: str) -> Iterator[tuple[Gateway, Upstream]]:
    """A gateway that records into a file, and the upstream behind it."""
    with tempfile.TemporaryDirectory() as folder, Upstream() as upstream:
        upstream.lists({"id": MODEL, "object": "model", "context_length": 100000})
        log = Path(folder) / "log"
        with Gateway(upstream.url, LOG_FILE=str(log), MODELS_FILE=str(MODELS), **settings) as gateway:
            yield gateway, upstream
        path.write_bytes(log.read_bytes())


def _golden(gateway: Gateway, upstream: Upstream, path: str, *cases: str) -> None:
    pair = {"/v1/responses": "responses-chat", "/v1/messages": "messages-chat"}[path]
    for name in cases:
        case = ROOT / "tests" / "golden" / pair / name
        frames = [frame + b"\n\n" for frame in (case / "upstream.sse").read_bytes().split(b"\n\n") if frame]
        upstream.answers(Answer(tuple(frames), headers={"content-type": "text/event-stream"}))
        gateway.post(path, (case / "request.json").read_bytes())


def _responses(gateway: Gateway, upstream: Upstream) -> None:
    gateway.get("/v1/models")
    _golden(
        gateway,
        upstream,
        "/v1/responses",
        "codex-a-shell-command-creates-a-file-2",
        "codex-a-freeform-patch-edits-a-file-2",
        "codex-a-call-that-leaks-as-text-runs-1",
    )
    asked: JSON = {"model": MODEL, "input": "Say hello.", "reasoning": {"effort": "medium", "summary": "auto"}}
    upstream.answers(chat_text("Hello.", reasoning="A greeting."))
    gateway.post("/v1/responses", asked)
    sealed = {**asked, "include": ["reasoning.encrypted_content"], "store": False}
    upstream.answers(chat_call("look", {"at": "it"}, reasoning="I look."), chat_text("Seen."))
    tool = {"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": True}
    first = gateway.post("/v1/responses", {**sealed, "tools": [tool]}).json["output"]
    output = {"type": "function_call_output", "call_id": "call_1", "output": "a picture"}
    gateway.post("/v1/responses", {**sealed, "tools": [tool], "input": [*first, output], "stream": True})
    _refused(gateway, upstream, "/v1/responses", {**asked, "stream": True, "max_output_tokens": 32000})
    gateway.post("/v1/responses", {"model": MODEL, "input": 7})


def _messages(gateway: Gateway, upstream: Upstream) -> None:
    _golden(
        gateway,
        upstream,
        "/v1/messages",
        "claude-thinking-is-kept-over-two-turns-3",
        "claude-parallel-calls-all-run-2",
    )
    asked: JSON = {"model": MODEL, "max_tokens": 32000, "messages": [{"role": "user", "content": "Say hello."}]}
    upstream.answers(chat_text("Hello.", reasoning="A greeting."))
    gateway.post("/v1/messages", asked)
    _refused(gateway, upstream, "/v1/messages", {**asked, "stream": True})
    gateway.post("/v1/messages", {**asked, "messages": 7})
    gateway.post("/v1/messages/count_tokens", asked)


def _refused(gateway: Gateway, upstream: Upstream, path: str, asked: JSON) -> None:
    """Refusals of the upstream, a repair, answers that break off."""
    upstream.answers(error(400, _TOO_LONG, type="BadRequestError"), chat_text("It fits."))
    gateway.post(path, {**asked, "model": "test/short"})
    for answer in (
        error(429, "Slow down.", type="rate_limit_error", headers={"retry-after": "3"}),
        error(404, "The model does not exist.", type="NotFoundError"),
        error(503, "Overloaded."),
        chat_text("half").streamed().cut(0),
        chat_text("This is never finished.").streamed().cut(700),
        chat_text("This ends in a reset.").streamed().reset(700),
    ):
        upstream.answers(answer)
        gateway.post(path, asked)


def _relayed(gateway: Gateway, upstream: Upstream) -> None:
    asked: JSON = {"model": MODEL, "messages": [{"role": "user", "content": "Say hello."}]}
    port = gateway.chat_port
    gateway.get("/v1/models", port=port)
    upstream.answers(chat_text("Hello."), chat_text("Hello again."), error(500), chat_text("Half.").streamed().cut(300))
    for body in (asked, {**asked, "stream": True}, asked, {**asked, "stream": True, "tools": []}):
        with contextlib.suppress(http.client.IncompleteRead):
            gateway.post("/v1/chat/completions", body, port=port)
    upstream.answers(chat_text("Half of it.").whole().cut(100))
    with contextlib.suppress(http.client.IncompleteRead):
        gateway.post("/v1/chat/completions", asked, port=port)
    gateway.post("/v1/responses", asked, port=port)


def _upgraded(gateway: Gateway, upstream: Upstream) -> None:
    asked: JSON = {"model": f"{MODEL}:res-high:sum-auto", "messages": [{"role": "user", "content": "Say hello."}]}
    for body in (asked, {**asked, "model": MODEL, "stream": True, "max_tokens": 5}):
        upstream.answers(Responses(reasoning("A greeting."), message("Hello.")))
        gateway.post("/v1/chat/completions", body)
    upstream.answers(Responses(message("Hello.")))
    gateway.post("/v1/responses", {"model": MODEL, "input": "Say hello.", "stream": True})


_FIXTURES: dict[str, tuple[Callable[[Gateway, Upstream], None], dict[str, str]]] = {
    "responses": (_responses, {}),
    "messages": (_messages, {}),
    "relayed": (_relayed, {}),
    "upgraded": (_upgraded, {"BACKEND_API": "responses"}),
}

if __name__ == "__main__":
    main()
