"""What is forgotten is gone from the bytes of SQLite's files, and its room is used again."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from dashflow.log.base import EVERYTHING, Append, NewEvent, Snapshot
from dashflow.log.sqlite import SqliteLog
from dashflow.testing.log_case import AT, new_event, new_events

pytestmark = pytest.mark.feature("LOG-05", "PERSIST-000")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


@pytest.fixture
def log(path: Path) -> Iterator[SqliteLog]:
    log = SqliteLog(path)
    yield log
    log.close()


def everything_stored(path: Path) -> bytes:
    """The bytes of the file and of all that lies beside it."""
    return b"\0".join(file.read_bytes() for file in sorted(path.parent.rglob("*")) if file.is_file())


def secret() -> bytes:
    return b"secret-" + os.urandom(20).hex().encode()


def event_with(data: bytes, correlation: str = "", **blobs: bytes) -> NewEvent:
    kept = {key.encode(): value for key, value in blobs.items()}
    return NewEvent("Said", data, new_event().event_id, AT, correlation_id=correlation, blobs=kept)


def test_nothing_of_it_is_left_in_the_file_or_the_wal(log: SqliteLog, path: Path) -> None:
    small, noise, correlation, blob, snapshot = secret(), os.urandom(20_000), secret(), secret(), secret()
    others = [secret() for _ in range(20)]
    for number, other in enumerate(others):
        log.append(Append("run-2", [event_with(other)]))
        if number % 5 == 0:
            log.append(Append("run-1", [event_with(small), event_with(noise, correlation.decode())]))
            log.append(Append("run-1", [event_with(b"x", key=blob, large=noise)]))
            log.keep_snapshot("run-1", Snapshot(2, snapshot + noise))
    forgotten = [small, correlation, blob, snapshot, *(noise[at : at + 16] for at in range(0, 20_000, 999))]
    stored = everything_stored(path)
    assert all(text in stored for text in forgotten)

    log.append(Append("run-1", [new_event("Deleted")], forget=EVERYTHING))
    for close in (False, True):
        if close:
            log.close()
        stored = everything_stored(path)
        assert not [text for text in forgotten if text in stored]
        assert all(other in stored for other in others)


def test_a_reader_that_was_in_the_way_delays_it_no_longer_than_it_reads(log: SqliteLog, path: Path) -> None:
    small = secret()
    log.append(Append("run-1", [event_with(small)]))
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM events").fetchone() == (1,)
    log.append(Append("run-1", [new_event("Deleted")], forget=EVERYTHING))
    assert [record.type for record in log.read("run-1")] == ["Deleted"]
    reader.execute("COMMIT")
    log.append(Append("run-2", new_events(1)))
    assert small not in everything_stored(path)
    reader.close()


def test_its_room_is_used_again(log: SqliteLog, path: Path) -> None:
    def say() -> None:
        for _ in range(20):
            log.append(Append("run-1", [event_with(os.urandom(10_000), key=os.urandom(10_000))]))
        log.append(Append("run-1", [new_event("Summed")], forget=EVERYTHING))

    say()
    size = path.stat().st_size
    for _ in range(5):
        say()
    assert path.stat().st_size <= size * 1.1


def test_any_order_of_writing_and_forgetting_leaves_a_sound_file(log: SqliteLog, path: Path) -> None:
    random = Random(5)
    kept: dict[str, list[bytes]] = {}
    gone: list[bytes] = []
    for _ in range(150):
        stream = f"run-{random.randrange(6)}"
        texts = kept.setdefault(stream, [])
        new = [secret() * random.choice((1, 3, 40)) for _ in range(random.randrange(4))]
        forget = 0
        if random.random() < 0.3:
            first = log.version(stream) - len(texts)
            count = random.randrange(len(texts) + 1)
            forget = first + count
            gone += texts[:count]
            del texts[:count]
        log.append(Append(stream, [event_with(text) for text in new], forget=forget))
        texts += new
    for stream, texts in kept.items():
        assert [record.data for record in log.read(stream)] == texts
    stored = everything_stored(path)
    assert gone
    assert not [text for text in gone if text[:47] in stored]
    log.close()
    check = sqlite3.connect(path)
    assert check.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    check.close()


def test_words_are_forgotten_with_the_last_event_that_belongs_to_them(log: SqliteLog, path: Path) -> None:
    # One is a type elsewhere, one belongs to another stream, too.
    log.append(Append("run-1", [event_with(b"1", name) for name in ("Said", "shared", "only-here")]))
    log.append(Append("run-2", [event_with(b"2", "shared"), event_with(b"3", "Said")]))
    log.append(Append("run-1", forget=EVERYTHING))
    stored = everything_stored(path)
    assert b"only-here" not in stored
    assert [(r.type, r.correlation_id) for r in log.read_all()] == [("Said", "shared"), ("Said", "Said")]
    log.append(Append("run-2", forget=EVERYTHING))
    log.append(Append("run-3", [event_with(b"4", "Said"), event_with(b"5", "only-here")]))
    assert [(r.type, r.correlation_id) for r in log.read_all()] == [("Said", "Said"), ("Said", "only-here")]
    assert b"shared" not in everything_stored(path)
