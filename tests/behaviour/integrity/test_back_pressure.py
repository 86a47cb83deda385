"""A store that does not keep up bounds how far a run goes ahead of it: in steps, and in bytes.

The store here commits when somebody waits for it and not before, as one that takes very long; what has piled
up by then is how far the run was ahead.
"""

import asyncio
import operator
from collections import deque
from collections.abc import Callable
from typing import Annotated, Any, TypedDict

import pytest

from dashflow.checkpoint.ahead import Ahead
from dashflow.checkpoint.saver import LogSaver
from dashflow.errors import UsageError
from dashflow.graph import END, START, StateGraph
from dashflow.log.base import Append, Appended
from dashflow.log.memory import MemoryLog

pytestmark = pytest.mark.feature("NEW-10")

CONFIG: Any = {"configurable": {"thread_id": "t"}, "recursion_limit": 1000}


class Slow:
    """A ticket that is done once somebody has waited for it."""

    def __init__(self, log: "SlowLog", append: Append) -> None:
        self.log = log
        self.append = append
        self.result: Appended | None = None

    @property
    def done(self) -> bool:
        return self.result is not None

    def wait(self) -> Appended:
        while self.result is None:
            self.log.commit_one()
        return self.result

    def on_done(self, callback: Callable[[], None]) -> None:
        self.wait()
        callback()


class SlowLog(MemoryLog):
    def __init__(self) -> None:
        super().__init__()
        self.queued: deque[Slow] = deque()
        self.bytes = self.most = self.most_bytes = 0

    def submit(self, append: Append) -> Slow:
        ticket = Slow(self, append)
        self.queued.append(ticket)
        self.bytes += size(append)
        self.most = max(self.most, sum(len(one.append.events) for one in self.queued))
        self.most_bytes = max(self.most_bytes, self.bytes)
        return ticket

    def append(self, append: Append) -> Appended:
        while self.queued:
            self.commit_one()
        return super().append(append)

    def commit_one(self) -> None:
        ticket = self.queued.popleft()
        self.bytes -= size(ticket.append)
        ticket.result = super().append(ticket.append)


def size(append: Append) -> int:
    return sum(len(event.data) + sum(map(len, event.blobs.values())) for event in append.events)


class State(TypedDict):
    n: int
    texts: Annotated[list, operator.add]


def run(
    log: SlowLog, durability: str, *, steps: int, text: int, ahead: Ahead | None = None, aio: bool = False
):
    def step(state: State):
        return {"n": state["n"] + 1, "texts": [f"{state['n']:09}" * (text // 9)]}

    graph = StateGraph(State).add_node("step", step).add_edge(START, "step")
    graph.add_conditional_edges("step", lambda state: "step" if state["n"] < steps else END)
    saver = LogSaver(log)
    if ahead is not None:
        saver.ahead = ahead
    app = graph.compile(checkpointer=saver)
    given = {"n": 0, "texts": []}
    if aio:
        return asyncio.run(app.ainvoke(given, CONFIG, durability=durability))
    return app.invoke(given, CONFIG, durability=durability)


@pytest.mark.parametrize("aio", [False, True], ids=["sync", "asyncio"])
@pytest.mark.parametrize("durability", ["async", "exit"])
@pytest.mark.guarantee("back-pressure")
def test_a_run_is_at_most_64_steps_ahead(durability, aio):
    log = SlowLog()
    assert run(log, durability, steps=400, text=90, aio=aio)["n"] == 400
    assert 32 < log.most <= 64 + 2
    assert len(log.read("run-t")) == 403


@pytest.mark.parametrize("durability", ["async", "exit"])
@pytest.mark.guarantee("back-pressure")
def test_a_run_is_at_most_16_megabytes_ahead(durability):
    log = SlowLog()
    assert run(log, durability, steps=100, text=1_000_000)["n"] == 100
    assert 8_000_000 < log.most_bytes <= 16_000_000 + 2 * 1_100_000
    assert log.most < 20


@pytest.mark.guarantee("back-pressure")
def test_under_sync_nothing_is_ahead():
    log = SlowLog()
    run(log, "sync", steps=50, text=90)
    assert log.most <= 1


def test_how_far_is_a_setting():
    log = SlowLog()
    run(log, "async", steps=100, text=90, ahead=Ahead(steps=5))
    assert log.most <= 5 + 2
    log = SlowLog()
    run(log, "async", steps=100, text=9_000, ahead=Ahead(bytes=200_000))
    assert log.most_bytes <= 200_000 + 70_000
    with pytest.raises(UsageError, match="at least one step"):
        LogSaver(MemoryLog()).ahead = Ahead(steps=0)
