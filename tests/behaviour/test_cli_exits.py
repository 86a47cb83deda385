"""The table of exit codes: every code is produced by a real situation, and errors are one clear line."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from dashflow.cli.exits import Exit, exit_table

pytestmark = pytest.mark.feature("DX-002")

QUICK = "Find TODO comments and write a report."


@pytest.fixture
def command(tmp_path):
    """A started command, in a folder of its own and without a terminal."""
    started = []

    def start(*words, **more):
        process = subprocess.Popen(
            [sys.executable, "-m", "dashflow", *words],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **more,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with process:
            process.kill()


@pytest.fixture
def dashflow(command):
    """A finished command: exit code, standard output, standard error."""

    def run(*words, **more):
        process = command(*words, **more)
        out, err = process.communicate()
        return process.returncode, out, err

    return run


@pytest.fixture
def project(tmp_path):
    """A folder with something to look at."""
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "stock.py").write_text("STOCK = 3  # TODO: count\n")
    return folder


@pytest.fixture
def gate(tmp_path, project):
    """A project whose test waits at a gate: opening the pipe for writing waits until the test is there,
    closing it lets the test go on."""
    pipe = tmp_path / "gate"
    os.mkfifo(pipe)
    (project / "pytest.ini").write_text("[pytest]\naddopts = --disable-plugin-autoload\n")  # starts sooner
    (project / "test_gate.py").write_text(
        "import unittest\n\n\n"
        "class GateTest(unittest.TestCase):\n"
        f"    def test_gate(self):\n        with open({str(pipe)!r}) as gate:\n            gate.read()\n"
    )
    return pipe


def announced(process):
    """The run that a command says it has recorded."""
    return re.match(r"Run (\S+) is recorded", process.stderr.readline())[1]


def test_done(dashflow, project):
    assert dashflow("run", QUICK, "--on", "shop")[0] == Exit.DONE


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "", "--on", "shop"), "goal is empty"),
        (("run", QUICK, "--on", "nowhere"), "does not exist"),
        (("run", QUICK, "--on", "shop/stock.py"), "is no folder"),
        (("run", QUICK, "--on", "empty"), "no code"),
        (("run", QUICK, "--on", "shop", "--workers", "0"), "--workers"),
        (("run", QUICK, "--on", "shop", "--out", "shop/stock.py"), "in the way"),
        (("run", QUICK, "--colour"), "--colour"),
        (("run",), "GOAL"),
        (("rum", QUICK), "Did you mean 'run'"),
        (("find all TODO comments",), "dashflow run 'find all TODO comments'"),
        (("show", "r-1999"), "'r-1999'"),
        (("resume", "last"), "'last'"),
        (("completion", "tcsh"), "tcsh"),
        (("state", "last", "--at", "-1"), "--at"),
    ],
)
def test_bad_input(dashflow, project, tmp_path, words, said):
    (tmp_path / "empty").mkdir()
    code, out, err = dashflow(*words)
    assert (code, out) == (Exit.USAGE, "")
    (line,) = err.splitlines()
    assert line.startswith("Error: ")
    assert said in line


def test_errors_are_json_too_when_that_is_asked_for(dashflow, project):
    for words, code in (
        (("run", QUICK, "--on", "nowhere", "--json"), "WORKSPACE"),
        (("--json", "show", "nothing"), "UNKNOWN_RUN"),
        (("run", QUICK, "--colour", "--json"), "USAGE"),
    ):
        ended, out, err = dashflow(*words)
        error = json.loads(out)["error"]
        assert (ended, error["code"]) == (Exit.USAGE, code)
        assert error["message"] in err


def test_a_folder_that_cannot_be_read(dashflow, project):
    if os.geteuid() == 0:
        pytest.skip("nothing is unreadable for root")
    project.chmod(0)
    code, _, err = dashflow("run", QUICK, "--on", "shop")
    project.chmod(0o755)
    assert code == Exit.USAGE
    assert "cannot be read" in err


def test_waiting(dashflow, project):
    code, out, _ = dashflow("run", f"{QUICK} Ask me which folders to leave out.", "--on", "shop")
    assert code == Exit.WAITING
    assert "--resume" in out


def test_failed_task(dashflow, project):
    """The report cannot be written: its folder became a file after the run was accepted."""
    _, out, _ = dashflow("run", f"{QUICK} Ask me which folders to leave out.", "--on", "shop", "--json")
    view = json.loads(out)
    Path(view["out"]).parent.mkdir(exist_ok=True)
    Path(view["out"]).write_text("in the way")
    code, out, _ = dashflow("answer", view["run"], "none", "--resume", "--json")
    assert code == Exit.FAILED
    failed = json.loads(out)
    assert (failed["status"], failed["exit_code"]) == ("failed", 4)
    assert failed["error"]["code"] == "TASKS_FAILED"
    assert [task["state"] for task in failed["tasks"]].count("failed") == 1


def test_owned(command, dashflow, gate):
    """While one process waits inside of a test, a second one may look, and is refused the run."""
    first = command("run", "Run the tests and write a report.", "--on", "shop", "--json")
    run = announced(first)
    with open(gate, "w"):
        code, out, err = dashflow("resume", run, "--json")
        assert code == Exit.OWNED
        assert json.loads(out)["error"]["code"] == "OWNED"
        assert run in err
        assert dashflow("resume")[0] == Exit.DONE
        (row,) = json.loads(dashflow("runs", "--json")[1])["runs"]
        assert (row["status"], bool(row["owner"])) == ("running", True)
        assert json.loads(dashflow("show", run, "--json")[1])["status"] == "running"
    out, _ = first.communicate()
    assert first.returncode == Exit.DONE
    view = json.loads(out)
    assert [task["attempt"] for task in view["tasks"]] == [1] * len(view["tasks"])


def test_a_cancel_reaches_the_process_that_runs(command, dashflow, gate):
    first = command("run", "Run the tests and write a report.", "--on", "shop", "--json")
    run = announced(first)
    with open(gate, "w"):
        assert dashflow("cancel", run)[0] == Exit.DONE
        out, _ = first.communicate()
    assert first.returncode == Exit.FAILED
    assert json.loads(out)["status"] == "cancelled"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted(command, dashflow, gate, number):
    process = command("run", "Run the tests and write a report.", "--on", "shop", "--json")
    run = announced(process)
    with open(gate, "w"):
        process.send_signal(number)
        out, err = process.communicate()
    assert process.returncode == Exit.INTERRUPTED
    assert json.loads(out)["status"] == "stopped"
    assert f"dashflow resume {run}" in err.splitlines()[-1]
    assert "Traceback" not in err
    resumed = command("resume", run, "--json")
    with open(gate, "w"):
        pass
    out, _ = resumed.communicate()
    assert resumed.returncode == Exit.DONE
    assert json.loads(out)["status"] == "completed"


def write_nothing(path):
    path.write_bytes(b"not a database, and longer than one header " * 10)


def write_other_database(path):
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE t (a)")
    database.close()


def write_newer_log(path):
    from dashflow.log.open import open_log

    open_log(path).close()
    with sqlite3.connect(path) as database:
        (table,) = [
            name
            for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type='table'")
            if name.endswith("meta")
        ]
        database.execute(f"UPDATE {table} SET value = 999")
    database.close()


@pytest.mark.parametrize(
    ("damage", "code"),
    [(write_nothing, "NOT_A_LOG"), (write_other_database, "NOT_A_LOG"), (write_newer_log, "LOG_FORMAT")],
)
def test_log_unusable(dashflow, project, tmp_path, damage, code):
    path = tmp_path / "log.db"
    damage(path)
    before = path.read_bytes()
    for words in (("run", QUICK, "--on", "shop"), ("runs",), ("resume",), ("show", "last")):
        ended, out, err = dashflow(*words, "--db", "log.db", "--json")
        assert ended == Exit.LOG
        assert json.loads(out)["error"]["code"] == code
        assert err.startswith("Error: ")
    assert path.read_bytes() == before


def test_a_folder_is_no_log(dashflow, project):
    assert dashflow("runs", "--db", "shop")[0] == Exit.LOG


def test_a_full_disk(dashflow, project):
    """A limit on the size of files stands for a disk that is full."""
    import resource

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    code, out, err = dashflow("run", QUICK, "--on", "shop", "--json", preexec_fn=limit)
    assert code == Exit.LOG, err
    assert json.loads(out)["error"]["code"] == "STORAGE_UNAVAILABLE"


def test_unexpected(dashflow, project, tmp_path):
    """An installation that is broken: no error that anybody foresaw."""
    broken = tmp_path / "broken" / "rich"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise RuntimeError('broken')\n")
    environment = {
        **os.environ,
        "PYTHONPATH": f"{broken.parent}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
    }
    code, out, err = dashflow("runs", env=environment)
    assert (code, out) == (Exit.UNEXPECTED, "")
    assert err.startswith("Error: Unexpected RuntimeError: broken.")
    assert "Traceback" not in err
    for words, extra in ((("runs", "--debug"), {}), (("runs",), {"DASHFLOW_DEBUG": "1"})):
        code, _, err = dashflow(*words, env={**environment, **extra})
        assert code == Exit.UNEXPECTED
        assert "Traceback" in err


def test_every_code_is_in_the_table_once():
    rows = [line.split("|") for line in exit_table().splitlines()[2:]]
    assert [int(row[1]) for row in rows] == [0, 1, 2, 3, 4, 5, 6, 130]
    assert all(cell.strip() for row in rows for cell in row[1:5])


@pytest.mark.feature("PERSIST-001")
def test_a_log_on_a_server_is_used_like_a_file_and_its_password_is_not_shown(dashflow, project, postgres):
    from dashflow.log.postgres.address import Address

    folder = Address(postgres.log).conninfo.split("host=")[1].split()[0]
    if not folder.startswith("/"):
        pytest.skip("the server that the environment names has another user or asks for a password")
    address = f"postgresql://postgres:geheim@/postgres?host={folder}&schema={postgres.schema}"
    said = ""
    for words in (("run", QUICK, "--on", str(project)), ("runs",), ("show", "last"), ("events", "last")):
        code, out, err = dashflow("--db", address, *words)
        assert code == Exit.DONE, err
        said += out + err
    assert "postgresql://postgres@/postgres" in said
    assert "geheim" not in said
