"""What an upstream may do wrong, in every dialect, streamed and whole: the client is told, and never of a success."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator

import pytest

from tests.support.answers import (
    Answer,
    Chat,
    Close,
    Pause,
    Reset,
    body_answer,
    chat_call,
    chat_text,
    chunk,
    dropped,
    error,
    json_answer,
    raw,
    sse,
)
from tests.support.gateway import Gateway
from tests.support.processes import wait_until
from tests.support.sockets import KEY
from tests.support.surfaces import CHAT, RESPONSES, SURFACES, Surface, over_bridged, over_surfaces, streamed_and_whole
from tests.support.upstream import Upstream

HTML = body_answer(b"<!DOCTYPE html><html><body>Just a moment</body></html>", headers={"content-type": "text/html"})
SSE_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
JSON_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n"
OVERLOADED = {"error": {"message": "no GPU is free", "type": "overloaded", "code": 503}}
TEXT = chat_text("one two three").streamed()


def line(delta: str) -> bytes:
    return b"data: " + json.dumps(chunk({"content": delta})).encode() + b"\n\n"


def last_exchange(gateway: Gateway) -> tuple[int, int, str]:
    """Status, upstream's status and end in the log line of the last exchange."""
    facts = next((entry for entry in reversed(gateway.log_lines) if entry["message"] == "exchange"), None)
    if facts is None:
        return 0, 0, ""
    return facts["status"], facts["upstream_status"], facts["end"]


# --- no connection ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def not_tls() -> Iterator[str]:
    """A server that answers a TLS hello in plain HTTP."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=serve, daemon=True).start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}/v1"
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def mute() -> Iterator[str]:
    """A port that takes no connection: its queue is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        for sock in waiting:
            sock.close()


@pytest.fixture(scope="module")
def refused() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}/v1"


@pytest.fixture(scope="module")
def nameless() -> str:
    return "http://no-such-host.invalid/v1"


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("refused", "cannot be reached"),
        ("nameless", "cannot be resolved"),
        ("not_tls", "No TLS connection"),
        ("mute", "in time"),
    ],
)
def test_no_connection(request: pytest.FixtureRequest, fault: str, words: str) -> None:
    url = request.getfixturevalue(fault)
    with Gateway(url, BACKEND_CONNECT_TIMEOUT_SECS="1") as gateway:
        for surface in SURFACES:
            for stream in (True, False):
                reply = surface.post(gateway, stream=stream)
                told = surface.error(reply.json)
                assert reply.status == 502
                assert told.get("code", "upstream_unreachable") == "upstream_unreachable"
                assert words in told["message"]
                assert "127.0.0.1" not in told["message"]
                assert "invalid" not in told["message"]
        assert wait_until(lambda: last_exchange(gateway) == (502, None, "failed"))


# --- before the first frame ---------------------------------------------------------------------------------

BEFORE = [
    pytest.param(dropped(), 502, "upstream_unreachable", id="closed-without-a-byte"),
    pytest.param(raw(Reset()), 502, "upstream_unreachable", id="reset-without-a-byte"),
    pytest.param(raw(b"HTTP/1.1 200 OK\r\nX", Close()), 502, "upstream_invalid_response", id="closed-in-the-head"),
    pytest.param(raw(b"HTTP/1.1 200 OK\r\nX", Reset()), 502, "upstream_invalid_response", id="reset-in-the-head"),
    pytest.param(raw(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), 502, "upstream_invalid_response", id="no-http"),
    pytest.param(
        raw(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 60_000), 502, "upstream_invalid_response", id="endless-head"
    ),
    pytest.param(
        raw(b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000), 502, "upstream_invalid_response", id="endless-interim"
    ),
]

