"""A consumer group by example: given these events, when this command comes, then these events."""

import pytest

from dashflow.log.groups.core.events import (
    ClaimsExtended,
    Failed,
    GroupCreated,
    GroupMoved,
    LettersDropped,
    LettersRequeued,
    MessagesBuried,
    MessagesClaimed,
    MessagesLost,
    MessagesSettled,
    MessagesVanished,
)
from dashflow.log.groups.core.process import Advance, Settlement, advance, drop, due, late, requeue
from dashflow.log.groups.core.state import (
    DeadLetter,
    Entry,
    GroupState,
    GroupSummarized,
    fold,
    fold_all,
)

pytestmark = pytest.mark.feature("LOG-03")

CREATED = GroupCreated(at=1)
FOUR = ((1, "a"), (2, "a"), (3, "b"), (4, "c"))


def ask(consumer="x", **fields):
    defaults = {"now": 10, "until": 100, "max_attempts": 3, "limit": 10, "window": 100}
    return Advance(consumer=consumer, **{**defaults, **fields})


def claimed(consumer="x", fresh=(), again=(), held=(), cursor=0, until=100, at=10):
    last = max([cursor, *(position for position, _ in (*fresh, *held))])
    return MessagesClaimed(at, consumer, until, last, tuple(fresh), tuple(again), tuple(held))


def decided(given, command):
    return advance(fold_all([CREATED, *given]), command)


def test_the_first_claim_takes_what_is_there_in_order():
    assert decided([], ask(fresh=FOUR)) == [claimed(fresh=FOUR)]


def test_nothing_there_is_no_event():
    assert decided([], ask()) == []


def test_a_claim_has_at_most_the_limit_and_the_cursor_stays_behind_it():
    assert decided([], ask(fresh=FOUR, limit=3)) == [claimed(fresh=FOUR[:3])]


def test_what_a_consumer_has_counts_against_its_limit():
    given = [claimed(fresh=FOUR[:2])]
    assert decided(given, ask(fresh=FOUR[2:], limit=3)) == [claimed(fresh=FOUR[2:3])]
    assert decided(given, ask(fresh=FOUR[2:], limit=2)) == []


def test_a_key_that_another_consumer_has_is_held_back():
    given = [claimed("x", fresh=FOUR[:1])]
    assert decided(given, ask("y", fresh=FOUR[1:])) == [claimed("y", fresh=FOUR[2:], held=FOUR[1:2])]


def test_what_was_held_back_is_claimed_when_its_key_is_free_and_before_what_is_fresh():
    given = [claimed("x", fresh=FOUR[:1]), claimed("y", fresh=FOUR[2:3], held=FOUR[1:2])]
    given += [MessagesSettled(11, "x", acknowledged=(1,))]
    assert decided(given, ask("z", fresh=FOUR[3:])) == [claimed("z", again=(2,), fresh=FOUR[3:])]


def test_the_window_bounds_what_the_group_looks_at():
    given = [claimed("x", fresh=FOUR[:1])]
    assert decided(given, ask("y", fresh=FOUR[1:], window=2)) == [claimed("y", held=FOUR[1:2])]
    given += [claimed("y", held=FOUR[1:2])]
    assert decided(given, ask("y", fresh=FOUR[2:], window=2)) == []


def test_what_somebody_else_claimed_meanwhile_is_left_out():
    given = [claimed("x", fresh=FOUR[:3])]
    assert decided(given, ask("y", fresh=FOUR)) == [claimed("y", fresh=FOUR[3:])]


def test_done_and_more_in_one_go():
    given = [claimed(fresh=FOUR[:3])]
    found = decided(given, ask(settlement=Settlement(acknowledged=(1, 3)), fresh=FOUR[3:]))
    assert found == [MessagesSettled(10, "x", (1, 3)), claimed(fresh=FOUR[3:])]
    assert fold_all([CREATED, *given, *found]).acknowledged == 2


def test_a_failed_message_waits_and_its_key_with_it():
    given = [claimed(fresh=FOUR)]
    failed = Failed(1, ready_at=50, reason="no")
    found = decided(given, ask(settlement=Settlement(failed=(failed,)), limit=0))
    assert found == [MessagesSettled(10, "x", failed=(failed,), released=(2,))]
    given += found
    assert decided(given, ask("y", now=49, fresh=((5, "a"), (6, "d")))) == [
        claimed("y", fresh=[(6, "d")], held=[(5, "a")], at=49)
    ]
    assert decided(given, ask("y", now=50)) == [claimed("y", again=(1, 2), cursor=4, at=50)]
    assert due(fold_all([CREATED, *given]), "x") == 50
    assert due(fold_all([CREATED, *given]), "y") == 50


def test_after_the_last_attempt_comes_the_dead_letter_and_the_key_goes_on():
    given = [claimed(fresh=FOUR[:2])]
    failed = Failed(1, reason="no")
    found = decided(given, ask(settlement=Settlement(failed=(failed,)), max_attempts=1))
    assert found == [
        MessagesSettled(10, "x", failed=(failed,), released=(2,)),
        MessagesBuried(10, ((1, "no"),)),
        claimed(again=(2,), cursor=2),
    ]
    assert fold_all([CREATED, *given, *found]).dead == {1: DeadLetter(1, "a", 1, "no", 10)}


