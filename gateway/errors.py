"""Every way an exchange can fail, as one tree.

    GatewayError                    status  type                    whose fault
      RequestError                  400     invalid_request_error   client
        UnsupportedFeature          400     .. code unsupported_*   client
        AuthenticationError         401     authentication_error    client
        Forbidden                   403     permission_error        client
        NotFound                    404     invalid_request_error   client
        MethodNotAllowed            405     invalid_request_error   client
        RequestTimeout              408     invalid_request_error   client
        TooLarge                    413     invalid_request_error   client
        UnsupportedMediaType        415     invalid_request_error   client
        UpgradeRequired             426     invalid_request_error   client
      CircuitOpen                   503     server_error            upstream
      ShuttingDown                  503     server_error            ours
      StoreDown                     503     server_error            ours
      UpstreamError                                                 upstream
        UpstreamStatus              its own                         upstream
        UpstreamUnreachable         502     server_error            upstream
          UpstreamHungUp            502     server_error            upstream
        UpstreamProtocol            502     server_error            upstream
        UpstreamTimeout             504     server_error            upstream

The tree holds what is wrong; each dialect spells it in its own envelope. Any other exception is a fault of
ours: status 500, its details only in the service log.
"""

from __future__ import annotations

from collections.abc import Mapping


class GatewayError(Exception):
    """A fault that a client may be told of.

    `message` is for people; `code` for programs; `param` is the path of the member at fault
    (`input[3].content[0]`). `headers` go on the answer (`Retry-After`, `Allow`).
    """

    status = 500
    type = "server_error"
    code: str | None = "internal_error"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.headers: dict[str, str] = dict(headers or {})
        if code is not None:
            self.code = code


class RequestError(GatewayError):
    """The client's request cannot be served as it is."""

    status = 400
    type = "invalid_request_error"
    code = "invalid_request_format"


class UnsupportedFeature(RequestError):
    """The request holds content that the upstream cannot take. `code` begins with `unsupported_`."""

    code = "unsupported_content"


class AuthenticationError(RequestError):
    """No key, or one that may not be used here."""

    status = 401
    type = "authentication_error"
    code = "missing_api_key"


class Forbidden(RequestError):
    """A request that this gateway does not serve to this origin, host or path."""

    status = 403
    type = "permission_error"
    code = "forbidden"


class NotFound(RequestError):
    """No such path, model or stored response."""

    status = 404
    code = "not_found"


class MethodNotAllowed(RequestError):
    """The path exists, the method does not; `headers` has `Allow`."""

    status = 405
    code = "method_not_allowed"


class RequestTimeout(RequestError):
    """The request did not arrive in time."""

    status = 408
    code = "request_timeout"


class TooLarge(RequestError):
    """The request exceeds a limit of the settings, which the message names."""

    status = 413
    code = "request_too_large"


class UnsupportedMediaType(RequestError):
    """A content type or content encoding that is not understood."""

    status = 415
    code = "unsupported_media_type"


class UpgradeRequired(RequestError):
    """A WebSocket was asked for; only HTTP is spoken here."""

    status = 426
    code = "websocket_not_supported"


class CircuitOpen(GatewayError):
    """The breaker keeps requests from an upstream that fails; `headers` has `Retry-After`."""

    status = 503
    code = "backend_unavailable_circuit_open"


class ShuttingDown(GatewayError):
    """The gateway is being stopped."""

    status = 503
    code = "shutting_down"


class StoreDown(GatewayError):
    """The store does not work, and the request needs what is in it."""

    status = 503
    code = "store_unavailable"


class UpstreamError(GatewayError):
    """The upstream did not answer as it should."""

    status = 502


class UpstreamStatus(UpstreamError):
    """The upstream refused: its status, and its own words where it gave some."""

    def __init__(
        self,
        message: str,
        *,
        status: int,
        type: str | None = None,
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, param=param, headers=headers)
        self.status = status
        self.type = type or type_of_status(status)
        self.code = code


class UpstreamUnreachable(UpstreamError):
    """No connection, or one that broke before any byte of an answer."""

    code = "upstream_unreachable"


class UpstreamHungUp(UpstreamUnreachable):
    """A connection that was made, and broke before any byte of an answer."""


class UpstreamProtocol(UpstreamError):
    """An answer that breaks off, or that is not what was asked for."""

    code = "upstream_invalid_response"


class UpstreamTimeout(UpstreamError):
    """The upstream kept silent for longer than the settings allow."""

    status = 504
    code = "upstream_timeout"


_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


def type_of_status(status: int) -> str:
    """Return the OpenAI error type for a status whose answer names none."""
    if status >= 500:
        return "server_error"
    return _TYPES.get(status, "invalid_request_error")
