"""The handler of batches by example: given these events, when this command comes, then these events."""

import pytest

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
from dashflow.batch.core.events import (
    BatchCancelled,
    BatchCompleted,
    BatchPaused,
    BatchResumed,
    BatchStarted,
    BatchStopped,
    BatchSuspended,
    Failure,
    InputEnded,
    ItemsAdded,
    ItemsCompleted,
    ItemsFailed,
    ItemsRequeued,
    ItemsStarted,
)
from dashflow.batch.core.fold import fold_all
from dashflow.batch.core.items import ItemState
from dashflow.batch.core.process import process
from dashflow.batch.core.settings import BatchSettings, Rate
from dashflow.batch.core.state import BatchStatus
from dashflow.errors import BatchInputError, BatchStateError, UsageError

pytestmark = pytest.mark.feature("BATCH-001", "BATCH-004")

NOW = 9


def started(**settings):
    return BatchStarted(at=1, name="b", work="function", settings=BatchSettings(**settings))


def added(count, first=0):
    return ItemsAdded(at=1, first=first, count=count, inputs=codec.pack([b"x"] * count), digest=7)


def done(*items):
    results = codec.pack([b"r"] * len(items))
    return ItemsCompleted(at=1, items=items, attempts=(1,) * len(items), results=results)


def failure(item, kind="ValueError"):
    return Failure(item, 1, kind, "bad")


def failed(*items):
    return ItemsFailed(at=1, failures=tuple(failure(item) for item in items))


ended = InputEnded(at=1, count=3)
begun = ItemsStarted(at=1, items=(0, 1))


def decided(given, command):
    return process(fold_all(given), command)


def test_a_batch_starts_once():
    start = Start(now=NOW, name="b", work="function", settings=BatchSettings(concurrency=3), target="m:g")
    assert decided([], start) == [
        BatchStarted(at=NOW, name="b", work="function", settings=BatchSettings(concurrency=3), target="m:g")
    ]
    with pytest.raises(BatchStateError, match="there already"):
        decided([started()], start)


@pytest.mark.parametrize(
    "wrong",
    [
        {"concurrency": 0},
        {"ahead": 0},
        {"timeout": 0.0},
        {"max_attempts": 0},
        {"max_lost": 0},
        {"stop_count": -1},
        {"stop_share": 1.0},
        {"rate": Rate(0)},
        {"rate": Rate(1, per=0)},
        {"rate": Rate(1, burst=0)},
    ],
)
def test_settings_that_cannot_be_are_refused(wrong):
    settings = BatchSettings(**wrong)
    with pytest.raises(UsageError):
        decided([], Start(now=NOW, name="b", work="function", settings=settings))
    with pytest.raises(UsageError):
        decided([started()], Resume(now=NOW, settings=settings))


def test_items_are_accepted_in_order_until_the_input_ends():
    offer = Accept(
        now=NOW, first=2, count=1, inputs=codec.pack([b"y"]), digest=8, keys=("k",), priorities=(2.0,)
    )
    assert decided([started(), added(2)], offer) == [
        ItemsAdded(
            at=NOW, first=2, count=1, inputs=codec.pack([b"y"]), digest=8, keys=("k",), priorities=(2.0,)
        )
    ]
    with pytest.raises(BatchInputError, match="3 are accepted"):
        decided([started(), added(3)], offer)
    with pytest.raises(BatchInputError, match="all of them"):
        decided([started(), added(2), ended], offer)


def test_the_input_ends_once():
    assert decided([started(), added(3)], EndInput(now=NOW)) == [InputEnded(at=NOW, count=3)]
    assert decided([started(), added(3), ended], EndInput(now=NOW)) == []


def test_results_of_unfinished_items_are_taken_once():
    report = Complete(now=NOW, results=((0, 2, b"zero"), (1, 1, b"one"), (9, 1, b"no such item")))
    assert decided([started(), added(3), begun, failed(1)], report) == [
        ItemsCompleted(at=NOW, items=(0,), attempts=(2,), results=codec.pack([b"zero"]))
    ]
    assert decided([started(), added(3), begun, done(0, 1)], report) == []


def test_failures_of_unfinished_items_are_taken_once():
    report = Fail(now=NOW, failures=(failure(0), failure(1)))
    assert decided([started(), added(3), begun, done(0)], report) == [
        ItemsFailed(at=NOW, failures=(failure(1),))
    ]


def test_a_batch_completes_when_all_of_its_items_are_finished_and_no_more_come():
    settle = Settle(now=NOW)
    assert decided([started(), added(2), done(0), failed(1)], settle) == []
    assert decided([started(), added(3), ended, done(0), failed(1)], settle) == []
    assert decided([started(), added(3), ended, done(0, 2), failed(1)], settle) == [
        BatchCompleted(at=NOW, completed=2, failed=1)
    ]
    assert decided([started(), InputEnded(at=1, count=0)], settle) == [
        BatchCompleted(at=NOW, completed=0, failed=0)
    ]


def test_too_many_failures_stop_a_batch():
    given = [started(stop_count=1), added(5), failed(0)]
    assert decided(given, Settle(now=NOW)) == []
    assert decided([*given, failed(1)], Settle(now=NOW)) == [
        BatchStopped(at=NOW, reason="2 items failed, more than 1")
    ]


