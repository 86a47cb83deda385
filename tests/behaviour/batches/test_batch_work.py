"""What runs items: graphs with and without a checkpointer, plans, functions; time limits, rates, leaving."""

import asyncio
import operator
import threading
from contextlib import closing
from typing import Annotated, Any, TypedDict

import msgspec
import pytest

from dashflow.batch import Batch, BatchStatus, FunctionWork, ItemFailure, ItemResult, Rate
from dashflow.batch.core.rate import TokenBucket
from dashflow.checkpoint.memory import InMemorySaver
from dashflow.checkpoint.sqlite import SqliteSaver
from dashflow.checkpoint.sqlite.aio import AsyncSqliteSaver
from dashflow.errors import FencedError, LogClosedError, UsageError
from dashflow.graph import START, StateGraph
from dashflow.hosts.simulated import SimulatedHost
from dashflow.log.memory import MemoryLog
from dashflow.log.sqlite import SqliteLog
from dashflow.planner.runs import PlanRuns
from dashflow.types import Command, RetryPolicy, interrupt


class State(TypedDict, total=False):
    """A number, and what the nodes did."""

    n: int
    log: Annotated[list[Any], operator.add]


class Invoice(msgspec.Struct):
    """An item that is no plain data."""

    number: int


class Nodes:
    """Nodes that leave marks, fail, ask and wait as a test tells them."""

    def __init__(self) -> None:
        self.ran: list[tuple[str, int]] = []
        self.failing: set[int] = set()
        self.asking: set[int] = set()
        self.reached = threading.Event()
        self.go_on = threading.Event()
        self.waiting: set[int] = set()

    def graph(self, saver: Any = None) -> Any:
        builder = StateGraph(State).add_node("first", self.first).add_node("second", self.second)
        return builder.add_edge(START, "first").add_edge("first", "second").compile(checkpointer=saver)

    def first(self, state: State) -> State:
        self.ran.append(("first", state["n"]))
        if state["n"] in self.waiting:
            self.reached.set()
            self.go_on.wait()
        return {"log": ["first"]}

    def second(self, state: State) -> State:
        self.ran.append(("second", state["n"]))
        if state["n"] in self.failing:
            raise RuntimeError("no")
        answer = interrupt("how?") if state["n"] in self.asking else "second"
        return {"log": [answer]}


@pytest.fixture
def saver(tmp_path):
    with SqliteSaver.from_conn_string(str(tmp_path / "threads.db")) as made:
        yield made


INPUTS = [{"n": number} for number in range(4)]


@pytest.mark.feature("BATCH-001")
def test_a_graph_runs_every_item_on_a_thread_of_its_own(saver):
    nodes = Nodes()
    graph = nodes.graph(saver)
    batch = Batch(graph, INPUTS, name="in/voices", key=lambda item: f"no {item['n']}")
    assert batch.run().completed == 4
    assert [result.value for result in batch.results()] == [
        {"n": n, "log": ["first", "second"]} for n in range(4)
    ]
    snapshot = graph.get_state({"configurable": {"thread_id": "in%2Fvoices+no%202"}})
    assert snapshot.values == {"n": 2, "log": ["first", "second"]}
    assert snapshot.metadata["batch"] == "in/voices"
    assert batch.log is saver.log


@pytest.mark.feature("BATCH-001", "BATCH-002")
async def test_async_graphs_run_on_the_loop(tmp_path):
    meeting = asyncio.Barrier(4)

    async def meet(state: State) -> State:
        await meeting.wait()  # passes only when all four run at a time
        return {"log": ["met"]}

    async with AsyncSqliteSaver.from_conn_string(str(tmp_path / "threads.db")) as saver:
        graph = StateGraph(State).add_node(meet).add_edge(START, "meet").compile(checkpointer=saver)
        batch = Batch(graph, INPUTS, name="b", concurrency=4)
        assert (await batch.arun()).completed == 4
        assert [result.value["log"] async for result in batch.aresults()] == [["met"]] * 4


@pytest.mark.feature("BATCH-001", "BATCH-004")
def test_a_failed_item_goes_on_inside_its_thread(saver):
    nodes = Nodes()
    nodes.failing = {2}
    batch = Batch(nodes.graph(saver), INPUTS, name="b")
    assert batch.run().failed == 1
    nodes.failing = set()
    batch.retry_failed()
    assert batch.run().failed == 0
    assert nodes.ran.count(("first", 2)) == 1
    assert nodes.ran.count(("second", 2)) == 2


@pytest.mark.feature("BATCH-004")
def test_without_a_checkpointer_a_failed_item_begins_again(tmp_path):
    nodes = Nodes()
    nodes.failing = {2}
    with pytest.raises(UsageError, match="has no log"):
        Batch(nodes.graph(), INPUTS, name="b")
    with Batch(nodes.graph(), INPUTS, name="b", log=tmp_path / "batches.db") as batch:
        assert batch.run().failed == 1
        nodes.failing = set()
        batch.retry_failed()
        assert batch.run().failed == 0
    assert nodes.ran.count(("first", 2)) == 2
    with pytest.raises(LogClosedError):
        batch.status()


