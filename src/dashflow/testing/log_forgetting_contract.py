"""The event log's contract, fourth part: history that is forgotten for good."""

from __future__ import annotations

from functools import partial

import pytest

from dashflow.errors import (
    DuplicateEventError,
    FencedError,
    OwnershipConflictError,
    UsageError,
    VersionConflictError,
)
from dashflow.log.base import ANY, EVERYTHING, Append, EventLog, Record
from dashflow.testing.log_case import AT, LogCase, Open, in_threads, new_event, new_events, owner_of, versions


class ForgettingContract(LogCase):
    """What every backend must do with ``Append.forget``."""

    # -- what goes and what stays -----------------------------------------------------------------

    def test_events_up_to_a_version_go_and_the_rest_stays_as_it_was(self, log: EventLog) -> None:
        log.append(Append("run-1", new_events(2)))
        log.append(Append("run-2", new_events(2)))
        log.append(Append("run-1", new_events(3)))
        kept = [record for record in log.read_all() if record.stream == "run-2" or record.version > 3]
        log.append(Append("run-1", expected=5, forget=3))
        assert log.read_all() == kept
        assert log.read_all(category="run") == kept
        assert log.read("run-1") == kept[2:]
        assert versions(log.read("run-1")) == [4, 5]
        assert (log.version("run-1"), log.version("run-2")) == (5, 2)

    def test_read_bounds_are_versions_still(self, log: EventLog) -> None:
        log.append(Append("run-1", new_events(6)))
        log.append(Append("run-1", forget=2))
        for after, upto, limit, found in [
            (0, None, None, [3, 4, 5, 6]),
            (1, None, 2, [3, 4]),
            (3, 5, None, [4, 5]),
            (0, 2, None, []),
            (0, 3, None, [3]),
            (6, None, None, []),
        ]:
            assert versions(log.read("run-1", after=after, upto=upto, limit=limit)) == found

    def test_the_events_of_the_same_append_stay(self, log: EventLog) -> None:
        log.append(Append("run-1", new_events(3)))
        tombstone = new_event("Deleted", data=b"by request")
        assert log.append(Append("run-1", [tombstone], expected=3, forget=EVERYTHING)).version == 4
        (record,) = log.read("run-1")
        assert (record.version, record.type, record.data) == (4, "Deleted", b"by request")
        assert log.read_all() == [record]
        # A number that is larger than all there was means the same.
        assert log.append(Append("run-1", new_events(2), forget=99)).version == 6
        assert versions(log.read("run-1")) == [5, 6]

    def test_a_stream_without_events_is_known_by_its_version(self, log: EventLog) -> None:
        log.append(Append("run-1", new_events(3)))
        done = log.append(Append("run-1", expected=3, forget=EVERYTHING))
        assert done.version == 3
        assert log.read("run-1") == log.read_all() == []
        assert log.streams() == []
        assert log.version("run-1") == 3
        for expected in (0, 1, 2):
            with pytest.raises(VersionConflictError):
                log.append(Append("run-1", new_events(1), expected=expected))
        assert log.append(Append("run-1", new_events(2), expected=3)).version == 5
        assert versions(log.read("run-1")) == [4, 5]
        (info,) = log.streams()
        assert (info.stream, info.version) == ("run-1", 5)

    def test_no_position_is_used_twice(self, log: EventLog, opened: Open) -> None:
        log.append(Append("run-1", new_events(1)))
        last = log.append(Append("run-2", new_events(3))).position
        log.append(Append("run-2", forget=EVERYTHING))
        assert log.append(Append("run-3", new_events(1))).position > last
        log.append(Append("run-3", forget=EVERYTHING))
        log.append(Append("run-1", forget=EVERYTHING))
        assert log.read_all() == []
        log.close()
        again = opened()
        assert again.append(Append("run-1", new_events(1))).position > last + 1

    def test_streams_tell_of_a_forgotten_beginning(self, log: EventLog) -> None:
        log.append(Append("run-1", [new_event(at=AT), new_event(at=AT + 5)]))
        log.append(Append("run-1", [new_event(at=AT + 9)], forget=EVERYTHING))
        (info,) = log.streams()
        assert (info.version, info.created_at, info.updated_at) == (3, AT, AT + 9)

    def test_forgetting_again_or_what_was_never_there(self, log: EventLog) -> None:
        log.append(Append("run-1", new_events(3)))
        for upto in (2, 2, 1, 0):
            assert log.append(Append("run-1", forget=upto)).version == 3
            assert versions(log.read("run-1")) == [3]
        assert log.append(Append("none-1", forget=EVERYTHING)).version == 0
        assert log.version("none-1") == 0
        assert log.append(Append("fresh-1", new_events(2), forget=EVERYTHING)).version == 2
        assert versions(log.read("fresh-1")) == [1, 2]

    def test_a_negative_version_is_refused(self, log: EventLog) -> None:
        log.append(Append("run-1", new_events(1)))
        with pytest.raises(UsageError):
            log.append(Append("run-1", new_events(1), forget=-1))
        assert versions(log.read("run-1")) == [1]

    # -- all or nothing ---------------------------------------------------------------------------

    @pytest.mark.parametrize("reason", ["version", "owner", "fenced", "duplicate"])
    def test_what_is_refused_forgets_nothing(self, log: EventLog, opened: Open, reason: str) -> None:
        first = new_event()
        log.append(Append("run-1", [first, *new_events(2)], owner=owner_of(log), claim=True))
        before = log.read("run-1")
        append, error = {
            "version": (Append("run-1", new_events(1), 7, forget=2), VersionConflictError),
            "owner": (Append("run-1", unowned=True, forget=EVERYTHING), OwnershipConflictError),
            "fenced": (
                Append("run-1", new_events(1), owner=owner_of(log), epoch=0, forget=EVERYTHING),
                FencedError,
            ),
            "duplicate": (Append("run-1", [new_event(), first], forget=EVERYTHING), DuplicateEventError),
        }[reason]
        with pytest.raises(error):
            opened().append(append)
        assert log.read("run-1") == before
        assert log.read_all() == before

    @pytest.mark.parametrize("expected", [ANY, 3])
    def test_the_same_append_again_forgets_no_more(self, log: EventLog, expected: int) -> None:
        log.append(Append("run-1", new_events(3)))
        append = Append("run-1", new_events(1), expected, forget=EVERYTHING)
        first = log.append(append)
        assert log.append(append) == first
        log.append(Append("run-1", new_events(1)))
        assert log.append(append) == first
        assert versions(log.read("run-1")) == [4, 5]

    def test_a_late_write_to_what_was_forgotten_is_refused(self, log: EventLog) -> None:
        late = Append("run-1", new_events(1), expected=0)
        log.append(late)
        log.append(Append("run-1", [new_event("Deleted")], forget=EVERYTHING))
        for append in (late, Append("run-1", new_events(1), expected=1)):
            with pytest.raises(VersionConflictError):
                log.append(append)
        assert versions(log.read("run-1")) == [2]

    def test_the_owner_goes_on_after_a_beginning_was_forgotten(self, log: EventLog) -> None:
        owner = owner_of(log)
        epoch = log.append(Append("run-1", new_events(3), owner=owner, claim=True)).epoch
        done = log.append(Append("run-1", new_events(1), 3, owner=owner, epoch=epoch, forget=3))
        assert (done.version, done.epoch) == (4, epoch)
        assert log.append(Append("run-1", new_events(1), 4, owner=owner, epoch=epoch)).version == 5
        assert log.streams()[0].owner == owner

    def test_appends_in_one_queue_are_taken_in_order(self, log: EventLog) -> None:
        tickets = [
            log.submit(Append("run-1", new_events(2), expected=0)),
            log.submit(Append("run-1", new_events(1), expected=2, forget=EVERYTHING)),
            log.submit(Append("run-2", new_events(1))),
            log.submit(Append("run-1", expected=3, forget=EVERYTHING)),
            log.submit(Append("run-1", new_events(1), expected=3)),
        ]
        assert [ticket.wait().version for ticket in tickets] == [2, 3, 1, 3, 4]
        assert [(r.stream, r.version) for r in log.read_all()] == [("run-2", 1), ("run-1", 4)]

    # -- others who look ----------------------------------------------------------------------------

    def test_another_log_sees_that_it_is_gone(self, log: EventLog, opened: Open) -> None:
        log.append(Append("run-1", new_events(3)))
        other = opened()
        assert versions(other.read("run-1")) == [1, 2, 3]
        log.append(Append("run-1", forget=2))
        assert versions(other.read("run-1")) == [3]
        assert other.append(Append("run-1", new_events(1), expected=3)).version == 4
        other.append(Append("run-1", forget=EVERYTHING))
        assert log.append(Append("run-1", new_events(1), expected=4)).version == 5
        assert versions(log.read("run-1")) == [5]

    def test_subscriptions_go_on_past_what_was_forgotten(self, log: EventLog) -> None:
        log.append(Append("run-1", new_events(4)))
        kinds = [log.subscribe(), log.subscribe(stream="run-1"), log.subscribe(category="run")]
        for subscription in kinds:
            assert versions(subscription.poll(timeout=60, limit=2)) == [1, 2]
        middle = log.read("run-1")[2].position
        log.append(Append("run-1", [new_event("Deleted")], forget=EVERYTHING))
        # What a subscription had read ahead it may still hand out.
        for subscription in kinds:
            found: list[Record] = []
            while 5 not in versions(found):
                found += subscription.poll(timeout=60)
            assert sorted(set(versions(found)) - {3, 4}) == [5]
            assert subscription.poll(timeout=0) == []
            subscription.close()
        for late in (log.subscribe(after=middle), log.subscribe(after=middle, stream="run-1")):
            assert versions(late.poll(timeout=60)) == [5]
            late.close()

    def test_forgetting_beside_writers(self, log: EventLog, opened: Open) -> None:
        other = opened()

        def write(source: EventLog, stream: str) -> None:
            for _ in range(30):
                source.append(Append(stream, new_events(2)))

        def forget(source: EventLog) -> None:
            for _ in range(15):
                source.append(Append("run-1", [new_event("Summed")], forget=EVERYTHING))

        in_threads(
            [
                partial(write, log, "run-1"),
                partial(write, other, "run-1"),
                partial(write, log, "run-2"),
                partial(forget, log),
                partial(forget, other),
            ]
        )
        assert log.version("run-1") == 150
        found = versions(log.read("run-1"))
        assert found == list(range(found[0], 151))
        assert log.read("run-1")[0].type == "Summed"
        assert versions(log.read("run-2")) == list(range(1, 61))
