"""Savers and stores of other packages, written against LangGraph's base classes, work on DashFlow.

The public packages ``langgraph-checkpoint-sqlite`` and ``langgraph-checkpoint-postgres``, the latter with a
real server. Threads that the real LangGraph wrote go on under DashFlow, and back.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import dashflow
from tests.postgres import Place

pytestmark = pytest.mark.feature("PERSIST-006", "MIGRATE-002")

PROGRAM = """
import asyncio, json, operator, sys
from contextlib import AsyncExitStack, ExitStack
from typing import Annotated, TypedDict
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt

kind, where, mode, action = sys.argv[1:]


class State(TypedDict):
    log: Annotated[list, operator.add]


builder = StateGraph(State)
builder.add_node("work", lambda state: {"log": [len(state["log"])]})
builder.add_node("ask", lambda state: {"log": [interrupt({"seen": state["log"]})]})
builder.add_node("end", lambda state: {"log": ["end"]})
builder.add_edge(START, "work")
builder.add_edge("work", "ask")
builder.add_edge("ask", "end")

config = {"configurable": {"thread_id": "t"}}
given = {"begin": {"log": ["go"]}, "answer": Command(resume="yes"), "look": None}[action]


def report(saver, state, history):
    print(json.dumps({
        "graph": StateGraph.__module__.split(".")[0], "saver": type(saver).__module__,
        "log": state.values["log"], "next": state.next,
        "asked": [question.value for question in state.interrupts],
        "steps": [step.metadata["step"] for step in history],
    }))


def sync():
    if kind == "sqlite":
        from langgraph.checkpoint.sqlite import SqliteSaver as Saver
    else:
        from langgraph.checkpoint.postgres import PostgresSaver as Saver
    with ExitStack() as stack:
        saver = stack.enter_context(Saver.from_conn_string(where))
        saver.setup()
        graph = builder.compile(checkpointer=saver)
        if given is not None:
            graph.invoke(given, config)
        report(saver, graph.get_state(config), list(graph.get_state_history(config)))


async def asynchronous():
    if kind == "sqlite":
        from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver as Saver
    else:
        from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver as Saver
    async with AsyncExitStack() as stack:
        saver = await stack.enter_async_context(Saver.from_conn_string(where))
        await saver.setup()
        graph = builder.compile(checkpointer=saver)
        if given is not None:
            await graph.ainvoke(given, config)
        history = [step async for step in graph.aget_state_history(config)]
        report(saver, await graph.aget_state(config), history)


sync() if mode == "sync" else asyncio.run(asynchronous())
"""

STORE = """
import json, sys
from langgraph.store.base import BaseStore
from langgraph.store.postgres import PostgresStore
from langgraph.graph import START, StateGraph

with PostgresStore.from_conn_string(sys.argv[1]) as store:
    store.setup()

    def remember(state: dict, *, store: BaseStore) -> dict:
        store.put(("people", state["name"]), "about", {"likes": state["likes"]})
        return {"found": [item.value for item in store.search(("people",), filter={"likes": "tea"})]}

    builder = StateGraph(dict)
    builder.add_node("remember", remember)
    builder.add_edge(START, "remember")
    result = builder.compile(store=store).invoke({"name": "ada", "likes": "tea"})
    print(json.dumps([BaseStore.__module__.split(".")[0], isinstance(store, BaseStore), result["found"]]))
"""

ON_LANGGRAPH: tuple[str, ...] = ()
ON_DASHFLOW = (
    "-m",
    "dashflow.compat",
    *("--keep", "langgraph.checkpoint.sqlite"),
    *("--keep", "langgraph.checkpoint.postgres"),
    *("--keep", "langgraph.store.postgres"),
)


@pytest.fixture
def database(postgres: Place) -> Iterator[str]:
    """An empty database: LangGraph's tables are in no schema of their own."""
    name = f"d_{postgres.schema}"
    postgres.execute(f"CREATE DATABASE {name}")
    yield postgres.dsn.replace("/postgres?", f"/{name}?")
    postgres.execute(f"DROP DATABASE {name}")


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """The kind of saver, and an empty database for it."""
    if request.param == "sqlite":
        return ["sqlite", str(tmp_path / "threads.sqlite")]
    return ["postgres", request.getfixturevalue("database")]


def run(folder: Path, program: str, how: tuple[str, ...], *arguments: str) -> dict:
    """What the program says, on DashFlow or on the LangGraph that is installed here."""
    (folder / "program.py").write_text(program)
    path = os.pathsep.join([str(Path(dashflow.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, *how, "program.py", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("mode", ["sync", "asyncio"])
@pytest.mark.parametrize(
    ("first", "second"),
    [(ON_DASHFLOW, ON_DASHFLOW), (ON_LANGGRAPH, ON_DASHFLOW), (ON_DASHFLOW, ON_LANGGRAPH)],
    ids=["stays", "moves in", "moves out"],
)
def test_a_thread_pauses_in_one_process_and_goes_on_in_another(tmp_path, place, mode, first, second):
    waiting = run(tmp_path, PROGRAM, first, *place, mode, "begin")
    assert waiting["log"] == ["go", 1]
    assert waiting["next"] == ["ask"]
    assert waiting["asked"] == [{"seen": ["go", 1]}]
    assert waiting["saver"].startswith(f"langgraph.checkpoint.{place[0]}")
    done = run(tmp_path, PROGRAM, second, *place, mode, "answer")
    assert done["log"] == ["go", 1, "yes", "end"]
    assert done["next"] == done["asked"] == []
    assert done["steps"] == [3, 2, 1, 0, -1]
    assert [waiting["graph"], done["graph"]] == [
        "dashflow" if how else "langgraph" for how in (first, second)
    ]


def test_a_store_of_another_package(tmp_path, database):
    assert run(tmp_path, STORE, ON_DASHFLOW, database) == ["dashflow", True, [{"likes": "tea"}]]
