"""The work that is measured, written once for any package with LangGraph's names.

Every function takes the package's names, does the same work with each, checks the result, and returns
figures by name. May import nothing but what that package offers, LangChain's messages and the stdlib.
"""

import asyncio
import operator
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from itertools import count
from pathlib import Path
from statistics import median
from typing import Annotated, Any, TypedDict

from benchmarks.samples import bytes_written, calls_made, per_unit, per_unit_awaited, size_of

STEPS = 1000
FLUSHED = 200
"""Steps of the loop where each is flushed to the disk: that can take milliseconds."""

FAN = 100
TALKS = 20
TEXT = "The quick brown fox jumps over the lazy dog, and the dog lets it pass once more. " * 3
Figures = dict[str, float | None]


class Count(TypedDict):
    """The state of chains and loops: one number."""

    n: int


class Fan(TypedDict):
    """The state of a fan-out: what the tasks brought together."""

    out: Annotated[list[int], operator.add]


class Plain(TypedDict):
    """A conversation of plain dicts."""

    messages: Annotated[list[dict[str, str]], operator.add]


class Library:
    """The names of one package, as a user would import them.

    Args:
        package: ``dashflow`` or ``langgraph``.
        folder: Where databases may be made.
    """

    def __init__(self, package: str, folder: Path) -> None:
        graph = import_module(f"{package}.graph")
        types = import_module(f"{package}.types")
        self.package = package
        self.StateGraph, self.START, self.END = graph.StateGraph, graph.START, graph.END
        self.Send, self.Command, self.interrupt = types.Send, types.Command, types.interrupt
        self._folder = folder
        self._number = count()

    def memory(self) -> Any:
        """A new in-memory saver."""
        return import_module(f"{self.package}.checkpoint.memory").InMemorySaver()

    def sqlite(self, path: Path) -> Any:
        """A context manager: a saver on a file."""
        saver = import_module(f"{self.package}.checkpoint.sqlite").SqliteSaver
        return saver.from_conn_string(str(path))

    def sqlite_aio(self, path: Path) -> Any:
        """The same for asyncio."""
        saver = import_module(f"{self.package}.checkpoint.sqlite.aio").AsyncSqliteSaver
        return saver.from_conn_string(str(path))

    def new_file(self) -> Path:
        """A path that was not used before, in a folder of its own."""
        folder = self._folder / f"{self.package}-{next(self._number)}"
        folder.mkdir()
        return folder / "log.db"


def config(thread: object) -> dict[str, Any]:
    """A config for long runs on a thread."""
    return {"recursion_limit": STEPS + 50, "configurable": {"thread_id": str(thread)}}


def expect(result: Any, wanted: Any) -> None:
    """Work that came to something else was not the same work."""
    if result != wanted:
        raise AssertionError(f"the workload came to {result!r}, not to {wanted!r}")


# -- graphs -----------------------------------------------------------------------------------------


def chain(lib: Library, length: int, *, asynchronous: bool) -> Any:
    """Nodes in a row, each adding one."""

    def add(state: Count) -> dict[str, int]:
        return {"n": state["n"] + 1}

    async def aadd(state: Count) -> dict[str, int]:
        return {"n": state["n"] + 1}

    graph = lib.StateGraph(Count)
    previous = lib.START
    for number in range(length):
        name = f"node{number}"
        graph.add_node(name, aadd if asynchronous else add)
        graph.add_edge(previous, name)
        previous = name
    graph.add_edge(previous, lib.END)
    return graph


def loop(lib: Library, steps: int, *, asynchronous: bool = False) -> Any:
    """One node that a conditional edge leads back to."""

    def add(state: Count) -> dict[str, int]:
        return {"n": state["n"] + 1}

    async def aadd(state: Count) -> dict[str, int]:
        return {"n": state["n"] + 1}

    def again(state: Count) -> str:
        return "add" if state["n"] < steps else lib.END

    graph = lib.StateGraph(Count)
    graph.add_node("add", aadd if asynchronous else add)
    graph.add_edge(lib.START, "add")
    graph.add_conditional_edges("add", again)
    return graph


def fan(lib: Library, *, asynchronous: bool) -> Any:
    """A conditional edge that sends work to many tasks."""

    def work(given: dict[str, int]) -> dict[str, list[int]]:
        return {"out": [given["i"]]}

    async def awork(given: dict[str, int]) -> dict[str, list[int]]:
        return {"out": [given["i"]]}

    def spread(state: Fan) -> list[Any]:
        return [lib.Send("work", {"i": i}) for i in range(FAN)]

    graph = lib.StateGraph(Fan)
    graph.add_node("work", awork if asynchronous else work)
    graph.add_conditional_edges(lib.START, spread, ["work"])
    return graph


def asking(lib: Library) -> Any:
    """One node that asks a person."""

    async def ask(state: Count) -> dict[str, int]:
        return {"n": lib.interrupt("How many?")}

    graph = lib.StateGraph(Count)
    graph.add_node("ask", ask)
    graph.add_edge(lib.START, "ask")
    return graph


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


