"""The settings: one frozen record from flags and environment, checked at start.

Every setting is declared once, below; `--help`, the README's table and the reading of values are made from the
declarations (`gateway.setting`). A flag beats its environment variable, and an empty variable counts as absent,
since container files pass empty ones on.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

from gateway import setting as reading
from gateway.guard import is_own_origin
from gateway.profile import Limits
from gateway.setting import Setting, SettingError, setting
from gateway.store import Bounds

PROGRAM_FOLDER = Path(__file__).resolve().parents[1]
"""Where `openai_proxy.py` stands, and perhaps `models.json` beside it."""

Surface = Literal["chat", "responses"]
_surface: Callable[[str], Surface] = reading.one_of("chat", "responses")

_MIB = 1024 * 1024
_LIMITS = Limits()
_BOUNDS = Bounds()


class Port(NamedTuple):
    """One port to serve."""

    setting: str
    """Name of the setting that it comes from."""
    number: int
    surface: Surface
    """What it serves."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings. Field names are the environment's names in lower case."""

    host: str | None = setting(
        reading.address,
        None,
        "Bind address; `127.0.0.1` where the gateway holds a key.",
        flags=("--host",),
        env="HOST",
        shown="all addresses, IPv4 and IPv6",
    )
    chat_port: int = setting(
        reading.port, 5101, "Port that passes chat through.", flags=("--chat-port",), env="CHAT_PORT"
    )
    responses_port: int = setting(
        reading.port,
        5102,
        "Port that accepts Responses and Messages.",
        flags=("--responses-port",),
        env="RESPONSES_PORT",
    )
    port: int | None = setting(reading.port, None, "Serve this one port only.", flags=("--port",), shown="")
    mode: Surface | None = setting(
        _surface,
        None,
        "Serve one port only, in this mode; with `--port` alone it is `responses` for the responses port, else `chat`.",
        flags=("--mode",),
        shown="",
    )
    demo: bool = setting(
        reading.truth,
        False,
        "Serve in front of a small upstream of the gateway's own, which needs no key and no network.",
        flags=("--demo",),
        shown="off",
        switch="true",
    )
    backend_url: str = setting(
        reading.url,
        "https://llm.chutes.ai/v1/chat/completions",
        "The upstream: a full endpoint (`…/chat/completions`, `…/responses`) or an API root (`…/v1`); a query is kept.",
        flags=("--backend-url", "--upstream-url"),
        env="BACKEND_URL",
    )
    backend_api: Surface = setting(
        _surface,
        "chat",
        "What the upstream speaks: `chat` or `responses`.",
        flags=("--backend-api",),
        env="BACKEND_API",
        shown="by the URL's path, else `chat`",
    )
    backend_timeout_secs: float = setting(
        reading.seconds(0.1),
        600.0,
        "Longest silence of the upstream, before its headers and between bytes, in seconds.",
        flags=("--backend-timeout",),
        env="BACKEND_TIMEOUT_SECS",
        shown="600",
    )
    backend_connect_timeout_secs: float = setting(
        reading.seconds(0.1),
        10.0,
        "Longest wait for a connection to the upstream, in seconds.",
        env="BACKEND_CONNECT_TIMEOUT_SECS",
        shown="10",
    )
    workers: int = setting(
        reading.whole(1, 1024),
        len(os.sched_getaffinity(0)),
        "Worker processes.",
        flags=("--workers",),
        env="WORKERS",
        shown="number of cores",
    )
    models_file: Path | None = setting(
        reading.readable_file,
        None,
        "What is known of models beyond the upstream's list; read again when it changes.",
        flags=("--models-file",),
        env="MODELS_FILE",
        shown="`models.json` beside the program, if there",
    )
    models_filter: re.Pattern[str] | None = setting(
        reading.pattern,
        None,
        "Regular expression: only models whose id matches are listed, on both ports.",
        env="MODELS_FILTER",
        shown="off",
    )
    log_file: Path | None = setting(
        reading.path,
        None,
        "File to record the traffic in, without credentials; begun anew at each start, the old one is kept once.",
        flags=("--log",),
        env="LOG_FILE",
        shown="off",
    )
    log_max_bytes: int = setting(
        reading.whole(4096, 1 << 40),
        512 * _MIB,
        "Size in bytes at which that file is begun anew and the part before kept, so twice that is on the disk.",
        env="LOG_MAX_BYTES",
        shown="512 MiB",
    )
    log_level: str = setting(
        reading.one_of("debug", "info", "warning", "error", "critical"),
        "info",
        "The service's own log (JSON lines on standard error).",
        flags=("--log-level",),
        env="LOG_LEVEL",
    )
    responses_store: str = setting(
        reading.store,
        "memory",
        "Where stored responses are kept: `off`, `memory`, `sqlite:PATH`, `redis://HOST:PORT/NUMBER`.",
        env="RESPONSES_STORE",
    )
    store_max_responses: int = setting(
        reading.size, _BOUNDS.responses, "Most stored responses; the oldest go first.", env="STORE_MAX_RESPONSES"
    )
    store_max_bytes: int = setting(
        reading.size, _BOUNDS.bytes, "Most bytes of stored responses.", env="STORE_MAX_BYTES", shown="256 MiB"
    )
    store_max_age_secs: float = setting(
        reading.seconds(1, 366 * 86_400),
        _BOUNDS.age,
        "How long a response is kept after its last use, in seconds.",
        env="STORE_MAX_AGE_SECS",
        shown="86400",
    )
    key_from_stdin: bool = setting(
        reading.truth,
        False,
        "Read a key from standard input, used only where a client sends none.",
        flags=("--key-from-stdin",),
        shown="off",
        switch="true",
    )
    backend_key_file: Path | None = setting(
        reading.readable_file,
        None,
        "File of a key, used only where a client sends none.",
        env="BACKEND_KEY_FILE",
        shown="off",
    )
    client_tokens_file: Path | None = setting(
        reading.readable_file,
        None,
        "Tokens, one a line; where the gateway holds a key, a client must send one in the place of a key.",
        env="CLIENT_TOKENS_FILE",
        shown="off",
    )
    envelope_secret_file: Path | None = setting(
        reading.readable_file,
        None,
        "Extra secret for sealed reasoning and compaction.",
        env="ENVELOPE_SECRET_FILE",
        shown="off",
    )
    auto_web_search: bool = setting(
        reading.truth,
        True,
        "A `web_search` tool is added to chat requests without tools; only for a Responses upstream.",
        flags=("--disable-auto-web-search",),
        env="AUTO_WEB_SEARCH",
        shown="on",
        switch="false",
    )
    enable_circuit_breaker: bool = setting(
        reading.truth,
        True,
        "Keep requests from an upstream or model that fails again and again.",
        env="ENABLE_CIRCUIT_BREAKER",
    )
    breaker_failures: int = setting(
        reading.whole(1, 1_000_000), 5, "Failures in a row that open a circuit.", env="BREAKER_FAILURES"
    )
    breaker_cooldown_secs: float = setting(
        reading.seconds(0.1),
        30.0,
        "How long a circuit stays open, in seconds.",
        env="BREAKER_COOLDOWN_SECS",
        shown="30",
    )
    max_body_bytes: int = setting(
        reading.size, 64 * _MIB, "Longest request body, decoded, in bytes.", env="MAX_BODY_BYTES", shown="64 MiB"
    )
    max_text_bytes: int = setting(
        reading.size,
        _LIMITS.max_text_bytes,
        "Longest single text in a request, in bytes.",
        env="MAX_TEXT_BYTES",
        shown="5 MiB",
    )
    max_instructions_bytes: int = setting(
        reading.size,
        _LIMITS.max_instructions_bytes,
        "Longest `instructions`, in bytes.",
        env="MAX_INSTRUCTIONS_BYTES",
        shown="1 MiB",
    )
    max_input_items: int = setting(
        reading.size, _LIMITS.max_input_items, "Most items or messages in a request.", env="MAX_INPUT_ITEMS"
    )
    max_tools: int = setting(reading.size, _LIMITS.max_tools, "Most tools in a request.", env="MAX_TOOLS")
    require_key: bool = setting(
        reading.truth,
        True,
        "`false` lets clients without a key through, for local upstreams that need none.",
        env="REQUIRE_KEY",
    )
    cors_allow_origins: str = setting(
        reading.origins,
        "*",
        "Pages that may call from a browser: `*`, a comma-separated list of origins, or `off`.",
        env="CORS_ALLOW_ORIGINS",
        shown="`*`; off where the gateway holds a key",
    )
    keepalive_secs: float = setting(
        reading.seconds(0.1),
        15.0,
        "Longest silence towards a streaming client, in seconds.",
        env="KEEPALIVE_SECS",
        shown="15",
    )
    shutdown_grace_secs: float = setting(
        reading.seconds(0),
        30.0,
        "How long open answers may go on when the gateway is stopped, in seconds.",
        env="SHUTDOWN_GRACE_SECS",
        shown="30",
    )
    trust_env: bool = setting(
        reading.truth, False, "`true`: proxy environment variables are honoured towards the upstream.", env="TRUST_ENV"
    )
    envelope_secret: bytes = field(default=b"", repr=False)
    """What stands in `envelope_secret_file`."""
    guarded: bool = False
    """Only this machine may reach the gateway, which holds a key, and no page of strangers."""

    @classmethod
    def load(cls, flags: Mapping[str, str], environ: Mapping[str, str], folder: Path = PROGRAM_FOLDER) -> Settings:
        """Read all settings; `flags` by field name, `folder` is where a `models.json` may stand.

        Raises: SettingError.
        """
        values: dict[str, Any] = {}
        for name, one in declared():
            text = one.given(name, flags, environ)
            if text is not None:
                values[name] = one.read(text)
        _fill_defaults(values, folder)
        settings = cls(**values)
        if settings.holds_key or settings.client_tokens_file is not None:
            _check_guards(settings)
        numbers = [port.number for port in settings.ports]
        if len(set(numbers)) < len(numbers):
            raise SettingError(name_of("responses_port"), f"port {numbers[0]} is the chat port already")
        return settings

    @property
    def ports(self) -> tuple[Port, ...]:
        """The ports to serve."""
        if self.port is not None:
            by_number: Surface = "responses" if self.port == self.responses_port else "chat"
            return (Port("port", self.port, self.mode or by_number),)
        both = (Port("chat_port", self.chat_port, "chat"), Port("responses_port", self.responses_port, "responses"))
        return tuple(port for port in both if self.mode in (None, port.surface))

    def port_of(self, surface: str) -> int | None:
        """Return the number of the port that serves a surface, None where none does."""
        return next((port.number for port in self.ports if port.surface == surface), None)

    @property
    def holds_key(self) -> bool:
        """The gateway has a key of its own."""
        return self.key_from_stdin or self.backend_key_file is not None

    @property
    def limits(self) -> Limits:
        """The bounds that translators keep."""
        return Limits(self.max_text_bytes, self.max_instructions_bytes, self.max_input_items, self.max_tools)

    @property
    def backend_origin(self) -> str:
        """Scheme, host and port of the upstream."""
        return _endpoint(self.backend_url).origin

    @property
    def backend_root_path(self) -> str:
        """Path of the upstream's API root, without a slash at its end; may be empty."""
        return _endpoint(self.backend_url).root

    @property
    def backend_query(self) -> str:
        """Query that goes with every request (Azure's `api-version=…`), without its question mark."""
        return _endpoint(self.backend_url).query

    @property
    def chat_target(self) -> str:
        """Path and query of the upstream's chat endpoint."""
        return _endpoint(self.backend_url).chat

    @property
    def responses_target(self) -> str:
        """Path and query of the upstream's Responses endpoint."""
        return _endpoint(self.backend_url).responses

    @property
    def backend_target(self) -> str:
        """Path and query of the endpoint that translated requests go to."""
        return self.responses_target if self.backend_api == "responses" else self.chat_target

    @property
    def models_target(self) -> str:
        """Path and query of the upstream's model list."""
        return _endpoint(self.backend_url).models


