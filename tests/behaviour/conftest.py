"""Worlds that graphs run in: a behaviour is written once and holds on every host and with every saver.

A test that takes ``world`` runs on the sync host, under asyncio (with coroutine nodes) and in the simulation;
each without a saver, in memory and in a SQLite file. ``recorded`` leaves out the worlds without a saver. The
files of ``ON_POSTGRES`` run in PostgreSQL too.
"""

import asyncio
import functools
import inspect
import itertools
import operator
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest

from dashflow.checkpoint.memory import InMemorySaver
from dashflow.checkpoint.postgres import PostgresSaver
from dashflow.checkpoint.postgres.aio import AsyncPostgresSaver
from dashflow.checkpoint.saver import LogSaver
from dashflow.checkpoint.sqlite import SqliteSaver
from dashflow.checkpoint.sqlite.aio import AsyncSqliteSaver
from dashflow.graph import START, StateGraph
from dashflow.hosts.simulated import SimulatedHost
from dashflow.log.memory import MemoryLog

HOSTS = ("sync", "asyncio", "simulated")
SAVERS = ("memory", "sqlite")
ON_POSTGRES = (
    "test_graph_interrupts",
    "test_graph_ownership",
    "test_graph_threads",
    "test_steps",
    "test_approvals",
)


class State(TypedDict, total=False):
    """A number, and what the nodes did."""

    n: int
    log: Annotated[list[Any], operator.add]


class World:
    """One host with one saver."""

    State = State

    def __init__(self, host: str, saver: str, folder: Path, database: str = "") -> None:
        self.kind = host
        self.folder = folder
        self.database = database
        self.saves = saver
        self.saver = self._open()
        self._simulated = SimulatedHost(seed=7)
        self._runner = asyncio.Runner() if host == "asyncio" else None

    def _open(self) -> LogSaver | None:
        if self.saves == "none":
            return None
        if self.saves == "memory":
            return InMemorySaver()
        if self.saves == "postgres":
            return (AsyncPostgresSaver if self.kind == "asyncio" else PostgresSaver)(self.database)
        kind = AsyncSqliteSaver if self.kind == "asyncio" else SqliteSaver
        return kind(str(self.folder / "threads.db"))

    def reopen(self) -> None:
        """Forget everything but what was stored, as a new process would. Compile graphs again after it."""
        assert self.saver is not None
        log = self.saver.log
        if isinstance(log, MemoryLog):
            self.saver = LogSaver(MemoryLog(log.store))
        log.close()
        if self.saves != "memory":
            self.saver = self._open()

    def close(self) -> None:
        """The end."""
        if self.saver is not None:
            self.saver.log.close()
        if self._runner is not None:
            self._runner.close()

    # -- building ---------------------------------------------------------------------------------

    def node(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function; under asyncio as a coroutine function."""
        if self._runner is None or inspect.iscoroutinefunction(function):
            return function

        @functools.wraps(function)
        async def coroutine(*args: Any, **kwargs: Any) -> Any:
            await asyncio.sleep(0)
            return function(*args, **kwargs)

        return coroutine

    def says(self, name: str, **update: Any) -> tuple[str, Callable[..., Any]]:
        """A node that writes its name to ``log``, and ``update``."""
        return name, lambda state: {"log": [name], **update}

    def graph(
        self,
        nodes: Sequence[Callable[..., Any] | tuple[str, Any]],
        edges: Sequence[tuple[Any, str]] | None = None,
        schema: Any = State,
        **options: Any,
    ) -> StateGraph:
        """A builder with these nodes; without ``edges`` one after the other."""
        builder = StateGraph(schema, **options)
        named = [node if isinstance(node, tuple) else (node.__name__, node) for node in nodes]
        for name, function in named:
            builder.add_node(name, function if hasattr(function, "invoke") else self.node(function))
        if edges is None:
            names = [START, *(name for name, _ in named)]
            edges = list(itertools.pairwise(names))
        for start, end in edges:
            builder.add_edge(start, end)
        return builder

    def compile(self, builder: StateGraph, **options: Any) -> Any:
        """The graph, on this world's host and with its saver."""
        compiled = builder.compile(checkpointer=self.saver, **options)
        return compiled.with_host(self._simulated) if self.kind == "simulated" else compiled

    # -- running ------------------------------------------------------------------------------------

    @staticmethod
    def config(thread: str = "t", **more: Any) -> dict[str, Any]:
        """The config of a thread."""
        return {"configurable": {"thread_id": thread}, **more}

    def run(self, graph: Any, given: Any, config: Any = None, **options: Any) -> Any:
        """``invoke`` or ``ainvoke``."""
        config = self.config() if config is None else config
        if self._runner is None:
            return graph.invoke(given, config, **options)
        return self._runner.run(graph.ainvoke(given, config, **options))

    def parts(self, graph: Any, given: Any, config: Any = None, **options: Any) -> list[Any]:
        """Everything that ``stream`` or ``astream`` yields."""
        config = self.config() if config is None else config
        if self._runner is None:
            return list(graph.stream(given, config, **options))

        async def collect() -> list[Any]:
            return [part async for part in graph.astream(given, config, **options)]

        return self._runner.run(collect())

    def state(self, graph: Any, config: Any = None) -> Any:
        """``get_state``."""
        config = self.config() if config is None else config
        if self._runner is None:
            return graph.get_state(config)
        return self._runner.run(graph.aget_state(config))

    def call(self, graph: Any, name: str, *args: Any, **options: Any) -> Any:
        """A method of the graph, or its asynchronous twin."""
        if self._runner is None:
            return getattr(graph, name)(*args, **options)
        return self._runner.run(getattr(graph, f"a{name}")(*args, **options))

    def history(self, graph: Any, config: Any = None, **options: Any) -> list[Any]:
        """``get_state_history``, as a list."""
        config = self.config() if config is None else config
        if self._runner is None:
            return list(graph.get_state_history(config, **options))

        async def collect() -> list[Any]:
            return [state async for state in graph.aget_state_history(config, **options)]

        return self._runner.run(collect())

    def update(self, graph: Any, config: Any, values: Any, as_node: str | None = None) -> Any:
        """``update_state``."""
        if self._runner is None:
            return graph.update_state(config, values, as_node)
        return self._runner.run(graph.aupdate_state(config, values, as_node))


def _world(request: pytest.FixtureRequest, folder: Path) -> Iterator[World]:
    host, saver = request.param.split("-")
    database = request.getfixturevalue("postgres").log if saver == "postgres" else ""
    world = World(host, saver, folder, database)
    yield world
    world.close()


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """Every host with every saver, and without."""
    yield from _world(request, tmp_path)


@pytest.fixture
def recorded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """Every host with every saver."""
    yield from _world(request, tmp_path)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The worlds of a test that names none of its own."""
    own = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    more = metafunc.module.__name__.rpartition(".")[2] in ON_POSTGRES
    for name, savers in (("world", ("none", *SAVERS)), ("recorded", SAVERS)):
        fixtures = metafunc._arg2fixturedefs.get(name, ())  # a folder below may have worlds of its own
        elsewhere = len(fixtures) > 1
        if name in metafunc.fixturenames and not elsewhere and not any(name in names for names in own):
            kinds = [f"{host}-{saver}" for host in HOSTS for saver in savers]
            metafunc.parametrize(name, kinds + ["sync-postgres", "asyncio-postgres"] * more, indirect=True)
