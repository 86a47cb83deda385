"""The event log's contract as tests: subclass ``EventLogContract``, say how to open your backend.

::

    class TestMyLog(EventLogContract):
        def open_log(self, place: Path) -> EventLog:
            return MyLog(place / "log")

Needs pytest, with pytest-asyncio in automatic mode for the one test on an event loop. Judges by the
port alone; what only one backend has (files, locks, damage) belongs into that backend's own tests.
"""

from __future__ import annotations

from dashflow.testing.log_append_contract import AppendContract
from dashflow.testing.log_ownership_contract import OwnershipContract
from dashflow.testing.log_subscription_contract import SubscriptionContract


class EventLogContract(AppendContract, OwnershipContract, SubscriptionContract):
    """All of it."""
