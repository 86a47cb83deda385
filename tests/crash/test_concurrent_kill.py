"""Many runs at once in a process that is killed again and again: none is lost, each result is exact."""

import random
import select
import subprocess
import sys
from pathlib import Path

import pytest

from dashflow.checkpoint.sqlite import SqliteSaver
from tests.crash.concurrent_child import STEPS, build

CHILD = Path(__file__).with_name("concurrent_child.py")
ROOT = CHILD.parents[2]


def begin(path, runs):
    child = subprocess.Popen(
        [sys.executable, str(CHILD), str(path), str(runs)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert child.stdout.readline() == "begun\n"
    return child


@pytest.mark.feature("RES-01", "NEW-01")
def test_no_run_is_lost(tmp_path, soak):
    for runs in (100, 1000, 5000) if soak else (40,):
        many(tmp_path / f"{runs}.db", runs, soak)


def many(path, runs, soak):
    chance, kills, longest = random.Random(runs), 0, 2.0 if soak else 0.15
    while kills < (10 if soak else 3):
        child = begin(path, runs)
        done, _, _ = select.select([child.stdout], [], [], chance.random() * longest)
        child.kill()
        child.communicate()
        if done:
            break
        kills += 1
    child = begin(path, runs)
    assert child.communicate(timeout=600)[0] == "done\n"
    assert child.returncode == 0
    with SqliteSaver.from_conn_string(str(path)) as saver:
        graph = build(saver)
        for number in range(runs):
            state = graph.get_state({"configurable": {"thread_id": f"t{number}"}})
            assert state.values == {"seen": [*range(STEPS)], "n": number}
            assert saver.reader.head(f"t{number}").status == "finished"
