"""Where `codex-proxy` does not do what codex-responses-api-proxy does, and why. The docs' table is made from this.

`theirs` and `ours` are what tests/clients/test_codex_proxy.py must see; the rest is for people.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Difference(NamedTuple):
    """One deliberate difference."""

    what: str
    there: str
    here: str
    why: str
    theirs: Any
    ours: Any


_STAYS = "it is the client's secret, or of its connection, and nothing for the upstream"
_FAILS = "500, no body"
_TOLD = "502 with an error in JSON"
_NO_ANSWER = "a client can tell a fault of the upstream from one of the proxy, and what it was"
_STRANGER = "a page of a stranger, or a name that was bent to 127.0.0.1, could spend the key"

DIFFERENCES: dict[str, Difference] = {
    "header cookie": Difference("header `Cookie`", "sent on", "dropped", _STAYS, "sent", None),
    "header x-api-key": Difference("header `X-Api-Key`", "sent on", "dropped", _STAYS, "sent", None),
    "header proxy-authorization": Difference(
        "header `Proxy-Authorization`", "sent on", "dropped", _STAYS, "sent", None
    ),
    "header te": Difference(
        "headers of the connection (`TE`, `Connection`, …)", "sent on", "dropped", _STAYS, "sent", None
    ),
    "header x-forwarded-for": Difference("headers `X-Forwarded-…`", "sent on", "dropped", _STAYS, "sent", None),
    "a set-cookie": Difference(
        "`Set-Cookie` of the upstream",
        "passed on",
        "dropped",
        "no client of an API keeps cookies",
        (200, {"content-type": "application/json", "set-cookie": "a=b"}, b"{}"),
        (200, {"content-type": "application/json"}, b"{}"),
    ),
    "403 body": Difference(
        "body of a 403", "none", "an error in JSON", "it says what would be served", "empty", "an error in JSON"
    ),
    "foreign Origin": Difference("a foreign `Origin`", "served", "403", _STRANGER, 200, 403),
    "foreign Host": Difference("a foreign `Host`", "served", "403", _STRANGER, 200, 403),
    "cross-site request": Difference("`Sec-Fetch-Site`, which browsers send", "served", "403", _STRANGER, 200, 403),
    "shutdown by a page": Difference(
        "`GET /shutdown` by a page", "ends the proxy", "403", "any page could end the proxy", 200, 403
    ),
    "redirect": Difference(
        "a redirect of the upstream",
        "followed, a POST as a GET",
        "passed on, not followed",
        "key and prompt would go to a place that nobody has named",
        (200, [("POST", "/v1/responses"), ("GET", "/v1/elsewhere")]),
        (302, [("POST", "/v1/responses")]),
    ),
    "no answer": Difference(
        "an upstream that does not answer", _FAILS, _TOLD, _NO_ANSWER, (500, "empty"), (502, "an error in JSON")
    ),
    "an answer that is no HTTP": Difference(
        "an answer that is no HTTP", _FAILS, _TOLD, _NO_ANSWER, (500, "empty"), (502, "an error in JSON")
    ),
    "live stream": Difference(
        "a stream",
        "held back up to 8 KiB, its head too",
        "piece by piece as it comes",
        "people read along",
        False,
        True,
    ),
    "cut stream": Difference(
        "a stream that breaks off",
        "the client hears nothing and waits",
        "`response.failed`, then the end",
        "a client should not wait for its own timeout",
        "nothing",
        "response.failed",
    ),
    "proxy variables": Difference(
        "`http_proxy` and the like",
        "used",
        "ignored",
        "the key would go where the environment says",
        "used",
        "ignored",
    ),
    "info file at the end": Difference(
        "the info file after the end",
        "left behind",
        "removed",
        "it would name a process that is not there",
        True,
        False,
    ),
    "info file through a link": Difference(
        "a link in the place of the info file",
        "followed",
        "replaced",
        "somebody else's file would be overwritten",
        True,
        False,
    ),
    "mode of dumps": Difference("mode of dumps", "0644", "0600", "prompts are nobody else's business", 0o644, 0o600),
    "dumped x-api-key": Difference(
        "`X-Api-Key` and key-like members in dumps",
        "as sent",
        "`[REDACTED]`",
        "they are credentials as well",
        True,
        False,
    ),
    "key with a dot": Difference(
        "a `.` in the key", "refused", "taken", "keys of Chutes and others have it", 1, "taken"
    ),
    "SIGTERM": Difference(
        "exit code after SIGTERM",
        "143",
        "0, once open answers have ended (5 s at most)",
        "it was asked to end and did",
        -15,
        0,
    ),
    "traceable": Difference(
        "others of the same user",
        "can trace it and read its memory",
        "cannot",
        "the key is in that memory",
        True,
        False,
    ),
    "--bridge-to-chat": Difference("`--bridge-to-chat`", "unknown (a fork has it)", "known", "see below", 2, 1),
}

NOT_TESTED: list[tuple[str, str, str]] = [
    ("silence of the upstream", "no limit", "504 after 600 s; 10 s to connect"),
    ("size of a body", "no limit", "64 MiB"),
    ("slow clients", "no limit", "a head or body that stops for 30 s ends the connection"),
    ("`/shutdown` with answers open", "cuts them", "they get 5 s, then a proper end"),
    ("names of headers in dumps", "as the client spelled them", "lower case"),
    ("`--github-oidc` and its flags", "known", "not there"),
    ("processes", "one", "two: the one that the info file names, and its worker, which ends with it"),
]
"""What the real one does not bound, or what takes too long to show."""


def table() -> str:
    """Return the differences as a Markdown table."""
    rows = ["| | codex-responses-api-proxy | codex-proxy | Why |", "|---|---|---|---|"]
    rows += [f"| {one.what} | {one.there} | {one.here} | {one.why} |" for one in DIFFERENCES.values()]
    rows += [f"| {what} | {there} | {here} | |" for what, there, here in NOT_TESTED]
    return "\n".join(rows)
