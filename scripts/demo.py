"""`make demo`: run the demo goal on a folder, then say where everything is and what to try next.

A thin shell around the `dashflow` command, standard library only; it knows no more than a user does.
"""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

GOAL = (
    "Audit this code: find functions longer than 60 lines and TODO or FIXME comments, run the tests, "
    "and write a report. Ask me which folders to leave out."
)
LOG = Path(".dashflow/log.db")
OUT = Path("dashflow-out")
WAITING = 3  # the exit code of a run that waits for an answer


def main(folder: str) -> int:
    """Run the goal on ``folder``; return the command's exit code."""
    dashflow = Path(sys.executable).with_name("dashflow")
    command = [str(dashflow), "run", GOAL, "--on", folder]
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        print("==> No terminal: the question is answered with 'none'", flush=True)
        command += ["--answer", "none"]
    print(f"==> {shlex.join(['dashflow', *command[1:]])}\n", flush=True)
    started = time.time()
    with subprocess.Popen(command) as process:
        # Ctrl-C is the command's to handle; this one waits for what it makes of it.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        code = process.wait()
    _tell(started, code)
    return code


def _tell(started: float, code: int) -> None:
    """Print where the report and the log are, and what to try next; the command itself said how it went."""
    print()
    if code not in (0, WAITING):
        print(f"The command ended with exit code {code}; docs/reference/cli.md says what that means.")
        return
    print("Look at")
    if reports := [path for path in OUT.glob("*/report.md") if path.stat().st_mtime >= started - 1]:
        report = max(reports, key=lambda path: path.stat().st_mtime)
        print(f"  {report}\n      the report; {report.with_suffix('.json').name} beside it is for programs")
    if LOG.exists():
        print(f"  {LOG}\n      the log, every step of the run is in it")
    print(
        "and try\n"
        "  .venv/bin/dashflow show last\n"
        "      the plan of this run as a tree, with durations\n"
        "  .venv/bin/dashflow events last\n"
        "      every event, in order\n"
        "  make demo ON=path/to/your/project\n"
        "      the same goal on your own code\n"
        "and read\n"
        "  docs/tutorial/first-graph.md\n"
        "      a first graph, with LangGraph's names"
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: demo.py FOLDER")
    sys.exit(main(sys.argv[1]))
