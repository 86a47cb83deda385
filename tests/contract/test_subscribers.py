"""A hundred subscribers beside several writers: none misses an event, none sees one twice."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from dashflow.log.base import Append, EventLog, Record
from dashflow.log.memory import MemoryLog, MemoryStore
from dashflow.log.postgres import PostgresLog
from dashflow.log.sqlite import SqliteLog
from dashflow.testing.log_case import LogCase, Open, in_threads, new_event
from dashflow.testing.log_subscription_contract import take
from tests.postgres import Place as Postgres

pytestmark = pytest.mark.feature("LOG-02")

SUBSCRIBERS = 100


class Subscribers(LogCase):
    @pytest.mark.guarantee("none-missed")
    def test_none_of_a_hundred_misses_or_repeats(self, log: EventLog, opened: Open, soak: bool) -> None:
        """Each follows the whole log, one stream, category, type or correlation, some from the middle."""
        rounds = 100 if soak else 8
        other = opened()
        log.append(Append("run-0", [new_event("Begun")]))
        middle = log.read_all()[-1].position

        def write(source: EventLog, number: int) -> list[Record]:
            for step in range(rounds):
                kind = ("Begun", "Ended")[step % 2]
                event = new_event(kind)
                event = type(event)(kind, b"%d" % step, event.event_id, event.at, correlation_id=f"c{number}")
                source.append(Append(f"{('run', 'plan')[number % 2]}-{number}", [event, new_event("Noted")]))
            return []

        filters = (
            ({}, 8 * rounds + 1),
            ({"after": middle}, 8 * rounds),
            ({"category": "plan"}, 4 * rounds),
            ({"stream": "run-2"}, 2 * rounds),
            ({"types": ("Ended",)}, 2 * rounds),
            ({"correlation": "c3"}, rounds),
            ({"category": "run", "types": ("Begun", "Ended"), "after": middle}, 2 * rounds),
        )
        chosen = [filters[number % len(filters)] for number in range(SUBSCRIBERS)]
        subscriptions = [
            (log, other)[number % 2].subscribe(**options) for number, (options, _) in enumerate(chosen)
        ]
        jobs: list[Callable[[], list[Record]]] = [
            partial(write, (log, other)[number % 2], number) for number in range(4)
        ]
        jobs += [
            partial(take, subscription, count)
            for subscription, (_, count) in zip(subscriptions, chosen, strict=True)
        ]
        found = in_threads(jobs)[4:]
        everything = log.read_all(limit=10_000)
        for (options, count), subscription, records in zip(chosen, subscriptions, found, strict=True):
            expected = [record for record in everything if matches(record, **options)]
            assert len(expected) == count
            assert records == expected
            assert subscription.poll(timeout=0) == []
            subscription.close()


def matches(record: Record, after=0, category=None, stream=None, types=(), correlation="") -> bool:
    return (
        record.position > after
        and category in (None, record.category)
        and stream in (None, record.stream)
        and (not types or record.type in types)
        and correlation in ("", record.correlation_id)
    )


class TestSubscribersInMemory(Subscribers):
    @pytest.fixture(autouse=True)
    def _store(self) -> None:
        self.store = MemoryStore()

    def open_log(self, place: Path) -> EventLog:
        return MemoryLog(self.store)


class TestSubscribersInSqlite(Subscribers):
    def open_log(self, place: Path) -> EventLog:
        return SqliteLog(place / "log.db")


class TestSubscribersInPostgres(Subscribers):
    @pytest.fixture(autouse=True)
    def _place(self, postgres: Postgres) -> None:
        self.place = postgres

    def open_log(self, place: Path) -> EventLog:
        return PostgresLog(self.place.log)