def test_a_rejected_message_is_a_dead_letter_at_once():
    given = [claimed(fresh=FOUR[:1])]
    found = decided(given, ask(settlement=Settlement(buried={1: "what is this"})))
    assert found == [MessagesBuried(10, ((1, "what is this"),))]


def test_dead_letters_can_be_requeued_or_dropped():
    given = fold_all([CREATED, claimed(fresh=FOUR), MessagesBuried(11, ((1, "no"), (3, "no")))])
    assert requeue(given, (1, 2, 9), 12) == [LettersRequeued(12, (1,))]
    assert drop(given, (3, 4), 12) == [LettersDropped(12, (3,))]
    assert requeue(given, (4,), 12) == drop(given, (), 12) == []
    after = fold_all([LettersRequeued(12, (1,)), LettersDropped(12, (3,))], given)
    assert list(after.entries) == [1, 2, 4]
    assert after.entries[1] == Entry(1, "a")
    assert (after.dead, after.dropped) == ({}, 1)


def test_an_only_message_that_is_lost_is_an_attempt():
    given = [claimed(fresh=FOUR[:1], until=20)]
    assert decided(given, ask("y", now=19)) == []
    assert decided(given, ask("y", now=20)) == [
        MessagesLost(20, counted=(1,)),
        claimed("y", again=(1,), cursor=1, at=20),
    ]


def test_of_several_lost_messages_none_is_blamed_and_each_is_tried_alone():
    given = [claimed(fresh=FOUR)]
    found = decided(given, ask("y", dead=frozenset("x")))
    assert found == [MessagesLost(10, suspected=(1, 2, 3, 4)), claimed("y", again=(1,), cursor=4)]
    given += found
    # Whoever has one gets no other, not even a fresh one; another consumer gets the next key's.
    assert decided(given, ask("y", fresh=((5, "d"),))) == []
    assert decided(given, ask("z", fresh=((5, "d"),))) == [claimed("z", again=(3,), cursor=4)]
    done = Settlement(acknowledged=(1,))
    assert decided(given, ask("y", settlement=done)) == [
        MessagesSettled(10, "y", (1,)),
        claimed("y", again=(2,), cursor=4),
    ]


def test_a_message_that_kills_its_consumers_becomes_a_dead_letter_alone():
    state = fold_all([CREATED, claimed(fresh=FOUR)])
    for victim in "xyz":
        for event in advance(state, ask(chr(ord(victim) + 1), dead=frozenset(victim), max_attempts=2)):
            state = fold(state, event)
    assert list(state.dead) == [1]
    assert state.dead[1].attempts == 2
    assert {position: entry.attempts for position, entry in state.entries.items()} == {2: 0, 3: 0, 4: 0}


def test_later_messages_of_a_lost_one_s_key_go_with_it():
    given = [claimed(fresh=FOUR[:2], until=20), ClaimsExtended(11, "x", 99, (2,))]
    assert decided(given, ask("y", now=30)) == [
        MessagesLost(30, suspected=(1, 2)),
        claimed("y", again=(1,), cursor=2, at=30),
    ]


def test_what_is_settled_too_late_counts_for_nothing():
    given = [claimed("x", fresh=FOUR[:1]), MessagesLost(20, counted=(1,)), claimed("y", again=(1,))]
    settlement = Settlement(acknowledged=(1,), failed=(Failed(7),), buried={8: ""}, released=(1,))
    assert decided(given, ask("x", settlement=settlement)) == []
    assert late(fold_all([CREATED, *given]), "x", settlement) == [1, 7, 8]
    assert late(fold_all([CREATED, *given]), "y", Settlement(acknowledged=(1,))) == []


def test_a_consumer_keeps_what_it_needs_longer():
    given = [claimed(fresh=FOUR, until=20)]
    found = decided(given, ask(now=30, until=100, keep=(3, 4, 9), limit=0))
    assert found == [ClaimsExtended(30, "x", 100, (3, 4)), MessagesLost(30, suspected=(1, 2))]


def test_records_that_the_log_forgot_are_given_up():
    given = [claimed(fresh=FOUR)]
    assert decided(given, ask(vanished=(2, 9), limit=0)) == [MessagesVanished(10, (2,))]
    assert list(fold_all([CREATED, *given, MessagesVanished(10, (2,))]).entries) == [1, 3, 4]


def test_moving_a_group_leaves_nothing_behind():
    state = fold_all([CREATED, claimed(fresh=FOUR), MessagesBuried(9, ((1, ""),)), GroupMoved(10, 2)])
    assert (state.cursor, state.entries, state.dead) == (2, {}, {})


def test_a_summary_stands_for_what_was_before():
    state = fold_all([CREATED, claimed(fresh=FOUR)])
    assert fold(GroupState(), GroupSummarized(11, state)) == state