# -- with a checkpointer ----------------------------------------------------------------------------


def loop_memory(lib: Library) -> Figures:
    """The loop with an in-memory saver, a new thread each time."""
    graph = loop(lib, STEPS).compile(checkpointer=lib.memory())
    threads = count()
    return {
        "step": per_unit(lambda: expect(graph.invoke({"n": 0}, config(next(threads))), {"n": STEPS}), STEPS)
    }


def loop_sqlite(lib: Library, durability: str) -> Figures:
    """The loop on a SQLite file: time, bytes, growth; then what looking at that thread costs."""
    steps = FLUSHED if durability == "sync" else STEPS
    path, graph = lib.new_file(), loop(lib, steps)
    with lib.sqlite(path) as saver:  # the file and its tables are there before anything is measured
        loop(lib, 5).compile(checkpointer=saver).invoke({"n": 0}, config("first"), durability=durability)
    size, written = size_of(path), bytes_written()
    with lib.sqlite(path) as saver:
        run = graph.compile(checkpointer=saver).invoke
        start = time.perf_counter()
        expect(run({"n": 0}, config(0), durability=durability), {"n": steps})
        step = (time.perf_counter() - start) / steps * 1e6
    after = bytes_written()
    figures: Figures = {
        "step": step,
        "bytes": None if after is None or written is None else (after - written) / steps,
        "growth": (size_of(path) - size) / steps,
    }
    if durability == "async":
        with lib.sqlite(path) as saver:
            figures.update(looks(graph.compile(checkpointer=saver)))
    return figures


def looks(graph: Any) -> Figures:
    """Reading a thread of 1,000 steps: the latest state, at first and again; and its whole history."""
    where = config(0)
    start = time.process_time()
    expect(graph.get_state(where).values, {"n": STEPS})
    first = (time.process_time() - start) * 1e6
    again = per_unit(lambda: [graph.get_state(where) for _ in range(20)], 20)
    start = time.process_time()
    seen = sum(1 for _ in graph.get_state_history(where))
    history = (time.process_time() - start) * 1e6
    expect(seen, STEPS + 2)
    return {"state": again, "first": first, "history": history / seen}


def talk(lib: Library, kind: str, turns: int) -> Figures:
    """A growing conversation on SQLite, one invocation a turn: seconds, and the file's size."""
    state, make = _conversation(lib, kind)

    def reply(state: Any) -> dict[str, list[Any]]:
        return {"messages": [make("assistant", f"{len(state['messages'])}: {TEXT}")]}

    graph = lib.StateGraph(state)
    graph.add_node("reply", reply)
    graph.add_edge(lib.START, "reply")
    path = lib.new_file()
    with lib.sqlite(path) as saver:
        run = graph.compile(checkpointer=saver).invoke
        start = time.perf_counter()
        for turn in range(turns):
            result = run({"messages": [make("user", f"{turn}: {TEXT}")]}, config(0))
        seconds = time.perf_counter() - start
        expect(len(result["messages"]), 2 * turns)
    return {"seconds": seconds, "megabytes": size_of(path) / 1e6}


def _conversation(lib: Library, kind: str) -> tuple[Any, Callable[[str, str], Any]]:
    """The state of a conversation, and how to make a message of it."""
    if kind == "plain":
        return Plain, lambda role, text: {"role": role, "content": text}
    messages = import_module("langchain_core.messages")
    add_messages = import_module(f"{lib.package}.graph.message").add_messages
    classes = {"user": messages.HumanMessage, "assistant": messages.AIMessage}

    class Rich(TypedDict):
        messages: Annotated[list[Any], add_messages]

    return Rich, lambda role, text: classes[role](content=text)


def question(lib: Library, where: str) -> Figures:
    """``interrupt()`` and its answer, one thread after the other: each of the two invocations."""

    async def measure(saver: Any) -> Figures:
        graph = asking(lib).compile(checkpointer=saver)
        asks: list[float] = []
        answers: list[float] = []
        for thread in range(TALKS):
            start = time.perf_counter()
            asked = await graph.ainvoke({"n": 0}, config(thread))
            middle = time.perf_counter()
            result = await graph.ainvoke(lib.Command(resume=7), config(thread))
            asks.append(middle - start)
            answers.append(time.perf_counter() - middle)
            expect((len(asked["__interrupt__"]), result), (1, {"n": 7}))
        return {"ask": median(asks) * 1e6, "resume": median(answers) * 1e6}

    async def on_file() -> Figures:
        async with lib.sqlite_aio(lib.new_file()) as saver:
            return await measure(saver)

    return asyncio.run(measure(lib.memory()) if where == "memory" else on_file())


WORK: dict[str, Callable[..., Figures]] = {
    work.__name__: work
    for work in (
        chain_sync,
        chain_async,
        loop_sync,
        loop_async,
        calls,
        send,
        loop_memory,
        loop_sqlite,
        talk,
        question,
    )
}
