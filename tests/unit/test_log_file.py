"""What SQLite's log makes of a path: a log, a new log, or a clear error and an untouched file."""

import hashlib
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dashflow.errors import (
    CorruptEventError,
    CorruptLogError,
    CorruptStreamError,
    LogFormatError,
    NotALogError,
    OwnershipConflictError,
    StorageUnavailableError,
    UsageError,
)
from dashflow.log.base import LOG_FORMAT, Append
from dashflow.log.sqlite import SqliteLog, database
from dashflow.log.sqlite.database import APPLICATION_ID
from dashflow.testing.log_case import new_events

pytestmark = pytest.mark.feature("PERSIST-000")

Edit = Callable[[str], None]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


@pytest.fixture
def written(path: Path) -> Path:
    """A log with three events, closed."""
    with_events(path, 3)
    return path


@pytest.fixture
def edit(path: Path) -> Iterator[Edit]:
    """Change the file behind the log's back."""
    connection = sqlite3.connect(path, isolation_level=None)
    yield lambda statement: connection.execute(statement) and None
    connection.close()


def with_events(where: Path, count: int) -> None:
    log = SqliteLog(where)
    log.append(Append("run-1", new_events(count)))
    log.close()


def contents(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def test_a_log_is_there_again_when_it_is_opened_again(written: Path) -> None:
    for count in (3, 4):
        log = SqliteLog(written)
        assert log.version("run-1") == count
        assert log.append(Append("run-1", new_events(1), expected=count)).version == count + 1
        log.close()


def test_nothing_stays_beside_a_closed_log(written: Path) -> None:
    log = SqliteLog(written)
    log.append(Append("run-2", new_events(1), owner=log.instance + "/r", claim=True))
    assert (written.parent / "log.db.owners" / log.instance).is_file()
    log.close()
    assert [file.name for file in written.parent.iterdir()] == ["log.db"]


def test_the_file_says_what_it_is(written: Path) -> None:
    assert int.from_bytes(written.read_bytes()[68:72], "big") == APPLICATION_ID
    connection = sqlite3.connect(written)
    assert connection.execute("SELECT value FROM meta WHERE key = 'format'").fetchone() == (LOG_FORMAT,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("SELECT count(*) FROM log WHERE type = 'TaskCompleted'").fetchone() == (3,)
    connection.close()


def test_every_commit_is_flushed(path: Path) -> None:
    log = SqliteLog(path)
    assert log._database.writer.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    assert log._database.writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    log.close()


@pytest.mark.parametrize("kind", ["missing folders", "empty file", "empty database", "empty WAL database"])
def test_a_fresh_log_is_made(tmp_path: Path, kind: str) -> None:
    where = tmp_path / ("a/b/c/log.db" if kind == "missing folders" else "log.db")
    if kind == "empty file":
        where.touch()
    elif kind.startswith("empty"):
        connection = sqlite3.connect(where)
        connection.execute("PRAGMA journal_mode=WAL" if "WAL" in kind else "CREATE TABLE t (x)")
        connection.execute("DROP TABLE IF EXISTS t")
        connection.close()
    with_events(where, 2)
    log = SqliteLog(where)
    assert log.version("run-1") == 2
    log.close()


def test_many_processes_make_one_log(path: Path) -> None:
    program = (
        "import sys; from dashflow.log.sqlite import SqliteLog; from dashflow.log.base import Append\n"
        "from dashflow.testing.log_case import new_events\n"
        "log = SqliteLog(sys.argv[1]); log.append(Append('run-1', new_events(5))); log.close()"
    )
    children = [subprocess.Popen([sys.executable, "-c", program, str(path)]) for _ in range(4)]
    assert [child.wait() for child in children] == [0] * 4
    log = SqliteLog(path)
    assert [record.version for record in log.read("run-1")] == list(range(1, 21))
    log.close()


@pytest.mark.parametrize("kind", ["text", "short", "database", "WAL database", "other application", "zeros"])
def test_another_file_is_refused_and_not_touched(path: Path, kind: str) -> None:
    if kind == "text":
        path.write_text("These are notes, not a log.\n" * 100)
    elif kind == "short":
        path.write_bytes(b"SQLite format 3\0")
    elif kind == "zeros":
        path.write_bytes(bytes(4096))
    else:
        connection = sqlite3.connect(path)
        if kind == "WAL database":
            connection.execute("PRAGMA journal_mode=WAL")
        if kind == "other application":
            connection.execute("PRAGMA application_id=77")
        else:
            connection.execute("CREATE TABLE notes (text)")
        connection.commit()
        connection.close()
    before = contents(path.parent)
    with pytest.raises(NotALogError) as caught:
        SqliteLog(path)
    assert str(path) in str(caught.value)
    assert contents(path.parent) == before


def test_tables_that_are_only_in_the_wal_yet_are_seen(path: Path) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE notes (text)")
    with pytest.raises(NotALogError):
        SqliteLog(path)
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("notes",)]
    connection.close()


def test_a_folder_is_no_log(tmp_path: Path) -> None:
    with pytest.raises(NotALogError, match="it is a folder"):
        SqliteLog(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs special files")
def test_a_special_file_is_no_log(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for where in (tmp_path / "pipe", Path(os.devnull)):
        with pytest.raises(NotALogError, match="no regular file"):
            SqliteLog(where)


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_leads_to_the_same_log_and_its_owners(tmp_path: Path, written: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "link.db"
    link.symlink_to(written)
    first, second = SqliteLog(written), SqliteLog(link)
    first.append(Append("run-1", owner=first.instance + "/r", claim=True))
    with pytest.raises(OwnershipConflictError):
        second.append(Append("run-1", owner=second.instance + "/r", claim=True))
    assert second.where == str(link)
    first.close()
    second.close()


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageUnavailableError, match="folder"):
        SqliteLog(tmp_path / "file" / "log.db")


def test_a_newer_format_is_refused_and_not_touched(written: Path, edit: Edit) -> None:
    edit(f"UPDATE meta SET value = {LOG_FORMAT + 1} WHERE key = 'format'")
    edit("PRAGMA wal_checkpoint(TRUNCATE)")
    before = contents(written.parent)
    with pytest.raises(LogFormatError) as caught:
        SqliteLog(written)
    assert caught.value.data == {"path": str(written), "found": LOG_FORMAT + 1, "known": LOG_FORMAT}
    assert contents(written.parent) == before


def test_a_log_without_a_format_is_none(written: Path, edit: Edit) -> None:
    edit("DELETE FROM meta")
    with pytest.raises(NotALogError, match="format"):
        SqliteLog(written)
    edit("DROP TABLE meta")
    with pytest.raises(NotALogError, match="format"):
        SqliteLog(written)


def test_an_older_log_is_migrated_all_steps_or_none(
    written: Path, monkeypatch: pytest.MonkeyPatch, edit: Edit
) -> None:
    steps = ["ALTER TABLE streams ADD COLUMN note TEXT;\nUPDATE streams SET note = 'new';"]
    monkeypatch.setattr(database, "LOG_FORMAT", LOG_FORMAT + 1)
    monkeypatch.setattr(database, "migrations", lambda found: [*steps, "UPDATE missing SET x = 1"])
    with pytest.raises(CorruptLogError, match="no such table: missing"):
        SqliteLog(written)
    monkeypatch.setattr(database, "migrations", lambda found: steps[found - LOG_FORMAT :])
    log = SqliteLog(written)
    assert log.version("run-1") == 3
    log.close()
    SqliteLog(written).close()
    check = sqlite3.connect(written)
    assert check.execute("SELECT note FROM streams").fetchall() == [("new",)]
    assert check.execute("SELECT value FROM meta").fetchall() == [(LOG_FORMAT + 1,)]
    check.close()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("UPDATE events SET data = x'00' WHERE version = 2", "checksum"),
        ("UPDATE events SET data = 'text' WHERE version = 2", "makes no sense"),
        ("UPDATE events SET type = 99 WHERE version = 2", "checksum"),
        ("UPDATE events SET at = at + 1 WHERE version = 2", "checksum"),
        ("UPDATE events SET epoch = 7 WHERE version = 2", "checksum"),
        ("UPDATE events SET event_id = zeroblob(16) WHERE version = 2", "checksum"),
        ("UPDATE events SET schema = 2 WHERE version = 2", "checksum"),
    ],
)
def test_a_damaged_event_is_reported_and_those_before_it_are_read(
    written: Path, edit: Edit, damage: str, words: str
) -> None:
    edit(damage)
    log = SqliteLog(written)
    with pytest.raises(CorruptEventError, match=words) as caught:
        log.read("run-1")
    assert (caught.value.data["stream"], caught.value.data["version"]) == ("run-1", 2)
    assert [record.version for record in log.read("run-1", upto=1)] == [1]
    with pytest.raises(CorruptEventError):
        log.read_all()
    log.close()


@pytest.mark.parametrize(
    ("damage", "version"),
    [
        ("DELETE FROM events WHERE version = 1", 1),
        ("DELETE FROM events WHERE version = 2", 2),
        ("DELETE FROM events WHERE version = 3", 3),
        ("DELETE FROM events", 1),
    ],
)
def test_a_missing_event_is_reported(written: Path, edit: Edit, damage: str, version: int) -> None:
    edit(damage)
    log = SqliteLog(written)
    with pytest.raises(CorruptEventError, match="it is missing") as caught:
        log.read("run-1")
    assert (caught.value.data["stream"], caught.value.data["version"]) == ("run-1", version)
    assert str(written) in str(caught.value)
    log.close()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE streams SET version = 2",
        "UPDATE streams SET forgotten = 1",
        "UPDATE streams SET epoch = 1",
        "UPDATE streams SET owner = 'somebody'",
        "UPDATE streams SET crc = crc + 1",
    ],
)
def test_a_damaged_stream_is_reported(written: Path, edit: Edit, damage: str) -> None:
    edit(damage)
    log = SqliteLog(written)
    for look in (lambda: log.read("run-1"), lambda: log.version("run-1"), log.streams):
        with pytest.raises(CorruptStreamError, match="'run-1'"):
            look()
    with pytest.raises(CorruptStreamError):
        log.append(Append("run-1", new_events(1)))
    log.close()


