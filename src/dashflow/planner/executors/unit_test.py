"""The UnitTest executor: runs the tests of the folder looked at and tells what failed. Leaves no file in it.

Tests that fail, cannot run, take too long or are not there are findings of a completed task. They run
in a process of their own, with limits and a scrubbed environment; that is no sandbox: who runs it
trusts the folder as far as to run its tests.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import Any, Final

from dashflow.errors import WorkspaceError
from dashflow.planner.core.task import TaskKind
from dashflow.planner.executors.base import Completed, Execution, Failed, Outcome
from dashflow.planner.executors.exclusions import open_tree
from dashflow.planner.executors.tally import Clean, Tally
from dashflow.planner.executors.testprocess import Ended, Limits, run_bounded, scrubbed
from dashflow.planner.executors.testrunner import Runner, choose_runner
from dashflow.planner.findings import WHOLE_FOLDER, Finding, finding, one_line, ordered, to_plain

DEFAULT_SECONDS: Final = 300.0
MAX_SECONDS: Final = 24 * 3600.0


class UnitTestExecutor:
    """Runs tests with pytest where it can be imported, otherwise with unittest.

    Params: ``timeout_seconds`` (default 300), ``memory_mb`` (address space of each process),
    ``must_pass`` (then anything but passing tests fails the task). The result has ``runner``,
    ``tests``, ``failures``, ``errors``, ``skipped``, ``notes``, ``summary``, ``findings``.
    """

    kinds = frozenset({TaskKind.UNIT_TEST})

    def execute(self, execution: Execution) -> Outcome:
        """Run them once."""
        limits = _limits(execution.task.params)
        if isinstance(limits, Failed):
            return limits
        if os.name != "posix":
            return Failed("Tests run with limits only on Linux and macOS. Leave this step out of the goal.")
        try:
            tree = open_tree(execution)
        except WorkspaceError as error:
            return Failed(str(error))
        files = [file.path for file in tree.files() if _is_test(file.name)]
        with tempfile.TemporaryDirectory(prefix="dashflow-tests-", ignore_cleanup_errors=True) as made:
            scratch = Path(made)
            runner = choose_runner(tree.folder, scratch)
            execution.progress(f"running the tests with {runner.name}")
            environment = {**scrubbed(os.environ, scratch), **runner.environment(tree.folder)}
            try:
                ended = run_bounded(
                    runner.command(files, tree.left_out),
                    folder=tree.folder,
                    scratch=scratch,
                    environment=environment,
                    limits=limits,
                    cancelled=execution.cancelled,
                )
            except OSError as error:
                return Failed(
                    f"No process could be started for the tests: {error.strerror}. Try again later."
                )
            if ended.cancelled:
                return Failed("Stopped: the result is no longer wanted.")
            tally = _judge(runner, ended, limits, Clean(tree.folder, scratch))
        return _outcome(execution, runner, tally, tree.notes())


def _is_test(name: str) -> bool:
    return name.endswith(".py") and (name.startswith("test") or name.endswith("_test.py"))


def _limits(params: dict[str, Any]) -> Limits | Failed:
    seconds = params.get("timeout_seconds", DEFAULT_SECONDS)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= MAX_SECONDS:
        return Failed(
            f"params['timeout_seconds'] must be above 0 and at most {MAX_SECONDS:g}, not {seconds!r}."
        )
    memory = params.get("memory_mb", Limits(1).memory_bytes // 1024**2)
    if isinstance(memory, bool) or not isinstance(memory, int) or memory < 64:
        return Failed(f"params['memory_mb'] must be a whole number from 64, not {memory!r}.")
    return Limits(seconds=float(seconds), memory_bytes=memory * 1024**2)


def _judge(runner: Runner, ended: Ended, limits: Limits, clean: Clean) -> Tally:
    """What the run came to; a run without usable results is itself a problem."""
    if ended.timed_out:
        told = f"the tests were not done after {limits.seconds:g} seconds and were stopped"
        return _unrunnable(told)
    tally = runner.results(clean)
    if isinstance(tally, str):
        return _unrunnable(_what_happened(ended, tally, clean))
    if not tally.tests and not tally.problems:
        told = runner.none_found()
        tally.problems.append(finding("no_tests", WHOLE_FOLDER, value=told))
    return tally


def _unrunnable(told: str) -> Tally:
    return Tally(problems=[finding("tests_unrunnable", WHOLE_FOLDER, value=told)])


_SIGNALS: Final = {
    134: "was aborted",
    137: "was killed, perhaps for lack of memory",
    139: "crashed (segmentation fault)",
    152: "used more processor time than allowed",
    153: "wrote a larger file than allowed",
}


# an exception's last line, or a program's complaint about how it was called
_ERROR: Final = re.compile(r"(?<![\w.])((?:[\w.]*(?:Error|Exception|Exit)|error|ERROR): (?!usage:)\S.*)")


def _what_happened(ended: Ended, problem: str, clean: Clean) -> str:
    """Why a run left no results, in its own last words where it has some."""
    if ended.code is not None and ended.code > 128:
        how = _SIGNALS.get(ended.code, f"was ended by signal {ended.code - 128}")
        return f"the test process {how}"
    lines = [line.strip() for line in ended.output.splitlines() if line.strip()]
    errors = [found[1] for line in lines if (found := _ERROR.search(line))]
    said = errors[-1] if errors else lines[-1] if lines else problem
    return f"the tests could not run (exit code {ended.code}): {clean.text(said)}"


def _outcome(execution: Execution, runner: Runner, tally: Tally, notes: list[str]) -> Outcome:
    found = ordered(tally.problems)
    if found and execution.task.params.get("must_pass"):
        return Failed(f"The tests did not pass: {_told(found)}")
    failures, errors = tally.count("test_failure"), tally.count("test_error")
    summary = (
        f"{tally.tests:,} tests run with {runner.name}: "
        f"{failures:,} failed, {errors:,} broke, {tally.skipped:,} skipped"
    )
    result = {"runner": runner.name, "tests": tally.tests, "failures": failures, "errors": errors}
    more = {"skipped": tally.skipped, "notes": notes, "summary": summary, "findings": to_plain(found)}
    return Completed({**result, **more})


def _told(found: list[Finding]) -> str:
    first = found[0]
    rest = f", and {len(found) - 1} more" if len(found) > 1 else ""
    return one_line(f"{first.name or first.kind}: {first.value}{rest}")
