"""A bit that flipped, a file that was cut: what is seen of a thread is what it was, or a named error. Never a
state that nobody wrote.

The file is small, so that most of its pages are read; a log on a server is damaged value by value.
"""

import random
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dashflow.doctor import examine
from dashflow.errors import DashFlowError
from dashflow.log.open import open_log
from tests.behaviour.integrity import world

pytestmark = pytest.mark.feature("NEW-10")

THREADS = ("thread-one", "thread-two")


def harmed(content: bytes, chance: random.Random) -> bytes:
    """A file of which one bit is another, or the end is missing."""
    at = chance.randrange(len(content))
    if chance.random() < 0.1:
        return content[:at]
    data = bytearray(content)
    data[at] ^= 1 << chance.randrange(8)
    return bytes(data)


def write(path: Path, content: bytes) -> None:
    for ending in ("-wal", "-shm", "-journal"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
    path.write_bytes(content)


@pytest.mark.guarantee("damage-is-named")
def test_no_flipped_bit_of_a_file_shows_a_state_that_nobody_wrote(path, soak):
    world.fill(str(path), *THREADS)
    content = path.read_bytes()
    seen = world.seen(str(path), *THREADS)
    seed = random.randrange(1 << 32) if soak else 20261129
    chance = random.Random(seed)
    came: Counter[str] = Counter()
    for number in range(10_000 if soak else 120):
        bad = harmed(content, chance)
        write(path, bad)
        refused: DashFlowError | None = None
        try:
            found = world.seen(str(path), *THREADS)
        except DashFlowError as error:
            refused = error
        came["same" if refused is None else refused.code] += 1
        assert refused is None or str(path) in str(refused)
        assert refused is not None or found == seen, f"seed {seed}, number {number}"
    assert came["same"] != came.total()
    write(path, content)
    assert world.seen(str(path), *THREADS) == seen


def test_who_goes_on_with_a_damaged_file_is_refused_or_comes_to_the_same_end(path, soak):
    world.fill(str(path), "thread-one")
    content = path.read_bytes()
    end = world.finished(str(path), "thread-one")
    chance = random.Random(7)
    for number in range(2_000 if soak else 60):
        write(path, harmed(content, chance))
        try:
            found = world.finished(str(path), "thread-one")
        except DashFlowError:
            continue
        assert found == end, f"number {number}"


def test_no_doctor_is_led_astray(path, soak):
    """Whatever is damaged, a doctor gives an answer; and what it calls sound is what was written."""
    world.fill(str(path), *THREADS)
    content = path.read_bytes()
    seen = world.seen(str(path), *THREADS)
    chance = random.Random(11)
    for number in range(1_000 if soak else 40):
        write(path, harmed(content, chance))
        try:
            found = examine(str(path))
        except DashFlowError:
            continue
        if found.sound:
            assert world.seen(str(path), *THREADS) == seen, f"number {number}"


COLUMNS = (
    ("events", ("type", "schema", "at", "epoch", "event_id", "data", "mark", "version", "position")),
    ("streams", ("version", "forgotten")),
    ("blobs", ("data", "mark", "key")),
)


@pytest.mark.guarantee("damage-is-named")
def test_no_changed_value_on_a_server_shows_a_state_that_nobody_wrote(postgres, soak):
    db = str(postgres.log)
    world.fill(db, *THREADS)
    seen = world.seen(db, *THREADS)
    chance = random.Random(3)
    places = [(table, column) for table, columns in COLUMNS for column in columns]
    for number in range(600 if soak else 28):
        table, column = places[number % len(places)]
        name = f'"{postgres.schema}".{table}'
        rows = postgres.execute(f"SELECT ctid::text, {column} FROM {name}")
        row, value = chance.choice(rows)
        new = other(value, chance)
        try:
            postgres.execute(f"UPDATE {name} SET {column} = %s WHERE ctid = %s::tid", new, row)
        except psycopg.errors.UniqueViolation:
            continue  # the server itself has noticed
        try:
            found = world.seen(db, *THREADS)
        except DashFlowError:
            pass
        else:
            assert found == seen, (table, column, value, new)
        postgres.execute(f"UPDATE {name} SET {column} = %s WHERE {column} = %s", value, new)


def other(value: Any, chance: random.Random) -> Any:
    """A value of which one bit is another."""
    if isinstance(value, int):
        return value ^ 1 << chance.randrange(30)
    if isinstance(value, str):
        at = chance.randrange(len(value))
        return value[:at] + chr(ord(value[at]) ^ 1) + value[at + 1 :]
    if hasattr(value, "bytes"):  # a UUID
        return type(value)(int=value.int ^ 1 << chance.randrange(128))
    data = bytearray(value)
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(data)


@pytest.mark.guarantee("damage-is-named")
def test_a_wal_that_was_torn_or_changed_gives_the_beginning_of_what_was_written(path, soak):
    log = open_log(path)
    app = world.graph(log)
    for thread in THREADS:
        app.invoke(dict(world.BEGINNING), world.config(thread))
    whole = log.read_all(limit=10_000)
    database, wal = path.read_bytes(), path.with_name("log.db-wal").read_bytes()
    log.close()
    chance = random.Random(5)
    lengths = set()
    for _ in range(2_000 if soak else 60):
        write(path, database)
        torn = harmed(wal, chance) if chance.random() < 0.5 else wal[: chance.randrange(len(wal))]
        path.with_name("log.db-wal").write_bytes(torn)
        log = open_log(path)
        try:
            left = log.read_all(limit=10_000)
            assert left == whole[: len(left)]
            lengths.add(len(left))
            for info in log.streams():
                assert [record.version for record in log.read(info.stream)] == [*range(1, info.version + 1)]
        finally:
            log.close()
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert len(lengths) > 2
