"""Planning by rules: what a goal in plain words becomes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashflow.planner import Attachment, Task, TaskKind
from dashflow.planner.core import dag
from dashflow.planner.planning import PlanningRequest
from dashflow.planner.rules import MAX_CLAUSES, RulePlanner

pytestmark = pytest.mark.feature("PLAN-03")

DEMO = (
    "Audit this code: find functions longer than 60 lines and TODO or FIXME comments, run the tests, and "
    "write a report. Ask me which folders to leave out."
)


def propose(goal, **fields):
    return RulePlanner().plan(PlanningRequest(goal=goal, **fields))


def check(name, **limits):
    return {"checks": [{"check": name, **limits}]}


REPORT = {"format": "report"}
TESTS = {"timeout_seconds": 600}


def test_the_demo_goal():
    marks = check("markers", markers=["TODO", "FIXME"])
    assert propose(DEMO, folder="/x").tasks == (
        Task(
            "t1",
            "Ask which folders to leave out",
            TaskKind.CLARIFICATION,
            params={"topic": "exclude"},
        ),
        Task(
            "t2",
            "Find functions longer than 60 lines",
            TaskKind.ANALYSIS,
            dependencies=("t1",),
            params=check("long_functions", max_lines=60),
        ),
        Task("t3", "Find TODO and FIXME comments", TaskKind.ANALYSIS, dependencies=("t1",), params=marks),
        Task("t4", "Run the tests", TaskKind.UNIT_TEST, dependencies=("t1",), params=TESTS),
        Task(
            "t5",
            "Write a report on what was found",
            TaskKind.PROCESSING,
            optional_dependencies=("t2", "t3", "t4"),
            params=REPORT,
        ),
    )


def shape(goal):
    """The plan in short: kind of each task with the numbers of what it waits for (~ for optional)."""
    tasks = propose(goal).tasks
    return [
        " ".join(
            [
                task.kind.value,
                *(name[1:] for name in task.dependencies),
                *(f"~{name[1:]}" for name in task.optional_dependencies),
            ]
        )
        for task in tasks
    ]


SHAPES = {
    # what is joined runs side by side; a report is implied by findings
    "Find functions longer than 80 lines and run the tests": ["analysis", "unit_test", "processing ~1 ~2"],
    "Run the tests. Look for FIXME comments.": ["unit_test", "analysis", "processing ~1 ~2"],
    "List the imports, find complex functions": ["analysis", "analysis", "processing ~1 ~2"],
    # then, next, finally, numbered lists
    "Run the tests, then rename foo to bar": ["unit_test", "refactor 1", "processing ~1 ~2"],
    "Rename foo to bar in src/app.py. Then run the tests. Finally, send the summary to me": [
        "refactor",
        "unit_test 1",
        "processing ~1 ~2",
        "tool_call 1 2 3",
    ],
    "1. Build the image\n2. Deploy it\n3. Notify the team": ["implementation", "tool_call 1", "tool_call 2"],
    "1. Rename a to b 2. Run the tests": ["refactor", "unit_test 1", "processing ~1 ~2"],
    "- find TODO comments\n- run the tests": ["analysis", "unit_test", "processing ~1 ~2"],
    "First run the tests, next find long functions": ["unit_test", "analysis 1", "processing ~1 ~2"],
    # before, after, once, when
    "Before you deploy it, run the tests": ["unit_test", "tool_call 1", "processing ~1 ~2"],
    "Run the tests before deploying it": ["unit_test", "tool_call 1", "processing ~1 ~2"],
    "After running the tests, deploy the app": ["unit_test", "tool_call 1", "processing ~1 ~2"],
    "Deploy the app once the tests pass": ["unit_test", "tool_call 1", "processing ~1 ~2"],
    # it and them
    "Find functions longer than 80 lines and split them": ["analysis", "refactor 1", "processing ~1 ~2"],
    "Write tests for the parser and run them": ["implementation", "unit_test 1", "processing ~1 ~2"],
    "Search for the retry logic and explain it": ["retrieval", "processing ~1"],
    "Search for the retry logic and translate it": ["retrieval", "processing 1", "processing ~1 ~2"],
    "Refactor functions longer than 70 lines": ["analysis", "refactor 1", "processing ~1 ~2"],
    # what changes something is done in the order in which it is said
    "Rename a to b, move c to d and delete e": ["refactor", "refactor 1", "implementation 2"],
    "Deploy it before renaming a to b, notify the team": ["tool_call", "refactor 1", "tool_call 2"],
    # tests come after the changes they test
    "Fix the crash in src/a.py and run the tests": ["implementation", "unit_test 1", "processing ~1 ~2"],
    # questions
    "Ask me which module to look at, then find long functions in it": [
        "clarification",
        "analysis 1",
        "processing ~2",
    ],
    "Ask me for the name, ask me for the target. Deploy it.": [
        "clarification",
        "clarification 1",
        "tool_call 1 2",
    ],
    'Search for "x" and ask me before deleting anything': [
        "clarification",
        "retrieval",
        "implementation 1",
        "processing ~2 ~3",
    ],
    # what is not said
    "Audit this code": ["analysis", "analysis", "analysis", "analysis", "processing ~1 ~2 ~3 ~4"],
    "Summarize the findings": ["processing"],
    # what is forbidden
    "Find TODO comments without running the tests": ["analysis", "processing ~1"],
    "Find TODO comments and run the tests, but do not write a report": ["analysis", "unit_test"],
    "Audit this code: run the tests, list imports. Skip the tests.": ["analysis", "processing ~1"],
    "Don't run the tests, find FIXMEs": ["analysis", "processing ~1"],
    # unknown verbs, questions, anything
    "Benchmark the parser before rewriting it": ["processing", "implementation 1"],
    "What does this project do?": ["retrieval", "processing ~1"],
    "Hello world": ["retrieval", "processing ~1"],
}


@pytest.mark.parametrize(("goal", "expected"), SHAPES.items(), ids=SHAPES)
def test_the_shape_of_a_plan(goal, expected):
    assert shape(goal) == expected


PARAMS = {
    "Find functions longer than 60 lines": check("long_functions", max_lines=60),
    "find methods with more than 1,200 lines": check("long_functions", max_lines=1200),
    "Show all functions of at least 50 lines": check("long_functions", max_lines=49),
    "List functions with 80 lines or more": check("long_functions", max_lines=79),
    "Find long functions": check("long_functions", max_lines=60),
    "Check for functions with a complexity above 12": check("complexity", max_complexity=12),
    "Report functions that are too complex": check("complexity", max_complexity=10),
    "List the imports of every module": check("imports"),
    "Find TODO/FIXME comments": check("markers", markers=["TODO", "FIXME"]),
    "Look for todos": check("markers", markers=["TODO"]),
    "Find XXX, HACK and TODO comments": check("markers", markers=["XXX", "HACK", "TODO"]),
    "Run the tests within 5 minutes": {"timeout_seconds": 300},
    "run pytest with a timeout of 30 seconds": {"timeout_seconds": 30},
    "When the tests pass, deploy it": {"timeout_seconds": 600, "must_pass": True},
    'Search for "sqlite3.connect" in src/dashflow': {"query": "sqlite3.connect", "top": 20},
    "Find where the retry logic is implemented": {"query": "retry logic implemented", "top": 20},
    "Translate the README": {"format": "free"},
    "Ask me for the release name": {"topic": "free", "question": "What is the release name?"},
    "Please ask me which module matters": {"topic": "free", "question": "Which module matters?"},
    "Find TODO comments. Leave out the docs and build folders.": {
        **check("markers", markers=["TODO"]),
        "exclude": ["docs", "build"],
    },
    "Find TODO comments, ignore tests/data/": {
        **check("markers", markers=["TODO"]),
        "exclude": ["tests/data"],
    },
}


@pytest.mark.parametrize(("goal", "params"), PARAMS.items(), ids=PARAMS)
def test_what_executors_are_told(goal, params):
    assert propose(goal).tasks[0].params == params


def test_what_a_goal_refers_to_is_attached():
    (first, *_) = propose('Rename "foo" in src/app.py and docs/ following https://example.com/guide.').tasks
    assert first.attachments == (
        Attachment("text", "foo"),
        Attachment("file", "src/app.py"),
        Attachment("folder", "docs/"),
        Attachment("url", "https://example.com/guide"),
    )


def test_what_is_left_out_is_said():
    notes = propose("Find TODO comments without running the tests. The weather is nice.").notes
    assert any("Not done, as asked: 'running the tests'" in note for note in notes)
    assert any("weather" in note for note in notes)


def test_a_contradiction_gives_a_plan_all_the_same():
    tasks = propose("Rename a to b before running the tests. Run the tests before renaming a to b.").tasks
    dag.validate(tasks)


WORDS = """find run the tests then before after once when and , . ; : ask me which folders to leave out report
TODO FIXME functions longer than 60 lines it them without not do write "x y" src/a.py https://e.org/x finally
rename deploy audit this code 1. 2. - ( ) ' " ` skip docs folder is what ? with complexity 10 or"""
words = st.sampled_from([*WORDS.split(), "\n"])


