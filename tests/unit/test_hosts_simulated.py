"""The simulated host: everything is decided by the seed, and a crash loses what was not durable."""

import pytest

from dashflow._util.drive import drive
from dashflow.engine.ports import Done, Overdue
from dashflow.errors import VersionConflictError
from dashflow.hosts.simulated import SimulatedCrash, SimulatedHost
from dashflow.log.base import Append, NewEvent
from dashflow.log.memory import MemoryLog


def event(number: int) -> NewEvent:
    return NewEvent("Happened", b"x", number.to_bytes(16, "big"), number)


def schedule(seed: int) -> list[object]:
    host = SimulatedHost(seed)
    crew = host.crew()
    for number in range(6):
        crew.start(number, lambda number=number: number)
    return [drive(crew.next()).key for _ in range(6)] + [host.entropy(), host.now()]


def test_one_seed_one_world() -> None:
    assert schedule(1) == schedule(1)
    assert len({tuple(schedule(seed)[:6]) for seed in range(20)}) > 5


def test_a_limit_is_kept_by_taking_from_the_front_only() -> None:
    host = SimulatedHost(3)
    crew = host.crew(2)
    for number in range(6):
        crew.start(number, lambda number=number: number)
    order = [drive(crew.next()).key for _ in range(6)]
    assert all(order.index(number) <= number + 4 for number in range(6))
    assert order[0] in (0, 1)


@pytest.mark.parametrize("after", [False, True])
def test_a_crash_before_or_after_a_call_took_effect(after) -> None:
    log, seen = MemoryLog(), []
    host = SimulatedHost(0, crash_at=2, crash_after=after)
    drive(host.append(log, Append("s-1", (event(1),), 0)))
    with pytest.raises(SimulatedCrash):
        drive(host.append(log, Append("s-1", (event(2),), 1)))
    assert log.version("s-1") == (2 if after else 1)
    with pytest.raises(SimulatedCrash):
        drive(host.call(lambda: seen.append(1)))
    assert (seen, host.crashed) == ([], True)


def test_a_crash_after_a_call_that_failed() -> None:
    def fail() -> None:
        raise ValueError("v")

    with pytest.raises(SimulatedCrash):
        drive(SimulatedHost(0, crash_at=1, crash_after=True).call(fail))
    with pytest.raises(ValueError, match="v"):
        drive(SimulatedHost(0).call(fail))


def test_no_handler_stops_a_crash() -> None:
    assert not issubclass(SimulatedCrash, Exception)
    host = SimulatedHost(0, crash_at=2)
    crew = host.crew()
    crew.start("a", lambda: drive(host.call(lambda: None)))
    with pytest.raises(SimulatedCrash):
        drive(crew.next())


def test_submitted_appends_become_durable_in_order_and_some_are_lost() -> None:
    kept = set()
    for seed in range(30):
        log = MemoryLog()
        host = SimulatedHost(seed, crash_at=6)
        for number in range(5):
            drive(host.submit(log, Append("s-1", (event(number + 1),), number)))
        with pytest.raises(SimulatedCrash):
            drive(host.submit(log, Append("s-1", (event(6),), 5)))
        kept.add(log.version("s-1"))
        assert [record.at for record in log.read("s-1")] == list(range(1, log.version("s-1") + 1))
    assert len(kept) > 2


def test_settling_makes_durable_what_came_before_and_tells_of_refusals() -> None:
    log = MemoryLog()
    host = SimulatedHost(0)
    drive(host.submit(log, Append("s-1", (event(1),), 0)))
    second = drive(host.submit(log, Append("s-1", (event(2),), 1)))
    wrong = drive(host.submit(log, Append("s-1", (event(3),), 7)))
    assert drive(host.settle(second)).version == 2
    with pytest.raises(VersionConflictError):
        drive(host.settle(wrong))


def test_only_the_clock_sleeps() -> None:
    host = SimulatedHost(0)
    before = host.now()
    drive(host.sleep(3_600))
    assert host.now() - before >= 3_600 * 10**9


def test_errors_of_work_are_results() -> None:
    error = ValueError("v")

    def fail() -> None:
        raise error

    crew = SimulatedHost(0).crew()
    crew.start("a", fail)
    assert drive(crew.next()) == Done("a", None, error)
    with pytest.raises(TypeError, match="blocking work only"):
        crew.start("b", fail, blocking=False)


def test_work_that_takes_longer_than_its_step_may_comes_too_late() -> None:
    host = SimulatedHost(seed=1)
    crew = host.crew()
    crew.start("a", lambda: drive(host.sleep(5)))
    crew.start("b", lambda: None)
    seen, late = [], 0
    while crew.pending:
        try:
            seen.append(drive(crew.next(1.0)).key)
        except Overdue:
            late += 1
    assert (sorted(seen), late) == (["a", "b"], 1)
    with pytest.raises(TypeError, match="blocking work only"):
        drive(host.limited(lambda: None, lambda: 1.0))


def test_jitter_is_the_seeds() -> None:
    assert SimulatedHost(seed=4).jitter() == SimulatedHost(seed=4).jitter() < 1
