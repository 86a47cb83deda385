"""A worker beside a program: what it takes over, what it leaves alone, how it is stopped."""

import asyncio
import operator
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

import pytest

from dashflow.checkpoint.memory import InMemorySaver
from dashflow.checkpoint.saver import LogSaver
from dashflow.errors import LogClosedError, StorageUnavailableError, UsageError
from dashflow.graph import START, StateGraph
from dashflow.log.base import Append, Appended, NewEvent
from dashflow.log.memory import MemoryLog
from dashflow.runtime import get_runtime
from dashflow.types import Command, interrupt
from dashflow.worker import Report, Worker

pytestmark = pytest.mark.feature("NEW-01")

CONFIG = {"configurable": {"thread_id": "t"}}


class State(TypedDict, total=False):
    log: Annotated[list[str], operator.add]


class House:
    """A log that several "processes" share; each is a ``MemoryLog``, and dies by ``abandon``."""

    def __init__(self) -> None:
        self.alive = MemoryLog()
        self.reports: list[Report] = []
        self.ran: list[str] = []
        self.dying: set[str] = set()

    def graph(self, log: MemoryLog, *names: str, name: str | None = None, **options: Any) -> Any:
        """A chain of nodes; one whose name is in ``dying`` takes its process with it."""

        def node(one: str) -> Callable[[State], State]:
            def run(state: State) -> State:
                self.ran.append(one)
                if one in self.dying:
                    log.abandon()
                    raise RuntimeError("the process is gone")
                return {"log": [one]}

            return run

        builder = StateGraph(State)
        for before, one in zip((START, *names), names, strict=False):
            builder.add_node(one, node(one)).add_edge(before, one)
        return builder.compile(checkpointer=LogSaver(log), name=name, **options)

    def die(self, *names: str, at: str, given: Any = None, config: Any = CONFIG, **options: Any) -> None:
        """Run a graph in a process that dies in a node."""
        call = {key: options.pop(key) for key in ("durability", "interrupt_before") if key in options}
        log = MemoryLog(self.alive.store)
        self.dying.add(at)
        with pytest.raises((LogClosedError, RuntimeError)):
            self.graph(log, *names, **options).invoke(given or {"log": ["in"]}, config, **call)
        self.dying.clear()

    def worker(self, *graphs: Any, **options: Any) -> Worker:
        """A worker in the process that lives."""
        return Worker(graphs, LogSaver(self.alive), every=0.01, tell=self.reports.append, **options)

    def told(self) -> list[str]:
        """What workers told, in short."""
        return [report.what for report in self.reports]


@pytest.fixture
def house() -> House:
    return House()


def drive(worker: Worker, kind: str) -> None:
    """Let a worker do what there is to do."""
    if kind == "sync":
        worker.run(once=True)
    else:
        asyncio.run(worker.arun(once=True))


@pytest.fixture(params=["sync", "asyncio"])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
@pytest.mark.guarantee("exit-starts-over")
def test_a_run_whose_process_died_is_finished(house, kind, durability) -> None:
    config = {"configurable": {"thread_id": "t", "user": "u1"}, "metadata": {"team": "blue"}, "tags": ["x"]}
    house.die("a", "b", "c", at="b", name="mine", config=config, durability=durability)
    graph = house.graph(house.alive, "a", "b", "c", name="mine")
    drive(house.worker(graph), kind)
    assert house.told() == ["taken over", "finished"]
    assert graph.get_state(CONFIG).values == {"log": ["in", "a", "b", "c"]}
    again = ["a", "b", "c"] if durability == "exit" else ["b", "c"]  # there nothing was recorded
    assert house.ran == ["a", "b", *again]
    last = graph.get_state(CONFIG).metadata
    assert (last["user"], last["team"]) == ("u1", "blue")
    states = LogSaver(house.alive).reader.history("t")
    assert {state.durability for state in states[1:]} == {durability}
    assert len({state.run for state in states[1:]}) == 1


def test_what_the_caller_asked_for_is_kept(house, kind) -> None:
    house.die("a", "b", "c", at="a", interrupt_before=["c"], config={**CONFIG, "recursion_limit": 7})
    graph = house.graph(house.alive, "a", "b", "c")
    drive(house.worker(graph), kind)
    assert house.told() == ["taken over", "paused"]
    assert graph.get_state(CONFIG).next == ("c",)
    assert LogSaver(house.alive).reader.head("t").options == {"limit": 7, "before": ["c"]}


