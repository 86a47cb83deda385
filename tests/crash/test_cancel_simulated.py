"""Cancels on the simulated host: a crash at every port call of who cancels, and of who is cancelled."""

from typing import TypedDict

import pytest

from dashflow.checkpoint.saver import LogSaver
from dashflow.errors import RunCancelledError
from dashflow.graph import END, START, StateGraph
from dashflow.hosts.simulated import SimulatedCrash, SimulatedHost
from dashflow.log.memory import MemoryLog
from dashflow.types import interrupt

pytestmark = [pytest.mark.feature("RUN-08"), pytest.mark.guarantee("cancel-wins")]

CONFIG = {"configurable": {"thread_id": "t"}}


class State(TypedDict):
    n: int


def graph_of(log, node):
    graph = StateGraph(State)
    graph.add_node("node", node)
    graph.add_edge(START, "node")
    graph.add_conditional_edges("node", lambda state: "node" if state["n"] < 6 else END)
    return graph.compile(checkpointer=LogSaver(log))


def asks(state: State):
    return {"n": interrupt("?")}


def types_of(log):
    return [record.type for record in log.read("run-t")]


def test_a_crash_of_who_cancels_leaves_nothing_half_done():
    for after in (False, True):
        call = 0
        while True:
            call += 1
            log = MemoryLog()
            graph_of(log, asks).invoke({"n": 0}, CONFIG)
            host = SimulatedHost(call, crash_at=call, crash_after=after)
            try:
                assert graph_of(log, asks).with_host(host).cancel(CONFIG).status == "cancelled"
            except SimulatedCrash:
                assert types_of(log).count("RunCancelled") <= 1
                assert graph_of(log, asks).cancel(CONFIG).status == "cancelled"
                assert types_of(log).count("RunCancelled") == 1
                continue
            break
        assert call > 3


@pytest.mark.parametrize("durability", ["sync", "async"])
def test_a_run_meets_a_cancel_at_its_next_record(durability):
    log = MemoryLog()
    ran = []

    def node(state: State):
        ran.append(state["n"])
        if state["n"] == 2:
            other.cancel(CONFIG, reason="enough")
        return {"n": state["n"] + 1}

    other = graph_of(log, node).with_host(SimulatedHost(7))
    graph = graph_of(log, node).with_host(SimulatedHost(3))
    with pytest.raises(RunCancelledError, match="enough"):
        graph.invoke({"n": 0}, CONFIG, durability=durability)
    assert types_of(log)[-2:] == ["CancelRequested", "RunCancelled"]
    # Under "async" a record may be on its way when the next node begins; what comes of that is refused.
    assert ran in ([0, 1, 2], [0, 1, 2, 3]) if durability == "async" else ran == [0, 1, 2]
    assert graph.get_state(CONFIG).values["n"] <= 2


def test_a_crash_of_who_is_cancelled_is_cleared_up_by_others():
    for crash in range(1, 60):
        log = MemoryLog()

        def node(state: State, log=log):
            if state["n"] == 2 and "CancelRequested" not in types_of(log):
                graph_of(log, node).with_host(SimulatedHost(7)).cancel(CONFIG)
            return {"n": state["n"] + 1}

        running = MemoryLog(log.store)
        graph = graph_of(running, node).with_host(SimulatedHost(crash, crash_at=crash))
        try:
            graph.invoke({"n": 0}, CONFIG)
        except (SimulatedCrash, RunCancelledError):
            running.close()  # the process is dead
        told = graph_of(log, node).cancel(CONFIG, wait=5).status
        begun = "RunStarted" in types_of(log)
        assert told == ("cancelled" if begun else "idle"), crash
        assert not begun or types_of(log)[-1] == "RunCancelled"
        assert types_of(log).count("RunCancelled") <= 1
