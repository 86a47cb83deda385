"""What must hold of a world in the end: a small checker of histories, in the spirit of Knossos and Elle.

It looks at what is in the store, at what callers were told, and at what nodes did; it asks the engine nothing
but how events are decoded.
"""

import re
from typing import Any

from dashflow.checkpoint.saver import LogSaver
from dashflow.core.events import EVENTS, RunStarted, StateEdited
from dashflow.log.base import Record
from tests.simulation.programs import Watch
from tests.simulation.world import World

_MARK = re.compile(r"[#<]\d+[#>]")


class Violation(Exception):
    """A promise was broken."""


def normal(values: Any) -> Any:
    """A state without what differs from run to run: the tokens of executions."""
    if isinstance(values, dict):
        return {key: normal(value) for key, value in values.items()}
    if isinstance(values, list):
        return [normal(value) for value in values]
    return re.sub(r"#\d+#", "", values) if isinstance(values, str) else values


def check_store(world: World) -> None:
    """Streams are total orders: no gap, no second writer, nothing written by one who was fenced off."""
    for stream in world.store.streams.values():
        versions = [record.version for record in stream.records]
        first = stream.forgotten + 1
        if versions != [*range(first, first + len(versions))]:
            raise Violation(f"{stream.name}: versions {versions}")
        epochs = [record.epoch for record in stream.records if record.epoch]
        if epochs != sorted(epochs):
            raise Violation(f"{stream.name}: written by an owner that had lost it, epochs {epochs}")
    positions = [record.position for record in world.store.records]
    if positions != sorted(set(positions)):
        raise Violation(f"positions {positions}")


def check_watch(world: World, watch: Watch) -> None:
    """No node ran whose result was recorded, and none on an input that was not."""
    repeated = [task for task, process in watch.repeated if process not in world.zombies]
    if repeated:
        raise Violation(f"recorded and run again: {repeated}")
    if watch.unaccepted:
        raise Violation(f"nodes ran on inputs that were not recorded: {watch.unaccepted}")


def check_told(world: World, told: list[str], undone: bool = False) -> None:
    """What callers were told is in the store."""
    lost = [token for token in told if token.encode() not in world.durable]
    if lost and not undone:
        raise Violation(f"acknowledged and lost: {lost}")


def check_order(world: World, thread: str, forks: int) -> None:
    """A thread has one history: every run begins where the one before ended, but for forks asked for."""
    reader = LogSaver(world.process().log).reader
    elsewhere = []
    for record in _records(world, f"run-{thread}"):
        if record.type not in (RunStarted.type, StateEdited.type):
            continue
        event = reader.event(record, record.stream)
        if isinstance(event, RunStarted | StateEdited) and event.base != record.version - 1:
            elsewhere.append((record.version, event.base))
    if len(elsewhere) > forks:
        raise Violation(f"{thread}: goes on elsewhere than at its end, {elsewhere}")


def _records(world: World, stream: str) -> list[Record]:
    found = world.store.streams.get(stream)
    return [record for record in found.records if record.type in EVENTS] if found else []


def check_marks(values: Any) -> None:
    """Nothing that was written once is there twice."""
    marks = _MARK.findall(" ".join(map(str, [*values.get("log", ()), *values.get("ops", ())])))
    own = [mark for mark in marks if mark.startswith("#")]
    if len(own) != len(set(own)):
        raise Violation(f"applied twice: {values}")


def check_intervals(ops: list[str], intervals: dict[str, tuple[float, float]]) -> None:
    """Who was told before another one asked comes before that one."""
    place = {token: number for number, token in enumerate(ops)}
    for earlier, (_, told) in intervals.items():
        for later, (asked, _) in intervals.items():
            if told < asked and place.get(earlier, -1) > place.get(later, len(ops)):
                raise Violation(f"{earlier} was told before {later} asked, and comes after it: {ops}")
