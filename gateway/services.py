"""What every exchange of one worker shares. Made once by `gateway.app`; there is no other global state."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from gateway.access import Access
from gateway.breaker import Breaker
from gateway.config import Settings
from gateway.dialects import NewId, Now
from gateway.drain import Drain
from gateway.ids import new_id, now
from gateway.listing import ModelList
from gateway.metrics import Metrics
from gateway.quirks import Quirks
from gateway.recording.recorder import Recorder
from gateway.store.guarded import GuardedStore
from gateway.upstream import Transport


@dataclass(frozen=True, slots=True)
class Services:
    """The parts that exchanges use, each behind its own small interface."""

    settings: Settings
    transport: Transport
    models: ModelList
    breaker: Breaker
    drain: Drain
    access: Access
    metrics: Metrics = field(default_factory=Metrics)
    recorder: Recorder | None = None
    quirks: Quirks = field(default_factory=Quirks)
    store: GuardedStore | None = None
    log: logging.Logger = field(default_factory=lambda: logging.getLogger("gateway"))
    new_id: NewId = new_id
    now: Now = now
