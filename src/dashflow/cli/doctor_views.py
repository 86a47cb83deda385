"""What ``doctor`` has to say, as data, and how it looks to people."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from dashflow.doctor.diagnosis import DAMAGE, Finding

_SHOWN = 50
"""So many findings people see; JSON has them all."""


class DoctorView(msgspec.Struct, frozen=True):
    """What is wrong with a log, after what was done about it."""

    schema: int
    log: str
    sound: bool
    streams: int
    events: int
    findings: tuple[Finding, ...]
    done: tuple[str, ...]
    backup: str
    exit_code: int


def lines(view: DoctorView) -> Iterator[str]:
    """The view as lines for people."""
    if view.backup:
        yield f"copied the log to {view.backup}"
    yield from (f"repaired {one}" for one in view.done)
    damage = sum(finding.severity == DAMAGE for finding in view.findings)
    state = "is sound" if view.sound else f"has {damage} problems"
    yield f"{view.log} {state}: {view.events} events of {view.streams} streams"
    for finding in view.findings[:_SHOWN]:
        place = f"{finding.stream} " if finding.stream else ""
        event = f"event {finding.version} " if finding.version else ""
        yield f"  [{finding.code}] {place}{event}{finding.problem}".rstrip()
        yield f"      -> {finding.advice}"
    if len(view.findings) > _SHOWN:
        yield f"  ... and {len(view.findings) - _SHOWN} more; --json lists all"
