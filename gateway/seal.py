"""Envelopes for text that a client keeps for us: reasoning and summaries, opaque, readable again only here.

An envelope is encrypted and authenticated (AES-256-GCM). Its key is derived from the client's API key and the
operator's extra secret, so that it opens after a restart and on another host without any configuration, and
never for another key. The nonce is derived from the text (as in SIV modes), so that the same text always
makes the same envelope and golden files stay exact; what equal envelopes reveal is that the texts were equal.

Form: `gw1.` and URL-safe base64 without padding of nonce (12 bytes) and ciphertext with its tag.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from functools import cached_property

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_PREFIX = "gw1."
_NONCE = 12
_CONTEXT = b"gateway envelope 1"


class Envelope:
    """Seals and opens for one client key. `key` None: a client without a key shares an envelope with its like."""

    def __init__(self, key: str | None, secret: bytes = b"") -> None:
        self._key = key
        self._secret = secret

    def seal(self, text: str) -> str:
        """Return the envelope of a text."""
        data = text.encode("utf-8", "surrogatepass")
        nonce = hmac.digest(self._master, b"nonce" + data, "sha256")[:_NONCE]
        sealed = self._cipher.encrypt(nonce, data, _CONTEXT)
        return _PREFIX + base64.urlsafe_b64encode(nonce + sealed).rstrip(b"=").decode()

    def open(self, envelope: str) -> str | None:
        """Return the text, or None for an envelope that is damaged, foreign or of another key."""
        if not envelope.startswith(_PREFIX):
            return None
        encoded = envelope[len(_PREFIX) :]
        try:
            raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
            text = self._cipher.decrypt(raw[:_NONCE], raw[_NONCE:], _CONTEXT)
            return text.decode("utf-8", "surrogatepass")
        except (binascii.Error, ValueError, InvalidTag):
            return None

    @cached_property
    def _master(self) -> bytes:
        return hmac.digest(_CONTEXT + self._secret, (self._key or "").encode(), "sha256")

    @cached_property
    def _cipher(self) -> AESGCM:
        return AESGCM(hmac.digest(self._master, b"key", "sha256"))
