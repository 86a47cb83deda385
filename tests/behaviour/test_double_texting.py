"""Inputs that come while a run of their thread is going on; the same with processes is in ``tests/crash``."""

import asyncio
import operator
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest

from dashflow.channels import EphemeralValue
from dashflow.checkpoint.inbox import Inbox
from dashflow.checkpoint.saver import LogSaver
from dashflow.errors import (
    EmptyInputError,
    OwnershipConflictError,
    SupersededError,
    UsageError,
    ValueCodecError,
)
from dashflow.graph import START, StateGraph
from dashflow.log.base import EventLog
from dashflow.log.memory import MemoryLog
from dashflow.log.sqlite import SqliteLog
from dashflow.pregel import NodeBuilder, Pregel
from dashflow.runtime import Runtime
from dashflow.types import Command, interrupt
from dashflow.worker import Report, Worker

pytestmark = [pytest.mark.feature("NEW-08"), pytest.mark.guarantee("no-input-lost")]

CONFIG = {"configurable": {"thread_id": "t"}}


class State(TypedDict, total=False):
    n: int
    log: Annotated[list[Any], operator.add]


class Desk:
    """A thread whose nodes can be held up, seen from several "processes" (logs on one store)."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.kind = kind
        self.path = folder / "threads.db"
        self.logs: list[EventLog] = []
        self.inside = threading.Event()
        self.leave = threading.Event()
        self.ran: list[Any] = []
        self.saver = self.process()

    def process(self) -> LogSaver:
        """A saver as another process would have it."""
        if self.kind == "sqlite":
            log: EventLog = SqliteLog(self.path)
        else:
            first = self.logs[0] if self.logs else None
            log = MemoryLog(first.store if isinstance(first, MemoryLog) else None)
        self.logs.append(log)
        return LogSaver(log)

    def graph(self, saver: LogSaver | None = None, **options: Any) -> Any:
        """Two nodes; the first one holds negative numbers up."""

        def one(state: State) -> State:
            self.ran.append(state["n"])
            if state["n"] < 0:
                self.inside.set()
                assert self.leave.wait(30)
            return {"log": [state["n"]]}

        def two(state: State) -> State:
            return {"log": [f"{state['n']}!"]}

        builder = StateGraph(State).add_node("one", one).add_node("two", two)
        builder.add_edge(START, "one").add_edge("one", "two")
        return builder.compile(checkpointer=saver or self.saver, **options)

    def hold(self, pool: ThreadPoolExecutor, **options: Any) -> Any:
        """A run that is held up in its first node; its future."""
        future = pool.submit(self.graph().invoke, {"n": -1}, CONFIG, **options)
        assert self.inside.wait(30)
        return future

    def queued(self, count: int) -> None:
        """Until so many inputs wait."""
        for _ in iter(lambda: self.waiting() >= count, True):
            pass

    def waiting(self) -> int:
        """How many inputs wait."""
        return len(Inbox(self.saver.reader, "t").waiting()[0])

    def accepted(self) -> list[int]:
        """The inputs that runs started with, in their order."""
        states = self.saver.reader.history("t")
        return [
            state.values["__start__"]["n"]
            for state in states
            if "__start__" in state.values and state.run and state.checkpoint == state.version
        ]

    def close(self) -> None:
        for log in self.logs:
            log.close()


@pytest.fixture(params=["memory", "sqlite"])
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    desk = Desk(tmp_path, request.param)
    yield desk
    desk.close()


@pytest.fixture
def mortal(tmp_path: Path) -> Any:
    """A desk of which one process can die while the others live: logs in memory."""
    desk = Desk(tmp_path, "memory")
    yield desk
    desk.close()


@pytest.fixture
def pool(request: pytest.FixtureRequest) -> Any:
    with ThreadPoolExecutor(64) as pool:
        yield pool
        for name in {"desk", "mortal"} & {*request.fixturenames}:
            request.getfixturevalue(name).leave.set()


def test_by_default_an_input_waits_for_the_present_run(desk, pool) -> None:
    held = desk.hold(pool)
    second = pool.submit(desk.graph().invoke, {"n": 2}, CONFIG)
    desk.queued(1)
    third = pool.submit(desk.graph(desk.process()).invoke, {"n": 3}, CONFIG)  # another process
    desk.queued(2)
    assert desk.ran == [-1]
    desk.leave.set()
    assert held.result() == {"n": -1, "log": [-1, "-1!"]}
    assert second.result() == {"n": 2, "log": [-1, "-1!", 2, "2!"]}
    assert third.result() == {"n": 3, "log": [-1, "-1!", 2, "2!", 3, "3!"]}
    assert desk.ran == [-1, 2, 3]
    assert desk.waiting() <= 0


def test_a_new_input_does_not_overtake_those_that_wait(desk, pool) -> None:
    """Also not in the moment between two runs, in whatever process."""
    held = desk.hold(pool)
    desk.leave.set()
    numbers = range(1, 25)
    savers = [desk.saver, desk.process(), desk.process()]
    futures = [pool.submit(desk.graph(savers[n % 3]).invoke, {"n": n}, CONFIG) for n in numbers]
    results = [future.result() for future in futures]
    held.result()
    assert sorted(desk.ran) == [-1, *numbers]
    assert [result["log"][-2:] for result in results] == [[n, f"{n}!"] for n in numbers]
    order = [event for event in desk.graph().get_state(CONFIG).values["log"] if isinstance(event, int)]
    assert order == desk.ran


@pytest.mark.parametrize("host", ["threads", "tasks"])
def test_many_inputs_at_once_are_all_handled(desk, host, soak) -> None:
    """None is lost, none runs twice, and each caller gets the result of its own."""
    numbers = range(1, 1001 if soak else 51)
    graph = desk.graph()
    if host == "threads":
        with ThreadPoolExecutor(len(numbers)) as pool:
            results = list(pool.map(lambda n: graph.invoke({"n": n}, CONFIG), numbers))
    else:

        async def all_at_once() -> list[Any]:
            return await asyncio.gather(*(graph.ainvoke({"n": n}, CONFIG) for n in numbers))

        results = asyncio.run(all_at_once())
    assert [result["log"][-2:] for result in results] == [[n, f"{n}!"] for n in numbers]
    assert sorted(desk.ran) == list(numbers)
    assert sorted(desk.accepted()) == list(numbers)


def test_many_threads_with_many_inputs_each(desk, pool, soak) -> None:
    """Threads do not wait for each other, and in each everything is handled once."""
    threads, each = (100, 100) if soak else (4, 8)
    graphs = [desk.graph(desk.process()) for _ in range(2)]
    futures = [
        pool.submit(graphs[n % 2].invoke, {"n": n}, {"configurable": {"thread_id": f"t{n % threads}"}})
        for n in range(threads * each)
    ]
    for n, future in enumerate(futures):
        assert future.result()["log"][-2:] == [n, f"{n}!"]
    assert sorted(desk.ran) == list(range(threads * each))
    for number in range(threads):
        values = graphs[0].get_state({"configurable": {"thread_id": f"t{number}"}}).values["log"]
        assert sorted(one for one in values if isinstance(one, int)) == list(
            range(number, threads * each, threads)
        )


def test_a_stream_waits_too(desk, pool) -> None:
    held = desk.hold(pool)
    parts = pool.submit(lambda: list(desk.graph().stream({"n": 5}, CONFIG, stream_mode="updates")))
    desk.queued(1)
    desk.leave.set()
    held.result()
    assert parts.result() == [{"one": {"log": [5]}}, {"two": {"log": ["5!"]}}]


def test_reject_refuses_at_once(desk, pool) -> None:
    held = desk.hold(pool)
    rejecting = {"configurable": {"thread_id": "t", "multitask_strategy": "reject"}}
    with pytest.raises(OwnershipConflictError):
        desk.graph().invoke({"n": 2}, rejecting)
    with pytest.raises(OwnershipConflictError):
        desk.graph(desk.process()).invoke({"n": 2}, CONFIG, multitask_strategy="reject")
    desk.leave.set()
    held.result()
    assert desk.graph().invoke({"n": 2}, rejecting)["log"][-1] == "2!"
    assert "multitask_strategy" not in desk.graph().get_state(CONFIG).metadata


@pytest.mark.parametrize("given", [None, Command(resume="yes"), Command(goto="two")])
def test_going_on_and_answering_never_wait(desk, pool, given) -> None:
    held = desk.hold(pool)
    with pytest.raises(OwnershipConflictError):
        desk.graph().invoke(given, CONFIG)
    desk.leave.set()
    held.result()


def test_interrupt_stops_the_present_run_and_keeps_its_work(desk, pool) -> None:
    desk.graph().invoke({"n": 1}, CONFIG)
    held = desk.hold(pool, durability="sync")
    waits = pool.submit(desk.graph().invoke, {"n": 7}, CONFIG)
    desk.queued(1)
    other = desk.graph(desk.process())
    result = other.invoke({"n": 2}, CONFIG, multitask_strategy="interrupt")
    assert result == {"n": 2, "log": [1, "1!", 2, "2!"]}
    assert waits.result()["log"] == [1, "1!", 2, "2!", 7, "7!"]  # what waited goes on behind it
    desk.leave.set()
    with pytest.raises(SupersededError, match="newer input"):
        held.result()
    history = list(other.get_state_history(CONFIG))
    assert [state.values["n"] for state in history if state.next == ("one",)] == [7, 2, -1, 1]
    assert other.get_state(CONFIG).values["log"] == [1, "1!", 2, "2!", 7, "7!"]


@pytest.mark.parametrize("first", [True, False])
def test_rollback_undoes_the_present_run(desk, pool, first) -> None:
    if not first:
        desk.graph().invoke({"n": 1, "log": ["in"]}, CONFIG)
    before = [state.config for state in desk.graph().get_state_history(CONFIG)]
    held = desk.hold(pool, durability="sync")
    other = desk.graph(desk.process())
    result = other.invoke({"n": 2}, CONFIG, multitask_strategy="rollback")
    kept = [] if first else ["in", 1, "1!"]
    assert result == {"n": 2, "log": [*kept, 2, "2!"]}
    desk.leave.set()
    with pytest.raises(SupersededError):
        held.result()
    history = list(other.get_state_history(CONFIG))
    assert -1 not in [state.values.get("n") for state in history]
    assert [state.config for state in history][4:] == before


def test_several_that_interrupt_go_one_after_the_other(desk, pool) -> None:
    """Each is recorded once, and the last of them is the one that runs to its end."""
    held = desk.hold(pool)
    savers = [desk.saver, desk.process()]
    futures = [
        pool.submit(desk.graph(savers[n % 2]).invoke, {"n": n}, CONFIG, multitask_strategy="interrupt")
        for n in range(1, 9)
    ]
    outcomes = [future.exception() for future in futures]
    desk.leave.set()
    assert isinstance(held.exception(), SupersededError)
    assert all(error is None or isinstance(error, SupersededError) for error in outcomes)
    assert None in outcomes
    assert sorted(desk.accepted()) == [-1, *range(1, 9)]


def test_a_strategy_that_does_not_exist_is_refused(desk) -> None:
    with pytest.raises(UsageError, match="reject, enqueue, interrupt, rollback"):
        desk.graph().invoke({"n": 1}, CONFIG, multitask_strategy="wait")


def test_an_input_after_a_question_starts_anew(desk, pool) -> None:
    """As without waiting: whoever asked is given up for the new input."""
    entered, leave = threading.Event(), threading.Event()

    def ask(state: State) -> State:
        entered.set()
        assert leave.wait(30)
        return {"log": [interrupt("?")]} if state["n"] == 1 else {"log": [state["n"]]}

    graph = StateGraph(State).add_node("ask", ask).add_edge(START, "ask").compile(checkpointer=desk.saver)
    first = pool.submit(graph.invoke, {"n": 1}, CONFIG)
    assert entered.wait(30)
    second = pool.submit(graph.invoke, {"n": 2}, CONFIG)
    desk.queued(1)
    leave.set()
    assert [question.value for question in first.result()["__interrupt__"]] == ["?"]
    assert second.result() == {"n": 2, "log": [2]}
    assert graph.get_state(CONFIG).next == ()


def test_an_input_that_cannot_be_used_is_withdrawn(desk, pool) -> None:
    """Its caller is told, and those behind it are not held up."""
    entered, leave = threading.Event(), threading.Event()

    def hold(value: int) -> int:
        entered.set()
        assert leave.wait(30)
        return value

    node = NodeBuilder().subscribe_only("a").do(hold).write_to("b")
    channels = {"a": EphemeralValue(int), "b": EphemeralValue(int)}
    graph = Pregel(
        nodes={"hold": node},
        channels=channels,
        input_channels=["a"],
        output_channels=["b"],
        checkpointer=desk.saver,
    )
    held = pool.submit(graph.invoke, {"a": 1}, CONFIG)
    assert entered.wait(30)
    bad = pool.submit(graph.invoke, {"unknown": 1}, CONFIG)
    good = pool.submit(graph.invoke, {"a": 3}, CONFIG)
    with pytest.raises(EmptyInputError):
        bad.result()
    desk.queued(1)
    with pytest.raises(ValueCodecError):
        graph.invoke({"a": object()}, CONFIG)
    leave.set()
    assert (held.result(), good.result()) == ({"b": 1}, {"b": 3})
    assert desk.waiting() == 0


def test_a_caller_that_is_cancelled_withdraws_its_input(desk, pool) -> None:
    held = desk.hold(pool)

    async def give_up() -> None:
        task = asyncio.ensure_future(desk.graph().ainvoke({"n": 2}, CONFIG))
        await asyncio.to_thread(desk.queued, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(give_up())
    assert desk.waiting() == 0
    desk.leave.set()
    held.result()
    assert desk.graph().invoke({"n": 4}, CONFIG)["log"] == [-1, "-1!", 4, "4!"]


def test_a_node_that_calls_its_own_thread_is_told(desk) -> None:
    """It would wait for itself."""
    errors: list[Any] = []

    def call_again(state: State) -> State:
        for call in (
            lambda: desk.graph().invoke({"n": 1}, CONFIG),
            lambda: list(desk.graph().stream({"n": 1}, CONFIG)),
        ):
            with pytest.raises(OwnershipConflictError, match="the very code that calls") as caught:
                call()
            errors.append(caught.value)
        return {"log": ["told"]}

    def beside(state: State) -> State:
        return {"log": ["beside"]}

    builder = StateGraph(State).add_node("a", call_again).add_node("b", beside)
    builder.add_edge(START, "a").add_edge(START, "b")
    graph = builder.compile(checkpointer=desk.saver)
    assert sorted(graph.invoke({"n": 1}, CONFIG)["log"]) == ["beside", "told"]
    assert len(errors) == 2


def test_a_stream_that_is_not_read_to_its_end_does_not_hang_its_reader(desk) -> None:
    parts = desk.graph().stream({"n": 1}, CONFIG)
    next(parts)
    with pytest.raises(OwnershipConflictError):
        desk.graph().invoke({"n": 2}, CONFIG)
    parts.close()
    assert desk.graph().invoke({"n": 2}, CONFIG)["log"][-1] == "2!"


class Context(TypedDict):
    user: str


@pytest.mark.parametrize("kind", ["sync", "asyncio"])
def test_the_input_of_a_caller_that_died_is_run_by_a_worker(mortal, pool, kind) -> None:
    """An acknowledged input is never dropped; those of callers that live do not wait for it."""
    users: list[Any] = []

    def note(state: State, runtime: Runtime[Context]) -> State:
        users.append((state["n"], (runtime.context or {}).get("user")))
        return {"log": [state["n"]]}

    def graph(saver: LogSaver) -> Any:
        builder = StateGraph(State, context_schema=Context).add_node("note", note).add_edge(START, "note")
        return builder.compile(checkpointer=saver, name="noting")

    held = mortal.hold(pool)
    dying = mortal.process()
    lost = pool.submit(graph(dying).invoke, {"n": 2}, CONFIG, context={"user": "ann"})
    mortal.queued(1)
    dying.log.abandon()
    lives = pool.submit(graph(mortal.process()).invoke, {"n": 3}, CONFIG, context={"user": "bob"})
    mortal.queued(2)
    mortal.leave.set()
    held.result()
    assert lives.result()["log"][-1] == 3
    assert lost.exception() is not None
    assert mortal.waiting() == 1
    reports: list[Report] = []
    worker = Worker(graph(mortal.process()), every=0.01, tell=reports.append)
    if kind == "sync":
        worker.run(once=True)
    else:
        asyncio.run(worker.arun(once=True))
    assert [report.what for report in reports] == ["taken over", "finished"]
    assert users == [(3, "bob"), (2, "ann")]
    assert graph(mortal.saver).get_state(CONFIG).values["log"] == [-1, "-1!", 3, 2]
    assert mortal.waiting() <= 0


def test_an_input_that_started_is_not_started_again(mortal, pool) -> None:
    """The process died between its start and the note about it in the inbox."""
    held = mortal.hold(pool)
    dying = mortal.process()
    log: Any = dying.log
    real, seen = log.append, []

    def append(change: Any) -> Any:
        if change.events and change.events[0].type == "InputTaken":
            seen.append(change)
            log.abandon()
        return real(change)

    log.append = append
    lost = pool.submit(mortal.graph(dying).invoke, {"n": 2}, CONFIG)
    mortal.queued(1)
    mortal.leave.set()
    held.result()
    assert lost.exception() is not None
    assert seen
    assert mortal.waiting() == 1
    reports: list[Report] = []
    graph = mortal.graph(mortal.process())
    for _ in range(2):
        Worker(graph, every=0.01, tell=reports.append).run(once=True)
    assert graph.get_state(CONFIG).values["log"] == [-1, "-1!", 2, "2!"]
    assert mortal.waiting() <= 0
    assert [state.values["n"] for state in graph.get_state_history(CONFIG) if state.next == ("one",)] == [
        2,
        -1,
    ]


def test_an_input_waits_for_a_worker_to_finish_what_died(mortal, pool) -> None:
    """Where a worker is there for it: else the new input begins where the dead run stopped."""

    def die(with_worker: bool, thread: str) -> list[Any]:
        config = {"configurable": {"thread_id": thread}}
        dying = mortal.process()
        broken: Callable[[State], State] = lambda state: dying.log.abandon() or {"log": ["never"]}  # noqa: E731
        builder = StateGraph(State).add_node("one", broken).add_edge(START, "one")
        builder.add_node("two", lambda state: {}).add_edge("one", "two")
        with pytest.raises(Exception, match="closed"):
            builder.compile(checkpointer=dying).invoke({"n": 1}, config, durability="sync")
        graph = mortal.graph()
        if not with_worker:
            return graph.invoke({"n": 2}, config)["log"]  # type: ignore[no-any-return]
        with Worker(graph, every=0.01, tell=lambda report: None):
            return graph.invoke({"n": 2}, config)["log"]  # type: ignore[no-any-return]

    assert die(False, "alone") == [2, "2!"]
    assert die(True, "helped") == [1, "1!", 2, "2!"]


def test_inputs_wait_for_a_branch_as_for_any_thread(desk, pool) -> None:
    """A branch's versions go on counting from those of the thread that it began in."""
    desk.graph().invoke({"n": 1}, CONFIG)
    thread = desk.graph().create_branch(CONFIG, "b").thread_id
    branch = {"configurable": {"thread_id": thread}}
    held = pool.submit(desk.graph().invoke, {"n": -1}, branch)
    assert desk.inside.wait(30)
    second = pool.submit(desk.graph(desk.process()).invoke, {"n": 2}, branch)
    while not Inbox(desk.saver.reader, thread).waiting()[0]:
        pass
    taking = desk.graph(desk.process()).invoke({"n": 3}, branch, multitask_strategy="rollback")
    assert taking["log"] == [1, "1!", 3, "3!"]
    desk.leave.set()
    assert isinstance(held.exception(), SupersededError)
    assert second.result()["log"] == [1, "1!", 3, "3!", 2, "2!"]
    assert desk.graph().get_state(CONFIG).values["log"] == [1, "1!"]
