"""The planner's context: what is kept when it is made smaller, by profile, and what can be found again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashflow.planner import Planner, Task, TaskKind, TaskStatus
from dashflow.planner.core import context
from dashflow.planner.core.commands import CompactContext
from dashflow.planner.core.events import (
    ClarificationReceived,
    PlannerConfig,
    PlanRequested,
    TaskDispatched,
    TasksPlanned,
    TaskStatusUpdated,
)

pytestmark = pytest.mark.feature("PLAN-01")


def planner(profile="balanced"):
    """A plan with a decision, an artefact, an error and much bulk."""

    def sent(name):
        return TaskDispatched(at=3, task=name, attempt=1)

    def ended(name, status, **fields):
        return TaskStatusUpdated(at=4, task=name, attempt=1, status=status, **fields)

    tasks = tuple(Task(name, f"do {name} " * 10, TaskKind.ANALYSIS) for name in ("a", "b", "c"))
    bulk = {"findings": [{"path": "src/x.py", "line": n, "text": "t" * 50} for n in range(60)], "files": 7}
    return Planner.fold(
        [
            PlanRequested(at=1, run="r", goal="find out", config=PlannerConfig(profile=profile)),
            TasksPlanned(at=2, tasks=tasks),
            sent("a"),
            ended("a", TaskStatus.NEEDS_CLARIFICATION, question="which colour?"),
            ClarificationReceived(at=5, task="a", text="ultramarine"),
            sent("b"),
            ended("b", TaskStatus.COMPLETED, result=bulk),
            sent("c"),
            ended("c", TaskStatus.FAILED, error="the disk is full"),
        ]
    )


def compacted(before, **command):
    (event,) = before.process(CompactContext(now=9, **command))
    return before.apply([event]), event


def test_decisions_artefacts_and_errors_outlive_bulk():
    before = planner()
    after, event = compacted(before, max_tokens=300)
    text = context.render(after.state)
    for fact in ("find out", "ultramarine", "src/x.py", "the disk is full"):
        assert fact in text
    assert "t" * 50 not in text
    assert "b result: findings: 60" in text, "what was dropped is named"
    assert event.tokens_after < event.tokens_before / 3
    assert "b.result" in event.dropped
    assert after.state.tasks == before.state.tasks


def test_what_was_dropped_can_be_found_again_by_its_reference():
    after, event = compacted(planner(), max_tokens=100)
    found = {item.ref: item for item in context.items(after.state)}
    assert set(event.dropped) | set(event.kept) == set(found)
    assert not set(event.dropped) & set(event.kept)
    assert "t" * 50 in found["b.result"].text


def test_nothing_is_dropped_where_there_is_room():
    before = planner()
    after, event = compacted(before, max_tokens=100_000)
    assert event.dropped == ()
    assert event.summary == ""
    assert context.render(after.state) == context.render(before.state)


def test_a_summary_by_a_model_stands_for_what_is_dropped():
    after, _event = compacted(planner(), max_tokens=100, summary="All is well.")
    assert context.render(after.state).startswith("All is well.\n")


def test_profiles_keep_different_things():
    texts = {
        name: context.render(compacted(planner(name), max_tokens=24)[0].state) for name in context.PROFILES
    }
    assert "ultramarine" in texts["decisions"]
    assert "the disk is full" in texts["progress"]
    assert "ultramarine" not in texts["progress"]


@given(st.integers(0, 2000), st.sampled_from(sorted(context.PROFILES)))
def test_the_budget_is_kept_but_for_the_goal(budget, profile):
    after, event = compacted(planner(profile), max_tokens=budget)
    goal = context.tokens("Goal: find out") + 1
    assert event.tokens_after <= max(budget, goal + budget // 4 + 1)
    assert "Goal: find out" in context.render(after.state)
    again, same = compacted(after, max_tokens=budget)
    assert (same.kept, same.dropped, same.summary) == (event.kept, event.dropped, event.summary)
    assert again.state.tasks == after.state.tasks