class _Endpoint(NamedTuple):
    origin: str
    root: str
    query: str
    chat: str
    responses: str
    models: str


@lru_cache(maxsize=8)
def _endpoint(url: str) -> _Endpoint:
    parts = urlsplit(url)
    root = re.sub(r"/+(chat/completions|responses)?/*$", "", parts.path)
    query = f"?{parts.query}" if parts.query else ""
    targets = (f"{root}/{path}{query}" for path in ("chat/completions", "responses", "models"))
    return _Endpoint(f"{parts.scheme}://{parts.netloc}", root, parts.query, *targets)


def _fill_defaults(values: dict[str, Any], folder: Path) -> None:
    """Add the defaults that depend on other settings or on files."""
    beside = folder / "models.json"
    if beside.is_file():
        values.setdefault("models_file", beside)
    if urlsplit(values.get("backend_url", "")).path.rstrip("/").endswith("/responses"):
        values.setdefault("backend_api", "responses")
    if values.get("key_from_stdin") or values.get("backend_key_file"):
        # Said together they mean that the operator has thought of who may reach the gateway.
        values["guarded"] = not ("host" in values and "client_tokens_file" in values)
        values.setdefault("host", "127.0.0.1")
        values.setdefault("cors_allow_origins", "")
    if "envelope_secret_file" in values:
        values["envelope_secret"] = _read_secret("envelope_secret_file", values["envelope_secret_file"])


