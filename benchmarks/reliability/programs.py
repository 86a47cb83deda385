"""What a victim does: ``python -m benchmarks.reliability.programs PACKAGE PROGRAM FILE THREAD ...``.

The same source for both packages. What a node does to the outside world is a line that it appends to
``FILE.effects``: ``start NODE`` and ``end NODE``, so that the parent can count. Answers are printed as JSON.
"""

from __future__ import annotations

import asyncio
import json
import operator
import os
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Annotated, Any, TypedDict

from benchmarks.package import Library
from benchmarks.places import File

NODES = 10
WIDTH = 8
WORK = 0.004
"""Seconds that a node takes."""


class Log(TypedDict):
    """The state of all programs: names in the order in which they were added."""

    log: Annotated[list[str], operator.add]


class World:
    """Where effects go: a file that each of them is one appended line of."""

    def __init__(self, file: str) -> None:
        self._lines = os.open(f"{file}.effects", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def tell(self, *words: str) -> None:
        """One effect; it is there even if the process is killed right after."""
        os.write(self._lines, (" ".join(words) + "\n").encode())


def chain(lib: Library, world: World) -> Any:
    """Ten nodes in a row, each with an effect, 4 ms of work and another effect."""

    def node(name: str) -> Any:
        def work(state: Log) -> dict[str, list[str]]:
            world.tell("start", name)
            time.sleep(WORK)
            world.tell("end", name)
            return {"log": [name]}

        return work

    graph = lib.StateGraph(Log)
    before = lib.START
    for number in range(NODES):
        graph.add_node(f"n{number}", node(f"n{number}"))
        graph.add_edge(before, f"n{number}")
        before = f"n{number}"
    return graph


def fan(lib: Library, world: World) -> Any:
    """Eight nodes beside each other, of 4 to 32 ms, and one that joins them."""

    def node(name: str, seconds: float) -> Any:
        def work(state: Log) -> dict[str, list[str]]:
            world.tell("start", name)
            time.sleep(seconds)
            world.tell("end", name)
            return {"log": [name]}

        return work

    graph = lib.StateGraph(Log)
    graph.add_node("join", node("join", WORK))
    for number in range(WIDTH):
        graph.add_node(f"n{number}", node(f"n{number}", WORK * (number + 1)))
        graph.add_edge(lib.START, f"n{number}")
    graph.add_edge([f"n{number}" for number in range(WIDTH)], "join")
    return graph


def payment(lib: Library, world: World) -> Any:
    """A payment that a person approves, and three steps after it."""

    def pay(state: Log) -> dict[str, list[str]]:
        answer = lib.interrupt({"pay": 100})
        world.tell("end", "pay")
        time.sleep(WORK)
        return {"log": [f"paid {answer}"]}

    def after(name: str) -> Any:
        def work(state: Log) -> dict[str, list[str]]:
            world.tell("end", name)
            time.sleep(WORK)
            return {"log": [name]}

        return work

    graph = lib.StateGraph(Log)
    graph.add_node("pay", pay)
    graph.add_edge(lib.START, "pay")
    before = "pay"
    for name in ("ship", "bill", "mail"):
        graph.add_node(name, after(name))
        graph.add_edge(before, name)
        before = name
    return graph


def swallow(lib: Library, world: World) -> Any:
    """A node that does not let itself be cancelled, and one after it."""

    async def stubborn(state: Log) -> dict[str, list[str]]:
        try:
            await asyncio.sleep(0.3)
        except asyncio.CancelledError:
            world.tell("end", "cancel")
        return {"log": ["stubborn"]}

    async def after(state: Log) -> dict[str, list[str]]:
        world.tell("end", "after")
        return {"log": ["after"]}

    graph = lib.StateGraph(Log)
    graph.add_node("stubborn", stubborn)
    graph.add_node("after", after)
    graph.add_edge(lib.START, "stubborn")
    graph.add_edge("stubborn", "after")
    return graph


def talk(lib: Library, world: World) -> Any:
    """Takes a message in, for 20 ms."""

    def take(state: Log) -> dict[str, list[str]]:
        time.sleep(0.02)
        return {"log": []}

    graph = lib.StateGraph(Log)
    graph.add_node("take", take)
    graph.add_edge(lib.START, "take")
    return graph


def interview(lib: Library, world: World) -> Any:
    """One node that asks three times, with an effect before each question."""

    def ask(state: Log) -> dict[str, list[str]]:
        said = []
        for number in range(3):
            world.tell("end", f"effect{number}")
            said.append(lib.interrupt(f"question {number}"))
        return {"log": said}

    graph = lib.StateGraph(Log)
    graph.add_node("ask", ask)
    graph.add_edge(lib.START, "ask")
    return graph


PROGRAMS = {one.__name__: one for one in (chain, fan, payment, swallow, talk, interview)}


def config(thread: str) -> dict[str, Any]:
    """A config for a thread."""
    return {"configurable": {"thread_id": thread}}


# -- what the process does ----------------------------------------------------------------------------


def run(graph: Any, world: World, thread: str, durability: str) -> Any:
    """Begin a run and see it through, unless this process is killed before."""
    return graph.invoke({"log": ["in"]}, config(thread), durability=durability)["log"]


def resume(graph: Any, world: World, thread: str, durability: str) -> Any:
    """Go on with what somebody left."""
    return graph.invoke(None, config(thread), durability=durability)["log"]


def look(graph: Any, world: World, thread: str, durability: str) -> Any:
    """The thread's values and what comes next."""
    state = graph.get_state(config(thread))
    return {"log": state.values.get("log"), "next": list(state.next)}


def answer(graph: Any, world: World, thread: str, mine: str) -> Any:
    """Answer the question of a thread as one of several who do so at once."""
    from importlib import import_module

    package = type(graph).__module__.partition(".")[0]
    command = import_module(f"{package}.types").Command(resume=mine)
    wait_for_start()
    return graph.invoke(command, config(thread))["log"]


def inputs(graph: Any, world: World, thread: str, number: str) -> Any:
    """So many inputs at once, each from a thread of its own: those that were acknowledged."""
    count = int(number)
    start, acknowledged = threading.Barrier(count), []

    def send(one: int) -> None:
        start.wait()
        try:
            graph.invoke({"log": [f"m{one}"]}, config(thread))
        except Exception as error:
            print(type(error).__name__, error, file=sys.stderr)
        else:
            acknowledged.append(f"m{one}")

    threads = [threading.Thread(target=send, args=(one,)) for one in range(count)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return {"acknowledged": acknowledged, "kept": graph.get_state(config(thread)).values["log"]}


def wait_for_start() -> None:
    """Say that this process is ready, and go on when the parent says so."""
    print("ready", flush=True)
    sys.stdin.readline()


def interviewed(graph: Any, world: World, thread: str, durability: str) -> Any:
    """Answer three questions, one after the other."""
    from importlib import import_module

    package = type(graph).__module__.partition(".")[0]
    command = import_module(f"{package}.types").Command
    graph.invoke({"log": []}, config(thread))
    for number in range(2):
        graph.invoke(command(resume=number), config(thread))
    return graph.invoke(command(resume=2), config(thread))["log"]


def planted(graph: Any, world: World, thread: str, target: str) -> Any:
    """Put a value into the thread that names a function to call, as whoever can write to the file could."""
    import ormsgpack  # comes with both packages' serialisers

    hostile = ormsgpack.packb(ormsgpack.Ext(0, ormsgpack.packb(("os", "mkdir", target))))
    graph.invoke({"log": ["in"]}, config(thread))
    saver, where = graph.checkpointer, graph.get_state(config(thread)).config
    saver.serde = _Planting(saver.serde, hostile)
    saver.put_writes(where, [("log", ["x"])], "00000000-0000-0000-0000-000000000000")
    return True


class _Planting:
    """A serialiser that writes what it is told to, whatever it is given."""

    def __init__(self, inner: Any, data: bytes) -> None:
        self._inner, self._data = inner, data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def dumps_typed(self, value: Any) -> tuple[str, bytes]:
        return "msgpack", self._data


def worker(graph: Any, world: World, thread: str, durability: str) -> Any:
    """Let the package pick up what dead processes left, without naming a thread; None if it cannot."""
    try:
        from dashflow.worker import Worker
    except ImportError:
        return None
    Worker(graph).run(once=True)
    return look(graph, world, thread, durability)


ACTS = {one.__name__: one for one in (run, resume, look, answer, inputs, interviewed, planted, worker)}


async def cancelled(lib: Library, file: str, thread: str) -> Any:
    """Cancel a run after 50 ms; whether the caller heard of it."""
    from importlib import import_module

    kind = import_module(f"{lib.package}.checkpoint.sqlite.aio").AsyncSqliteSaver
    async with kind.from_conn_string(file) as saver:
        graph = swallow(lib, World(file)).compile(checkpointer=saver)
        running = asyncio.create_task(graph.ainvoke({"log": ["in"]}, config(thread)))
        await asyncio.sleep(0.05)
        running.cancel()
        try:
            await running
        except asyncio.CancelledError:
            return "cancelled"
        return "went on"


def main(package: str, program: str, act: str, file: str, thread: str, more: str = "sync") -> int:
    """Do one act; print what it came to."""
    warnings.simplefilter("ignore")
    lib = Library(package, Path(file).parent)
    if act == "cancelled":
        print(json.dumps({"result": asyncio.run(cancelled(lib, file, thread))}))
        return 0
    with lib.saver("sqlite", File(file)) as saver:
        world = World(file)
        graph = PROGRAMS[program](lib, world).compile(checkpointer=saver)
        try:
            result = ACTS[act](graph, world, thread, more)
        except Exception as error:
            print(json.dumps({"error": type(error).__name__, "text": str(error)[:300]}), flush=True)
            return 1
        print(json.dumps({"result": result}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
