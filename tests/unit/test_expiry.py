"""Which answers count once time has passed, and their bindings: given events, when somebody answers."""

from typing import Any

import pytest

from dashflow.core.events import Change, Question, RunStarted, StepCompleted, TaskInterrupted
from dashflow.core.fold import EMPTY, ThreadState, fold
from dashflow.engine.expiry import in_time, pending_questions
from dashflow.engine.fingerprint import fingerprint
from dashflow.errors import InterruptExpiredError
from dashflow.warnings import LateAnswerWarning

pytestmark = pytest.mark.feature("NEW-09")

STARTED = RunStarted("r", step=-1, change=Change({"n": 1}))


def after(*events: Any) -> ThreadState:
    state = EMPTY
    for version, event in enumerate(events, 1):
        state = fold(state, event, version, version * 1000)
    return state


def asked(*questions: Question, **more: Any) -> TaskInterrupted:
    return TaskInterrupted("node", "node", list(questions), **more)


FOREVER = Question("a", "a?", site="f", payload="1")
UNTIL_9 = Question("b", "b?", site="f", payload="2", expires=9)
OR_NO = Question("c", "c?", site="f", payload="3", expires=9, default=["no"])


def test_what_answers_are_bound_to_stays_when_they_are_given() -> None:
    state = after(STARTED, asked(FOREVER, UNTIL_9), RunStarted("s", kind="resume", answers={"a": "yes"}))
    assert [question.id for question in pending_questions(state)] == ["b"]
    assert state.bound == {"a": ["f", "1", 0], "b": ["f", "2", 9]}


def test_a_changed_question_is_open_and_bound_to_what_it_asks_now() -> None:
    changed = Question("a", "other?", site="f", payload="9")
    state = after(
        STARTED,
        asked(FOREVER),
        RunStarted("s", kind="resume", answers={"a": "yes"}),
        asked(changed, refused=["a"], changed=["a"]),
    )
    assert (state.answers, state.bound, pending_questions(state)) == ({}, {"a": ["f", "9", 0]}, [changed])


def test_a_step_that_is_complete_and_a_replay_know_no_bindings() -> None:
    assert after(STARTED, asked(FOREVER), StepCompleted(0, ["node"], Change())).bound == {}
    assert after(STARTED, asked(FOREVER), RunStarted("s", base=2, kind="continue", replay=True)).bound == {}


def test_questions_of_older_programs_are_bound_to_nothing() -> None:
    assert after(STARTED, asked(Question("a", "a?"))).bound == {}


def test_in_time_answers_count_as_they_are() -> None:
    state = after(STARTED, asked(FOREVER, UNTIL_9, OR_NO))
    assert in_time(state, {"a": 1, "b": 2, "c": 3}, [4], 8, "t") == ({"a": 1, "b": 2, "c": 3}, [4])


def test_when_its_time_is_over_a_question_has_its_default_or_refuses() -> None:
    state = after(STARTED, asked(FOREVER, UNTIL_9, OR_NO))
    assert in_time(state, {"a": 1}, [], 9, "t") == ({"a": 1, "c": "no"}, [])
    with pytest.warns(LateAnswerWarning, match="question c in thread 't'"):
        assert in_time(state, {"c": "yes"}, [], 9, "t") == ({"c": "no"}, [])
    with pytest.raises(InterruptExpiredError) as refused:
        in_time(state, {"a": 1, "b": 2}, [], 9, "t")
    assert (refused.value.interrupt_ids, refused.value.expired_at) == (("b",), 9e-9)


def test_inputs_forks_and_edits_name_a_root_that_what_follows_keeps() -> None:
    state = after(STARTED, StepCompleted(0, ["node"], Change()), RunStarted("s", base=2, kind="continue"))
    assert state.root == after(STARTED).root == "1.3e8"
    again = fold(state, RunStarted("t", base=3, kind="fork", step=1, change=Change()), 4, 4000)
    assert again.root == "4.fa0"


def test_fingerprints_are_of_values_and_not_of_how_they_came_about() -> None:
    assert fingerprint({"a": [1, {"x": 1, "y": 2}], "b": 2}) == fingerprint(
        {"b": 2, "a": [1, {"y": 2, "x": 1}]}
    )
    different = [1, 1.0, True, "1", b"1", [1], (1,), {1}, {1: 1}, [[1, 1]], None, "", {}, [], ()]
    assert len({fingerprint(value) for value in different}) == len(different)
    assert fingerprint(object()) == ""
    assert fingerprint([{"dict": []}]) != fingerprint([{}])
