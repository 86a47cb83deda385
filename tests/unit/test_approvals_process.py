"""Approvals as a pure process: given these events, when this command, then those events."""

import itertools
from contextlib import suppress
from typing import get_args

import pytest

from dashflow.errors import (
    AnswerReusedError,
    ApprovalStateError,
    NotEntitledError,
    StaleApprovalError,
    UsageError,
)
from dashflow.hitl.core import codec
from dashflow.hitl.core.commands import (
    Ask,
    CancelRequest,
    Command,
    Comment,
    TakeDecision,
    Tick,
    Vote,
    WithdrawVote,
)
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
    VoteCast,
    VoteWithdrawn,
)
from dashflow.hitl.core.fold import fold_all
from dashflow.hitl.core.process import TABLE, process
from dashflow.hitl.core.state import ApprovalState, Status
from dashflow.hitl.core.terms import Escalation, OnExpiry, Terms, Verdict
from dashflow.hitl.core.timers import upcoming

pytestmark = pytest.mark.feature("HIL-005", "NEW-09")

S = 1_000_000_000
PAYLOAD = {"amount": 82_000}
HASH = codec.hash_of("pay", PAYLOAD)
APPROVE, REJECT, ABSTAIN = Verdict.APPROVE, Verdict.REJECT, Verdict.ABSTAIN


class Matter:
    """An approval that commands are given to, at times in seconds."""

    def __init__(self, *approvers: str, **terms) -> None:
        self.state = ApprovalState()
        self.events: list[Event] = []
        self.terms = Terms(approvers or ("ann", "bob", "eve"), **terms)

    def do(self, command: Command) -> list[Event]:
        before = self.state
        events = process(before, command)
        assert process(before, command) == events  # pure
        self.state = fold_all(events, before)
        self.events += events
        return events

    def ask(self, at=0, payload=PAYLOAD, **more) -> list[Event]:
        given = {"subject": "pay", "terms": self.terms, "asked_by": "robot", **more}
        command = Ask(
            now=at * S, approval="a", payload=payload, hash=codec.hash_of(given["subject"], payload), **given
        )
        return self.do(command)

    def vote(self, by, verdict=APPROVE, at=1, seen=HASH, **more) -> list[Event]:
        return self.do(Vote(now=int(at * S), by=by, verdict=verdict, seen=seen, **more))

    def tick(self, at) -> list[Event]:
        return self.do(Tick(now=int(at * S)))


def asked(*approvers, **terms) -> Matter:
    matter = Matter(*approvers, **terms)
    matter.ask()
    return matter


def outcome(matter: Matter):
    return matter.state.status.value, matter.state.reason, matter.state.by


# -- asking -------------------------------------------------------------------------------------


def test_what_is_asked_says_all_that_it_depends_on():
    matter = Matter("ann", "@board", groups={"board": ("bob", "ann")}, quorum=2)
    [event] = matter.ask(at=5)
    assert event == ApprovalRequested(
        at=5 * S,
        approval="a",
        round=1,
        subject="pay",
        payload=PAYLOAD,
        hash=HASH,
        terms=matter.terms,
        asked_by="robot",
    )
    assert matter.state.people == matter.state.missing == ("ann", "bob")


def test_the_same_is_asked_once_also_after_the_decision():
    matter = asked()
    assert matter.ask(at=2) == []
    matter.vote("ann")
    assert outcome(matter) == ("approved", "quorum", ("ann",))
    assert matter.ask(at=9) == []


def test_another_payload_is_a_new_request_and_the_trail_shows_both():
    matter = asked(quorum=2)
    matter.vote("ann")
    superseded, requested = matter.ask(at=2, payload={"amount": 1})
    assert superseded == ApprovalSuperseded(at=2 * S, round=1, hash=requested.hash)
    assert (requested.round, requested.payload) == (2, {"amount": 1})
    assert matter.state.votes == {}
    assert matter.state.missing == ("ann", "bob", "eve")
    with pytest.raises(StaleApprovalError):
        matter.vote("bob", seen=HASH)
    matter.vote("bob", seen=requested.hash)
    matter.vote("eve", seen=requested.hash)
    assert outcome(matter) == ("approved", "quorum", ("bob", "eve"))
    rounds = [event.hash for event in matter.events if isinstance(event, ApprovalRequested)]
    assert rounds == [HASH, requested.hash]


def test_an_approval_given_before_does_not_count_for_what_is_asked_after():
    matter = asked()
    matter.vote("ann")
    matter.ask(at=2, payload={"amount": 83_000})
    assert matter.state.status is Status.OPEN


def test_other_terms_are_a_new_request_too():
    matter = asked()
    matter.terms = Terms(("zed",))
    assert [type(event) for event in matter.ask(at=1)] == [ApprovalSuperseded, ApprovalRequested]
    assert matter.state.people == ("zed",)


