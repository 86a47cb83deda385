"""A gate on cost without a clock: calls per superstep, bytes per turn, and what an import loads.

Counts are the same on every machine, however busy, so that a slower hot loop is seen at once. When a count
has to grow, it is for the one who grows it to say why, here.
"""

import asyncio
import gc
import json
import os
import subprocess
import sys
import threading
from operator import add
from typing import Annotated, TypedDict

import pytest

from dashflow.checkpoint.memory import InMemorySaver
from dashflow.checkpoint.saver import LogSaver
from dashflow.graph import END, START, StateGraph
from dashflow.log.memory import MemoryLog

pytestmark = pytest.mark.feature("NEW-07")

HEAVY = {"langchain_core", "langsmith", "pydantic", "httpx", "rich", "click", "sqlite3", "asyncio"}

LOADED = """
import json, sys
before = set(sys.modules)
from dashflow.graph import StateGraph
print(json.dumps(sorted(set(sys.modules) - before)))
"""


class State(TypedDict):
    n: int


class Talk(TypedDict):
    messages: Annotated[list, add]


def loop(steps, saver=None, asynchronous=False):
    """A graph of one node that runs ``steps`` times."""

    def add(state: State):
        return {"n": state["n"] + 1}

    async def aadd(state: State):
        return {"n": state["n"] + 1}

    def again(state: State):
        return "add" if state["n"] < steps else END

    graph = StateGraph(State)
    graph.add_node("add", aadd if asynchronous else add)
    graph.add_edge(START, "add")
    graph.add_conditional_edges("add", again)
    return graph.compile(checkpointer=saver)


def calls(work):
    """How many Python and C functions ``work`` calls, on this thread and on those that it starts."""
    count = 0

    def tally(frame, event, argument):
        nonlocal count
        if event in ("call", "c_call"):
            count += 1

    before = sys.getprofile()
    gc.collect()
    gc.disable()  # it would call finalisers of other tests
    threading.setprofile(tally)
    sys.setprofile(tally)
    try:
        work()
    finally:
        sys.setprofile(before)
        threading.setprofile(None)
        gc.enable()
    return count


def per_step(make_work):
    """Calls of one more step: what 50 more steps call, so that the cost of a run itself falls out.

    The least of three counts: beside other tests one was seen to be a few calls higher.
    """
    made = []
    for steps in (50, 100):
        make_work(steps)()  # whatever is made once is made now
        made.append(min(calls(make_work(steps)) for _ in range(3)))
    return (made[1] - made[0]) / 50


def config(thread="t"):
    return {"recursion_limit": 1000, "configurable": {"thread_id": thread}}


def test_a_superstep_makes_few_calls():
    def work(steps):
        graph = loop(steps)
        return lambda: graph.invoke({"n": 0}, config())

    assert per_step(work) <= 60


def test_a_superstep_makes_few_calls_on_asyncio():
    def work(steps):
        graph = loop(steps, asynchronous=True)

        async def run():
            await graph.ainvoke({"n": 0}, config())

        return lambda: asyncio.run(run())

    assert per_step(work) <= 66


def test_recording_a_superstep_makes_few_calls():
    def work(steps):
        graph = loop(steps, InMemorySaver())
        return lambda: graph.invoke({"n": 0}, config())

    # 6 more than at first: what the only task of a step wrote is told too, so that history can show it.
    assert per_step(work) <= 127


def test_a_run_of_one_node_makes_few_calls():
    graph = loop(1)
    graph.invoke({"n": 0})
    # 75 more than at first: LangGraph's whole signature, histories of graphs inside graphs, callbacks,
    # control; 23 of them ask LangChain, where all of it is loaded, whether something traces.
    assert calls(lambda: graph.invoke({"n": 0})) <= 335


@pytest.mark.feature("NEW-08")
def test_an_input_for_a_free_thread_asks_its_inbox_once():
    asked = []

    class Asked(MemoryLog):
        def version(self, stream):
            asked.append(stream)
            return super().version(stream)

        def versions(self, streams):
            asked.extend(streams)
            return super().versions(streams)

        def read(self, stream, **bounds):
            asked.append(stream)
            return super().read(stream, **bounds)

    graph = loop(3, LogSaver(Asked()))
    graph.invoke({"n": 0}, config())
    asked.clear()
    graph.invoke({"n": 0}, config())
    assert asked.count("inbox-t") == 1
    # 54 more than at first: that question, what a turn is made of, and where the run's steps are kept.
    assert calls(lambda: graph.invoke({"n": 0}, config())) <= 1216


def test_looking_at_a_thread_makes_few_calls():
    graph = loop(3, InMemorySaver())
    graph.invoke({"n": 0}, config())

    def look(read):
        return lambda: read(graph.get_state(config()))

    look(tuple)()
    counts = [calls(look(read)) for read in (id, lambda shown: shown.values, lambda shown: shown.next, tuple)]
    # Half of it is the caller's config, and where the thread is (seven for whether that is known without
    # asking on a thread of its own); then, what is read.
    for count, most in zip(counts, (112, 135, 159, 208), strict=True):
        assert count <= most


def test_the_history_of_a_thread_makes_few_calls_per_checkpoint():
    graph = loop(100, InMemorySaver())
    graph.invoke({"n": 0}, config())

    def listed(read, limit):
        return lambda: [read(shown) for shown in graph.get_state_history(config(), limit=limit)]

    for read, most in ((id, 26), (lambda shown: shown.values, 50), (tuple, 182)):
        listed(read, 70)()
        assert (calls(listed(read, 70)) - calls(listed(read, 20))) / 50 <= most


@pytest.mark.feature("NEW-02")
def test_a_growing_conversation_records_only_what_was_added():
    def reply(state: Talk):
        return {"messages": [{"role": "assistant", "content": "x" * 200}]}

    saver = InMemorySaver()
    graph = StateGraph(Talk).add_node("reply", reply).add_edge(START, "reply").compile(checkpointer=saver)
    for _ in range(60):
        graph.invoke({"messages": [{"role": "user", "content": "y" * 200}]}, config())
    sizes = [len(record.data) for record in saver.log.read("run-t")]
    turn = len(sizes) // 60
    assert sum(sizes[-10 * turn :]) <= 1.05 * sum(sizes[10 * turn : 20 * turn])


def test_importing_the_graph_loads_nothing_heavy():
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    done = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, check=True, env=environment
    )
    loaded = json.loads(done.stdout)
    assert HEAVY & {name.partition(".")[0] for name in loaded} == set()
    # Modules of their own: the low-level graph, policies of nodes, branches (streams, methods, results),
    # lists of checkpoints, values as they are kept (twice, and half opened), looks (channels, sights,
    # snapshots), errors of effects, what answers are bound to, and folding many steps at once.
    assert len(loaded) <= 248
