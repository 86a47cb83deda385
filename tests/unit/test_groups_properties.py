"""Consumer groups under any order of events: none lost, none acknowledged twice, order per key.

Consumers, their hands and the group's pure core run against each other without a log; deaths, slow
handlers and failures come wherever Hypothesis puts them.
"""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dashflow.log.groups.core.events import GroupCreated, LettersRequeued
from dashflow.log.groups.core.hand import Hand
from dashflow.log.groups.core.process import Advance, advance, drop, requeue
from dashflow.log.groups.core.state import GroupState, GroupSummarized, fold

NAMES = st.sampled_from("xyz")
OUTCOMES = st.sampled_from("aaffb")
"""Acknowledged, failed, buried."""
VISIBILITY = 10
MAX_ATTEMPTS = 3


class Groups(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.state = fold(GroupState(), GroupCreated(at=1))
        self.events = []
        self.records = []  # keys; the record at position n is number n - 1
        self.now = 100
        self.lives = 0
        self.hands = {}
        self.out = {}  # by hand: what its user has, in the order in which it was handed out
        self.acknowledged = []
        self.dropped = []
        self.dead = set()
        for name in "xyz":
            self.born(name)

    def born(self, name):
        self.lives += 1
        self.hands[name] = Hand(f"{name}{self.lives}")
        self.out[name] = []

    def commit(self, events):
        for event in events:
            for position in getattr(event, "acknowledged", ()):
                self.acknowledged.append(position)
            self.state = fold(self.state, event)
            self.events.append(event)

    def ask(self, name, *, limit, released=(), keep=()):
        hand = self.hands[name]
        settlement = hand.settlement(released)
        fresh = tuple(enumerate(self.records, 1))[self.state.cursor : self.state.cursor + 4]
        command = Advance(
            consumer=hand.name,
            now=self.now,
            until=self.now + VISIBILITY,
            max_attempts=MAX_ATTEMPTS,
            settlement=settlement,
            fresh=fresh,
            limit=limit,
            window=12,
            dead=frozenset(self.dead),
            keep=keep,
        )
        self.commit(advance(self.state, command))
        hand.settled(settlement, self.state)
        mine = {entry.position for entry in self.state.claimed_by(hand.name)}
        self.out[name] = [position for position in self.out[name] if position in mine]

    @rule(keys=st.lists(st.sampled_from("abcd"), min_size=1, max_size=4))
    def append(self, keys):
        self.records += keys

    @initialize(keys=st.lists(st.sampled_from("ab"), min_size=4, max_size=10))
    def begin(self, keys):
        self.records += keys

    @rule(name=NAMES, limit=st.integers(1, 5), outcomes=st.lists(OUTCOMES, max_size=4))
    def work(self, name, limit, outcomes):
        """What a consumer usually does: claim, and do one after another."""
        self.ask(name, limit=limit)
        for outcome in outcomes:
            self.hand_out(name)
            if self.out[name]:
                self.settled(name, self.out[name][-1], outcome)

    @rule(name=NAMES, limit=st.integers(1, 5))
    def more(self, name, limit):
        self.ask(name, limit=limit)

    @rule(name=NAMES)
    def keep(self, name):
        self.ask(name, limit=0, keep=tuple(self.hands[name].waiting))

    @rule(name=NAMES)
    def hand_out(self, name):
        entry = self.hands[name].next()
        if entry is not None:
            # Never two of a key with one user, and never a later one before an earlier one.
            assert all(self.records[one - 1] != entry.key for one in self.out[name])
            self.out[name].append(entry.position)

    @precondition(lambda self: any(self.out.values()))
    @rule(name=NAMES, which=st.integers(0, 9), what=OUTCOMES)
    def settle(self, name, which, what):
        if self.out[name]:
            self.settled(name, self.out[name][which % len(self.out[name])], what)

    def settled(self, name, position, what):
        hand = self.hands[name]
        self.out[name].remove(position)
        if what == "a":
            assert hand.acknowledge(position)
        elif what == "f":
            assert hand.fail(position, self.now + 3, "no")
        else:
            assert hand.bury(position, "bad")
        assert not hand.acknowledge(position)

    @rule(name=NAMES)
    def leave(self, name):
        hand = self.hands[name]
        self.ask(name, limit=0, released=(*hand.waiting, *hand.out))
        assert self.state.claimed_by(hand.name) == []
        self.born(name)

    @rule(name=NAMES)
    def die(self, name):
        self.dead.add(self.hands[name].name)
        self.born(name)

    @rule(passed=st.integers(1, VISIBILITY))
    def time(self, passed):
        self.now += passed

    @precondition(lambda self: self.state.dead)
    @rule(again=st.booleans(), which=st.integers(0, 9))
    def letters(self, again, which):
        position = list(self.state.dead)[which % len(self.state.dead)]
        if not again:
            self.dropped.append(position)
        self.commit((requeue if again else drop)(self.state, [position], self.now))

    @rule()
    def summarize(self):
        self.commit([GroupSummarized(self.now, self.state)])

    @invariant()
    def every_message_is_in_one_place(self):
        state = self.state
        places = [*state.entries, *state.dead, *self.acknowledged, *self.dropped]
        assert sorted(places) == list(range(1, state.cursor + 1))
        assert state.acknowledged == len(self.acknowledged)
        assert state.dropped == len(self.dropped)
        assert list(state.entries) == sorted(state.entries)

    @invariant()
    def one_consumer_has_a_key(self):
        owners = {}
        for entry in self.state.entries.values():
            if entry.consumer:
                assert owners.setdefault(entry.key, entry.consumer) == entry.consumer

    @invariant()
    def nobody_is_ahead_of_an_earlier_message_that_waits(self):
        waiting = set()
        requeued = {
            one for event in self.events if isinstance(event, LettersRequeued) for one in event.positions
        }
        for entry in self.state.entries.values():
            if not entry.consumer and entry.position not in requeued:
                waiting.add(entry.key)
            elif entry.consumer and entry.position not in requeued:
                assert entry.key not in waiting

    def teardown(self):
        """Whatever happened: one healthy consumer works off all that is left."""
        self.now += 1000
        self.dead |= {hand.name for hand in self.hands.values()}
        self.born("x")
        seen = {}
        for _ in range(4 * len(self.records) + 4):
            self.ask("x", limit=5)
            while (entry := self.hands["x"].next()) is not None:
                assert seen.setdefault(entry.key, 0) < entry.position
                seen[entry.key] = entry.position
                self.hands["x"].acknowledge(entry.position)
        assert self.state.cursor == len(self.records)
        assert self.state.entries == {}
        self.every_message_is_in_one_place()


TestGroups = pytest.mark.feature("LOG-03")(Groups.TestCase)
TestGroups.settings = settings(stateful_step_count=40)