def test_an_answer_whose_payload_changed_back_is_asked_anew():
    matter = asked()
    matter.vote("ann", answer="first")
    matter.ask(at=2, payload={"amount": 1})
    matter.ask(at=3)
    assert (matter.state.round, matter.state.status) == (3, Status.OPEN)
    assert matter.vote("ann", answer="first") == []  # it was sent twice, and is that of the first round
    assert matter.state.status is Status.OPEN


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        (Terms(()), "Nobody"),
        (Terms(("@board",)), "groups={'board'"),
        (Terms(("@board",), groups={"board": ()}), "Nobody"),
        (Terms(("ann",), quorum=2), "quorum of 2"),
        (Terms(("ann",), quorum=0), "quorum of 0"),
        (Terms(("ann",), quorum=True), "quorum of True"),
        (Terms(("ann",), expires_after=0), "expires_after"),
        (Terms(("ann",), remind_every=-1), "remind_every"),
        (Terms(("ann",), escalations=(Escalation(0, ("bob",)),)), "Escalation.after"),
        (Terms(("ann",), escalations=(Escalation(2), Escalation(1))), "order of their times"),
        (Terms(("ann",), escalations=(Escalation(1, instead=True),)), "nobody could approve"),
        (Terms(("ann",), escalations=(Escalation(1, ("bob",), quorum=3),)), "quorum of 3"),
        (Terms(("@all",)), "veto only"),
        (Terms(("ann", " ")), "without a name"),
        (Terms(("@x",), groups={"x": ("@y",)}), "group as a member"),
    ],
)
def test_terms_that_cannot_be_are_refused(terms, said):
    matter = Matter()
    matter.terms = terms
    with pytest.raises(UsageError, match=said):
        matter.ask()
    assert matter.events == []


def test_a_subject_is_needed():
    with pytest.raises(UsageError, match="no subject"):
        Matter().ask(subject="  ")


# -- deciding -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quorum", "votes", "expected"),
    [
        (1, "a+", ("approved", "quorum", ("ann",))),
        ("any", "a- b+", ("approved", "quorum", ("bob",))),
        ("any", "a- b- e-", ("rejected", "out of reach", ("ann", "bob", "eve"))),
        ("any", "a- b0 e-", ("rejected", "out of reach", ("ann", "eve"))),
        (2, "a+ b+", ("approved", "quorum", ("ann", "bob"))),
        (2, "a+ b-", ("open", "", ())),
        (2, "a- b-", ("rejected", "out of reach", ("ann", "bob"))),
        (2, "a+ b- e+", ("approved", "quorum", ("ann", "eve"))),
        (2, "a0 b0", ("open", "", ())),
        (2, "a0 b0 e0", ("open", "", ())),
        ("all", "a+ b+", ("open", "", ())),
        ("all", "a+ b+ e+", ("approved", "quorum", ("ann", "bob", "eve"))),
        ("all", "a+ b0 e+", ("approved", "quorum", ("ann", "eve"))),
        ("all", "a0 b0 e0", ("open", "", ())),
        ("all", "a-", ("rejected", "out of reach", ("ann",))),
        (3, "a+ b+ a-", ("rejected", "out of reach", ("ann",))),
        (2, "a+ a- a+ b+", ("approved", "quorum", ("ann", "bob"))),
    ],
)
def test_quorum(quorum, votes, expected):
    matter = asked(quorum=quorum)
    names = {"a": "ann", "b": "bob", "e": "eve"}
    verdicts = {"+": APPROVE, "-": REJECT, "0": ABSTAIN}
    for vote in votes.split():
        matter.vote(names[vote[0]], verdicts[vote[1]])
    assert outcome(matter) == expected
    assert sum(isinstance(event, ApprovalDecided) for event in matter.events) == (expected[0] != "open")


def test_veto():
    by_one = asked(quorum=1, veto=("@security",), groups={"security": ("eve",)})
    by_one.vote("bob", REJECT)
    assert by_one.state.open
    by_one.vote("eve", REJECT)
    assert outcome(by_one) == ("rejected", "veto", ("eve",))
    by_all = asked(quorum=2, veto=("@all",))
    by_all.vote("bob", REJECT)
    assert outcome(by_all) == ("rejected", "veto", ("bob",))


def test_who_may_not_vote_is_told_who_may():
    matter = asked()
    with pytest.raises(NotEntitledError, match="ann, bob, eve"):
        matter.vote("mallory")
    with pytest.raises(NotEntitledError):
        matter.do(WithdrawVote(now=S, by="mallory"))
    with pytest.raises(NotEntitledError):
        matter.do(Comment(now=S, by="mallory", text="hello"))
    assert len(matter.events) == 1


