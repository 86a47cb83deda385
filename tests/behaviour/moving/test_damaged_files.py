"""Files of events that are damaged, cut off, of others or of the future are refused, and nothing is left."""

import gzip
import json
import os
import random
import sqlite3
from pathlib import Path

import pytest

from dashflow.errors import (
    DamagedFileError,
    ExportFormatError,
    LogError,
    NotAnExportError,
    UsageError,
)
from dashflow.log.memory import MemoryLog
from dashflow.log.open import open_log
from dashflow.log.portable import ExportFile, bring, restore, verify, write_file
from dashflow.log.portable.lines import sealed
from tests.behaviour.moving.logs import closing_log, command, filled

exports = pytest.mark.feature("LOG-06")
backups = pytest.mark.feature("PERSIST-005")


def written(folder: Path, ending: str = "jsonl") -> Path:
    path = folder / f"events.{ending}"
    write_file(filled(MemoryLog()), str(path))
    return path


def refused(path: Path, folder: Path) -> LogError:
    """The error that an import and a restore are refused with; nothing is left of either."""
    log = MemoryLog()
    with pytest.raises(LogError) as caught:
        bring(ExportFile(str(path)), log)
    assert log.streams() == []
    before = set(os.listdir(folder))
    with pytest.raises(type(caught.value)):
        restore(str(path), str(folder / "new.db"))
    assert set(os.listdir(folder)) == before
    return caught.value


@exports
@backups
@pytest.mark.parametrize("line", [0, 1, 60, 121])
@pytest.mark.guarantee("restore")
def test_a_changed_byte_is_found_in_its_line(tmp_path, line):
    path = written(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    chance = random.Random(line)
    for _ in range(20):
        place = chance.randrange(20, len(lines[line]) - 1)
        changed = bytearray(lines[line])
        changed[place] ^= 1 << chance.randrange(7)
        path.write_bytes(b"".join([*lines[:line], bytes(changed), *lines[line + 1 :]]))
        error = refused(path, tmp_path)
        assert isinstance(error, DamagedFileError)
        # A new end of line makes two lines of one; the first of them is found.
        assert error.line == line + 1


@exports
def test_lines_that_are_missing_or_in_another_order(tmp_path):
    path = written(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    for left in ([*lines[:5], *lines[6:]], [*lines[:5], lines[6], lines[5], *lines[7:]], [*lines, lines[-1]]):
        path.write_bytes(b"".join(left))
        assert isinstance(refused(path, tmp_path), DamagedFileError)


@exports
@backups
@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz", "jsonl.zst"])
def test_a_file_that_ends_too_early(tmp_path, ending):
    path = written(tmp_path, ending)
    content = path.read_bytes()
    for part in (0.2, 0.5, 0.9, 0.999):
        path.write_bytes(content[: int(len(content) * part)])
        assert isinstance(refused(path, tmp_path), DamagedFileError)


@exports
def test_files_of_others_and_of_the_future(tmp_path):
    path = written(tmp_path)
    for content in (b"", b"hello\n", b'{"some": "json"}\n', os.urandom(5000), gzip.compress(b"hello")):
        path.write_bytes(content)
        assert isinstance(refused(path, tmp_path), NotAnExportError)

    path.write_bytes(sealed({"dashflow": "events", "format": 2}))
    error = refused(path, tmp_path)
    assert isinstance(error, ExportFormatError)
    assert error.data["found"] == 2
    with pytest.raises(UsageError):
        bring(ExportFile(str(tmp_path / "nowhere")), MemoryLog())
    with pytest.raises(NotAnExportError):
        bring(ExportFile(str(tmp_path)), MemoryLog())


@backups
def test_verify_finds_damage_gaps_and_what_cannot_be_read(tmp_path):

    db = tmp_path / "log.db"
    filled(open_log(db)).close()
    with closing_log(db) as log:
        assert verify(log).found == 0
    connection = sqlite3.connect(db)
    [(first,), (second,)] = connection.execute(
        "SELECT events.position FROM events JOIN streams USING (stream_id) "
        "WHERE name = 'run-one' AND events.version IN (3, 5) ORDER BY 1"
    ).fetchall()
    connection.execute("UPDATE events SET data = x'00ff' WHERE position = ?", (first,))
    connection.execute("DELETE FROM events WHERE position = ?", (second,))
    connection.commit()
    connection.close()
    with closing_log(db) as log:
        found = verify(log, check=_refuses_schema_3)
    codes = {
        (one.code, one.version)
        for one in found.findings
        if one.stream == "run-one" and one.code != "unreadable"
    }
    assert codes == {("damaged", 3), ("damaged", 5)}
    assert "unreadable" in {one.code for one in found.findings}
    done = command(tmp_path, "backup", "verify", "--db", "log.db", "--json")
    assert done.returncode == 6
    assert json.loads(done.stdout)["sound"] is False


def _refuses_schema_3(record) -> None:
    if record.schema == 3:
        raise LogError("of the future")
