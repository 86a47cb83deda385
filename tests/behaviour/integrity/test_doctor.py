"""`dashflow doctor`: damage is found, explained, and put right up to the last good state."""

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from dashflow.cli.app import main
from dashflow.doctor import examine, repair
from dashflow.errors import (
    CorruptBlobError,
    CorruptEventError,
    CorruptLogError,
    OwnershipConflictError,
    UsageError,
)
from dashflow.log.base import Append, Snapshot
from dashflow.log.open import open_log
from tests.behaviour.integrity import world

pytestmark = pytest.mark.feature("NEW-10")

STREAM = "(SELECT stream_id FROM streams WHERE name = 'run-t')"


def codes(db: str) -> list[str]:
    return [finding.code for finding in examine(db).damage]


def last_good(db: str, thread: str = "t"):
    log = open_log(db)
    try:
        with pytest.raises(CorruptLogError) as caught:
            world.graph(log).get_state(world.config(thread))
        return caught.value
    finally:
        log.close()


def test_a_sound_log_is_said_to_be_sound(db):
    world.fill(db, "t", "u")
    found = examine(db)
    assert (found.sound, found.findings, found.streams) == (True, [], 2)
    assert repair(db).done == []


@pytest.mark.parametrize(
    ("harm", "good"),
    [
        (f"UPDATE events SET data = x'00' WHERE version = 5 AND stream_id = {STREAM}", 2),
        (f"UPDATE events SET type = (SELECT type FROM events WHERE version = 1 LIMIT 1) WHERE version = 5 "
         f"AND stream_id = {STREAM}", 2),
        (f"UPDATE events SET at = at + 1 WHERE version = 8 AND stream_id = {STREAM}", 5),
        (f"DELETE FROM events WHERE version = 5 AND stream_id = {STREAM}", 2),
        (f"DELETE FROM events WHERE version = 10 AND stream_id = {STREAM}", 6),
    ],
    ids=["data", "type", "time", "a lost event", "the last one lost"],
)  # fmt: skip
@pytest.mark.guarantee("damage-is-named")
def test_a_thread_is_taken_back_to_its_last_good_state(db, damage, harm, good):
    world.fill(db, "t", "u")
    other = world.seen(db, "u")
    damage(harm)
    if codes(db) == ["stream"]:  # a server compares the stream's row with its last event first
        repaired = repair(db, backed_up=True)
        assert "made its row again from its events 1 to 9" in repaired.done[0]
        assert world.finished(db, "t")["orders"] == world.told(6)
        return
    error = last_good(db)
    assert (error.last_good.values["n"], error.last_good.values["orders"]) == (good, world.told(good))
    (finding,) = examine(db).damage
    assert (finding.stream, finding.repairs) == ("run-t", True)
    assert f"what it was at event {finding.good}" in finding.advice
    repaired = repair(db, backed_up=True)
    assert repaired.after.sound
    log = open_log(db)
    now = world.graph(log).get_state(world.config("t"))
    assert (now.values["n"], now.values["orders"]) == (good, world.told(good))
    assert log.version("run-t") == 10
    assert [record.type for record in log.read("run-t", after=finding.good)] == ["EventSetAside"] * (
        10 - finding.good
    )
    log.close()
    assert world.seen(db, "u") == other
    values = world.finished(db, "t")
    assert (values["n"], values["orders"], values["note"]) == (6, world.told(6), "paid yes")


def test_a_thread_whose_large_value_is_damaged_or_lost(db, damage):
    world.fill(db, "t")
    damage("UPDATE blobs SET data = x'00'")
    error = last_good(db)
    assert isinstance(error, CorruptBlobError)
    assert (error.data["stream"], error.data["version"]) == ("run-t", 3)
    assert "blob" in codes(db)
    assert repair(db, backed_up=True).after.sound
    assert world.finished(db, "t")["orders"] == world.told(6)


def test_a_damaged_snapshot_is_set_aside_and_costs_nothing(db, damage):
    world.fill(db, "t")
    log = open_log(db)
    log.keep_snapshot("run-t", Snapshot(4, b"x" * 100))
    log.close()
    seen = world.seen(db, "t")
    damage("UPDATE snapshots SET data = x'00'")
    assert codes(db) == ["snapshot"]
    assert world.seen(db, "t") == seen
    assert repair(db, backed_up=True).after.sound
    assert world.seen(db, "t") == seen


def test_a_damaged_view_is_dropped(db, damage):
    world.fill(db, "t")
    log = open_log(db)
    log.project("mine", 3, {"a": b"1", "b": b"2"}, expected=0)
    log.close()
    if "://" in db:
        damage("UPDATE view_entries SET value = x'00' WHERE key = 'a'")
    else:
        damage("UPDATE entries SET data = x'00' WHERE key = 'a'")
    log = open_log(db)
    with pytest.raises(CorruptLogError, match="'mine'"):
        log.view("mine")
    log.close()
    assert codes(db) == ["view"]
    assert repair(db, backed_up=True).after.sound
    log = open_log(db)
    assert (log.view("mine"), log.view_position("mine")) == ({}, 0)
    log.close()


