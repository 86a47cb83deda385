"""A disk that is full, that fails, that stops in the middle of a write: at every write that a run makes.

The promise: the run pauses with a ``StorageUnavailableError``; under "sync" at most one step was done beyond
the last commit, under "async" at most 64; the file is sound; when the disk is well again, the run goes on
exactly where it was.
"""

import operator
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest

from dashflow.checkpoint.saver import LogSaver
from dashflow.engine.journal import AHEAD
from dashflow.errors import StorageUnavailableError
from dashflow.graph import END, START, StateGraph
from dashflow.log.base import EventLog
from dashflow.log.open import open_log
from tests.crash.faulty_disk import FaultyDisk, library

pytestmark = [
    pytest.mark.feature("NEW-10"),
    pytest.mark.skipif(library() is None, reason="this interpreter's SQLite lets no VFS in"),
]

STEPS = 8
CONFIG: Any = {"configurable": {"thread_id": "t"}, "recursion_limit": 200}


class State(TypedDict):
    n: int
    done: Annotated[list, operator.add]


@pytest.fixture
def disk() -> Iterator[FaultyDisk]:
    sqlite = library()
    assert sqlite is not None
    with FaultyDisk(sqlite) as disk:
        yield disk


class Work:
    """A graph of one node that runs eight times, and how often each step of it was done."""

    def __init__(self, steps: int = STEPS, size: int = 3000) -> None:
        self.steps = steps
        self.effects: list[int] = []
        self.noise = "".join(chr(33 + number * 7 % 90) for number in range(size))

    def graph(self, log: EventLog) -> Any:
        def step(state: State) -> dict[str, Any]:
            self.effects.append(state["n"])
            return {"n": state["n"] + 1, "done": [f"{state['n']} {self.noise}"]}

        built = StateGraph(State)
        built.add_node("step", step)
        built.add_edge(START, "step")
        built.add_conditional_edges("step", lambda state: "step" if state["n"] < self.steps else END)
        return built.compile(checkpointer=LogSaver(log))

    def run(self, path: Path, durability: str) -> dict[str, Any]:
        """Run it, or go on with it."""
        log = open_log(path)
        try:
            app = self.graph(log)
            begun = app.get_state(CONFIG).created_at
            given = None if begun else {"n": 0, "done": []}
            return app.invoke(given, CONFIG, durability=durability)
        finally:
            log.close()

    def recorded(self, path: Path) -> int:
        """How many steps the log has; the file is sound."""
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        log = open_log(path)
        try:
            values = self.graph(log).get_state(CONFIG).values
            return values.get("n", 0)
        finally:
            log.close()


def check(work: Work, path: Path, disk: FaultyDisk, durability: str) -> bool:
    """Run into the fault, and go on after it; whether there was one."""
    refused: StorageUnavailableError | None = None
    try:
        work.run(path, durability)
    except StorageUnavailableError as error:
        refused = error
    disk.mend()
    failed = refused is not None
    assert not failed or str(path) in str(refused)
    recorded = work.recorded(path)
    beyond = len(work.effects) - recorded
    assert 0 <= beyond <= (1 if durability == "sync" else AHEAD), (recorded, work.effects)
    if recorded < work.steps:
        assert failed
        end = work.run(path, durability)
        assert [one.partition(" ")[0] for one in end["done"]] == [str(n) for n in range(work.steps)]
    assert work.effects == [*range(recorded + beyond), *range(recorded, work.steps)]
    return failed


