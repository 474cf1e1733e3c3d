"""Keeps pages of strangers from a gateway that holds a key: whoever reaches it could spend that key. Pure.

A browser page reaches loopback as well as any program does. It cannot hide its origin, and where it gets at the
gateway by a name of its own (DNS rebinding) it cannot hide that name: so only requests pass that are made to a name
of this machine and not by a page of another one.

Source: RFC 6454, section 7 (`Origin`); Fetch Metadata (`Sec-Fetch-Site`), for requests that carry no `Origin`, such
as those for images.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gateway.errors import Forbidden, GatewayError

_OWN_HOST = re.compile(r"(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]{1,5})?", re.IGNORECASE)
_OWN_ORIGIN = re.compile(r"https?://" + _OWN_HOST.pattern, re.IGNORECASE)


def refuse_strangers(environ: Mapping[str, Any]) -> GatewayError | None:
    """Return what to answer a request that a stranger's page may have made, None for any other."""
    if foreign_host(environ):
        return Forbidden("This gateway holds a key, so it answers only to localhost, 127.0.0.1 and [::1].")
    origin = environ.get("HTTP_ORIGIN")
    if origin is not None and not is_own_origin(origin):
        return Forbidden("This gateway holds a key, so pages of other origins may not use it.")
    if by_foreign_page(environ):
        return Forbidden("This gateway holds a key, so pages of other sites may not use it.")
    return None


def foreign_host(environ: Mapping[str, Any]) -> bool:
    """Tell whether a request is made to another name than this machine's own, or to none."""
    return not _OWN_HOST.fullmatch(environ.get("HTTP_HOST", ""))


def is_own_origin(origin: str) -> bool:
    """Tell whether an origin is a page of this machine, on whatever port."""
    return bool(_OWN_ORIGIN.fullmatch(origin))


def by_foreign_page(environ: Mapping[str, Any]) -> bool:
    """Tell whether a page of another site made a request; that somebody followed a link from there is no harm."""
    return environ.get("HTTP_SEC_FETCH_SITE") == "cross-site" and environ.get("HTTP_SEC_FETCH_MODE") != "navigate"
