"""kill -9 of real processes that work on a batch in a real file: another process goes on and repeats nothing.

What items do to the world is a line in a file, so an item that ran twice has two.
"""

import os
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dashflow.batch import Batch
from dashflow.batch.core import codec
from dashflow.batch.core.events import ItemsCompleted
from dashflow.log.sqlite import SqliteLog

pytestmark = pytest.mark.feature("BATCH-001")

PROGRAM = """
    import asyncio, os, sys
    from operator import add
    from typing import Annotated, Any, TypedDict
    from dashflow.batch import Batch, Count, Reduce
    from dashflow.checkpoint.sqlite import SqliteSaver
    from dashflow.graph import START, StateGraph

    folder, kind, host, count = sys.argv[1:]
    effects = os.open(os.path.join(folder, "effects"), os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    path = os.path.join(folder, "log.db")

    class State(TypedDict, total=False):
        n: int
        log: Annotated[list[Any], add]

    def mark(what):
        os.write(effects, f"{what}\\n".encode())
        os.write(1, b".\\n")

    def step(name):
        def run(state):
            mark(f"{name} {state['n']}")
            return {"log": [name]}
        return run

    builder = StateGraph(State)
    for before, name in zip([START, "a", "b", "c"], "abcd"):
        builder.add_node(name, step(name)).add_edge(before, name)

    saver = SqliteSaver(path)
    graph = builder.compile(checkpointer=saver if kind == "durable" else None)
    aggregate = {"count": Count(), "sum": Reduce(lambda total, result: total + result["n"], 0)}
    items = ({"n": number} for number in range(int(count)))
    batch = Batch(graph, items, name="b", log=saver.log, concurrency=4, aggregate=aggregate)
    progress = asyncio.run(batch.arun()) if host == "asyncio" else batch.run()
    print("result", progress.status, progress.completed, progress.failed, progress.aggregates, flush=True)
    saver.close()
"""


class Folder:
    """A program's folder: its log, and what its nodes did."""

    def __init__(self, path: Path, kind: str, host: str, count: int) -> None:
        self.path = path
        self.arguments = (kind, host, str(count))
        self.program = path / "program.py"
        self.program.write_text(textwrap.dedent(PROGRAM), encoding="utf-8")

    def start(self) -> subprocess.Popen[str]:
        """A process that begins or goes on."""
        return subprocess.Popen(
            [sys.executable, str(self.program), str(self.path), *self.arguments],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )

    def kill_after(self, lines: int) -> bool:
        """kill -9 once it printed so many lines; False when it came to its end before."""
        process = self.start()
        assert process.stdout is not None
        with process:
            for seen, said in enumerate(process.stdout, 1):
                if said.startswith("result"):
                    return False
                if seen == lines:
                    process.send_signal(signal.SIGKILL)
                    break
            process.stdout.read()
        return process.returncode == -signal.SIGKILL

    def finish(self) -> str:
        """A process that runs to the end; the result it printed."""
        said, _ = (process := self.start()).communicate()
        assert process.returncode == 0
        return said.splitlines()[-1]

    def effects(self) -> Counter[str]:
        """What nodes did, how often."""
        return Counter((self.path / "effects").read_text(encoding="utf-8").splitlines())

    def recorded(self) -> list[int]:
        """Items whose results are in the file."""
        with closing(SqliteLog(self.path / "log.db")) as log:
            events = [codec.decode(record) for record in log.read(codec.stream_of("b"))]
        return [item for event in events if isinstance(event, ItemsCompleted) for item in event.items]


@pytest.mark.parametrize("host", ["sync", "asyncio"])
@pytest.mark.parametrize("kind", ["durable", "plain"])
@pytest.mark.guarantee("batches-resume")
def test_a_batch_that_is_killed_again_and_again(tmp_path: Path, kind: str, host: str, soak: bool) -> None:
    count = 300 if soak else 60
    folder = Folder(tmp_path, kind, host, count)
    marks: Counter[str] = Counter()
    done: list[int] = []
    kills = 0
    # Far enough each time for no item to be there when five processes die: it would end as a dead letter.
    for lines in (1, 2, *range(30, 66)) if soak else (1, 70, 30):
        if not folder.kill_after(lines):
            break
        kills += 1
        effects = folder.effects()
        again = [
            item for item in done for name in "abcd" if effects[f"{name} {item}"] != marks[f"{name} {item}"]
        ]
        assert not again, "items that were recorded when the last process died"
        marks, done = effects, folder.recorded()
    assert kills >= 2
    total = sum(range(count))
    assert folder.finish() == f"result completed {count} 0 {{'count': {count}, 'sum': {total}}}"
    after = folder.effects()
    assert set(after) == {f"{name} {item}" for name in "abcd" for item in range(count)}
    assert sorted(folder.recorded()) == list(range(count))
    if kind == "durable":
        with closing(SqliteLog(tmp_path / "log.db")) as log:
            assert len(list(Batch(len, name="b", log=log).results())) == count


@pytest.mark.parametrize("host", ["sync", "asyncio"])
def test_an_item_that_was_cut_off_goes_on_inside(tmp_path: Path, host: str) -> None:
    """Steps that a thread has recorded are not run again: of a killed process, few are repeated."""
    folder = Folder(tmp_path, "durable", host, 8)
    assert folder.kill_after(18)
    before = folder.effects()
    assert folder.finish().startswith("result completed 8 0")
    repeated = folder.effects() - before
    # Without checkpoints, every item that was begun and not recorded would run its four steps again.
    begun = {mark.partition(" ")[2] for mark in before}
    first_steps_again = [mark for mark in repeated if mark.startswith("a ") and mark[2:] in begun]
    assert len(first_steps_again) <= 4


def test_two_processes_do_not_work_on_one_batch(tmp_path: Path) -> None:
    folder = Folder(tmp_path, "plain", "sync", 50_000)
    process = folder.start()
    assert process.stdout is not None
    process.stdout.readline()
    second: Any = subprocess.run(
        process.args,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    process.kill()
    process.communicate()
    assert second.returncode == 1
    assert "OwnershipConflictError: 'batch-b' is being run by" in second.stderr
