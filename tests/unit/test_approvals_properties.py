"""What holds for approvals whatever is said and whenever: random people, votes, times and orders."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashflow.errors import ApprovalStateError, UsageError
from dashflow.hitl.core import codec
from dashflow.hitl.core.commands import (
    Ask,
    CancelRequest,
    Comment,
    TakeDecision,
    Tick,
    Vote,
    WithdrawVote,
)
from dashflow.hitl.core.events import (
    ApprovalCancelled,
    ApprovalDecided,
    ApprovalEscalated,
    ApprovalReminded,
    ApprovalRequested,
    DecisionTaken,
    VoteCast,
    VoteWithdrawn,
)
from dashflow.hitl.core.fold import fold, fold_all
from dashflow.hitl.core.process import process
from dashflow.hitl.core.state import ApprovalState
from dashflow.hitl.core.terms import SECOND, Escalation, OnExpiry, Terms, Verdict
from dashflow.hitl.core.timers import upcoming

pytestmark = pytest.mark.feature("HIL-005", "NEW-09")

PEOPLE = ("ann", "bob", "eve", "max", "zed")


class World:
    """Says anything to the handler, in any order, and keeps every event."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.state = ApprovalState()
        self.events = []
        self.now = 0
        self.answers = []
        self.terms = self.some_terms()
        self.ask(1)

    def some_terms(self):
        chance = self.chance
        approvers = tuple(chance.sample(PEOPLE, chance.randint(1, 4)))
        steps = tuple(
            Escalation(
                after, (chance.choice(PEOPLE),), chance.choice([None, 1, "all", "any"]), chance.random() < 0.3
            )
            for after in sorted(chance.uniform(0.1, 40) for _ in range(chance.randrange(3)))
        )
        return Terms(
            approvers,
            quorum=chance.choice(["any", "all", chance.randint(1, len(approvers))]),
            veto=chance.choice([(), ("@all",), (chance.choice(PEOPLE),)]),
            expires_after=chance.choice([None, chance.uniform(0.1, 50)]),
            on_expiry=chance.choice([*OnExpiry]),
            remind_every=chance.choice([None, chance.uniform(0.01, 20)]),
            escalations=steps,
        )

    def ask(self, payload):
        self.tell(
            Ask(
                now=self.now,
                approval="a",
                subject="s",
                payload=payload,
                hash=codec.hash_of("s", payload),
                terms=self.terms,
            )
        )

    def tell(self, command):
        try:
            events = process(self.state, command)
        except UsageError as refused:
            # Whatever is refused, is refused again, and changes nothing.
            with pytest.raises(type(refused)):
                process(self.state, command)
            return
        assert process(self.state, command) == events
        for event in events:
            self.state = fold(self.state, event)
        self.events += events
        if not isinstance(command, Comment | WithdrawVote) or command.answer:  # said twice, recorded once
            assert process(self.state, command) == []

    def step(self):
        chance = self.chance
        self.now = max(0, self.now + chance.choice([0, 0, 1, int(chance.uniform(-2, 15) * SECOND)]))
        by = chance.choice(PEOPLE)
        seen = chance.choice([self.state.hash] * 5 + ["another"])
        answer = chance.choice(["", f"{chance.randrange(6)}"])
        kind = chance.randrange(12)
        if kind < 6:
            verdict = chance.choice([*Verdict])
            self.tell(Vote(now=self.now, by=by, verdict=verdict, seen=seen, answer=answer))
        elif kind == 6:
            self.tell(WithdrawVote(now=self.now, by=by, answer=answer))
        elif kind == 7:
            self.tell(Comment(now=self.now, by=by, text="hm", answer=answer))
        elif kind == 8:
            self.tell(TakeDecision(now=self.now, round=self.state.round))
        elif kind == 9 and chance.random() < 0.3:
            self.ask(chance.randrange(2))
        elif kind == 10 and chance.random() < 0.1:
            self.tell(CancelRequest(now=self.now))
        else:
            self.tell(Tick(now=self.now))


def rounds(events):
    """The events of each request."""
    found = []
    for event in events:
        if isinstance(event, ApprovalRequested):
            found.append([])
        found[-1].append(event)
    return found


