"""Calls through a circuit breaker, whose state is kept in the log where there is one, and through a bulkhead.

Which calls pass is decided in ``dashflow.core.breaker``. What is decided on a version of the breaker's stream
is recorded at that version, so of all processes that share it one makes the probe.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, TypeVar
from weakref import WeakKeyDictionary

import msgspec

from dashflow._util.room import room
from dashflow.core.breaker import CLOSED, EVENTS, Breaker, BreakerEvent, Refused, ask, fold, outcome
from dashflow.engine.history import History
from dashflow.engine.ports import Host
from dashflow.errors import (
    BulkheadFullError,
    CircuitOpenError,
    CorruptEventError,
    GraphBubbleUp,
    VersionConflictError,
)
from dashflow.log.base import Append, EventLog, NewEvent
from dashflow.log.codec import Registry, decode, encode
from dashflow.log.ids import EventIds
from dashflow.types.resilience import Bulkhead, CircuitBreaker

CATEGORY: Final = "breaker"
SCHEMA: Final = 1
_PLAIN: Final = Registry()

T = TypeVar("T")


class Circuit:
    """A breaker as this process knows it.

    Args:
        log: Where its state is kept; None: in this process only.
        name: The breaker's.
    """

    def __init__(self, log: EventLog | None, name: str) -> None:
        self._log = log
        self._stream = f"{CATEGORY}-{name}"
        self._name = name
        self._failed: list[int] = []
        self.breaker = CLOSED

    async def through(self, host: Host, policy: CircuitBreaker, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call, if it passes.

        Raises:
            CircuitOpenError: It does not.
            Exception: What the call raises.
        """
        probing = await self._admit(host, policy)
        try:
            result = await call()
        except GraphBubbleUp:  # a question or a command: it works
            await self._ended(host, policy, probing, None)
            raise
        except Exception as error:
            if policy.is_failure(error):
                await self._ended(host, policy, probing, error)
            elif probing:
                await self._ended(host, policy, probing, None)
            raise
        if probing or self._failed:
            await self._ended(host, policy, probing, None)
        return result

    async def _admit(self, host: Host, policy: CircuitBreaker) -> bool:
        """Whether the call is a probe."""
        while True:
            await self._look(host)
            breaker, now = self.breaker, host.now()
            decision = ask(breaker, now, _nanoseconds(policy.probe_for))
            if decision is None:
                return False
            if isinstance(decision, Refused):
                raise CircuitOpenError(self._name, decision.until / 1e9, (decision.until - now) / 1e9)
            if await self._record(host, breaker, decision):
                return True

    async def _ended(
        self, host: Host, policy: CircuitBreaker, probing: bool, error: Exception | None
    ) -> None:
        """A call came to its end: well, or with a failure."""
        now = host.now()
        if error is not None:
            since = now - _nanoseconds(policy.window)
            self._failed = [*(at for at in self._failed if at > since), now]
        if self._log is not None and (probing or len(self._failed) >= policy.failures):
            await self._look(host)
        breaker = self.breaker
        event = outcome(
            breaker,
            [] if error is None else self._failed,
            probing=probing,
            now=now,
            open_for=_nanoseconds(policy.open_for),
            most=policy.failures,
        )
        if event is not None and await self._record(host, breaker, event):
            self._failed = []

    # -- the log --------------------------------------------------------------------------------

    async def _look(self, host: Host) -> None:
        """Learn what other processes did."""
        log = self._log
        if log is not None:
            await host.read(lambda: self._read(log))

    def _read(self, log: EventLog) -> None:
        if log.version(self._stream) <= self.breaker.version:
            return
        breaker = self.breaker
        for record in log.read(self._stream, after=breaker.version):
            kind = EVENTS.get(record.type)
            try:
                if kind is None or record.schema > SCHEMA:
                    raise ValueError(f"its type {record.type!r} (schema {record.schema}) is unknown here")
                event = msgspec.convert(decode(record.data, _PLAIN), kind)
                breaker = fold(breaker, event, record.version)
            except (msgspec.ValidationError, ValueError) as error:
                raise CorruptEventError(record.stream, record.version, str(error)) from error
        self.breaker = breaker

    async def _record(self, host: Host, breaker: Breaker, event: BreakerEvent) -> bool:
        """Record what was decided on a breaker; False: somebody else was faster."""
        if self._log is None:
            if self.breaker is not breaker:
                return False
            self.breaker = fold(breaker, event, breaker.version + 1)
            return True
        now = host.now()
        data = encode(msgspec.to_builtins(event))
        new = NewEvent(event.type, data, EventIds(host.entropy(), now).next(), now, SCHEMA)
        try:
            await host.append(self._log, Append(self._stream, (new,), breaker.version))
        except VersionConflictError:
            return False
        await self._look(host)
        return True


_CIRCUITS: WeakKeyDictionary[EventLog, dict[str, Circuit]] = WeakKeyDictionary()
_UNKEPT: Final[dict[str, Circuit]] = {}


def circuit_of(history: History | None, name: str) -> Circuit:
    """The breaker of that name: that of the run's log, else of this process."""
    reader = getattr(history, "reader", None)
    known, log = _UNKEPT, None
    if reader is not None:
        with suppress(TypeError):  # a log of somebody's own that cannot be kept so
            log = reader.log
            known = _CIRCUITS.setdefault(log, {})
    found = known.get(name)
    if found is None:
        found = known.setdefault(name, Circuit(None if known is _UNKEPT else log, name))
    return found


async def inside(host: Host, policy: Bulkhead, call: Callable[[], Awaitable[T]]) -> T:
    """Make a call when there is room for it.

    Raises:
        BulkheadFullError: Too many wait already.
        Exception: What the call raises.
    """
    place_in = room(policy.name, policy.limit)
    place = place_in.enter(policy.queue)
    if place is None:
        raise BulkheadFullError(policy.name, place_in.limit, policy.queue or 0)
    try:
        if not place.done():
            await host.wait(place)
        return await call()
    finally:
        place_in.leave(place)


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
