"""Ports, the way to the upstream, TLS: on real sockets."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.config import Settings
from gateway.doctor.surroundings import ports, reach, store
from tests.support.gateway import Gateway, free_ports
from tests.support.redis_server import RedisServer


def settings(**environ: str) -> Settings:
    return Settings.load({}, {"MODELS_FILE": "", **environ})


def test_free_and_taken_ports(gateway: Gateway) -> None:
    (free,) = free_ports(1)
    environ = {"HOST": "127.0.0.1", "CHAT_PORT": str(free), "RESPONSES_PORT": str(gateway.responses_port)}
    found = list(ports(settings(**environ)))
    assert [(one.verdict, one.detail) for one in found] == [
        ("ok", "free (chat)"),
        ("ok", "a gateway serves it (responses)"),
    ]
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        threading.Thread(target=lambda: stranger.accept()[0].close(), daemon=True).start()
        taken = Settings(host="127.0.0.1", port=stranger.getsockname()[1])
        (one,) = ports(taken)
    assert (one.verdict, one.detail, one.essential) == (
        "no",
        "is taken by another program",
        True,
    ) or "taken" in one.detail


def test_a_store_that_is_a_server_is_asked() -> None:
    assert list(store(settings())) == []
    assert list(store(settings(RESPONSES_STORE="redis://127.0.0.1:1/0", BACKEND_API="responses"))) == []
    (found,) = store(settings(RESPONSES_STORE="redis://:secret@127.0.0.1:1/0"))
    assert (found.name, found.verdict) == ("store", "no")
    assert "secret" not in found.detail
    with RedisServer() as server:
        (found,) = store(settings(RESPONSES_STORE=server.url))
    assert found.verdict == "ok"


def test_an_upstream_that_is_there_and_one_that_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        (there,) = reach(settings(BACKEND_URL=url))
    assert there.verdict == "ok"
    (gone,) = reach(settings(BACKEND_URL=url))
    assert (gone.verdict, gone.essential) == ("no", True)
    assert "nothing listens there" in gone.detail
    (nameless,) = reach(settings(BACKEND_URL="http://no-such-host.invalid/v1"))
    assert "cannot be resolved" in nameless.detail
    (proxied,) = reach(settings(BACKEND_URL=url, TRUST_ENV="true"))
    assert proxied.verdict == "skip"


def test_an_upstream_that_speaks_no_tls(gateway: Gateway) -> None:
    *_, tls = reach(settings(BACKEND_URL=f"https://127.0.0.1:{gateway.chat_port}/v1"))
    assert (tls.verdict, tls.essential) == ("no", True)
    assert "begin with http://" in tls.detail


class TlsServer:
    """Greets over TLS with a certificate that it has signed itself."""

    def __init__(self, folder: Path, days: int) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=days, hours=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .sign(key, hashes.SHA256())
        )
        self.certificate = folder / "certificate.pem"
        self.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        private = folder / "key.pem"
        form = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        private.write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate, private)
        self._server = context.wrap_socket(socket.create_server(("127.0.0.1", 0)), server_side=True)
        self.url = f"https://localhost:{self._server.getsockname()[1]}/v1"
        self._thread = threading.Thread(target=self._greet, daemon=True)
        self._thread.start()

    def _greet(self) -> None:
        try:
            self._server.accept()[0].close()
        except OSError:
            return

    def close(self) -> None:
        self._thread.join(5)
        self._server.close()


@pytest.fixture(params=[100, 3])
def tls(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[TlsServer, int]]:
    server = TlsServer(tmp_path, request.param)
    yield server, request.param
    server.close()


def test_a_certificate_that_is_trusted(tls: tuple[TlsServer, int], monkeypatch: pytest.MonkeyPatch) -> None:
    server, days = tls
    monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
    _, found = reach(settings(BACKEND_URL=server.url))
    assert found.name == "TLS"
    assert found.verdict == ("ok" if days > 14 else "warn")
    assert f"{days} days" in found.detail


def test_a_certificate_that_is_not(tmp_path: Path) -> None:
    server = TlsServer(tmp_path, 100)
    _, found = reach(settings(BACKEND_URL=server.url))
    server.close()
    assert (found.verdict, found.essential) == ("no", True)
    assert "not trusted" in found.detail


def test_a_server_that_speaks_no_tls() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=lambda: server.accept()[0].close(), daemon=True).start()
        _, found = reach(settings(BACKEND_URL=f"https://127.0.0.1:{server.getsockname()[1]}/v1"))
    assert (found.name, found.verdict) == ("TLS", "no")
