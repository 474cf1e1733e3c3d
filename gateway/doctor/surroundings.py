"""Checks what is round the gateway: its ports, its store, the way to the upstream, TLS, the model list."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import certifi
import requests

from gateway.config import Port, Settings
from gateway.doctor.findings import Finding
from gateway.errors import StoreDown
from gateway.listeners import listen
from gateway.setting import SettingError
from gateway.store.opening import SERVERS, open_store

_ASK_SECS = 3.0
_DAY = 86_400
_SOON_DAYS = 14


def ports(settings: Settings) -> Iterator[Finding]:
    """Tell for each port whether it can be opened, or whether a gateway serves it already."""
    for port in settings.ports:
        yield _port(settings, port)


def _port(settings: Settings, port: Port) -> Finding:
    name = f"port {port.number}"
    if _is_gateway(port.number):
        return Finding(name, "ok", f"a gateway serves it ({port.surface})")
    one = Settings(host=settings.host, port=port.number, mode=port.surface)
    try:
        for sock in listen(one):
            sock.close()
    except SettingError as error:
        return Finding(name, "no", error.message, essential=True)
    return Finding(name, "ok", f"free ({port.surface})")


def _is_gateway(port: int) -> bool:
    try:
        answer = requests.get(
            f"http://127.0.0.1:{port}/health/live", timeout=_ASK_SECS, allow_redirects=False, proxies={"http": ""}
        )
        return bool(answer.json() == {"status": "alive"})
    except (requests.RequestException, ValueError):
        return False


def store(settings: Settings) -> Iterator[Finding]:
    """Tell whether the store of responses works, where it is a server; a file is made when the gateway starts."""
    if settings.responses_store.partition(":")[0] not in SERVERS:
        return
    guarded = open_store(settings)
    if guarded is None:
        return
    began = time.monotonic()
    try:
        guarded.ask(None, lambda store, owner: owner)
    except StoreDown as error:
        yield Finding("store", "no", str(error.__cause__ or error))
    else:
        yield Finding("store", "ok", f"it answers, in {(time.monotonic() - began) * 1000:.0f} ms")
    guarded.close()


def reach(settings: Settings) -> Iterator[Finding]:
    """Tell whether the upstream can be reached, and whether its certificate is good."""
    parts = urlsplit(settings.backend_origin)
    host = parts.hostname or ""
    secure = parts.scheme == "https"
    number = parts.port or (443 if secure else 80)
    if settings.trust_env:
        yield Finding("connection", "skip", "TRUST_ENV is on: the way may lead through a proxy")
        return
    began = time.monotonic()
    try:
        sock = socket.create_connection((host, number), settings.backend_connect_timeout_secs)
    except OSError as error:
        yield Finding("connection", "no", f"{host}:{number}: {_words(error)}", essential=True)
        return
    with sock:
        taken = (time.monotonic() - began) * 1000
        yield Finding("connection", "ok", f"{host}:{number} in {taken:.0f} ms", essential=True)
        if secure:
            yield _tls(sock, host)


def _tls(sock: socket.socket, host: str) -> Finding:
    context = ssl.create_default_context(cafile=certifi.where())
    context.load_default_certs()
    try:
        with context.wrap_socket(sock, server_hostname=host) as wrapped:
            version, certificate = wrapped.version(), wrapped.getpeercert() or {}
    except (OSError, ValueError) as error:
        return Finding("TLS", "no", _words(error), essential=True)
    ends = certificate.get("notAfter")
    days = int((ssl.cert_time_to_seconds(str(ends)) - time.time()) / _DAY) if ends else None
    if days is not None and days < _SOON_DAYS:
        return Finding("TLS", "warn", f"{version}; the certificate ends in {days} days")
    return Finding("TLS", "ok", f"{version}" + (f", certificate good for {days} days" if days is not None else ""))


def _words(error: Exception) -> str:
    """Return what went wrong, and what to look at."""
    match error:
        case ssl.SSLCertVerificationError():
            return f"the certificate is not trusted: {error.verify_message}; SSL_CERT_FILE may name its authority"
        case ssl.SSLError(reason="WRONG_VERSION_NUMBER"):
            return "it does not speak TLS; should the URL begin with http:// ?"
        case socket.gaierror():
            return "the name cannot be resolved; is it spelled right?"
        case ConnectionRefusedError():
            return "nothing listens there; is it started, and is BACKEND_URL right?"
        case TimeoutError():
            return "no answer; is it a wrong address, or a firewall?"
    return getattr(error, "strerror", None) or type(error).__name__
