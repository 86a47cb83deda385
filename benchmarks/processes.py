"""What is measured from outside: the cost of an import, and the command line on a large repository."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from benchmarks.workloads import Figures

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

GOAL = (
    "Audit this code: find functions longer than 60 lines and TODO or FIXME comments, run the tests, "
    "and write a report. Ask me which folders to leave out."
)
FILES = 1000
PATIENCE = 180
"""Seconds after which a run of the command line is given up."""

_LOOK = """
import json, sys
def memory():
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1e3
    except OSError:
        return None
before, held = len(sys.modules), memory()
from {package}.graph import StateGraph
heavy = sorted({{"langchain_core", "pydantic", "httpx"}} & set(sys.modules))
print(json.dumps({{"modules": len(sys.modules) - before, "heavy": heavy,
                   "megabytes": None if held is None else memory() - held}}))
"""


class NotMeasuredError(Exception):
    """A figure cannot be had; the text says why."""


def import_cost(python: str, package: str, environment: Mapping[str, str]) -> Figures:
    """Milliseconds, modules and megabytes that ``from PACKAGE.graph import StateGraph`` adds to a process.

    The first process compiles what has to be compiled; only those after it count.

    Raises:
        NotMeasuredError: The import fails.
    """
    if package == "floor":
        return {}
    if resource is None:
        raise NotMeasuredError("processor time of a child is only known on POSIX")
    statement = f"from {package}.graph import StateGraph"
    look = subprocess.run(
        [python, "-c", _LOOK.format(package=package)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if look.returncode:
        raise NotMeasuredError(look.stderr.strip().splitlines()[-1])
    found = json.loads(look.stdout)
    added: list[float] = []
    for _ in range(7):
        bare = _seconds(python, "pass", environment)
        added.append(_seconds(python, statement, environment) - bare)
    return {
        "ms": median(added) * 1e3,
        "modules": found["modules"],
        "megabytes": found["megabytes"],
        "heavy": len(found["heavy"]),
    }


def _seconds(python: str, program: str, environment: Mapping[str, str]) -> float:
    """Processor time of a process from its start to its end, in the system as well."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([python, "-c", program], env=environment, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def large_repository(folder: Path) -> Path:
    """A repository of 1,000 Python files without tests, the same every time."""
    root = folder / "large"
    for number in range(FILES):
        package = root / f"package{number % 25}"
        package.mkdir(parents=True, exist_ok=True)
        if number < 25:
            (package / "__init__.py").write_text('"""A package."""\n', encoding="utf-8")
        else:
            (package / f"module{number}.py").write_text(_module(number), encoding="utf-8")
    return root


def _module(number: int) -> str:
    """A module of about 110 lines: a class, functions, some long, some with a comment to find."""
    lines = [f'"""Module {number}."""', "", "import json", "import os.path", ""]
    for function in range(6):
        lines += ["", f"def compute_{function}(values, limit={number}):", "    total = 0"]
        if (number + function) % 10 == 0:
            lines.append(f"    # TODO: make number {function} of module {number} faster")
        body = 62 if number % 20 == 0 and function == 0 else 8
        for line in range(body):
            lines.append(f"    if total % {line + 2} == 0: total += len(values) * {line}")
        lines += ["    return json.dumps({os.path.basename(str(limit)): total})", ""]
    lines += ["class Store:", "    def __init__(self):", "        self.items = {}", ""]
    for method in range(5):
        lines += [
            f"    def get_{method}(self, key):",
            "        for item in self.items:",
            "            if item == key:",
        ]
        lines += ["                return self.items[item]", "        return None", ""]
    return "\n".join(lines) + "\n"


def demo_run(python: str, folder: Path, environment: Mapping[str, str]) -> Figures:
    """Seconds and peak memory of ``dashflow run`` with the demo's goal on a large repository.

    Raises:
        NotMeasuredError: The command is not there, fails, or takes too long.
    """
    if resource is None:
        raise NotMeasuredError("peak memory of a child is only known on POSIX")
    code = folder / "large"
    if not code.exists():
        large_repository(folder)
    here = folder / f"run-{time.monotonic_ns()}"
    here.mkdir()
    command = [python, "-m", "dashflow", "run", GOAL, "--on", str(code), "--answer", "none"]
    command += ["--out", str(here / "out"), "--db", str(here / "log.db"), "--json"]
    with (here / "said.txt").open("w") as said:
        start = time.perf_counter()
        process = subprocess.Popen(command, env=dict(environment), cwd=here, stdout=said, stderr=said)
        status, usage = _wait(process)
        seconds = time.perf_counter() - start
    if status:
        last = ((here / "said.txt").read_text(encoding="utf-8").strip().splitlines() or ["no message"])[-1]
        raise NotMeasuredError(f"not available: exit {status}: {last[:160]}")
    if not (here / "out" / "report.json").exists():
        raise NotMeasuredError("not available: the run wrote no report")
    return {"seconds": seconds, "megabytes": usage / (1e6 if sys.platform == "darwin" else 1e3)}


def _wait(process: subprocess.Popen[bytes]) -> tuple[int, int]:
    """Exit status and peak memory of a child and its children, in the system's unit."""
    deadline = time.monotonic() + PATIENCE
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return process.returncode, usage.ru_maxrss
        if time.monotonic() > deadline:
            process.kill()
            os.wait4(process.pid, 0)
            raise NotMeasuredError(f"not available: no end after {PATIENCE} s")
        time.sleep(0.01)
