"""The work that is measured, written once for any package with LangGraph's names.

Every function takes the package's names, does the same work with each, checks the result, and returns
figures by name. May import nothing but what that package offers, LangChain's messages and the stdlib.
``where`` says what records are kept in: ``none``, ``memory``, ``sqlite`` or ``postgres``.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from operator import attrgetter
from statistics import median
from typing import Any

from benchmarks.package import (
    FAN,
    STEPS,
    TEXT,
    Library,
    asking,
    chain,
    config,
    conversation,
    expect,
    fan,
    loop,
    prose,
    waiting,
)
from benchmarks.samples import calls_made, per_unit, per_unit_awaited

FLUSHED = 200
"""Steps of the loop where each is flushed to the disk: that can take milliseconds."""

WARM = 5
"""Steps that are run before a loop is measured."""

TALKS = 20
ITEMS = 200
Figures = dict[str, float | None]


# -- without a checkpointer -------------------------------------------------------------------------


def chain_sync(lib: Library) -> Figures:
    """A chain of 10 trivial nodes; and what one invocation of a single node costs."""
    figures: Figures = {}
    for length, name in ((10, "step"), (1, "invoke")):
        graph = chain(lib, length, asynchronous=False).compile()
        expect(graph.invoke({"n": 0}), {"n": length})
        figures[name] = per_unit(partial(_again, graph.invoke), 20 * length)
    return figures


def _again(run: Callable[..., Any]) -> None:
    for _ in range(20):
        run({"n": 0})


def chain_async(lib: Library) -> Figures:
    """The same on asyncio."""

    async def measure() -> Figures:
        figures: Figures = {}
        for length, name in ((10, "step"), (1, "invoke")):
            graph = chain(lib, length, asynchronous=True).compile()
            expect(await graph.ainvoke({"n": 0}), {"n": length})

            async def runs(run: Callable[..., Any] = graph.ainvoke) -> None:
                for _ in range(20):
                    await run({"n": 0})

            figures[name] = await per_unit_awaited(runs, 20 * length)
        return figures

    return asyncio.run(measure())


def loop_sync(lib: Library) -> Figures:
    """A loop of 1,000 steps."""
    graph = loop(lib, STEPS).compile()
    return {"step": per_unit(lambda: expect(graph.invoke({"n": 0}, config(0)), {"n": STEPS}), STEPS)}


def loop_async(lib: Library) -> Figures:
    """The same on asyncio."""
    graph = loop(lib, STEPS, asynchronous=True).compile()

    async def run() -> None:
        expect(await graph.ainvoke({"n": 0}, config(0)), {"n": STEPS})

    return {"step": asyncio.run(per_unit_awaited(run, STEPS))}


def calls(lib: Library) -> Figures:
    """Calls per superstep: what 100 more steps call, so that the cost of a run itself falls out."""
    figures: Figures = {}
    for asynchronous, name in ((False, "sync"), (True, "async")):
        made: list[int] = []
        for steps in (100, 200):
            graph = loop(lib, steps, asynchronous=asynchronous).compile()

            async def arun(graph: Any = graph) -> None:
                await graph.ainvoke({"n": 0}, config(0))

            def run(graph: Any = graph) -> None:
                graph.invoke({"n": 0}, config(0))

            work = (lambda arun=arun: asyncio.run(arun())) if asynchronous else run
            work()
            made.append(calls_made(work))
        figures[name] = (made[1] - made[0]) / 100
    return figures


def send(lib: Library) -> Figures:
    """``Send`` to 100 tasks, per task."""
    graph = fan(lib, asynchronous=False).compile()
    agraph = fan(lib, asynchronous=True).compile()
    wanted = {"out": list(range(FAN))}

    async def arun() -> None:
        expect(await agraph.ainvoke({"out": []}), wanted)

    graph.invoke({"out": []})
    return {
        "sync": per_unit(lambda: expect(graph.invoke({"out": []}), wanted), FAN),
        "async": asyncio.run(per_unit_awaited(arun, FAN)),
    }


def abatch(lib: Library) -> Figures:
    """``abatch`` of 200 runs that each wait 5 ms: how long all of them take."""
    graph = waiting(lib).compile()

    async def measure() -> Figures:
        given = [{"n": number} for number in range(ITEMS)]
        await graph.abatch(given[:2])
        times: list[float] = []
        for _ in range(3):
            start = time.perf_counter()
            found = await graph.abatch(given)
            times.append(time.perf_counter() - start)
            expect([state["n"] for state in found], list(range(1, ITEMS + 1)))
        return {"ms": median(times) * 1e3}

    return asyncio.run(measure())


# -- with a checkpointer ----------------------------------------------------------------------------


def loop_memory(lib: Library) -> Figures:
    """The loop with an in-memory saver, a new thread each time."""
    threads = count()
    with lib.saver("memory") as saver:
        run = loop(lib, STEPS).compile(checkpointer=saver).invoke
        return {"step": per_unit(lambda: expect(run({"n": 0}, config(next(threads))), {"n": STEPS}), STEPS)}


def loop_recorded(lib: Library, where: str, durability: str) -> Figures:
    """The loop with its records on a disk: time, bytes, growth; then what looking at that thread costs."""
    steps = FLUSHED if durability == "sync" else STEPS
    place, graph = lib.place(where), loop(lib, steps)
    with lib.saver(where, place) as saver:  # all tables are there before anything is measured
        loop(lib, WARM).compile(checkpointer=saver).invoke({"n": 0}, config("first"), durability=durability)
    size, written = place.size(), place.written()
    with lib.saver(where, place) as saver:  # until it is closed, which writes back what has to be
        run = graph.compile(checkpointer=saver).invoke
        run({"n": steps - WARM}, config("again"), durability=durability)  # its connections are there
        start = time.perf_counter()
        expect(run({"n": 0}, config(0), durability=durability), {"n": steps})
        step = (time.perf_counter() - start) / steps * 1e6
    after = place.written()
    figures: Figures = {
        "step": step,
        "bytes": None if after is None or written is None else (after - written) / (steps + WARM),
        "growth": (place.size() - size) / (steps + WARM),
    }
    if durability == "async":
        with lib.saver(where, place) as saver:
            # What waits for a server is not told by the processor time of this process.
            clock = time.process_time if where == "sqlite" else time.perf_counter
            figures.update(looked_at(graph.compile(checkpointer=saver), clock))
    return figures


def looked_at(graph: Any, clock: Callable[[], float]) -> Figures:
    """Reading a thread of 1,000 steps: the latest state, at first and again; and its whole history, only the
    values of each checkpoint or all of it."""
    where = config(0)
    start = clock()
    expect(graph.get_state(where).values, {"n": STEPS})
    first = (clock() - start) * 1e6
    again = per_unit(lambda: [graph.get_state(where).values for _ in range(20)], 20, clock)
    figures: Figures = {"state": again, "first": first}
    for name, read in (("values", attrgetter("values")), ("history", tuple)):
        start = clock()
        seen = sum(1 for shown in graph.get_state_history(where) if read(shown) is not None)
        figures[name] = (clock() - start) * 1e6 / seen
        expect(seen, STEPS + 2)
    return figures


def talk(lib: Library, where: str, kind: str, turns: int) -> Figures:
    """A growing conversation, one invocation a turn: seconds, and the size of what it came to."""
    graph, make = conversation(lib, kind)
    place = lib.place(where)
    with lib.saver(where, place) as saver:
        run = graph.compile(checkpointer=saver).invoke
        start = time.perf_counter()
        for turn in range(turns):
            result = run({"messages": [make("user", f"{turn}: {TEXT}")]}, config(0))
        seconds = time.perf_counter() - start
        expect(len(result["messages"]), 2 * turns)
    return {"seconds": seconds, "megabytes": place.size() / 1e6}


def question(lib: Library, where: str) -> Figures:
    """``interrupt()`` and its answer, one thread after the other: each of the two invocations."""

    async def measure() -> Figures:
        asks: list[float] = []
        answers: list[float] = []
        async with lib.saver_aio(where) as saver:
            graph = asking(lib).compile(checkpointer=saver)
            for thread in range(TALKS):
                start = time.perf_counter()
                asked = await graph.ainvoke({"n": 0}, config(thread))
                middle = time.perf_counter()
                result = await graph.ainvoke(lib.Command(resume=7), config(thread))
                asks.append(middle - start)
                answers.append(time.perf_counter() - middle)
                expect((len(asked["__interrupt__"]), result), (1, {"n": 7}))
        return {"ask": median(asks) * 1e6, "resume": median(answers) * 1e6}

    return asyncio.run(measure())


def concurrent_runs(lib: Library, where: str, runs: int) -> Figures:
    """Runs of five steps each, all begun at once on one event loop: runs per second."""

    async def measure() -> Figures:
        async with lib.saver_aio(where) as saver:
            graph = loop(lib, 5, asynchronous=True).compile(checkpointer=saver)
            await graph.ainvoke({"n": 0}, config("first"))
            start = time.perf_counter()
            found = await asyncio.gather(*(graph.ainvoke({"n": 0}, config(number)) for number in range(runs)))
            seconds = time.perf_counter() - start
        expect(found, [{"n": 5}] * runs)
        return {"rate": runs / seconds}

    return asyncio.run(measure())


def long_thread(lib: Library, kind: str, messages: int) -> Figures:
    """A conversation written in two turns; then a new process that opens it and looks at its latest state."""
    graph, make = conversation(lib, kind)
    place, half = lib.place("sqlite"), messages // 2
    with lib.saver("sqlite", place) as saver:
        run = graph.compile(checkpointer=saver).invoke
        for turn in range(2):
            asked = [make("user", prose(turn * half + number)) for number in range(half - 1)]
            result = run({"messages": asked}, config(0))
        expect(len(result["messages"]), messages)
    megabytes = place.size() / 1e6
    command = [sys.executable, "-m", "benchmarks.opening", lib.package, place.address, kind, str(messages)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError((done.stderr.strip().splitlines() or ["no message"])[-1])
    looks: Figures = json.loads(done.stdout)
    return {"megabytes": megabytes, **looks}


WORK: dict[str, Callable[..., Figures]] = {
    work.__name__: work
    for work in (
        chain_sync,
        chain_async,
        loop_sync,
        loop_async,
        calls,
        send,
        abatch,
        loop_memory,
        loop_recorded,
        talk,
        question,
        concurrent_runs,
        long_thread,
    )
}
