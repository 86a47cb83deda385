"""A folder where real processes run graphs on one log, are killed, and are looked at. For tests of crashes.

What nodes do to the world is a line in a file, so a node that ran twice has two. The log is a file there, or
a schema of a PostgreSQL server: one text for both.
"""

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from dashflow.checkpoint.inbox import Inbox
from dashflow.checkpoint.saver import LogSaver
from dashflow.log.base import EventLog
from dashflow.log.postgres import PostgresLog
from dashflow.log.sqlite import SqliteLog
from tests.postgres import Place

FLOWS = """
    import os, sys, time
    from operator import add
    from typing import Annotated, Any, TypedDict
    from dashflow.func import step
    from dashflow.graph import END, START, StateGraph
    from dashflow.runtime import Runtime
    from dashflow.types import interrupt

    HERE = os.path.dirname(os.path.abspath(__file__))

    class State(TypedDict, total=False):
        n: int
        log: Annotated[list[Any], add]

    def mark(what):
        file = os.open(os.path.join(HERE, "effects"), os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        os.write(file, f"{what}\\n".encode())
        os.close(file)

    def wait_here(name):
        # Until a test takes the file away.
        open(os.path.join(HERE, f"in {name}"), "w").close()
        while os.path.exists(os.path.join(HERE, f"hold {name}")):
            time.sleep(0.005)

    def count(state):
        mark(f"{state['n']}")
        return {"n": state["n"] + 1, "log": [state["n"]]}

    counting = StateGraph(State).add_node("count", count).add_edge(START, "count")
    counting.add_conditional_edges("count", lambda s: END if s["n"] >= 60 else "count")
    counting = counting.compile(name="counting")

    def pay_once(state, runtime: Runtime):
        # What a receiver that looks at the key would have to tell apart.
        at = runtime.execution_info
        mark(f"{at.thread_id} {state['n']} {at.task_id}")
        if state["n"] == 5:
            wait_here(at.thread_id)
        return {"n": state["n"] + 1, "log": [state["n"]]}

    steady = StateGraph(State).add_node("pay_once", pay_once).add_edge(START, "pay_once")
    steady.add_conditional_edges("pay_once", lambda s: END if s["n"] >= 40 else "pay_once")
    steady = steady.compile(name="steady")

    def hold(state):
        mark(f"hold {state['n']}")
        wait_here(state["n"])
        return {"log": [state["n"]]}

    holding = StateGraph(State).add_node("hold", hold).add_edge(START, "hold")
    holding = holding.compile(name="holding")

    def poison(state):
        mark("poison")
        if not os.path.exists(os.path.join(HERE, "antidote")):
            os._exit(9)
        return {"log": ["survived"]}

    poisonous = StateGraph(State).add_node("poison", poison).add_edge(START, "poison")
    poisonous = poisonous.compile(name="poisonous")

    def effect(what, idempotency_key):
        mark(f"{what} {idempotency_key}")
        if what == "second":
            wait_here("second")
        return what

    def pay_in_steps(state):
        return {"log": [step("effect", effect, what) for what in ("first", "second", "third")]}

    stepping = StateGraph(State).add_node("pay_in_steps", pay_in_steps).add_edge(START, "pay_in_steps")
    stepping = stepping.compile(name="stepping")

    def ask(state):
        return {"log": [interrupt("pay?")]}

    def pay(state):
        mark("pay")
        return {"log": ["paid"]}

    paying = StateGraph(State).add_node("ask", ask).add_node("pay", pay)
    paying = paying.add_edge(START, "ask").add_edge("ask", "pay").compile(name="paying")
"""

CALL = """
    import json, os, sys
    from concurrent.futures import ThreadPoolExecutor
    import flows
    from dashflow.checkpoint.saver import LogSaver
    from dashflow.errors import DashFlowError
    from dashflow.types import Command

    where, name, given, threads, lease, strategy, at_once = sys.argv[1:]
    if "://" in where:
        from dashflow.log.postgres import PostgresLog as Log
    else:
        from dashflow.log.sqlite import SqliteLog as Log
    given = Command(resume="yes") if given == "answer" else json.loads(given)
    saver = LogSaver(Log(where, lease_seconds=float(lease)))
    graph = getattr(flows, name).with_checkpointer(saver)

    def call(one, thread):
        place = {"thread_id": thread, "multitask_strategy": strategy}
        config = {"configurable": place, "recursion_limit": 1000}
        try:
            return f"result {json.dumps(graph.invoke(one, config, durability='sync')['log'])}"
        except DashFlowError as error:
            return f"refused {error.code}"

    if isinstance(given, list):  # all at once, when told to
        print("ready", flush=True)
        sys.stdin.readline()
        with ThreadPoolExecutor(len(given)) as pool:
            for said in pool.map(lambda one: call(one, threads), given):
                print(said, flush=True)
    elif threads == "-":  # on one thread after the other, as told
        print("ready", flush=True)
        for line in sys.stdin:
            print(call(given, line.strip()), flush=True)
    else:
        names = threads.split(",")
        with ThreadPoolExecutor(int(at_once)) as pool:
            for said in pool.map(lambda thread: call(given, thread), names):
                print(said, flush=True)
"""


