"""A folder where real processes run graphs on one log, are killed, and are looked at. For tests of crashes.

What nodes do to the world is a line in a file, so a node that ran twice has two.
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
from dashflow.log.open import open_log

FLOWS = """
    import os, sys, time
    from operator import add
    from typing import Annotated, Any, TypedDict
    from dashflow.graph import END, START, StateGraph
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
    from dashflow.log.sqlite import SqliteLog
    from dashflow.types import Command

    name, given, threads, lease, strategy = sys.argv[1:]
    given = [Command(resume="yes")] if given == "answer" else json.loads(given)
    saver = LogSaver(SqliteLog(os.path.join(flows.HERE, "threads.db"), lease_seconds=float(lease)))
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
    else:
        for thread in threads.split(","):
            print(call(given, thread), flush=True)
"""


class Folder:
    """A folder with graphs, a log, and what nodes did."""

    def __init__(self, path: Path) -> None:
        self.path = path
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
        self, graph: str, given: Any, *threads: str, lease: float = 10.0, strategy: str = "enqueue"
    ) -> subprocess.Popen[str]:
        """A process that calls a graph, on one thread after the other; a list of inputs, or ``"answer"``, all
        at once and when it is told ``go``."""
        text = given if given == "answer" else json.dumps(given)
        return self.process("call.py", graph, text, ",".join(threads or ("t",)), str(lease), strategy)

    def worker(self, *words: str, graphs: str = "counting holding poisonous paying") -> subprocess.Popen[str]:
        """A worker."""
        names = [f"flows:{graph}" for graph in graphs.split()]
        return self.process(
            "-m", "dashflow", "worker", *names, "--db", "threads.db", "--every", "0.05", "--json", *words
        )

    def work(self, **options: Any) -> list[dict[str, Any]]:
        """What a worker told that did what there was to do."""
        with self.worker("--once", **options) as process:
            out, err = process.communicate()
        assert process.returncode == 0, err
        return [json.loads(line) for line in out.splitlines()]

    def dashflow(self, *words: str) -> str:
        """What a command printed."""
        with self.process("-m", "dashflow", *words, "--db", "threads.db") as process:
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

    def log(self) -> closing[Any]:
        """The log, opened here."""
        return closing(open_log(self.path / "threads.db"))

    def values(self, thread: str = "t") -> Any:
        """A thread's log channel, and how its last run stands."""
        with self.log() as log:
            state = LogSaver(log).reader.head(thread)
        return state.values.get("log"), state.status


def killed(process: subprocess.Popen[str]) -> None:
    """kill -9."""
    process.send_signal(signal.SIGKILL)
    process.communicate()


def go(*callers: subprocess.Popen[str]) -> None:
    """Let processes that wait for it call, all at the same time."""
    for caller in callers:
        assert caller.stdout is not None
        assert caller.stdout.readline() == "ready\n"
    for caller in callers:
        assert caller.stdin is not None
        caller.stdin.write("go\n")
        caller.stdin.flush()
