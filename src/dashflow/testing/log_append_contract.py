"""The event log's contract, first part: appending, reading, tickets, the end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from zlib import crc32

import pytest

from dashflow.errors import (
    DuplicateEventError,
    LogClosedError,
    UsageError,
    VersionConflictError,
)
from dashflow.log.base import ANY, EVERYTHING, Append, Appended, EventLog, NewEvent, Record
from dashflow.testing.log_case import AT, LogCase, Open, in_threads, new_event, new_events


class AppendContract(LogCase):
    """What every backend must do with events."""

    # -- append and read ------------------------------------------------------------------------

    def test_a_fresh_log_is_empty(self, log: EventLog) -> None:
        assert isinstance(log, EventLog)
        assert log.read("run-1") == []
        assert log.read_all() == []
        assert log.streams() == []
        assert log.version("run-1") == 0

    def test_an_event_comes_back_as_it_was_written(self, log: EventLog) -> None:
        event = NewEvent(
            "Opened", bytes(range(256)), new_event().event_id, AT, 3, "run-1", new_event().event_id, "abc"
        )
        appended = log.append(Append("run-1", (event,), expected=0))
        (record,) = log.read("run-1")
        assert record == Record(
            position=appended.position,
            stream="run-1",
            version=1,
            category="run",
            type=event.type,
            schema=3,
            event_id=event.event_id,
            correlation_id="run-1",
            causation_id=event.causation_id,
            at=AT,
            epoch=0,
            fingerprint="abc",
            checksum=crc32(event.data),
            data=event.data,
        )

    def test_the_versions_of_several_streams_come_in_the_order_asked_for(self, log: EventLog) -> None:
        log.append(Append("run-1", new_events(3)))
        log.append(Append('it\'s "2"', new_events(1)))
        log.append(Append("run-3", new_events(2), forget=EVERYTHING))
        asked = ["run-3", "nobody's", 'it\'s "2"', "run-1", "run-1"]
        assert log.versions(asked) == [2, 0, 1, 3, 3]
        assert log.versions([]) == []

    def test_the_versions_of_many_streams_at_once(self, log: EventLog) -> None:
        names = [f"run-{number}" for number in range(1200)]
        for name in names[::100]:
            log.append(Append(name, new_events(1)))
        assert log.versions(names) == [int(number % 100 == 0) for number in range(1200)]

    def test_a_glance_tells_versions_or_nothing(self, opened: Open) -> None:
        log, other = opened(), opened()
        for count in (1, 2, 3):
            other.append(Append("run-1", new_events(1)))
            assert log.glance(["run-1", "run-2"]) in ([count, 0], None)

    @pytest.mark.parametrize("data", [b"", b"\0", b"x" * 1_000_000], ids=["empty", "nul", "1 MB"])
    def test_any_bytes_come_back(self, log: EventLog, data: bytes) -> None:
        log.append(Append("run-1", (new_event(data=data),)))
        assert log.read("run-1")[0].data == data

    @pytest.mark.parametrize("name", ["run", "a-b-c", "-", "läuft-ä→\U0001f600", "x" * 1000, "a'b\"c%_"])
    def test_any_stream_name_works(self, log: EventLog, name: str) -> None:
        log.append(Append(name, new_events(2)))
        assert [(r.stream, r.category) for r in log.read(name)] == [(name, name.split("-")[0])] * 2
        assert log.version(name) == 2

    def test_versions_count_from_one_without_gaps(self, log: EventLog) -> None:
        assert log.append(Append("run-1", new_events(2), expected=0)).version == 2
        assert log.append(Append("run-1", new_events(3), expected=2)).version == 5
        assert [record.version for record in log.read("run-1")] == [1, 2, 3, 4, 5]
        assert log.version("run-1") == 5

    def test_positions_grow_over_all_streams(self, log: EventLog) -> None:
        results = [log.append(Append(f"run-{n % 3}", new_events(2))) for n in range(9)]
        records = log.read_all()
        assert len(records) == 18
        assert all(one.position < other.position for one, other in pairwise(records))
        assert [result.position for result in results] == [record.position for record in records[1::2]]

    def test_read_bounds(self, log: EventLog) -> None:
        log.append(Append("run-1", new_events(5)))
        for after, upto, limit, versions in [
            (0, None, None, [1, 2, 3, 4, 5]),
            (2, None, None, [3, 4, 5]),
            (0, 3, None, [1, 2, 3]),
            (1, 4, 2, [2, 3]),
            (5, None, None, []),
            (4, 2, None, []),
            (0, None, 0, []),
            (0, 99, 99, [1, 2, 3, 4, 5]),
        ]:
            found = log.read("run-1", after=after, upto=upto, limit=limit)
            assert [record.version for record in found] == versions, (after, upto, limit)

    def test_read_all_pages_through_the_log(self, log: EventLog) -> None:
        for number in range(10):
            log.append(Append(f"run-{number % 2}", new_events(1)))
        records = log.read_all()
        found: list[Record] = []
        while page := log.read_all(after=found[-1].position if found else 0, limit=3):
            assert len(page) <= 3
            found += page
        assert found == records
        assert len(found) == 10
        assert log.read_all(limit=0) == []

    def test_read_all_of_one_category(self, log: EventLog) -> None:
        for name in ("run-1", "plan-1", "runner-1", "run-2", "run", "plan-2"):
            log.append(Append(name, new_events(1)))
        assert [r.stream for r in log.read_all(category="run")] == ["run-1", "run-2", "run"]
        assert [r.stream for r in log.read_all(category="run", limit=2)] == ["run-1", "run-2"]
        second = log.read("run-2")[0].position
        assert [r.stream for r in log.read_all(category="run", after=second)] == ["run"]
        assert log.read_all(category="nothing") == []

    def test_streams_are_listed_most_recently_written_first(self, log: EventLog) -> None:
        log.append(Append("run-1", [new_event(at=AT)]))
        log.append(Append("plan-1", [new_event(at=AT + 1)]))
        log.append(Append("run-1", [new_event(at=AT + 2), new_event(at=AT + 3)]))
        first, second = log.streams()
        assert (first.stream, first.category, first.version) == ("run-1", "run", 3)
        assert (first.created_at, first.updated_at, first.owner) == (AT, AT + 3, "")
        assert second.stream == "plan-1"
        assert [info.stream for info in log.streams(category="plan")] == ["plan-1"]

    def test_streams_are_found_by_what_their_names_begin_with(self, log: EventLog) -> None:
        names = (
            "run-a",
            "run-a~b",
            "run-a~b~c",
            "run-a%",
            "run-a_",
            "run-A~b",
            "run-aé",
            "sub-a|x",
            "run-ab",
        )
        for name in names:
            log.append(Append(name, new_events(1)))
        log.append(Append("run-a~b", new_events(1)))
        assert [info.stream for info in log.streams(prefix="run-a~")] == ["run-a~b", "run-a~b~c"]
        assert [info.version for info in log.streams(prefix="run-a~b")] == [2, 1]
        assert {info.stream for info in log.streams(prefix="run-a")} == {*names} - {"run-A~b", "sub-a|x"}
        assert [info.stream for info in log.streams(prefix="run-a%")] == ["run-a%"]
        assert [info.stream for info in log.streams(prefix="run-a_", category="run")] == ["run-a_"]
        assert log.streams(prefix="run-a", category="sub") == []
        assert log.streams(prefix="x") == []
        assert [(info.stream, info.version) for info in log.streams(stream="run-a~b")] == [("run-a~b", 2)]
        assert [info.stream for info in log.streams(stream="run-a")] == ["run-a"]
        assert log.streams(stream="run-a", category="sub") == log.streams(stream="run") == []

    def test_an_append_without_events_changes_nothing(self, log: EventLog) -> None:
        assert log.append(Append("run-1")) == Appended(0, 0)
        assert log.streams() == []
        done = log.append(Append("run-1", new_events(1)))
        assert log.append(Append("run-1", expected=1)) == done
        with pytest.raises(VersionConflictError):
            log.append(Append("run-1", expected=7))

    def test_an_append_needs_a_stream(self, log: EventLog) -> None:
        with pytest.raises(UsageError):
            log.append(Append("", new_events(1)))
        assert log.read_all() == []

    # -- expected versions ------------------------------------------------------------------------

    @pytest.mark.parametrize("expected", [0, 1, 3])
    def test_a_wrong_expectation_is_refused_and_writes_nothing(self, log: EventLog, expected: int) -> None:
        log.append(Append("run-1", new_events(2)))
        with pytest.raises(VersionConflictError) as caught:
            log.append(Append("run-1", new_events(2), expected=expected))
        assert caught.value.data == {"stream": "run-1", "expected": expected, "actual": 2}
        assert log.version("run-1") == len(log.read_all()) == 2

    def test_any_version_is_what_it_says(self, log: EventLog) -> None:
        for count in (1, 2, 3):
            assert log.append(Append("run-1", new_events(1), expected=ANY)).version == count

    # -- idempotence ------------------------------------------------------------------------------

    @pytest.mark.parametrize("expected", [ANY, 1])
    def test_the_same_append_again_returns_the_first_result(self, log: EventLog, expected: int) -> None:
        log.append(Append("run-1", new_events(1)))
        append = Append("run-1", new_events(3), expected=expected)
        first = log.append(append)
        assert log.append(append) == first
        log.append(Append("run-1", new_events(1)))
        assert log.append(append) == first
        assert log.version("run-1") == 5

    def test_the_same_append_twice_in_flight_is_written_once(self, log: EventLog) -> None:
        append = Append("run-1", new_events(2))
        tickets = [log.submit(append) for _ in range(3)]
        assert {ticket.wait() for ticket in tickets} == {tickets[0].wait()}
        assert log.version("run-1") == 2

    def test_an_id_of_another_event_is_refused(self, log: EventLog) -> None:
        first, second, third = new_events(3)
        log.append(Append("run-1", (first, second)))
        for stream, events in [
            ("run-2", (third, first)),
            ("run-1", (second, third)),
            ("run-1", (third, third)),
            ("run-1", (first, third)),
        ]:
            with pytest.raises(DuplicateEventError):
                log.append(Append(stream, events))
        assert len(log.read_all()) == 2
        assert log.append(Append("run-2", (third,))).version == 1

    # -- tickets ----------------------------------------------------------------------------------

    def test_tickets_become_durable_in_the_order_of_submission(self, log: EventLog) -> None:
        tickets = [log.submit(Append(f"run-{n % 7}", new_events(1))) for n in range(300)]
        positions = [ticket.wait().position for ticket in tickets]
        assert positions == sorted(positions)
        assert all(ticket.done for ticket in tickets)
        assert len(log.read_all()) == 300

    def test_what_is_submitted_becomes_durable_without_waiting(self, log: EventLog) -> None:
        done = threading.Event()
        log.submit(Append("run-1", new_events(1))).on_done(done.set)
        assert done.wait(60)
        assert log.version("run-1") == 1

    def test_on_done_of_a_done_ticket_calls_at_once(self, log: EventLog) -> None:
        ticket = log.submit(Append("run-1", new_events(1)))
        ticket.wait()
        called: list[str] = []
        ticket.on_done(lambda: called.append("once"))
        assert called == ["once"]

    def test_a_refused_ticket_raises_whenever_it_is_asked(self, log: EventLog) -> None:
        ticket = log.submit(Append("run-1", new_events(1), expected=5))
        for _ in range(2):
            with pytest.raises(VersionConflictError):
                ticket.wait()
        assert ticket.done

    def test_a_refused_append_takes_its_successors_with_it_but_nobody_else(self, log: EventLog) -> None:
        good = log.submit(Append("run-1", new_events(1), expected=0))
        bad = log.submit(Append("run-1", new_events(1), expected=7))
        successor = log.submit(Append("run-1", new_events(1), expected=8))
        other = log.submit(Append("run-2", new_events(1), expected=0))
        assert (good.wait().version, other.wait().version) == (1, 1)
        for ticket in (bad, successor):
            with pytest.raises(VersionConflictError):
                ticket.wait()
        assert log.version("run-1") == 1

    def test_a_chain_of_expectations_can_be_submitted_ahead(self, log: EventLog) -> None:
        tickets = [log.submit(Append("run-1", new_events(1), expected=n)) for n in range(200)]
        assert [ticket.wait().version for ticket in tickets] == list(range(1, 201))

    # -- threads ----------------------------------------------------------------------------------

    def test_many_threads_append_without_gaps_or_losses(self, log: EventLog) -> None:
        def work(number: int) -> list[Appended]:
            return [
                log.append(Append("run-1" if step % 2 else f"own-{number}", new_events(1)))
                for step in range(20)
            ]

        done = in_threads([partial(work, number) for number in range(8)])
        assert [record.version for record in log.read("run-1")] == list(range(1, 81))
        positions = [appended.position for results in done for appended in results]
        assert sorted(positions) == [record.position for record in log.read_all()]

    def test_of_threads_with_one_expectation_exactly_one_wins(self, log: EventLog) -> None:
        def attempt() -> int:
            try:
                return log.append(Append("run-1", new_events(1), expected=0)).version
            except VersionConflictError:
                return 0

        assert sorted(in_threads([attempt] * 8)) == [0] * 7 + [1]

    # -- the end ----------------------------------------------------------------------------------

    def test_close_commits_what_was_submitted_and_can_be_repeated(self, log: EventLog, opened: Open) -> None:
        first = opened()
        tickets = [first.submit(Append("run-1", new_events(1))) for _ in range(100)]
        first.close()
        first.close()
        assert [ticket.wait().version for ticket in tickets] == list(range(1, 101))
        assert log.version("run-1") == 100

    def test_a_closed_log_says_so(self, log: EventLog) -> None:
        log.close()
        uses: list[Callable[[], object]] = [
            lambda: log.append(Append("run-1", new_events(1))),
            lambda: log.submit(Append("run-1", new_events(1))),
            lambda: log.read("run-1"),
            log.read_all,
            lambda: log.version("run-1"),
            log.streams,
            log.subscribe,
        ]
        for use in uses:
            with pytest.raises(LogClosedError):
                use()

    def test_threads_that_append_while_it_is_closed_lose_nothing(self, log: EventLog, opened: Open) -> None:
        first = opened()
        ready = threading.Barrier(5)

        def work() -> int:
            ready.wait(60)
            count = 0
            try:
                while True:
                    first.append(Append("run-1", new_events(1)))
                    count += 1
            except LogClosedError:
                return count

        def end() -> int:
            ready.wait(60)
            while not log.version("run-1"):
                pass
            first.close()
            return 0

        assert sum(in_threads([work, work, work, work, end])) == log.version("run-1") > 0
