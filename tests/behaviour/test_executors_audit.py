"""The shipped example: what an audit of it finds is exactly what its list of known findings says."""

import json
import shutil
from pathlib import Path

import pytest

from dashflow.planner.core.task import Task, TaskKind, TaskStatus
from dashflow.planner.executors.base import Completed, Execution
from dashflow.planner.executors.registry import default_executors

pytestmark = pytest.mark.feature("EXEC-01")

AUDIT = Path(__file__).resolve().parents[2] / "examples" / "audit"
EXPECTED = json.loads((AUDIT / "EXPECTED.json").read_text(encoding="utf-8"))["findings"]
LEGACY = [one for one in EXPECTED if one["path"].startswith("legacy/")]

PLAN = (
    Task("t1", "Which folders?", TaskKind.CLARIFICATION, params={"topic": "exclude"}),
    Task(
        "t2",
        "Long functions",
        TaskKind.ANALYSIS,
        params={"checks": [{"check": "long_functions", "max_lines": 60}]},
    ),
    Task(
        "t3",
        "Markers",
        TaskKind.ANALYSIS,
        params={"checks": [{"check": "markers", "markers": ["TODO", "FIXME"]}]},
    ),
    Task("t4", "Run the tests", TaskKind.UNIT_TEST, params={"timeout_seconds": 120}),
    Task("t5", "Report", TaskKind.PROCESSING, optional_dependencies=("t2", "t3", "t4")),
)


def audit(folder: Path, out: Path, answer: str, tests: bool = True) -> list[dict]:
    """What the demo's plan comes to: every task in order, the report at the end."""
    by_kind = {kind: executor for executor in default_executors() for kind in executor.kinds}
    results: dict[str, dict] = {}
    tasks = {task.id: task for task in PLAN}
    for task in PLAN:
        if task.kind is TaskKind.UNIT_TEST and not tests:
            continue
        asked = Task(task.id, task.description, task.kind, params=task.params, answer=answer)
        outcome = by_kind[task.kind].execute(
            Execution(
                run="r1",
                task=asked if task.kind is TaskKind.CLARIFICATION else task,
                folder=folder,
                out=out,
                inputs=dict(results),
                tasks=tasks,
                goal="Audit this code",
                idempotency_key=f"r1/{task.id}",
                progress=lambda text: None,
                cancelled=lambda: False,
            )
        )
        assert isinstance(outcome, Completed), outcome
        results[task.id] = outcome.result
        tasks[task.id] = Task(task.id, task.description, task.kind, status=TaskStatus.COMPLETED)
    return json.loads((out / "report.json").read_text(encoding="utf-8"))["findings"]


def test_the_audit_finds_what_is_known_and_changes_nothing(tmp_path):
    before = {path: path.read_bytes() for path in AUDIT.rglob("*") if path.is_file()}
    assert audit(AUDIT, tmp_path / "out", "none") == EXPECTED
    assert {path: path.read_bytes() for path in AUDIT.rglob("*") if path.is_file()} == before
    page = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    for one in EXPECTED:
        assert f"`{one['path']}:{one['line']}`" in page
        assert str(one["value"]) in page


def test_a_copy_with_ignored_files_and_a_folder_left_out(tmp_path):
    folder = shutil.copytree(AUDIT, tmp_path / "copy")
    for ignored in ("exports/a.py", "stockroom/new.draft.py", ".venv/b.py", "stockroom/__pycache__/c.py"):
        (folder / ignored).parent.mkdir(exist_ok=True)
        (folder / ignored).write_text("# TODO: must not be found\n")
    found = audit(folder, folder / "result", "legacy, absent", tests=False)
    assert found == [one for one in EXPECTED if one not in LEGACY and one["kind"] != "test_failure"]
    assert "There is no folder 'absent' to leave out." in (folder / "result" / "report.md").read_text()
    assert audit(folder, folder / "result", "legacy, absent", tests=False) == found


def test_the_known_findings_cover_what_the_example_is_for():
    kinds = [one["kind"] for one in EXPECTED]
    assert (kinds.count("long_function"), kinds.count("todo"), kinds.count("fixme")) == (4, 6, 3)
    assert kinds.count("test_failure") == 1
    assert len(LEGACY) == 3
    names = [one["name"] for one in EXPECTED if one["kind"] == "long_function"]
    assert "InvoiceMaker.make" in names, "a method"
    assert "reader.read" in names, "a nested function"
    assert "render" not in names, "it is exactly 60 lines long"
    text = (AUDIT / "stockroom" / "billing" / "render.py").read_text(encoding="utf-8")
    begin = text[: text.index("def render")].count("\n")
    assert text[: text.index("\n\n\ndef summary")].count("\n") + 1 - begin == 60
