"""The key proxy beside the real one, and the real Codex through it.

Both proxies get the same requests, byte for byte, before the same upstream. What is seen must be the same, but for
the differences that `tests/support/codex_proxy_differences.py` lists; each of those must show as well.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.answers import Answer, Close, body_answer, chat_call, chat_text, error, json_answer, raw, sse
from tests.support.chat_bodies import outputs_of
from tests.support.clients import Codex, codex_commands, codex_text
from tests.support.codex_proxy import HELD, OURS, Proxy, environment, original
from tests.support.codex_proxy_differences import DIFFERENCES
from tests.support.responses import Responses, function_call, message
from tests.support.sockets import RawClient
from tests.support.upstream import Upstream

pytestmark = pytest.mark.clients

TARGET = "/v1/responses"
DOTTED = "sk-held.with-a-dot"
PLAIN = ["setpriv", "--bounding-set=-all"] if os.getuid() == 0 else []
"""Before a command: root without the privileges that it has over all processes."""
OK = json_answer({"ok": True}, headers={"x-up": "1", "x-request-id": "req_up"})


def differs(case: str, theirs: Any, ours: Any) -> None:
    """Check that both did the same, or each what the list says."""
    if case not in DIFFERENCES:
        assert ours == theirs
        return
    assert theirs == DIFFERENCES[case].theirs
    assert ours == DIFFERENCES[case].ours


# --- requests -----------------------------------------------------------------------------------------------


@dataclass
class Pair:
    """Both proxies before one upstream."""

    upstream: Upstream
    theirs: Proxy
    ours: Proxy

    def each(self, see: Callable[[Proxy], Any]) -> tuple[Any, Any]:
        """Look at the one and at the other."""
        return see(self.theirs), see(self.ours)


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with Upstream() as upstream, contextlib.ExitStack() as stack:
        url = f"{upstream.url}/responses?api-version=1"
        yield Pair(upstream, *(stack.enter_context(Proxy(command, url)) for command in (original(), OURS)))


def ask(proxy: Proxy, head: str = "", body: bytes = b'{"model": "m"}', *, line: str = f"POST {TARGET}") -> bytes:
    """Send one request, with further header lines; return all that comes back."""
    host = "" if "Host:" in head else f"Host: 127.0.0.1:{proxy.port}\r\n"
    framing = "" if "hunked" in head else f"Content-Length: {len(body)}\r\n"
    with RawClient(proxy.port) as client:
        client.send(f"{line} HTTP/1.1\r\n{host}{head}{framing}Connection: close\r\n\r\n".encode() + body)
        return client.read_all()


def cut(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers (names in lower case) and body."""
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    if headers.get("transfer-encoding") == "chunked":
        parts, rest = [], body
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            parts.append(rest[: int(size, 16)])
            rest = rest[int(size, 16) + 2 :]
        body = b"".join(parts)
    return int(status.split()[1]), headers, body


@pytest.mark.parametrize(
    ("head", "body"),
    [
        pytest.param("Content-Type: application/json\r\n", b'{"model": "m", "input": "hi"}', id="json"),
        pytest.param("Content-Type: text/plain\r\n", b"no json \xff\x00", id="not json"),
        pytest.param("", b"", id="empty"),
        pytest.param("Content-Encoding: zstd\r\n", b"\x28\xb5\x2f\xfd\x00", id="packed"),
        pytest.param("Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n0\r\n\r\n", id="chunked"),
        pytest.param("", b"x" * 2_000_000, id="long"),
        pytest.param("Authorization: Bearer dummy\r\n", b"{}", id="a key of the client's"),
        pytest.param("Authorization: Basic dummy\r\n", b"{}", id="another scheme"),
    ],
)
def test_what_is_asked_goes_on(pair: Pair, head: str, body: bytes) -> None:
    pair.upstream.reset()
    pair.upstream.always(OK)

    def see(proxy: Proxy) -> Any:
        status, headers, answered = cut(ask(proxy, head, body))
        asked = pair.upstream.asked[-1]
        told = {name: asked.headers.get(name) for name in ("authorization", "content-type", "content-encoding")}
        return status, answered, headers["x-up"], asked.method, asked.target, asked.body, told

    theirs, ours = pair.each(see)
    assert ours == theirs
    assert ours[3:5] == ("POST", "/v1/responses?api-version=1")
    assert ours[-1]["authorization"] == f"Bearer {HELD}"


