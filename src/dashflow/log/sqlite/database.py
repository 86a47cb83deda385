"""One log file and the connections to it: found out to be a log, created, migrated, opened.

A file that is not a log is left as it is. Knows the tables' format, but neither events nor streams.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from dashflow._util.database import code_of, is_busy, patiently, plain_cursor, roll_back
from dashflow.errors import LogError, LogFormatError, NotALogError, StorageUnavailableError, UsageError
from dashflow.log.base import LOG_FORMAT
from dashflow.log.sqlite import faults
from dashflow.log.sqlite.lockers import lockers, named
from dashflow.log.sqlite.places import FUNCTIONS
from dashflow.log.sqlite.statements import migrations, queries, schema, statements_of
from dashflow.log.subscriptions import Bell

APPLICATION_ID: Final = 0x44617368
"""In the file's header: the letters "Dash"."""

_MAGIC: Final = b"SQLite format 3\0"
_WAL_KEPT: Final = 64 * 1024 * 1024

_WAL_PAGES: Final = (256, 4000)
"""Pages after which the WAL is written back and begun anew: usually, and while many append at once.

A WAL that begins anew is overwritten; one that grows needs the file system's own journal at every flush,
which takes as long again. Many streams at once change the same pages again and again; to write them back
every 256 pages would double what is written."""

T = TypeVar("T")