@pytest.mark.feature("BATCH-004")
def test_an_item_that_asks_is_a_dead_letter_until_it_is_answered(saver):
    nodes = Nodes()
    nodes.asking = {1}
    graph = nodes.graph(saver)
    batch = Batch(
        graph, INPUTS, name="b", retry=RetryPolicy(max_attempts=3, initial_interval=0.0, jitter=False)
    )
    assert batch.run().failed == 1
    (letter,) = batch.dead_letters()
    assert (letter.kind, letter.attempts) == ("ITEM_WAITING", 1)
    assert "'how?' Answer run 'b+1'" in letter.message
    batch.retry_failed()
    assert batch.run().failed == 1, "nobody has answered"
    graph.invoke(Command(resume="so"), {"configurable": {"thread_id": "b+1"}})
    batch.retry_failed()
    assert batch.run().failed == 0
    assert [result.value["log"][1] for result in batch.results()] == ["second", "so", "second", "second"]


@pytest.mark.feature("BATCH-001")
def test_a_graph_that_is_left_stops_between_two_steps_and_goes_on_there(saver):
    nodes = Nodes()
    nodes.waiting = {1}
    batch = Batch(nodes.graph(saver), INPUTS, name="b", concurrency=1)
    ended = []
    runner = threading.Thread(target=lambda: ended.append(batch.run()))
    runner.start()
    nodes.reached.wait()
    batch.leave()
    nodes.go_on.set()
    runner.join()
    assert (ended[0].status, ended[0].completed) == (BatchStatus.RUNNING, 1)
    assert batch.status().owner == ""
    assert nodes.ran == [("first", 0), ("second", 0), ("first", 1)]
    assert Batch(nodes.graph(saver), INPUTS, name="b").run().completed == 4
    assert nodes.ran.count(("first", 1)) == 1


@pytest.mark.feature("BATCH-001")
def test_items_that_are_no_plain_data_come_back_as_they_were():
    log = MemoryLog()
    batch = Batch(lambda invoice: invoice, [Invoice(1), Invoice(2)], name="b", log=log)
    batch.run()
    work = FunctionWork(lambda invoice: invoice, types=(Invoice,))
    assert [result.value for result in Batch.resume(log, "b", work).results()] == [Invoice(1), Invoice(2)]


@pytest.mark.feature("BATCH-001")
def test_plans_are_items_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "a.py").write_text("STOCK = 3  # TODO: count\n")
    log = SqliteLog(tmp_path / "log.db")
    goals = [
        {"goal": "Find TODO comments and write a report.", "folder": "shop"},
        {"goal": "Find TODO comments and write a report.", "folder": "missing"},
        {
            "goal": "Find TODO comments and write a report. Ask me which folders to leave out.",
            "folder": "shop",
        },
        7,
    ]
    runs = PlanRuns(log)
    batch = Batch(runs, goals, name="audit")
    parts = [part for part in batch.stream() if isinstance(part, ItemResult | ItemFailure)]
    done = {part.index: part.value for part in parts if isinstance(part, ItemResult)}
    assert done[0]["run"] == "audit+0"
    assert (tmp_path / "dashflow-out" / "audit+0" / "report.md").is_file()
    failures = {part.index: part.kind for part in parts if isinstance(part, ItemFailure)}
    assert failures == {1: "WORKSPACE", 2: "ITEM_WAITING", 3: "USAGE"}
    (tmp_path / "missing").mkdir()
    (tmp_path / "missing" / "b.py").write_text("B = 1\n")
    runs.answer("audit+2", "none")
    batch.retry_failed(["1", "2"])
    batch.run()
    assert [result.index for result in batch.results()] == [0, 1, 2]
    log.close()


@pytest.mark.feature("BATCH-002", "BATCH-004")
def test_a_thread_that_takes_too_long_is_refused_and_holds_no_place(tmp_path):
    hang = threading.Event()

    def work(value):
        if value == 1:
            hang.wait()
        return value

    with closing(SqliteLog(tmp_path / "log.db")) as log:
        batch = Batch(work, range(5), name="b", log=log, concurrency=1, timeout=1.0)
        progress = batch.run()
        assert (progress.completed, progress.failed) == (4, 1)
        assert [(letter.index, letter.kind) for letter in batch.dead_letters()] == [(1, "ITEM_TIMEOUT")]
        hang.set()


@pytest.mark.feature("BATCH-002", "BATCH-004")
async def test_a_coroutine_that_takes_too_long_is_cancelled_and_tried_again():
    tries = []

    async def work(value):
        tries.append(value)
        if value == 1 and tries.count(1) == 1:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                tries.append("cancelled")
                raise
        return value

    policy = RetryPolicy(max_attempts=2, initial_interval=0.0, jitter=False)
    batch = Batch(work, range(3), name="b", log=MemoryLog(), timeout=1.0, retry=policy)
    parts = [part async for part in batch.astream()]
    assert {part.index: part.attempts for part in parts if isinstance(part, ItemResult)} == {0: 1, 1: 2, 2: 1}
    assert "cancelled" in tries