def test_a_breakpoint_that_was_due_when_the_process_died_still_stops(house, kind) -> None:
    house.die("a", "b", at="b")
    graph = house.graph(house.alive, "a", "b", interrupt_before=["b"])
    drive(house.worker(graph), kind)
    assert house.told() == ["taken over", "paused"]
    assert house.ran == ["a", "b"]
    assert graph.invoke(None, CONFIG) == {"log": ["in", "a", "b"]}


def test_a_worker_takes_only_runs_of_graphs_it_has(house, kind) -> None:
    house.die("a", at="a", name="others")
    other = house.graph(house.alive, "a", name="mine")
    worker = house.worker(other)
    drive(worker, kind)
    drive(worker, kind)
    assert house.told() == ["left", "left"]  # once per start
    assert "'others'" in str(house.reports[0])
    drive(house.worker(other, house.graph(house.alive, "a", name="others")), kind)
    assert house.told()[2:] == ["taken over", "finished"]


def test_an_error_and_a_pause_are_no_abandonment(house, kind) -> None:
    graph = StateGraph(State)
    graph.add_node("ask", lambda state: {"log": [interrupt("?")]}).add_edge(START, "ask")
    asking = graph.compile(checkpointer=LogSaver(house.alive))
    asking.invoke({"log": []}, CONFIG)

    def fail(state: State) -> State:
        raise ValueError("boom")

    failing = StateGraph(State).add_node("fail", fail).add_edge(START, "fail")
    failing_graph = failing.compile(checkpointer=LogSaver(house.alive), name="failing")
    with pytest.raises(ValueError, match="boom"):
        failing_graph.invoke({"log": []}, {"configurable": {"thread_id": "f"}})
    drive(house.worker(asking, failing_graph), kind)
    assert house.told() == []
    assert asking.invoke(Command(resume="yes"), CONFIG) == {"log": ["yes"]}


def test_a_node_that_fails_under_the_worker_ends_the_run(house, kind) -> None:
    house.die("a", at="a")

    def fail(state: State) -> State:
        raise ValueError("boom")

    graph = StateGraph(State).add_node("a", fail).add_edge(START, "a").compile(name=None)
    worker = house.worker(graph)
    drive(worker, kind)
    drive(worker, kind)
    assert house.told() == ["taken over", "failed"]
    assert "ValueError: boom" in str(house.reports[1])


def test_a_run_that_kills_every_worker_is_a_dead_letter(house, kind) -> None:
    house.die("a", "b", at="b", durability="sync")
    for attempt in range(1, 5):
        log = MemoryLog(house.alive.store)
        house.dying.add("b")
        worker = Worker([house.graph(log, "a", "b")], LogSaver(log), tell=house.reports.append)
        with pytest.raises(LogClosedError):
            drive(worker, kind)
        house.dying.clear()
        assert house.reports[0].what == "taken over"
        assert house.reports[0].attempt == attempt
        house.reports.clear()
    graph = house.graph(house.alive, "a", "b")
    worker = house.worker(graph)
    drive(worker, kind)
    drive(worker, kind)
    assert house.told() == ["dead letter"]
    assert "died 5 times" in house.reports[0].text
    assert house.ran == ["a", *["b"] * 5]
    assert graph.get_state(CONFIG).next == ("b",)
    # Somebody who wants it can still go on.
    assert graph.invoke(None, CONFIG)["log"] == ["in", "a", "b"]


def test_progress_starts_the_count_of_attempts_anew(house, kind) -> None:
    house.die("a", "b", "c", at="a")
    for name in "abbbcc":
        log = MemoryLog(house.alive.store)
        house.dying = {name}
        graph = house.graph(log, "a", "b", "c")
        with pytest.raises(LogClosedError):
            drive(Worker([graph], LogSaver(log), tell=house.reports.append, max_attempts=5), kind)
    house.dying.clear()
    assert [report.attempt for report in house.reports if report.what == "taken over"] == [1, 2, 1, 2, 3, 1]
    graph = house.graph(house.alive, "a", "b", "c")
    drive(house.worker(graph), kind)
    assert graph.get_state(CONFIG).values["log"] == ["in", "a", "b", "c"]


def test_a_worker_beside_a_program(house) -> None:
    """It looks at its start and every little while, and leaves the program's own runs alone."""
    graph = house.graph(house.alive, "a", "b", name="mine")
    done = threading.Event()

    def tell(report: Report) -> None:
        house.reports.append(report)
        if report.what == "finished":
            done.set()

    with Worker(graph, every=0.01, tell=tell):
        assert graph.invoke({"log": ["own"]}, {"configurable": {"thread_id": "own"}})["log"] == [
            "own",
            "a",
            "b",
        ]
        house.die("a", "b", at="b", name="mine")
        assert done.wait(30)
    assert graph.get_state(CONFIG).values["log"] == ["in", "a", "b"]
    assert house.told() == ["taken over", "finished"]