AFTER_HEAD = [
    pytest.param(raw(SSE_HEAD, Close()), 502, "upstream_invalid_response", id="closed-after-the-head"),
    pytest.param(raw(SSE_HEAD, Reset()), 502, "upstream_invalid_response", id="reset-after-the-head"),
    pytest.param(raw(JSON_HEAD, b'{"id":', Close()), 502, "upstream_invalid_response", id="whole-answer-cut"),
    pytest.param(raw(JSON_HEAD, b'{"id":', Reset()), 502, "upstream_invalid_response", id="whole-answer-reset"),
    pytest.param(sse(done=False), 502, "upstream_invalid_response", id="empty-stream"),
    pytest.param(body_answer(b""), 502, "upstream_invalid_response", id="empty-body"),
    pytest.param(sse(), 502, "upstream_invalid_response", id="done-alone"),
    pytest.param(HTML, 502, "upstream_invalid_response", id="html"),
    pytest.param(json_answer([1, 2]), 502, "upstream_invalid_response", id="json-but-no-object"),
    pytest.param(body_answer(b"{ not json }"), 502, "upstream_invalid_response", id="broken-json"),
    pytest.param(sse(b"data: {oops\n\n"), 502, "upstream_invalid_response", id="garbage-data"),
    pytest.param(sse(b"\x00\xff\xfe garbage\n" * 50, done=False), 502, "upstream_invalid_response", id="garbage-lines"),
    pytest.param(
        Answer((gzip.compress(b"{}"),), headers={"content-encoding": "gzip"}),
        502,
        "upstream_invalid_response",
        id="gzip",
    ),
    pytest.param(sse(OVERLOADED), 503, "503", id="error-frame"),
    pytest.param(
        sse(b"event: error\ndata: " + json.dumps(OVERLOADED).encode() + b"\n\n"), 503, "503", id="error-event"
    ),
    pytest.param(json_answer(OVERLOADED), 503, "503", id="error-object-with-200"),
    pytest.param(json_answer({"error": "broken"}), 502, None, id="error-string-with-200"),
    pytest.param(raw(SSE_HEAD, b"zzz\r\n"), 502, "upstream_invalid_response", id="broken-framing"),
    pytest.param(
        raw(SSE_HEAD, b"0\r\n" + b"x: y\r\n" * 60_000), 502, "upstream_invalid_response", id="endless-trailers"
    ),
]


@over_bridged
@streamed_and_whole
@pytest.mark.parametrize(("answer", "status", "code"), [*BEFORE, *AFTER_HEAD])
def test_before_the_first_frame_it_is_a_status(
    gateway: Gateway, upstream: Upstream, surface: Surface, stream: bool, answer: Answer, status: int, code: str | None
) -> None:
    upstream.always(answer)
    reply = surface.post(gateway, stream=stream)
    assert (reply.status, reply.headers["content-type"]) == (status, "application/json")
    told = surface.error(reply.json)
    if surface is RESPONSES:
        assert told["code"] == code
    assert told["message"]
    assert len(upstream.asked) == 1


@streamed_and_whole
@pytest.mark.parametrize(("answer", "status", "code"), BEFORE)
def test_before_the_head_it_is_a_status_on_the_relay_too(
    gateway: Gateway, upstream: Upstream, stream: bool, answer: Answer, status: int, code: str
) -> None:
    upstream.always(answer)
    reply = CHAT.post(gateway, stream=stream)
    assert (reply.status, CHAT.error(reply.json)["code"]) == (status, code)
    assert len(upstream.asked) == 1


@streamed_and_whole
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(HTML, id="html"),
        pytest.param(json_answer([1, 2]), id="json"),
        pytest.param(body_answer(b""), id="empty-body"),
        pytest.param(sse(OVERLOADED), id="error-frame"),
        pytest.param(sse(b"garbage\n" * 50), id="garbage"),
        pytest.param(sse(), id="done-alone"),
        pytest.param(body_answer(b"x" * 300_000), id="larger-than-one-read"),
        pytest.param(body_answer(b"z" * 300_000, 500), id="larger-error"),
    ],
)
def test_the_relay_passes_what_is_complete(gateway: Gateway, upstream: Upstream, stream: bool, answer: Answer) -> None:
    upstream.always(answer)
    reply = CHAT.post(gateway, stream=stream)
    sent = b"".join(step for step in answer.steps if isinstance(step, bytes))
    assert (reply.status, reply.body) == (answer.status, sent)


