"""Batches from start to end, on every host and on logs in memory and in a file."""

import asyncio
import functools
import threading
from pathlib import Path

import pytest

from dashflow.batch import (
    Batch,
    BatchStatus,
    Count,
    GroupBy,
    ItemFailure,
    ItemResult,
    Progress,
    Reduce,
    Stats,
)
from dashflow.batch.core.codec import stream_of
from dashflow.errors import (
    BatchAggregateError,
    BatchInputError,
    BatchStateError,
    DuplicateKeyError,
    OwnershipConflictError,
    UnknownBatchError,
    UsageError,
)
from dashflow.hosts.simulated import SimulatedHost
from dashflow.log.base import EventLog
from dashflow.log.memory import MemoryLog
from dashflow.log.sqlite import SqliteLog
from dashflow.types import RetryPolicy

HOSTS = ("sync", "asyncio", "simulated")
LOGS = ("memory", "sqlite")


class World:
    """One host with one log."""

    def __init__(self, host: str, log: str, folder: Path) -> None:
        self.kind = host
        self._path = folder / "log.db"
        self._seed = 0
        self._log = log
        self.log: EventLog = MemoryLog() if log == "memory" else SqliteLog(self._path)
        self._runner = asyncio.Runner() if host == "asyncio" else None

    def reopen(self) -> None:
        """Forget everything but what was stored."""
        if isinstance(self.log, MemoryLog):
            store = self.log.store
            self.log.close()
            self.log = MemoryLog(store)
        else:
            self.log.close()
            self.log = SqliteLog(self._path)

    def close(self) -> None:
        self.log.close()
        if self._runner is not None:
            self._runner.close()

    def batch(self, work, items=None, name="b", **options):
        """A batch of this world; under asyncio its function is a coroutine function."""
        if self._runner is not None and callable(work) and not hasattr(work, "invoke"):
            work = self.coroutine(work)
        return Batch(work, items, name=name, log=self.log, host=self.host(), **options)

    def host(self):
        """A host for the next batch; a simulated one has a seed of its own, as processes have."""
        self._seed += 1
        return SimulatedHost(self._seed) if self.kind == "simulated" else None

    def coroutine(self, function):
        async def call(value):
            return function(value)

        return functools.wraps(function)(call)

    def run(self, batch):
        if self._runner is None:
            return batch.run()
        return self._runner.run(batch.arun())

    def stream(self, batch):
        if self._runner is None:
            return list(batch.stream())

        async def read():
            return [part async for part in batch.astream()]

        return self._runner.run(read())

    def results(self, batch):
        if self._runner is None:
            return [result.value for result in batch.results()]

        async def read():
            return [result.value async for result in batch.aresults()]

        return self._runner.run(read())

    def dead(self, batch):
        if self._runner is None:
            return list(batch.dead_letters())

        async def read():
            return [letter async for letter in batch.adead_letters()]

        return self._runner.run(read())

    def ask(self, batch, what, *arguments):
        """A method of the batch, or its twin."""
        if self._runner is None:
            return getattr(batch, what)(*arguments)
        return self._runner.run(getattr(batch, "a" + what)(*arguments))


@pytest.fixture(params=[(host, log) for host in HOSTS for log in LOGS], ids="-".join)
def world(request, tmp_path):
    made = World(*request.param, tmp_path)
    yield made
    made.close()


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
        for number in range(2000):
            read.append(number)
            yield number

    def work(value):
        most.append(len(read) - len(ended))
        ended.append(value)

    assert world.run(world.batch(work, items(), ahead=300)).completed == 2000
    assert (
        max(most) <= 300 + 256 + 256 + 2 * 8
    )  # what may wait, a chunk beyond, one being recorded, what runs


