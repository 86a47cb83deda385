"""The event log's contract, fifth part: owners that died, and owners that are put out."""

from __future__ import annotations

import pytest

from dashflow.errors import FencedError, OwnershipConflictError, UsageError, VersionConflictError
from dashflow.log.base import Append, EventLog
from dashflow.testing.log_case import LogCase, Open, new_events, owner_of, versions


class TakeoverContract(LogCase):
    """What every backend must do with ``Append.force`` and ``abandoned``."""

    # -- by force -----------------------------------------------------------------------------------

    def test_force_puts_a_living_owner_out(self, log: EventLog, opened: Open) -> None:
        other = opened()
        first, second = owner_of(log), owner_of(other)
        old = log.append(Append("run-1", new_events(1), owner=first, claim=True)).epoch
        new = other.append(Append("run-1", new_events(1), owner=second, claim=True, force=True)).epoch
        assert new == old + 1
        assert log.streams()[0].owner == second
        for late in (
            Append("run-1", new_events(1), owner=first, epoch=old),
            Append("run-1", new_events(1), 2, owner=first, epoch=old),
            Append("run-1", owner=first, epoch=old, release=True),
            Append("run-1", owner=first, epoch=old, forget=1),
        ):
            with pytest.raises(FencedError):
                log.append(late)
        with pytest.raises(OwnershipConflictError):
            log.append(Append("run-1", owner=first, claim=True))
        assert versions(log.read("run-1")) == [1, 2]
        assert other.append(Append("run-1", new_events(1), 2, owner=second, epoch=new)).version == 3

    def test_force_within_one_log(self, log: EventLog) -> None:
        first, second = owner_of(log, "a"), owner_of(log, "b")
        old = log.append(Append("run-1", new_events(1), owner=first, claim=True)).epoch
        log.append(Append("run-1", owner=second, claim=True, force=True))
        with pytest.raises(FencedError):
            log.append(Append("run-1", new_events(1), owner=first, epoch=old))
        assert log.streams()[0].owner == second

    def test_force_where_nobody_is_in_the_way(self, log: EventLog) -> None:
        for epoch in (1, 2):
            done = log.append(
                Append("run-1", new_events(1), owner=owner_of(log), claim=True, force=True, release=True)
            )
            assert done.epoch == epoch

    def test_force_does_not_excuse_a_wrong_version(self, log: EventLog, opened: Open) -> None:
        first = owner_of(log)
        epoch = log.append(Append("run-1", new_events(1), owner=first, claim=True)).epoch
        other = opened()
        with pytest.raises(VersionConflictError):
            other.append(Append("run-1", new_events(1), 7, owner=owner_of(other), claim=True, force=True))
        assert log.append(Append("run-1", new_events(1), owner=first, epoch=epoch)).version == 2

    def test_force_may_leave_the_stream_with_the_instance_that_it_takes_it_from(
        self, log: EventLog, opened: Open
    ) -> None:
        owner, other = opened(), opened()
        first = owner_of(owner)
        old = owner.append(Append("run-1", new_events(1), owner=first, claim=True)).epoch
        after = f"{first}/after"
        new = other.append(Append("run-1", new_events(1), owner=after, claim=True, force=True)).epoch
        with pytest.raises(FencedError):
            owner.append(Append("run-1", new_events(1), owner=first, epoch=old))
        with pytest.raises(OwnershipConflictError):
            other.append(Append("run-1", owner=owner_of(other), claim=True))
        other.close()  # which gives up what is its own
        assert log.streams()[0].owner == after
        assert owner.append(Append("run-1", owner=after, claim=True)).epoch == new + 1
        owner.close()
        assert log.append(Append("run-1", owner=owner_of(log), claim=True)).epoch == new + 2

    def test_force_is_for_claims(self, log: EventLog) -> None:
        with pytest.raises(UsageError):
            log.append(Append("run-1", new_events(1), force=True))
        assert log.read_all() == []

    def test_who_was_put_out_gives_nothing_up_that_is_not_its_own(self, log: EventLog, opened: Open) -> None:
        first = opened()
        first.append(Append("run-1", new_events(1), owner=owner_of(first), claim=True))
        epoch = log.append(Append("run-1", owner=owner_of(log), claim=True, force=True)).epoch
        first.close()
        assert log.streams()[0].owner == owner_of(log)
        assert log.append(Append("run-1", new_events(1), owner=owner_of(log), epoch=epoch)).version == 2

    # -- abandoned ----------------------------------------------------------------------------------

    def test_nothing_is_abandoned_while_owners_live_or_release(self, log: EventLog, opened: Open) -> None:
        other = opened()
        assert log.abandoned() == []
        other.append(Append("run-1", new_events(1), owner=owner_of(other), claim=True))
        other.append(Append("run-2", new_events(1), owner=owner_of(other), claim=True, release=True))
        other.append(Append("run-3", new_events(1)))
        assert log.abandoned() == other.abandoned() == []

    def test_what_a_closed_log_had_not_released_is_abandoned(self, log: EventLog, opened: Open) -> None:
        """Its program has ended in the middle of something, in an orderly way."""
        other = opened()
        other.append(Append("run-1", new_events(1), owner=owner_of(other), claim=True))
        other.append(Append("run-2", new_events(1), owner=owner_of(other), claim=True, release=True))
        other.close()
        assert [(info.stream, info.owner) for info in log.abandoned()] == [("run-1", owner_of(other))]
        assert log.append(Append("run-1", owner=owner_of(log), claim=True)).epoch == 2
        assert log.abandoned() == []

    def test_the_streams_of_a_dead_owner_are_abandoned_oldest_first(
        self, log: EventLog, opened: Open
    ) -> None:
        dead = opened()
        epochs = [
            dead.append(Append(name, new_events(2), owner=owner_of(dead, name), claim=True)).epoch
            for name in ("run-1", "plan-1", "run-2", "run-3")
        ]
        dead.append(Append("run-1", new_events(1), owner=owner_of(dead, "run-1"), epoch=epochs[0]))
        dead.append(Append("run-3", owner=owner_of(dead, "run-3"), epoch=epochs[3], release=True))
        self.kill(dead)
        found = log.abandoned()
        assert [(info.stream, info.owner) for info in found] == [
            (name, owner_of(dead, name)) for name in ("plan-1", "run-2", "run-1")
        ]
        assert (found[2].category, found[2].version) == ("run", 3)
        assert [info.stream for info in log.abandoned(category="run")] == ["run-2", "run-1"]
        assert log.abandoned(category="nothing") == []
        assert all(info.owner == "" for info in log.streams())

    def test_what_was_taken_over_is_abandoned_no_more(self, log: EventLog, opened: Open) -> None:
        dead = opened()
        for name in ("run-1", "run-2"):
            dead.append(Append(name, new_events(1), owner=owner_of(dead), claim=True))
        self.kill(dead)
        assert log.append(Append("run-1", owner=owner_of(log), claim=True)).epoch == 2
        assert [info.stream for info in log.abandoned()] == ["run-2"]
        log.append(Append("run-2", owner=owner_of(log), claim=True, release=True))
        assert log.abandoned() == []

    def test_a_claim_without_an_event_leaves_nothing_to_finish(self, log: EventLog, opened: Open) -> None:
        dead = opened()
        dead.append(Append("run-1", owner=owner_of(dead), claim=True))
        self.kill(dead)
        assert log.abandoned() == []
