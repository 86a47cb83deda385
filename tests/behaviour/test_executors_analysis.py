"""Analysis of real folders: what each check finds, and files laid out to do harm."""

import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from dashflow.planner.core.task import Task, TaskKind
from dashflow.planner.executors.analysis import AnalysisExecutor
from dashflow.planner.executors.base import Completed, Execution, Failed

pytestmark = pytest.mark.feature("EXEC-01")

LONG = {"check": "long_functions", "max_lines": 60}
MARKERS = {"check": "markers", "markers": ["TODO", "FIXME"]}
COMPLEX = {"check": "complexity", "max_complexity": 10}
IMPORTS = {"check": "imports"}


def write(folder: Path, **files: str | bytes) -> Path:
    """Files by name; ``__`` in a name is a folder's end, the suffix is ``.py``."""
    for name, content in files.items():
        path = folder / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else textwrap.dedent(content).encode())
    return folder


def execution(folder: Path | None, *checks: object, **more: object) -> Execution:
    task = Task("t1", "look", TaskKind.ANALYSIS, params={"checks": list(checks)} if checks else {})
    given = {
        "run": "r1",
        "task": task,
        "folder": folder,
        "out": Path("/nonexistent/out"),
        "inputs": {},
        "tasks": {"t1": task},
        "goal": "look",
        "idempotency_key": "r1/t1",
        "progress": lambda text: None,
        "cancelled": lambda: False,
    }
    return Execution(**{**given, **more})


def analyse(folder: Path, *checks: object, **more: object) -> dict:
    outcome = AnalysisExecutor().execute(execution(folder, *checks, **more))
    assert isinstance(outcome, Completed), outcome
    return outcome.result


def found(folder: Path, *checks: object, **more: object) -> list[tuple]:
    return [tuple(one.values()) for one in analyse(folder, *checks, **more)["findings"]]


def function(name: str, lines: int, indent: str = "") -> str:
    body = "".join(f"{indent}    x = {number}\n" for number in range(lines - 1))
    return f"{indent}def {name}():\n{body}"


def test_longer_than_60_means_more_than_60(tmp_path):
    write(
        tmp_path, a=function("sixty", 60) + function("more", 61), b="class C:\n" + function("m", 70, "    ")
    )
    assert found(tmp_path, LONG) == [
        ("long_function", "a.py", 61, "more", 61),
        ("long_function", "b.py", 2, "C.m", 70),
    ]
    assert [one[3] for one in found(tmp_path, {"check": "long_functions", "max_lines": 59})] == [
        "sixty",
        "more",
        "C.m",
    ]
    result = analyse(tmp_path, LONG)
    assert (result["files"], result["functions"], result["notes"]) == (2, 3, [])


def test_markers_in_comments_of_many_languages(tmp_path):
    write(tmp_path, a="x = '# TODO'\ndef f():\n    # TODO: one; FIXME too\n    return 'FIXME'\n# TODOS\n")
    (tmp_path / "b.js").write_text("let s = 'TODO'; // FIXME two\n")
    (tmp_path / "c.sh").write_text("#!/bin/sh\n# TODO three\n")
    (tmp_path / "d.txt").write_text("# TODO not source\n")
    (tmp_path / "e.bin.js").write_bytes(b"// TODO \0 binary")
    assert found(tmp_path, MARKERS) == [
        ("fixme", "a.py", 3, "f", "TODO: one; FIXME too"),
        ("todo", "a.py", 3, "f", "TODO: one; FIXME too"),
        ("fixme", "b.js", 1, "", "FIXME two"),
        ("todo", "c.sh", 2, "", "TODO three"),
    ]
    assert [one[:3] for one in found(tmp_path, {"check": "markers", "markers": ["TODOS"]})] == [
        ("todos", "a.py", 5)
    ]


def test_complexity_above_the_bound(tmp_path):
    branches = "".join(f"    if x == {number}: return {number}\n" for number in range(10))
    write(tmp_path, a=f"def f(x):\n{branches}\ndef g(x):\n    if x: return 1\n")
    assert found(tmp_path, COMPLEX) == [("complexity", "a.py", 1, "f", 11)]


def test_imports_that_lead_nowhere(tmp_path):
    write(
        tmp_path,
        a="import os, b, yaml, absent\n",
        b="from .a import x\nfrom .gone import y\n",
        setup="deps = ['PyYAML>=6']",
    )
    assert [one[:4] for one in found(tmp_path, IMPORTS)] == [
        ("import", "a.py", 1, "absent"),
        ("import", "b.py", 2, ".gone"),
    ]
    result = analyse(tmp_path, IMPORTS)
    assert (result["modules"], result["imports"]) == (3, 6)


def test_several_checks_in_one_task_and_defaults(tmp_path):
    write(tmp_path, a="# TODO\n" + function("f", 61) + "def g(:\n", b="# FIXME\n" + function("g", 61))
    together = found(tmp_path, LONG, MARKERS, COMPLEX, IMPORTS)
    assert [one[:2] for one in together] == [
        ("todo", "a.py"),
        ("syntax_error", "a.py"),
        ("fixme", "b.py"),
        ("long_function", "b.py"),
    ]
    assert found(tmp_path) == together


