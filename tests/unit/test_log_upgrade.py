"""A log of format 1, as a release of that time wrote it, is brought to today's format when it is opened."""

import gzip
import os
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from dashflow.errors import LogFormatError, NotALogError
from dashflow.log.base import EVERYTHING, LOG_FORMAT, Append, NewEvent, Snapshot
from dashflow.log.sqlite import SqliteLog
from dashflow.log.sqlite.upgrade import planned
from dashflow.testing.log_case import new_event, new_events

pytestmark = pytest.mark.feature("PERSIST-000", "LOG-04")

FORMAT_1 = gzip.decompress((Path(__file__).parent / "data" / "log-format-1.db.gz").read_bytes())
"""Five events: three of run-1 (the last with 6,000 bytes), two of plan-1."""

EVENTS = [
    ("run-1", 1, "RunStarted", "c-1", 0),
    ("run-1", 2, "TaskCompleted", "c-1", 0),
    ("plan-1", 1, "PlanMade", "c-2", 0),
    ("plan-1", 2, "TaskCompleted", "TaskCompleted", 0),
    ("run-1", 3, "RunCompleted", "c-1", 1),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "log.db"
    path.write_bytes(FORMAT_1)
    return path


def shape(path: Path) -> dict[str, Any]:
    """Tables with their columns, indexes, and the texts of views."""
    connection = sqlite3.connect(path)
    names = connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
    found: dict[str, Any] = {
        f"{kind} {name}": (
            connection.execute(f"PRAGMA table_info({name})").fetchall()
            if kind == "table"
            else sql and " ".join(sql.split())
        )
        for kind, name, sql in names
    }
    connection.close()
    return found


def test_it_becomes_what_a_fresh_log_is(path: Path, tmp_path: Path) -> None:
    SqliteLog(path).close()
    SqliteLog(tmp_path / "fresh.db").close()
    assert shape(path) == shape(tmp_path / "fresh.db")
    check = sqlite3.connect(path)
    assert check.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert check.execute("SELECT value FROM meta WHERE key = 'format'").fetchall() == [(LOG_FORMAT,)]
    check.close()


def test_its_events_are_what_they_were_and_it_goes_on(path: Path) -> None:
    log = SqliteLog(path)
    records = log.read_all()
    assert [(r.stream, r.version, r.type, r.correlation_id, r.epoch) for r in records] == EVENTS
    assert [r.data for r in records[:4]] == [b"data 1", b"data 2", b"data 3", b"data 4"]
    assert records[4].data == b"x" * 6000
    assert log.append(Append("run-1", new_events(1), expected=3)).position == 6
    owner = log.instance + "/r"
    assert log.append(Append("run-1", owner=owner, claim=True, release=True)).epoch == 2
    assert log.read_all(correlation="c-1") == [records[0], records[1], records[4]]
    log.keep_snapshot("plan-1", Snapshot(2, b"both"))
    log.append(Append("plan-1", [NewEvent("Noted", b"", bytes(16), 1, blobs={b"key": b"large"})]))
    assert (log.snapshot("plan-1"), log.blob(b"key")) == (Snapshot(2, b"both"), b"large")
    log.close()


def test_a_correlation_that_is_a_type_elsewhere_stays_a_type(path: Path) -> None:
    log = SqliteLog(path)
    log.append(Append("plan-1", [new_event("Deleted")], forget=EVERYTHING))
    assert [record.type for record in log.read_all()] == [
        "RunStarted",
        "TaskCompleted",
        "RunCompleted",
        "Deleted",
    ]
    log.close()
    assert b"c-2" not in path.read_bytes()


def test_several_processes_open_it_at_once(path: Path) -> None:
    program = (
        "import sys; from dashflow.log.sqlite import SqliteLog; from dashflow.log.base import Append\n"
        "from dashflow.testing.log_case import new_events\n"
        "log = SqliteLog(sys.argv[1]); sys.stdin.read(1)\n"
        "log.append(Append('run-1', new_events(5))); log.close()"
    )
    children = [
        subprocess.Popen([sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE) for _ in range(4)
    ]
    for child in children:
        child.communicate(b"x")
    assert [child.returncode for child in children] == [0] * 4
    log = SqliteLog(path)
    assert [record.version for record in log.read("run-1")] == list(range(1, 24))
    log.close()


def test_who_finds_it_migrated_already_does_nothing_twice(path: Path) -> None:
    first = SqliteLog(path)
    database = first._database
    # Another process was faster after this one had looked: nothing is done twice.
    database._migrate(database.writer)
    assert first.version("run-1") == 3
    first.close()


# -- the dry run --------------------------------------------------------------------------------


def test_a_dry_run_tells_what_would_be_done_and_does_nothing(path: Path) -> None:
    plan = planned(path)
    assert (plan.where, plan.found, plan.known) == (str(path), 1, LOG_FORMAT)
    assert [step.format for step in plan.steps] == list(range(2, LOG_FORMAT + 1))
    assert "format 2" in plan.steps[0].why
    assert any(statement.startswith("CREATE TABLE blobs") for statement in plan.steps[0].statements)
    assert path.read_bytes() == FORMAT_1
    assert [file.name for file in path.parent.iterdir()] == ["log.db"]


def test_a_dry_run_beside_an_open_log(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log.db")
    log.append(Append("run-1", new_events(1)))
    assert planned(tmp_path / "log.db").steps == []
    log.close()


def test_a_dry_run_refuses_what_opening_would_refuse(path: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("notes " * 100)
    for other in (tmp_path / "notes.txt", tmp_path / "none.db", tmp_path):
        with pytest.raises(NotALogError):
            planned(other)
    edit = sqlite3.connect(path)
    edit.execute(f"UPDATE meta SET value = {LOG_FORMAT + 1} WHERE key = 'format'")
    edit.commit()
    edit.close()
    with pytest.raises(LogFormatError):
        planned(path)


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="permissions are a matter of POSIX")
def test_a_file_that_may_not_be_written_is_left_alone_with_a_word() -> None:
    # Not below pytest's own folder: the test may have to give up being root to be refused anything.
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        path = Path(name) / "log.db"
        path.write_bytes(FORMAT_1)
        path.chmod(0o444)
        program = (
            "import os, sys\n"
            "from dashflow.errors import StorageUnavailableError\n"
            "from dashflow.log.sqlite import SqliteLog\n"
            "from dashflow.log.sqlite.upgrade import planned\n"
            "SqliteLog(':memory:').close()\n"
            "from dashflow.log.sqlite.statements import migrations; migrations(1)\n"
            "os.getuid() or os.setuid(65534)\n"
            "print(len(planned(sys.argv[1]).steps))\n"
            "try: SqliteLog(sys.argv[1])\n"
            "except StorageUnavailableError as error: print(error)"
        )
        child = [sys.executable, "-c", program, str(path)]
        said = subprocess.run(child, capture_output=True, text=True, check=True).stdout
        assert said.startswith(f"{LOG_FORMAT - 1}\n")
        assert "read-only" in said
        assert path.read_bytes() == FORMAT_1


# -- format 2 -----------------------------------------------------------------------------------

FORMAT_2 = gzip.decompress((Path(__file__).parent / "data" / "log-format-2.db.gz").read_bytes())
"""run-1 (two events, a large value, a snapshot), run-2 (its first two events forgotten), run-3 (all of it
forgotten), and a view of two entries."""


def test_a_log_of_format_2_gets_checksums_of_all_that_is_trusted(path: Path, tmp_path: Path) -> None:
    path.write_bytes(FORMAT_2)
    log = SqliteLog(path)
    assert [(r.stream, r.version, r.type) for r in log.read_all()] == [
        ("run-1", 1, "RunStarted"),
        ("run-1", 2, "TaskCompleted"),
        ("run-2", 3, "Deleted"),
    ]
    assert [record.version for record in log.read("run-2")] == [3]
    assert (log.read("run-3"), log.version("run-3")) == ([], 1)
    assert (log.snapshot("run-1"), log.blob(b"key")) == (Snapshot(2, b"both"), b"large" * 2000)
    assert (log.view_position("view"), log.view("view")) == (3, {"a": b"1", "b": b"2"})
    assert log.append(Append("run-3", new_events(1), expected=1)).version == 2
    assert [record.version for record in log.read("run-3")] == [2]
    log.close()
    SqliteLog(tmp_path / "fresh.db").close()
    assert shape(path) == shape(tmp_path / "fresh.db")
    check = sqlite3.connect(path)
    for table in ("words", "streams", "views", "entries"):
        unchecked = f"SELECT count(*) FROM {table} WHERE crc = -1"
        forgotten = " AND typeof(text) = 'text'" if table == "words" else ""
        assert check.execute(unchecked + forgotten).fetchone() == (0,)
    check.close()
