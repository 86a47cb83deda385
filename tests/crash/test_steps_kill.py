"""kill -9 of processes whose nodes have steps: a receiver that looks at keys sees nothing twice, another one
at most what was in flight.

A receiver is a folder: an effect is a line in a file there, whose name is the key.
"""

import os
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.feature("NEW-05")

PROGRAM = """
    import asyncio, os, sys
    from operator import add
    from typing import Annotated, Any, TypedDict
    from dashflow.checkpoint.sqlite import SqliteSaver
    from dashflow.checkpoint.sqlite.aio import AsyncSqliteSaver
    from dashflow.func import astep, step
    from dashflow.graph import END, START, StateGraph
    from dashflow.types import Command, Send, interrupt

    folder, kind, host, durability = sys.argv[1:]
    config = {"configurable": {"thread_id": "t"}, "recursion_limit": 10_000}
    ROUNDS, BRANCHES = 12, 4

    class State(TypedDict, total=False):
        n: int
        i: int
        log: Annotated[list[Any], add]

    def effect(what, idempotency_key):
        receiver = os.path.join(folder, "receiver", idempotency_key)
        file = os.open(receiver, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        os.write(file, f"{what}\\n".encode())
        os.close(file)
        os.write(1, f"{what}\\n".encode())
        return what

    async def aeffect(what, idempotency_key):
        return effect(what, idempotency_key)

    if host == "asyncio":
        async def work(state):
            names = [f"{state.get('n', 0)} {state.get('i', 0)} {k}" for k in range(3)]
            return [await step("effect", aeffect, name) for name in names]
        async def round_(state):
            return {"n": state["n"] + 1, "log": await work(state)}
        async def branch(state):
            return {"log": await work(state)}
    else:
        def work(state):
            names = [f"{state.get('n', 0)} {state.get('i', 0)} {k}" for k in range(3)]
            return [step("effect", effect, name) for name in names]
        def round_(state):
            return {"n": state["n"] + 1, "log": work(state)}
        def branch(state):
            return {"log": work(state)}

    builder = StateGraph(State)
    if kind == "chain":
        builder.add_node("round", round_).add_edge(START, "round")
        builder.add_conditional_edges("round", lambda s: END if s["n"] >= ROUNDS else "round")
    elif kind == "fan":
        builder.add_node("branch", branch)
        builder.add_conditional_edges(START, lambda s: [Send("branch", {"i": i}) for i in range(BRANCHES)])
    else:
        inner = StateGraph(State).add_node("round", round_).add_edge(START, "round")
        inner = inner.add_conditional_edges("round", lambda s: END if s["n"] >= ROUNDS else "round").compile()
        builder.add_node("inside", inner).add_edge(START, "inside")
    path = os.path.join(folder, "threads.db")

    async def under_asyncio():
        async with AsyncSqliteSaver.from_conn_string(path) as saver:
            graph = builder.compile(checkpointer=saver)
            given = None if (await graph.aget_state(config)).metadata else {"n": 0}
            return await graph.ainvoke(given, config, durability=durability)

    if host == "asyncio":
        result = asyncio.run(under_asyncio())
    else:
        with SqliteSaver.from_conn_string(path) as saver:
            graph = builder.compile(checkpointer=saver)
            given = None if graph.get_state(config).metadata else {"n": 0}
            result = graph.invoke(given, config, durability=durability)
    print("result", len(result["log"]), flush=True)
"""


def run(folder: Path, *words: str, lines: int = 0) -> str:
    """A process that goes on; killed after so many lines. Its last line."""
    process = subprocess.Popen(
        [sys.executable, str(folder / "program.py"), str(folder), *words],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert process.stdout is not None
    last = ""
    with process:
        for seen, last in enumerate(process.stdout, 1):
            if seen == lines and not last.startswith("result"):
                process.send_signal(signal.SIGKILL)
                process.stdout.read()
                return "killed"
    assert process.returncode == 0
    return last.strip()


@pytest.mark.parametrize(
    ("kind", "host", "durability", "in_flight"),
    [
        ("chain", "asyncio", "async", 1),
        ("fan", "sync", "async", 4),
        ("chain", "sync", "exit", 1000),
        pytest.param("chain", "sync", "sync", 1, marks=pytest.mark.soak),
        pytest.param("fan", "asyncio", "sync", 4, marks=pytest.mark.soak),
        pytest.param("inside", "sync", "async", 1, marks=pytest.mark.soak),
    ],
)
@pytest.mark.guarantee("step-in-flight")
def test_a_killed_process_repeats_what_was_in_flight_under_its_key(
    tmp_path: Path, kind: str, host: str, durability: str, in_flight: int, soak: Any
) -> None:
    (tmp_path / "program.py").write_text(textwrap.dedent(PROGRAM), encoding="utf-8")
    receiver = tmp_path / "receiver"
    receiver.mkdir()
    kills = 0
    for lines in range(1, 40) if soak else (2, 5):
        if run(tmp_path, kind, host, durability, lines=lines) != "killed":
            break
        kills += 1
    assert kills
    effects = 12 if kind == "fan" else 36
    assert run(tmp_path, kind, host, durability) == f"result {effects}"
    done = {file.name: file.read_text(encoding="utf-8").splitlines() for file in receiver.iterdir()}
    assert len(done) == effects, "a receiver that looks at keys"
    assert all(len(set(lines)) == 1 for lines in done.values())
    assert len({lines[0] for lines in done.values()}) == effects
    again = sum(len(lines) - 1 for lines in done.values())
    assert again <= kills * in_flight, "a receiver that does not"


@pytest.mark.guarantee("step-once")
def test_a_worker_that_takes_over_goes_on_after_the_last_step_under_the_same_keys(folder) -> None:
    (folder.path / "hold second").touch()
    process = folder.call("stepping", {"n": 1})
    folder.wait_for("second")
    folder.kill(process)
    (folder.path / "hold second").unlink()
    assert [line["what"] for line in folder.work(graphs="stepping")] == ["taken over", "finished"]
    assert folder.values() == (["first", "second", "third"], "finished")
    effects = folder.effects()
    assert Counter({line.split()[0]: times for line, times in effects.items()}) == {
        "first": 1,
        "second": 2,
        "third": 1,
    }
    assert len(effects) == 3, "each has one key"
