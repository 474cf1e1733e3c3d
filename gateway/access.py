"""Who a client is, and which key its request goes on with: the one place where that is decided.

    the gateway has        a client sends                       goes upstream    identifies the client
    nothing                its key                              its key          its key
    a held key             its key                              its key          its key
    a held key             nothing                              the held key     nothing
    a held key, tokens     a token where a key goes             the held key     the token
    a held key, tokens     a token in `x-gateway-token`,        its key          its key
                           and its key where a key goes

A client's own key always beats the held one. A token never goes upstream; nor does what stands in a token's place
and is none, since it may be a token with a slip of the pen.
"""

from __future__ import annotations

import hmac
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from gateway import held_key
from gateway.config import Settings, name_of
from gateway.errors import AuthenticationError
from gateway.held_key import HeldKey, KeyRefused
from gateway.keys import Mask, masked, optional_key, read_key
from gateway.setting import SettingError

_log = logging.getLogger("gateway")

TOKEN_HEADER = "HTTP_X_GATEWAY_TOKEN"
"""Where a client sends its token that has a key of its own as well."""

_TOKENS = 1000
"""Tokens at most: all of them are compared, each time."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request."""

    own: str | None = field(default=None, repr=False)
    """The client's own key."""
    token: str | None = field(default=None, repr=False)
    held: str | None = field(default=None, repr=False)
    """The gateway's key, where it holds one."""

    @property
    def key(self) -> str | None:
        """What goes upstream."""
        return self.own or self.held

    @property
    def credential(self) -> str | None:
        """What identifies the client, and only it; None where all who send nothing are one."""
        return self.own or self.token

    @property
    def sealing_key(self) -> str | None:
        """What envelopes are sealed with: a secret of this client, or of this gateway and all who send nothing."""
        return self.credential or self.held

    @property
    def shown(self) -> str | None:
        """What a log line may show."""
        return masked(self.credential) if self.credential else self.held and "held"

    @property
    def mask(self) -> Mask:
        """What takes the key out of an upstream's words; of the held key, which the client does not know, all."""
        return Mask(self.own, masked(self.own) or "") if self.own else Mask(self.held, "***")


NOBODY = Caller()


class Access:
    """The rule of one gateway."""

    def __init__(
        self,
        held: HeldKey | None = None,
        tokens: Tokens | None = None,
        *,
        require_key: bool = True,
        heeds_clients: bool = True,
    ) -> None:
        """`heeds_clients` False: whatever a client sends, the held key goes upstream."""
        self.held = held
        self._tokens = tokens
        self._require_key = require_key
        self._heeds_clients = heeds_clients

    @classmethod
    def of(cls, settings: Settings) -> Access:
        """Read what the settings name. Raises: SettingError."""
        held = tokens = None
        name = "key_from_stdin" if settings.key_from_stdin else "backend_key_file"
        try:
            if settings.key_from_stdin:
                held = held_key.from_stdin()
            elif settings.backend_key_file is not None:
                held = held_key.from_file(settings.backend_key_file)
            name = "client_tokens_file"
            if settings.client_tokens_file is not None:
                tokens = Tokens(settings.client_tokens_file)
        except (KeyRefused, TokensRefused) as error:
            raise SettingError(name_of(name), str(error)) from None
        return cls(held, tokens, require_key=settings.require_key)

    def forked(self) -> None:
        """Do in a new worker what it does not inherit."""
        if self.held is not None:
            held_key.harden()
            self.held.lock()

    def look(self) -> None:
        """Read the tokens again where their file has changed; every worker does so each second, asked or not."""
        if self._tokens is not None:
            self._tokens.look()

    def secrets(self) -> tuple[str, ...]:
        """Return what the gateway itself holds, for those who see that it goes nowhere."""
        held = self._revealed()
        return () if held is None else (held,)

    def admit(self, environ: Mapping[str, Any]) -> Caller:
        """Return who sent a request that goes upstream. Raises: AuthenticationError."""
        if not self._heeds_clients:
            return Caller(held=self._revealed())
        if self._tokens is not None:
            return self._with_token(environ, self._tokens)
        caller = Caller(read_key(environ), None, self._revealed())
        if caller.key is None and self._require_key:
            raise AuthenticationError(
                "No API key was sent. Send it as `Authorization: Bearer KEY` or as `x-api-key: KEY`; "
                "it goes on to the upstream and is not stored."
            )
        return caller

    def guess(self, environ: Mapping[str, Any]) -> Caller:
        """Return who sent a request that anybody may send, such as for the model list."""
        try:
            return self.admit(environ)
        except AuthenticationError:
            return Caller(held=self._revealed())

    def _with_token(self, environ: Mapping[str, Any], tokens: Tokens) -> Caller:
        apart = str(environ.get(TOKEN_HEADER, "")).strip()
        token = apart or optional_key(environ)
        # The same words whether it is missing, malformed or wrong.
        if token is None or not tokens.know(token):
            raise AuthenticationError(
                "This gateway asks for a client token. Send it where a key goes, as `Authorization: Bearer TOKEN` "
                "or as `x-api-key: TOKEN`.",
                code="invalid_api_key",
            )
        return Caller(read_key(environ) if apart else None, token, self._revealed())

    def _revealed(self) -> str | None:
        return None if self.held is None else self.held.reveal()


class TokensRefused(ValueError):
    """The file of tokens cannot be used."""


class Tokens:
    """The client tokens of a file, by their hashes; read again when the file changes, so that one can be revoked."""

    def __init__(self, path: Path) -> None:
        """Read the file. Raises: TokensRefused."""
        self._path = path
        self._seen = _state_of(path)
        self._digests = _read_tokens(path)

    def know(self, token: str) -> bool:
        """Tell whether it is one of them, in a time that says nothing of them."""
        sent = sha256(token.encode()).digest()
        found = False
        for digest in self._digests:
            found |= hmac.compare_digest(sent, digest)
        return found

    def look(self) -> None:
        """Read the file again where it has changed."""
        state = _state_of(self._path)
        if state == self._seen:
            return
        self._seen = state
        try:
            self._digests = _read_tokens(self._path)
        except TokensRefused as error:
            _log.error("file of client tokens refused, the last good ones stay: %s", error)
        else:
            _log.info("client tokens read", extra={"tokens": len(self._digests)})


def _read_tokens(path: Path) -> tuple[bytes, ...]:
    try:
        lines = path.read_text("ascii").splitlines()
    except OSError as error:
        raise TokensRefused(f"the file cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise TokensRefused("a token may hold only visible ASCII characters") from None
    tokens = [line.strip() for line in lines if line.strip()]
    if not tokens:
        raise TokensRefused("the file is empty; it holds one token a line")
    if len(tokens) > _TOKENS:
        raise TokensRefused(f"the file holds more than {_TOKENS} tokens")
    if any(not token.isprintable() or " " in token for token in tokens):
        raise TokensRefused("a token may hold only visible ASCII characters")
    return tuple(sha256(token.encode()).digest() for token in tokens)


def _state_of(path: Path) -> tuple[int, int, int] | None:
    try:
        state = os.stat(path)
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size, state.st_ino
