"""Keeps the upstream's model list: who asks for it, when, with which key, and what holds while it is missing.

Theory. What is known is kept on *shelves*: an open one for an upstream that shows its list to anybody, and one
for each client key (by its hash, bounded) once the upstream has refused to show it without a key. A shelf has
at most one flight at a time, in the background; nobody but `wait` and `refresh` waits for one.

    shelf      never asked ──> in flight ──> known (asked again after 60 s)
                                  │   ↑          │
                                  ↓   └──────────┘   a failure keeps the last good list
                               failed (asked again after 5 s, or after 60 s where a list is known)

A client without a key asks the open shelf again at the same pace, so an upstream that opens its list is noticed.
Each worker keeps its own; nothing is fetched before somebody asks, so the start never waits for an upstream.
"""

from __future__ import annotations

import hashlib
import logging
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from gateway.jsonbody import load_upstream
from gateway.listing_fetch import Fetch, ListUnavailable, fetcher
from gateway.models import Catalog, Overlay, Rules, fallback
from gateway.models_file import ModelsFile
from gateway.models_upstream import Told, parse

_log = logging.getLogger("gateway")

FRESH_SECS = 60.0
_RETRY_SECS = 5.0
"""While no list is known a failed fetch is repeated sooner: the upstream may be starting."""

_SHELVES = 256
"""Keys whose lists are kept at most."""

_REFRESHES = 10
"""Lists that 404s may ask for anew within `FRESH_SECS`, for each shelf."""

_REFRESH_WAIT = 5.0

NO_OVERLAYS: tuple[Overlay, ...] = ()


class ListSettings(Protocol):
    """The settings that concern the list."""

    @property
    def backend_origin(self) -> str:
        """Scheme, host and port of the upstream."""

    @property
    def models_target(self) -> str:
        """Path and query of its model list."""

    @property
    def models_file(self) -> Path | None:
        """`MODELS_FILE`."""

    @property
    def models_filter(self) -> re.Pattern[str] | None:
        """`MODELS_FILTER`."""

    @property
    def trust_env(self) -> bool:
        """`TRUST_ENV`."""


