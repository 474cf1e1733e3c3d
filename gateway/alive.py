"""Tells whether the gateway of this host serves: what the container's health check runs.

    python -m gateway.alive

It asks each port of the environment's settings for `/health/live`, directly and never by a proxy, and ends with exit
code 0 as soon as one answers: a gateway may serve one port alone. Else with 1 and a line that says what it asked.
"""

from __future__ import annotations

import http.client
import os
import sys
from collections.abc import Mapping

from gateway.config import Settings
from gateway.setting import SettingError

_ASK_SECS = 2.0
_EVERYWHERE = (None, "0.0.0.0", "::")


def main(environ: Mapping[str, str] = os.environ) -> int:
    """Return the exit code."""
    try:
        settings = Settings.load({}, environ)
    except SettingError as error:
        print(error, file=sys.stderr)
        return 1
    host = "127.0.0.1" if settings.host in _EVERYWHERE else str(settings.host)
    ports = [port.number for port in settings.ports]
    if any(_lives(host, port) for port in ports):
        return 0
    print(f"nothing answers at {host}, port {' or '.join(map(str, ports))}", file=sys.stderr)
    return 1


def _lives(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=_ASK_SECS)
    try:
        connection.request("GET", "/health/live")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