@pytest.mark.parametrize("end", [Close(), Reset()], ids=["closed", "reset"])
def test_the_relay_breaks_off_a_whole_answer_that_was(gateway: Gateway, upstream: Upstream, end: Close | Reset) -> None:
    upstream.always(raw(JSON_HEAD, b'{"id":', Pause(0.2), end))
    with pytest.raises(http.client.IncompleteRead):
        CHAT.post(gateway)


# --- within a stream ----------------------------------------------------------------------------------------

GO_ON = [line("one"), Pause(0.2)]

WITHIN = [
    pytest.param(Answer((*GO_ON, Close()), headers=TEXT.headers), id="closed"),
    pytest.param(Answer((*GO_ON, Reset()), headers=TEXT.headers), id="reset"),
]
FAULT_FRAME = b"data: " + json.dumps(OVERLOADED).encode() + b"\n\n"
ONE_CHUNK = b"%x\r\n%s\r\n" % (len(line("one")), line("one"))
UNREADABLE = [
    pytest.param(Answer((*GO_ON, b"data: {oops\n\n"), headers=TEXT.headers), id="garbage"),
    pytest.param(Answer((*GO_ON, b'data: {"choices":'), headers=TEXT.headers), id="ends-within-a-frame"),
    pytest.param(Answer(tuple(GO_ON), headers=TEXT.headers), id="ends-without-a-reason"),
    pytest.param(Answer((*GO_ON, FAULT_FRAME), headers=TEXT.headers), id="error-frame"),
    pytest.param(raw(SSE_HEAD, ONE_CHUNK, Pause(0.2), b"zz\r\n"), id="broken-framing"),
]


@over_surfaces
@pytest.mark.parametrize("answer", WITHIN)
def test_a_stream_that_breaks_never_looks_complete(
    gateway: Gateway, upstream: Upstream, surface: Surface, answer: Answer
) -> None:
    upstream.always(answer)
    with surface.stream(gateway) as stream:
        frames = list(stream)
    assert surface.streamed_text(frames) == "one"
    assert surface.failure(frames)["message"].startswith("The upstream")
    assert wait_until(lambda: last_exchange(gateway) == (200, 200, "failed"))


@over_bridged
@pytest.mark.parametrize("answer", UNREADABLE)
def test_what_cannot_be_read_ends_a_translated_stream(
    gateway: Gateway, upstream: Upstream, surface: Surface, answer: Answer
) -> None:
    upstream.always(answer)
    with surface.stream(gateway) as stream:
        frames = list(stream)
    assert surface.streamed_text(frames) == "one"
    assert surface.failure(frames)["message"]


@over_bridged
@pytest.mark.parametrize("answer", [*WITHIN, *UNREADABLE])
def test_what_breaks_is_no_whole_answer(gateway: Gateway, upstream: Upstream, surface: Surface, answer: Answer) -> None:
    upstream.always(answer)
    reply = surface.post(gateway)
    assert reply.status in (502, 503)
    assert surface.error(reply.json)["message"]


def test_a_relayed_stream_that_breaks_within_a_frame_is_broken_off(gateway: Gateway, upstream: Upstream) -> None:
    upstream.always(sse(line("one"), line("two")).cut(len(line("one")) + 20))
    with CHAT.stream(gateway) as stream, pytest.raises(http.client.IncompleteRead):
        stream.read()


@over_surfaces
@streamed_and_whole
@pytest.mark.parametrize("cut", [0.3, 0.6, 0.9])
def test_a_cut_within_a_call_leaves_no_call_to_run(
    gateway: Gateway, upstream: Upstream, surface: Surface, stream: bool, cut: float
) -> None:
    call = chat_call("run", {"cmd": "rm -rf build"}).streamed()
    steps = [step for step in call.steps if isinstance(step, bytes) and b"tool_calls" in step][:2]
    at = len(steps[0]) + int(len(steps[1]) * cut)
    upstream.always(Answer(tuple(steps), headers=call.headers).cut(at))
    tools = [{"type": "function", "name": "run", "parameters": {"type": "object"}}]
    if surface.name != "responses":
        tools = [{"name": "run", "input_schema": {"type": "object"}}] if surface.name == "messages" else []
    if not stream:
        if surface is not CHAT:
            assert surface.post(gateway, tools=tools).status == 502
        return
    with surface.stream(gateway, tools=tools) as answer:
        if surface is CHAT:
            with pytest.raises(http.client.IncompleteRead):
                answer.read()
        else:
            surface.failure(list(answer))


