"""Consumer groups on every backend: competing, settling, failing, retrying, ending, in threads and loops."""

import asyncio
import threading
import time
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from dashflow.errors import LogClosedError, UsageError
from dashflow.log.base import Append, EventLog
from dashflow.log.groups import Consumer, ConsumerGroup
from dashflow.log.memory import MemoryLog, MemoryStore
from dashflow.log.postgres import PostgresLog
from dashflow.log.sqlite import SqliteLog
from dashflow.testing.log_case import LogCase, Open, in_threads, new_event, new_events
from dashflow.types import RetryPolicy
from tests.postgres import Place as Postgres

pytestmark = pytest.mark.feature("LOG-03")

START = 1_700_000_000_000_000_000


class Clock:
    """Stands still until it is set forward."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += int(seconds * 1e9)


def group_of(log: EventLog, **options: object) -> ConsumerGroup:
    return ConsumerGroup(log, "billing", **{"category": "run", "clock": Clock(), **options})


def fill(log: EventLog, *streams: str, count: int = 1) -> None:
    for stream in streams:
        log.append(Append(stream, new_events(count)))


def drain(consumer: Consumer) -> list[str]:
    """What there is now, acknowledged: ``stream:version``."""
    found = []
    while (message := consumer.take(0)) is not None:
        found.append(named(message))
        assert message.ack()
    return found


def named(message) -> str:
    return f"{message.record.stream.removeprefix('run-')}{message.record.version}"


class Groups(LogCase):
    # -- who gets what ------------------------------------------------------------------------

    def test_every_event_once_in_order(self, log: EventLog) -> None:
        fill(log, "run-a", "plan-a", "run-b", "run-a")
        group = group_of(log)
        with group.consumer() as consumer:
            assert drain(consumer) == ["a1", "b1", "a2"]
            fill(log, "run-c")
            assert drain(consumer) == ["c1"]
        with group.consumer() as consumer:
            assert drain(consumer) == []
        status = group.status()
        assert (status.acknowledged, status.waiting, status.claimed, status.consumers) == (4, 0, 0, {})

    def test_a_group_of_everything_does_not_handle_itself(self, log: EventLog) -> None:
        fill(log, "run-a", "plan-a")
        group = group_of(log, category=None)
        for _ in range(2):
            with group.consumer() as consumer:
                fill(log, "run-a")
                drain(consumer)
        assert group.status().acknowledged == 4

    def test_groups_do_not_disturb_each_other(self, log: EventLog) -> None:
        fill(log, "run-a", "run-b")
        for name in ("one", "two"):
            with ConsumerGroup(log, name, category="run").consumer() as consumer:
                assert drain(consumer) == ["a1", "b1"]

    @pytest.mark.parametrize(
        ("start", "expected"), [("beginning", ["a1", "a2", "b1"]), ("now", ["b1"]), (1, ["a2", "b1"])]
    )
    def test_where_a_group_starts(self, log: EventLog, start, expected) -> None:
        fill(log, "run-a", count=2)
        after = log.read("run-a")[0].position if start == 1 else start
        group = group_of(log, start=after)
        with group.consumer() as consumer:
            assert consumer.take(0) is None or start != "now"
        fill(log, "run-b")
        with group_of(log, start="beginning").consumer() as consumer:
            assert drain(consumer) == expected

    def test_moving_a_group_handles_again(self, log: EventLog) -> None:
        fill(log, "run-a", count=3)
        group = group_of(log)
        with group.consumer() as consumer:
            assert drain(consumer) == ["a1", "a2", "a3"]
            group.move(log.read("run-a")[0].position)
            assert drain(consumer) == ["a2", "a3"]
            fill(log, "run-b")
            group.move("now")
            assert drain(consumer) == []

    def test_a_key_is_with_one_consumer_at_a_time(self, log: EventLog) -> None:
        fill(log, "run-a", "run-b", "run-a", "run-c")
        group = group_of(log)
        with group.consumer(prefetch=1) as one, group.consumer() as two:
            first = one.take(0)
            assert first is not None
            assert named(first) == "a1"
            assert drain(two) == ["b1", "c1"]
            first.ack()
            assert one.take(0) is not None  # its own key goes on where it is, in the same commit
            assert drain(two) == []

    def test_what_waits_for_a_key_goes_to_whoever_is_free(self, log: EventLog) -> None:
        fill(log, "run-a", count=2)
        group = group_of(log)
        with group.consumer(prefetch=1) as one, group.consumer() as two:
            first = one.take(0)
            assert two.take(0) is None
            first.ack()
            one.flush()
            assert drain(two) == ["a2"]

    def test_keys_of_one_s_own(self, log: EventLog) -> None:
        for name, data in [("run-a", b"x"), ("run-b", b"x"), ("run-c", b"y")]:
            log.append(Append(name, [new_event(data=data)]))
        group = group_of(log, key=lambda record: record.data.decode())
        with group.consumer(prefetch=1) as one, group.consumer() as two:
            assert one.take(0).key == "x"
            assert drain(two) == ["c1"]

    def test_one_consumer_hands_out_one_message_of_a_key(self, log: EventLog) -> None:
        fill(log, "run-a", "run-a", "run-b")
        with group_of(log).consumer() as consumer:
            first, second = consumer.take(0), consumer.take(0)
            assert [named(first), named(second)] == ["a1", "b1"]
            assert consumer.take(0) is None
            first.ack()
            assert named(consumer.take(0)) == "a2"

    def test_a_small_window_bounds_what_is_held_back(self, log: EventLog) -> None:
        fill(log, "run-a", count=50)
        fill(log, "run-b")
        group = group_of(log, window=8)
        with group.consumer(prefetch=1) as one, group.consumer(prefetch=4) as two:
            held = one.take(0)
            assert drain(two) == []
            status = group.status()
            assert (status.claimed, status.waiting) == (1, 7)
            held.ack()
            one.flush()
            assert drain(two) == [f"a{version}" for version in range(2, 51)] + ["b1"]

    # -- failing ------------------------------------------------------------------------------

    def test_a_failing_handler_is_tried_again_later_and_then_no_more(self, log: EventLog) -> None:
        fill(log, "run-a", "run-a", "run-b")
        clock = Clock()
        retry = RetryPolicy(max_attempts=3, initial_interval=10, jitter=False, retry_on=Exception)
        group = group_of(log, clock=clock, retry=retry)
        seen = []

        def handler(message) -> None:
            seen.append((named(message), message.attempt, message.redelivered))
            if named(message) == "a1":
                raise RuntimeError("no such customer")

        with group.consumer() as consumer:
            consumer.work(handler, within=0)
            assert seen == [("a1", 1, False), ("b1", 1, False)]
            clock.forward(9.9)
            consumer.work(handler, within=0)
            assert len(seen) == 2
            clock.forward(0.1)
            consumer.work(handler, within=0)
            assert seen[2:] == [("a1", 2, True)]
            clock.forward(19.9)
            consumer.work(handler, within=0)
            clock.forward(0.1)
            consumer.work(handler, within=0)
            # Its key went on without it.
            assert seen[3:] == [("a1", 3, True), ("a2", 1, False)]
        (letter,) = group.dead_letters()
        assert (letter.key, letter.attempts, letter.reason) == ("run-a", 3, "RuntimeError: no such customer")
        assert log.read_all(after=letter.position - 1, limit=1) == log.read("run-a", upto=1)

    def test_errors_that_are_not_to_be_retried_make_dead_letters(self, log: EventLog) -> None:
        fill(log, "run-a")
        group = group_of(log, retry=RetryPolicy(retry_on=ConnectionError))

        def handler(message) -> None:
            raise KeyError("id")

        with group.consumer() as consumer:
            assert consumer.work(handler, within=0) == 1
        assert [letter.reason for letter in group.dead_letters()] == ["KeyError: 'id'"]

    def test_dead_letters_are_requeued_or_dropped(self, log: EventLog) -> None:
        fill(log, "run-a", "run-b", "run-c")
        group = group_of(log)
        with group.consumer() as consumer:
            while (message := consumer.take(0)) is not None:
                message.reject("broken")
            letters = group.dead_letters()
            assert [letter.key for letter in letters] == ["run-a", "run-b", "run-c"]
            assert group.requeue(letters[0].position, letters[2].position) == 2
            assert drain(consumer) == ["a1", "c1"]
            assert group.drop() == 1
            assert group.drop() == group.requeue() == 0
        status = group.status()
        assert (status.dead, status.dropped, status.acknowledged) == (0, 1, 2)

    def test_a_delay_of_one_s_own(self, log: EventLog) -> None:
        fill(log, "run-a")
        clock = Clock()
        with group_of(log, clock=clock).consumer() as consumer:
            consumer.take(0).nack("not yet", delay=3600)
            clock.forward(3599)
            assert consumer.take(0) is None
            clock.forward(1)
            assert consumer.take(0).attempt == 2

    def test_leaving_by_an_error_fails_what_was_handed_out_and_gives_back_the_rest(
        self, log: EventLog
    ) -> None:
        fill(log, "run-a", "run-b", "run-c")
        clock = Clock()
        group = group_of(log, clock=clock)

        def leave() -> None:
            with group.consumer() as consumer:
                consumer.take(0).ack()
                consumer.take(0)
                raise RuntimeError("out")

        with pytest.raises(RuntimeError, match="out"):
            leave()
        with group.consumer() as consumer:
            assert drain(consumer) == ["c1"]
            clock.forward(2)
            again = consumer.take(0)
            assert (named(again), again.attempt) == ("b1", 2)

    def test_what_a_consumer_gives_back_is_no_attempt(self, log: EventLog) -> None:
        fill(log, "run-a")
        group = group_of(log)
        for _ in range(9):
            with group.consumer() as consumer:
                message = consumer.take(0)
                assert (message.attempt, message.redelivered) == (1, False)

    # -- losing -------------------------------------------------------------------------------

    def test_whoever_takes_too_long_loses_the_message(self, log: EventLog) -> None:
        fill(log, "run-a")
        clock = Clock()
        group = group_of(log, clock=clock, visibility=30)
        with group.consumer() as slow, group.consumer() as quick:
            kept = slow.take(0)
            clock.forward(59.9)
            assert quick.take(0) is None
            clock.forward(0.1)
            again = quick.take(0)
            assert (again.record, again.attempt, again.redelivered) == (kept.record, 2, True)
            kept.ack()
            slow.flush()
            assert slow.late == 1
            assert again.ack()
        assert (group.status().acknowledged, quick.late) == (1, 0)

    def test_a_message_can_be_kept_for_longer(self, log: EventLog) -> None:
        fill(log, "run-a")
        clock = Clock()
        group = group_of(log, clock=clock, visibility=30)
        with group.consumer() as slow, group.consumer() as quick:
            kept = slow.take(0)
            assert slow.extend(kept, 3600)
            clock.forward(3599)
            assert quick.take(0) is None
            assert kept.ack()
            assert not slow.extend(kept, 3600)
        assert group.status().acknowledged == 1

    def test_a_message_has_its_time_from_when_it_is_handed_out(self, log: EventLog) -> None:
        fill(log, *(f"run-{number}" for number in range(10)))
        clock = Clock()
        group = group_of(log, clock=clock, visibility=30)
        with group.consumer() as slow, group.consumer() as quick:
            for _ in range(10):
                message = slow.take(0)
                clock.forward(29)
                assert quick.take(0) is None
                assert message.ack()
        assert (group.status().acknowledged, slow.late) == (10, 0)

    def test_a_consumer_whose_log_is_gone_is_dead_at_once(self, opened: Open) -> None:
        log, other = opened(), opened()
        fill(log, "run-a", "run-b", count=2)
        clock = Clock()
        group, same = group_of(log, clock=clock), group_of(other, clock=clock)
        victim = same.consumer()
        assert named(victim.take(0)) == "a1"
        other.close()
        assert [named(message) for message in victim] == ["b1"]  # it had that; then it ends with its log
        clock.forward(2)
        with group.consumer() as consumer:
            assert sorted(drain(consumer)) == ["a1", "a2", "b1", "b2"]
            with pytest.raises(LogClosedError):
                same.status()

    def test_messages_whose_records_were_forgotten_are_given_up(self, log: EventLog) -> None:
        fill(log, "run-a", "run-a", "run-b")
        clock = Clock()
        group = group_of(log, clock=clock)
        with group.consumer() as consumer:
            consumer.take(0).nack("later")
            consumer.flush()
        log.append(Append("run-a", new_events(1), forget=1))
        clock.forward(5)
        with group.consumer() as consumer:
            assert drain(consumer) == ["a2", "b1", "a3"]
        assert group.status().dropped == 1

    # -- bad input ----------------------------------------------------------------------------

    def test_one_group_has_one_filter(self, log: EventLog) -> None:
        group_of(log).status()
        with pytest.raises(UsageError, match=r"category='run'.*category='plan'"):
            group_of(log, category="plan").status()
        with pytest.raises(UsageError, match="exists with"), group_of(log, category=None).consumer() as one:
            one.take(0)

    @pytest.mark.parametrize(
        "options",
        [{"start": "yesterday"}, {"start": -5}, {"types": "Done"}, {"visibility": 0}],
        ids=lambda options: str(options),
    )
    def test_what_cannot_be_is_refused(self, log: EventLog, options) -> None:
        with pytest.raises(UsageError):
            group_of(log, **options)

    def test_a_group_has_a_name_and_consumers_have_room(self, log: EventLog) -> None:
        with pytest.raises(UsageError):
            ConsumerGroup(log, "")
        for prefetch in (0, 5000):
            with pytest.raises(UsageError):
                group_of(log).consumer(prefetch=prefetch)

    def test_a_key_that_fails_loses_nothing(self, log: EventLog) -> None:
        fill(log, "run-a")

        def key(record) -> str:
            raise KeyError("customer")

        with pytest.raises(KeyError), group_of(log, key=key).consumer() as consumer:
            consumer.take(0)
        with group_of(log).consumer() as consumer:
            assert drain(consumer) == ["a1"]

    # -- all at once --------------------------------------------------------------------------

    def test_threads_share_the_work(self, log: EventLog, opened: Open, soak: bool) -> None:
        """Four consumers over two logs, a writer beside them: all, once each, in order per key."""
        other = opened()
        count = 20 if soak else 4
        total, lock = 40 * count, threading.Lock()
        seen, active, done = Counter(), set(), threading.Event()
        last = Counter()

        def write() -> None:
            for _ in range(count):
                fill(log, *(f"run-{stream}" for stream in range(8)), count=5)

        def consume(source: EventLog) -> None:
            group = ConsumerGroup(source, "billing", category="run")
            with group.consumer(prefetch=10) as consumer:
                while not done.is_set():
                    message = consumer.take(0.05)
                    if message is None:
                        continue
                    with lock:
                        assert message.key not in active
                        active.add(message.key)
                        assert last[message.key] == message.record.version - 1
                        last[message.key] += 1
                        seen[message.record.position] += 1
                        if len(seen) == total:
                            done.set()
                    with lock:
                        active.discard(message.key)
                    message.ack()

        in_threads([write, *(partial(consume, source) for source in (log, other, log, other))])
        assert set(seen.values()) == {1}
        assert ConsumerGroup(log, "billing", category="run").status().acknowledged == total

    def test_a_consumer_waits_for_what_comes_and_close_ends_it(self, log: EventLog) -> None:
        group = group_of(log, clock=time.time_ns)
        consumer = group.consumer()
        found: list[str] = []

        def consume() -> None:
            for message in consumer:
                found.append(named(message))
                message.ack()
                if len(found) == 3:
                    consumer.close()

        in_threads([consume, lambda: fill(log, "run-a", "run-b", "run-c")])
        assert sorted(found) == ["a1", "b1", "c1"]
        assert consumer.take(0) is None
        assert group.status().acknowledged == 3

    async def test_the_same_in_an_event_loop(self, log: EventLog) -> None:
        fill(log, "run-a", "run-b", count=2)
        group = group_of(log, clock=time.time_ns)
        found: list[str] = []

        async def handler(message) -> None:
            await asyncio.sleep(0)
            found.append(named(message))

        async with group.consumer() as consumer:
            async for message in consumer:
                await handler(message)
                message.ack()
                if len(found) == 4:
                    break
            fill(log, "run-c")
            assert await consumer.awork(handler, within=0) == 1
            assert await consumer.atake(0) is None
        assert sorted(found) == ["a1", "a2", "b1", "b2", "c1"]
        assert group.status().acknowledged == 5

    async def test_a_wait_that_is_cancelled_loses_nothing(self, log: EventLog) -> None:
        group = group_of(log, clock=time.time_ns)
        async with group.consumer() as consumer:
            for number in range(20):
                waiting = asyncio.ensure_future(consumer.atake())
                await asyncio.sleep(0)
                fill(log, f"run-{number}")
                waiting.cancel()
                outcome = (await asyncio.gather(waiting, return_exceptions=True))[0]
                if not isinstance(outcome, BaseException):
                    outcome.ack()
            await consumer.aflush()
            while (message := await consumer.atake(0)) is not None:
                message.ack()
        assert group.status().acknowledged == 20


class TestGroupsInMemory(Groups):
    @pytest.fixture(autouse=True)
    def _store(self) -> None:
        self.store = MemoryStore()

    def open_log(self, place: Path) -> EventLog:
        return MemoryLog(self.store)


class TestGroupsInSqlite(Groups):
    def open_log(self, place: Path) -> EventLog:
        return SqliteLog(place / "log.db")


class TestGroupsInPostgres(Groups):
    @pytest.fixture(autouse=True)
    def _place(self, postgres: Postgres) -> None:
        self.place = postgres

    def open_log(self, place: Path) -> EventLog:
        return PostgresLog(self.place.log)


def test_the_group_s_stream_stays_short() -> None:
    log = MemoryLog()
    fill(log, *(f"run-{number}" for number in range(50)), count=100)
    group = group_of(log)
    with group.consumer(prefetch=20) as consumer:
        assert len(drain(consumer)) == 5000
    assert log.version("group-billing") > 500
    assert len(log.read("group-billing")) < 150
    assert group_of(log).status() == group.status()
