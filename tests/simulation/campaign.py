"""Many cases on several processes: who takes which seeds, until when, and what came of it."""

import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import msgspec

from tests.simulation.cases import Failed, cases_from, run, shrunk

_ENOUGH = 5
"""Failures after which a process stops."""


class Part(msgspec.Struct, frozen=True):
    """One process's part: seeds ``first``, ``first + step``, ... until ``count`` cases are done or time is
    up."""

    first: int
    step: int
    count: int
    until: float | None = None
    scenario: str | None = None


class Found(msgspec.Struct):
    """What came of a part."""

    done: int = 0
    calls: int = 0
    seeds: int = 0
    cpu: float = 0.0
    failures: list[str] = []


def work(part: Part) -> Found:
    """Do a part."""
    found = Found()
    try:
        _work(part, found)
    finally:
        found.cpu = time.process_time()
    return found


def _work(part: Part, found: Found) -> None:
    for seed in range(part.first, sys.maxsize, part.step):
        found.seeds += 1
        for case in cases_from(seed, [part.scenario] if part.scenario else None):
            try:
                found.calls += run(case)
            except Failed as failure:
                found.failures.append(str(shrunk(failure)))
            found.done += 1
            late = part.until is not None and time.monotonic() > part.until
            if late or found.done >= part.count or len(found.failures) >= _ENOUGH:
                return


def campaign(parts: list[Part]) -> list[Found]:
    """Do all parts, each in a process of its own."""
    if len(parts) == 1:
        return [work(parts[0])]
    with ProcessPoolExecutor(len(parts), mp_context=get_context("spawn")) as pool:
        return list(pool.map(work, parts))
