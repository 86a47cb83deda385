"""Large data is kept as zstd frames: smaller, whole, and never a bomb."""

import os
import sqlite3
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from dashflow.errors import CorruptBlobError, CorruptEventError
from dashflow.log.base import Append, NewEvent, Snapshot
from dashflow.log.packing import PACK_FROM, PACKED, packed, restored, stored, unpacked
from dashflow.log.sqlite import SqliteLog
from dashflow.testing.log_case import AT, new_event, new_events

pytestmark = pytest.mark.feature("LOG-04")

TEXT = b"".join(b"The %d. result says that %d of %d hold. " % (n, n * 7 % 13, n * n) for n in range(2000))
BOMB = zstandard.ZstdCompressor().compress(bytes(500_000_000))
"""15 kB that claim, and hold, 500 MB."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


@pytest.fixture
def log(path: Path) -> Iterator[SqliteLog]:
    log = SqliteLog(path)
    yield log
    log.close()


def edit(path: Path, statement: str, *parameters: object) -> None:
    """Change the file behind the log's back."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(statement, parameters)
    connection.close()


@given(st.binary(max_size=200), st.integers(0, 400), st.integers(0, 2**32 - 1))
def test_what_is_stored_is_restored(part: bytes, times: int, place: int) -> None:
    data = part * times
    mark, kept = stored(data, place)
    assert restored(mark, kept, place) == data
    with pytest.raises(ValueError, match="does not match its checksum"):
        restored(mark, kept, place ^ 1)
    assert len(kept) <= len(data)
    assert bool(mark & PACKED) == (kept != data)


def test_what_is_small_or_noise_is_kept_as_it_is() -> None:
    for data in (b"x" * (PACK_FROM - 1), os.urandom(50_000), b""):
        assert stored(data, 0)[1] is data
    assert len(stored(b"x" * PACK_FROM, 0)[1]) < 100


def test_what_unpacks_to_too_much_is_not_packed() -> None:
    assert packed(bytes(100_000_000)) is None
    assert packed(bytes(10_000_000)) is not None


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"no frame at all",
        BOMB,
        BOMB[:50],
        zstandard.ZstdCompressor(write_content_size=False).compress(bytes(10**8)),
        (packed(TEXT) or b"")[:-5],
        (packed(TEXT) or b"") + b"more",
    ],
    ids=["empty", "text", "bomb", "part of a bomb", "no size", "cut off", "too long"],
)
def test_damaged_and_hostile_frames_are_refused(frame: bytes) -> None:
    with pytest.raises(ValueError, match="packed data"):
        unpacked(frame)


def test_a_log_of_small_events_does_not_load_it(path: Path) -> None:
    program = (
        "import sys; from dashflow.graph import StateGraph; from dashflow.log.sqlite import SqliteLog\n"
        "from dashflow.log.base import Append, NewEvent\n"
        "log = SqliteLog(sys.argv[1])\n"
        "for n in range(9):\n"
        "    log.append(Append('run-1', [NewEvent('Noted', b'x' * 4000, bytes([n]) * 16, 0)]))\n"
        "log.read_all(); assert 'zstandard' not in sys.modules\n"
        "log.append(Append('run-1', [NewEvent('Noted', b'x' * 5000, bytes([n + 1]) * 16, 0)]))\n"
        "assert 'zstandard' in sys.modules; log.close()"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=True)


# -- in SQLite ----------------------------------------------------------------------------------


def test_large_results_take_less_room(log: SqliteLog, path: Path) -> None:
    for _ in range(20):
        log.append(Append("run-1", [new_event(data=TEXT)]))
    assert [record.data for record in log.read("run-1")] == [TEXT] * 20
    log.close()
    assert path.stat().st_size < 20 * len(TEXT) / 2


def test_a_value_of_many_events_is_stored_once(log: SqliteLog, path: Path) -> None:
    noise = os.urandom(100_000)
    for number in range(20):
        event = NewEvent("Noted", b"key", new_event().event_id, AT, blobs={b"key": noise})
        log.append(Append(f"run-{number % 3}", [event]))
    log.close()
    assert path.stat().st_size < 2 * len(noise) + 100_000


@pytest.mark.parametrize(
    "frame", [b"no frame", BOMB, packed(TEXT + b"!") or b""], ids=["no", "bomb", "other"]
)
def test_a_damaged_event_is_reported(log: SqliteLog, path: Path, frame: bytes) -> None:
    log.append(Append("run-1", [new_event(), new_event(data=TEXT)]))
    edit(path, "UPDATE events SET data = ? WHERE version = 2", frame)
    for read in (lambda: log.read("run-1"), log.read_all):
        with pytest.raises(CorruptEventError) as caught:
            read()
        assert (caught.value.data["stream"], caught.value.data["version"]) == ("run-1", 2)
    assert [record.version for record in log.read("run-1", upto=1)] == [1]


def test_a_bomb_takes_no_memory(log: SqliteLog, path: Path) -> None:
    log.append(Append("run-1", [new_event(data=TEXT)]))
    edit(path, "UPDATE events SET data = ?", BOMB)
    tracemalloc.start()
    try:
        with pytest.raises(CorruptEventError):
            log.read("run-1")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000


def test_a_damaged_blob_is_reported(log: SqliteLog, path: Path) -> None:
    event = NewEvent("Noted", b"", new_event().event_id, AT, blobs={b"one": TEXT, b"two": b"small"})
    log.append(Append("run-1", [event]))
    for damage in (BOMB, b"x", "text"):
        edit(path, "UPDATE blobs SET data = ?", damage)
        for key in (b"one", b"two"):
            with pytest.raises(CorruptBlobError) as caught:
                log.blob(key)
            assert caught.value.data["key"] == key.hex()


@pytest.mark.parametrize("data", [b"small", TEXT], ids=["small", "packed"])
def test_a_damaged_snapshot_is_as_good_as_none(
    log: SqliteLog, path: Path, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    log.append(Append("run-1", new_events(5)))
    for version in (2, 4, 5):
        log.keep_snapshot("run-1", Snapshot(version, data))
    edit(path, "UPDATE snapshots SET data = ? WHERE version > 2", BOMB)
    assert log.snapshot("run-1") == Snapshot(2, data)
    assert "damaged" in caplog.text
    edit(path, "UPDATE snapshots SET data = 'text'")
    assert log.snapshot("run-1") is None


def test_the_view_for_people_tells_what_is_packed(log: SqliteLog, path: Path) -> None:
    log.append(Append("run-1", [new_event(data=b"plain"), new_event(data=TEXT)]))
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT packed FROM log").fetchall()
    data: Callable[[bytes], bytes] = zstandard.ZstdDecompressor().decompress
    assert rows == [(0,), (1,)]
    assert data(connection.execute("SELECT data FROM log WHERE packed").fetchone()[0]) == TEXT
    connection.close()