@pytest.mark.parametrize(
    "name",
    [
        *("user-agent", "accept", "accept-encoding", "originator", "session-id", "openai-organization"),
        *("cookie", "x-api-key", "proxy-authorization", "te", "x-forwarded-for"),
    ],
)
def test_which_headers_go_on(pair: Pair, name: str) -> None:
    pair.upstream.reset()
    pair.upstream.always(OK)

    def see(proxy: Proxy) -> Any:
        ask(proxy, f"{name}: sent\r\n")
        return pair.upstream.asked[-1].headers.get(name)

    differs(f"header {name}", *pair.each(see))


@pytest.mark.parametrize(
    ("case", "answer"),
    [
        ("a 400", error(400, "no such thing", code="bad")),
        ("a 429", error(429, "slow down", headers={"retry-after": "7"})),
        ("a 500", error(500, "broken")),
        ("a packed answer", body_answer(gzip.compress(b"{}", mtime=0), 200, {"content-encoding": "gzip"})),
        ("an empty answer", body_answer(b"", 204)),
        ("a set-cookie", json_answer({}, headers={"set-cookie": "a=b"})),
    ],
)
def test_what_is_answered_comes_back(pair: Pair, case: str, answer: Answer) -> None:
    pair.upstream.reset()
    pair.upstream.always(answer)

    def see(proxy: Proxy) -> Any:
        status, headers, body = cut(ask(proxy))
        kept = ("content-type", "content-encoding", "retry-after", "set-cookie")
        return status, {name: headers[name] for name in kept if name in headers}, body

    differs(case, *pair.each(see))


