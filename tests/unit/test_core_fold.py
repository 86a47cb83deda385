"""fold: any prefix of any log has one meaning; the same events give the same bytes, whoever folds them.

Given events, when they are folded, then this is the state. The logs of the properties are made up: any
sequence of well-formed events, whether a run would write it or not.
"""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashflow.checkpoint.events import from_record, to_new
from dashflow.checkpoint.saver import LogSaver
from dashflow.checkpoint.thread import ThreadReader
from dashflow.core.events import (
    Change,
    CheckpointsForgotten,
    Question,
    RunFailed,
    RunFinished,
    RunPaused,
    RunStarted,
    StateEdited,
    StepCompleted,
    TaskCompleted,
    TaskFailed,
    TaskInterrupted,
)
from dashflow.core.fold import EMPTY, ThreadState, fold
from dashflow.core.fold_steps import fold_steps
from dashflow.core.written import wrote_of
from dashflow.errors import CorruptEventError
from dashflow.log.base import Append
from dashflow.log.codec import Registry, encode
from dashflow.log.memory import MemoryLog

pytestmark = pytest.mark.feature("LOG-01")

CHANNELS = st.sampled_from(["a", "b", "list", "branch:to:x", "branch:to:y"])
NODES = st.sampled_from(["x", "y", "__start__"])
KEYS = st.sampled_from(["x", "y", "#0", "#1"])
VALUES = st.one_of(st.none(), st.integers(), st.text(max_size=4), st.lists(st.integers(), max_size=3))
RAN = st.lists(st.one_of(NODES, st.tuples(NODES, st.lists(CHANNELS, max_size=2)).map(list)), max_size=3)
QUESTIONS = st.lists(st.builds(Question, id=st.text(max_size=3), value=VALUES), max_size=2)
ANSWERS = st.dictionaries(st.text(max_size=3), VALUES, max_size=2)
CHANGES = st.builds(
    Change,
    put=st.dictionaries(CHANNELS, VALUES, max_size=3),
    cleared=st.lists(CHANNELS, max_size=2),
    kept=st.lists(CHANNELS, max_size=2),
)
WRITES = st.lists(st.tuples(CHANNELS, VALUES).map(list), max_size=2)
WROTE = st.sampled_from([[], ["x", "", [["list"], ["a", None]]], ["y", "x", [["a"], ["a", [1]], ["b"]]]])
STEPS = st.integers(-1, 50)
EVENTS = st.one_of(
    st.builds(
        RunStarted,
        run=st.text(max_size=3),
        base=st.integers(0, 30),
        kind=st.sampled_from(["input", "fork", "resume", "continue"]),
        step=STEPS,
        change=st.one_of(st.none(), CHANGES),
        ran=RAN,
        shown=st.booleans(),
        answers=ANSWERS,
        answer=st.lists(VALUES, max_size=1),
        replay=st.booleans(),
    ),
    st.builds(StepCompleted, step=STEPS, ran=RAN, change=CHANGES, wrote=WROTE),
    st.builds(TaskCompleted, key=KEYS, name=NODES, writes=WRITES),
    st.builds(
        TaskInterrupted,
        key=KEYS,
        name=NODES,
        questions=QUESTIONS,
        answers=ANSWERS,
        refused=st.lists(st.text(max_size=3), max_size=2),
    ),
    st.builds(TaskFailed, key=KEYS, name=NODES, kind=st.just("ValueError"), error=st.text(max_size=5)),
    st.builds(RunPaused, run=st.just("r"), reason=st.sampled_from(["interrupt", "before", "after"])),
    st.builds(RunFinished, run=st.just("r")),
    st.builds(RunFailed, run=st.just("r"), kind=st.just("ValueError")),
    st.builds(
        StateEdited,
        base=st.integers(0, 30),
        step=STEPS,
        source=st.sampled_from(["update", "input", "fork"]),
        change=CHANGES,
        ran=RAN,
    ),
)


def tell(log: MemoryLog, event: Any) -> None:
    """Append an event; an opener's base is brought into what there is before it."""
    number = log.version("run-t")
    if isinstance(event, RunStarted | StateEdited):
        event = msgspec.structs.replace(event, base=event.base % (number + 1))
    new = to_new(event, (number + 1).to_bytes(16), 1_001 + number, "run", b"", "")
    log.append(Append("run-t", (new,), number))


def store(events: list[Any]) -> MemoryLog:
    """The events in a log."""
    log = MemoryLog()
    for event in events:
        tell(log, event)
    return log


def told(state: ThreadState) -> bytes:
    """A state as bytes, with its values made."""
    return encode([msgspec.structs.replace(state, values=dict(state.values), wrote={}), wrote_of(state)])


def folded(events: list[Any], state: ThreadState = EMPTY) -> ThreadState:
    """The state after the events, at versions 1, 2, 3 ..."""
    for event in events:
        state = fold(state, event, state.version + 1, 1_000 + state.version + 1)
    return state


# -- any log -----------------------------------------------------------------------------------------


@given(st.lists(EVENTS, max_size=12))
def test_every_prefix_has_one_meaning_and_the_same_bytes(events) -> None:
    log = store(events)
    one, two = ThreadReader(log, Registry()), ThreadReader(log, Registry())
    history = one.history("t")
    assert len(history) == len(events) + 1
    for version, state in enumerate(history):
        again = two.at("t", version)
        assert told(again) == told(state)
        assert state.version == version
        assert state.checkpoint <= version
        assert set(state.values) <= set(state.versions)
        assert state.updated <= set(state.versions)
        assert all(top <= max(state.versions.values(), default=0) for top in state.versions.values())


