"""What ``dashflow import langgraph`` cannot or may not bring over: it is reported, and the rest comes."""

import os
import pickle

import msgspec
import ormsgpack
import pytest

from dashflow.checkpoint.foreign import import_langgraph
from dashflow.checkpoint.saver import LogSaver
from dashflow.checkpoint.serde.encrypted import EncryptedSerializer
from dashflow.checkpoint.serde.jsonplus import JsonPlusSerializer
from dashflow.checkpoint.sqlite import SqliteSaver
from dashflow.errors import (
    DamagedFileError,
    ImportStoppedError,
    NotLangGraphError,
    StorageUnavailableError,
    UsageError,
)
from dashflow.log.memory import MemoryLog
from tests.behaviour.moving.databases import changed, command, program, python, rows, told

pytestmark = pytest.mark.feature("PERSIST-006")


def test_a_damaged_checkpoint_is_reported_and_the_others_come(source):
    whole = import_langgraph(source, LogSaver(MemoryLog()))
    middle = "SELECT checkpoint_id FROM checkpoints WHERE thread_id = 'loop' ORDER BY 1 LIMIT 1 OFFSET 2"
    changed(source, f"UPDATE checkpoints SET checkpoint = x'93' WHERE checkpoint_id = ({middle})")
    changed(source, "UPDATE checkpoints SET metadata = '{' WHERE thread_id = 'chat'")
    changed(source, "UPDATE writes SET value = x'c1' WHERE thread_id = 'failed' AND channel = 'log'")
    saver = LogSaver(MemoryLog())
    report = import_langgraph(source, saver)
    assert told(report) == {
        ("checkpoint", "damaged", "loop"), ("checkpoint", "damaged", "chat"), ("writes", "damaged", "failed")
    }  # fmt: skip
    lost = sum(one.what == "checkpoint" for one in report.skipped)
    assert report.checkpoints == whole.checkpoints - lost
    assert saver.get_tuple({"configurable": {"thread_id": "chat"}}) is None
    assert len(list(saver.list({"configurable": {"thread_id": "loop"}}))) == 6


EVIL = b"cos\nsystem\n(S'touch /nowhere/evil'\ntR."


def test_a_pickle_is_never_run(source, tmp_path):
    mark = tmp_path / "evil"
    evil = EVIL.replace(b"/nowhere/evil", str(mark).encode())
    changed(
        source,
        "UPDATE writes SET type = 'pickle', value = ? WHERE thread_id = 'failed' AND channel = 'log'",
        evil,
    )
    changed(source, "UPDATE checkpoints SET type = 'pickle', checkpoint = ? WHERE thread_id = 'forked'", evil)
    report = import_langgraph(source, LogSaver(MemoryLog()))
    assert told(report) == {("checkpoint", "pickle", "forked"), ("writes", "pickle", "failed")}
    trusting = LogSaver(MemoryLog(), serde=JsonPlusSerializer(pickle_fallback=True))
    assert told(import_langgraph(source, trusting)) == told(report)
    assert not mark.exists()


def test_pickles_that_are_allowed_come_over(source):
    changed(
        source,
        "UPDATE writes SET type = 'pickle', value = ? WHERE thread_id = 'failed' AND channel = 'log'",
        pickle.dumps(["data only"]),
    )
    saver = LogSaver(MemoryLog(), serde=JsonPlusSerializer(pickle_fallback=True))
    assert import_langgraph(source, saver).skipped == []
    found = saver.get_tuple({"configurable": {"thread_id": "failed"}}).pending_writes
    assert ["data only"] in [value for _, channel, value in found if channel == "log"]


def test_a_pickled_value_is_left_out_and_the_thread_goes_on(server):
    import psycopg

    where = server()
    program("langgraph", "postgres", where, "fill")
    with psycopg.connect(where, autocommit=True) as connection:
        connection.execute(
            "UPDATE checkpoint_blobs SET type = 'pickle', blob = %s WHERE channel = 'log'", [EVIL]
        )
    saver = LogSaver(MemoryLog())
    report = import_langgraph(where, saver)
    values = {(one.thread, one.name, one.code) for one in report.skipped if one.what == "value"}
    assert values >= {("loop", "log", "pickle"), ("asked", "log", "pickle")}
    found = saver.get_tuple({"configurable": {"thread_id": "loop"}}).checkpoint
    assert found["channel_values"] == {"count": 5}


