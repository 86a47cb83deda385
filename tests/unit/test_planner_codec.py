"""How planner events are stored: every type comes back, old layouts are lifted, damage is named."""

from typing import get_args

import msgspec
import pytest

from dashflow.errors import CorruptEventError, LogFormatError, ValueCodecError
from dashflow.log.base import Record
from dashflow.planner import Attachment, Task, TaskKind, TaskStatus
from dashflow.planner.core import codec
from dashflow.planner.core.events import (
    AnswerSource,
    ApprovalAwaited,
    ApprovalReceived,
    ClarificationReceived,
    ClarificationRequested,
    ContextCompacted,
    Event,
    PlanCancelled,
    PlanFailed,
    PlannerConfig,
    PlanningCompleted,
    PlanRejected,
    PlanRequested,
    ResultIgnored,
    TaskDispatched,
    TasksPlanned,
    TaskStatusUpdated,
)

pytestmark = pytest.mark.feature("PLAN-01", "PLAN-02")

FULL_TASK = Task(
    id="t1",
    description="look",
    kind=TaskKind.UNIT_TEST,
    attachments=(Attachment("file", "a.py"), Attachment("url", "https://example.com")),
    dependencies=("t0",),
    optional_dependencies=("t2",),
    params={"deep": {"list": [1, 2.5, None, True, "x"]}, "bytes": b"\0"},
)

SAMPLES = [
    PlanRequested(
        at=1,
        run="r",
        goal="g",
        folder="/f",
        out="/o",
        answers=("a",),
        model="m:x",
        workers=9,
        config=PlannerConfig(system_prompt="be brief", profile="decisions"),
    ),
    TasksPlanned(at=2, tasks=(FULL_TASK,), planner="rules", notes=("n",)),
    PlanRejected(at=3, code="PLAN", problem="p"),
    TaskDispatched(at=4, task="t1", attempt=2),
    TaskStatusUpdated(at=5, task="t1", attempt=2, status=TaskStatus.COMPLETED, result={"a": [1, {"b": 2}]}),
    ResultIgnored(at=6, task="t1", attempt=1, reason="old"),
    ClarificationRequested(at=7, task="t1", question="?"),
    ClarificationReceived(at=8, task="t1", text="!", source=AnswerSource.RECORDED),
    ApprovalAwaited(at=13, task="t1", approval="r.t1", digest="ab"),
    ApprovalReceived(at=14, task="t1", digest="ab", outcome="rejected", by=("ann",), reason="veto"),
    ContextCompacted(at=9, summary="s", kept=("a",), dropped=("b",), tokens_before=10, tokens_after=5),
    PlanningCompleted(at=10, summary="done"),
    PlanFailed(at=11, code="C", error="e", failed=("t1",), blocked=("t2",)),
    PlanCancelled(at=12, reason="r"),
]


def test_there_is_a_sample_of_every_event():
    assert {type(sample) for sample in SAMPLES} == set(get_args(Event)) == set(codec.EVENT_TYPES.values())


@pytest.mark.parametrize("event", SAMPLES, ids=lambda event: type(event).__name__)
def test_every_event_comes_back_as_it_was(event):
    stored = codec.encode(event, event_id=bytes(16), correlation_id="r", causation_id=b"c" * 16)
    assert (stored.type, stored.at, stored.schema) == (type(event).__name__, event.at, 1)
    assert (stored.correlation_id, stored.causation_id) == ("r", b"c" * 16)
    assert codec.decode(stored) == event
    assert codec.encode(codec.decode(stored), event_id=bytes(16)).data == stored.data


def test_the_order_of_keys_does_not_change_the_bytes():
    one = TaskStatusUpdated(at=1, task="t", attempt=1, status=TaskStatus.COMPLETED, result={"a": 1, "b": 2})
    other = msgspec.structs.replace(one, result={"b": 2, "a": 1})
    assert codec.encode(one, event_id=b"").data == codec.encode(other, event_id=b"").data


def test_what_is_no_plain_data_is_refused_with_its_place():
    event = TaskStatusUpdated(at=1, task="t", attempt=1, status=TaskStatus.COMPLETED, result={"x": object()})
    with pytest.raises(ValueCodecError, match="TaskStatusUpdated"):
        codec.encode(event, event_id=b"")
    deep = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ValueCodecError):
        codec.encode(msgspec.structs.replace(event, result={"x": deep}), event_id=b"")
    deep.clear()


def test_what_could_not_be_read_again_is_not_stored():
    event = ClarificationRequested(at=1, task="t", question=42)
    with pytest.raises(ValueCodecError, match="ClarificationRequested"):
        codec.checked(event, event_id=b"", correlation_id="", causation_id=b"")


def record(**fields):
    stored = codec.encode(SAMPLES[3], event_id=bytes(16))
    given = {
        "position": 1,
        "stream": "plan-r",
        "version": 7,
        "category": "plan",
        "type": stored.type,
        "schema": 1,
        "event_id": bytes(16),
        "correlation_id": "",
        "causation_id": b"",
        "at": 0,
        "epoch": 0,
        "fingerprint": "",
        "checksum": 0,
        "data": stored.data,
    }
    return Record(**{**given, **fields})


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x80", record().data[:-1], b"\x91" * 5000])
def test_damaged_bytes_are_named(data):
    with pytest.raises(CorruptEventError, match="Event 7 of stream 'plan-r'"):
        codec.decode(record(data=data))


@pytest.mark.parametrize("fields", [{"schema": 2}, {"type": "SomethingNew"}])
def test_events_of_a_later_version_are_refused_and_not_guessed_at(fields):
    with pytest.raises(LogFormatError, match="Upgrade"):
        codec.decode(record(**fields))


def test_an_old_layout_is_lifted_step_by_step(monkeypatch):
    monkeypatch.setitem(codec.SCHEMAS, "TaskDispatched", 3)
    monkeypatch.setitem(
        codec.UPCASTS, ("TaskDispatched", 1), lambda old: {**old, "attempt": old["attempt"] * 10}
    )
    monkeypatch.setitem(
        codec.UPCASTS, ("TaskDispatched", 2), lambda old: {**old, "task": old["task"].upper()}
    )
    assert codec.decode(record()) == TaskDispatched(at=4, task="T1", attempt=20)
    assert codec.decode(record(schema=2)) == TaskDispatched(at=4, task="T1", attempt=2)
    assert codec.decode(record(schema=3)) == SAMPLES[3]


def test_events_are_plain_data_with_their_type_for_programs():
    plain = msgspec.to_builtins(SAMPLES[3])
    assert plain == {"type": "TaskDispatched", "at": 4, "task": "t1", "attempt": 2}


@pytest.mark.parametrize("text", ["plain", "\udcff", "half \ud83d pair", "\U0001f600"])
def test_any_text_can_be_made_storable(text):
    kept = codec.storable(text)
    kept.encode("utf-8")
    assert codec.storable(kept) == kept
