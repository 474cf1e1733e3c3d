"""The listening sockets: both ports, IPv4 and IPv6, opened before anything else so that a fault ends the start.

`[::]` with IPV6_V6ONLY off takes IPv4 connections too (RFC 3493, 5.3); where the machine has no IPv6 it is
`0.0.0.0`. What is set on a listener holds for the connections it accepts.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable

from gevent.monkey import get_original

from gateway.config import Port, Settings, name_of
from gateway.setting import SettingError

BACKLOG = 2048

STALLED_SECS = 300
"""A client that takes nothing of what is sent for this long is given up, be it gone or only stuck."""

_getaddrinfo = get_original("socket", "getaddrinfo")
"""The look-up without a thread pool: threads and the fork of workers do not go together."""

Address = tuple[socket.AddressFamily, str]


def listen(settings: Settings) -> list[socket.socket]:
    """Return listening sockets for all ports of the settings. Raises: SettingError."""
    opened: list[socket.socket] = []
    try:
        for port in settings.ports:
            opened += _listen_on(settings.host, port)
    except BaseException:
        for sock in opened:
            sock.close()
        raise
    return opened


def _listen_on(host: str | None, port: Port) -> list[socket.socket]:
    if host is None:
        every: list[Address] = [(socket.AF_INET6, "::"), (socket.AF_INET, "0.0.0.0")]
        return [_first(every, port)]
    # A name such as localhost has an address of each family; a machine may lack one of them.
    return _all(_resolve(host), port, host)


def _resolve(host: str) -> list[Address]:
    try:
        found = _getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise SettingError(name_of("host"), f"{host!r} cannot be resolved to an address") from None
    return [(family, address[0]) for family, _, _, _, address in found]


def _first(addresses: Iterable[Address], port: Port) -> socket.socket:
    for address in addresses:
        sock = _open(address, port)
        if sock is not None:
            return sock
    raise SettingError(name_of("host"), "this machine has no network")


def _all(addresses: Iterable[Address], port: Port, host: str) -> list[socket.socket]:
    opened = [sock for address in addresses if (sock := _open(address, port)) is not None]
    if not opened:
        raise SettingError(name_of("host"), f"{host!r} is no address of this machine")
    return opened


_NOT_HERE = frozenset([errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT])


def _open(address: Address, port: Port) -> socket.socket | None:
    """Return a listening socket, or None where the machine has no such address. Raises: SettingError."""
    family, host = address
    sock = None
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STALLED_SECS * 1000)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, host != "::")
        sock.bind((host, port.number))
        sock.listen(BACKLOG)
        return sock
    except OSError as error:
        if sock is not None:
            sock.close()
        if error.errno in _NOT_HERE:
            return None
        raise SettingError(name_of(port.setting), f"port {port.number} {_why(error)}") from None


def _why(error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return "is taken by another program"
        case errno.EACCES:
            return "may not be opened by this user"
        case number:
            return f"cannot be opened: {os.strerror(number or 0)}"
