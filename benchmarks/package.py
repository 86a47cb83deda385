"""One package's names, as its users import them, and the graphs that workloads run.

May import nothing but what that package offers, LangChain's messages and the standard library.
"""

import asyncio
import operator
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Annotated, Any, TypedDict

from benchmarks.places import Place, Places

STEPS = 1000
FAN = 100
TEXT = "The quick brown fox jumps over the lazy dog, and the dog lets it pass once more. " * 3
VOCABULARY = (
    "able about after again air all also answer any ask back before begin book both build call change "
    "city close come could country cut day do down each early earth end even every eye far few find "
    "first follow food form four free game give go good grow half hand hard head hear help high home "
    "hour house idea keep kind know large last learn leave letter life light line list little live long "
    "look made main make many mean might mile more mother mountain move much music name near need never "
    "new next night north note number often old open order other over own page paper part people piece "
    "place plan plant play point press problem quick rain read ready real red rest right river road "
    "rock round rule run same school sea second see seem sentence set ship short show side simple sing "
    "sit sky sleep slow small snow some song soon sound south space stand star start state"
)
WORDS = VOCABULARY.split()
SLEEP = 0.005
"""Seconds that an item of a batch waits."""


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
        folder: Where files may be made.
    """

    def __init__(self, package: str, folder: Path) -> None:
        graph = import_module(f"{package}.graph")
        types = import_module(f"{package}.types")
        self.package = package
        self.StateGraph, self.START, self.END = graph.StateGraph, graph.START, graph.END
        self.Send, self.Command, self.interrupt = types.Send, types.Command, types.interrupt
        self._places = Places(package, folder)

    def place(self, where: str) -> Place:
        """A place on ``sqlite`` or ``postgres`` that was not used before."""
        return self._places.new(where)

    @contextmanager
    def saver(self, where: str, place: Place | None = None) -> Iterator[Any]:
        """A saver that is ready: in memory, or at a place."""
        if place is None:
            yield import_module(f"{self.package}.checkpoint.memory").InMemorySaver()
            return
        name = {"sqlite": "SqliteSaver", "postgres": "PostgresSaver"}[where]
        kind = getattr(import_module(f"{self.package}.checkpoint.{where}"), name)
        with kind.from_conn_string(place.address) as saver:
            saver.setup()
            yield saver

    @asynccontextmanager
    async def saver_aio(self, where: str) -> AsyncIterator[Any]:
        """The same for asyncio, at a new place; None where ``where`` is ``none``."""
        if where in ("none", "memory"):
            with self.saver(where) as saver:
                yield None if where == "none" else saver
            return
        name = {"sqlite": "AsyncSqliteSaver", "postgres": "AsyncPostgresSaver"}[where]
        kind = getattr(import_module(f"{self.package}.checkpoint.{where}.aio"), name)
        async with kind.from_conn_string(self.place(where).address) as saver:
            await saver.setup()
            yield saver


def config(thread: object) -> dict[str, Any]:
    """A config for long runs on a thread."""
    return {"recursion_limit": STEPS + 50, "configurable": {"thread_id": str(thread)}}


def expect(result: Any, wanted: Any) -> None:
    """Work that came to something else was not the same work."""
    if result != wanted:
        raise AssertionError(f"the workload came to {result!r:.200}, not to {wanted!r:.200}")


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


def conversation(lib: Library, kind: str) -> tuple[Any, Callable[[str, str], Any]]:
    """A graph that answers every question with one message; and how to make a message of its kind."""
    state, make = _messages(lib, kind)

    def reply(state: Any) -> dict[str, list[Any]]:
        return {"messages": [make("assistant", f"{len(state['messages'])}: {TEXT}")]}

    graph = lib.StateGraph(state)
    graph.add_node("reply", reply)
    graph.add_edge(lib.START, "reply")
    return graph, make


def _messages(lib: Library, kind: str) -> tuple[Any, Callable[[str, str], Any]]:
    """The state of a conversation, and how to make a message of it."""
    if kind == "plain":
        return Plain, lambda role, text: {"role": role, "content": text}
    messages = import_module("langchain_core.messages")
    add_messages = import_module(f"{lib.package}.graph.message").add_messages
    classes = {"user": messages.HumanMessage, "assistant": messages.AIMessage}

    class Rich(TypedDict):
        messages: Annotated[list[Any], add_messages]

    return Rich, lambda role, text: classes[role](content=text)


def prose(number: int) -> str:
    """About 250 characters, others for each number, so that it compresses no better than text does."""
    return " ".join(Random(number).choices(WORDS, k=50))


def waiting(lib: Library) -> Any:
    """One node that waits a moment, as for an answer from afar."""

    async def wait(state: Count) -> dict[str, int]:
        await asyncio.sleep(SLEEP)
        return {"n": state["n"] + 1}

    graph = lib.StateGraph(Count)
    graph.add_node("wait", wait)
    graph.add_edge(lib.START, "wait")
    return graph
