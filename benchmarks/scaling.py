"""The work whose cost is looked at as something grows: state, history, graph, threads; and streamed tokens.

Same rules as ``benchmarks.workloads``: written once for any package with LangGraph's names.
"""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Callable
from importlib import import_module
from itertools import count
from random import Random
from typing import Annotated, Any, TypedDict

from benchmarks.package import Count, Library, chain, config, expect, loop
from benchmarks.samples import per_unit
from benchmarks.workloads import Figures

STEPS = 50
"""Steps of the loop that runs beside a large value."""

TOKENS = 2000
AGAIN = 5
PAGE = 4096


class Held(TypedDict):
    """A number that changes in every step, and a value that nobody touches."""

    n: int
    held: bytes


def state_size(lib: Library, kilobytes: int) -> Figures:
    """A loop of 50 steps beside a value of that size which no step touches, on SQLite: time per step, and
    growth of the file beyond what keeping the value once takes."""

    def add(state: Held) -> dict[str, int]:
        return {"n": state["n"] + 1}

    graph = lib.StateGraph(Held)
    graph.add_node("add", add)
    graph.add_edge(lib.START, "add")
    graph.add_conditional_edges("add", lambda state: "add" if state["n"] < STEPS else lib.END)
    place = lib.place("sqlite")
    held = Random(kilobytes).randbytes(kilobytes * 1000)
    with lib.saver("sqlite", place) as saver:
        graph.compile(checkpointer=saver).invoke({"n": STEPS - 1, "held": b""}, config("first"))
    size = place.size()
    with lib.saver("sqlite", place) as saver:
        run = graph.compile(checkpointer=saver).invoke
        run({"n": STEPS - 1, "held": b""}, config("again"))
        start = time.process_time()
        expect(run({"n": 0, "held": held}, config(0))["n"], STEPS)
        seconds = time.process_time() - start
    grown = place.size() - size - len(held)
    return {"step": seconds / STEPS * 1e6, "growth": max(1.0, grown / STEPS)}


def history_length(lib: Library, steps: int) -> Figures:
    """A thread with so many steps behind it, on SQLite: a further run of five, and a look at the latest
    state."""

    def add(state: Count) -> dict[str, int]:
        return {"n": state["n"] + 1}

    graph = lib.StateGraph(Count)
    graph.add_node("add", add)
    graph.add_edge(lib.START, "add")
    graph.add_conditional_edges("add", lambda state: "add" if state["n"] % 1_000_000 else lib.END)
    where: dict[str, Any] = {"recursion_limit": steps + 50, "configurable": {"thread_id": "0"}}
    with lib.saver("sqlite", lib.place("sqlite")) as saver:
        compiled = graph.compile(checkpointer=saver)
        compiled.invoke({"n": 1_000_000 - steps}, where)

        def more() -> None:
            for _ in range(AGAIN):
                compiled.invoke({"n": 1_000_000 - 5}, where)

        more()
        run = per_unit(more, AGAIN)
        look = per_unit(lambda: [compiled.get_state(where) for _ in range(AGAIN)], AGAIN)
    return {"run": run, "look": look}


def graph_size(lib: Library, nodes: int) -> Figures:
    """A chain of so many nodes without a saver: compiling it, and running it, per node."""
    start = time.process_time()
    graph = chain(lib, nodes, asynchronous=False).compile()
    compiled = time.process_time() - start
    where: dict[str, Any] = {"recursion_limit": nodes + 10}
    run = per_unit(lambda: expect(graph.invoke({"n": 0}, where), {"n": nodes}), nodes)
    return {"compile": compiled / nodes * 1e6, "step": run}


def idle_threads(lib: Library, threads: int) -> Figures:
    """So many threads that had one run each on SQLite and are open in this process: memory of each, and a
    second run of any of them."""
    with lib.saver("sqlite", lib.place("sqlite")) as saver:
        graph = loop(lib, 1).compile(checkpointer=saver)
        for number in range(50):  # what a first run makes once
            graph.invoke({"n": 0}, config(f"warm{number}"))
        before = _memory()
        for number in range(threads):
            graph.invoke({"n": 0}, config(number), durability="exit")
        held = _memory() - before
        chance, number = Random(threads), 20

        def again() -> None:
            for _ in range(number):
                expect(graph.invoke({"n": 0}, config(chance.randrange(threads))), {"n": 1})

        run = per_unit(again, number)
    return {"bytes": held / threads, "run": run}


def running_threads(lib: Library, threads: int) -> Figures:
    """So many runs that wait inside a node at the same time: memory of each."""

    async def measure() -> Figures:
        reached, go_on = count(), asyncio.Event()
        everybody = asyncio.Event()

        async def wait(state: Count) -> dict[str, int]:
            if next(reached) == threads - 1:
                everybody.set()
            await go_on.wait()
            return {"n": state["n"] + 1}

        graph = lib.StateGraph(Count)
        graph.add_node("wait", wait)
        graph.add_edge(lib.START, "wait")
        with lib.saver("memory") as saver:
            compiled = graph.compile(checkpointer=saver)
            before = _memory()
            runs = [
                asyncio.ensure_future(compiled.ainvoke({"n": 0}, config(number))) for number in range(threads)
            ]
            await everybody.wait()
            held = _memory() - before
            go_on.set()
            expect(await asyncio.gather(*runs), [{"n": 1}] * threads)
        return {"bytes": held / threads}

    return asyncio.run(measure())


def _memory() -> int:
    """Bytes of this process that are in memory."""
    gc.collect()
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * PAGE


def tokens(lib: Library) -> Figures:
    """Tokens of a model in the innermost of three nested graphs, streamed to the caller."""
    language = import_module("langchain_core.language_models.fake_chat_models")
    messages = import_module("langchain_core.messages")
    add_messages = import_module(f"{lib.package}.graph.message").add_messages
    text = " ".join(f"token{number}" for number in range(TOKENS // 2))  # blanks are tokens, too

    class Talk(TypedDict):
        messages: Annotated[list[Any], add_messages]

    async def talk(state: Talk) -> dict[str, Any]:
        model = language.GenericFakeChatModel(messages=iter([messages.AIMessage(text)]))
        return {"messages": [await model.ainvoke(state["messages"])]}

    node: Any = talk
    for _ in range(3):
        graph = lib.StateGraph(Talk)
        graph.add_node("inner", node)
        graph.add_edge(lib.START, "inner")
        node = graph.compile()

    async def streamed() -> int:
        found = 0
        parts: AsyncIterator[Any] = node.astream(
            {"messages": [messages.HumanMessage("hi")]}, stream_mode="messages", subgraphs=True
        )
        async for _ in parts:
            found += 1
        return found

    async def measure() -> Figures:
        await streamed()
        start = time.process_time()
        found = await streamed()
        seconds = time.process_time() - start
        expect(found >= TOKENS - 1, True)
        return {"rate": found / seconds}

    return asyncio.run(measure())


WORK: dict[str, Callable[..., Figures]] = {
    work.__name__: work
    for work in (
        state_size,
        history_length,
        graph_size,
        idle_threads,
        running_threads,
        tokens,
    )
}
