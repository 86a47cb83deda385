"""How events of approvals are stored, and what votes name."""

from typing import get_args

import msgspec
import pytest

from dashflow.errors import CorruptEventError, LogFormatError, ValueCodecError
from dashflow.hitl.core import codec
from dashflow.hitl.core.events import (
    ApprovalCancelled,
    ApprovalCommented,
    ApprovalDecided,
    ApprovalEscalated,
    ApprovalReminded,
    ApprovalRequested,
    ApprovalSuperseded,
    DecisionTaken,
    Event,
    Origin,
    VoteCast,
    VoteWithdrawn,
)
from dashflow.hitl.core.fold import fold_all
from dashflow.hitl.core.state import Status
from dashflow.hitl.core.terms import Escalation, Terms, Verdict
from dashflow.log.base import Record

pytestmark = pytest.mark.feature("HIL-005", "NEW-09")

TERMS = Terms(
    ("ann", "@board"),
    groups={"board": ("bob",)},
    quorum=2,
    veto=("@all",),
    expires_after=30,
    remind_every=3,
    escalations=(Escalation(5, ("zed",), "all", True),),
)
PAYLOAD = [1, 2.5, None, {"x": b"\0"}]
HASH = codec.hash_of("pay", PAYLOAD)

EVENTS: list[Event] = [
    ApprovalRequested(at=1, approval="a", round=1, subject="go", payload=1, hash="h", terms=TERMS),
    ApprovalSuperseded(at=2, round=1, hash=HASH),
    ApprovalRequested(
        at=2,
        approval="a",
        round=2,
        subject="pay",
        payload=PAYLOAD,
        hash=HASH,
        terms=TERMS,
        asked_by="robot",
        origin=Origin("graph", "t", "q", "g"),
    ),
    VoteCast(at=3, round=2, hash=HASH, by="ann", verdict=Verdict.ABSTAIN, comment="hm", answer="1"),
    VoteWithdrawn(at=4, round=2, by="ann", comment="wait", answer="2"),
    ApprovalCommented(at=5, round=2, by="robot", text="please", answer="3"),
    ApprovalReminded(at=6, round=2, number=2, due=5, missed=1),
    ApprovalEscalated(at=7, round=2, step=1, due=7, people=("zed",), quorum="all"),
    VoteCast(at=8, round=2, hash=HASH, by="zed", verdict=Verdict.APPROVE, before=Verdict.REJECT),
    ApprovalDecided(at=8, round=2, hash=HASH, outcome="approved", reason="quorum", by=("zed",)),
    DecisionTaken(at=9, round=2),
    ApprovalCancelled(at=10, round=2, by="robot", reason="no"),
]


def stored(event: Event, number: int) -> Record:
    new = codec.encode(event, event_id=bytes(16), correlation_id="a")
    envelope = {name: getattr(new, name) for name in ("type", "schema", "event_id", "at", "data")}
    return Record(
        position=number, stream="approval-a", version=number, category="approval", correlation_id="a",
        causation_id=b"", epoch=0, fingerprint="", checksum=0, **envelope,
    )  # fmt: skip


def test_every_event_comes_back_as_it_was():
    assert {type(event) for event in EVENTS} == set(get_args(Event)) == set(codec.EVENT_TYPES.values())
    assert [codec.decode(stored(event, n)) for n, event in enumerate(EVENTS, 1)] == EVENTS
    state = fold_all(codec.decode(stored(event, 1)) for event in EVENTS)
    assert state == fold_all(EVENTS)
    assert (state.status, state.people, state.taken) == (Status.CANCELLED, ("zed",), True)


def test_what_cannot_be_read_is_refused():
    record = stored(EVENTS[0], 1)
    with pytest.raises(LogFormatError):
        codec.decode(msgspec.structs.replace(record, schema=2))
    with pytest.raises(LogFormatError):
        codec.decode(msgspec.structs.replace(record, type="ApprovalSmoked"))
    with pytest.raises(CorruptEventError):
        codec.decode(msgspec.structs.replace(record, data=b"\x81\xa1"))


def test_equal_data_has_an_equal_hash_and_what_is_no_data_is_refused():
    assert codec.hash_of("s", {"b": (1, 2), "a": 1}) == codec.hash_of("s", {"a": 1, "b": [1, 2]})
    assert codec.hash_of("s", {"a": 1}) != codec.hash_of("s", {"a": "1"})
    assert codec.hash_of("s", 1) != codec.hash_of("t", 1)
    with pytest.raises(ValueCodecError):
        codec.hash_of("s", {"f": print})
