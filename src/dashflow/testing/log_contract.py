"""The event log's contract as tests: subclass ``EventLogContract``, say how to open your backend.

::

    class TestMyLog(EventLogContract):
        def open_log(self, place: Path) -> EventLog:
            return MyLog(place / "log", clock=self.clock)

        def kill(self, log: EventLog) -> None:
            self.clock.now += 3_600_000_000_000  # all leases have run out

Needs pytest, with pytest-asyncio in automatic mode for the one test on an event loop. Judges by the
port alone; what only one backend has (files, locks, damage) belongs into that backend's own tests.
"""

from __future__ import annotations

from dashflow.testing.log_append_contract import AppendContract
from dashflow.testing.log_blob_contract import BlobContract
from dashflow.testing.log_filter_contract import FilterContract
from dashflow.testing.log_forgetting_contract import ForgettingContract
from dashflow.testing.log_ownership_contract import OwnershipContract
from dashflow.testing.log_snapshot_contract import SnapshotContract
from dashflow.testing.log_subscription_contract import SubscriptionContract
from dashflow.testing.log_takeover_contract import TakeoverContract
from dashflow.testing.log_view_contract import ViewContract


class EventLogContract(
    AppendContract,
    OwnershipContract,
    SubscriptionContract,
    ForgettingContract,
    TakeoverContract,
    FilterContract,
    BlobContract,
    SnapshotContract,
    ViewContract,
):
    """All of it."""