@pytest.mark.feature("BATCH-004")
async def test_a_coroutine_that_cancels_itself_has_failed():
    async def work(value):
        raise asyncio.CancelledError

    batch = Batch(work, range(2), name="b", log=MemoryLog())
    assert (await batch.arun()).failed == 2


@pytest.mark.feature("BATCH-001")
async def test_a_cancelled_caller_leaves_the_batch_to_others():
    log = MemoryLog()
    begun = asyncio.Event()

    async def work(value):
        begun.set()
        await asyncio.Event().wait()

    batch = Batch(work, range(9), name="b", log=log)
    task = asyncio.create_task(batch.arun())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await batch.astatus()).owner == ""
    assert (await Batch(lambda value: value, range(9), name="b", log=log).arun()).completed == 9


@pytest.mark.feature("BATCH-001")
async def test_async_items_are_for_async_callers():
    async def items():
        for number in range(300):
            yield number

    async def work(value):
        return value

    batch = Batch(work, items(), name="b", log=MemoryLog())
    with pytest.raises(UsageError, match="async methods only"):
        batch.run()
    again = Batch(work, items(), name="b", log=MemoryLog())
    assert (await again.arun()).completed == 300
    with pytest.raises(UsageError, match="under asyncio only"):
        FunctionWork(work).run(None)


@pytest.mark.feature("BATCH-002")
@pytest.mark.parametrize("burst", [1, 5])
def test_attempts_begin_no_faster_than_the_rate(burst):
    """On the simulated host, whose clock moves with port calls and waits only."""
    host = SimulatedHost(5)
    begun = []
    batch = Batch(
        lambda value: begun.append(host.elapsed()),
        range(60),
        name="b",
        log=MemoryLog(),
        host=host,
        rate=Rate(10, per=1.0, burst=burst),
    )
    assert batch.run().completed == 60
    bucket = TokenBucket(Rate(10, 1.0, burst))
    assert begun[-1] - begun[0] >= (59 - burst) / 10 - 1
    assert begun[-1] - begun[0] < 60 / 10 + 2, "it does not wait for nothing"
    assert bucket.wait(0) == 0


@pytest.mark.feature("BATCH-002")
@pytest.mark.parametrize("text", ["10", "ten/s", "10/fortnight", "/s"])
def test_a_rate_that_cannot_be_read_says_how_to_write_one(text):
    with pytest.raises(UsageError, match="Write one as 10/s"):
        Batch(len, [], name="b", log=MemoryLog(), rate=text)
    assert Rate.parse("90/min") == Rate(90, 60.0)


@pytest.mark.feature("BATCH-001")
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"name": ""}, "1 to 200"),
        ({"name": "a\nb"}, "printable"),
        ({"on_error": "explode"}, "on_error"),
        ({"concurrency": 0}, "concurrency"),
        ({"failure_threshold": 1.5}, "a share is between 0 and 1"),
        ({"work": 5}, "runs no items"),
        ({"work": StateGraph(State)}, "not compiled"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_recorded(wrong, message):
    log = MemoryLog()
    options = {"work": len, "items": [], "name": "b", "log": log, **wrong}
    with pytest.raises(UsageError, match=message):
        Batch(options.pop("work"), options.pop("items"), **options)
    assert log.streams() == []


@pytest.mark.feature("BATCH-001")
def test_a_batch_is_kept_beside_the_threads_of_a_graph_in_memory():
    saver = InMemorySaver()
    batch = Batch(Nodes().graph(saver), INPUTS, name="b")
    assert batch.run().completed == 4
    assert batch.log is saver.log


@pytest.mark.feature("BATCH-001")
def test_an_owner_that_was_away_longer_than_its_lease_commits_nothing():
    now = [0]
    first = MemoryLog(lease_seconds=10.0, clock=lambda: now[0])
    second = MemoryLog(first.store, lease_seconds=10.0, clock=lambda: now[0])
    others = []

    def work(value):
        if value == 3 and not others:
            now[0] += 11_000_000_000  # as after a SIGSTOP
            others.append(None)
            others[0] = Batch(lambda value: -value, range(6), name="b", log=second).run()
        return value

    with pytest.raises(FencedError):
        Batch(work, range(6), name="b", log=first, concurrency=1).run()
    assert others[0].completed == 6
    results = [result.value for result in Batch(work, name="b", log=second).results()]
    assert results == [0, 1, 2, -3, -4, -5]


@pytest.mark.feature("BATCH-001")
def test_a_batch_that_is_left_before_it_runs_begins_nothing():
    ran = []
    batch = Batch(ran.append, range(6), name="b", log=MemoryLog())
    batch.leave()
    progress = batch.run()
    assert (progress.status, progress.accepted, ran) == (BatchStatus.RUNNING, 0, [])
    assert Batch(ran.append, range(6), name="b", log=batch.log).run().completed == 6
