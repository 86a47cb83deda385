"""Databases that LangGraph wrote: made in processes of their own, changed by hand, looked into."""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import dashflow
from dashflow.checkpoint.foreign import ImportReport

PROGRAM = Path(__file__).with_name("langgraph_program.py")
SOURCES = str(Path(dashflow.__file__).parents[1])


def python(*arguments: str) -> str:
    """What a new process prints."""
    path = os.pathsep.join([SOURCES, os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def program(*arguments: str) -> dict:
    return json.loads(python(str(PROGRAM), *arguments) or "null")


def command(*arguments: str) -> tuple[int, dict]:
    """Exit code and JSON of a ``dashflow`` command in a new process."""
    done = subprocess.run(
        [sys.executable, "-m", "dashflow", *arguments, "--json"],
        env={**os.environ, "PYTHONPATH": SOURCES},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, json.loads(done.stdout)


def changed(path: Path, statement: str, *values: object) -> None:
    connection = sqlite3.connect(path)
    connection.execute(statement, values)
    connection.commit()
    connection.close()


def rows(path: Path, statement: str) -> list[tuple]:
    connection = sqlite3.connect(path)
    found = connection.execute(statement).fetchall()
    connection.close()
    return found


def told(report: ImportReport) -> set[tuple[str, str, str]]:
    return {(one.what, one.code, one.thread) for one in report.skipped}
