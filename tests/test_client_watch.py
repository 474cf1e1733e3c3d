"""A client that leaves is seen while the exchange waits; one that only stops sending is not taken for gone."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import gevent
import gevent.socket
import pytest

from gateway.client_watch import ClientGone, ClientWatch, NoWatch, Woken

Pair = tuple[gevent.socket.socket, gevent.socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A client's socket and the server's end of it."""
    with gevent.socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        client = gevent.socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        with client, server:
            yield client, server


def outcome(watch: ClientWatch, seconds: float = 1.0) -> str:
    """Wait as an exchange does; tell what ended the wait."""
    try:
        watch.attend()
        gevent.sleep(seconds)
    except ClientGone:
        return "gone"
    except Woken:
        return "woken"
    finally:
        watch.dismiss()
    return "waited"


def test_a_client_that_closes_before_the_answer_is_gone(pair: Pair) -> None:
    client, server = pair
    watch = ClientWatch(server, speaks_interim=True)
    gevent.spawn_later(0.02, client.close)
    assert outcome(watch) == "gone"
    assert watch.gone
    watch.close()
    watch.close()


def test_a_reset_is_gone_at_once(pair: Pair) -> None:
    client, server = pair
    watch = ClientWatch(server, speaks_interim=False)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    gevent.spawn_later(0.02, client.close)
    assert outcome(watch) == "gone"
    watch.close()


def test_a_client_that_only_stops_sending_is_probed_and_stays(pair: Pair) -> None:
    client, server = pair
    watch = ClientWatch(server, speaks_interim=True)
    client.shutdown(socket.SHUT_WR)
    assert outcome(watch) == "waited"
    assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert not watch.gone
    watch.close()


def test_an_http_1_0_client_is_never_sent_an_interim_answer_but_taken_for_gone(pair: Pair) -> None:
    client, server = pair
    watch = ClientWatch(server, speaks_interim=False)
    client.shutdown(socket.SHUT_WR)
    assert outcome(watch, 0.1) == "gone"
    server.close()
    assert client.recv(100) == b""
    watch.close()


def test_where_nothing_may_be_written_the_next_bytes_are_the_probe(pair: Pair) -> None:
    client, server = pair
    watch = ClientWatch(server, speaks_interim=True)
    watch.answering()
    client.shutdown(socket.SHUT_WR)
    assert outcome(watch) == "woken"
    watch.cannot_probe()
    assert (watch.probe_due, watch.unprobed) == (False, True)
    assert outcome(watch, 0.3) == "waited"
    server.sendall(b"more of the answer")
    watch.probed()
    assert not watch.unprobed
    assert outcome(watch, 1.5) == "waited"
    watch.close()


def test_where_nothing_may_be_written_for_long_the_client_is_taken_for_gone(pair: Pair) -> None:
    client, server = pair
    watch = ClientWatch(server, speaks_interim=True)
    watch.answering()
    client.close()
    assert outcome(watch) == "woken"
    watch.cannot_probe()
    assert outcome(watch) == "gone"
    watch.close()


def test_within_an_answer_the_exchange_is_woken_to_write_the_probe(pair: Pair) -> None:
    client, server = pair
    watch = ClientWatch(server, speaks_interim=True)
    watch.answering()
    gevent.spawn_later(0.02, client.close)
    assert outcome(watch) == "woken"
    assert watch.probe_due
    server.sendall(b": \n\n")
    watch.probed()
    assert not watch.probe_due
    assert outcome(watch) == "gone"
    watch.close()


def test_what_happens_between_two_waits_is_told_by_the_next(pair: Pair) -> None:
    client, server = pair
    watch = ClientWatch(server, speaks_interim=True)
    watch.attend(wakes=False)
    watch.dismiss()
    watch.answering()
    client.close()
    gevent.sleep(0.05)
    assert watch.probe_due
    watch.attend(wakes=False)
    watch.dismiss()
    assert outcome(watch) == "woken"
    watch.close()


def test_a_wait_that_must_not_be_cut_is_not_woken(pair: Pair) -> None:
    client, server = pair
    watch = ClientWatch(server, speaks_interim=True)
    watch.answering()
    watch.attend(wakes=False)
    client.close()
    gevent.sleep(0.05)
    watch.dismiss()
    assert outcome(watch) == "woken"
    watch.close()


def test_bytes_sent_early_are_left_alone(pair: Pair) -> None:
    client, server = pair
    watch = ClientWatch(server, speaks_interim=True)
    client.sendall(b"GET / HTTP/1.1\r\n")
    assert outcome(watch, 0.5) == "waited"
    assert server.recv(100) == b"GET / HTTP/1.1\r\n"
    watch.close()


def test_a_client_that_leaves_after_early_bytes_is_gone(pair: Pair) -> None:
    client, server = pair
    watch = ClientWatch(server, speaks_interim=True)
    client.sendall(b"\r\n")
    gevent.spawn_later(0.05, client.close)
    assert outcome(watch) == "gone"
    watch.close()


def test_another_party_may_interrupt(pair: Pair) -> None:
    _, server = pair
    watch = ClientWatch(server, speaks_interim=True)
    gevent.spawn_later(0.02, watch.interrupt, KeyError("stop"))
    with pytest.raises(KeyError):
        outcome(watch)
    watch.close()


def test_where_there_is_no_socket_nothing_is_watched() -> None:
    watch = ClientWatch.of({})
    assert isinstance(watch, NoWatch)
    watch.attend(wakes=False)
    watch.dismiss()
    watch.answering()
    watch.probed()
    watch.cannot_probe()
    watch.interrupt(KeyError())
    watch.close()
    assert not watch.gone
    assert not watch.probe_due


def test_the_watch_is_made_for_the_servers_socket(pair: Pair) -> None:
    watch = ClientWatch.of({"gunicorn.socket": pair[1], "SERVER_PROTOCOL": "HTTP/1.1"})
    assert isinstance(watch, ClientWatch)
    watch.close()


def test_nobody_is_watched_before_the_exchange_waits(pair: Pair) -> None:
    client, server = pair
    watch = ClientWatch(server, speaks_interim=True)
    client.shutdown(socket.SHUT_WR)
    gevent.sleep(0.05)
    client.setblocking(False)
    with pytest.raises(BlockingIOError):
        client.recv(1)  # no probe: while its body is read, a client that ends too soon gets an error
    watch.close()