@given(st.lists(EVENTS, max_size=12))
def test_folding_changes_no_earlier_state(events) -> None:
    log = store(events)
    reader = ThreadReader(log, Registry())
    history = reader.history("t")
    before = [told(state) for state in history]
    reader.history("t")
    assert [told(state) for state in history] == before


@given(st.lists(st.tuples(EVENTS, st.booleans()), max_size=12))
def test_a_kept_head_is_what_a_fresh_fold_gives(events) -> None:
    log = MemoryLog()
    reader = ThreadReader(log, Registry())
    for event, look in events:
        tell(log, event)
        if look:
            reader.head("t")
    assert told(reader.head("t")) == told(ThreadReader(log, Registry()).head("t"))


@given(EVENTS)
def test_an_event_survives_the_log(event) -> None:
    log = MemoryLog()
    log.append(Append("run-t", (to_new(event, bytes(16), 1, "run", b"", ""),), 0))
    (record,) = log.read("run-t")
    assert encode(from_record(record, Registry())) == encode(event)


@given(st.lists(EVENTS, max_size=12))
def test_whatever_the_log_savers_can_show_it(events) -> None:
    saver = LogSaver(store(events))
    for found in saver.list(None):
        assert saver.get_tuple(found.config) is not None


# -- given, when, then ---------------------------------------------------------------------------------

INPUT = RunStarted("r", kind="input", step=-1, change=Change(put={"__start__": {"n": 1}}))
STEP = StepCompleted(
    0, [["__start__", ["__start__"]]], Change(put={"n": 1, "branch:to:x": None}, cleared=["__start__"])
)


def test_an_input_and_a_step() -> None:
    state = folded([INPUT, STEP])
    assert state.values == {"n": 1, "branch:to:x": None}
    assert state.versions == {"__start__": 2, "n": 2, "branch:to:x": 2}
    assert state.seen == {"__start__": {"__start__": 1}}
    assert (state.checkpoint, state.parent, state.step, state.source) == (2, 1, 0, "loop")
    assert state.status == "running"


@pytest.mark.parametrize(
    ("event", "status"),
    [
        (RunPaused("r", "interrupt"), "paused"),
        (RunFinished("r"), "finished"),
        (RunFailed("r", "ValueError"), "failed"),
    ],
)
def test_how_a_run_ended(event, status) -> None:
    assert folded([INPUT, STEP, event]).status == status


def test_results_of_a_step_wait_for_the_others() -> None:
    state = folded([INPUT, STEP, TaskCompleted("x", "x", [["n", 2]])])
    assert (state.values["n"], state.done) == (1, {"x": [("n", 2)]})
    after = fold(state, StepCompleted(1, ["x"], Change(put={"n": 2})), 4, 2_000)
    assert (after.values["n"], after.done) == (2, {})


def test_a_question_waits_for_its_answer() -> None:
    asked = folded([INPUT, STEP, TaskInterrupted("x", "x", [Question("q1", "?"), Question("q2", "!")])])
    answered = fold(asked, RunStarted("r2", base=3, kind="resume", answers={"q1": "yes"}), 4, 2_000)
    assert [question.id for question in answered.questions["x"]] == ["q2"]
    assert answered.answers == {"q1": "yes"}
    done = fold(answered, StepCompleted(1, ["x"], Change()), 5, 3_000)
    assert (done.questions, done.answers) == ({}, {})


def test_a_refused_answer_is_forgotten() -> None:
    asked = folded([INPUT, STEP, TaskInterrupted("x", "x", [Question("q", "?")])])
    answered = fold(asked, RunStarted("r2", base=3, kind="resume", answers={"q": "nonsense"}), 4, 2_000)
    again = fold(answered, TaskInterrupted("x", "x", [Question("q", "?")], refused=["q"]), 5, 3_000)
    assert (again.answers, [question.id for question in again.questions["x"]]) == ({}, ["q"])


def test_a_branch_leaves_out_what_it_did_not_follow() -> None:
    events = [
        INPUT,
        STEP,
        StepCompleted(1, ["x"], Change(put={"n": 2})),
        StateEdited(2, 1, "update", Change(put={"n": 77})),
    ]
    reader = ThreadReader(store(events), Registry())
    state = reader.head("t")
    assert (state.values["n"], state.parent, state.source) == (77, 2, "update")
    assert reader.at("t", 3).values["n"] == 2


def test_an_op_that_does_not_fit_is_reported_with_its_place() -> None:
    events = [INPUT, StepCompleted(0, [], Change(ops={"n": ["t", 5, "more"]}))]
    with pytest.raises(CorruptEventError, match="Event 2 of stream 'run-t' is damaged"):
        ThreadReader(store(events), Registry()).head("t")


def test_an_event_of_a_later_program_is_not_guessed_at() -> None:
    new = to_new(INPUT, bytes(16), 1, "run", b"", "")
    log = MemoryLog()
    log.append(Append("run-t", (msgspec.structs.replace(new, type="SomethingNew"),), 0))
    with pytest.raises(CorruptEventError, match="SomethingNew"):
        ThreadReader(log, Registry()).head("t")


def test_steps_in_a_row_after_all_was_forgotten() -> None:
    gone = fold(EMPTY, CheckpointsForgotten(all=True, base=0), 1, 1)
    steps = [(StepCompleted(step, ["a"], Change({"n": step})), step + 2, step + 2) for step in range(4)]
    expected = gone
    for step in steps:
        expected = fold(expected, *step)
    assert fold_steps(gone, steps) == expected
    assert (gone.values, EMPTY.versions, EMPTY.seen) == ({}, {}, {})