def test_a_worker_on_a_loop(house) -> None:
    async def program() -> None:
        graph = house.graph(house.alive, "a", "b", name="mine")
        done = asyncio.Event()
        loop = asyncio.get_running_loop()

        def tell(report: Report) -> None:
            house.reports.append(report)
            if report.what == "finished":
                loop.call_soon_threadsafe(done.set)

        async with Worker(graph, every=0.01, tell=tell):
            await asyncio.to_thread(house.die, "a", "b", at="b", name="mine")
            await asyncio.wait_for(done.wait(), 30)
        assert (await graph.aget_state(CONFIG)).values["log"] == ["in", "a", "b"]

    asyncio.run(program())


def test_a_worker_that_is_stopped_puts_its_runs_back(house) -> None:
    house.die("a", "b", at="a")
    inside = threading.Event()

    def slow(state: State) -> State:
        inside.set()
        while not get_runtime().drain_requested:
            pass
        return {"log": ["slow"]}

    def build(node: Callable[[State], State]) -> Any:
        builder = StateGraph(State).add_node("a", node).add_edge(START, "a")
        builder.add_node("b", lambda state: {"log": ["b"]}).add_edge("a", "b")
        return builder.compile(checkpointer=LogSaver(house.alive))

    worker = house.worker(build(slow)).start()
    assert inside.wait(30)
    worker.stop()
    assert house.told() == ["taken over", "put back"]
    assert build(slow).get_state(CONFIG).values["log"] == ["in", "slow"]
    drive(house.worker(build(slow)), "sync")
    assert house.told()[2:] == ["taken over", "finished"]
    assert build(slow).get_state(CONFIG).values["log"] == ["in", "slow", "b"]


def test_no_more_runs_at_a_time_than_asked_for(house, kind) -> None:
    for number in range(5):
        house.die("a", at="a", config={"configurable": {"thread_id": f"t{number}"}})
    house.ran.clear()
    running, most, lock = [0], [0], threading.Lock()

    def count(state: State) -> State:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        barrier.wait(30)
        with lock:
            running[0] -= 1
        return {"log": ["a"]}

    barrier = threading.Barrier(1)
    graph = StateGraph(State).add_node("a", count).add_edge(START, "a").compile()
    drive(house.worker(graph, concurrency=2), kind)
    assert house.told().count("finished") == 5
    assert most[0] <= 2