@over_surfaces
@streamed_and_whole
@pytest.mark.parametrize("framed", [True, False], ids=["upstream-streams", "upstream-answers-whole"])
def test_either_form_of_a_sound_answer_is_taken(
    gateway: Gateway, upstream: Upstream, surface: Surface, stream: bool, framed: bool
) -> None:
    upstream.always(TEXT if framed else chat_text("one two three").whole())
    reply = surface.post(gateway, stream=stream)
    assert reply.status == 200
    if surface is CHAT:
        assert b"one two three" in reply.body or b" three" in reply.body
    else:
        said = surface.streamed_text(reply.frames) if stream else surface.text(reply.json)
        assert said == "one two three"


# --- statuses -----------------------------------------------------------------------------------------------

STATUSES = [400, 401, 402, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504, 529]
MESSAGES_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    502: "api_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}


@over_surfaces
@streamed_and_whole
@pytest.mark.parametrize("status", STATUSES)
def test_the_upstreams_status_and_words_are_kept(
    gateway: Gateway, upstream: Upstream, surface: Surface, stream: bool, status: int
) -> None:
    upstream.always(error(status, f"because of {status}", type="some_type", code="some_code"))
    reply = surface.post(gateway, stream=stream)
    told = surface.error(reply.json)
    assert reply.status == status
    assert told["message"].startswith(f"because of {status}")
    if surface.name == "messages":
        assert told["type"] == MESSAGES_TYPES.get(status, "invalid_request_error")
    else:
        assert (told["type"], told["code"]) == ("some_type", "some_code")
    assert len(upstream.asked) == 1
    logged = (status, status, "failed" if status >= 500 else "refused")
    assert wait_until(lambda: last_exchange(gateway) == logged)


@over_surfaces
@pytest.mark.parametrize("value", ["7", "Fri, 31 Dec 2027 23:59:59 GMT"], ids=["seconds", "date"])
@pytest.mark.parametrize("status", [429, 503])
def test_when_to_retry_passes_as_it_is(
    gateway: Gateway, upstream: Upstream, surface: Surface, value: str, status: int
) -> None:
    upstream.always(error(status, headers={"retry-after": value, "x-ratelimit-remaining-requests": "0"}))
    reply = surface.post(gateway, stream=True)
    assert reply.headers["retry-after"] == value
    assert reply.headers["x-ratelimit-remaining-requests"] == "0"


@over_bridged
def test_a_bare_429_gets_a_time(gateway: Gateway, upstream: Upstream, surface: Surface) -> None:
    upstream.always(error(429))
    assert surface.post(gateway, stream=True).headers["retry-after"] == "5"
    upstream.always(error(429, code="insufficient_quota"))
    assert "retry-after" not in surface.post(gateway, stream=True).headers


@over_surfaces
@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_compressed_error_is_read(gateway: Gateway, upstream: Upstream, surface: Surface, coding: str) -> None:
    plain = json.dumps({"error": {"message": "the words", "type": "t", "param": None, "code": None}}).encode()
    packed = gzip.compress(plain) if coding == "gzip" else zlib.compress(plain)
    upstream.always(body_answer(packed, 400, {"content-type": "application/json", "content-encoding": coding}))
    reply = surface.post(gateway)
    assert reply.status == 400
    if surface is CHAT:
        assert (reply.headers["content-encoding"], reply.body) == (coding, packed)
    else:
        assert surface.error(reply.json)["message"] == "the words"


