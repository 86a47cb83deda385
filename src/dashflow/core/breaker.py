"""A circuit breaker as a state machine: one table, pure, over events that a log keeps.

``ask`` says what becomes of a call, ``outcome`` what a call's end means; both answer with events to record,
and ``fold`` says what those make of the breaker. Failures that did not open the circuit are not recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final, Literal

import msgspec

Phase = Literal["closed", "open", "half_open"]


class CircuitOpened(msgspec.Struct, frozen=True):
    """Nothing is called until a time: it failed too often, or a probe did.

    Attributes:
        until: When it is tried again, nanoseconds since the Unix epoch.
        failures: How many there were.
    """

    type: ClassVar[str] = "CircuitOpened"
    until: int
    failures: int = 0


class ProbeStarted(msgspec.Struct, frozen=True):
    """One call is let through, to see.

    Attributes:
        until: When it counts as lost, nanoseconds since the Unix epoch.
    """

    type: ClassVar[str] = "ProbeStarted"
    until: int


class CircuitClosed(msgspec.Struct, frozen=True):
    """The probe went well: everything is called again."""

    type: ClassVar[str] = "CircuitClosed"


BreakerEvent = CircuitOpened | ProbeStarted | CircuitClosed
EVENTS: Final[dict[str, Any]] = {kind.type: kind for kind in (CircuitOpened, ProbeStarted, CircuitClosed)}

TABLE: Final[dict[tuple[Phase, str], Phase]] = {
    ("closed", "CircuitOpened"): "open",
    ("open", "ProbeStarted"): "half_open",
    ("half_open", "CircuitClosed"): "closed",
    ("half_open", "CircuitOpened"): "open",
    ("half_open", "ProbeStarted"): "half_open",
}
"""What an event makes of a phase: the whole machine. The last row is a probe that was lost."""


class Breaker(msgspec.Struct, frozen=True):
    """A circuit breaker.

    Attributes:
        phase: ``closed``: calls pass; ``open``: none does; ``half_open``: one was let through.
        until: Open: when it is tried again; half open: when the probe counts as lost. Nanoseconds.
        version: Of its stream.
    """

    phase: Phase = "closed"
    until: int = 0
    version: int = 0


CLOSED: Final = Breaker()


class Refused(msgspec.Struct, frozen=True):
    """A call does not pass; ``until`` is when it is worth asking again, nanoseconds."""

    until: int


def fold(breaker: Breaker, event: BreakerEvent, version: int) -> Breaker:
    """The breaker after an event.

    Raises:
        ValueError: The event cannot happen in that phase: the stream is damaged.
    """
    phase = TABLE.get((breaker.phase, event.type))
    if phase is None:
        raise ValueError(f"{event.type} while the circuit was {breaker.phase}")
    return Breaker(phase, getattr(event, "until", 0), version)


def ask(breaker: Breaker, now: int, probe_for: int) -> Refused | ProbeStarted | None:
    """What becomes of a call: it passes (None), it passes as a probe once that is recorded, or it does not.

    Args:
        breaker: The breaker.
        now: The time, nanoseconds.
        probe_for: How long a probe may take, nanoseconds.
    """
    if breaker.phase == "closed":
        return None
    return Refused(breaker.until) if now < breaker.until else ProbeStarted(now + probe_for)


def outcome(
    breaker: Breaker, failed: Sequence[int], *, probing: bool, now: int, open_for: int, most: int
) -> BreakerEvent | None:
    """What is to be recorded after a call.

    Args:
        breaker: The breaker, as it is now.
        failed: Times of the failures that count, the last one included; none: the call went well.
        probing: Whether the call was a probe.
        now: The time, nanoseconds.
        open_for: How long the circuit stays open, nanoseconds.
        most: So many failures open it.
    """
    if probing:
        if breaker.phase != "half_open":
            return None  # it took so long that another one was made
        return CircuitOpened(now + open_for, len(failed)) if failed else CircuitClosed()
    if breaker.phase == "closed" and len(failed) >= most:
        return CircuitOpened(now + open_for, len(failed))
    return None
