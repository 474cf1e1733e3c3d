"""Opening the ports: which addresses, and what is said where one cannot be opened."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from gateway import listeners
from gateway.config import Settings
from gateway.setting import SettingError
from tests.support.gateway import free_ports


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    """Closes what a test opens."""
    with ExitStack() as stack:
        yield stack


def names(settings: Settings, stack: ExitStack) -> list[tuple[str, int]]:
    """Open the listeners and return their addresses."""
    return [stack.enter_context(sock).getsockname()[:2] for sock in listeners.listen(settings)]


def settings(host: str | None, *ports: int) -> Settings:
    return Settings(host=host, chat_port=ports[0], responses_port=ports[1])


def test_every_address_is_one_listener_for_each_port(opened: ExitStack) -> None:
    ports = free_ports(2)
    assert names(settings(None, *ports), opened) == [("::", ports[0]), ("::", ports[1])]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "0.0.0.0", "::"])
def test_an_address_is_taken_as_it_is(opened: ExitStack, host: str) -> None:
    ports = free_ports(2)
    assert names(settings(host, *ports), opened) == [(host, ports[0]), (host, ports[1])]


def test_a_name_may_mean_several_addresses(opened: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET6, 0, 0, "", ("::1", 0, 0, 0)), (socket.AF_INET, 0, 0, "", ("127.0.0.1", 0))]
    monkeypatch.setattr(listeners, "_getaddrinfo", lambda *_, **__: found)
    ports = free_ports(2)
    assert names(settings("localhost", *ports), opened) == [
        (address, port) for port in ports for address in ("::1", "127.0.0.1")
    ]


def without_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make sockets as on a machine that has no IPv6."""
    real = socket.socket

    def make(family: int, *rest: Any) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "no such family")
        return real(family, *rest)

    monkeypatch.setattr(socket, "socket", make)


def test_without_ipv6_every_address_is_ipv4(opened: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    ports = free_ports(2)
    without_ipv6(monkeypatch)
    assert names(settings(None, *ports), opened) == [("0.0.0.0", ports[0]), ("0.0.0.0", ports[1])]


def test_a_listener_is_set_up_for_streams(opened: ExitStack) -> None:
    sock, other = listeners.listen(settings("127.0.0.1", *free_ports(2)))
    opened.enter_context(sock)
    opened.enter_context(other)
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == listeners.STALLED_SECS * 1000


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("nowhere.invalid", "'nowhere.invalid' cannot be resolved"),
        ("192.0.2.1", "'192.0.2.1' is no address of this machine"),
    ],
)
def test_a_host_that_is_not_here(host: str, words: str) -> None:
    with pytest.raises(SettingError, match=f"^HOST \\(--host\\): {words}"):
        listeners.listen(settings(host, *free_ports(2)))


def test_a_taken_port_is_named_and_nothing_stays_open() -> None:
    ports = free_ports(2)
    with socket.create_server(("127.0.0.1", ports[1])), pytest.raises(SettingError) as caught:
        listeners.listen(settings("127.0.0.1", *ports))
    assert str(caught.value) == f"RESPONSES_PORT (--responses-port): port {ports[1]} is taken by another program"
    socket.create_server(("127.0.0.1", ports[0])).close()


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.EACCES, "may not be opened by this user"), (errno.ENOBUFS, "cannot be opened: No buffer space")],
)
def test_other_reasons_are_told(monkeypatch: pytest.MonkeyPatch, number: int, words: str) -> None:
    class Refused(socket.socket):
        def bind(self, address: Any) -> None:
            raise OSError(number, "refused")

    monkeypatch.setattr(socket, "socket", Refused)
    with pytest.raises(SettingError, match=f"CHAT_PORT .*: port 5101 {words}"):
        listeners.listen(Settings(host="127.0.0.1"))


def test_a_machine_without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.EAFNOSUPPORT, "no such family")

    monkeypatch.setattr(socket, "socket", refuse)
    with pytest.raises(SettingError, match="no network"):
        listeners.listen(Settings())