class _Shared:
    """What the logs on one connection in memory have in common: they take turns."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.bells: tuple[Bell, ...] = ()
        self.logs = 0


_SHARED: dict[int, _Shared] = {}
"""By the ``id`` of connections in memory on which logs are open; such a log holds its connection."""


class Database:
    """An open log file, or a log in a connection of its own when there is no file.

    Attributes:
        where: The path, for messages.
        path: The file; None without one.
        writer: The connection that writes; used by one thread at a time.
        lock: To be held around the writer connection, which is the only one when ``path`` is None.
    """

    def __init__(self, where: str | os.PathLike[str] | sqlite3.Connection, busy_seconds: float) -> None:
        self.busy_seconds = busy_seconds
        self._crowded = False
        self._owned = True
        if isinstance(where, sqlite3.Connection):
            file = _file_of(where)
            self.path = Path(file) if file else None
            self._owned = bool(file)
        else:
            where = os.fspath(where)
            # Absolute, for connections that are opened after the program has changed its folder, and
            # without links, so that all who open the file look for its owners in the same place.
            self.path = None if where == ":memory:" else Path(os.path.realpath(where))
            file = where
        self._path = str(self.path)
        self.where = ":memory:" if self.path is None else file
        if self.path is not None:
            _make_folder(self.path)
            _check_header(self.path)
        try:
            if isinstance(where, sqlite3.Connection) and not self._owned:
                _check_shareable(where)
                self.writer = where
            else:
                self.writer = self._connect()
            shared = _SHARED.setdefault(id(self.writer), _Shared()) if self.path is None else _Shared()
            shared.logs += 1
            self._shared = shared
            self.lock = shared.lock
            try:
                with self.lock:
                    self._prepare(self.writer)
                self._file = None if self.path is None else os.stat(self.path)
            except BaseException:
                self.close()
                raise
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise faults.fault(self.where, error) from error

    def reader(self, *, busy_seconds: float | None = None) -> sqlite3.Connection:
        """A further connection that only reads; not for a log without a file.

        ``busy_seconds``: how long it waits for others; None: as long as the log does.
        """
        assert self.path is not None
        # Not created if it is gone.
        connection = sqlite3.connect(
            self.path.as_uri() + "?mode=rw", uri=True, isolation_level=None, check_same_thread=False
        )
        seconds = self.busy_seconds if busy_seconds is None else busy_seconds
        connection.execute(f"PRAGMA busy_timeout={int(seconds * 1000)}")
        connection.execute("PRAGMA query_only=ON")
        return connection

    def hear(self, bell: Bell) -> None:
        """Have ``bell`` rung by ``ring`` of every log on this connection."""
        with self.lock:
            self._shared.bells += (bell,)

    def unhear(self, bell: Bell) -> None:
        """Ring ``bell`` no more."""
        with self.lock:
            self._shared.bells = tuple(other for other in self._shared.bells if other is not bell)

    def ring(self) -> None:
        """Tell everybody in this process who waits that there are new events."""
        for bell in self._shared.bells:
            bell.ring()

    def check_in_place(self) -> None:
        """Make sure that the path still leads to the open file: what is written elsewhere is lost.

        Raises:
            StorageUnavailableError: The file was removed or replaced.
        """
        if self._file is None:
            return
        try:
            if os.path.samestat(os.stat(self._path), self._file):
                return
        except OSError as error:
            raise StorageUnavailableError(
                self.where, f"the file is gone since it was opened ({error.strerror})"
            ) from error
        raise StorageUnavailableError(self.where, "another file was put in its place since it was opened")

    def empty_wal(self) -> bool:
        """Bring the WAL's pages into the file and cut it to nothing: it holds old ones until then.

        False when somebody is still reading what was there before; then it was not cut.
        """
        if self.path is None:
            return True
        with self.lock:
            try:
                return not _pragma(self.writer, "wal_checkpoint(TRUNCATE)")
            except sqlite3.Error as error:
                if not is_busy(error):
                    import logging  # rarely needed, and slow to load

                    # What was to be committed is; the next append meets the same problem and tells.
                    logging.getLogger(__name__).warning("the WAL of %r stays: %s", self.where, error)
                return False

    def expect(self, crowd: bool) -> None:
        """Say whether many append at once; called between transactions."""
        if crowd is not self._crowded:
            self._crowded = crowd
            self.writer.execute(f"PRAGMA wal_autocheckpoint={_WAL_PAGES[crowd]}")

    @contextmanager
    def unhurried(self) -> Iterator[None]:
        """Commits of the writer in this block do not wait for the disk; the next one after it does."""
        self.writer.execute("PRAGMA synchronous=NORMAL")
        try:
            yield
        finally:
            roll_back(self.writer)  # inside a transaction the setting would be ignored
            self.writer.execute("PRAGMA synchronous=FULL")

    def patiently(self, work: Callable[[], T]) -> T:
        """Do ``work`` again while other processes are in the way.

        Raises:
            StorageUnavailableError: They were for the whole of ``busy_seconds``.
        """
        try:
            return patiently(work, self.busy_seconds)
        except sqlite3.OperationalError as error:
            if not is_busy(error):
                raise
            by = [] if self.path is None else [*map(named, lockers(self.path))]
            raise faults.busy(self.where, self.busy_seconds, by) from error

    def close(self) -> None:
        """Close the writer; a connection that the caller brought stays open."""
        self._shared.logs -= 1
        if self.path is None and not self._shared.logs:
            _SHARED.pop(id(self.writer), None)
        if self._owned:
            self.writer.close()

    def _connect(self) -> sqlite3.Connection:
        target = ":memory:" if self.path is None else self.path
        return sqlite3.connect(target, timeout=0, isolation_level=None, check_same_thread=False)

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Make sure that this is a log of a format we know, and set what holds for a connection."""
        if self.patiently(lambda: _pragma(connection, "application_id")) != APPLICATION_ID:
            self._create(connection)
        found = self.patiently(lambda: stored_format(connection, self.where))
        if found > LOG_FORMAT:
            raise LogFormatError(self.where, found, LOG_FORMAT)
        if found < LOG_FORMAT:
            self._migrate(connection)
        if self.path is not None:
            mode = self.patiently(lambda: _pragma(connection, "journal_mode=WAL"))
            if mode != "wal":
                raise StorageUnavailableError(self.where, f"its file system allows no WAL (got {mode!r})")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA fullfsync=ON")  # macOS: flush the drive's own cache as well
        connection.execute("PRAGMA checkpoint_fullfsync=ON")
        connection.execute(f"PRAGMA wal_autocheckpoint={_WAL_PAGES[0]}")
        connection.execute(f"PRAGMA journal_size_limit={_WAL_KEPT}")
        connection.execute("PRAGMA secure_delete=ON")  # what is forgotten is overwritten, not only let go

    def _create(self, connection: sqlite3.Connection) -> None:
        """Make the tables in an empty database. In the rollback journal, before the switch to WAL, so
        that the file's header says at once and for ever what the file is."""
        self.patiently(lambda: connection.execute("BEGIN IMMEDIATE"))
        try:
            if _pragma(connection, "application_id") != APPLICATION_ID:
                if _pragma(connection, "application_id") or _tables(connection):
                    raise NotALogError(self.where, "it is another program's SQLite database")
                _run(connection, schema())
                connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
                connection.execute(queries()["set_meta"], ("format", LOG_FORMAT))
            self.patiently(lambda: connection.execute("COMMIT"))
        except BaseException:
            roll_back(connection)
            raise

    def _migrate(self, connection: sqlite3.Connection) -> None:
        """Bring an older log to today's format, all steps or none."""
        for name, function in FUNCTIONS.items():
            connection.create_function(name, -1, function, deterministic=True)
        self.patiently(lambda: connection.execute("BEGIN IMMEDIATE"))
        try:
            # Asked again: another process may have been faster, and then there is nothing left to do.
            for script in migrations(stored_format(connection, self.where)):
                _run(connection, script)
            connection.execute(queries()["set_meta"], ("format", LOG_FORMAT))
            self.patiently(lambda: connection.execute("COMMIT"))
        except BaseException:
            roll_back(connection)
            raise


