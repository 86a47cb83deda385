"""Gaps in recovery that the simulation found, each by itself on real savers and workers."""

import operator
from typing import Annotated, Any, TypedDict

import pytest

from dashflow._util.drive import drive
from dashflow.checkpoint.inbox import has_worker
from dashflow.checkpoint.saver import LogSaver
from dashflow.engine.recovery import Recovery
from dashflow.graph import START, StateGraph
from dashflow.hosts.simulated import SimulatedCrash
from dashflow.hosts.sync import SyncHost
from dashflow.log.base import EVERYTHING, Append
from dashflow.log.memory import MemoryLog, MemoryStore
from dashflow.testing.chaos import Chaos, Fault
from dashflow.worker.worker import Worker

pytestmark = pytest.mark.feature("PERSIST-000")

CONFIG = {"configurable": {"thread_id": "t"}}


class State(TypedDict, total=False):
    """What the graphs work on."""

    said: Annotated[list[str], operator.add]
    log: Annotated[list[Any], operator.add]


def talk() -> StateGraph:
    """A node that answers all that was said."""
    builder = StateGraph(State).add_node("answer", lambda state: {"log": [len(state["said"])]})
    return builder.add_edge(START, "answer")


def die(store: MemoryStore, builder: StateGraph, given: Any, fault: Fault) -> None:
    """A process that dies."""
    log = MemoryLog(store)
    with Chaos([fault]), pytest.raises(SimulatedCrash):
        builder.compile(checkpointer=LogSaver(log)).invoke(given, CONFIG, durability="sync")
    log.abandon()


def test_an_input_is_part_of_the_state_though_its_run_died_before_the_first_step() -> None:
    store = MemoryStore()
    die(store, talk(), {"said": ["one"]}, Fault("accept.after", "crash"))
    graph = talk().compile(checkpointer=LogSaver(MemoryLog(store)))
    assert graph.invoke({"said": ["two"]}, CONFIG) == {"said": ["one", "two"], "log": [2]}
    # It is recorded so: whoever reads the thread later sees the same.
    fresh = talk().compile(checkpointer=LogSaver(MemoryLog(store)))
    assert fresh.get_state(CONFIG).values == {"said": ["one", "two"], "log": [2]}


def test_a_message_id_is_given_once_to_an_input_that_died() -> None:
    from langchain_core.messages import HumanMessage

    from dashflow.graph import MessagesState

    builder = StateGraph(MessagesState).add_node("answer", lambda state: {}).add_edge(START, "answer")
    store = MemoryStore()
    die(store, builder, {"messages": [HumanMessage("one")]}, Fault("accept.after", "crash"))
    graph = builder.compile(checkpointer=LogSaver(MemoryLog(store)))
    made = graph.invoke({"messages": [HumanMessage("two")]}, CONFIG)["messages"]
    fresh = builder.compile(checkpointer=LogSaver(MemoryLog(store)))
    read = fresh.get_state(CONFIG).values["messages"]
    assert [one.content for one in read] == ["one", "two"]
    assert [one.id for one in read] == [one.id for one in made]


def test_a_graph_that_keeps_its_state_per_thread_gets_the_input_it_was_called_with() -> None:
    inner = talk().compile(checkpointer=True)

    def build(saver: LogSaver) -> Any:
        builder = StateGraph(State).add_node("before", lambda state: {})
        builder.add_node("inner", lambda state: {"log": inner.invoke({"said": state["said"][-1:]})["said"]})
        return builder.add_edge(START, "before").add_edge("before", "inner").compile(checkpointer=saver)

    store = MemoryStore()
    build(LogSaver(MemoryLog(store))).invoke({"said": ["one"]}, CONFIG)
    log = MemoryLog(store)
    with Chaos([Fault("node.before", "crash", only="inner")]), pytest.raises(SimulatedCrash):
        build(LogSaver(log)).invoke({"said": ["two"]}, CONFIG, durability="sync")
    log.abandon()
    result = build(LogSaver(MemoryLog(store))).invoke(None, CONFIG)
    assert result["log"] == ["one", "one", "two"]


def test_a_worker_that_was_away_is_there_again_and_leaves_in_peace() -> None:
    log = MemoryLog()
    reader = LogSaver(log).reader
    recovery = Recovery(SyncHost(), reader)
    drive(recovery.arrive(["shop"]))
    (presence,) = [info.stream for info in log.streams(category="worker")]
    # As another worker does when the lease is over.
    sweep = Append(
        presence, owner=f"{log.instance}/other", claim=True, force=True, release=True, forget=EVERYTHING
    )
    log.append(sweep)
    assert not has_worker(reader, "shop")
    drive(recovery.look())
    assert has_worker(reader, "shop")
    (presence,) = [info.stream for info in log.streams(category="worker")]
    log.append(Append(presence, owner=f"{log.instance}/other", claim=True, force=True, release=True))
    drive(recovery.leave())


def test_a_worker_that_runs_once_takes_the_inputs_of_a_thread_that_it_gives_back() -> None:
    store = MemoryStore()
    first = MemoryLog(store)
    graph = talk().compile(checkpointer=LogSaver(first), name="talk")
    graph.invoke({"said": ["one"]}, CONFIG)
    holder = f"{first.instance}/somebody"
    first.append(Append("run-t", owner=holder, claim=True))
    # An input that waits for the thread, and whose process dies with the one that holds it.
    second = MemoryLog(store)
    waiting = talk().compile(checkpointer=LogSaver(second), name="talk")
    with Chaos([Fault("read.after", "crash", only="inbox-t", at=3)]), pytest.raises(SimulatedCrash):
        waiting.invoke({"said": ["two"]}, CONFIG)
    first.abandon()
    second.abandon()
    log = MemoryLog(store)
    assert [info.stream for info in log.abandoned(category="run")] == ["run-t"]
    last = talk().compile(checkpointer=LogSaver(log), name="talk")
    Worker([last]).run(once=True)
    assert last.get_state(CONFIG).values == {"said": ["one", "two"], "log": [1, 2]}


@pytest.mark.feature("RUN-13")
def test_who_goes_back_to_where_an_input_waited_gives_it_up() -> None:
    graph = talk().compile(checkpointer=LogSaver(MemoryLog()))
    graph.invoke({"said": ["one"]}, CONFIG)
    graph.invoke({"said": ["two"]}, CONFIG)
    waited = next(s for s in graph.get_state_history(CONFIG) if s.metadata["source"] == "input")
    assert waited.values["said"] == ["one"]
    assert graph.invoke({"said": ["three"]}, waited.config)["said"] == ["one", "three"]
