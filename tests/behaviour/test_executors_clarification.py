"""Clarification: the question that is asked, and what an answer becomes."""

from pathlib import Path

import pytest

from dashflow.planner.core.task import Task, TaskKind
from dashflow.planner.executors.base import Completed, Execution, NeedsClarification, Outcome
from dashflow.planner.executors.clarification import ClarificationExecutor
from dashflow.planner.executors.registry import default_executors

pytestmark = pytest.mark.feature("EXEC-01", "HIL-001")


def clarify(folder: Path | None, answer: str | None = None, **params: object) -> Outcome:
    task = Task("t1", "May the old files go?", TaskKind.CLARIFICATION, params=params, answer=answer)
    return ClarificationExecutor().execute(
        Execution(
            run="r1",
            task=task,
            folder=folder,
            out=Path("/nonexistent/out"),
            inputs={},
            tasks={"t1": task},
            goal="look",
            idempotency_key="r1/t1",
            progress=lambda text: None,
            cancelled=lambda: False,
        )
    )


def test_asks_which_folders_and_names_those_there_are(tmp_path):
    for name in ("src", "docs", ".git", "node_modules"):
        (tmp_path / name).mkdir()
    assert clarify(tmp_path, topic="exclude") == NeedsClarification(
        "Which folders should be left out? There are: docs, src. (comma-separated, none for none)"
    )


def test_names_ten_folders_at_most_and_none_when_there_is_none(tmp_path):
    question = "Which folders should be left out? (comma-separated, none for none)"
    assert clarify(tmp_path, topic="exclude") == NeedsClarification(question)
    assert clarify(tmp_path / "absent", topic="exclude") == NeedsClarification(question)
    assert clarify(None, topic="exclude") == NeedsClarification(question)
    for number in range(13):
        (tmp_path / f"d{number:02}").mkdir()
    asked = clarify(tmp_path, topic="exclude")
    assert isinstance(asked, NeedsClarification)
    assert "d08, d09 and 3 more. (" in asked.question


def test_an_answer_becomes_folders(tmp_path):
    assert clarify(tmp_path, "legacy, ./docs/", topic="exclude") == Completed(
        {"topic": "exclude", "answer": "legacy, ./docs/", "exclude": ["legacy", "docs"]}
    )
    assert clarify(tmp_path, " None ", topic="exclude") == Completed(
        {"topic": "exclude", "answer": " None ", "exclude": []}
    )


def test_a_free_question_is_asked_as_it_was_put(tmp_path):
    assert clarify(tmp_path, topic="free") == NeedsClarification("May the old files go?")
    assert clarify(tmp_path, topic="free", question="Which year?") == NeedsClarification("Which year?")
    assert clarify(tmp_path, "none", topic="free") == Completed(
        {"topic": "free", "answer": "none", "exclude": []}
    )


def test_the_executors_that_come_with_it():
    kinds = [kind for executor in default_executors() for kind in executor.kinds]
    assert sorted(kinds) == ["analysis", "clarification", "processing", "retrieval", "unit_test"]