@pytest.mark.parametrize(
    "line",
    [f"{method} {TARGET}" for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS")]
    + [
        f"POST {path}"
        for path in (f"{TARGET}?", f"{TARGET}?a=b", f"{TARGET}/", f"/{TARGET}", "/responses", "/v1/models")
    ]
    + ["GET /shutdown", "POST /shutdown", "GET /", "GET /health"],
)
def test_all_else_is_refused(pair: Pair, line: str) -> None:
    pair.upstream.reset()
    theirs, ours = pair.each(lambda proxy: cut(ask(proxy, body=b"", line=line))[0])
    assert ours == theirs == 403
    assert pair.upstream.requests == []


def test_the_words_of_a_refusal(pair: Pair) -> None:
    differs("403 body", *pair.each(lambda proxy: _kind(cut(ask(proxy, line="POST /v1/models"))[2])))


def _kind(body: bytes) -> str:
    return "empty" if not body else "an error in JSON" if body.startswith(b'{"error":{') else "something else"


@pytest.mark.parametrize(
    ("case", "head"),
    [
        ("foreign Origin", "Origin: https://evil.example\r\n"),
        ("foreign Host", "Host: evil.example\r\n"),
        ("cross-site request", "Sec-Fetch-Site: cross-site\r\n"),
        ("localhost as Host", "Host: localhost:1\r\n"),
    ],
)
def test_who_may_ask(pair: Pair, case: str, head: str) -> None:
    pair.upstream.reset()
    pair.upstream.always(OK)
    differs(case, *pair.each(lambda proxy: cut(ask(proxy, head))[0]))


def test_redirects(pair: Pair) -> None:
    def see(proxy: Proxy) -> Any:
        pair.upstream.reset()
        pair.upstream.answers(body_answer(b"", 302, {"location": f"{pair.upstream.url}/elsewhere"}), OK)
        status, _, _ = cut(ask(proxy))
        return status, [(asked.method, asked.path) for asked in pair.upstream.asked]

    differs("redirect", *pair.each(see))


@pytest.mark.parametrize(
    ("case", "answer"),
    [("no answer", raw(Close())), ("an answer that is no HTTP", raw(b"nonsense\r\n\r\n"))],
)
def test_an_upstream_that_fails(pair: Pair, case: str, answer: Answer) -> None:
    def see(proxy: Proxy) -> Any:
        pair.upstream.reset()
        pair.upstream.always(answer)
        status, _, body = cut(ask(proxy))
        return status, _kind(body)

    differs(case, *pair.each(see))


def test_a_stream_is_live(pair: Pair) -> None:
    """Whether the first event is there while the upstream still keeps the last one back."""

    def see(proxy: Proxy) -> Any:
        pair.upstream.reset()
        pair.upstream.always(sse(b"data: first\n\n", b"data: last\n\n", done=False).silent(0.7, after=1))
        with _asking(proxy) as client:
            early = client.read_until(b"first")
        return b"data: first" in early and b"data: last" not in early

    differs("live stream", *pair.each(see))


def test_a_stream_that_is_cut(pair: Pair) -> None:
    """Whether the client hears of it, here within a second."""

    def see(proxy: Proxy) -> Any:
        pair.upstream.reset()
        pair.upstream.always(sse(b"data: first\n\n", done=False).cut())
        with _asking(proxy) as client:
            client.sock.settimeout(1.0)
            try:
                told = client.read_until(b"\r\n0\r\n\r\n")
            except TimeoutError:
                return "nothing"
        return "response.failed" if b"response.failed" in told else "an end"

    differs("cut stream", *pair.each(see))


@contextlib.contextmanager
def _asking(proxy: Proxy) -> Iterator[RawClient]:
    with RawClient(proxy.port) as client:
        host = f"Host: 127.0.0.1:{proxy.port}"
        client.send(f"POST {TARGET} HTTP/1.1\r\n{host}\r\nContent-Length: 2\r\n\r\n{{}}".encode())
        yield client


# --- processes ----------------------------------------------------------------------------------------------


def run(command: list[str], flags: list[str], stdin: bytes, tmp_path: Path) -> int:
    """Return the exit code of a start that fails."""
    return subprocess.run(
        [*command, *flags], input=stdin, env=environment(tmp_path), capture_output=True, timeout=30
    ).returncode


@pytest.mark.parametrize(
    ("flags", "stdin"),
    [
        pytest.param([], b"", id="no-key"),
        pytest.param([], b"\r\n", id="empty-line"),
        pytest.param([], b"two words\n", id="blank"),
        pytest.param([], b"k" * 1017, id="too-long"),
        pytest.param(["--port", "65536"], b"key\n", id="wrong-port"),
        pytest.param(["--nonsense"], b"key\n", id="unknown-flag"),
        pytest.param(["--upstream-url", "nowhere"], b"key\n", id="no-url"),
        pytest.param(["--server-info", "/proc/nowhere/info"], b"key\n", id="info-file"),
        pytest.param(["--dump-dir", "/proc/nowhere"], b"key\n", id="dump-dir"),
    ],
)
def test_exit_codes(tmp_path: Path, flags: list[str], stdin: bytes) -> None:
    theirs, ours = (run(command, flags, stdin, tmp_path) for command in (original(), OURS))
    assert ours == theirs


def test_a_taken_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        flags = ["--port", str(taken.getsockname()[1])]
        theirs, ours = (run(command, flags, b"key\n", tmp_path) for command in (original(), OURS))
    assert ours == theirs == 1


def test_flags_that_only_one_knows(tmp_path: Path) -> None:
    """With a bad key, so that ours ends as well, but later."""
    differs("--bridge-to-chat", *(run(command, ["--bridge-to-chat"], b"", tmp_path) for command in (original(), OURS)))


def life(command: list[str], upstream: Upstream, folder: Path) -> dict[str, Any]:
    """Run a proxy from its start to its end by /shutdown; return what can be seen of it."""
    facts: dict[str, Any] = {}
    folder.mkdir()
    upstream.reset()
    upstream.always(OK)
    with Upstream() as other:
        other.always(OK)
        flags = ["--http-shutdown", "--dump-dir", str(folder / "dumps"), "--port", "0"]
        with Proxy(command, f"{upstream.url}/responses", *flags, env={"http_proxy": f"http://{_at(other)}"}) as proxy:
            facts["info file"] = proxy.info.read_bytes() == b'{"port":%d,"pid":%d}\n' % (proxy.port, proxy.pid)
            facts["mode of the info file"] = proxy.info.stat().st_mode & 0o777
            ask(proxy, "X-Api-Key: the-client-s\r\nCookie: a=b\r\nAuthorization: Bearer c\r\n")
            facts["proxy variables"] = "used" if other.requests else "ignored"
            by_page = ask(proxy, "Origin: https://evil.example\r\n", b"", line="GET /shutdown")
            facts["shutdown by a page"] = cut(by_page)[0]
            if facts["shutdown by a page"] != 200:
                assert cut(ask(proxy, body=b"", line="GET /shutdown"))[::2] == (200, b"")
            facts["exit code"] = proxy.process.wait(10)
            facts["info file at the end"] = proxy.info.exists()
    return facts | _dumps(folder / "dumps")


def _at(upstream: Upstream) -> str:
    return f"127.0.0.1:{upstream.port}"


def _dumps(folder: Path) -> dict[str, Any]:
    request, response = sorted(folder.iterdir())
    text = request.read_text() + response.read_text()
    return {
        "names of dumps": (request.name[:7], request.name[20:], response.name[20:]),
        "mode of dumps": request.stat().st_mode & 0o777,
        "members of dumps": [name in text for name in ('"method": "POST"', f'"url": "{TARGET}"', '"status": 200')],
        "dumped Authorization": "Bearer c" in text,
        "dumped cookie": "a=b" in text,
        "dumped x-api-key": "the-client-s" in text,
    }


def test_a_life(pair: Pair, tmp_path: Path) -> None:
    theirs = life(original(), pair.upstream, tmp_path / "theirs")
    ours = life(OURS, pair.upstream, tmp_path / "ours")
    for case in theirs:
        differs(case, theirs[case], ours[case])


def death(command: list[str], key: str, folder: Path) -> dict[str, Any]:
    """Run a proxy, as plain a user as can be, to its end by a signal."""
    folder.mkdir()
    precious = folder / "precious"
    precious.write_text("keep me")
    (folder / "info.json").symlink_to(precious)
    facts: dict[str, Any] = {}
    with Proxy([*PLAIN, *command], "http://127.0.0.1:9/v1/responses", key=key, folder=folder) as proxy:
        limits = Path(f"/proc/{proxy.pid}/limits").read_text()
        facts["core limit"] = limits.partition("Max core file size")[2].split()[0]
        looks = [*PLAIN, "cat", f"/proc/{proxy.pid}/environ"]
        facts["traceable"] = subprocess.run(looks, capture_output=True).returncode == 0
        facts["SIGTERM"] = proxy.end()
    facts["info file through a link"] = precious.read_text() != "keep me"
    return facts


def test_an_end_by_signal(tmp_path: Path) -> None:
    theirs = death(original(), HELD, tmp_path / "theirs")
    ours = death(OURS, DOTTED, tmp_path / "ours")
    for case in theirs:
        differs(case, theirs[case], ours[case])
    differs("key with a dot", run(original(), [], DOTTED.encode(), tmp_path), "taken")


def test_every_difference_is_shown() -> None:
    """A difference that no test looks at would only be a claim."""
    text = Path(__file__).read_text()
    for case in DIFFERENCES:
        assert f'"{case.removeprefix("header ")}"' in text, case


# --- Codex --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bridges", [False, True], ids=["relayed", "bridged"])
def test_codex_works_through_it(tmp_path: Path, upstream: Upstream, bridges: bool) -> None:
    command = {"cmd": "echo made > made.txt && echo told"}
    if bridges:
        url, flags = f"{upstream.url}/chat/completions", ["--bridge-to-chat"]
        upstream.answers(chat_call("exec_command", command), chat_text("Done."))
    else:
        url, flags = f"{upstream.url}/responses", []
        upstream.answers(Responses(function_call("exec_command", command)), Responses(message("Done.")))
    with Proxy(OURS, url, *flags) as proxy:
        codex = Codex(tmp_path, proxy.url, "test/coder")
        # As the docs say: the proxy lists no models and wants no key.
        del codex.provider["model_catalog_url"], codex.provider["env_key"]
        ran = codex.exec("Make a file.")

    assert ran.code == 0, ran
    assert codex_text(ran) == "Done."
    assert (codex.work / "made.txt").read_text() == "made\n"
    assert len(codex_commands(ran)) == 1
    assert [asked.headers["authorization"] for asked in upstream.asked] == [f"Bearer {HELD}"] * 2
    last = upstream.chats[1]
    outputs = outputs_of(last) if bridges else [item["output"] for item in last["input"] if "output" in item]
    assert "told" in outputs[-1]
