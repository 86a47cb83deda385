"""Models' answers, good and bad: what is understood, what is mended, what is refused with which reason."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashflow.errors import PlanAnswerError, PlanCycleError, PlanError, UnknownDependencyError
from dashflow.planner import Attachment, TaskKind
from dashflow.planner.answers import plain_tasks
from dashflow.planner.core import dag
from dashflow.planner.repair import tasks_from

pytestmark = pytest.mark.feature("PLAN-03")


def understood(answer):
    return tasks_from(plain_tasks(answer), answer)


GOOD = """{"tasks": [
  {"id": "t1", "description": "Find long functions", "kind": "analysis", "dependencies": []},
  {"id": "t2", "description": "Split them", "kind": "refactor", "dependencies": ["t1"]}]}"""

SAME_PLAN = {
    "plain": GOOD,
    "fenced": f"```json\n{GOOD}\n```",
    "fenced without a language": f"Here you are:\n```\n{GOOD}\n```\nGood luck!",
    "prose around it": f"Sure! The plan is {GOOD} as you asked.",
    "braces in the prose": f"I use {{curly}} words. {GOOD}",
    "trailing commas": GOOD.replace("}]", "},]").replace('["t1"]', '["t1",]'),
    "comments": GOOD.replace('{"tasks"', '// the plan\n{"tasks"').replace("  {", "  // a task\n  {", 1),
    "cut off": GOOD[:-2],
    "cut off in a list": GOOD[: GOOD.rindex("]}]")],
    "Python's spelling": GOOD.replace('"', "'"),
    "a bare list": GOOD[GOOD.index("[") : -1],
    "under another name": GOOD.replace('"tasks"', '"plan"'),
    "nested": '{"plan": ' + GOOD + "}",
    "by id": """{"t1": {"description": "Find long functions", "kind": "analysis"},
        "t2": {"description": "Split them", "kind": "refactor", "dependencies": ["t1"]}}""",
    "other field names": GOOD.replace('"id"', '"task_id"')
    .replace("description", "instruction")
    .replace("kind", "type")
    .replace("dependencies", "dependsOn"),
    "other spellings of kinds": GOOD.replace('"analysis"', '"Analysis Task"').replace(
        "refactor", "Refactoring"
    ),
    "numbers as ids": GOOD.replace('"t1"', "1").replace('"t2"', "2"),
    "dependencies as one text": GOOD.replace('["t1"]', '"t1"'),
    "dependencies as objects": GOOD.replace('["t1"]', '[{"task": "t1", "kind": "data"}]'),
    "dependencies as references": GOOD.replace('["t1"]', '["${t1.output}"]'),
    "dependencies as descriptions": GOOD.replace('["t1"]', '["find long functions"]'),
    "none as a word": GOOD.replace("[]", '"none"'),
    "null": GOOD.replace("[]", "null"),
    "tags with attributes": """<plan><task id="t1" kind="analysis">Find long functions</task>
        <task id='t2' kind='refactor' depends_on='t1'>Split them</task></plan>""",
    "tags inside": """<tasks><task><id>t1</id><kind>analysis</kind>
        <description>Find long functions</description></task>
        <task><id>t2</id><type>refactor</type><depends_on>t1</depends_on>
        <description>Split them</description></task></tasks>""",
    "tags that are not closed": """<task id="t1" kind="analysis">
        <description>Find long functions</description>
        <task id="t2" kind="refactor" depends_on="t1"><description>Split them</description>""",
    "a numbered list": "Plan:\n1. [analysis] Find long functions\n2. [refactor] Split them (depends on 1)",
    "a numbered list in bold": """Plan
        **1.** (analysis) Find long functions
        **2)** (refactor) Split them, after step 1.""",
    "nodes and edges": """Node:
        1: [analysis] Find long functions
        2: [refactor] Split them
        Edges: (START,1) (1,2) (2,END)""",
}


@pytest.mark.parametrize("answer", SAME_PLAN.values(), ids=SAME_PLAN)
def test_a_plan_is_understood_however_it_is_written(answer):
    tasks, _notes = understood(answer)
    assert [(task.id, task.description, task.kind, task.dependencies) for task in tasks] == [
        ("t1", "Find long functions", TaskKind.ANALYSIS, ()),
        ("t2", "Split them", TaskKind.REFACTOR, ("t1",)),
    ]


NO_PLANS = {
    "nothing": ("", "empty"),
    "blanks": (" \n\t", "empty"),
    "a refusal": ("I'm sorry, I can't help with that.", "no JSON"),
    "one sentence in a list": ("1. Just do it", "no JSON"),
    "an empty list": ("[]", "no JSON"),
    "an empty plan": ('{"tasks": []}', "no JSON"),
    "a number": ("42", "no JSON"),
    "other JSON": ('{"answer": 42}', "no JSON"),
    "tasks that are no objects": ("[1, 2, 3]", "task 1 is int"),
    "a task that is a list": ('[["find"]]', "task 1 is list"),
    "no description": ('[{"id": "a", "kind": "analysis"}]', "task 1 has no description"),
    "a blank description": ('[{"id": "a", "description": "  "}]', "task 1 has no description"),
    "a description that is no text": ('[{"id": "a", "description": 7}]', "task 1 has no description"),
    "brackets without end": ("[" * 100_000, "no JSON"),
    "braces without end": ('{"a":' * 70_000, "no JSON"),
    "tags without end": ("<task>" * 50_000, "no JSON"),
    "too long": ("x" * 500_000, "500000 characters"),
    "too many tasks": (json.dumps([{"description": f"do {n}"} for n in range(501)]), "501 tasks"),
}


@pytest.mark.parametrize(("answer", "problem"), NO_PLANS.values(), ids=NO_PLANS)
def test_what_is_no_plan_is_refused_with_the_reason(answer, problem):
    with pytest.raises(PlanAnswerError, match=problem):
        understood(answer)


def plan(*tasks):
    return json.dumps({"tasks": list(tasks)})


def test_the_order_of_a_plan_is_never_guessed():
    with pytest.raises(UnknownDependencyError, match="'ghost'"):
        understood(plan({"id": "a", "description": "do", "dependencies": ["ghost"]}))
    with pytest.raises(PlanCycleError, match="a -> b -> a"):
        understood(
            plan(
                {"id": "a", "description": "do", "dependencies": ["b"]},
                {"id": "b", "description": "do more", "dependencies": ["a"]},
            )
        )


def test_slips_are_mended_and_said():
    tasks, notes = understood(
        plan(
            {"id": "a", "description": "Find TODO comments", "kind": "whatever"},
            {"id": "a", "description": "Run the tests"},
            {"description": "Think", "kind": "magic", "dependencies": ["a", "a", 3]},
            "Write a report",
        )
    )
    assert [(task.id, task.kind) for task in tasks] == [
        ("a", TaskKind.ANALYSIS),
        ("a-2", TaskKind.UNIT_TEST),
        ("t3", TaskKind.PROCESSING),
        ("t4", TaskKind.PROCESSING),
    ]
    assert tasks[2].dependencies == ("a",)
    for said in ("id 'a'", "unknown kind 'whatever'", "has no kind", "wait for itself"):
        assert any(said in note for note in notes), said


def test_params_are_filled_in_from_the_words_and_made_into_ours():
    tasks, _ = understood(
        plan(
            {"id": "a", "description": "Find functions longer than 70 lines", "kind": "analysis"},
            {"id": "b", "description": "x", "kind": "analysis", "params": {"check": "imports"}},
            {"id": "c", "description": "Which colour?", "kind": "clarification"},
            {"id": "d", "description": "Search for x", "kind": "retrieval", "params": {"top": 3}},
            {"id": "e", "description": "y", "kind": "analysis", "params": ["odd"]},
        )
    )
    assert [task.params for task in tasks] == [
        {"checks": [{"check": "long_functions", "max_lines": 70}]},
        {"checks": [{"check": "imports"}]},
        {"topic": "free", "question": "Which colour?"},
        {"query": "x", "top": 3},
        {},
    ]


def test_a_report_waits_for_ends_and_not_for_success():
    tasks, _ = understood(
        plan(
            {"id": "a", "description": "Run the tests", "kind": "unit_test"},
            {"id": "b", "description": "Write a report", "kind": "processing", "dependencies": ["a"]},
        )
    )
    assert (tasks[1].dependencies, tasks[1].optional_dependencies) == ((), ("a",))
    tasks, _ = understood(
        plan(
            {"id": "a", "description": "Run the tests", "kind": "unit_test"},
            {"id": "b", "description": "Write a report", "kind": "processing"},
        )
    )
    assert tasks[1].optional_dependencies == ("a",), "a report on nothing reports on everything"


def test_attachments_in_any_form():
    files = ["a.py", {"path": "b.py"}, "https://x.org/y", 7, {"odd": 1}, "a.py"]
    (only,), _ = understood(plan({"id": "a", "description": "Look", "attachments": files}))
    assert only.attachments == (
        Attachment("file", "a.py"),
        Attachment("file", "b.py"),
        Attachment("url", "https://x.org/y"),
    )


FIELDS = ["tasks", "id", "description", "kind", "dependencies", "params", "x"]
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["tasks", "id", "description", "kind", "dependencies", "params", "x"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(
    anything.map(json.dumps) | st.text(max_size=200), st.integers(0, 200), st.sampled_from(["", "```", "},"])
)
def test_any_answer_is_a_runnable_plan_or_a_plan_error(answer, cut, added):
    answer = answer[:cut] + added + answer[cut:]
    try:
        tasks, _ = understood(answer)
    except PlanError:
        return
    dag.validate(tasks)


@given(st.integers(0, len(GOOD)), st.sampled_from(['"', "{", "]", ",", "\\", "\n", "'", "<task>", "0"]))
def test_a_damaged_answer_is_a_runnable_plan_or_a_plan_error(place, damage):
    for answer in (GOOD[:place] + damage + GOOD[place:], GOOD[:place] + GOOD[place + 1 :], GOOD[:place]):
        try:
            tasks, _ = understood(answer)
        except PlanError:
            continue
        dag.validate(tasks)