def test_what_is_left_of_the_history_when_a_snapshot_holds_the_state(path, edit):
    world.fill(str(path), "t")
    log = open_log(path)
    reader = world.graph(log).checkpointer.reader
    from dashflow.checkpoint.snapshots import to_snapshot

    log.keep_snapshot("run-t", to_snapshot(reader.head("t"), reader.classes))
    log.close()
    edit(f"UPDATE events SET data = x'00' WHERE version = 3 AND stream_id = {STREAM}")
    (finding,) = examine(str(path)).damage
    assert (finding.code, finding.version, finding.repairs) == ("history", 3, False)
    log = open_log(path)
    assert world.graph(log).get_state(world.config("t")).values["orders"] == world.told(6)
    log.close()


def test_a_run_that_is_going_on_is_not_repaired(path, edit):
    world.fill(str(path), "t", "u")
    edit(f"UPDATE events SET data = x'00' WHERE version = 5 AND stream_id = {STREAM}")
    log = open_log(path)
    log.append(Append("run-u", owner=log.instance + "/r", claim=True))
    before = path.read_bytes()
    with pytest.raises(OwnershipConflictError):
        repair(str(path))
    assert path.read_bytes() == before
    log.close()
    assert repair(str(path)).after.sound


def test_what_a_dead_process_left_is_told(path):
    world.fill(str(path), "t")
    log = open_log(path)
    log.append(Append("run-t", owner=log.instance + "/r", claim=True))
    log.close()
    found = examine(str(path))
    assert found.sound
    assert [(one.code, one.stream) for one in found.findings] == [("abandoned", "run-t")]


def test_a_server_is_repaired_only_when_there_is_a_backup(postgres):
    db = str(postgres.log)
    world.fill(db, "t")
    postgres.execute(f"UPDATE \"{postgres.schema}\".events SET data = '' WHERE version = 5")
    with pytest.raises(UsageError, match="--backed-up"):
        repair(db)
    assert codes(db) == ["event"]


# -- files ----------------------------------------------------------------------------------------


def test_a_copy_is_kept_of_what_is_repaired_and_rows_are_kept_aside(path, edit):
    world.fill(str(path), "t")
    edit(f"UPDATE events SET data = x'00' WHERE version = 8 AND stream_id = {STREAM}")
    before = path.read_bytes()
    repaired = repair(str(path))
    assert Path(repaired.backup).read_bytes() == before
    with closing(sqlite3.connect(path)) as connection:
        kept = connection.execute("SELECT stream, version, why FROM aside").fetchall()
    assert [(stream, version) for stream, version, _ in kept] == [("run-t", 8), ("run-t", 9), ("run-t", 10)]
    assert "checksum" in kept[0][2]


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE streams SET version = 3 WHERE name = 'run-t'",
        "UPDATE streams SET epoch = 0, owner = 'nobody' WHERE name = 'run-t'",
        "UPDATE streams SET crc = 0 WHERE name = 'run-t'",
    ],
)
def test_a_streams_row_is_made_again_from_its_events(path, edit, harm):
    world.fill(str(path), "t")
    seen = world.seen(str(path), "t")
    edit(harm)
    assert codes(str(path)) == ["stream"]
    repaired = repair(str(path))
    assert repaired.after.sound, repaired.after
    assert world.seen(str(path), "t") == seen
    assert world.finished(str(path), "t")["note"] == "paid yes"


def table_of(path: Path, name: str) -> int:
    """The offset of a table's or index's first page."""
    with closing(sqlite3.connect(path)) as connection:
        size = connection.execute("PRAGMA page_size").fetchone()[0]
        sql = "SELECT rootpage FROM sqlite_master WHERE name = ?"
        root = connection.execute(sql, (name,)).fetchone()[0]
    return (root - 1) * size


def flip(path: Path, at: int, bit: int = 1) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= bit
    path.write_bytes(data)


def find(path: Path, name: str, text: bytes) -> int:
    """Where a text stands in the first page of a table or index."""
    start = table_of(path, name)
    return path.read_bytes().index(text, start, start + 4096)


@pytest.mark.parametrize("where", ["streams", "sqlite_autoindex_streams_1", "streams_by_category"])
def test_a_streams_name_is_found_again_wherever_it_was_damaged(path, where):
    world.fill(str(path), "thread-one", "thread-two")
    seen = world.seen(str(path), "thread-one", "thread-two")
    flip(path, find(path, where, b"run-thread-one") + 12)
    assert not examine(str(path)).sound
    assert repair(str(path)).after.sound
    assert world.seen(str(path), "thread-one", "thread-two") == seen


@pytest.mark.parametrize("where", ["words", "sqlite_autoindex_words_1"])
def test_a_word_is_found_again_wherever_it_was_damaged(path, where):
    world.fill(str(path), "t")
    seen = world.seen(str(path), "t")
    flip(path, find(path, where, b"StepCompleted") + 3)
    assert not examine(str(path)).sound
    assert repair(str(path)).after.sound
    assert world.seen(str(path), "t") == seen