def test_a_vote_on_something_else_is_refused():
    with pytest.raises(StaleApprovalError) as refused:
        asked().vote("ann", seen=codec.hash_of("pay", {"amount": 1}))
    assert refused.value.data["asked"] == HASH


def test_an_answer_with_an_id_is_recorded_once():
    matter = asked(quorum=2)
    assert len(matter.vote("ann", answer="m1")) == 1
    assert matter.vote("ann", answer="m1", at=7) == []
    with pytest.raises(AnswerReusedError):
        matter.vote("bob", answer="m1")
    with pytest.raises(AnswerReusedError):
        matter.vote("ann", REJECT, answer="m1")
    matter.vote("bob")
    assert matter.vote("ann", answer="m1") == []  # also after the decision
    with pytest.raises(ApprovalStateError):
        matter.vote("eve", answer="m2")


def test_the_same_vote_again_says_nothing_new_and_another_comment_does():
    matter = asked(quorum=2)
    matter.vote("ann")
    assert matter.vote("ann", at=3) == []
    [again] = matter.vote("ann", comment="really")
    assert again.before is APPROVE


def test_a_vote_can_be_changed_and_taken_back_until_it_is_decided():
    matter = asked(quorum=2)
    matter.vote("ann", REJECT)
    [changed] = matter.vote("ann", APPROVE)
    assert changed.before is REJECT
    [withdrawn] = matter.do(WithdrawVote(now=2 * S, by="ann", answer="w"))
    assert withdrawn == VoteWithdrawn(at=2 * S, round=1, by="ann", answer="w")
    assert matter.do(WithdrawVote(now=3 * S, by="ann", answer="w")) == []
    assert matter.do(WithdrawVote(now=3 * S, by="ann")) == []
    assert matter.state.missing == ("ann", "bob", "eve")
    matter.vote("bob")
    matter.vote("eve")
    with pytest.raises(ApprovalStateError):
        matter.do(WithdrawVote(now=4 * S, by="bob"))
    assert matter.do(WithdrawVote(now=4 * S, by="ann", answer="w")) == []


def test_comments_are_for_who_asks_and_who_may_vote_and_come_after_the_decision_too():
    matter = asked()
    assert matter.do(Comment(now=S, by="robot", text="see the invoice", answer="c"))
    assert matter.do(Comment(now=S, by="robot", text="see the invoice", answer="c")) == []
    matter.vote("ann")
    [event] = matter.do(Comment(now=2 * S, by="eve", text="fine with me"))
    assert event == ApprovalCommented(at=2 * S, round=1, by="eve", text="fine with me")
    with pytest.raises(UsageError, match="empty"):
        matter.do(Comment(now=2 * S, by="eve", text=" "))


def test_a_request_is_taken_back():
    matter = asked()
    [event] = matter.do(CancelRequest(now=S, by="robot", reason="paid already"))
    assert event == ApprovalCancelled(at=S, round=1, by="robot", reason="paid already")
    assert matter.do(CancelRequest(now=2 * S)) == []
    with pytest.raises(ApprovalStateError, match="cancelled"):
        matter.vote("ann")
    matter = asked()
    matter.vote("ann")
    with pytest.raises(ApprovalStateError):
        matter.do(CancelRequest(now=2 * S))


def test_a_decision_is_taken_once():
    matter = asked()
    with pytest.raises(ApprovalStateError):
        matter.do(TakeDecision(now=S, round=1))
    matter.vote("ann")
    assert matter.do(TakeDecision(now=S, round=1)) == [DecisionTaken(at=S, round=1)]
    assert matter.do(TakeDecision(now=S, round=1)) == []
    matter.ask(at=3, payload={"amount": 1})
    assert matter.do(TakeDecision(now=S, round=1)) == []  # of the round before


# -- time ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (OnExpiry.REJECT, ("rejected", "expiry", ())),
        (OnExpiry.APPROVE, ("approved", "expiry", ())),
        (OnExpiry.ERROR, ("expired", "expiry", ())),
    ],
)
def test_expiry(rule, expected):
    matter = asked(quorum=2, expires_after=10, on_expiry=rule)
    matter.vote("ann")
    assert matter.tick(9.999) == []
    assert len(matter.tick(10)) == 1
    assert outcome(matter) == expected
    assert matter.tick(11) == []


def test_time_decides_also_where_nobody_was_there_to_record_it():
    matter = asked(expires_after=10)
    for late in (10, 10.5, 99):
        with pytest.raises(ApprovalStateError, match="time is up"):
            matter.vote("ann", at=late)
    with pytest.raises(ApprovalStateError, match="time is up"):
        matter.do(WithdrawVote(now=10 * S, by="ann"))
    matter.vote("ann", at=9.99)
    assert matter.tick(10) == []
    assert matter.state.status is Status.APPROVED


