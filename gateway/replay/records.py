"""The answers of a recording, found by the requests that they were given to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from gateway.jsonbody import load_upstream
from gateway.recording.log import Attempt, Entry, Exchange, Log
from gateway.replay.asked import Asked, Print, take_apart
from gateway.replay.matching import Difference, Same, Trait, Traits, difference, exact, in_position, settled
from gateway.types import JSON


@dataclass(slots=True)
class Record:
    """One recorded request to the upstream; its answer stays in the file until it is asked for."""

    entry: Entry
    attempt: int
    print: Print
    served: bool = False

    @property
    def name(self) -> str:
        """How people find it: the exchange, and the attempt where it is not the first."""
        return self.entry.id if self.attempt == 1 else f"{self.entry.id}, attempt {self.attempt}"


class Found(NamedTuple):
    """A record that answers a request."""

    record: Record
    likeness: str


class Miss(NamedTuple):
    """No record answers: the nearest one, if there is any, and what differs from it."""

    nearest: Record | None
    difference: Difference | None


@dataclass(slots=True)
class Records:
    """All records of one log."""

    log: Log
    models: list[str] = field(default_factory=list)
    """Every model that is named, in the order of the log."""
    listed: dict[str, JSON] = field(default_factory=dict)
    """The models of the lists that clients were given, on either port."""
    _all: list[Record] = field(default_factory=list)
    _exact: dict[Print, list[Record]] = field(default_factory=dict)
    _traits: Traits = field(default_factory=Traits)

    @classmethod
    def of(cls, log: Log, progress: Callable[[int], None] | None = None) -> Records:
        """Read the requests of a log."""
        records = cls(log)
        for entry in log.entries:
            exchange = log.read(entry)
            for attempt in exchange.attempts:
                records._add(entry, attempt)
            records._note_list(exchange)
            if progress:
                progress(1)
        return records

    def __len__(self) -> int:
        return len(self._all)

    def _add(self, entry: Entry, attempt: Attempt) -> None:
        if attempt.request is None:
            return
        request = attempt.request
        asked = take_apart(request.method, request.target, request.body)
        self._traits.learn((*asked.messages, *asked.tools))
        record = Record(entry, attempt.number, asked.print)
        self._all.append(record)
        self._exact.setdefault(_spoken(record.print), []).append(record)
        if asked.model and asked.model not in self.models:
            self.models.append(asked.model)

    def _note_list(self, exchange: Exchange) -> None:
        request, answer = exchange.request, exchange.answer
        if request and request.method == "GET" and request.path.endswith("/models") and answer.status == 200:
            self.listed |= {str(entry["id"]): entry for entry in _entries(answer.body)}

    def attempt(self, record: Record) -> Attempt:
        """Read a record from the file."""
        return self.log.read(record.entry).attempt(record.attempt)

    def exchange(self, record: Record) -> Exchange:
        """Read the exchange that a record belongs to."""
        return self.log.read(record.entry)

    def find(self, asked: Asked) -> Found | Miss:
        """Return the record that answers a request; the same request gets its answers one after another."""
        found = self._exact.get(_spoken(asked.print))
        if found:
            return Found(_next(_fitting(asked, found)), "exact")
        near = [record for record in self._all if _same_place(record.print, asked.print)]
        messages, tools = ([self._traits.of(piece) for piece in pieces] for pieces in (asked.messages, asked.tools))
        for likeness, same in (("settled", settled), ("position", in_position)):
            matching = [record for record in near if self._match(messages, tools, record.print, same)]
            if matching:
                return Found(_next(_fitting(asked, self._nearest(messages, matching))), likeness)
        return self._miss(asked, messages)

    def _match(self, messages: list[Trait], tools: list[Trait], recorded: Print, same: Same) -> bool:
        """Tell whether messages and tools match; of `_same_place` are all that come here."""
        return (
            len(tools) == len(recorded.tools)
            and all(map(same, messages, self._traits.known(recorded.messages)))
            and all(map(same, tools, self._traits.known(recorded.tools)))
        )

    def _nearest(self, messages: list[Trait], records: list[Record]) -> list[Record]:
        """Return those that share the most messages with a request."""
        if len(records) < 2:
            return records
        shared = [sum(map(settled, messages, self._traits.known(record.print.messages))) for record in records]
        return [record for record, count in zip(records, shared, strict=True) if count == max(shared)]

    def _miss(self, asked: Asked, messages: list[Trait]) -> Miss:
        if not self._all:
            return Miss(None, None)
        said = {trait.settled for trait in messages}
        nearest = max(self._all, key=lambda record: self._closeness(asked.print, said, record.print))
        recorded = self._asked(nearest)
        found = difference(asked, recorded, in_position, self._traits) or difference(
            asked, recorded, exact, self._traits
        )
        return Miss(nearest, found)

    def _asked(self, record: Record) -> Asked:
        request = self.attempt(record).request
        return take_apart(request.method, request.target, request.body) if request else Asked("", None, (), (), 0)

    def _closeness(self, asked: Print, said: set[int], recorded: Print) -> tuple[bool, bool, int, int, int]:
        """Return how near a record is: by path, by model, by what is said in both, by how long it is."""
        shared = len(said & {trait.settled for trait in self._traits.known(recorded.messages)})
        length = -abs(len(asked.messages) - len(recorded.messages))
        tools = len(set(asked.tools) & set(recorded.tools))
        return asked.operation == recorded.operation, _same_model(asked, recorded), shared, length, tools


def _entries(body: bytes) -> list[JSON]:
    try:
        told = load_upstream(body)
    except ValueError:
        return []
    entries = told.get("data") if isinstance(told, dict) else None
    return [one for one in entries if isinstance(one, dict) and "id" in one] if isinstance(entries, list) else []


def _spoken(one: Print) -> Print:
    """Return a print without the settings."""
    return one._replace(rest=0)


def _same_place(one: Print, other: Print) -> bool:
    return one.operation == other.operation and _same_model(one, other) and len(one.messages) == len(other.messages)


def _same_model(one: Print, other: Print) -> bool:
    return (one.model or "").lower() == (other.model or "").lower()


def _fitting(asked: Asked, records: list[Record]) -> list[Record]:
    """Return those with the same settings, or all where there is none."""
    return [record for record in records if record.print.rest == asked.rest] or records


def _next(records: Iterable[Record]) -> Record:
    """Return the first that was not served yet, else the last one."""
    record = None
    for record in records:
        if not record.served:
            break
    assert record is not None
    record.served = True
    return record
