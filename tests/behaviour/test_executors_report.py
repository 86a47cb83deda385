"""The report on disk: written whole or not at all, the same again after a kill, clear when it cannot be."""

import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from dashflow.planner.core.task import Task, TaskKind, TaskStatus
from dashflow.planner.executors.base import Completed, Execution, Failed
from dashflow.planner.executors.processing import ProcessingExecutor, write_whole

pytestmark = pytest.mark.feature("EXEC-01")

TODO = {"kind": "todo", "path": "b.py", "line": 3, "name": "f", "value": "TODO: x"}
LONG = {"kind": "long_function", "path": "a.py", "line": 9, "name": "g", "value": 71}


def execution(out: Path, inputs: dict | None = None, **more: object) -> Execution:
    params = more.pop("params", {"format": "report"})
    work = Task("t1", "Find things", TaskKind.ANALYSIS, status=TaskStatus.COMPLETED)
    failed = Task("t2", "Write code", TaskKind.IMPLEMENTATION, status=TaskStatus.FAILED, error="nobody can")
    last = Task("t3", "Report", TaskKind.PROCESSING, params=params, optional_dependencies=("t1", "t2"))
    given = {
        "run": "r1",
        "task": last,
        "folder": out.parent / "shop",
        "out": out,
        "inputs": {"t1": {"summary": "2 files", "findings": [TODO, LONG]}} if inputs is None else inputs,
        "tasks": {"t1": work, "t2": failed, "t3": last},
        "goal": "Audit this",
        "idempotency_key": "r1/t3",
        "progress": lambda text: None,
        "cancelled": lambda: False,
    }
    return Execution(**{**given, **more})


def write(out: Path, inputs: dict | None = None, **more: object) -> dict:
    outcome = ProcessingExecutor().execute(execution(out, inputs, **more))
    assert isinstance(outcome, Completed), outcome
    return outcome.result


def test_both_files_tell_the_same_findings(tmp_path):
    out = tmp_path / "new" / "out"
    result = write(out)
    assert result == {
        "report_md": str(out / "report.md"),
        "report_json": str(out / "report.json"),
        "counts": {"long_function": 1, "todo": 1},
        "summary": "2 findings in report.md and report.json",
    }
    assert json.loads((out / "report.json").read_text()) == {
        "schema": 1,
        "run": "r1",
        "findings": [LONG, TODO],
    }
    page = (out / "report.md").read_text()
    assert "`a.py:9` · `g` · 71 lines" in page
    assert "`b.py:3` · `f` · `TODO: x`" in page
    assert "t1 Find things: 2 files" in page
    assert "t2 Write code: nobody can" in page
    assert sorted(os.listdir(out)) == ["report.json", "report.md"]


def test_findings_of_overlapping_tasks_are_told_once(tmp_path):
    inputs = {
        "t1": {"findings": [TODO, LONG], "notes": ["n2", "n1"]},
        "t2": {"findings": [LONG, TODO], "notes": ["n1"]},
    }
    write(tmp_path / "out", inputs)
    assert json.loads((tmp_path / "out" / "report.json").read_text())["findings"] == [LONG, TODO]
    assert (tmp_path / "out" / "report.md").read_text().endswith("## Notes\n\n- n1\n- n2\n")


def test_results_without_findings_or_with_odd_ones_do_not_stop_the_report(tmp_path):
    inputs = {"t1": {"answer": "none"}, "t2": {"findings": "many", "notes": 7}, "t4": {"findings": [TODO]}}
    assert write(tmp_path / "out", inputs)["counts"] == {"todo": 1}
    assert "findings of t2 could not be understood" in (tmp_path / "out" / "report.md").read_text()