@pytest.mark.feature("BATCH-004")
def test_failed_items_are_dead_letters_with_what_they_were(world):
    batch = world.batch(refuse_sevens, range(1, 15))
    parts = world.stream(batch)
    assert parts[-1].failed == 2
    failures = {part.index: part for part in parts if isinstance(part, ItemFailure)}
    assert failures[6] == ItemFailure(6, "6", "ValueError", "7 is a multiple of seven", 1)
    letters = world.dead(batch)
    assert [(letter.key, letter.value, letter.kind) for letter in letters] == [
        ("6", 7, "ValueError"),
        ("13", 14, "ValueError"),
    ]


@pytest.mark.feature("BATCH-004")
def test_only_the_failed_are_tried_again(world):
    ran = []

    def work(value):
        ran.append(value)
        return refuse_sevens(value) if len(ran) <= 20 else value

    batch = world.batch(work, range(1, 21))
    assert world.run(batch).failed == 2
    assert world.ask(batch, "retry_failed", ["6"]) == 1
    progress = world.run(batch)
    assert (progress.status, progress.completed, progress.failed) == ("completed", 19, 1)
    assert ran[20:] == [7]
    assert world.ask(batch, "retry_failed") == 1
    assert world.run(batch).failed == 0
    assert ran[20:] == [7, 14]
    assert world.ask(batch, "retry_failed") == 0
    assert world.results(batch) == list(range(1, 21))


@pytest.mark.feature("BATCH-004")
def test_only_dead_letters_can_be_requeued(world):
    batch = world.batch(refuse_sevens, range(1, 8))
    world.run(batch)
    with pytest.raises(BatchStateError, match="'0' is the key of no dead letter"):
        world.ask(batch, "retry_failed", ["6", "0"])


@pytest.mark.feature("BATCH-004")
def test_what_may_pass_is_tried_again_and_attempts_are_counted(world):
    tries = []

    def work(value):
        tries.append(value)
        if value == "always" or (value == "once" and tries.count("once") == 1):
            raise ConnectionError("away")
        if value == "fault":
            raise ValueError("a fault stays one")
        return value

    policy = RetryPolicy(max_attempts=3, initial_interval=0.001, jitter=False)
    batch = world.batch(work, ["good", "once", "always", "fault"], retry=policy)
    parts = world.stream(batch)
    attempts = {part.index: part.attempts for part in parts if not isinstance(part, Progress)}
    assert attempts == {0: 1, 1: 2, 2: 3, 3: 1}
    assert {part.kind for part in parts if isinstance(part, ItemFailure)} == {"ConnectionError", "ValueError"}


@pytest.mark.feature("BATCH-004")
@pytest.mark.parametrize("options", [{"on_error": "stop"}, {"failure_threshold": 0}])
def test_a_batch_can_stop_at_the_first_failure_and_go_on(world, options):
    ran = []

    def work(value):
        ran.append(value)
        return refuse_sevens(value)

    batch = world.batch(work, range(1, 400), concurrency=1, **options)
    progress = world.run(batch)
    assert (progress.status, progress.failed) == (BatchStatus.STOPPED, 1)
    assert progress.reason == "1 items failed, more than 0"
    assert len(ran) < 300
    finished = progress.completed
    again = world.run(world.batch(work, range(1, 400), concurrency=1, failure_threshold=1000))
    assert (again.status, again.failed, again.completed) == ("completed", 57, 342)
    assert finished < 342
    assert sorted(ran) == list(range(1, 400))


@pytest.mark.feature("BATCH-004")
def test_a_share_of_failures_stops_a_batch(world):
    progress = world.run(
        world.batch(refuse_sevens, [7, 1, 7, 2] * 100, failure_threshold=0.25, concurrency=1)
    )
    assert progress.status is BatchStatus.STOPPED
    assert progress.completed + progress.failed < 400


@pytest.mark.feature("BATCH-004")
def test_results_that_cannot_be_recorded_are_failures(world):
    batch = world.batch(lambda value: object() if value else value, range(2))
    assert world.run(batch).failed == 1
    assert [letter.kind for letter in world.dead(batch)] == ["VALUE_CODEC"]