def counts(soak: bool, most: int, few: int) -> range:
    return range(1, most + 1, 1 if soak else max(1, most // few))


@pytest.mark.parametrize("durability", ["sync", "async"])
@pytest.mark.parametrize("kind", ["eio", "short", "full", "flush"])
@pytest.mark.guarantee("disk-fails")
def test_a_write_that_fails_pauses_the_run(tmp_path, disk, kind, durability, soak):
    whole = tmp_path / "whole.db"
    Work().run(whole, durability)
    most, faults = disk.writes, 0
    for number in counts(soak, most, 4):
        path = tmp_path / f"{number}.db"
        with disk.failing(kind, number):
            faults += check(Work(), path, disk, durability)
    assert faults


@pytest.mark.parametrize("durability", ["sync", "async"])
@pytest.mark.guarantee("disk-fails")
def test_a_single_fault_is_survived(tmp_path, disk, durability, soak):
    whole = tmp_path / "whole.db"
    Work().run(whole, durability)
    for number in counts(soak, disk.writes, 5):
        with disk.failing("eio", number, once=True):
            check(Work(), tmp_path / f"{number}.db", disk, durability)


@pytest.mark.parametrize("durability", ["sync", "async"])
@pytest.mark.guarantee("disk-fails")
def test_a_disk_that_is_full_at_any_size(tmp_path, disk, durability, soak):
    whole = tmp_path / "whole.db"
    work = Work()
    work.run(whole, durability)
    needed = 260_000
    faults = 0
    for room in range(0, needed, 1024 if soak else needed // 8):
        path = tmp_path / f"{room}.db"
        disk.room = room
        faults += check(Work(), path, disk, durability)
    assert faults > 3


def test_a_disk_that_fills_while_a_log_is_in_use_and_then_has_room(tmp_path, disk):
    path = tmp_path / "log.db"
    work = Work(steps=40, size=20_000)
    log = open_log(path)
    app = work.graph(log)
    disk.room = 300_000
    with pytest.raises(StorageUnavailableError, match="disk is full"):
        app.invoke({"n": 0, "done": []}, CONFIG, durability="sync")
    done = len(work.effects)
    assert done < 40
    with pytest.raises(StorageUnavailableError):
        app.invoke(None, CONFIG, durability="sync")
    assert len(work.effects) <= done + 1
    disk.mend()
    end = app.invoke(None, CONFIG, durability="sync")
    assert (end["n"], len(end["done"])) == (40, 40)
    log.close()


@pytest.mark.guarantee("disk-fails")
def test_wherever_the_power_goes_the_log_is_a_beginning_of_what_was_written(tmp_path, disk, soak):
    """After every half of a write a picture of the disk is taken, and a log is opened from it."""
    path = tmp_path / "log.db"
    pictures: list[tuple[bytes, bytes, int]] = []
    acknowledged = 0

    def cut() -> None:
        wal = path.with_name("log.db-wal")
        pictures.append((path.read_bytes(), wal.read_bytes() if wal.exists() else b"", acknowledged))

    log = open_log(path)
    work = Work(steps=4)
    app = work.graph(log)
    disk.cut = cut
    for _ in app.stream({"n": 0, "done": []}, CONFIG, durability="sync"):
        acknowledged = log.version("run-t")
    disk.cut = None
    whole = log.read_all(limit=10_000)
    log.close()
    assert len(pictures) > 10
    seen = set()
    for number, (database, wal, known) in enumerate(pictures):
        if not soak and number % 3:
            continue
        copy = tmp_path / f"picture-{number}.db"
        copy.write_bytes(database)
        copy.with_name(f"{copy.name}-wal").write_bytes(wal)
        found = open_log(copy)
        left = found.read_all(limit=10_000)
        assert left == whole[: len(left)]
        assert len([record for record in left if record.stream == "run-t"]) >= known
        seen.add(len(left))
        found.close()
        with closing(sqlite3.connect(copy)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert len(seen) > 2


@pytest.mark.soak
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may mount a disk")
@pytest.mark.parametrize("kilobytes", range(512, 4096, 256))
def test_a_real_small_disk_that_is_full(tmp_path, kilobytes):
    """The same on a file system of so many kilobytes, which is made larger afterwards."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount a disk")
    try:
        path, work = place / "log.db", Work(steps=40, size=20_000)
        ballast = place / "ballast"
        ballast.write_bytes(bytes(kilobytes * 1024 * 2 // 5))
        log = open_log(path)
        app = work.graph(log)
        try:
            app.invoke({"n": 0, "done": []}, CONFIG, durability="sync")
            refused = False
        except StorageUnavailableError:
            refused = True
        recorded = log.read("run-t")
        log.close()
        assert refused == (len(recorded) < 42)
        assert len(work.effects) <= max(len(recorded) - 2, 0) + 1
        subprocess.run(["mount", "-o", "remount,size=64m", str(place)], check=True)
        assert work.run(path, "sync")["n"] == 40
        assert len(work.effects) <= 41
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False)