def test_reminders_are_counted_and_missed_ones_not_made_up_for():
    matter = asked(quorum=2, remind_every=10)
    assert matter.tick(9) == []
    assert matter.tick(10) == [ApprovalReminded(at=10 * S, round=1, number=1, due=10 * S)]
    assert matter.tick(10) == []
    assert matter.tick(47) == [ApprovalReminded(at=47 * S, round=1, number=4, due=40 * S, missed=2)]
    assert matter.tick(46) == []  # a clock that was set back
    assert upcoming(matter.state).at == 50 * S
    matter.vote("ann")
    matter.vote("bob")
    assert upcoming(matter.state) is None


def test_escalation_asks_others_and_changes_the_quorum():
    steps = (Escalation(10, ("zed",)), Escalation(20, ("@board",), quorum=1, instead=True))
    matter = asked("ann", "bob", quorum=2, groups={"board": ("max", "ann")}, escalations=steps)
    assert matter.tick(10) == [
        ApprovalEscalated(at=10 * S, round=1, step=1, due=10 * S, people=("ann", "bob", "zed"), quorum=2)
    ]
    matter.vote("bob", at=11)
    matter.tick(20)
    assert (matter.state.people, matter.state.quorum) == (("ann", "max"), 1)
    with pytest.raises(NotEntitledError):
        matter.vote("bob", REJECT, at=21)
    assert matter.state.open  # bob's vote counts no more
    matter.vote("max", at=22)
    assert outcome(matter) == ("approved", "quorum", ("max",))


def test_an_escalation_that_lowers_the_quorum_may_decide():
    matter = asked(quorum=2, escalations=(Escalation(10, quorum=1),))
    matter.vote("ann")
    assert [type(event) for event in matter.tick(10)] == [ApprovalEscalated, ApprovalDecided]
    assert outcome(matter) == ("approved", "quorum", ("ann",))


def test_what_was_missed_is_caught_up_with_in_the_order_of_its_times():
    steps = (Escalation(25, ("zed",)),)
    matter = asked(quorum=2, remind_every=10, escalations=steps, expires_after=60)
    told = [
        (type(event).__name__, getattr(event, "due", None), getattr(event, "number", None))
        for event in matter.tick(1000)
    ]
    assert told == [
        ("ApprovalReminded", 20 * S, 2),
        ("ApprovalEscalated", 25 * S, None),
        ("ApprovalReminded", 50 * S, 5),
        ("ApprovalDecided", None, None),
    ]
    assert {event.at for event in matter.events[1:]} == {1000 * S}


# -- the table ----------------------------------------------------------------------------------

SAYS: tuple[Command, ...] = (
    Ask(now=S, approval="a", subject="other", payload=1, hash=codec.hash_of("other", 1), terms=Terms(("x",))),
    Vote(now=S, by="ann", verdict=APPROVE, seen=HASH),
    WithdrawVote(now=S, by="ann"),
    Comment(now=S, by="ann", text="hm"),
    CancelRequest(now=S),
    Tick(now=S),
    TakeDecision(now=S, round=1),
)


def standing(status: Status) -> Matter:
    """An approval that stands so."""
    if status is Status.NONE:
        return Matter()
    matter = asked(expires_after=0.5, on_expiry=OnExpiry.ERROR) if status is Status.EXPIRED else asked()
    if status is Status.APPROVED:
        matter.vote("ann")
    elif status is Status.REJECTED:
        for one in ("ann", "bob", "eve"):
            matter.vote(one, REJECT)
    elif status is Status.EXPIRED:
        matter.tick(0.5)
    elif status is Status.CANCELLED:
        matter.do(CancelRequest(now=0))
    assert matter.state.status is status
    return matter


def test_the_table_has_every_row():
    assert set(TABLE) == set(Status)
    assert all(set(row) == set(get_args(Command)) for row in TABLE.values())
    assert {type(command) for command in SAYS} == set(get_args(Command))


@pytest.mark.parametrize(
    ("status", "command"),
    [*itertools.product(Status, SAYS)],
    ids=lambda one: getattr(one, "value", type(one).__name__),
)
def test_every_row_is_decided_or_refused(status, command):
    matter = standing(status)
    events = []
    with suppress(ApprovalStateError):
        events = matter.do(command)
    if status is Status.OPEN:
        assert events or isinstance(command, Tick | WithdrawVote | TakeDecision)
    elif status not in (Status.NONE,) and not isinstance(command, Ask):
        assert not any(isinstance(event, VoteCast | ApprovalDecided | VoteWithdrawn) for event in events)
        assert matter.state.status is status