class Folder:
    """A folder with graphs, a log, and what nodes did.

    Args:
        path: The folder.
        place: Where the log is on a PostgreSQL server; None: it is a file in the folder.
    """

    def __init__(self, path: Path, place: Place | None = None) -> None:
        self.path = path
        self.place = place
        self.where = str(path / "threads.db") if place is None else place.log
        (path / "flows.py").write_text(textwrap.dedent(FLOWS), encoding="utf-8")
        (path / "call.py").write_text(textwrap.dedent(CALL), encoding="utf-8")

    def process(self, *words: str) -> subprocess.Popen[str]:
        """A Python process here."""
        return subprocess.Popen(
            [sys.executable, *words],
            cwd=self.path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )

    def call(
        self,
        graph: str,
        given: Any,
        *threads: str,
        lease: float = 10.0,
        strategy: str = "enqueue",
        at_once: int = 1,
    ) -> subprocess.Popen[str]:
        """A process that calls a graph with an input, or the ``"answer"`` to a question, on one thread after
        the other, or on some ``at_once``; ``"-"`` on those that it is told of. With a list of inputs on one
        thread, all at once, when told ``go``."""
        text = given if given == "answer" else json.dumps(given)
        told = (graph, text, ",".join(threads or ("t",)), str(lease), strategy, str(at_once))
        return self.process("call.py", self.where, *told)

    def worker(self, *words: str, graphs: str = "counting holding poisonous paying") -> subprocess.Popen[str]:
        """A worker."""
        names = [f"flows:{graph}" for graph in graphs.split()]
        return self.process(
            "-m", "dashflow", "worker", *names, "--db", self.where, "--every", "0.05", "--json", *words
        )

    def work(self, **options: Any) -> list[dict[str, Any]]:
        """What a worker told that did what there was to do."""
        with self.worker("--once", **options) as process:
            out, err = process.communicate()
        assert process.returncode == 0, err
        return [json.loads(line) for line in out.splitlines()]

    def dashflow(self, *words: str) -> str:
        """What a command printed."""
        with self.process("-m", "dashflow", *words, "--db", self.where) as process:
            out, err = process.communicate()
        assert process.returncode == 0, err
        return out

    def effects(self) -> Counter[str]:
        """What nodes did, how often."""
        file = self.path / "effects"
        return Counter(file.read_text(encoding="utf-8").splitlines() if file.exists() else ())

    def wait_until_queued(self, count: int, thread: str = "t") -> None:
        """Until so many inputs wait for a thread."""
        with self.log() as log:
            reader = LogSaver(log).reader
            while len(Inbox(reader, thread).waiting()[0]) < count:
                pass

    def wait_for(self, name: str) -> None:
        """Until a node is there."""
        while not (self.path / f"in {name}").exists():
            pass

    def log(self, lease: float = 10.0) -> closing[EventLog]:
        """The log, opened here."""
        kind = SqliteLog if self.place is None else PostgresLog
        return closing(kind(self.where, lease_seconds=lease))

    def kill(self, process: subprocess.Popen[str]) -> None:
        """kill -9."""
        process.send_signal(signal.SIGKILL)
        self.gone(process)

    def gone(self, process: subprocess.Popen[str]) -> None:
        """A process is dead, and everybody may know it: see ``Place.end_lease``."""
        process.communicate()
        if self.place is not None:
            self.place.end_lease(process.pid)

    def values(self, thread: str = "t") -> Any:
        """A thread's log channel, and how its last run stands."""
        with self.log() as log:
            state = LogSaver(log).reader.head(thread)
        return state.values.get("log"), state.status


def say(line: str, *callers: subprocess.Popen[str]) -> None:
    """Tell processes something, all at the same time."""
    for caller in callers:
        assert caller.stdin is not None
        caller.stdin.write(line + "\n")
        caller.stdin.flush()


def hear(caller: subprocess.Popen[str]) -> str:
    """The next line of a process."""
    assert caller.stdout is not None
    return caller.stdout.readline().rstrip("\n")


def go(*callers: subprocess.Popen[str]) -> None:
    """Let processes that wait for it call, all at the same time."""
    assert [hear(caller) for caller in callers] == ["ready"] * len(callers)
    say("go", *callers)
