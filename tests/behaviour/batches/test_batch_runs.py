"""Batches from start to end, on every host and on logs in memory and in a file."""

import functools
import threading

import pytest

from dashflow.batch import (
    Batch,
    BatchStatus,
    ItemResult,
)
from dashflow.batch.core.codec import stream_of
from dashflow.errors import (
    BatchInputError,
    BatchStateError,
    DuplicateKeyError,
    OwnershipConflictError,
    UnknownBatchError,
    UsageError,
)


def double(value):
    return value * 2


def refuse_sevens(value):
    if value % 7 == 0:
        raise ValueError(f"{value} is a multiple of seven")
    return value


@pytest.mark.feature("BATCH-001")
def test_every_item_comes_to_its_result(world):
    batch = world.batch(double, range(300))
    progress = world.run(batch)
    assert (progress.status, progress.accepted, progress.completed, progress.failed) == (
        "completed",
        300,
        300,
        0,
    )
    assert progress.ended
    assert world.results(batch) == [2 * value for value in range(300)]


@pytest.mark.feature("BATCH-001")
def test_a_batch_without_items_completes(world):
    progress = world.run(world.batch(double, []))
    assert (progress.status, progress.accepted) == (BatchStatus.COMPLETED, 0)


@pytest.mark.feature("BATCH-001")
def test_a_completed_batch_is_not_run_again(world):
    ran = []
    batch = world.batch(ran.append, range(9))
    world.run(batch)
    world.reopen()
    again = world.run(world.batch(ran.append, range(9)))
    assert again.completed == 9
    assert sorted(ran) == list(range(9))


@pytest.mark.feature("BATCH-001")
def test_other_items_under_the_same_name_are_refused(world):
    world.run(world.batch(double, range(9)))
    with pytest.raises(BatchInputError, match="not those that were accepted"):
        world.run(world.batch(double, range(1, 10)))
    assert world.results(world.batch(double)) == [2 * value for value in range(9)]


@pytest.mark.feature("BATCH-001")
def test_keys_name_items(world):
    items = [{"id": "x/1", "n": 1}, {"id": "y", "n": 2}]
    parts = world.stream(world.batch(lambda item: item["n"], items, key=lambda item: item["id"]))
    assert {part.key: part.value for part in parts if isinstance(part, ItemResult)} == {"x/1": 1, "y": 2}


@pytest.mark.feature("BATCH-001")
def test_a_duplicate_key_ends_the_run_and_what_came_before_is_safe(world):
    batch = world.batch(double, [1, 2, 1, 3], key=str)
    with pytest.raises(DuplicateKeyError, match="item 2 has the key '1'"):
        world.run(batch)
    progress = world.ask(batch, "status")
    assert (progress.accepted, progress.ended, progress.owner) == (2, False, "")
    with pytest.raises(BatchInputError, match="not read to their end"):
        world.run(Batch.resume(world.log, "b", double))
    mended = world.batch(double, [1, 2, 4, 3], key=str)
    assert world.run(mended).completed == 4
    assert world.results(mended) == [2, 4, 8, 6]


@pytest.mark.feature("BATCH-001")
def test_a_source_that_fails_is_named_and_goes_on_another_time(world):
    def items(good):
        yield from range(5)
        if not good:
            raise OSError("the disk is gone")
        yield 5

    with pytest.raises(BatchInputError, match="item 5 raised OSError: the disk is gone") as caught:
        world.run(world.batch(double, items(False)))
    assert isinstance(caught.value.__cause__, OSError)
    assert world.run(world.batch(double, items(True))).completed == 6


@pytest.mark.feature("BATCH-001")
def test_a_large_source_is_read_only_as_far_as_it_is_worked_off(world):
    read, ended, most = [], [], []

    def items():
        for number in range(1500):
            read.append(number)
            yield number

    def work(value):
        most.append(len(read) - len(ended))
        ended.append(value)

    assert world.run(world.batch(work, items(), ahead=300)).completed == 1500
    assert (
        max(most) <= 300 + 256 + 256 + 2 * 8
    )  # what may wait, a chunk beyond, one being recorded, what runs


@pytest.mark.feature("BATCH-002")
def test_no_more_items_run_at_a_time_than_allowed(world):
    lock, running, most = threading.Lock(), [0], [0]

    def work(value):
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        with lock:
            running[0] -= 1

    assert world.run(world.batch(work, range(100), concurrency=3)).completed == 100
    assert most[0] <= 3