@over_bridged
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        pytest.param(body_answer(b"<html>" + b"x" * 500_000, 502), "Bad Gateway", id="long-page"),
        pytest.param(body_answer(b"y" * 500_000, 502), "yyy", id="long-text"),
        pytest.param(body_answer(b"", 502), "Bad Gateway", id="no-body"),
        pytest.param(body_answer(b"\xff\xfe\x00broken", 502), "broken", id="binary"),
        pytest.param(Answer((b'{"error": {"message": "half', Close()), 502), "502", id="cut"),
        pytest.param(body_answer(b"junk", 502, {"content-encoding": "gzip"}), "Bad Gateway", id="false-gzip"),
        pytest.param(
            body_answer(gzip.compress(b"0" * 50_000_000), 502, {"content-encoding": "gzip"}), "Bad Gateway", id="bomb"
        ),
        pytest.param(json_answer({"detail": "a detail"}, 502), "a detail", id="detail"),
    ],
)
def test_any_body_of_an_error(
    gateway: Gateway, upstream: Upstream, surface: Surface, answer: Answer, words: str
) -> None:
    upstream.always(answer)
    reply = surface.post(gateway)
    assert reply.status == 502
    message = surface.error(reply.json)["message"]
    assert words in message or message.startswith("{")
    assert len(message) <= 10 * 1024


def test_an_error_that_is_cut_keeps_its_status_on_the_relay(gateway: Gateway, upstream: Upstream) -> None:
    upstream.always(Answer((b'{"error":', Close()), 429, {"retry-after": "9"}))
    reply = CHAT.post(gateway)
    assert (reply.status, reply.headers["retry-after"]) == (429, "9")
    assert CHAT.error(reply.json)["type"] == "rate_limit_error"


@over_surfaces
def test_a_key_in_an_error_is_not_shown(gateway: Gateway, upstream: Upstream, surface: Surface) -> None:
    upstream.always(error(401, f"Incorrect API key provided: {KEY}."))
    reply = surface.post(gateway)
    assert reply.status == 401
    assert KEY.encode() not in reply.body


# --- silence ------------------------------------------------------------------------------------------------


@pytest.fixture
def impatient(gateway_with: Callable[..., Gateway]) -> Gateway:
    """A gateway that waits one second for its upstream."""
    return gateway_with(BACKEND_TIMEOUT_SECS="1")


@over_surfaces
@streamed_and_whole
def test_silence_before_the_head_is_a_504(
    impatient: Gateway, upstream: Upstream, surface: Surface, stream: bool
) -> None:
    upstream.always(TEXT.late(20))
    began = time.monotonic()
    reply = surface.post(impatient, stream=stream)
    assert reply.status == 504
    assert 0.9 < time.monotonic() - began < 3
    if surface.name != "messages":
        assert surface.error(reply.json)["code"] == "upstream_timeout"
    assert upstream.wait_for(lambda: upstream.asked[0].aborted is not None, 1)
    assert len(upstream.asked) == 1


@over_surfaces
def test_silence_within_a_stream_ends_it(impatient: Gateway, upstream: Upstream, surface: Surface) -> None:
    upstream.always(sse(line("one"), line("two")).silent(20, after=1))
    with surface.stream(impatient) as stream:
        frames = list(stream)
    assert "1 seconds" in surface.failure(frames)["message"]
    assert upstream.wait_for(lambda: upstream.asked[0].aborted is not None, 1)


@over_bridged
def test_silence_within_a_whole_answer_is_a_504(impatient: Gateway, upstream: Upstream, surface: Surface) -> None:
    upstream.always(Answer((b'{"id":', Pause(20)), headers={"content-type": "application/json"}))
    assert surface.post(impatient).status == 504


@over_bridged
def test_silence_after_the_stream_began_is_told_in_it(
    gateway_with: Callable[..., Gateway], upstream: Upstream, surface: Surface
) -> None:
    gateway = gateway_with(BACKEND_TIMEOUT_SECS="3", KEEPALIVE_SECS="1")
    upstream.always(TEXT.late(20))
    with surface.stream(gateway) as stream:
        assert stream.status == 200
        frames = list(stream)
    assert "3 seconds" in surface.failure(frames)["message"]