@given(st.lists(words, min_size=1, max_size=40).map(" ".join) | st.text(max_size=80))
def test_any_text_becomes_a_plan_that_can_be_run(goal):
    proposal = propose(goal)
    dag.validate(proposal.tasks)
    assert propose(goal) == proposal
    assert [task.id for task in proposal.tasks] == [f"t{n}" for n in range(1, len(proposal.tasks) + 1)]
    position = {task.id: number for number, task in enumerate(proposal.tasks)}
    for task in proposal.tasks:
        assert all(position[one] < position[task.id] for one in dag.awaited(task))


def test_a_long_goal_is_planned_in_reasonable_work():
    goal = ", then ".join(f"search for topic{n} and summarize it" for n in range(150))
    assert len(propose(goal).tasks) >= 150


HOSTILE = [
    "'a ",
    '"',
    "\u201c",
    "a/",
    "a.",
    "a.py",
    "1. A ",
    "find x and ",
    "http://",
    "run tests then ",
    "when a, ",
    "-",
]


@pytest.mark.parametrize("unit", HOSTILE)
def test_hostile_text_is_no_endless_work(unit):
    dag.validate(propose(unit * 3000).tasks)


def test_of_an_endless_goal_the_beginning_is_planned_and_that_is_said():
    proposal = propose(" ".join(f"Deploy service number{n}." for n in range(1000)))
    assert len(proposal.tasks) == MAX_CLAUSES
    assert any("only its first" in note for note in proposal.notes)
