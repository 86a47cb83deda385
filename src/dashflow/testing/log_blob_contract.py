"""The event log's contract, seventh part: large values beside the events that name them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from hashlib import sha256

import pytest

from dashflow.errors import MissingBlobError, VersionConflictError
from dashflow.log.base import ANY, EVERYTHING, Append, EventLog, NewEvent
from dashflow.testing.log_case import LogCase, Open, in_threads, new_event, new_events, owner_of


def blob_of(data: bytes) -> dict[bytes, bytes]:
    """A blob under the hash of its content."""
    return {sha256(data).digest(): data}


def naming(*blobs: Mapping[bytes, bytes]) -> NewEvent:
    """An event that needs these blobs."""
    event = new_event()
    return NewEvent(
        event.type,
        event.data,
        event.event_id,
        event.at,
        blobs={k: v for blob in blobs for k, v in blob.items()},
    )


def has(log: EventLog, blob: Mapping[bytes, bytes]) -> bool:
    """Whether the log has all of these blobs, as they are."""
    found = []
    for key, data in blob.items():
        try:
            assert log.blob(key) == data
            found.append(True)
        except MissingBlobError:
            found.append(False)
    assert len(set(found)) == 1
    return found[0]


class BlobContract(LogCase):
    """What every backend must do with ``NewEvent.blobs`` and ``blob``."""

    @pytest.mark.parametrize(
        "data",
        [b"", b"\0", b"word " * 10_000, os.urandom(300_000), bytes(3_000_000)],
        ids=["empty", "nul", "text", "noise", "zeros"],
    )
    def test_a_blob_comes_back_as_it_was_written(self, log: EventLog, opened: Open, data: bytes) -> None:
        blob = blob_of(data)
        log.append(Append("run-1", [naming(blob)]))
        assert has(log, blob)
        assert has(opened(), blob)
        assert log.read("run-1")[0].data == b"payload"

    def test_several_blobs_of_several_events(self, log: EventLog) -> None:
        blobs = [blob_of(str(number).encode() * 1000) for number in range(5)]
        log.append(Append("run-1", [naming(*blobs[:3]), new_event(), naming(*blobs[2:])]))
        assert all(has(log, blob) for blob in blobs)

    @pytest.mark.parametrize("size", [1, 16, 20, 32, 64])
    def test_keys_are_any_bytes(self, log: EventLog, size: int) -> None:
        key = bytes(range(size))
        log.append(Append("run-1", [naming({key: b"value"})]))
        assert log.blob(key) == b"value"

    def test_a_key_that_is_not_there(self, log: EventLog) -> None:
        log.append(Append("run-1", [naming(blob_of(b"one"))]))
        with pytest.raises(MissingBlobError) as caught:
            log.blob(b"\xab\xcd")
        assert caught.value.data == {"where": log.where, "key": "abcd"}

    def test_what_the_log_has_is_not_stored_again(self, log: EventLog, opened: Open) -> None:
        log.append(Append("run-1", [naming({b"key": b"first"})]))
        for source in (log, opened()):
            source.append(Append("run-2", [naming({b"key": b"second"})]))
            assert source.blob(b"key") == b"first"

    def test_what_is_refused_leaves_no_blob(self, log: EventLog) -> None:
        blob = blob_of(b"value")
        log.append(Append("run-1", new_events(1)))
        with pytest.raises(VersionConflictError):
            log.append(Append("run-1", [naming(blob)], expected=7))
        assert not has(log, blob)

    @pytest.mark.parametrize("expected", [ANY, 1])
    def test_the_same_append_again_counts_once(self, log: EventLog, expected: int) -> None:
        blob = blob_of(b"value" * 1000)
        log.append(Append("run-1", new_events(1)))
        append = Append("run-1", [naming(blob)], expected)
        first = log.append(append)
        assert log.append(append) == first
        tickets = [log.submit(append) for _ in range(2)]
        assert [ticket.wait() for ticket in tickets] == [first] * 2
        assert has(log, blob)
        log.append(Append("run-1", forget=EVERYTHING))
        assert not has(log, blob)

    def test_a_stream_tells_what_it_needs(self, log: EventLog, opened: Open) -> None:
        one, two = blob_of(b"one"), blob_of(b"two" * 3000)
        log.append(Append("run-1", [naming(one), naming(one, two), new_event(), naming(two)]))
        log.append(Append("run-2", [naming(two)]))
        for source in (log, opened()):
            assert source.needs("run-1") == {**dict.fromkeys(one, 2), **dict.fromkeys(two, 4)}
            assert source.needs("run-2") == dict.fromkeys(two, 1)
            assert source.needs("run-3") == {}
        log.append(Append("run-1", forget=2))
        assert log.needs("run-1") == dict.fromkeys(two, 4)

    # -- forgetting ---------------------------------------------------------------------------------

    def test_a_blob_goes_with_the_last_event_that_needs_it(self, log: EventLog) -> None:
        ours, shared, theirs = (blob_of(text * 2000) for text in (b"ours", b"both", b"theirs"))
        log.append(Append("run-1", [naming(ours, shared)]))
        log.append(Append("run-2", [naming(shared, theirs)]))
        log.append(Append("run-1", [new_event("Deleted")], forget=EVERYTHING))
        assert [has(log, blob) for blob in (ours, shared, theirs)] == [False, True, True]
        log.append(Append("run-2", forget=EVERYTHING))
        assert [has(log, blob) for blob in (ours, shared, theirs)] == [False, False, False]
        log.append(Append("run-3", [naming(ours)]))
        assert has(log, ours)

    def test_a_later_event_of_the_stream_keeps_it(self, log: EventLog) -> None:
        early, both = blob_of(b"early" * 999), blob_of(b"both" * 999)
        log.append(Append("run-1", [naming(early, both), new_event(), naming(both), new_event()]))
        log.append(Append("run-1", forget=2))
        assert (has(log, early), has(log, both)) == (False, True)
        log.append(Append("run-1", forget=3))
        assert not has(log, both)

    def test_the_append_that_forgets_keeps_what_its_own_events_need(self, log: EventLog) -> None:
        blob, other = blob_of(b"value" * 999), blob_of(b"other" * 999)
        log.append(Append("run-1", [naming(blob, other)]))
        log.append(Append("run-1", [naming(blob)], forget=EVERYTHING))
        assert (has(log, blob), has(log, other)) == (True, False)

    def test_blobs_outlive_closing(self, log: EventLog, opened: Open) -> None:
        first = opened()
        blob = blob_of(b"value" * 9999)
        first.append(Append("run-1", [naming(blob)], owner=owner_of(first), claim=True))
        first.close()
        assert has(opened(), blob)
        log.append(Append("run-1", forget=EVERYTHING))
        assert not has(opened(), blob)

    def test_writers_and_forgetters_of_one_blob(self, log: EventLog, opened: Open) -> None:
        blob = blob_of(b"shared" * 999)
        other = opened()

        def work(source: EventLog, stream: str) -> None:
            for _ in range(10):
                source.append(Append(stream, [naming(blob)]))
                assert has(source, blob)
                source.append(Append(stream, [new_event()], forget=EVERYTHING))

        in_threads([partial(work, source, f"run-{n}") for n, source in enumerate((log, other, log, other))])
        assert not has(log, blob)
