"""Cancels at random moments: after the record that a run is cancelled there is nothing of it any more."""

import asyncio
import operator
import random
from typing import Annotated, TypedDict

import pytest

from dashflow.checkpoint.memory import InMemorySaver
from dashflow.checkpoint.sqlite import SqliteSaver
from dashflow.errors import RunCancelledError
from dashflow.func import task
from dashflow.graph import END, START, StateGraph

pytestmark = [pytest.mark.feature("RUN-08"), pytest.mark.guarantee("cancel-wins")]


class State(TypedDict):
    n: Annotated[int, operator.add]


@task
async def called(n):
    await asyncio.sleep(0)
    return n


async def turns(count):
    for _ in range(count):
        await asyncio.sleep(0)


def build(saver, chance):
    async def step(state: State):
        await turns(chance.randrange(4))
        return {"n": 1}

    async def stubborn(state: State):
        try:
            await turns(chance.randrange(6))
        except asyncio.CancelledError:
            await asyncio.sleep(0)
        return {"n": 1}

    async def calls(state: State):
        return {"n": await called(1) + await called(1)}

    def sync(state: State):
        return {"n": 1}

    inner = StateGraph(State)
    inner.add_node("one", stubborn)
    inner.add_node("two", step)
    inner.add_edge(START, "one")
    inner.add_edge("one", "two")
    graph = StateGraph(State)
    graph.add_node("step", step)
    for name, action in (
        ("stubborn", stubborn),
        ("calls", calls),
        ("sync", sync),
        ("inner", inner.compile()),
    ):
        graph.add_node(name, action)
        graph.add_edge("step", name)
        graph.add_edge(name, "join")
    graph.add_node("join", step)
    graph.add_edge(START, "step")
    graph.add_conditional_edges("join", lambda state: "step" if state["n"] < 60 else END)
    return graph.compile(checkpointer=saver)


async def one(saver, seed):
    chance = random.Random(seed)
    graph = build(saver, chance)
    config = {"configurable": {"thread_id": f"t{seed}"}}
    durability = chance.choice(["sync", "async", "exit"])
    run = asyncio.create_task(graph.ainvoke({"n": 0}, config, durability=durability))
    await turns(chance.randrange(5, 150))
    if chance.random() < 0.2:
        await asyncio.sleep(chance.random() * 0.01)
    told = await graph.acancel(config, wait=30)
    if told.status == "idle":  # it was not accepted yet
        await run
        return "before"
    acknowledged = saver.log.read_all(limit=10**6)[-1].position
    try:
        await run
        ended = "finished"
    except RunCancelledError:
        ended = "cancelled"
    assert told.status == ended, (seed, told)
    behind = [r for r in saver.log.read_all(after=acknowledged, limit=10**6) if f"t{seed}" in r.stream]
    if ended == "cancelled":
        mine = [
            r
            for r in saver.log.read_all(limit=10**6)
            if r.stream == f"run-t{seed}" or r.stream.startswith(f"sub-t{seed}|")
        ]
        assert mine[-1].type == "RunCancelled", (seed, [r.type for r in mine[-3:]])
        assert behind == [], seed
        assert all(not i.owner for i in saver.log.streams() if i.stream in {r.stream for r in mine}), seed
        assert (await graph.ainvoke(None, config))["n"] >= 60  # and it can go on
    return ended


async def many(saver, seeds):
    return [await one(saver, seed) for seed in seeds]


def test_nothing_comes_after_a_cancel(soak, tmp_path):
    seeds = range(1000 if soak else 60)
    ends = []
    for start in range(0, len(seeds), 20):
        ends += asyncio.run(many(InMemorySaver(), seeds[start : start + 20]))
    assert ends.count("cancelled") > len(seeds) // 3
    if soak:
        return
    with SqliteSaver.from_conn_string(str(tmp_path / "log.db")) as saver:
        asyncio.run(many(saver, range(1000, 1015)))