def stored_format(connection: sqlite3.Connection, where: str) -> int:
    """The number of a log's format.

    Raises:
        NotALogError: It has none.
    """
    try:
        row = plain_cursor(connection).execute(queries()["format"]).fetchone()
    except sqlite3.OperationalError as error:
        if code_of(error) != sqlite3.SQLITE_ERROR:
            raise
        row = None
    if row is None or not isinstance(row[0], int):
        raise NotALogError(where, "it does not say which format it has")
    return int(row[0])


def _pragma(connection: sqlite3.Connection, text: str) -> Any:
    row = plain_cursor(connection).execute(f"PRAGMA {text}").fetchone()
    return None if row is None else row[0]


def _run(connection: sqlite3.Connection, script: str) -> None:
    """A script's statements one by one: ``executescript`` would commit before it."""
    for statement in statements_of(script)[1]:
        connection.execute(statement)


def _tables(connection: sqlite3.Connection) -> int:
    row = plain_cursor(connection).execute("SELECT count(*) FROM sqlite_master").fetchone()
    return int(row[0])


def _file_of(connection: sqlite3.Connection) -> str:
    """The file behind a connection; empty for a database in memory."""
    for _, name, file in plain_cursor(connection).execute("PRAGMA database_list"):
        if name == "main":
            return str(file or "")
    return ""


def _check_shareable(connection: sqlite3.Connection) -> None:
    """Refuse a connection in memory that other threads could not use, or that is in a transaction."""
    if connection.in_transaction:
        raise UsageError("The SQLite connection has an open transaction; commit it before you hand it over.")
    refused: list[sqlite3.Error] = []

    def probe() -> None:
        try:
            connection.total_changes  # noqa: B018 - asks whether this thread may
            connection.execute("SELECT 1")
        except sqlite3.ProgrammingError as error:
            refused.append(error)

    thread = threading.Thread(target=probe)
    thread.start()
    thread.join()
    if refused:
        raise UsageError(
            "The SQLite connection is bound to one thread; open it with "
            "sqlite3.connect(..., check_same_thread=False)."
        ) from refused[0]


def _make_folder(path: Path) -> None:
    """Create the missing folders above a file so that a crash of the machine does not lose them."""
    missing = []
    folder = path.parent
    try:
        while not folder.exists() and folder != folder.parent:
            missing.append(folder)
            folder = folder.parent
        for folder in reversed(missing):
            folder.mkdir(exist_ok=True)
            _sync_folder(folder.parent)
    except OSError as error:
        raise StorageUnavailableError(
            str(path), f"its folder {str(path.parent)!r} cannot be created ({error.strerror})"
        ) from error


def _sync_folder(folder: Path) -> None:
    if not hasattr(os, "O_DIRECTORY"):  # Windows has no such thing
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_header(path: Path) -> None:
    """Refuse what is no log before SQLite opens it: opening may already change a file.

    Raises:
        NotALogError: A folder, another kind of file, or another program's database.
        StorageUnavailableError: The file cannot be read or may not be written.
    """
    problem = problem_of(path)
    if problem is not None:
        raise problem
    if path.exists() and not os.access(path, os.W_OK):
        raise StorageUnavailableError(str(path), "the file is read-only; make it writable for this user")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise StorageUnavailableError(
            str(path), "its folder is not writable for this user, and SQLite keeps files beside the log"
        )


def problem_of(path: Path) -> LogError | None:
    """Why a path cannot be a log; None for a log, an empty file or none at all."""
    try:
        kind = path.stat().st_mode
        if not stat.S_ISREG(kind):
            return NotALogError(
                str(path), "it is a folder" if stat.S_ISDIR(kind) else "it is no regular file"
            )
        with path.open("rb") as file:
            head = file.read(108)
    except FileNotFoundError:
        return None
    except OSError as error:
        return StorageUnavailableError(str(path), f"it cannot be read ({error.strerror})")
    if not head:
        return None
    if not head.startswith(_MAGIC) or len(head) < 108:
        # A creation that the power cut off leaves zeros and a journal, from which SQLite restores.
        interrupted = not head.strip(b"\0") and path.with_name(path.name + "-journal").exists()
        return None if interrupted else NotALogError(str(path), "it is not an SQLite database")
    application = int.from_bytes(head[68:72], "big")
    # Without an id, and its list of tables a leaf without a cell: to be looked at once it is open.
    empty = application == 0 and head[100] == 0x0D and head[103:105] == b"\0\0"
    if application == APPLICATION_ID or empty:
        return None
    return NotALogError(str(path), "it is another program's SQLite database")
