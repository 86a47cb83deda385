"""A process that writes to a store is killed: every batch is in the file whole or not at all."""

import signal
import subprocess
import sys

import pytest

from dashflow.store.sqlite import SqliteStore

pytestmark = [
    pytest.mark.feature("PERSIST-000"),
    pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals"),
]

WRITING = """
import itertools, sys
from dashflow.store.base import PutOp
from dashflow.store.sqlite import SqliteStore
from dashflow.testing.store_case import letters
index = {"dims": 26, "embed": letters, "fields": ["text"]}
with SqliteStore.from_conn_string(sys.argv[1], index=index) as store:
    for count in itertools.count():
        store.batch([PutOp((side,), "k", {"text": "a" * (count % 50), "count": count}) for side in "lmr"])
        print(count, flush=True)
"""


@pytest.mark.parametrize("batches", [1, 2, 5, 30])
def test_what_was_confirmed_is_there_and_no_batch_is_half_there(tmp_path, batches):
    path = str(tmp_path / "store.db")
    with subprocess.Popen(
        [sys.executable, "-c", WRITING, path], stdout=subprocess.PIPE, text=True
    ) as process:
        confirmed = [int(process.stdout.readline()) for _ in range(batches)][-1]
        process.kill()
        assert process.wait() == -signal.SIGKILL
    with SqliteStore.from_conn_string(path) as store:
        values = [store.get((side,), "k").value for side in "lmr"]
        assert values[0] == values[1] == values[2]
        assert values[0]["count"] >= confirmed
        vectors = store.conn.execute("SELECT count(*) FROM store_vectors").fetchone()
        assert vectors == (3,)