def test_what_is_left_out_is_not_looked_at(tmp_path):
    write(tmp_path, a="# TODO", old__b="# TODO", src__old__c="# TODO", out__d="# TODO", gone__e="# TODO")
    (tmp_path / ".gitignore").write_text("gone\n")
    answered = {"t0": {"topic": "exclude", "answer": "old, absent", "exclude": ["old", "absent"]}}
    result = analyse(tmp_path, MARKERS, inputs=answered, out=tmp_path / "out")
    assert [one["path"] for one in result["findings"]] == ["a.py"]
    assert result["notes"] == ["There is no folder 'absent' to leave out."]
    other = {"t0": {"topic": "free", "answer": "old", "exclude": ["old"]}, "t1": {"findings": []}}
    assert len(found(tmp_path, MARKERS, inputs=other, out=tmp_path / "out")) == 3


def test_a_task_may_name_folders_of_its_own(tmp_path):
    write(tmp_path, a="# TODO", old__b="# TODO")
    task = Task("t1", "look", TaskKind.ANALYSIS, params={"checks": [MARKERS], "exclude": ["old"]})
    assert [one[1] for one in found(tmp_path, task=task)] == ["a.py"]


HOSTILE = {
    "nul.py": (b"x = 1\ny = '\0'\n", ("unreadable", 2)),
    "utf16.py": ("x = 1\n".encode("utf-16"), ("unreadable", 1)),
    "latin.py": (b"x = 1\n# \xe9\n", ("unreadable", 2)),
    "late.py": (b"\n" * 50 + b"# \xff\n", ("unreadable", 51)),
    "declared.py": (b"# coding: latin-1\n# TODO \xe9\n", None),
    "wrong.py": (b"# coding: utf-8\n\nx = '\xe9'\n", ("unreadable", 3)),
    "unknown.py": (b"# coding: klingon\n", ("unreadable", 1)),
    "binary.py": (b"# coding: base64\nx\n", ("unreadable", 1)),
    "quadratic.py": (b"# coding: punycode\n" + b"a" * 900_000, ("unreadable", 1)),
    "bom.py": (b"\xef\xbb\xbfx = 1\n", None),
    "bom_and_lie.py": (b"\xef\xbb\xbf# coding: latin-1\n", ("unreadable", 1)),
    "old.py": (b"x = 1\nprint 'two'\n", ("syntax_error", 2)),
    "cut.py": (b"def f(:\n", ("syntax_error", 1)),
    "open.py": (b"x = (\n", ("syntax_error", 1)),
    "indent.py": (b"if x:\n  a\n b\n", ("syntax_error", 3)),
    "deep_brackets.py": (b"x = " + b"(" * 5000 + b")" * 5000, ("syntax_error", 1)),
    "deep_minus.py": (b"x = " + b"-" * 90_000 + b"1\n", ("unreadable", 0)),
    "deep_sum.py": (b"x = " + b"\\\n+".join([b"a"] * 30_000) + b"\n", ("unreadable", 0)),
    "deep_attribute.py": (b"x = a" + b".b\\\n" * 30_000 + b"\n", ("unreadable", 0)),
    "digits.py": (b"x = " + b"9" * 90_000 + b"\n", ("syntax_error", 1)),
    "one_line.py": (b"x = [" + b"1," * 200_000 + b"]\n", ("unreadable", 1)),
    "carriage.py": (b"x = 1\ry = 2\r# TODO\r", None),
    "empty.py": (b"", None),
    "escape.py": (b"x = '\\d'\nassert (1, 'always')\nx = 1 is 1\n", None),
}


