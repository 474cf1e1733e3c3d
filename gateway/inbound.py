"""What every exchange begins with: the key, the body, and the checks on both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gateway.bodies import read_body
from gateway.client_watch import ClientGone
from gateway.errors import GatewayError, UnsupportedMediaType
from gateway.exchange import Exchange, fail
from gateway.replies import Environ
from gateway.services import Services


@contextmanager
def exchanging(services: Services, surface: str, environ: Environ) -> Iterator[Exchange]:
    """Open the exchange of a request; close it where it fails before its answer begins.

    Raises: AuthenticationError, and whatever the exchange raises.
    """
    exchange = Exchange(services, environ, surface)
    try:
        exchange.caller = services.access.admit(environ)
        yield exchange
    except GatewayError as error:
        fail(exchange, error)
        exchange.close()
        raise
    except BaseException as error:
        exchange.end = "client_gone" if isinstance(error, ClientGone) else "failed"
        exchange.close()
        raise


def json_body(services: Services, environ: Environ) -> bytes:
    """Return the body of a translated request, decoded. Raises: UnsupportedMediaType, and as `read_body`."""
    kind = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    if kind and kind != "application/json" and not kind.endswith("+json"):
        raise UnsupportedMediaType(f"The content type {kind[:80]!r} is not understood; send application/json.")
    return read_body(environ, services.settings.max_body_bytes)