def test_a_thread_that_an_index_lost_is_not_taken_for_a_new_one(path):
    world.fill(str(path), "thread-one", "thread-two")
    flip(path, find(path, "sqlite_autoindex_streams_1", b"run-thread-one") + 12)
    log = open_log(path)
    app = world.graph(log)
    with pytest.raises(CorruptLogError, match="run-thread-one"):
        app.get_state(world.config("thread-one"))
    with pytest.raises(CorruptLogError):
        app.invoke({"n": 5, "orders": [], "doc": "", "note": None}, world.config("thread-one"))
    log.close()


@pytest.mark.parametrize("table", ["events", "streams", "words", "blobs", "events_by_stream"])
def test_of_a_file_with_a_lost_page_all_is_saved_that_can_be_read(path, table):
    world.fill(str(path), *(f"thread-{number}" for number in range(30)))
    start = table_of(path, table)
    data = bytearray(path.read_bytes())
    data[start : start + 100] = bytes(100)
    path.write_bytes(data)
    found = examine(str(path))
    assert not found.sound
    assert all(finding.repairs for finding in found.damage)
    if table in ("events", "blobs"):  # of a tree whose root is gone nothing can be reached
        return
    repaired = repair(str(path))
    assert repaired.backup
    assert Path(repaired.backup).read_bytes() == bytes(data)
    assert repaired.after.sound, repaired.after.findings[:3]


def test_of_a_file_whose_leaf_is_lost_the_other_threads_are_as_they_were(path):
    threads = [f"thread-{number}" for number in range(30)]
    world.fill(str(path), *threads)
    log = open_log(path)
    data = next(record.data for record in log.read("run-thread-15") if record.version == 4)
    log.close()
    seen = {thread: world.seen(str(path), thread) for thread in threads}
    content = bytearray(path.read_bytes())
    page = content.index(data) // 4096 * 4096
    content[page : page + 8] = bytes(8)
    path.write_bytes(content)
    assert codes(str(path))[0] == "pages"
    repaired = repair(str(path))
    assert repaired.after.sound
    same = [thread for thread in threads if world.seen(str(path), thread) == seen[thread]]
    assert len(same) >= 26
    for thread in threads:
        assert world.finished(str(path), thread)["orders"] == world.told(6)


def test_a_file_that_was_cut_off(path):
    threads = [f"thread-{number}" for number in range(30)]
    world.fill(str(path), *threads)
    os.truncate(path, path.stat().st_size * 3 // 4)
    assert codes(str(path))
    repaired = repair(str(path))
    assert repaired.after.sound
    assert repaired.after.streams


def test_a_wal_that_was_changed_in_its_middle_is_told(path):
    log = open_log(path)
    app = world.graph(log)
    for thread in ("t", "u"):
        app.invoke({"n": 0, "orders": [], "doc": "", "note": None}, world.config(thread))
    files = {ending: Path(f"{path}{ending}").read_bytes() for ending in ("", "-wal")}
    log.close()
    wal = bytearray(files["-wal"])
    wal[len(wal) // 2] ^= 4
    path.write_bytes(files[""])
    Path(f"{path}-wal").write_bytes(wal)
    found = examine(str(path))
    assert [finding.code for finding in found.damage] == ["wal"]
    assert "commits behind it are lost" in found.damage[0].problem


# -- the command ----------------------------------------------------------------------------------


def test_the_command_looks_and_repairs(path, edit, capsys):
    world.fill(str(path), "t")
    assert main(["doctor", "--db", str(path)]) == 0
    assert "is sound" in capsys.readouterr().out
    edit(f"UPDATE events SET data = x'00' WHERE version = 5 AND stream_id = {STREAM}")
    before = path.read_bytes()
    assert main(["doctor", "--db", str(path)]) == 6
    said = capsys.readouterr().out
    assert "has 1 problems" in said
    assert "dashflow doctor --repair" in said
    assert path.read_bytes() == before
    assert main(["doctor", "--db", str(path), "--json"]) == 6
    told = json.loads(capsys.readouterr().out)
    assert (told["sound"], told["exit_code"]) == (False, 6)
    assert [(one["code"], one["stream"], one["version"]) for one in told["findings"]] == [
        ("event", "run-t", 5)
    ]
    assert main(["doctor", "--db", str(path), "--repair"]) == 0
    said = capsys.readouterr().out
    assert "copied the log to" in said
    assert "set events 5 to 10 aside" in said
    assert main(["doctor", "--db", str(path / "nothing")]) == 2


@pytest.mark.guarantee("damage-is-named")
def test_the_error_of_a_damaged_event_is_typed_and_says_where(path, edit):
    world.fill(str(path), "t")
    edit(f"UPDATE events SET data = x'00' WHERE version = 5 AND stream_id = {STREAM}")
    error = last_good(str(path))
    assert isinstance(error, CorruptEventError)
    assert (error.data["where"], error.data["stream"], error.data["version"]) == (str(path), "run-t", 5)
    assert "dashflow doctor" in str(error)
