"""The report: both texts tell the same findings, in one order, whatever stands in them."""

import json
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashflow.planner.core.task import Task, TaskKind, TaskStatus
from dashflow.planner.findings import Finding, counts, finding, from_plain, one_line, ordered, to_plain
from dashflow.planner.report import Report, Step, steps, to_json, to_markdown

pytestmark = pytest.mark.feature("EXEC-01")

TEXTS = st.text(st.characters()) | st.text("`|*_<>[]#\\\n\x00\u2028 a")
FINDINGS = st.builds(
    finding,
    st.sampled_from(["todo", "long_function", "match", "test_failure", "hack"]),
    TEXTS,
    st.integers(0, 3),
    TEXTS,
    st.integers(0, 2) | TEXTS,
)


def report(*found: Finding, **more: object) -> Report:
    return Report(run="r1", goal="look", folder="shop", findings=tuple(ordered(found)), **more)


@given(st.lists(FINDINGS, max_size=8), st.randoms())
def test_order_and_repetition_do_not_matter(found, random):
    again = [*found, *found[:2]]
    random.shuffle(again)
    assert to_json(report(*again)) == to_json(report(*found))
    assert to_markdown(report(*again)) == to_markdown(report(*found))
    assert from_plain(to_plain(found)) == found


@given(st.lists(FINDINGS, max_size=8))
def test_json_holds_schema_run_and_sorted_findings(found):
    data = json.loads(to_json(report(*found)))
    assert list(data) == ["schema", "run", "findings"]
    assert (data["schema"], data["run"]) == (1, "r1")
    assert all(list(one) == ["kind", "path", "line", "name", "value"] for one in data["findings"])
    places = [(one["path"], one["line"], one["kind"], one["name"]) for one in data["findings"]]
    assert places == sorted(places)


@given(st.lists(FINDINGS, max_size=8))
def test_the_page_tells_every_finding_on_a_line_of_its_own(found):
    told = ordered(found)
    page = to_markdown(report(*found)).decode("utf-8")
    lines = [line for line in page.splitlines() if line.startswith("- ")]
    assert len(lines) == len(told)
    assert page.count("\n- ") == len(told)
    for kind, number in counts(told).items():
        assert len([one for one in told if one.kind == kind]) == number
        assert f"({number:,})" in page


def test_the_page_of_a_small_run():
    found = [
        finding("long_function", "src/a_b.py", 7, "A.long", 71),
        finding("todo", "src/a_b.py", 9, "A.long", "TODO: `this`"),
        finding("hack", "src/__init__.py", 1, "", "HACK"),
        finding("no_tests", ".", 0, "", "no tests were found"),
    ]
    done = (Step("t1", "Find long functions", "3 files looked at"),)
    not_done = (Step("t2", "Write *it* all", "No executor takes it"),)
    page = to_markdown(report(*found, done=done, not_done=not_done, notes=("There is no folder 'x'.",)))
    assert (
        page.decode()
        == r"""# Report on shop

Goal: look

Run: r1

## Summary

| What | How many |
|---|---:|
| Functions that are too long | 1 |
| TODO comments | 1 |
| No tests | 1 |
| Hack comments | 1 |
| Together | 4 |

## Functions that are too long (1)

- `src/a_b.py:7` · `A.long` · 71 lines

## TODO comments (1)

- `src/a_b.py:9` · `A.long` · `` TODO: `this` ``

## No tests (1)

- `.` · `no tests were found`

## Hack comments (1)

- `src/__init__.py:1` · `HACK`

## What was done

- t1 Find long functions: 3 files looked at

## What was not done, and why

- t2 Write \*it\* all: No executor takes it

## Notes

- There is no folder 'x'.
"""
    )


def test_nothing_found_is_said():
    assert b"Nothing was found." in to_markdown(report())
    assert json.loads(to_json(report()))["findings"] == []


def test_only_the_run_differs_between_equal_runs():
    one, other = (
        report(finding("todo", "a.py", 1, "", "TODO")),
        report(finding("todo", "a.py", 1, "", "TODO")),
    )
    other = msgspec.structs.replace(other, run="r2")
    for render in (to_json, to_markdown):
        first, second = render(one).decode().splitlines(), render(other).decode().splitlines()
        assert [a for a, b in zip(first, second, strict=True) if a != b] == [
            line for line in first if re.search(r"\br1\b", line)
        ]


@given(TEXTS)
def test_a_value_is_one_line_of_bounded_length(text):
    shown = one_line(text, 20)
    assert len(shown) <= 20 or "\\" in shown
    assert shown.split() == shown.split(" ") or shown == ""


def task(name: str, status: TaskStatus, *after: str, **more: object) -> Task:
    return Task(name, f"words of {name}", TaskKind.ANALYSIS, status=status, dependencies=after, **more)


def test_what_was_not_done_is_what_the_report_waited_for():
    last = Task(
        "t9",
        "report",
        TaskKind.PROCESSING,
        status=TaskStatus.RUNNING,
        optional_dependencies=("t2", "t3", "t4", "t6"),
    )
    tasks = [
        task("t1", TaskStatus.COMPLETED, result={"answer": "none"}),
        task("t2", TaskStatus.COMPLETED, "t1", result={"summary": "3 files"}),
        task("t3", TaskStatus.FAILED, "t1", error="the disk is full"),
        task("t4", TaskStatus.PLANNED, "t3"),
        task("t5", TaskStatus.RUNNING),
        task("t6", TaskStatus.NEEDS_CLARIFICATION, question="which?"),
        last,
    ]
    done, not_done = steps(last, {one.id: one for one in tasks}, {"t2": {"summary": "3 files"}})
    assert [(step.task, step.told) for step in done] == [("t1", "answered: none"), ("t2", "3 files")]
    assert [(step.task, step.told) for step in not_done] == [
        ("t3", "the disk is full"),
        ("t4", "it waits for t3, which did not complete"),
        ("t6", "it asks a question that nobody answered"),
    ]


def test_what_is_no_finding_is_refused():
    with pytest.raises(msgspec.ValidationError):
        from_plain([{"kind": "todo"}])
    with pytest.raises(msgspec.ValidationError):
        from_plain("todo")
