"""A process that writes to a store is killed: every batch is in the file whole or not at all."""

import signal
import subprocess
import sys

import pytest
from psycopg.conninfo import make_conninfo

from dashflow.store.base import GetOp
from dashflow.store.postgres import PostgresStore
from dashflow.store.sqlite import SqliteStore
from dashflow.testing.store_case import letters

pytestmark = [
    pytest.mark.feature("PERSIST-000"),
    pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals"),
]

WRITING = """
import itertools, sys
from dashflow.store.base import PutOp
from dashflow.store.postgres import PostgresStore
from dashflow.store.sqlite import SqliteStore
from dashflow.testing.store_case import letters
index = {"dims": 26, "embed": letters, "fields": ["text"]}
kind = {"sqlite": SqliteStore, "postgres": PostgresStore}[sys.argv[2]]
with kind.from_conn_string(sys.argv[1], index=index) as store:
    store.setup()
    for count in itertools.count():
        store.batch([PutOp((side,), "k", {"text": "a" * (count % 50), "count": count}) for side in "lmr"])
        print(count, flush=True)
"""


@pytest.fixture(params=["sqlite", "postgres"])
def place(request, tmp_path):
    """The kind of a store, and where it is."""
    if request.param == "sqlite":
        return "sqlite", str(tmp_path / "store.db")
    postgres = request.getfixturevalue("postgres")
    postgres.execute("CREATE SCHEMA {schema}")
    postgres.execute("CREATE EXTENSION IF NOT EXISTS vector SCHEMA public")
    return "postgres", make_conninfo(postgres.dsn, options=f"-c search_path={postgres.schema},public")


@pytest.mark.parametrize("batches", [1, 2, 5, 30])
@pytest.mark.guarantee("acknowledged-survives")
def test_what_was_confirmed_is_there_and_no_batch_is_half_there(place, batches):
    kind, where = place
    with subprocess.Popen(
        [sys.executable, "-c", WRITING, where, kind], stdout=subprocess.PIPE, text=True
    ) as process:
        confirmed = [int(process.stdout.readline()) for _ in range(batches)][-1]
        process.kill()
        assert process.wait() == -signal.SIGKILL
    index = {"dims": 26, "embed": letters, "fields": ["text"]}
    with {"sqlite": SqliteStore, "postgres": PostgresStore}[kind].from_conn_string(
        where, index=index
    ) as store:
        # In one batch: a server may still commit what it got from a program that is gone.
        values = [item.value for item in store.batch([GetOp((side,), "k") for side in "lmr"])]
        assert values[0] == values[1] == values[2]
        assert values[0]["count"] >= confirmed
        assert len(store.search((), query="a" if values[0]["text"] else "b")) == 3