def test_writing_again_gives_the_same_bytes_but_for_the_run(tmp_path):
    out = tmp_path / "out"
    write(out)
    first = {path.name: path.read_bytes() for path in out.iterdir()}
    write(out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == first
    write(out, run="r2")
    assert {path.name: path.read_bytes().replace(b"r2", b"r1") for path in out.iterdir()} == first


def test_an_unknown_format_fails_and_names_the_known(tmp_path):
    outcome = ProcessingExecutor().execute(execution(tmp_path / "out", params={"format": "pdf"}))
    assert outcome == Failed("Unknown params['format'] 'pdf'. Known: report.")
    assert not (tmp_path / "out").exists()


def test_an_output_that_cannot_be_is_told(tmp_path):
    (tmp_path / "file").write_text("mine")
    outcome = ProcessingExecutor().execute(execution(tmp_path / "file" / "out"))
    assert isinstance(outcome, Failed)
    assert "--out" in outcome.error
    (tmp_path / "out" / "report.json").mkdir(parents=True)
    outcome = ProcessingExecutor().execute(execution(tmp_path / "out"))
    assert isinstance(outcome, Failed)
    assert "report.json" in outcome.error
    assert sorted(os.listdir(tmp_path / "out")) == ["report.json", "report.md"]
    assert (tmp_path / "file").read_text() == "mine"


def program(out: Path, before: str) -> list[str]:
    """A process that writes a large report, after some lines of its own."""
    text = f"""
    import os, resource, signal, sys
    sys.path[:0] = {sys.path!r}
    from pathlib import Path
    from dashflow.planner.core.task import Task, TaskKind
    from dashflow.planner.executors.base import Execution
    from dashflow.planner.executors.processing import ProcessingExecutor
    task = Task("t3", "Report", TaskKind.PROCESSING)
    found = [dict(kind="todo", path=f"a{{n:05}}.py", line=1, name="", value="TODO") for n in range(20_000)]
    {before}
    print(ProcessingExecutor().execute(Execution(run="r1", task=task, folder=Path("/shop"),
        out=Path({str(out)!r}), inputs={{"t1": {{"findings": found}}}},
        tasks={{}}, goal="", idempotency_key="", progress=print,
        cancelled=lambda: False)))
    """
    return [sys.executable, "-c", textwrap.dedent(text)]


def test_a_full_disk_leaves_the_old_report_and_no_part_of_the_new(tmp_path):
    """The limit on a file's size stops the write in its middle, as a full disk does."""
    out = tmp_path / "out"
    write(out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    limit = "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))"
    done = subprocess.run(program(out, limit), capture_output=True, text=True, check=False)
    assert done.stdout.startswith('Failed(error="Cannot write')
    assert os.strerror(errno.EFBIG) in done.stdout
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_a_folder_in_the_place_of_a_file_is_left_as_it_is(tmp_path):
    (tmp_path / "d").mkdir()
    with pytest.raises(OSError, match=r"Is a directory|not permitted|exists"):
        write_whole(tmp_path / "d", b"x")
    assert os.listdir(tmp_path) == ["d"]


@pytest.mark.parametrize("call", ["os.open", "os.fsync", "os.replace"])
@pytest.mark.parametrize("count", [1, 2])
def test_killed_while_writing_the_next_attempt_leaves_no_trace_of_it(tmp_path, call, count):
    """The process dies for good at a system call of the writing; what is there is old or new, never half."""
    out = tmp_path / "out"
    write(out)
    old = (out / "report.json").read_bytes()
    trap = f"""
real, left = {call}, [{count}]
def dying(*arguments, **named):
    if "report" in str(arguments[0]) or {call!r} == "os.fsync":
        left[0] -= 1
        if left[0] == 0:
            if {call!r} == "os.open":
                real(*arguments, **named)
            os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments, **named)
{call} = dying
""".replace("\n", "\n    ")
    done = subprocess.run(program(out, trap), capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    present = (out / "report.json").read_bytes()
    assert present == old or json.loads(present)["findings"][-1]["path"] == "a19999.py"
    done = subprocess.run(program(out, ""), capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Completed")
    assert sorted(os.listdir(out)) == ["report.json", "report.md"]
    assert len(json.loads((out / "report.json").read_bytes())["findings"]) == 20_000