def test_a_share_of_failures_is_looked_at_once_it_says_something():
    given = [started(stop_share=0.25), added(20), failed(0, 1)]
    assert decided(given, Settle(now=NOW)) == []
    assert decided([*given, done(2, 3)], Settle(now=NOW)) == [
        BatchStopped(at=NOW, reason="2 of 4 finished items failed, more than 0.25 of them")
    ]
    assert decided([*given, done(2, 3, 4, 5, 6, 7)], Settle(now=NOW)) == []


def test_failures_before_a_batch_was_resumed_do_not_stop_it_again():
    given = [
        started(stop_count=1),
        added(5),
        failed(0, 1),
        BatchStopped(at=1, reason="r"),
        BatchResumed(at=1),
    ]
    assert decided(given, Settle(now=NOW)) == []
    assert fold_all(given).status is BatchStatus.RUNNING


def test_what_runs_when_a_batch_is_stopped_or_paused_is_still_taken():
    for halt in (BatchStopped(at=1, reason="r"), BatchPaused(at=1)):
        given = [started(), added(3), begun, halt]
        assert decided(given, Complete(now=NOW, results=((0, 1, b"r"),))) == [
            ItemsCompleted(at=NOW, items=(0,), attempts=(1,), results=codec.pack([b"r"]))
        ]
        assert decided(given, Settle(now=NOW)) == []


def test_a_cancelled_batch_takes_nothing_any_more():
    given = [started(), added(3), begun, BatchCancelled(at=1, reason="no need")]
    assert decided(given, Complete(now=NOW, results=((0, 1, b"r"),))) == []
    assert decided(given, Begin(now=NOW, items=(2,))) == []
    assert decided(given, Resume(now=NOW)) == []
    assert decided(given, Suspend(now=NOW)) == []
    for command in (Cancel(now=NOW), Pause(now=NOW), Requeue(now=NOW)):
        with pytest.raises(BatchStateError, match="cancelled"):
            decided(given, command)


def test_an_owner_that_leaves_in_good_order_loses_nothing():
    given = [started(), added(3), begun]
    assert decided(given, Suspend(now=NOW)) == [BatchSuspended(at=NOW)]
    state = fold_all([*given, BatchSuspended(at=1)])
    assert list(state.items.find(ItemState.PENDING)) == [0, 1, 2]
    assert process(state, Suspend(now=NOW)) == []
    assert process(state, Resume(now=NOW)) == [BatchResumed(at=NOW)]
    resumed = fold_all([BatchResumed(at=1)], state)
    assert not resumed.interrupted
    assert resumed.attempts == {}


def test_an_owner_that_died_is_noticed_with_the_items_that_it_had():
    given = [started(), added(3), begun, done(0)]
    assert decided(given, Resume(now=NOW)) == [BatchResumed(at=NOW, lost=(1,))]
    state = fold_all([*given, BatchResumed(at=1, lost=(1,))])
    assert state.interrupted
    assert state.lost == {1: 1}
    assert state.attempts == {1: 1}
    assert list(state.items.find(ItemState.PENDING)) == [1, 2]


def test_an_item_that_killed_three_processes_is_a_dead_letter():
    lost = BatchResumed(at=1, lost=(1,))
    again = ItemsStarted(at=1, items=(1,))
    given = [started(), added(3), again, lost, again, lost, again]
    assert decided(given, Resume(now=NOW)) == [
        BatchResumed(at=NOW, lost=(1,)),
        ItemsFailed(at=NOW, failures=(Failure(1, 3, "LOST", "3 processes died while it ran"),)),
    ]


def test_a_new_owner_may_bring_other_settings():
    other = BatchSettings(concurrency=99)
    assert decided([started()], Resume(now=NOW, settings=other)) == [BatchResumed(at=NOW, settings=other)]
    assert fold_all([started(), BatchResumed(at=1, settings=other)]).settings == other
    assert decided([started()], Resume(now=NOW, settings=BatchSettings())) == [BatchResumed(at=NOW)]


def test_dead_letters_are_requeued_all_or_some():
    given = [started(), added(3), ended, done(0), failed(1, 2), BatchCompleted(at=1, completed=1, failed=2)]
    assert decided(given, Requeue(now=NOW)) == [ItemsRequeued(at=NOW)]
    assert decided(given, Requeue(now=NOW, items=(2, 2))) == [ItemsRequeued(at=NOW, items=(2,))]
    with pytest.raises(BatchStateError, match="item 0 is no dead letter"):
        decided(given, Requeue(now=NOW, items=(0,)))
    some = fold_all([*given, ItemsRequeued(at=1, items=(2,))])
    assert (some.status, some.failed, some.open) == (BatchStatus.RUNNING, 1, 1)
    every = fold_all([*given, ItemsRequeued(at=1)])
    assert (every.failed, every.open, list(every.items.find(ItemState.PENDING))) == (0, 2, [1, 2])
    assert decided([started(), added(1)], Requeue(now=NOW)) == []


def test_a_batch_is_paused_once_and_not_after_its_end():
    assert decided([started()], Pause(now=NOW, reason="night")) == [BatchPaused(at=NOW, reason="night")]
    assert decided([started(), BatchPaused(at=1)], Pause(now=NOW)) == []
    with pytest.raises(BatchStateError, match="cannot be paused"):
        decided(
            [started(), InputEnded(at=1, count=0), BatchCompleted(at=1, completed=0, failed=0)],
            Pause(now=NOW),
        )