@pytest.mark.feature("BATCH-002")
def test_higher_priorities_run_first_and_equal_ones_in_order(world):
    ran = []
    items = [(number, number % 3) for number in range(100)]
    batch = world.batch(
        lambda item: ran.append(tuple(item)), items, priority=lambda item: item[1], concurrency=1
    )
    world.run(batch)
    assert ran == sorted(items, key=lambda item: (-item[1], item[0]))


@pytest.mark.feature("BATCH-001")
def test_a_paused_batch_goes_on_another_time(world):
    ran = []
    held = []

    def work(value):
        ran.append(value)
        if value == 20:
            Batch(double, name="b", log=world.log).pause("lunch")
        return value

    held.append(world.batch(work, range(700), concurrency=1, ahead=1))
    progress = world.run(held[0])
    assert (progress.status, progress.reason) == (BatchStatus.PAUSED, "lunch")
    assert progress.completed < 700
    assert world.ask(held[0], "status").owner == ""
    world.reopen()
    assert world.run(world.batch(lambda value: ran.append(value), range(700))).status == "completed"
    assert sorted(ran) == list(range(700))


@pytest.mark.feature("BATCH-001")
def test_a_cancelled_batch_ends_and_stays_so(world):
    def work(value):
        if value == 20:
            Batch(double, name="b", log=world.log).cancel("wrong file")
        return value

    progress = world.run(world.batch(work, range(700), concurrency=1, ahead=1))
    assert (progress.status, progress.reason) == (BatchStatus.CANCELLED, "wrong file")
    assert progress.completed < 700
    with pytest.raises(BatchStateError, match="cancelled"):
        world.run(world.batch(work, range(700)))


@pytest.mark.feature("BATCH-001")
def test_who_stops_reading_leaves_the_batch_in_good_order(world):
    batch = world.batch(double, range(1000), concurrency=2, ahead=10)
    if world.kind == "asyncio":

        async def read_some():
            parts = batch.astream()
            async for part in parts:
                if isinstance(part, ItemResult):
                    await parts.aclose()
                    return

        world._runner.run(read_some())
    else:
        parts = batch.stream()
        next(part for part in parts if isinstance(part, ItemResult))
        parts.close()
    progress = world.ask(batch, "status")
    assert (progress.status, progress.owner) == (BatchStatus.RUNNING, "")
    assert 0 < progress.completed < 1000
    with pytest.raises(UsageError, match="partly read"):
        world.run(batch)
    again = world.batch(double, range(1000))
    assert world.run(again).completed == 1000
    assert world.results(again) == [2 * value for value in range(1000)]


@pytest.mark.feature("BATCH-001")
def test_recorded_settings_hold_until_others_are_given(world):
    batch = world.batch(refuse_sevens, range(1, 100), concurrency=1, on_error="stop")
    world.run(batch)
    work = world.coroutine(refuse_sevens) if world.kind == "asyncio" else refuse_sevens
    resume = functools.partial(Batch.resume, world.log, "b", work, items=range(1, 100))
    assert world.run(resume(host=world.host())).status is BatchStatus.STOPPED
    assert world.run(resume(host=world.host(), stop_count=None)).status is BatchStatus.COMPLETED
    with pytest.raises(UsageError, match="no setting 'speed'"):
        resume(speed=9)


@pytest.mark.feature("BATCH-001")
def test_what_happens_is_in_one_stream_of_the_log(world):
    world.run(world.batch(refuse_sevens, range(1, 600)))
    records = world.log.read(stream_of("b"))
    kinds = [record.type for record in records]
    assert kinds[0] == "BatchStarted"
    assert kinds[-1] == "BatchCompleted"
    assert {"ItemsAdded", "InputEnded", "ItemsStarted", "ItemsCompleted", "ItemsFailed"} <= set(kinds)
    assert all(record.correlation_id == "b" for record in records)
    assert all(record.epoch == 1 for record in records)


@pytest.mark.feature("BATCH-001")
def test_a_batch_that_is_not_there_is_said(world):
    for ask in ("status", "pause", "cancel", "retry_failed"):
        with pytest.raises(UnknownBatchError, match="No batch 'b'"):
            world.ask(world.batch(double), ask)
    with pytest.raises(UnknownBatchError):
        world.run(world.batch(double))
    with pytest.raises(UnknownBatchError):
        world.run(Batch.resume(world.log, "b", double, host=world.host()))


@pytest.mark.feature("BATCH-001")
def test_a_second_owner_is_refused_and_writes_nothing(world):
    refused = []

    def work(value):
        if not refused:
            try:
                Batch(double, range(9), name="b", log=world.log).run()
            except OwnershipConflictError as error:
                refused.append(error)
        return value

    assert world.run(world.batch(work, range(9), concurrency=1)).completed == 9
    assert len(refused) == 1