@over_surfaces
@streamed_and_whole
def test_a_byte_now_and_then_is_no_silence(
    impatient: Gateway, upstream: Upstream, surface: Surface, stream: bool
) -> None:
    whole = Answer(chat_text("hi").whole().steps, headers={"content-type": "application/json"})
    answer = sse(line("hi"), finish="stop") if stream else whole
    upstream.always(answer.dripped(80, 0.4))
    reply = surface.post(impatient, stream=stream)
    assert reply.status == 200
    assert surface.completed(reply.frames) if stream else surface.text(reply.json) == "hi"


# --- what is not done ---------------------------------------------------------------------------------------


@over_surfaces
@streamed_and_whole
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(
    gateway: Gateway, upstream: Upstream, surface: Surface, stream: bool, status: int
) -> None:
    with Upstream() as elsewhere:
        upstream.always(body_answer(b"", status, {"location": f"{elsewhere.url}/chat/completions"}))
        reply = surface.post(gateway, stream=stream)
        assert elsewhere.connections == 0
    assert reply.status == (status if surface is CHAT else 502)
    assert len(upstream.asked) == 1


@over_surfaces
@streamed_and_whole
def test_a_body_names_no_upstream_and_no_url_in_it_is_fetched(
    gateway: Gateway, upstream: Upstream, surface: Surface, stream: bool
) -> None:
    with Upstream() as elsewhere:
        upstream.always(chat_text("hi"))
        picture = f"{elsewhere.url}/picture.png"
        members = dict.fromkeys(("api_base", "base_url", "api_key", "api_url", "endpoint"), elsewhere.url)
        parts = {
            "responses": {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": picture}]}]},
            "messages": {"messages": [_said({"type": "image", "source": {"type": "url", "url": picture}})]},
            "chat": {"messages": [_said({"type": "image_url", "image_url": {"url": picture}})]},
        }
        assert surface.post(gateway, stream=stream, **members, **parts[surface.name]).status == 200
        assert elsewhere.connections == 0
    asked = upstream.asked[0]
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.headers["host"] == f"127.0.0.1:{upstream.port}"


def _said(part: dict[str, object]) -> dict[str, object]:
    return {"role": "user", "content": [part]}


# --- connections that are kept ------------------------------------------------------------------------------


@over_surfaces
def test_a_stale_connection_is_tried_anew_once(gateway: Gateway, upstream: Upstream, surface: Surface) -> None:
    sound: Chat = chat_text("hi")
    upstream.answers(sound.whole(), dropped(), sound.whole())
    assert surface.post(gateway).status == 200
    assert surface.post(gateway).status == 200
    first, stale, fresh = upstream.asked
    assert first.connection == stale.connection != fresh.connection
    assert stale.body == fresh.body


@over_surfaces
def test_a_second_end_is_told(gateway: Gateway, upstream: Upstream, surface: Surface) -> None:
    upstream.answers(chat_text("hi").whole(), dropped(), dropped(), chat_text("hi").whole())
    assert surface.post(gateway).status == 200
    assert surface.post(gateway).status == 502
    assert len(upstream.asked) == 3


@over_surfaces
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(raw(Pause(1.3), Close()), id="closed-after-a-while"),
        pytest.param(raw(Pause(1.3), Reset()), id="reset-after-a-while"),
        pytest.param(raw(b"HTTP/1.1 2", Close()), id="closed-within-the-head"),
        pytest.param(raw(SSE_HEAD, Close()), id="closed-after-the-head"),
        pytest.param(error(500), id="status"),
    ],
)
def test_nothing_else_is_sent_twice(gateway: Gateway, upstream: Upstream, surface: Surface, fault: Answer) -> None:
    upstream.answers(chat_text("hi").whole(), fault)
    assert surface.post(gateway).status == 200
    if surface is CHAT and fault.steps[:1] == (SSE_HEAD,):
        assert CHAT.failure(CHAT.post(gateway).frames)
    else:
        assert surface.post(gateway).status in (500, 502)
    assert len(upstream.asked) == 2


@over_bridged
def test_after_an_error_in_the_stream_nothing_is_sent_again(
    gateway: Gateway, upstream: Upstream, surface: Surface
) -> None:
    upstream.always(sse(line("one"), OVERLOADED, done=False).silent(0.2, after=1))
    surface.failure(surface.post(gateway, stream=True).frames)
    assert len(upstream.asked) == 1