@given(st.randoms(use_true_random=False))
def test_a_request_is_decided_once_and_nothing_is_said_to_it_after_that(chance):
    world = World(chance)
    for _ in range(60):
        world.step()
    for events in rounds(world.events):
        ends = [at for at, one in enumerate(events) if isinstance(one, ApprovalDecided | ApprovalCancelled)]
        assert len(ends) <= 1
        after = events[ends[0] + 1 :] if ends else []
        changing = (VoteCast, VoteWithdrawn, ApprovalReminded, ApprovalEscalated)
        assert not any(isinstance(one, changing) for one in after)
        assert sum(isinstance(one, DecisionTaken) for one in events) <= bool(ends)
        numbers = [one.number for one in events if isinstance(one, ApprovalReminded)]
        assert numbers == sorted(set(numbers))
        steps = [one.step for one in events if isinstance(one, ApprovalEscalated)]
        assert steps == [*range(1, len(steps) + 1)]
        answers = [one.answer for one in events if getattr(one, "answer", "")]
        assert len(answers) == len(set(answers))


@given(st.randoms(use_true_random=False))
def test_every_vote_was_by_somebody_entitled_on_what_was_asked(chance):
    world = World(chance)
    for _ in range(60):
        world.step()
    state = ApprovalState()
    for event in world.events:
        if isinstance(event, VoteCast):
            assert event.by in state.people
            assert event.hash == state.hash
            assert not state.expires_at or event.at < state.expires_at
        if isinstance(event, ApprovalDecided) and event.reason == "quorum":
            assert {*event.by} <= {*state.people}
            assert all(state.votes[one].verdict is Verdict.APPROVE for one in event.by)
            assert event.by
        state = fold(state, event)
    assert state == world.state == fold_all(world.events)


@given(st.randoms(use_true_random=False))
def test_timers_fire_the_same_whether_one_looks_often_or_late(chance):
    """Several workers that look at any times leave one log, in which nothing is there twice; who looks late
    comes to the same outcome as who looks at every moment."""
    world = World(chance)
    if not world.events:
        return
    asked = world.state
    horizon = 60 * SECOND
    often = asked
    fired = []
    for now in sorted(chance.randrange(horizon) for _ in range(30)):
        for _ in range(2):  # two workers
            events = process(often, Tick(now=now))
            fired += events
            often = fold_all(events, often)
    events = process(often, Tick(now=horizon))
    often, fired = fold_all(events, often), fired + events
    late = fold_all(process(asked, Tick(now=horizon)), asked)
    assert (often.status, often.people, often.quorum, often.escalated, often.reminded) == (
        late.status, late.people, late.quorum, late.escalated, late.reminded,
    )  # fmt: skip
    due = [one.due for one in fired if isinstance(one, ApprovalReminded | ApprovalEscalated)]
    assert due == sorted(due)
    after = upcoming(often)
    assert after is None or after.at > horizon


@given(st.randoms(use_true_random=False))
def test_of_a_vote_and_the_expiry_one_comes_first_and_the_other_changes_nothing(chance):
    terms = Terms(("ann",), expires_after=10, on_expiry=chance.choice([*OnExpiry]))
    hashed = codec.hash_of("s", 1)
    state = fold_all(
        process(ApprovalState(), Ask(now=0, approval="a", subject="s", payload=1, hash=hashed, terms=terms))
    )
    # Two processes with clocks of their own: each decides on what the one before it wrote.
    race = [
        Vote(now=int(chance.uniform(9, 11) * SECOND), by="ann", verdict=Verdict.APPROVE, seen=hashed),
        Tick(now=int(chance.uniform(9, 11) * SECOND)),
    ]
    chance.shuffle(race)
    for command in race:
        try:
            state = fold_all(process(state, command), state)
        except ApprovalStateError:
            assert isinstance(command, Vote)
    decided = state.status
    for command in race:
        try:
            state = fold_all(process(state, command), state)
        except ApprovalStateError:
            continue
    if decided.value != "open":
        assert state.status is decided
