"""The synchronous host: flows that never suspend, crews on threads that wait for each other without end."""

import contextvars
import random
import threading
import time

import pytest

from dashflow._util.drive import drive, iterate
from dashflow.engine.ports import Done, Overdue, Posted
from dashflow.hosts.sync import SyncHost


def gather(crew, count):
    """The next so many things that happened."""
    return [drive(crew.next()) for _ in range(count)]


def test_pieces_of_a_crew_run_beside_each_other() -> None:
    meet = threading.Barrier(4, timeout=30)
    crew = SyncHost().crew()
    for number in range(4):
        crew.start(number, lambda number=number: (meet.wait(), number)[1])
    assert sorted(done.value for done in gather(crew, 4)) == [0, 1, 2, 3]
    assert crew.pending == 0


@pytest.mark.parametrize("attentive", [False, True])
@pytest.mark.parametrize("limit", [1, 2, 3])
def test_no_more_than_the_limit_run_at_a_time(limit, attentive) -> None:
    lock = threading.Lock()
    running, most = 0, 0

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        with lock:
            running -= 1

    crew = SyncHost().crew(limit, attentive=attentive)
    for number in range(40):
        crew.start(number, work)
    gather(crew, 40)
    assert most <= limit


def test_one_piece_alone_needs_no_thread() -> None:
    crew = SyncHost().crew()
    crew.start("a", threading.get_ident)
    assert gather(crew, 1) == [Done("a", threading.get_ident())]


def test_an_attentive_flow_hears_what_is_posted_while_work_runs() -> None:
    heard = threading.Event()
    crew = SyncHost().crew(attentive=True)

    def work() -> str:
        crew.post("news")
        return "end" if heard.wait(30) else "nobody listened"

    crew.start("a", work)
    assert drive(crew.next()) == Posted("news")
    heard.set()
    assert drive(crew.next()) == Done("a", "end")


class Odd(BaseException):
    """Not an Exception."""


@pytest.mark.parametrize("error", [ValueError("v"), KeyboardInterrupt(), Odd(), StopIteration()])
@pytest.mark.parametrize("beside", [0, 1])
def test_whatever_a_piece_raises_the_flow_hears_of_it(error, beside) -> None:
    def fail() -> None:
        raise error

    crew = SyncHost().crew()
    for number in range(beside):
        crew.start(number, lambda: None)
    crew.start("a", fail)
    assert [done.error for done in gather(crew, 1 + beside) if done.key == "a"] == [error]


def test_closing_forgets_what_has_not_begun_and_waits_for_what_has() -> None:
    began, leave = threading.Event(), threading.Event()
    ran = []

    def work(number) -> int:
        ran.append(number)
        began.set()
        leave.wait(30)
        return number

    crew = SyncHost().crew(1, attentive=True)
    for number in range(3):
        crew.start(number, lambda number=number: work(number))
    assert began.wait(30)

    def let_go() -> None:
        while crew.pending > 1:  # closing forgets those that wait before it waits itself
            pass
        leave.set()

    helper = threading.Thread(target=let_go)
    helper.start()
    assert drive(crew.close()) == [Done(0, 0)]
    helper.join()
    assert (ran, crew.pending) == ([0], 0)


def test_a_crew_inside_a_crew_inside_a_crew() -> None:
    def work(depth):
        if depth == 0:
            return 1
        crew = SyncHost().crew(2)
        for number in range(3):
            crew.start(number, lambda: work(depth - 1))
        return sum(done.value for done in gather(crew, 3))

    assert work(4) == 81


def test_work_sees_the_context_of_who_started_it() -> None:
    variable = contextvars.ContextVar("variable", default="unset")
    variable.set("mine")
    crew = SyncHost().crew()
    for number in range(3):
        crew.start(number, variable.get)
    variable.set("later")
    assert [done.value for done in gather(crew, 3)] == ["mine"] * 3


def test_awaitables_are_refused() -> None:
    host = SyncHost()
    with pytest.raises(TypeError, match="use the async methods"):
        host.crew().start("a", lambda: None, blocking=False)
    with pytest.raises(TypeError, match="use the async methods"):
        drive(host.call(lambda: None, blocking=False))
    assert not host.cancelling()


def test_time_does_not_go_back_and_entropy_does_not_repeat() -> None:
    host = SyncHost()
    times = [host.now() for _ in range(100)]
    assert times == sorted(times)
    assert len({host.entropy() for _ in range(100)}) == 100


def test_a_flow_that_suspends_is_reported_and_closed() -> None:
    closed = []

    class Suspends:
        def __await__(self):
            yield

    async def flow():
        try:
            await Suspends()
        finally:
            closed.append(1)

    async def parts():
        try:
            yield 1
            await Suspends()
        finally:
            closed.append(2)

    with pytest.raises(RuntimeError, match="suspended although its host is synchronous"):
        drive(flow())
    with pytest.raises(RuntimeError, match="suspended although its host is synchronous"):
        list(iterate(parts()))
    assert closed == [1, 2]


def test_whoever_waits_no_longer_than_a_moment_is_told_that_nothing_happened() -> None:
    go = threading.Event()
    crew = SyncHost().crew(attentive=True)
    crew.start("a", lambda: go.wait(30))
    with pytest.raises(Overdue):
        drive(crew.next(0.01))
    with pytest.raises(Overdue):
        drive(crew.next(-1.0))
    go.set()
    assert drive(crew.next(30)) == Done("a", True)
    with pytest.raises(TypeError, match="use the async methods"):
        drive(SyncHost().limited(lambda: None, lambda: 1.0))


def test_retries_wait_through_the_two_functions_that_programs_steer(monkeypatch) -> None:
    waited = []
    monkeypatch.setattr(time, "sleep", waited.append)
    monkeypatch.setattr(random, "uniform", lambda low, high: (low + high) / 4)
    host = SyncHost()
    drive(host.sleep(3))
    assert (waited, host.jitter()) == ([3], 0.25)
