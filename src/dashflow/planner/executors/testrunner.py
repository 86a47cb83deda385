"""Which program runs a project's tests, how it is called, and what its results say. Starts only the question
whether pytest is there; the tests themselves are started by who asks.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

import msgspec

from dashflow.planner.executors.junit import read_junit
from dashflow.planner.executors.tally import Clean, Tally
from dashflow.planner.findings import Finding, finding
from dashflow.planner.regularfile import Unread, read_regular

_UNITTEST_RUNNER: Final = str(Path(__file__).with_name("unittest_runner.py"))
_CONFIGURATIONS: Final = ("pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")
_ENVIRONMENTS: Final = (".venv", "venv", "env", ".env")
_UNWANTED: Final = {"randomly": "randomly", "langsmith_plugin": "langsmith"}
"""Plugins that a run goes without, unless the project's configuration has the word: the first shuffles the
tests, the second is there wherever we are, takes longer to load than most tests to run, and is for reporting
to a service."""

_MAX_BYTES: Final = 64_000_000
_IGNORED_AT_MOST: Final = 2_000
_QUESTION_SECONDS: Final = 30


class Runner(Protocol):
    """One way to run tests."""

    @property
    def name(self) -> str:
        """``pytest`` or ``unittest``."""
        ...

    def command(self, files: Sequence[str], left_out: Sequence[str]) -> list[str]:
        """What to start in the folder; ``files`` are test files, ``left_out`` folders to stay out of."""
        ...

    def environment(self, folder: Path) -> dict[str, str]:
        """Variables to set besides the scrubbed ones."""
        ...

    def results(self, clean: Clean) -> Tally | str:
        """What came of it, or in words why nothing can be told."""
        ...

    def none_found(self) -> str:
        """What to say when there was no test and no problem."""
        ...


def choose_runner(folder: Path, scratch: Path) -> Runner:
    """pytest of the folder's own environment, or ours; without it unittest."""
    own = _own_python(folder)
    if own is not None and _has_pytest(own, scratch):
        return Pytest(own, folder, scratch)
    if _has_pytest(sys.executable, scratch):
        return Pytest(sys.executable, folder, scratch)
    return Unittest(own or sys.executable, scratch)


def _own_python(folder: Path) -> str | None:
    """The interpreter of the folder's own virtual environment."""
    for name in _ENVIRONMENTS:
        place = folder / name
        if (place / "pyvenv.cfg").is_file() and os.access(place / "bin" / "python", os.X_OK):
            return str(place / "bin" / "python")
    return None


def _has_pytest(python: str, scratch: Path) -> bool:
    """Whether an interpreter can import pytest; asked in a neutral folder, where nothing can pose as it."""
    question = "import importlib.util, sys; sys.exit(importlib.util.find_spec('pytest') is None)"
    try:
        asked = subprocess.run(
            [python, "-I", "-c", question],
            cwd=scratch,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_QUESTION_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0


def _environment(python: str, folder: Path) -> dict[str, str]:
    """Makes programs of the interpreter's environment found, and a ``src`` layout importable."""
    found = {"PATH": os.pathsep.join((os.path.dirname(python), os.environ.get("PATH", os.defpath)))}
    if (folder / "src").is_dir():
        found["PYTHONPATH"] = str(folder / "src")
    return found


class Pytest:
    """pytest, told to leave no trace in the folder and to go on after what cannot be collected."""

    name = "pytest"

    def __init__(self, python: str, folder: Path, scratch: Path) -> None:
        self._python = python
        self._configuration = _configuration(folder)
        self._scratch = scratch
        self._results = scratch / "results.xml"

    def command(self, files: Sequence[str], left_out: Sequence[str]) -> list[str]:
        """Options come last and win over those that the project sets."""
        options = [
            "-q",
            "--tb=short",
            "--color=no",
            "--maxfail=0",
            "--continue-on-collection-errors",
            f"--basetemp={self._scratch / 'base'}",
            f"--junitxml={self._results}",
            "-o",
            "junit_family=xunit1",  # the family that tells file and line
            "-o",
            "junit_logging=no",
            "-o",
            # switching the cache off would make options and settings about it unknown
            f"cache_dir={self._scratch / 'cache'}",
        ]
        if "--cov" in self._configuration:
            options.append("--no-cov")  # its reports would be written into the folder
        for plugin, word in _UNWANTED.items():
            if word not in self._configuration:
                options += ["-p", f"no:{plugin}"]
        ignored = [f"--ignore={folder}" for folder in left_out[:_IGNORED_AT_MOST]]
        return [self._python, "-m", "pytest", *options, *ignored]

    def environment(self, folder: Path) -> dict[str, str]:
        """See ``Runner``."""
        return _environment(self._python, folder)

    def results(self, clean: Clean) -> Tally | str:
        """See ``Runner``."""
        return read_junit(self._results, clean)

    def none_found(self) -> str:
        """See ``Runner``."""
        return "no tests were found"


def _configuration(folder: Path) -> str:
    """The text of every file that may configure pytest."""
    parts = [read_regular(folder / name, 1_000_000) for name in _CONFIGURATIONS]
    return "\n".join(part.decode("utf-8", "replace") for part in parts if isinstance(part, bytes))


class _Results(msgspec.Struct):
    """What ``unittest_runner.py`` writes."""

    tests: int
    skipped: int
    problems: list[Finding]


class Unittest:
    """unittest over every file that looks like one of tests, for where pytest is not installed."""

    name = "unittest"

    def __init__(self, python: str, scratch: Path) -> None:
        self._python = python
        self._listed = scratch / "files.json"
        self._results = scratch / "results.json"
        self._files = 0

    def command(self, files: Sequence[str], left_out: Sequence[str]) -> list[str]:
        """``left_out`` needs no word: no file of such a folder is in ``files``."""
        self._files = len(files)
        self._listed.write_text(json.dumps(list(files)), encoding="utf-8")
        return [self._python, _UNITTEST_RUNNER, str(self._listed), str(self._results)]

    def environment(self, folder: Path) -> dict[str, str]:
        """See ``Runner``."""
        return _environment(self._python, folder)

    def results(self, clean: Clean) -> Tally | str:
        """See ``Runner``."""
        data = read_regular(self._results, _MAX_BYTES)
        if isinstance(data, Unread):
            return f"the test results {data.why}"
        try:
            told = msgspec.json.decode(data, type=_Results)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return f"the test results are damaged: {error}"
        problems = [
            finding(
                one.kind, clean.path(one.path), one.line, clean.text(one.name), clean.text(str(one.value))
            )
            for one in told.problems
        ]
        return Tally(told.tests, told.skipped, problems)

    def none_found(self) -> str:
        """Files without unittest tests are mostly written for pytest."""
        if self._files:
            return (
                f"no unittest tests in {self._files:,} test files, and pytest is not installed to run others"
            )
        return "no tests were found"
