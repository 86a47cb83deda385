"""A program of its own: runs the unittest tests in given files and writes what came of them as JSON.

Run by path in the folder, ``python unittest_runner.py FILES RESULT``: FILES holds a JSON list of test
files relative to the folder; RESULT receives ``{"tests", "skipped", "problems"}``, each problem with
kind, path, line, name, value. It imports nothing of DashFlow and keeps to Python 3.8: the interpreter
is the project's own.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
import traceback
import unittest
from typing import Any


class Recorder(unittest.TestResult):
    """Keeps what went wrong as plain data, with the line in the test's own file."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.folder = folder
        self.problems: list[dict[str, object]] = []
        self.skipped_count = 0

    def addError(self, test: Any, err: Any) -> None:
        """A test that broke."""
        self._record("test_error", test, err)

    def addFailure(self, test: Any, err: Any) -> None:
        """A test that failed."""
        self._record("test_failure", test, err)

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        """A part of a test that failed."""
        if err is not None:
            failed = issubclass(err[0], test.failureException)
            self._record("test_failure" if failed else "test_error", test, err)

    def addUnexpectedSuccess(self, test: Any) -> None:
        """A test that should have failed."""
        self._note("test_failure", test, 0, "Unexpected success")

    def addSkip(self, test: Any, reason: str) -> None:
        """A test that was not run."""
        self.skipped_count += 1

    def _record(self, kind: str, test: Any, err: Any) -> None:
        kind_of_error, error, trace = err
        path, _ = _place_of(test)
        frames = [frame for frame in traceback.extract_tb(trace) if os.path.realpath(frame.filename) == path]
        told = traceback.format_exception_only(kind_of_error, error)
        # of a syntax error the last line names it, the others show the place
        first = told[-1] if issubclass(kind_of_error, SyntaxError) else told[0]
        self._note(kind, test, (frames[-1].lineno or 0) if frames else 0, first)

    def _note(self, kind: str, test: Any, line: int, value: str) -> None:
        file, inside = _place_of(test)
        path = os.path.relpath(file, self.folder).replace(os.sep, "/")
        name = "::".join([path, *inside])
        value = value.strip().split("\n")[0]
        self.problems.append({"kind": kind, "path": path, "line": line, "name": name, "value": value})


def _place_of(test: Any) -> tuple[str, list[str]]:
    """The file of a test and its name inside; of a class or module that could not be set up, its own."""
    names = (type(test).__module__ + "." + type(test).__qualname__).split(".")
    inside: list[str] = []
    if type(test).__module__ == "unittest.suite":  # shown as "setUpClass (tests.test_a.TestA)"
        names = str(test).partition("(")[2].rstrip(")").split(".")
    else:
        inside.append(test._testMethodName)
    while names and ".".join(names) not in sys.modules:
        inside.insert(0, names.pop())
    module = sys.modules.get(".".join(names))
    return os.path.realpath(getattr(module, "__file__", None) or "."), inside


def load(path: str) -> unittest.TestSuite:
    """The tests of one file, imported the way its packages want it."""
    folder, name = os.path.split(os.path.abspath(path))
    names = [os.path.splitext(name)[0]]
    while os.path.isfile(os.path.join(folder, "__init__.py")):
        folder, package = os.path.split(folder)
        names.insert(0, package)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    if len(names) > 1:
        module = importlib.import_module(".".join(names))
    else:  # equal names in different folders are different modules
        alone = path.replace(os.sep, "_").replace("/", "_")[:-3].replace(".", "_")
        spec = importlib.util.spec_from_file_location(alone, path)
        if spec is None or spec.loader is None:
            raise ImportError(f"{path} cannot be imported")
        module = importlib.util.module_from_spec(spec)
        sys.modules[alone] = module
        spec.loader.exec_module(module)
    return unittest.defaultTestLoader.loadTestsFromModule(module)


def main(files: str, target: str) -> None:
    """Run everything, then write the result in one piece."""
    folder = os.path.realpath(os.getcwd())
    sys.path.insert(0, folder)
    recorder = Recorder(folder)
    with open(files, encoding="utf-8") as listed:
        paths = json.load(listed)
    for path in paths:
        try:
            load(path).run(recorder)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a file that cannot be imported must not hide the others
            recorder.problems.append(_unloadable(path, error))
    counted = {"tests": recorder.testsRun, "skipped": recorder.skipped_count, "problems": recorder.problems}
    with open(target + ".part", "w", encoding="utf-8") as file:
        json.dump(counted, file)
    os.replace(target + ".part", target)


def _unloadable(path: str, error: BaseException) -> dict[str, object]:
    own = os.path.realpath(path)
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if os.path.realpath(frame.filename) == own]
    line = (error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else 0) or 0
    said = error.msg if isinstance(error, SyntaxError) else error
    value = f"{type(error).__name__}: {said}".strip().split("\n")[0]
    return {"kind": "test_error", "path": path, "line": line, "name": path, "value": value}


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
