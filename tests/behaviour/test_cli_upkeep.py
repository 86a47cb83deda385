"""`dashflow log migrate` and `dashflow log compact`, in a process of their own."""

import gzip
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from dashflow.log.base import EVERYTHING, LOG_FORMAT, Append
from dashflow.log.sqlite import SqliteLog
from dashflow.testing.log_case import new_event

FORMAT_1 = Path(__file__).parents[1] / "unit" / "data" / "log-format-1.db.gz"


def dashflow(*words):
    done = subprocess.run(
        [sys.executable, "-m", "dashflow", *words],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


# -- migrate ---------------------------------------------------------------------------------------


@pytest.mark.feature("LOG-04", "PERSIST-000")
def test_what_a_migration_would_do_is_shown_and_then_done(tmp_path):
    path = tmp_path / "old.db"
    path.write_bytes(gzip.decompress(FORMAT_1.read_bytes()))
    before = path.read_bytes()
    code, shown, _ = dashflow("log", "migrate", "--dry-run", "--db", str(path))
    assert code == 0
    assert f"would be brought to format {LOG_FORMAT}" in " ".join(shown.split())
    assert "CREATE TABLE blobs" in shown
    assert path.read_bytes() == before
    assert not os.path.exists(f"{path}-wal")

    code, shown, _ = dashflow("log", "migrate", "--json", "--db", str(path))
    told = json.loads(shown)
    assert (code, told["format"], [step["format"] for step in told["steps"]]) == (0, LOG_FORMAT, [2, 3])
    assert len(SqliteLog(path).read_all()) == 5
    assert "nothing to do" in dashflow("log", "migrate", "--db", str(path))[1]


@pytest.mark.feature("PERSIST-001")
def test_what_a_migration_would_do_to_a_server_is_shown_and_then_done(postgres):
    db = postgres.log
    code, shown, _ = dashflow("log", "migrate", "--dry-run", "--db", db)
    assert code == 0
    assert "CREATE TABLE" in shown
    code, again, _ = dashflow("log", "migrate", "--db", db)
    assert (code, "was brought to format" in again) == (0, True)
    assert "nothing to do" in dashflow("log", "migrate", "--dry-run", "--db", db)[1]


# -- compact ---------------------------------------------------------------------------------------


@pytest.mark.feature("LOG-05")
def test_space_of_what_was_forgotten_is_given_back_while_others_have_the_log_open(tmp_path):
    path = tmp_path / "log.db"
    log = SqliteLog(path)
    for number in range(40):
        events = [new_event(data=os.urandom(50_000))]
        log.append(Append(f"run-{number}", events))
    for number in range(39):
        log.append(Append(f"run-{number}", [new_event(data=b"gone")], forget=EVERYTHING))
    kept = log.read_all()
    code, shown, problem = dashflow("log", "compact", "--json", "--db", str(path))
    told = json.loads(shown)
    assert (code, problem, told["cut"]) == (0, "", True)
    assert told["before"] > 2_000_000
    assert told["after"] == path.stat().st_size < 200_000
    assert log.read_all() == kept
    log.append(Append("run-1", [new_event(data=b"goes on")], 2))
    assert log.read("run-1")[-1].position > kept[-1].position
    log.close()
    check = sqlite3.connect(path)
    assert check.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    check.close()


@pytest.mark.feature("LOG-05")
def test_somebody_who_reads_keeps_the_file_long_and_that_is_said(tmp_path):
    path = tmp_path / "log.db"
    with_events = SqliteLog(path)
    with_events.append(Append("run-1", [new_event(data=os.urandom(500_000))]))
    reading = sqlite3.connect(path, isolation_level=None)
    reading.execute("BEGIN")
    reading.execute("SELECT count(*) FROM events").fetchall()
    with_events.append(Append("run-1", [new_event(data=b"gone")], forget=EVERYTHING))
    code, shown, _ = dashflow("log", "compact", "--db", str(path))
    assert (code, "somebody is reading it" in shown) == (0, True)
    reading.close()
    with_events.close()
    assert dashflow("log", "compact", "--db", str(path))[0] == 0
    assert path.stat().st_size < 200_000


@pytest.mark.feature("LOG-05", "DX-002")
@pytest.mark.parametrize(
    ("words", "db", "exit_code", "problem"),
    [
        ("compact", "missing.db", 2, "no log at"),
        ("compact", "memory://", 2, "in memory"),
        ("compact", "text.db", 6, "not a DashFlow log"),
        ("compact", "postgresql://localhost/x", 2, "VACUUM FULL"),
        ("migrate", "missing.db", 2, "no log at"),
        ("migrate", ":memory:", 2, "in memory"),
        ("migrate", "text.db", 6, "not a DashFlow log"),
    ],
)
def test_what_cannot_be_done_is_said(tmp_path, monkeypatch, words, db, exit_code, problem):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.db").write_text("Some notes." * 1000)
    code, _, told = dashflow("log", words, "--db", db)
    assert (code, problem in told) == (exit_code, True), told
    assert (tmp_path / "text.db").read_text() == "Some notes." * 1000
    assert not (tmp_path / "missing.db").exists()
