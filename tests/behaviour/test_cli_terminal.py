"""The command line in a terminal: the question, Ctrl-C once and twice, colour, and none of it elsewhere."""

import errno
import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios

import pytest

pytestmark = pytest.mark.feature("DX-002")

QUICK = "Find TODO comments and write a report."
ASKING = f"{QUICK} Ask me which folders to leave out."
TESTING = "Run the tests and write a report."

# Makes the terminal the session's own, so that a Ctrl-C typed into it becomes a signal.
TAKE_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execv(sys.executable, [sys.executable, '-m', 'dashflow', *sys.argv[1:]])"
)
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A command in a pseudo-terminal; what it wrote so far is in ``screen``."""

    def __init__(self, folder, words, *, size=(30, 100), stdout=None, **environment):
        self.master, slave = pty.openpty()
        termios.tcsetwinsize(slave, size)
        base = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS")}
        self.process = subprocess.Popen(
            [sys.executable, "-c", TAKE_TERMINAL, *words],
            cwd=folder,
            stdin=slave,
            stdout=slave if stdout is None else stdout,
            stderr=slave,
            start_new_session=True,
            env={**base, "TERM": "xterm-256color", **environment},
        )
        os.close(slave)
        self.raw = b""

    @property
    def screen(self):
        return self.raw.decode(errors="replace")

    def read(self):
        """Read on; False at the end."""
        try:
            piece = os.read(self.master, 65536)
        except OSError:  # Linux says so when the other side is gone
            return False
        self.raw += piece
        return bool(piece)

    def until(self, text):
        """Read until ``text`` was written."""
        while text not in self.screen:
            assert self.read(), self.screen
        return self.screen

    def type(self, text):
        os.write(self.master, text.encode())

    def end(self):
        """Read to the end; the exit code."""
        while self.read():
            pass
        return self.process.wait()

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.master)


@pytest.fixture
def terminal(tmp_path):
    """Starts commands in terminals."""
    opened = []

    def start(*words, **more):
        opened.append(Terminal(tmp_path, words, **more))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


@pytest.fixture(autouse=True)
def project(tmp_path):
    """A folder with something to look at."""
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "stock.py").write_text("STOCK = 3  # TODO: count\n")
    return folder


@pytest.fixture
def gate(tmp_path, project):
    """A project whose test waits: opening the pipe for writing waits until the test is there."""
    pipe = tmp_path / "gate"
    os.mkfifo(pipe)
    (project / "pytest.ini").write_text("[pytest]\naddopts = --disable-plugin-autoload\n")  # starts sooner
    (project / "test_gate.py").write_text(
        "import unittest\n\n\n"
        "class GateTest(unittest.TestCase):\n"
        f"    def test_gate(self):\n        with open({str(pipe)!r}) as gate:\n            gate.read()\n"
    )
    return pipe


@pytest.fixture
def dashflow(tmp_path):
    """A finished command without a terminal: its JSON."""

    def run(*words):
        done = subprocess.run(
            [sys.executable, "-m", "dashflow", *words, "--json"],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return json.loads(done.stdout)

    return run


def test_a_question_is_asked_in_the_terminal(terminal, dashflow):
    shown = terminal("run", ASKING, "--on", "shop")
    shown.until("Which folders should be left out?")
    shown.until("> ")
    shown.type("  \n")
    shown.until("Type an answer")
    shown.type(" none \n")
    assert shown.end() == 0, shown.screen
    assert "completed" in shown.screen
    (asked, *_) = dashflow("show", "last")["tasks"]
    assert (asked["kind"], asked["answer"]) == ("clarification", "none")


def test_leaving_the_question_open_leaves_the_run_waiting(terminal, dashflow):
    shown = terminal("run", ASKING, "--on", "shop")
    shown.until("> ")
    shown.type("\x04")
    assert shown.end() == 3, shown.screen
    assert "dashflow answer r-" in shown.screen
    assert dashflow("show", "last")["status"] == "waiting"


def test_the_question_is_asked_again_on_resume(terminal, dashflow):
    run = dashflow("run", ASKING, "--on", "shop")["run"]
    shown = terminal("resume", run)
    shown.until("> ")
    shown.type("none\n")
    assert shown.end() == 0, shown.screen
    assert dashflow("show", run)["status"] == "completed"


def test_a_question_does_not_get_into_json(terminal, tmp_path):
    with open(tmp_path / "out.json", "w") as out:
        shown = terminal("run", ASKING, "--on", "shop", "--json", stdout=out)
        shown.until("> ")
        shown.type("none\n")
        assert shown.end() == 0, shown.screen
    assert json.loads((tmp_path / "out.json").read_text())["status"] == "completed"


def test_ctrl_c_at_the_question_stops_the_run(terminal, dashflow):
    shown = terminal("run", ASKING, "--on", "shop")
    shown.until("> ")
    shown.type("\x03")
    assert shown.end() == 130, shown.screen
    assert "Traceback" not in shown.screen
    assert dashflow("show", "last")["status"] == "waiting"


def test_ctrl_c_stops_a_run_that_can_be_resumed(terminal, dashflow, gate):
    shown = terminal("run", TESTING, "--on", "shop")
    with open(gate, "w"):
        shown.type("\x03")
        assert shown.end() == 130, shown.screen
    assert "dashflow resume r-" in shown.screen
    assert "Traceback" not in shown.screen
    assert dashflow("show", "last")["status"] == "stopped"
    again = terminal("resume")
    with open(gate, "w"):
        pass
    assert again.end() == 0, again.screen
    view = dashflow("show", "last")
    assert view["status"] == "completed"
    assert sorted(task["attempt"] for task in view["tasks"]) == [1, 2]


def until_nobody_reads(pipe):
    """Wait for the end of a process that is being killed and had ``pipe`` open."""
    while True:
        try:
            os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            return


def test_ctrl_c_twice_leaves_at_once(terminal, dashflow, gate, tmp_path):
    """Something holds up the first one: the log is locked by another program."""
    import sqlite3

    shown = terminal("run", TESTING, "--on", "shop")
    with open(gate, "w"):
        with sqlite3.connect(tmp_path / ".dashflow" / "log.db", isolation_level=None) as lock:
            lock.execute("BEGIN IMMEDIATE")
            shown.type("\x03")
            shown.until("Ctrl-C again")
            shown.type("\x03")
            assert shown.end() == 130, shown.screen
            lock.execute("ROLLBACK")
        lock.close()
    assert "Traceback" not in shown.screen
    assert shown.screen.rstrip().endswith("\x1b[?25h") or "\x1b[?25l" not in shown.screen
    until_nobody_reads(gate)
    again = terminal("resume")
    with open(gate, "w"):
        pass
    assert again.end() == 0, again.screen
    assert dashflow("show", "last")["status"] == "completed"


def test_sigterm_is_like_one_ctrl_c(terminal, dashflow, gate):
    shown = terminal("run", TESTING, "--on", "shop")
    with open(gate, "w"):
        shown.process.send_signal(signal.SIGTERM)
        assert shown.end() == 130, shown.screen
    assert dashflow("show", "last")["status"] == "stopped"


def test_ctrl_c_ends_following_quietly(terminal, dashflow):
    dashflow("run", ASKING, "--on", "shop")
    shown = terminal("events", "last", "--follow")
    shown.until("ClarificationRequested")
    shown.type("\x03")
    assert shown.end() == 130
    assert "Traceback" not in shown.screen


def test_progress_is_drawn_and_coloured(terminal):
    shown = terminal("run", QUICK, "--on", "shop")
    assert shown.end() == 0, shown.screen
    assert COLOUR.search(shown.screen)
    assert "\x1b[?25l" in shown.screen
    assert shown.screen.count("\x1b[?25h") == shown.screen.count("\x1b[?25l")
    assert "✓ t1 analysis" in ESCAPE.sub("", shown.screen)


def test_no_color_is_obeyed(terminal):
    shown = terminal("run", QUICK, "--on", "shop", NO_COLOR="1")
    assert shown.end() == 0, shown.screen
    assert not COLOUR.search(shown.screen)
    failed = terminal("show", "nothing", NO_COLOR="1")
    assert failed.end() == 2
    assert "\x1b" not in failed.screen


def test_a_dumb_terminal_gets_plain_lines(terminal):
    shown = terminal("run", QUICK, "--on", "shop", TERM="dumb")
    assert shown.end() == 0, shown.screen
    assert "\x1b" not in shown.screen
    assert "t1 completed in" in shown.screen


def test_errors_are_red_in_a_terminal(terminal):
    shown = terminal("show", "nothing")
    assert shown.end() == 2
    assert shown.screen.startswith("\x1b[31mError: ")


@pytest.mark.parametrize("columns", [20, 79, 200])
def test_no_line_is_wider_than_the_terminal(terminal, dashflow, columns):
    dashflow("run", f"{QUICK} Also find FIXME comments, functions longer than 60 lines.", "--on", "shop")
    for words in (("show", "last"), ("runs",), ("events", "last"), ("run", QUICK, "--on", "shop")):
        shown = terminal(*words, size=(24, columns))
        assert shown.end() == 0, shown.screen
        lines = ESCAPE.sub("", shown.screen).replace("\r", "\n").splitlines()
        announced = "is recorded. If it is stopped"  # a line to copy: the terminal may wrap it
        assert [line for line in lines if len(line) > columns and announced not in line] == []


def test_output_to_a_pipe_has_no_colour_even_from_a_terminal(terminal, tmp_path):
    with open(tmp_path / "out.txt", "w") as out:
        shown = terminal("run", QUICK, "--on", "shop", stdout=out, FORCE_COLOR="1")
        assert shown.end() == 0, shown.screen
    assert "\x1b" not in (tmp_path / "out.txt").read_text()
