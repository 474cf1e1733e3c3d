"""The circuit breaker: keeps requests from an upstream, or from one of its models, that keeps failing.

Theory. A circuit is *closed* (a count of failures in a row below the threshold), *open* (the count reached it,
until the cool-down has passed) or *half open* (one request, the probe, is under way; its result closes the
circuit or opens it anew). Once a probe is being answered others pass as well, because an answer may last for
minutes; the next failure in a row, the probe's own included, then opens the circuit at once. Failures to connect
count for the upstream's circuit; a 5xx, a timeout or a broken answer for that of its model, so that one cold model
does not block the others. A request that names no model has no circuit but the upstream's.

Everything ages: a failure that no other followed within `AGES_AFTER` cool-downs is forgotten.

All workers share the state: a table in an anonymous `mmap` made before the fork. Reads take no lock (a circuit
without failures costs two comparisons); changes hold a file lock, which the kernel frees when a process dies.
A probe whose worker died is replaced after the cool-down, since the state ages with the clock alone.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Self

from gateway.errors import CircuitOpen, UpstreamError, UpstreamHungUp, UpstreamUnreachable

_SLOTS = 512
"""Circuits kept: the upstream's and those of the models that failed last."""

_NAME_BYTES = 160
_SLOT = struct.Struct(f"<Qidd{_NAME_BYTES}s")
"""Key of the model, failures in a row, their time, when its probe began (seconds, 0: never), name."""
_FAILURES = struct.Struct("<i")

AGES_AFTER = 20
"""Cool-downs after which a count of failures in a row begins anew: ten minutes, as the settings stand."""

_UPSTREAM = 0


@dataclass(slots=True)
class _Circuit:
    key: int = 0
    failures: int = 0
    since: float = 0.0
    """When it was opened; of one that is closed, when it last failed."""
    probed: float = 0.0
    name: bytes = b""


