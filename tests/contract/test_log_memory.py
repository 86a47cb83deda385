"""The log in memory keeps the contract, and acts as two processes where a test needs them."""

from pathlib import Path

import pytest

from dashflow.errors import FencedError, OwnershipConflictError
from dashflow.log.base import Append, EventLog
from dashflow.log.memory import MemoryLog, MemoryStore
from dashflow.testing.log_case import new_events
from dashflow.testing.log_contract import EventLogContract

pytestmark = pytest.mark.feature("LOG-01")


class TestMemoryLog(EventLogContract):
    @pytest.fixture(autouse=True)
    def _store(self) -> None:
        self.store = MemoryStore()

    def open_log(self, place: Path) -> EventLog:
        return MemoryLog(self.store)

    def kill(self, log: EventLog) -> None:
        assert isinstance(log, MemoryLog)
        log.abandon()


class Clock:
    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


def test_an_owner_past_its_lease_is_replaced_and_fenced() -> None:
    clock = Clock()
    store = MemoryStore()
    first = MemoryLog(store, clock=clock, lease_seconds=10)
    second = MemoryLog(store, clock=clock, lease_seconds=10)
    a, b = first.instance + "/r", second.instance + "/r"
    epoch = first.append(Append("run-1", new_events(1), owner=a, claim=True)).epoch
    clock.now = 9_999_999_999
    with pytest.raises(OwnershipConflictError):
        second.append(Append("run-1", owner=b, claim=True))
    clock.now = 10_000_000_000
    # Its own log knows that it is alive, and nobody has taken over yet.
    with pytest.raises(OwnershipConflictError):
        first.append(Append("run-1", owner=first.instance + "/x", claim=True))
    assert second.append(Append("run-1", owner=b, claim=True)).epoch == epoch + 1
    with pytest.raises(FencedError):
        first.append(Append("run-1", new_events(1), owner=a, epoch=epoch))


def test_an_append_renews_the_lease() -> None:
    clock = Clock()
    store = MemoryStore()
    first = MemoryLog(store, clock=clock, lease_seconds=10)
    second = MemoryLog(store, clock=clock, lease_seconds=10)
    epoch = first.append(Append("run-1", owner=first.instance + "/r", claim=True)).epoch
    clock.now = 8_000_000_000
    first.append(Append("run-1", new_events(1), owner=first.instance + "/r", epoch=epoch))
    clock.now = 16_000_000_000
    with pytest.raises(OwnershipConflictError):
        second.append(Append("run-1", owner=second.instance + "/r", claim=True))


def test_the_owners_of_an_abandoned_log_are_dead() -> None:
    store = MemoryStore()
    first, second = MemoryLog(store), MemoryLog(store)
    first.append(Append("run-1", new_events(1), owner=first.instance + "/r", claim=True))
    first.abandon()
    assert second.streams()[0].owner == ""
    assert second.append(Append("run-1", owner=second.instance + "/r", claim=True)).epoch == 2


def test_the_owners_of_a_forgotten_log_are_dead() -> None:
    store = MemoryStore()
    first, second = MemoryLog(store), MemoryLog(store)
    first.append(Append("run-1", new_events(1), owner=first.instance + "/r", claim=True))
    del first
    assert second.append(Append("run-1", owner=second.instance + "/r", claim=True)).epoch == 2
