"""The event log's contract, second part: who may write to a stream."""

from __future__ import annotations

from functools import partial

import pytest

from dashflow.errors import (
    FencedError,
    OwnershipConflictError,
    UsageError,
)
from dashflow.log.base import ANY, Append, Appended, EventLog
from dashflow.testing.log_case import AT, LogCase, Open, in_threads, new_events


class OwnershipContract(LogCase):
    """What every backend must do with owners, epochs and releases."""

    def test_claim_with_events_in_one_commit(self, log: EventLog) -> None:
        owner = log.instance + "/r"
        appended = log.append(Append("run-1", new_events(2), 0, owner=owner, claim=True))
        assert (appended.version, appended.epoch) == (2, 1)
        assert [record.epoch for record in log.read("run-1")] == [1, 1]
        assert log.streams()[0].owner == owner

    def test_a_second_claim_is_refused_and_writes_nothing(self, log: EventLog, opened: Open) -> None:
        owner = log.instance + "/r"
        log.append(Append("run-1", new_events(1), owner=owner, claim=True))
        other = opened()
        for claimant, instance in ((log, log.instance), (other, other.instance)):
            for expected in (ANY, 0, 1):
                with pytest.raises(OwnershipConflictError) as caught:
                    claimant.append(
                        Append("run-1", new_events(1), expected, owner=instance + "/x", claim=True)
                    )
                assert caught.value.data == {"stream": "run-1", "owner": owner}
        assert log.version("run-1") == 1

    def test_release_lets_the_next_one_in_with_a_higher_epoch(self, log: EventLog, opened: Open) -> None:
        other = opened()
        epochs = []
        for claimant in (log, other, log):
            owner = claimant.instance + "/r"
            epoch = claimant.append(Append("run-1", new_events(1), owner=owner, claim=True)).epoch
            assert claimant.append(Append("run-1", new_events(1), owner=owner, epoch=epoch)).epoch == epoch
            claimant.append(Append("run-1", new_events(1), owner=owner, epoch=epoch, release=True))
            epochs.append(epoch)
            assert log.streams()[0].owner == ""
        assert epochs == [1, 2, 3]
        assert [record.epoch for record in log.read("run-1")] == [1] * 3 + [2] * 3 + [3] * 3

    def test_claim_and_release_in_one_commit(self, log: EventLog) -> None:
        owner = log.instance + "/r"
        for epoch in (1, 2):
            done = log.append(Append("run-1", new_events(1), owner=owner, claim=True, release=True))
            assert (done.epoch, log.streams()[0].owner) == (epoch, "")

    def test_who_is_not_the_owner_any_more_is_fenced(self, log: EventLog, opened: Open) -> None:
        first, second = log.instance + "/a", log.instance + "/b"
        old = log.append(Append("run-1", new_events(1), owner=first, claim=True)).epoch
        log.append(Append("run-1", owner=first, epoch=old, release=True))
        log.append(Append("run-1", owner=second, claim=True))
        for late in (
            Append("run-1", new_events(1), 1, owner=first, epoch=old),
            Append("run-1", new_events(1), 0, owner=first, epoch=old),
            Append("run-1", new_events(1), owner=second, epoch=old),
            Append("run-1", owner=first, epoch=old, release=True),
        ):
            with pytest.raises(FencedError):
                log.append(late)
        assert log.version("run-1") == 1
        assert log.streams()[0].owner == second

    def test_an_owner_that_never_claimed_is_fenced(self, log: EventLog) -> None:
        with pytest.raises(FencedError):
            log.append(Append("run-1", new_events(1), owner=log.instance + "/r", epoch=1))
        assert log.read_all() == []

    def test_others_may_write_to_an_owned_stream_unless_they_ask_not_to(
        self, log: EventLog, opened: Open
    ) -> None:
        other = opened()
        owner = log.instance + "/r"
        epoch = log.append(Append("run-1", new_events(1), owner=owner, claim=True)).epoch
        assert other.append(Append("run-1", new_events(1))).epoch == 0
        with pytest.raises(OwnershipConflictError):
            other.append(Append("run-1", new_events(1), unowned=True))
        log.append(Append("run-1", owner=owner, epoch=epoch, release=True))
        assert other.append(Append("run-1", new_events(1), unowned=True)).version == 3

    def test_a_claim_without_events_lists_no_stream_yet(self, log: EventLog) -> None:
        owner = log.instance + "/r"
        assert log.append(Append("run-1", owner=owner, claim=True)) == Appended(0, 0, 1)
        assert log.streams() == []
        assert log.append(Append("run-1", new_events(1), 0, owner=owner, epoch=1)).version == 1
        assert log.streams()[0].created_at == AT

    def test_a_claim_needs_an_owner_of_this_log(self, log: EventLog) -> None:
        for owner in ("", "somebody/else", log.instance):
            with pytest.raises(UsageError):
                log.append(Append("run-1", new_events(1), owner=owner, claim=True))
        with pytest.raises(UsageError):
            log.append(Append("run-1", new_events(1), release=True))
        assert log.read_all() == []

    def test_close_gives_up_what_is_owned(self, log: EventLog, opened: Open) -> None:
        first = opened()
        first.append(Append("run-1", new_events(1), owner=first.instance + "/r", claim=True))
        first.close()
        assert log.streams()[0].owner == ""
        assert log.append(Append("run-1", owner=log.instance + "/r", claim=True)).epoch == 2

    def test_of_threads_that_claim_exactly_one_wins(self, log: EventLog) -> None:
        def claim(number: int) -> int:
            try:
                owner = f"{log.instance}/{number}"
                return log.append(Append("run-1", new_events(1), owner=owner, claim=True)).epoch
            except OwnershipConflictError:
                return 0

        assert sorted(in_threads([partial(claim, number) for number in range(8)])) == [0] * 7 + [1]

    def test_a_late_retry_of_a_lost_owner_learns_that_it_was_written(self, log: EventLog) -> None:
        owner, other = log.instance + "/a", log.instance + "/b"
        append = Append("run-1", new_events(2), 0, owner=owner, claim=True)
        first = log.append(append)
        log.append(Append("run-1", owner=owner, epoch=first.epoch, release=True))
        log.append(Append("run-1", owner=other, claim=True))
        assert log.append(append) == first