class Breaker:
    """All circuits of one gateway. `clock` counts seconds and is the same in all processes (CLOCK_MONOTONIC)."""

    def __init__(
        self,
        *,
        enabled: bool = True,
        failures: int = 5,
        cooldown: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.enabled = enabled
        self._threshold = failures
        self._cooldown = cooldown
        self._clock = clock
        self._table = mmap.mmap(-1, _SLOT.size * _SLOTS)
        self._lock = os.memfd_create("breaker")  # needs no folder that can be written
        weakref.finalize(self, os.close, self._lock)

    def enter(self, model: str | None) -> Permit:
        """Return leave for one request. Raises: CircuitOpen, with the seconds left in `Retry-After`."""
        permit = Permit(self, model or None)
        if self.enabled:
            slot = self._find(permit.model)
            permit.probes = tuple(s for s in (_UPSTREAM, slot) if s is not None and self._pass(s))
        return permit

    def record(self, permit: Permit, *, upstream_failed: bool | None, model_failed: bool | None) -> None:
        """Count a result: True a failure, False a success, None says nothing of that circuit."""
        if not self.enabled:
            return
        slot = self._find(permit.model)
        if model_failed and slot is None and permit.model is not None:
            slot = self._claim(permit.model)
        for at, failed in ((_UPSTREAM, upstream_failed), (slot, model_failed)):
            if at is None:
                continue
            if failed:
                self._fail(at)
            elif failed is None and at in permit.probes:
                self._change(at, _let_next_probe)
            elif failed is False and self._failures(at):
                self._change(at, _reset)

    def answering(self, permit: Permit) -> None:
        """The probe is being answered: let others pass; one more failure opens the circuit again."""
        for at in permit.probes:
            self._change(at, self._half_close)
        permit.probes = ()

    def _half_close(self, circuit: _Circuit) -> None:
        if circuit.failures >= self._threshold and circuit.probed:
            circuit.failures = self._threshold - 1
            circuit.since = self._clock()
            circuit.probed = 0.0

    def state(self) -> dict[str, Any]:
        """Return what `/health` shows of the breaker; a circuit that waits for its probe counts as closed."""
        circuits = [self._read(slot) for slot in range(_SLOTS)]
        now = self._clock()
        return {
            "enabled": self.enabled,
            "is_open": self._seconds_left(circuits[_UPSTREAM], now) > 0,
            "consecutive_failures": max(self._shown(circuit, now) for circuit in circuits),
            "open_models": sorted(
                circuit.name.decode("utf-8", "replace")
                for circuit in circuits[1:]
                if self._seconds_left(circuit, now) > 0
            ),
        }

    def _pass(self, slot: int) -> bool:
        """Let a request through the circuit, or raise; tell whether it is the probe."""
        if self._failures(slot) < self._threshold:
            return False
        with self._locked():
            circuit = self._read(slot)
            if circuit.failures < self._threshold:
                return False
            now = self._clock()
            if self._is_old(circuit, now):
                return False
            left = max(self._seconds_left(circuit, now), circuit.probed and circuit.probed + self._cooldown - now)
            if left > 0:
                raise _circuit_open(circuit, left)
            circuit.probed = now
            self._write(slot, circuit)
            return True

    def _seconds_left(self, circuit: _Circuit, now: float) -> float:
        if circuit.failures < self._threshold:
            return 0.0
        return max(0.0, circuit.since + self._cooldown - now)

    def _is_old(self, circuit: _Circuit, now: float) -> bool:
        return now - max(circuit.since, circuit.probed) > AGES_AFTER * self._cooldown

    def _shown(self, circuit: _Circuit, now: float) -> int:
        if circuit.failures >= self._threshold:
            return circuit.failures if self._seconds_left(circuit, now) else 0
        return 0 if self._is_old(circuit, now) else circuit.failures

    def _fail(self, slot: int) -> None:
        with self._locked():
            circuit = self._read(slot)
            now = self._clock()
            if self._is_old(circuit, now):
                _reset(circuit)
            if circuit.failures < self._threshold or circuit.probed:
                # Requests that were under way when it opened do not keep it open for longer.
                circuit.since = now
            circuit.failures += 1
            circuit.probed = 0.0
            self._write(slot, circuit)

    def _change(self, slot: int, change: Callable[[_Circuit], None]) -> None:
        with self._locked():
            circuit = self._read(slot)
            change(circuit)
            self._write(slot, circuit)

    def _find(self, model: str | None) -> int | None:
        if model is None or not self._key_at(1):
            return None  # no model has failed yet
        key = _key(model)
        for slot in range(1, _SLOTS):
            found = self._key_at(slot)
            if found == key:
                return slot
            if not found:
                return None
        return None

    def _claim(self, model: str) -> int:
        """Return a slot for a model that has none: a free one, else the one whose model failed the least."""
        with self._locked():
            slot = self._find(model)
            if slot is not None:
                return slot
            rows = [(self._read(at), at) for at in range(1, _SLOTS)]
            slot = next(
                (at for row, at in rows if not row.key), min(rows, key=lambda row: (row[0].failures, row[0].since))[1]
            )
            self._write(slot, _Circuit(_key(model), name=model.encode()[:_NAME_BYTES]))
        return slot

    def _read(self, slot: int) -> _Circuit:
        key, failures, since, probed, name = _SLOT.unpack_from(self._table, slot * _SLOT.size)
        return _Circuit(key, failures, since, probed, name.rstrip(b"\0"))

    def _key_at(self, slot: int) -> int:
        return int.from_bytes(self._table[slot * _SLOT.size : slot * _SLOT.size + 8], "little")

    def _failures(self, slot: int) -> int:
        """What every request looks at, without the rest of the circuit."""
        failures: int = _FAILURES.unpack_from(self._table, slot * _SLOT.size + 8)[0]
        return failures

    def _write(self, slot: int, circuit: _Circuit) -> None:
        row = (circuit.key, circuit.failures, circuit.since, circuit.probed, circuit.name)
        _SLOT.pack_into(self._table, slot * _SLOT.size, *row)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        fcntl.lockf(self._lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._lock, fcntl.LOCK_UN)


class Permit:
    """Leave for one request; tell it once how the request went."""

    def __init__(self, breaker: Breaker, model: str | None) -> None:
        self.model = model
        """None: a request that names none, which counts for the upstream alone."""
        self.probes: tuple[int, ...] = ()
        self._breaker = breaker
        self._told = False

    def answering(self) -> None:
        """The answer has begun, and well. Its end is told all the same."""
        if self.probes:
            self._breaker.answering(self)

    def unreachable(self) -> None:
        """No connection could be made."""
        self._tell(upstream_failed=True, model_failed=None)

    def failed(self) -> None:
        """The upstream took the request and failed: a 5xx, a timeout, a broken answer."""
        self._tell(upstream_failed=False, model_failed=True)

    def succeeded(self) -> None:
        """Any other answer, refusals included."""
        self._tell(upstream_failed=False, model_failed=False)

    def abandoned(self) -> None:
        """The client left before anything was known. Told last, it says nothing after another result."""
        self._tell(upstream_failed=None, model_failed=None)

    def ended_by(self, error: BaseException | None) -> None:
        """Tell how the request went by what ended it."""
        match error:
            case None:
                self.succeeded()
            case UpstreamHungUp():
                self.failed()
            case UpstreamUnreachable():
                self.unreachable()
            case UpstreamError() if error.status >= 500:
                self.failed()
            case UpstreamError():
                self.succeeded()
            case _:
                self.abandoned()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.ended_by(error)

    def _tell(self, *, upstream_failed: bool | None, model_failed: bool | None) -> None:
        if not self._told:
            self._told = True
            self._breaker.record(self, upstream_failed=upstream_failed, model_failed=model_failed)


def _let_next_probe(circuit: _Circuit) -> None:
    circuit.probed = 0.0


def _reset(circuit: _Circuit) -> None:
    circuit.failures = 0
    circuit.since = circuit.probed = 0.0


def _key(model: str) -> int:
    return int.from_bytes(blake2b(model.encode("utf-8", "replace"), digest_size=8).digest(), "little") | 1


def _circuit_open(circuit: _Circuit, left: float) -> CircuitOpen:
    what = f"The model {circuit.name.decode('utf-8', 'replace')}" if circuit.key else "The upstream"
    seconds = max(1, round(left + 0.5))
    return CircuitOpen(
        f"{what} has failed several times in a row; it is tried again in {seconds} s.",
        headers={"retry-after": str(seconds)},
    )