@pytest.fixture
def usual_depth():
    """How deep Python goes decides what is too deep to be read; other tests may have changed it."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(1000)
    yield
    sys.setrecursionlimit(before)


@pytest.mark.usefixtures("usual_depth")
@pytest.mark.parametrize("name", HOSTILE)
def test_no_file_is_too_strange(tmp_path, name):
    content, expected = HOSTILE[name]
    (tmp_path / name).write_bytes(content)
    (tmp_path / "good.py").write_text("# TODO good\n")
    results = [one for one in found(tmp_path, LONG) if one[1] == name]
    assert [(kind, line) for kind, _, line, _, _ in results] == ([expected] if expected else [])
    assert all(value for *_, value in results)
    marked = found(tmp_path, MARKERS)
    assert ("todo", "good.py", 1, "", "TODO good") in marked
    assert len([one for one in marked if one[0] == "todo"]) == (2 if b"TODO" in content else 1)
    assert analyse(tmp_path, COMPLEX)["files"] == 2
    assert analyse(tmp_path, IMPORTS)["files"] == 2


def test_a_file_of_50_megabytes_is_a_finding_and_costs_nothing(tmp_path):
    with (tmp_path / "big.py").open("wb") as file:
        file.write(b"x = '" + b"a" * 50_000_000 + b"'\n")
    with (tmp_path / "bundle.js").open("wb") as file:
        file.write(b"// TODO " + b"a" * 3_000_000)
    assert found(tmp_path, LONG) == [
        ("unreadable", "big.py", 0, "", "is too large to be read: 50,000,007 bytes, more than 1,000,000")
    ]
    assert [one[1] for one in found(tmp_path, MARKERS)] == ["big.py"]


def test_pipes_links_and_folders_called_like_files(tmp_path):
    write(tmp_path, a="# TODO")
    os.mkfifo(tmp_path / "pipe.py")
    os.mkfifo(tmp_path / "pipe.dat")
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "link.py").symlink_to("/dev/zero")
    assert found(tmp_path, LONG) == [("unreadable", "pipe.py", 0, "", "is not a regular file")]
    assert len(found(tmp_path, MARKERS)) == 2


def test_a_file_swapped_for_a_pipe_while_we_look_does_not_stop_us(tmp_path):
    """Between listing and opening: the pipe has no writer, so a plain open would wait for ever."""
    write(tmp_path, a="# TODO", b="# TODO")
    swapped: list[bool] = []

    def swap() -> bool:
        if not swapped:
            (tmp_path / "b.py").unlink()
            os.mkfifo(tmp_path / "b.py")
            swapped.append(True)
        return False

    kinds = [one[:2] for one in found(tmp_path, MARKERS, cancelled=swap)]
    assert kinds == [("todo", "a.py"), ("unreadable", "b.py")]


@pytest.mark.parametrize(
    ("checks", "told"),
    [
        ([{"check": "beauty"}], "Unknown check 'beauty'"),
        ([{"checks": "long_functions"}], "Unknown check None"),
        ([7], "Unknown check 7"),
        ([{"check": "long_functions", "max_lines": -1}], "'max_lines' must be a whole number"),
        ([{"check": "long_functions", "max_lines": "60"}], "'max_lines' must be a whole number"),
        ([{"check": "complexity", "max_complexity": True}], "'max_complexity' must be a whole number"),
        ([{"check": "markers", "markers": []}], "'markers' is empty"),
        ([{"check": "markers", "markers": "TODO"}], "'markers' must be a list"),
        ([{"check": "markers", "markers": [""]}], "'markers' must be a list"),
    ],
)
def test_wrong_params_fail_and_say_what_is_known(tmp_path, checks, told):
    outcome = AnalysisExecutor().execute(execution(tmp_path, *checks))
    assert isinstance(outcome, Failed)
    assert told in outcome.error


def test_without_a_folder_it_fails_and_says_so(tmp_path):
    for folder in (None, tmp_path / "absent"):
        outcome = AnalysisExecutor().execute(execution(folder, LONG))
        assert isinstance(outcome, Failed)
        assert "--on" in outcome.error


def test_a_folder_without_source_has_no_findings(tmp_path):
    result = analyse(tmp_path, LONG)
    assert (result["files"], result["findings"]) == (0, [])


def test_progress_is_told_and_a_cancel_heard(tmp_path):
    write(tmp_path, **{f"m{number:03}": "x = 1" for number in range(250)})
    told: list[str] = []
    analyse(tmp_path, LONG, progress=told.append)
    assert told == ["100 files looked at", "200 files looked at"]
    asked: list[int] = []

    def cancelled() -> bool:
        asked.append(1)
        return len(asked) > 10

    outcome = AnalysisExecutor().execute(execution(tmp_path, LONG, cancelled=cancelled))
    assert isinstance(outcome, Failed)
    assert len(asked) == 11


def test_tasks_beside_each_other_find_what_they_find_alone(tmp_path):
    write(tmp_path, **{f"m{number:02}": "# TODO\n" + function("f", 40 + number) for number in range(40)})
    checks = [LONG, MARKERS, COMPLEX, IMPORTS] * 2
    alone = [analyse(tmp_path, check) for check in checks]
    shared, beside = AnalysisExecutor(), {}

    def work(number: int) -> None:
        beside[number] = shared.execute(execution(tmp_path, checks[number]))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(checks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [beside[number].result for number in range(len(checks))] == alone


def test_warnings_about_the_code_looked_at_are_not_ours(tmp_path):
    """Also where warnings are errors and after somebody else has changed the filters."""
    write(
        tmp_path,
        a="x = '\\d'\n" + function("f", 61),
        b="y = '\\w'\nz = 1 if 1 is 1 else 2\n" + function("g", 61),
    )
    program = f"""
import sys, warnings
sys.path[:0] = {sys.path!r}
from pathlib import Path
from dashflow.planner.core.task import Task, TaskKind
from dashflow.planner.executors.analysis import AnalysisExecutor
from dashflow.planner.executors.base import Execution
task = Task("t1", "look", TaskKind.ANALYSIS)
given = dict(run="r", folder=Path({str(tmp_path)!r}), out=Path("/nonexistent/out"), inputs={{}}, tasks={{}},
    goal="", idempotency_key="", progress=print, cancelled=lambda: warnings.simplefilter("error"))
print([one["name"] for one in AnalysisExecutor().execute(Execution(task=task, **given)).result["findings"]])
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("['f', 'g']\n", "")
