"""What holds for batches whatever happens: random commands, random events, random numbers."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashflow.batch.core import codec
from dashflow.batch.core.commands import (
    Accept,
    Begin,
    Cancel,
    Complete,
    EndInput,
    Fail,
    Pause,
    Requeue,
    Resume,
    Settle,
    Start,
    Suspend,
)
from dashflow.batch.core.events import BatchCompleted, Failure, ItemsCompleted, ItemsFailed, ItemsRequeued
from dashflow.batch.core.fold import fold, fold_all
from dashflow.batch.core.items import BLOCK, ItemState, ItemStates
from dashflow.batch.core.process import process
from dashflow.batch.core.rate import TokenBucket
from dashflow.batch.core.settings import BatchSettings, Rate
from dashflow.batch.core.state import BatchState, BatchStatus
from dashflow.batch.queue import ItemQueue
from dashflow.errors import BatchStateError
from dashflow.log.base import Record


class World:
    """Asks anything of the handler, in any order, and keeps every event."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.state = BatchState()
        self.events = []
        self.tell(
            Start(
                now=0, name="b", work="function", settings=BatchSettings(stop_count=chance.choice([None, 2]))
            )
        )

    def tell(self, command):
        try:
            events = process(self.state, command)
        except BatchStateError:
            return
        assert process(self.state, command) == events
        for event in events:
            self.state = fold(self.state, event)
        self.events += events

    def some(self):
        return tuple(self.chance.randrange(self.state.count + 2) for _ in range(self.chance.randrange(4)))

    def step(self):
        count = self.chance.randrange(4)
        accept = Accept(
            now=1,
            first=self.state.count,
            count=count,
            inputs=codec.pack([b"i"] * count),
            digest=self.state.count,
        )
        command = self.chance.choice([
            *([] if self.state.ended else [accept, accept]),
            *([EndInput(now=1)] if self.state.count > 9 else []),
            Begin(now=1, items=self.some()),
            Complete(now=1, results=tuple((item, 1, b"r%d" % item) for item in self.some())),
            Complete(now=1, results=tuple((item, 1, b"r%d" % item) for item in self.some())),
            Fail(now=1, failures=tuple(Failure(item, 1, "E", "m") for item in self.some())),
            Settle(now=1),
            Requeue(now=1),
            Resume(now=1),
            Suspend(now=1),
            *([Pause(now=1)] if self.chance.random() < 0.1 else []),
            *([Cancel(now=1)] if self.chance.random() < 0.02 else []),
        ])  # fmt: skip
        self.tell(command)


@pytest.mark.feature("BATCH-001", "BATCH-004")
@given(st.integers(0, 2**32))
def test_every_item_has_one_end_and_the_counts_are_right(seed):
    world = World(random.Random(seed))
    for _ in range(60):
        world.step()
        state = world.state
        for kind, count in ((ItemState.COMPLETED, state.completed), (ItemState.FAILED, state.failed)):
            assert len(list(state.items.find(kind))) == count
        assert state.open >= 0
        assert state.status is not BatchStatus.COMPLETED or (state.ended and not state.open)
        assert set(state.attempts) <= set(range(state.count))
    completed = [item for event in world.events if isinstance(event, ItemsCompleted) for item in event.items]
    assert len(completed) == len(set(completed)), "a result is recorded once"
    dead: set[int] = set()
    for event in world.events:
        if isinstance(event, ItemsFailed):
            items = {failure.item for failure in event.failures}
            assert not items & dead
            dead |= items
        elif isinstance(event, ItemsRequeued):
            dead -= set(event.items) or set(dead)
        elif isinstance(event, BatchCompleted):
            assert (event.completed, event.failed) == (
                len(completed),
                len(dead),
            ) or event is not world.events[-1]