def test_a_damaged_file_is_reported(written: Path) -> None:
    size = written.stat().st_size
    with written.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    with pytest.raises(CorruptLogError, match="damaged"):
        SqliteLog(written)


def test_a_file_that_was_removed_or_replaced_takes_no_more_events(written: Path) -> None:
    log = SqliteLog(written)
    written.rename(written.with_name("moved.db"))
    with pytest.raises(StorageUnavailableError, match="gone"):
        log.append(Append("run-1", new_events(1)))
    written.write_bytes(b"")
    with pytest.raises(StorageUnavailableError, match="another file"):
        log.append(Append("run-1", new_events(1)))
    written.with_name("moved.db").rename(written)
    assert log.append(Append("run-1", new_events(1))).version == 4
    log.close()


def test_a_relative_path_stays_what_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    log = SqliteLog("log.db")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    log.append(Append("run-1", new_events(1)))
    assert log.version("run-1") == 1
    assert log.where == "log.db"
    log.close()


def test_odd_names_of_files(tmp_path: Path) -> None:
    for name in ("a b?c#d%20.db", "ä;'\".db"):
        with_events(tmp_path / name, 1)
        log = SqliteLog(tmp_path / name)
        assert log.version("run-1") == 1
        log.close()


def test_a_connection_to_a_file_names_the_file(path: Path) -> None:
    connection = sqlite3.connect(path)
    log = SqliteLog(connection)
    log.append(Append("run-1", new_events(1)))
    assert log.where == str(path)
    log.close()
    assert connection.execute("SELECT count(*) FROM events").fetchone() == (1,)
    connection.close()


