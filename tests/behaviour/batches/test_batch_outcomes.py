"""What becomes of items: failures, attempts, thresholds, dead letters, and aggregates of what succeeded."""

import pytest

from dashflow.batch import (
    BatchStatus,
    Count,
    GroupBy,
    ItemFailure,
    ItemResult,
    Progress,
    Reduce,
    Stats,
)
from dashflow.errors import (
    BatchAggregateError,
    BatchStateError,
)
from dashflow.types import RetryPolicy


def refuse_sevens(value):
    if value % 7 == 0:
        raise ValueError(f"{value} is a multiple of seven")
    return value


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