def _check_guards(settings: Settings) -> None:
    """Raise where a key that the gateway holds would be anybody's to spend."""
    if not settings.holds_key:
        raise SettingError(name_of("client_tokens_file"), "tokens stand for a key that the gateway holds: name it too")
    if settings.key_from_stdin and settings.backend_key_file is not None:
        raise SettingError(name_of("key_from_stdin"), "BACKEND_KEY_FILE names a key as well; give one of them")
    if settings.client_tokens_file is None and not _is_loopback(settings.host):
        raise SettingError(
            name_of("host"),
            "beyond this machine a gateway that holds a key needs CLIENT_TOKENS_FILE, or anybody could spend the key",
        )
    if settings.guarded and not all(is_own_origin(origin.strip()) for origin in _listed(settings.cors_allow_origins)):
        raise SettingError(
            name_of("cors_allow_origins"),
            "where the gateway holds a key only pages of this machine may call; others need HOST and "
            "CLIENT_TOKENS_FILE",
        )


def _listed(origins: str) -> list[str]:
    return origins.split(",") if origins else []


def _is_loopback(host: str | None) -> bool:
    try:
        return host is not None and (host.lower() == "localhost" or ip_address(host).is_loopback)
    except ValueError:
        return False


def _read_secret(name: str, path: Path) -> bytes:
    try:
        secret = path.read_bytes().strip()
    except OSError as error:
        raise SettingError(name_of(name), f"the file cannot be read: {error.strerror}") from None
    if not secret:
        raise SettingError(name_of(name), "the file is empty")
    return secret


def declared() -> Iterator[tuple[str, Setting]]:
    """Yield the name and the record of every setting, in the order of the table."""
    for one in fields(Settings):
        if reading.KEY in one.metadata:
            yield one.name, one.metadata[reading.KEY]


def name_of(name: str) -> str:
    """Return what errors call a setting."""
    return dict(declared())[name].name


def settings_table() -> str:
    """Return the settings as a Markdown table."""
    rows = ["| Flag | Environment | Default | Meaning |", "|---|---|---|---|"]
    for _, one in declared():
        flags = ", ".join(f"`{flag}`" for flag in one.flags)
        rows.append(f"| {flags} | {f'`{one.env}`' if one.env else ''} | {one.shown} | {one.help} |")
    return "\n".join(rows) + "\n"
