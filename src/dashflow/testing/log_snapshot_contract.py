"""The event log's contract, eighth part: what folding a stream came to, kept beside it."""

from __future__ import annotations

import os

import pytest

from dashflow.log.base import EVERYTHING, Append, EventLog, Snapshot
from dashflow.testing.log_case import LogCase, Open, new_event, new_events


class SnapshotContract(LogCase):
    """What every backend must do with ``keep_snapshot`` and ``snapshot``."""

    def test_the_latest_one_is_found(self, log: EventLog, opened: Open) -> None:
        log.append(Append("run-1", new_events(9)))
        log.append(Append("run-2", new_events(9)))
        assert log.snapshot("run-1") is None
        assert log.snapshot("none-1") is None
        for version in (5, 2, 8):
            log.keep_snapshot("run-1", Snapshot(version, str(version).encode(), 3))
        for source in (log, opened()):
            assert source.snapshot("run-1") == Snapshot(8, b"8", 3)
            assert source.snapshot("run-1", upto=8) == Snapshot(8, b"8", 3)
            assert source.snapshot("run-1", upto=7) == Snapshot(5, b"5", 3)
            assert source.snapshot("run-1", upto=2) == Snapshot(2, b"2", 3)
            assert source.snapshot("run-1", upto=1) is None
            assert source.snapshot("run-1", upto=0) is None
            assert source.snapshot("run-1", upto=99) == Snapshot(8, b"8", 3)
            assert source.snapshot("run-2") is None

    @pytest.mark.parametrize(
        "data", [b"", b"state " * 50_000, os.urandom(100_000)], ids=["empty", "text", "noise"]
    )
    def test_any_bytes_come_back(self, log: EventLog, data: bytes) -> None:
        log.append(Append("run-1", new_events(1)))
        log.keep_snapshot("run-1", Snapshot(1, data))
        assert log.snapshot("run-1") == Snapshot(1, data)

    def test_a_later_one_of_the_same_version_replaces_it(self, log: EventLog, opened: Open) -> None:
        log.append(Append("run-1", new_events(3)))
        log.keep_snapshot("run-1", Snapshot(3, b"old", 1))
        opened().keep_snapshot("run-1", Snapshot(3, b"new", 2))
        assert log.snapshot("run-1") == Snapshot(3, b"new", 2)

    def test_alone_it_replaces_all_of_the_stream(self, log: EventLog) -> None:
        for stream in ("run-1", "run-2"):
            log.append(Append(stream, new_events(9)))
            for version in (2, 8):
                log.keep_snapshot(stream, Snapshot(version, b"x"))
        log.keep_snapshot("run-1", Snapshot(99, b"y"), alone=True)  # ignored, so nothing is replaced
        assert log.snapshot("run-1") == Snapshot(8, b"x")
        log.keep_snapshot("run-1", Snapshot(5, b"y"), alone=True)
        assert log.snapshot("run-1") == Snapshot(5, b"y")
        assert log.snapshot("run-1", upto=4) is None
        assert log.snapshot("run-2", upto=4) == Snapshot(2, b"x")

    def test_of_a_version_that_is_not_there_it_is_ignored(self, log: EventLog) -> None:
        log.append(Append("run-1", new_events(3)))
        for stream, version in (("run-1", 4), ("run-1", 0), ("run-1", -1), ("none-1", 1)):
            log.keep_snapshot(stream, Snapshot(version, b"x"))
            assert log.snapshot(stream) is None
        assert log.streams()[0].version == 3
        log.append(Append("run-1", new_events(1)))
        assert log.snapshot("run-1") is None

    def test_what_is_submitted_but_not_there_yet_is_no_reason_to_fail(self, log: EventLog) -> None:
        ticket = log.submit(Append("run-1", new_events(3)))
        log.keep_snapshot("run-1", Snapshot(3, b"x"))
        ticket.wait()
        assert log.snapshot("run-1") in (None, Snapshot(3, b"x"))

    def test_forgetting_takes_the_snapshots_up_to_there(self, log: EventLog) -> None:
        log.append(Append("run-1", new_events(6)))
        log.append(Append("run-2", new_events(6)))
        for version in (2, 4, 6):
            log.keep_snapshot("run-1", Snapshot(version, str(version).encode()))
            log.keep_snapshot("run-2", Snapshot(version, str(version).encode()))
        log.append(Append("run-1", forget=4))
        assert log.snapshot("run-1") == Snapshot(6, b"6")
        assert log.snapshot("run-1", upto=5) is None
        log.keep_snapshot("run-1", Snapshot(4, b"again"))
        assert log.snapshot("run-1", upto=5) is None
        log.keep_snapshot("run-1", Snapshot(5, b"5"))
        assert log.snapshot("run-1", upto=5) == Snapshot(5, b"5")
        log.append(Append("run-1", [new_event("Deleted")], forget=EVERYTHING))
        assert log.snapshot("run-1") is None
        log.append(Append("run-1", forget=EVERYTHING))
        log.keep_snapshot("run-1", Snapshot(7, b"7"))
        assert log.snapshot("run-1") is None
        assert log.snapshot("run-2") == Snapshot(6, b"6")
        assert log.snapshot("run-2", upto=3) == Snapshot(2, b"2")

    def test_appends_go_on_beside_snapshots(self, log: EventLog, opened: Open) -> None:
        other = opened()
        for version in range(1, 21):
            source = log if version % 2 else other
            assert source.append(Append("run-1", new_events(1), expected=version - 1)).version == version
            source.keep_snapshot("run-1", Snapshot(version, str(version).encode()))
        assert log.snapshot("run-1") == Snapshot(20, b"20")
        assert log.snapshot("run-1", upto=13) == Snapshot(13, b"13")
