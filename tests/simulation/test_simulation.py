"""The simulation: reduced counts here, 100,000 cases in `make simulate`; and cases that once failed."""

import subprocess
import sys
import time

import pytest

from tests.simulation.campaign import Part, work
from tests.simulation.cases import SCENARIOS, Case, Failed, run, shrunk
from tests.simulation.checks import Violation, check_intervals, check_store
from tests.simulation.programs import Now
from tests.simulation.world import World

pytestmark = [pytest.mark.feature("PERSIST-000"), pytest.mark.feature("NEW-03")]


@pytest.mark.guarantee("accepted-is-durable", "taken-over", "fenced", "no-input-lost", "plans-resume")
@pytest.mark.guarantee("batches-resume")
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_crash_points_and_schedules(seed, soak) -> None:
    found = work(Part(seed, 3, 30_000 if soak else 400))
    assert found.failures == []


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_scenario(scenario) -> None:
    found = work(Part(11, 1, 12, scenario=scenario))
    assert found.failures == []
    assert found.done == 12


@pytest.mark.parametrize(
    "case",
    [
        # A graph inside a node that keeps its state per thread had not begun when the process died: whoever
        # went on took what was there for work to go on with, and the node's input was lost.
        Case("nested-thread", 1, (-34,)),
        Case("nested-thread", 1, (35,)),
        # The process died before the first step, or a newer input came before it: the input was not in the
        # state.
        Case("interrupt", 1, (18,)),
        Case("reject", 1, (-33,)),
        # A worker that ran once gave a thread back and left before it looked for the inputs that waited for
        # it.
        Case("interrupt", 101, (-92, 107)),
        # A process that slept past its lease began a graph inside, though its thread was another's by then.
        Case("zombie", 34),
        Case("zombie", 81, (35,)),
        # It still had the graph inside when another one took the thread over, whose run ended by that, and
        # left the thread running with nobody there.
        Case("zombie", 136, (64,)),
        # Several steps were read after an event by which all of the thread is forgotten.
        Case("rollback", 12),
    ],
    ids=lambda case: case.command.partition("--")[2],
)
def test_what_failed_once(case) -> None:
    run(case)


def test_a_case_repeats_to_the_byte() -> None:
    def log(seed: int) -> list[tuple[str, bytes, int]]:
        worlds: list[World] = []
        Now.made = worlds.append
        run(Case("takeover", seed, (9,)))
        Now.made = None
        return [(record.stream, record.data, record.at) for record in worlds[0].store.records]

    assert log(5) == log(5)
    assert log(5) != log(6)


def test_a_failure_tells_how_to_repeat_it_and_is_made_smaller(monkeypatch) -> None:
    def broken(world: World) -> None:
        if world.crashes and world.calls > 4:
            raise Violation("broken on purpose")

    monkeypatch.setattr("tests.simulation.checks.check_store", broken)
    with pytest.raises(Failed, match=r"tests.simulation --scenario chain --seed 3 --at=5,9") as caught:
        run(Case("chain", 3, (5, 9)))
    assert shrunk(caught.value).case in (Case("chain", 3, (5,)), Case("chain", 3, (9,)))


def test_the_checker_sees_what_is_wrong() -> None:
    with pytest.raises(Violation, match="told before"):
        check_intervals(["<2>", "<1>"], {"<1>": (0.0, 1.0), "<2>": (2.0, 3.0)})
    check_intervals(["<2>", "<1>"], {"<1>": (0.0, 2.5), "<2>": (2.0, 3.0)})
    worlds: list[World] = []
    Now.made = worlds.append
    run(Case("chain", 1))
    Now.made = None
    stream = worlds[0].store.streams["run-t"]
    stream.records[1:3] = reversed(stream.records[1:3])
    with pytest.raises(Violation, match="versions"):
        check_store(worlds[0])


def test_the_command_prints_seeds_and_counts() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--cases", "60", "--seed", "9", "--workers", "1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "seeds from 9" in done.stdout
    assert "60 crash points x schedules in 1 seeds (9 to 9)" in done.stdout
    once = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--scenario", "chain", "--seed", "9", "--at=-3"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert once.stdout.startswith("python -m tests.simulation --scenario chain --seed 9 --at=-3: ok")


def test_a_nightly_run_ends_when_its_time_is_over() -> None:
    found = work(Part(1, 1, sys.maxsize, until=time.monotonic()))
    assert found.done == 1