def test_a_server_that_goes_away_in_the_middle(server):
    import psycopg

    where = server()
    program("langgraph", "postgres", where, "fill")
    log = MemoryLog()
    submit = log.submit

    def ending(append):
        if log.read_all(limit=11)[10:]:
            with psycopg.connect(where, autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
        return submit(append)

    log.submit = ending
    saver = LogSaver(log)
    with pytest.raises(ImportStoppedError) as caught:
        import_langgraph(where, saver)
    assert caught.value.data["cause"] == "STORAGE_UNAVAILABLE"
    stopped = caught.value.report.checkpoints
    assert 0 < stopped < 35
    log.submit = submit
    assert import_langgraph(where, saver).checkpoints >= 35 - stopped


def test_values_of_unknown_classes_keep_their_bytes(source):
    """Of a class that this process does not have; what is read here as data is whole for who has it."""
    [(blob,)] = rows(
        source, "SELECT checkpoint FROM checkpoints WHERE thread_id = 'loop' AND parent_checkpoint_id IS NULL"
    )
    ext = ormsgpack.packb(ormsgpack.Ext(2, ormsgpack.packb(["nowhere.to.be", "Found", {"x": 1}])))
    stored = ormsgpack.unpackb(blob)
    stored["channel_values"] = {**stored["channel_values"], "odd": 0}
    blob = ormsgpack.packb(stored).replace(b"\xa3odd\x00", b"\xa3odd" + ext)
    changed(
        source,
        "UPDATE checkpoints SET checkpoint = ? WHERE thread_id = 'loop' AND parent_checkpoint_id IS NULL",
        blob,
    )
    saver = LogSaver(MemoryLog())
    assert import_langgraph(source, saver, threads=["loop"]).skipped == []
    first = saver.log.read("run-loop")[0]
    assert ext in first.data


def test_encrypted_threads_need_the_key_and_stay_encrypted(tmp_path):
    where = tmp_path / "secret.sqlite"
    script = f"""
import sqlite3
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, StateGraph

serde = EncryptedSerializer.from_pycryptodome_aes(key=b"0123456789abcdef")
saver = SqliteSaver(sqlite3.connect({str(where)!r}, check_same_thread=False), serde=serde)
builder = StateGraph(dict)
builder.add_node("one", lambda state: {{"word": "mellon"}})
builder.add_edge(START, "one")
builder.compile(checkpointer=saver).invoke({{"word": "friend"}}, {{"configurable": {{"thread_id": "t"}}}})
"""
    python("-c", script)
    report = import_langgraph(where, LogSaver(MemoryLog()))
    assert {one.code for one in report.skipped} == {"encrypted"}
    assert report.checkpoints == 0
    log = MemoryLog()
    serde = EncryptedSerializer.from_pycryptodome_aes(key=b"0123456789abcdef", require_encryption=True)
    saver = LogSaver(log, serde=serde)
    report = import_langgraph(where, saver)
    assert (report.skipped, report.checkpoints) == ([], 3)
    assert saver.get_tuple({"configurable": {"thread_id": "t"}}).checkpoint["channel_values"]["__root__"] == {
        "word": "mellon"
    }
    assert not any(b"mellon" in record.data for record in log.read_all())
    assert import_langgraph(where, saver).checkpoints == 0
    other = EncryptedSerializer.from_pycryptodome_aes(key=b"another key 1234")
    wrong = import_langgraph(where, LogSaver(MemoryLog(), serde=other))
    assert {one.code for one in wrong.skipped} == {"encrypted"}


def test_writes_without_their_checkpoint_are_reported(source):
    changed(source, "UPDATE writes SET checkpoint_id = 'gone' WHERE thread_id = 'loop'")
    report = import_langgraph(source, LogSaver(MemoryLog()))
    assert told(report) == {("writes", "orphan", "loop")}


def test_something_else_is_refused(tmp_path, source):
    log = MemoryLog()
    saver = LogSaver(log)
    other = tmp_path / "other.db"
    changed(other, "CREATE TABLE people (name TEXT)")
    text = tmp_path / "notes.txt"
    text.write_text("no database " * 1000)
    early = tmp_path / "early.db"
    changed(early, "CREATE TABLE checkpoints (thread_id, thread_ts, parent_ts, checkpoint, metadata)")
    for path in (other, text, early):
        with pytest.raises(NotLangGraphError):
            import_langgraph(path, saver)
    with pytest.raises(UsageError, match="no file"):
        import_langgraph(tmp_path / "nowhere", saver)
    with pytest.raises(UsageError, match="mysql"):
        import_langgraph("mysql://host/db", saver)
    ours = tmp_path / "ours.db"
    SqliteSaver(ours).close()
    with pytest.raises(NotLangGraphError):
        import_langgraph(ours, saver)
    assert log.streams() == []


def test_a_damaged_file_is_refused(source, tmp_path):
    content = bytearray(source.read_bytes())
    for place in range(5 * 4096, len(content) - 4096, 4096):
        content[place : place + 200] = os.urandom(200)
    source.write_bytes(content)
    db = tmp_path / "log.db"
    saver = LogSaver(MemoryLog())
    with pytest.raises(DamagedFileError):
        import_langgraph(source, saver)
    assert saver.log.streams() == []
    code, said = command("import", "langgraph", str(source), "--db", str(db))
    assert (code, said["error"]["code"]) == (6, "DAMAGED_FILE")


def test_a_server_that_is_not_there_and_a_database_without_tables(server):
    saver = LogSaver(MemoryLog())
    with pytest.raises(StorageUnavailableError) as caught:
        import_langgraph("postgresql://user:secret@127.0.0.1:1/none", saver)
    assert "secret" not in str(caught.value)
    with pytest.raises(NotLangGraphError):
        import_langgraph(server(), saver)


def test_the_report_is_plain_data(source):
    report = import_langgraph(source, LogSaver(MemoryLog()), dry_run=True)
    assert msgspec.json.decode(msgspec.json.encode(report), type=type(report)) == report
