"""The event log's contract, third part: following the log."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from dashflow.errors import (
    LogError,
)
from dashflow.log.base import Append, EventLog, Record, Subscription
from dashflow.testing.log_case import LogCase, Open, in_threads, new_events


class SubscriptionContract(LogCase):
    """What every backend must do with subscriptions."""

    def test_catch_up_then_live(self, log: EventLog) -> None:
        log.append(Append("run-1", new_events(3)))
        subscription = log.subscribe()
        found = subscription.poll(timeout=60)
        log.append(Append("run-2", new_events(2)))
        found += subscription.poll(timeout=60)
        assert found == log.read_all()
        assert subscription.poll(timeout=0) == []
        subscription.close()

    def test_from_a_position_and_in_pages(self, log: EventLog) -> None:
        log.append(Append("run-1", new_events(10)))
        records = log.read_all()
        subscription = log.subscribe(after=records[1].position)
        pages = [subscription.poll(timeout=60, limit=3) for _ in range(3)]
        assert [len(page) for page in pages] == [3, 3, 2]
        assert [record for page in pages for record in page] == records[2:]
        subscription.close()

    def test_of_one_stream_and_of_one_category(self, log: EventLog) -> None:
        for name in ("run-1", "plan-1", "run-2", "run-1", "plan-2", "run-1"):
            log.append(Append(name, new_events(2)))
        second = log.read("run-1")[1].position
        for of, expected in [
            (log.subscribe(stream="run-1", after=second), log.read("run-1", after=2)),
            (log.subscribe(category="plan"), log.read_all(category="plan")),
            (log.subscribe(stream="run-1", category="plan"), []),
            (log.subscribe(stream="none-1"), []),
            (log.subscribe(after=log.read_all()[-1].position), []),
        ]:
            assert take(of, len(expected)) == expected
            assert of.poll(timeout=0) == []
            of.close()

    def test_none_is_missed_or_seen_twice_while_threads_append(self, log: EventLog, opened: Open) -> None:
        other = opened()
        subscriptions = [log.subscribe(), other.subscribe(), log.subscribe(category="even")]

        def work(source: EventLog, number: int) -> list[Record]:
            for step in range(50):
                source.append(Append(f"{'odd' if number % 2 else 'even'}-{number}", new_events(1 + step % 2)))
            return []

        jobs: list[Callable[[], list[Record]]] = [
            partial(work, source, number) for number, source in enumerate((log, other, log, other))
        ]
        counts = (300, 300, 150)
        jobs += [partial(take, source, count) for source, count in zip(subscriptions, counts, strict=True)]
        *_, first, second, even = in_threads(jobs)
        assert first == second == log.read_all()
        assert even == log.read_all(category="even")
        for subscription in subscriptions:
            assert subscription.poll(timeout=0) == []
            subscription.close()

    def test_what_another_log_writes_arrives(self, log: EventLog, opened: Open) -> None:
        other = opened()
        subscription = log.subscribe()
        found: list[Record] = []
        in_threads(
            [
                lambda: found.extend(take(subscription, 3)),
                lambda: other.submit(Append("run-1", new_events(3))).on_done(lambda: None),
            ]
        )
        assert found == log.read("run-1")
        subscription.close()

    def test_iteration_goes_on_where_it_was_left(self, log: EventLog) -> None:
        log.append(Append("run-1", new_events(5)))
        subscription = log.subscribe()
        seen: list[Record] = []
        for record in subscription:
            seen.append(record)
            if len(seen) == 2:
                break
        for record in subscription:
            seen.append(record)
            if len(seen) == 5:
                subscription.close()
        assert seen == log.read("run-1")

    async def test_async_iteration(self, log: EventLog) -> None:
        log.append(Append("run-1", new_events(3)))
        subscription = log.subscribe()
        seen: list[Record] = []
        async for record in subscription:
            seen.append(record)
            if len(seen) == 3:
                # Submitted, not waited for: the loop goes on to wait for what comes of it.
                log.submit(Append("run-1", new_events(2)))
            if len(seen) == 5:
                subscription.close()
        assert seen == log.read("run-1")

    @pytest.mark.parametrize("closes", ["subscription", "log"])
    def test_close_ends_a_waiting_poll(self, log: EventLog, closes: str) -> None:
        subscription = log.subscribe()
        end = subscription.close if closes == "subscription" else log.close
        assert in_threads([subscription.poll, lambda: list(subscription), end])[:2] == [[], []]
        assert subscription.poll() == []


def take(subscription: Subscription, count: int) -> list[Record]:
    """The next ``count`` records or more, waiting as long as it takes."""
    found: list[Record] = []
    while len(found) < count:
        page = subscription.poll()
        if not page:
            raise LogError("the subscription has ended")
        found += page
    return found
