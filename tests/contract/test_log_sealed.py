"""A log behind a serialiser keeps the contract, and what it keeps tells nothing."""

import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import pytest

from dashflow.checkpoint.sealed import SealedLog
from dashflow.checkpoint.serde.encrypted import EncryptedSerializer
from dashflow.errors import MissingBlobError
from dashflow.log.base import EVERYTHING, Append, EventLog, NewEvent, Snapshot
from dashflow.log.memory import MemoryLog, MemoryStore
from dashflow.log.sqlite import SqliteLog
from dashflow.testing.log_case import AT, in_threads, new_event, new_events
from dashflow.testing.log_contract import EventLogContract

pytestmark = pytest.mark.feature("LOG-04", "LOG-06")

KEY = b"sixteen bytes ok"
TEXT = b"the salary of the managing director is 12345; " * 300


def serde(key: bytes = KEY, *, strict: bool = False) -> EncryptedSerializer:
    return EncryptedSerializer.from_pycryptodome_aes(key=key, require_encryption=strict)


def naming(blobs: Mapping[bytes, bytes]) -> NewEvent:
    return NewEvent("Noted", b"x", new_event().event_id, AT, blobs=blobs)


class TestSealedLog(EventLogContract):
    @pytest.fixture(autouse=True)
    def _store(self) -> None:
        self.store = MemoryStore()

    def open_log(self, place: Path) -> EventLog:
        return SealedLog(MemoryLog(self.store), serde(strict=True))

    def kill(self, log: EventLog) -> None:
        assert isinstance(log, SealedLog)
        assert isinstance(log.inner, MemoryLog)
        log.inner.abandon()


def test_no_byte_of_it_is_readable_nor_its_hash(tmp_path: Path) -> None:
    log = SealedLog(SqliteLog(tmp_path / "log.db"), serde())
    key = sha256(TEXT).digest()
    log.append(Append("run-1", [naming({key: TEXT})]))
    log.keep_snapshot("run-1", Snapshot(1, TEXT))
    log.project("v", 1, {"a": TEXT, "b": b"12345 is secret"}, expected=0)
    assert (log.blob(key), log.snapshot("run-1"), log.view("v", prefix="a")) == (
        TEXT,
        Snapshot(1, TEXT),
        {"a": TEXT},
    )
    log.close()
    stored = (tmp_path / "log.db").read_bytes()
    for open_text in (b"salary", b"12345", key, key.hex().encode()):
        assert open_text not in stored


def test_equal_values_are_kept_once_by_whoever_has_the_key(tmp_path: Path) -> None:
    noise = os.urandom(100_000)
    key = sha256(noise).digest()
    for number in range(5):
        log = SealedLog(SqliteLog(tmp_path / "log.db"), serde())
        log.append(Append(f"run-{number}", [naming({key: noise})]))
        assert log.blob(key) == noise
        log.close()
    assert (tmp_path / "log.db").stat().st_size < 2 * len(noise) + 100_000
    log = SealedLog(SqliteLog(tmp_path / "log.db"), serde())
    for number in range(5):
        assert log.blob(key) == noise
        log.append(Append(f"run-{number}", forget=EVERYTHING))
    with pytest.raises(MissingBlobError) as caught:
        log.blob(key)
    assert caught.value.data["key"] == key.hex()
    log.close()


def test_of_many_who_need_the_secret_first_all_have_the_same() -> None:
    store = MemoryStore()
    logs = [SealedLog(MemoryLog(store), serde()) for _ in range(8)]

    def keep(log: EventLog) -> None:
        log.append(Append("run-1", [naming({b"key": TEXT})]))

    in_threads([lambda log=log: keep(log) for log in logs])  # type: ignore[misc]
    assert len(store.blobs) == 1
    assert all(log.blob(b"key") == TEXT for log in logs)
    assert logs[0].version("seal-blobs") == 1


def test_what_is_from_before_is_read_unless_that_is_forbidden() -> None:
    store = MemoryStore()
    plain = MemoryLog(store)
    plain.append(Append("run-1", [naming({b"key": TEXT})]))
    plain.keep_snapshot("run-1", Snapshot(1, b"state"))
    plain.project("v", 1, {"a": b"1"}, expected=0)
    log = SealedLog(MemoryLog(store), serde())
    assert (log.blob(b"key"), log.snapshot("run-1"), log.view("v")) == (
        TEXT,
        Snapshot(1, b"state"),
        {"a": b"1"},
    )
    assert log.version("seal-blobs") == 0  # reading writes nothing
    strict = SealedLog(MemoryLog(store), serde(strict=True))
    with pytest.raises(MissingBlobError):
        strict.blob(b"key")
    for read in (lambda: strict.snapshot("run-1"), lambda: strict.view("v"), lambda: strict.read("run-1")):
        with pytest.raises(ValueError, match="not encrypted"):
            read()


def test_another_key_opens_nothing() -> None:
    store = MemoryStore()
    log = SealedLog(MemoryLog(store), serde())
    log.append(Append("run-1", [naming({b"key": TEXT}), *new_events(1)]))
    log.keep_snapshot("run-1", Snapshot(1, b"state"))
    other = SealedLog(MemoryLog(store), serde(b"another sixteen."))
    for read in (lambda: other.blob(b"key"), lambda: other.snapshot("run-1"), lambda: other.read("run-1")):
        with pytest.raises(ValueError, match=r"."):
            read()
    assert log.blob(b"key") == TEXT