@pytest.mark.feature("BATCH-001")
@given(st.integers(0, 2**32), st.integers(0, 60))
def test_a_state_is_the_same_from_stored_events_and_from_any_place_between(seed, cut):
    world = World(random.Random(seed))
    for _ in range(40):
        world.step()
    stored = []
    for number, event in enumerate(world.events, 1):
        new = codec.encode(event, event_id=bytes(16), correlation_id="b")
        stored.append(
            codec.decode(
                Record(
                    position=number, stream="batch-b", version=number, category="batch", type=new.type,
                    schema=new.schema, event_id=new.event_id, correlation_id="b", causation_id=b"", at=0,
                    epoch=0, fingerprint="", checksum=0, data=new.data,
                )
            )
        )  # fmt: skip
    assert stored == world.events
    assert fold_all(stored) == world.state
    assert fold_all(stored[cut:], fold_all(stored[:cut])) == world.state


@pytest.mark.feature("BATCH-001")
@given(
    st.lists(
        st.tuples(st.integers(0, 3 * BLOCK), st.lists(st.integers(0, 9 * BLOCK)), st.sampled_from(ItemState)),
        max_size=6,
    )
)
def test_item_states_are_those_of_a_plain_list(changes):
    states, plain = ItemStates(), []
    for more, items, state in changes:
        states = states.more(more)
        plain += [ItemState.PENDING] * more
        items = [item for item in items if item < len(plain)]
        states = states.set(items, state)
        for item in items:
            plain[item] = state
    assert [states[item] for item in range(0, len(plain), 97)] == plain[::97]
    for state in ItemState:
        assert list(states.find(state)) == [item for item, of in enumerate(plain) if of is state]
    swapped = states.replaced(ItemState.STARTED, ItemState.PENDING)
    assert list(swapped.find(ItemState.STARTED)) == []
    with pytest.raises(IndexError):
        states[len(plain)]


@pytest.mark.feature("BATCH-002")
@given(st.floats(0.1, 1000), st.floats(0.1, 100), st.integers(1, 20), st.lists(st.floats(0, 50), max_size=60))
def test_a_bucket_never_lets_more_through_than_its_rate_and_never_waits_for_nothing(
    count, per, burst, pauses
):
    bucket = TokenBucket(Rate(count, per, burst))
    now, taken = 100.0, []
    for pause in pauses:
        now += pause
        wait = bucket.wait(now)
        if wait:
            assert bucket.wait(now + wait * 0.9) > 0
            now += wait
        assert bucket.wait(now) == 0
        bucket.take(now)
        taken.append(now)
    speed = count / per
    for first in range(len(taken)):
        for last in range(first, len(taken)):
            most = burst + (taken[last] - taken[first]) * speed
            assert last - first + 1 <= most + 1e-3


@pytest.mark.feature("BATCH-002")
def test_without_a_rate_nothing_waits():
    bucket = TokenBucket(None)
    for _ in range(9):
        assert bucket.wait(0) == 0
        bucket.take(0)


@pytest.mark.feature("BATCH-002")
@given(st.lists(st.floats(-5, 5)))
def test_the_queue_gives_higher_priorities_first_and_equal_ones_in_order(priorities):
    queue = ItemQueue()
    for item, priority in enumerate(priorities):
        queue.put(item, priority)
    assert len(queue) == len(priorities)
    order = [queue.pop() for _ in priorities]
    assert order == sorted(range(len(priorities)), key=lambda item: (-priorities[item], item))
    assert not queue.ready


@pytest.mark.feature("BATCH-002")
def test_an_item_that_waits_for_its_next_attempt_keeps_its_priority():
    queue = ItemQueue()
    queue.put(0, 1.0)
    queue.put(1, 5.0)
    assert queue.pop() == 1
    queue.put_later(1, due=10.0)
    assert 1 in queue
    assert queue.wake(9.0) == 1.0
    assert queue.wake(10.0) is None
    assert [queue.pop(), queue.pop()] == [1, 0]
    queue.finished((0, 1))
    queue.put(1)
    queue.put(0)
    assert [queue.pop(), queue.pop()] == [0, 1]
