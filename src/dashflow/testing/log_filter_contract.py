"""The event log's contract, sixth part: reading and following by type and by correlation."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pytest

from dashflow.log.base import Append, EventLog, NewEvent, Record
from dashflow.testing.log_case import LogCase, in_threads, new_event, new_events
from dashflow.testing.log_subscription_contract import take

Find = dict[str, object]


def of(kind: str, correlation: str = "") -> NewEvent:
    """An event of a type that belongs to something."""
    event = new_event(kind)
    return NewEvent(event.type, event.data, event.event_id, event.at, correlation_id=correlation)


def matching(records: Sequence[Record], find: Find) -> list[Record]:
    """What a filter should leave of records, in the plainest words."""
    return [
        record
        for record in records
        if (not find.get("types") or record.type in find["types"])  # type: ignore[operator]
        and find.get("correlation", "") in ("", record.correlation_id)
        and find.get("category") in (None, record.category)
        and find.get("stream") in (None, record.stream)
    ]


FILTERS: list[Find] = [
    {"types": ["Opened"]},
    {"types": ("Opened", "Closed")},
    {"types": ["Opened", "Opened"]},
    {"types": ["Nothing"]},
    {"types": []},
    {"correlation": "c-1"},
    {"correlation": "c"},
    {"correlation": "Opened"},
    {"types": ["c-1"]},
    {"types": ["Opened"], "correlation": "c-2"},
    {"types": ["Opened", "Noted"], "category": "plan"},
    {"correlation": "c-1", "category": "run"},
    {"types": ["Noted"], "correlation": "c-2", "category": "run"},
    {"types": ["opened"]},
    {"types": ["Opened') OR 1=1 --"]},
    {"types": ["%"], "correlation": "' OR ''='"},
    {"types": ["läuft → weiter"]},
]


class FilterContract(LogCase):
    """What every backend must do with ``types`` and ``correlation``."""

    @pytest.fixture
    def filled(self, log: EventLog) -> EventLog:
        """A log with events of several types, correlations and categories."""
        for round_ in range(4):
            log.append(Append("run-1", [of("Opened", "c-1"), of("Noted", "c-1"), of("Noted", "c-2")]))
            log.append(Append("plan-1", [of("Noted", "c-1"), of("Opened"), of("läuft → weiter", "c-2")]))
            log.append(Append(f"run-{round_}", [of("Closed", "c-2"), of("Opened", "c-2")]))
        return log

    @pytest.mark.parametrize("find", FILTERS, ids=str)
    def test_read_all(self, filled: EventLog, find: dict[str, object]) -> None:
        everything = filled.read_all()
        expected = matching(everything, find)
        assert filled.read_all(**find) == expected  # type: ignore[arg-type]
        pages: list[Record] = []
        while page := filled.read_all(
            after=pages[-1].position if pages else 0,
            limit=2,
            **find,  # type: ignore[arg-type]
        ):
            assert len(page) <= 2
            pages += page
        assert pages == expected
        assert filled.read_all(limit=0, **find) == []  # type: ignore[arg-type]

    @pytest.mark.parametrize("stream", [None, "run-1"])
    @pytest.mark.parametrize("find", FILTERS, ids=str)
    def test_subscriptions_catch_up_and_follow(
        self, filled: EventLog, find: dict[str, object], stream: str | None
    ) -> None:
        found: Find = {**find, "stream": stream}
        subscription = filled.subscribe(**found)  # type: ignore[arg-type]
        expected = matching(filled.read_all(), found)
        seen = take(subscription, len(expected))
        assert subscription.poll(timeout=0) == []
        filled.append(Append("run-1", [of("Opened", "c-1"), of("Noted", "c-2"), of("Closed", "c-2")]))
        filled.append(Append("plan-1", [of("Opened", "c-2"), of("Noted", "c-1")]))
        expected = matching(filled.read_all(), found)
        seen += take(subscription, len(expected) - len(seen))
        assert seen == expected
        assert subscription.poll(timeout=0) == []
        subscription.close()

    def test_a_type_that_comes_up_later_is_found(self, log: EventLog) -> None:
        log.append(Append("run-1", new_events(3)))
        subscription = log.subscribe(types=["Late"], correlation="late")
        assert subscription.poll(timeout=0) == []
        assert log.read_all(types=["Late"]) == []
        log.append(Append("run-1", [of("Late"), of("Late", "late"), of("Early", "late")]))
        (record,) = subscription.poll(timeout=60)
        assert (record.type, record.correlation_id, record.version) == ("Late", "late", 5)
        assert [record.version for record in log.read_all(types=["Late"])] == [4, 5]
        subscription.close()

    def test_from_a_position(self, filled: EventLog) -> None:
        everything = filled.read_all()
        middle = everything[10].position
        for find in FILTERS:
            expected = [record for record in matching(everything, find) if record.position > middle]
            assert filled.read_all(after=middle, **find) == expected  # type: ignore[arg-type]
            subscription = filled.subscribe(after=middle, **find)  # type: ignore[arg-type]
            assert take(subscription, len(expected)) == expected
            assert subscription.poll(timeout=0) == []
            subscription.close()

    def test_in_small_pages(self, filled: EventLog) -> None:
        for stream in (None, "run-1"):
            find: Find = {"types": ["Opened"], "stream": stream}
            expected = matching(filled.read_all(), find)
            subscription = filled.subscribe(stream=stream, types=["Opened"])
            found: list[Record] = []
            while len(found) < len(expected):
                page = subscription.poll(timeout=60, limit=2)
                assert 1 <= len(page) <= 2
                found += page
            assert found == expected
            subscription.close()

    def test_what_was_forgotten_is_not_found(self, filled: EventLog) -> None:
        filled.append(Append("run-1", forget=4))
        everything = filled.read_all()
        for find in FILTERS:
            assert filled.read_all(**find) == matching(everything, find)  # type: ignore[arg-type]
        # The last event of a correlation goes, and another one comes.
        filled.append(Append("run-9", [of("Opened", "c-9")]))
        subscription = filled.subscribe(correlation="c-9")
        assert [record.stream for record in subscription.poll(timeout=60)] == ["run-9"]
        filled.append(Append("run-9", [of("Deleted")], forget=1))
        assert filled.read_all(correlation="c-9") == []
        filled.append(Append("run-8", [of("Opened", "c-8")]))
        filled.append(Append("run-8", [of("Opened", "c-9")]))
        (record,) = subscription.poll(timeout=60)
        assert (record.stream, record.version, record.correlation_id) == ("run-8", 2, "c-9")
        assert filled.read_all(correlation="c-9") == [record]
        assert [record.version for record in filled.read_all(correlation="c-8")] == [1]
        subscription.close()

    def test_none_is_missed_while_threads_append(self, log: EventLog) -> None:
        def write(number: int) -> list[Record]:
            for step in range(40):
                log.append(Append(f"run-{number}", [of("odd" if step % 2 else "even", f"c-{number}")]))
            return []

        one = log.subscribe(types=["odd"])
        other = log.subscribe(types=["even", "none"], correlation="c-1")
        *_, odd, even = in_threads(
            [
                *(partial(write, number) for number in range(3)),
                partial(take, one, 60),
                partial(take, other, 20),
            ]
        )
        assert odd == log.read_all(types=["odd"])
        assert even == log.read_all(types=["even"], correlation="c-1")
        for subscription in (one, other):
            assert subscription.poll(timeout=0) == []
            subscription.close()