def test_two_workers_share_the_work(house, kind) -> None:
    for number in range(10):
        house.die("a", at="a", config={"configurable": {"thread_id": f"t{number}"}})
    house.ran.clear()
    logs = [MemoryLog(house.alive.store) for _ in range(2)]
    threads = []
    for log in logs:
        worker = Worker([house.graph(log, "a")], LogSaver(log), every=0.01, tell=house.reports.append)
        threads.append(threading.Thread(target=drive, args=(worker, kind)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert house.ran == ["a"] * 10
    assert house.told().count("finished") == 10


@dataclass
class Pet:
    """A class that only one program knows."""

    name: str


def test_a_thread_that_cannot_be_read_holds_up_no_other(house, kind) -> None:
    """Values of classes that are not known here do no harm; a damaged event is told of, once."""
    house.die("a", at="a", config={"configurable": {"thread_id": "damaged"}})
    house.die("a", at="a", config={"configurable": {"thread_id": "sound"}})
    event = NewEvent("StepCompleted", b"\xc1", b"d" * 16, 1)
    log = MemoryLog(house.alive.store)
    log.append(Append("run-damaged", (event,), owner=f"{log.instance}/x", claim=True))
    log.abandon()
    stranger = MemoryLog(house.alive.store)
    saver = LogSaver(stranger)
    saver.registry.register(Pet)

    def die(state: State) -> State:
        stranger.abandon()
        raise RuntimeError("the process is gone")

    builder = StateGraph(State).add_node("die", die).add_edge(START, "die")
    with pytest.raises(LogClosedError):
        builder.compile(checkpointer=saver, name="pets").invoke(
            {"log": [Pet("rex")]}, {"configurable": {"thread_id": "pets"}}
        )
    worker = house.worker(house.graph(house.alive, "a"))
    drive(worker, kind)
    told = sorted((report.name, report.what) for report in house.reports)
    assert told == [("damaged", "trouble"), ("pets", "left"), ("sound", "finished"), ("sound", "taken over")]


class Stranger(InMemorySaver):
    """Somebody else's saver."""


def test_what_cannot_be_a_worker_is_refused(house) -> None:
    graph = house.graph(house.alive, "a")
    for make, match in (
        (lambda: Worker([graph, house.graph(house.alive, "b")]), "Two graphs without a name"),
        (lambda: Worker([]), "neither"),
        (
            lambda: Worker(StateGraph(State).add_node("a", print).add_edge(START, "a").compile()),
            "saver or a log",
        ),
        (lambda: Worker(graph, Stranger()), "Stranger is none"),
        (lambda: Worker(graph, concurrency=0), "concurrency must be at least 1"),
    ):
        with pytest.raises(UsageError, match=match):
            make()


# -- a log that cannot be written for a while --------------------------------------------------------


class Away(MemoryLog):
    """A log whose server goes away for some of its appends, the first of which it may have made."""

    def __init__(self, store: Any = None) -> None:
        super().__init__(store)
        self.appends = 0
        self.away = range(0)
        self.made = False

    def append(self, append: Append) -> Appended:
        self.appends += 1
        if self.appends not in self.away:
            return super().append(append)
        if self.made and self.appends == self.away.start:
            super().append(append)
        raise StorageUnavailableError(self.where, "the server cannot be reached")


@pytest.mark.feature("NEW-08")
@pytest.mark.parametrize("made", [False, True])
@pytest.mark.parametrize("first", range(1, 6))
def test_a_run_that_ended_since_its_log_was_away_is_finished_by_the_worker_beside_it(
    house, kind, first, made
) -> None:
    """Unasked: its caller was told, and somebody else might have asked before the log was back."""
    log = Away(house.alive.store)
    log.away, log.made = range(first, first + 3), made
    graph = house.graph(log, "a", "b", "c")
    with pytest.raises(StorageUnavailableError):
        graph.invoke({"log": ["in"]}, CONFIG, durability="sync")
    accepted = bool(graph.get_state(CONFIG).values)
    log.away = range(0)
    # The log is the same; whose saver it was that left the run does not matter.
    drive(Worker(house.graph(log, "a", "b", "c"), LogSaver(log), tell=house.reports.append), kind)
    state = graph.get_state(CONFIG)
    if accepted:
        assert (state.values, state.next) == ({"log": ["in", "a", "b", "c"]}, ())
    assert [info.owner for info in log.streams(category="run")] == [""] * accepted
    repeats = Counter(house.ran) - Counter("abc")
    assert sum(repeats.values()) <= 1


@pytest.mark.feature("NEW-08")
@pytest.mark.parametrize("made", [False, True])
@pytest.mark.parametrize("later", range(1, 4))
def test_a_workers_run_goes_on_when_the_log_is_back(house, kind, later, made) -> None:
    house.die("a", "b", "c", at="b", durability="sync")
    house.ran.clear()
    log = Away(house.alive.store)
    log.made = made
    graph = house.graph(log, "a", "b", "c")

    def tell(report: Report) -> None:
        house.reports.append(report)
        if report.what == "taken over" and not log.away:
            log.away = range(log.appends + later, log.appends + later + 1)

    drive(Worker(graph, LogSaver(log), tell=tell), kind)
    assert graph.get_state(CONFIG).values == {"log": ["in", "a", "b", "c"]}
    assert [info.owner for info in log.streams(category="run")] == [""]
    assert "trouble" in house.told()
    assert sum((Counter(house.ran) - Counter("bc")).values()) <= 1


@pytest.mark.feature("NEW-08")
def test_a_run_for_which_there_is_never_room_is_a_dead_letter(house, kind) -> None:
    class Full(MemoryLog):
        def append(self, append: Append) -> Appended:
            if house.ran and any(event.type == "StepCompleted" for event in append.events):
                raise StorageUnavailableError(self.where, "the disk is full")
            return super().append(append)

    log = Full(house.alive.store)
    graph = house.graph(log, "large")
    with pytest.raises(StorageUnavailableError):
        graph.invoke({"log": ["in"]}, CONFIG, durability="sync")
    drive(Worker(graph, LogSaver(log), every=0.01, tell=house.reports.append, max_attempts=3), kind)
    assert house.told()[-1] == "dead letter"
    assert house.ran == ["large"] * 3