@pytest.mark.feature("BATCH-003")
def test_results_are_aggregated_while_they_arrive(world):
    aggregate = {
        "sum": Reduce(lambda total, result: total + result, 0),
        "parity": GroupBy(lambda result: result % 2, Count()),
        "stats": Stats(percentiles=[50]),
        "list": Reduce(lambda seen, result: [*seen, result], [], ordered=True),
    }
    parts = world.stream(world.batch(lambda value: value, range(600), aggregate=aggregate, concurrency=16))
    seen, total = 0, 0
    for part in parts:
        if isinstance(part, ItemResult):
            seen, total = seen + 1, total + part.value
        elif isinstance(part, Progress):
            assert part.completed == seen
            assert part.aggregates["sum"] == total
            assert part.aggregates["list"] == list(range(len(part.aggregates["list"])))
            assert len(part.aggregates["list"]) <= seen
    last = parts[-1].aggregates
    assert sum(isinstance(part, Progress) for part in parts) > 2
    assert last["sum"] == sum(range(600))
    assert last["parity"] == {0: 300, 1: 300}
    assert (last["stats"].count, last["stats"].max) == (600, 599)
    assert last["list"] == list(range(600))


@pytest.mark.feature("BATCH-003")
def test_aggregates_go_on_where_they_were(world):
    def aggregate():
        return {
            "sum": Reduce(lambda total, result: total + result, 0),
            "list": Reduce(lambda seen, result: [*seen, result], [], ordered=True),
        }

    fixed = []

    def work(value):
        return value if fixed else refuse_sevens(value)

    assert world.run(world.batch(work, range(1, 50), aggregate=aggregate())).failed == 7
    world.reopen()
    fixed.append(True)
    batch = world.batch(work, range(1, 50), aggregate=aggregate())
    world.ask(batch, "retry_failed")
    last = world.run(batch)
    assert last.aggregates == {"sum": sum(range(1, 50)), "list": list(range(1, 50))}
    world.reopen()
    assert world.run(world.batch(work, aggregate=aggregate())).aggregates == last.aggregates


@pytest.mark.feature("BATCH-003")
@pytest.mark.parametrize("ordered", [False, True])
def test_a_function_that_fails_names_the_item_and_loses_no_result(world, ordered):
    def fold(total, result):
        if result == 20:
            raise KeyError("twenty")
        return total + result

    with pytest.raises(BatchAggregateError, match=r"'sum' of batch 'b' failed at item 20: KeyError"):
        world.run(
            world.batch(lambda value: value, range(60), aggregate={"sum": Reduce(fold, 0, ordered=ordered)})
        )
    plain = Reduce(lambda total, result: total + result, 0, ordered=ordered)
    progress = world.run(world.batch(lambda value: value, range(60), aggregate={"sum": plain}))
    assert (progress.completed, progress.aggregates["sum"]) == (60, sum(range(60)))


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

    held.append(world.batch(work, range(2000), concurrency=1, ahead=1))
    progress = world.run(held[0])
    assert (progress.status, progress.reason) == (BatchStatus.PAUSED, "lunch")
    assert progress.completed < 2000
    assert world.ask(held[0], "status").owner == ""
    world.reopen()
    assert world.run(world.batch(lambda value: ran.append(value), range(2000))).status == "completed"
    assert sorted(ran) == list(range(2000))


@pytest.mark.feature("BATCH-001")
def test_a_cancelled_batch_ends_and_stays_so(world):
    def work(value):
        if value == 20:
            Batch(double, name="b", log=world.log).cancel("wrong file")
        return value

    progress = world.run(world.batch(work, range(2000), concurrency=1, ahead=1))
    assert (progress.status, progress.reason) == (BatchStatus.CANCELLED, "wrong file")
    assert progress.completed < 2000
    with pytest.raises(BatchStateError, match="cancelled"):
        world.run(world.batch(work, range(2000)))


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
    with pytest.raises(UsageError, match="no such setting"):
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
        Batch.resume(world.log, "b", double)


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