def test_a_connection_in_memory_must_be_shareable() -> None:
    bound = sqlite3.connect(":memory:")
    with pytest.raises(UsageError, match="check_same_thread=False"):
        SqliteLog(bound)
    bound.close()
    busy = sqlite3.connect(":memory:", check_same_thread=False)
    busy.execute("CREATE TABLE t (x)")
    busy.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(UsageError, match="open transaction"):
        SqliteLog(busy)
    busy.rollback()
    with pytest.raises(NotALogError):
        SqliteLog(busy)
    busy.close()


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="permissions are a matter of POSIX")
@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("file", "read-only"),
        ("folder", "not writable"),
        ("unreadable", "read"),
        ("closed folder", "Permission"),
    ],
)
def test_what_may_not_be_written_is_refused_in_words(what: str, words: str) -> None:
    # Not below pytest's own folder: the test may have to give up being root to be refused anything.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "folder"
        folder.mkdir()
        os.chmod(name, 0o755)
        with_events(folder / "log.db", 1)
        (folder / "log.db").chmod({"file": 0o444, "unreadable": 0}.get(what, 0o666))
        folder.chmod({"folder": 0o555, "closed folder": 0}.get(what, 0o777))
        # Everything is imported and read before, for the other user may not get at the interpreter.
        program = (
            "import os, sys\n"
            "from dashflow.errors import StorageUnavailableError\n"
            "from dashflow.log.sqlite import SqliteLog\n"
            "SqliteLog(':memory:').close()\n"
            "os.getuid() or os.setuid(65534)\n"
            "try: SqliteLog(sys.argv[1])\n"
            "except StorageUnavailableError as error: print(error)"
        )
        where = str(folder / "log.db")
        child = [sys.executable, "-c", program, where]
        said = subprocess.run(child, capture_output=True, text=True, check=True).stdout
        folder.chmod(0o777)
        assert words in said
        assert where in said