class ModelList:
    """The one list of a worker."""

    def __init__(
        self,
        fetch: Fetch,
        *,
        overlays: Callable[[], tuple[Overlay, ...]] = lambda: NO_OVERLAYS,
        rules: Rules | None = None,
        clock: Callable[[], float] = time.monotonic,
        spawn: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        """`overlays` tells what models.json says now; `spawn` runs a flight in the background."""
        self._fetch = fetch
        self._overlays = overlays
        self._rules = rules or Rules()
        self._clock = clock
        self._spawn = spawn or _in_background
        self._lock = threading.Lock()
        self._nothing = _Known(b"", None, self._rules)
        self._open = _Shelf(self._nothing)
        self._keyed: OrderedDict[bytes, _Shelf] = OrderedDict()
        self._needs_key = False

    @classmethod
    def of(cls, settings: ListSettings) -> ModelList:
        """Return the list of the upstream that the settings name."""
        rules = Rules(is_openai(settings.backend_origin), settings.models_filter)
        fetch = fetcher(settings.backend_origin + settings.models_target, trust_env=settings.trust_env)
        return cls(fetch, overlays=ModelsFile(settings.models_file).overlays, rules=rules)

    def look(self) -> None:
        """Read models.json again where it has changed; every worker does so each second, asked or not."""
        self._overlays()

    def catalog(self, key: str | None) -> Catalog:
        """Return what is known for a client's key, at once; a list that is due is fetched in the background."""
        shelf = self._shelf(key)
        if self._due(shelf):
            self._start(shelf, key)
        known = shelf.known if shelf.known is not self._nothing else self._open.known
        return known.catalog(self._overlays())

    def asked(self, key: str | None) -> bool:
        """Tell whether a first fetch for a client's key has ended, well or not."""
        return self._shelf(key).asked

    def wait(self, key: str | None, seconds: float, *, fresh: bool = False) -> None:
        """Wait for the first fetch, `seconds` at most; with `fresh` also for one that is due."""
        deadline = self._clock() + seconds
        while True:
            shelf = self._shelf(key)
            if shelf.asked and not (fresh and self._due(shelf)):
                return
            if not self._start(shelf, key).wait(max(0.0, deadline - self._clock())):
                return

    def refresh(self, key: str | None) -> None:
        """Fetch the list anew, since the upstream does not know a model; waits, and is bounded in number."""
        shelf = self._shelf(key)
        if not shelf.may_refresh(self._clock()):
            return
        self._start(shelf, key).wait(_REFRESH_WAIT)
        # The upstream may just have begun to ask for a key: then this key's own list is the one that counts.
        self.wait(key, _REFRESH_WAIT)

    def _shelf(self, key: str | None) -> _Shelf:
        if not self._needs_key or not key:
            return self._open
        digest = hashlib.sha256(key.encode()).digest()
        with self._lock:
            shelf = self._keyed.get(digest)
            if shelf is None:
                shelf = self._keyed[digest] = _Shelf(self._nothing)
                if len(self._keyed) > _SHELVES:
                    self._keyed.popitem(last=False)
            else:
                self._keyed.move_to_end(digest)
            return shelf

    def _due(self, shelf: _Shelf) -> bool:
        return shelf.flight is None and self._clock() >= shelf.due

    def _start(self, shelf: _Shelf, key: str | None) -> threading.Event:
        """Start a flight, or join the one under way; return what is set at its end."""
        with self._lock:
            if shelf.flight is not None:
                return shelf.flight
            flight = shelf.flight = threading.Event()
        self._spawn(lambda: self._fly(shelf, key, flight))
        return flight

    def _fly(self, shelf: _Shelf, key: str | None, flight: threading.Event) -> None:
        opened = shelf is self._open
        try:
            body = self._fetch(None if opened else key)
            shelf.known = self._read(body, shelf.known)
            if opened:
                self._needs_key = False
            self._landed(shelf, None, FRESH_SECS)
        except (ListUnavailable, ValueError) as exc:
            refused = isinstance(exc, ListUnavailable) and exc.refused
            if opened and refused:
                self._needs_key = True
            patient = refused or shelf.known is not self._nothing
            self._landed(shelf, exc, FRESH_SECS if patient else _RETRY_SECS)
        finally:
            shelf.asked = True
            shelf.flight = None
            flight.set()

    def _read(self, body: bytes, before: _Known) -> _Known:
        """Return what a body tells; keys that see the same list share it. Raises: ValueError."""
        digest = hashlib.sha256(body).digest()
        with self._lock:
            alike = [before, *(shelf.known for shelf in self._keyed.values())]
        for known in alike:
            if known.digest == digest:
                return known
        return _Known(digest, parse(load_upstream(body)), self._rules)

    def _landed(self, shelf: _Shelf, fault: Exception | None, rest: float) -> None:
        shelf.due = self._clock() + rest
        # One line when it begins to fail and one when it is over, not one a minute.
        if fault is not None and not shelf.failing:
            _log.warning("model list not available: %s", fault)
        elif fault is None and shelf.failing:
            _log.info("model list available again")
        shelf.failing = fault is not None


class _Known:
    """One list as the upstream told it (None: no list), and the catalog made of it."""

    def __init__(self, digest: bytes, told: tuple[Told, ...] | None, rules: Rules) -> None:
        self.digest = digest
        self._told = told
        self._rules = rules
        self._overlays = NO_OVERLAYS
        self._catalog = self._made(NO_OVERLAYS)

    def catalog(self, overlays: tuple[Overlay, ...]) -> Catalog:
        """Return the catalog with what models.json says; the same object as long as that is the same."""
        if overlays is not self._overlays:
            self._overlays = overlays
            self._catalog = self._made(overlays)
        return self._catalog

    def _made(self, overlays: tuple[Overlay, ...]) -> Catalog:
        if self._told is None and not overlays:
            return fallback(self._rules)
        return Catalog(self._told or (), overlays, self._rules)


class _Shelf:
    """What is known for one key, or for all of them."""

    __slots__ = ("_refreshes", "_window", "asked", "due", "failing", "flight", "known")

    def __init__(self, known: _Known) -> None:
        self.known = known
        self.asked = False
        """A first fetch has ended, well or not."""
        self.due = float("-inf")
        self.flight: threading.Event | None = None
        self.failing = False
        self._window = float("-inf")
        self._refreshes = 0

    def may_refresh(self, now: float) -> bool:
        """Count a refresh; tell whether it is still within the bound."""
        if now - self._window >= FRESH_SECS:
            self._window = now
            self._refreshes = 0
        self._refreshes += 1
        return self._refreshes <= _REFRESHES


def is_openai(origin: str) -> bool:
    """Tell whether an upstream is OpenAI's own."""
    host = urlsplit(origin).hostname or ""
    return host == "openai.com" or host.endswith(".openai.com")


def _in_background(flight: Callable[[], None]) -> None:
    threading.Thread(target=flight, name="model-list", daemon=True).start()
