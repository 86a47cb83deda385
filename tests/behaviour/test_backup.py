"""Backups, exports and imports of events: on every backend that the tests have, from running programs, damaged."""

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import zstandard

import dashflow
from dashflow.checkpoint.saver import LogSaver
from dashflow.checkpoint.sqlite import SqliteSaver
from dashflow.errors import (
    DamagedFileError,
    DifferentHistoryError,
    ExportFormatError,
    LogError,
    NotAnExportError,
    OwnershipConflictError,
    UsageError,
)
from dashflow.graph import END, START, StateGraph
from dashflow.log.base import Append, EventLog, NewEvent
from dashflow.log.memory import MemoryLog
from dashflow.log.open import open_log
from dashflow.log.portable import (
    ExportFile,
    Until,
    backup,
    bring,
    examine,
    restore,
    verify,
    write_file,
)
from dashflow.types import Command, interrupt

SOURCES = str(Path(dashflow.__file__).parents[1])
AT = 1_800_000_000_000_000_000

backups = pytest.mark.feature("PERSIST-005")
exports = pytest.mark.feature("LOG-06")


def event(number: int, *, data: bytes = b"\x81\xa1n\x01", **more: Any) -> NewEvent:
    identifier = sha256(str(number).encode()).digest()[:16]
    return NewEvent("Happened", data, identifier, AT + number * 1_000_000_000, **more)


@pytest.fixture(params=["memory", "sqlite"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], EventLog]:
    """Opens logs by name."""
    logs: list[EventLog] = []

    def open_one(name: str) -> EventLog:
        log = MemoryLog() if request.param == "memory" else open_log(tmp_path / f"{name}.db")
        logs.append(log)
        return log

    yield open_one
    for log in logs:
        log.close()


def filled(log: EventLog) -> EventLog:
    """Events of several streams, mixed; payloads of all kinds."""
    payloads = [
        b"\x81\xa1n\x01",
        b"",
        b"\xc1 no msgpack",
        b"\x93\x01\x02\xc4\x01x",
        b"\xca\x00\x00\x00\x00",
        b"x" * 70_000,
    ]
    chance = random.Random(5)
    versions = dict.fromkeys(["run-one", "run-two", "plan-three", "sub-one|inner:1"], 0)
    for number in range(120):
        stream = chance.choice([*versions])
        one = event(
            number,
            data=chance.choice(payloads),
            schema=chance.randint(1, 3),
            correlation_id=chance.choice(["", "run é"]),
            causation_id=chance.choice([b"", bytes(16)]),
            fingerprint=chance.choice(["", "abc"]),
        )
        log.append(Append(stream, [one], versions[stream]))
        versions[stream] += 1
    return log


def told(log: EventLog) -> list[tuple]:
    """All events, without their positions and owners."""
    return [
        (r.stream, r.version, r.category, r.type, r.schema, r.event_id, r.correlation_id, r.causation_id, r.at,
         r.fingerprint, r.checksum, r.data)
        for r in log.read_all(limit=100_000)
    ]  # fmt: skip


# -- exports --------------------------------------------------------------------------------------


@exports
@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz", "jsonl.zst"])
def test_what_is_exported_comes_back_byte_for_byte(opened, tmp_path, ending):
    source, target = filled(opened("source")), opened("target")
    path = str(tmp_path / f"events.{ending}")
    written = write_file(source, path)
    assert (written.streams, written.events) == (4, 120)
    brought = bring(ExportFile(path), target)
    assert (brought.events, brought.present, brought.streams) == (120, 0, 4)
    assert told(target) == told(source)
    again = bring(ExportFile(path), target)
    assert (again.events, again.present) == (0, 120)
    write_file(target, str(tmp_path / "again.jsonl"))
    with {"gz": gzip.open, "zst": zstandard.open}.get(ending[6:], open)(path, "rb") as unpacked:
        assert (tmp_path / "again.jsonl").read_bytes() == unpacked.read()


@exports
def test_a_line_is_json_that_people_can_read(opened, tmp_path):
    log = opened("source")
    log.append(Append("run-1", [event(1), event(2, data=b"\x93\x01\x02\xc4\x01x")]))
    path = tmp_path / "events.jsonl"
    write_file(log, str(path), shown=lambda record: {"kind": record.type})
    head, first, second, end = map(json.loads, path.read_text().splitlines())
    assert (head["dashflow"], head["format"], head["streams"], head["whole"]) == ("events", 1, 1, True)
    assert (first["stream"], first["version"], first["type"], first["data"]) == (
        "run-1",
        1,
        "Happened",
        {"n": 1},
    )
    assert (second["shown"], "base64" in second, "data" in second) == ({"kind": "Happened"}, True, False)
    assert (end["events"], end["streams"]) == (2, 1)


@exports
def test_a_part_of_a_log(opened, tmp_path):
    source, target = filled(opened("source")), opened("target")
    write_file(source, str(tmp_path / "a.jsonl"), streams=["run-one", "plan-three"])
    write_file(source, str(tmp_path / "b.jsonl"), category="sub")
    bring(ExportFile(str(tmp_path / "a.jsonl")), target)
    assert told(target) == [one for one in told(source) if one[0] in ("run-one", "plan-three")]
    bring(ExportFile(str(tmp_path / "b.jsonl")), target)
    assert {info.stream for info in target.streams()} == {"run-one", "plan-three", "sub-one|inner:1"}
    with pytest.raises(UsageError, match="part"):
        restore(str(tmp_path / "a.jsonl"), str(tmp_path / "new.db"))


@exports
def test_the_log_goes_on_where_it_has_a_part(opened, tmp_path):
    source, target = filled(opened("source")), opened("target")
    for record in source.read("run-one", upto=4):
        target.append(Append("run-one", [NewEvent(record.type, record.data, record.event_id, record.at)]))
    path = str(tmp_path / "events.jsonl")
    write_file(source, path)
    assert bring(ExportFile(path), target).present == 4
    assert [r.event_id for r in target.read("run-one")] == [r.event_id for r in source.read("run-one")]


@exports
def test_another_history_is_refused_before_anything_is_recorded(opened, tmp_path):
    source, target = filled(opened("source")), opened("target")
    target.append(Append("plan-three", [event(900), event(901)]))
    path = str(tmp_path / "events.jsonl")
    write_file(source, path)
    before = told(target)
    with pytest.raises(DifferentHistoryError) as caught:
        bring(ExportFile(path), target)
    assert (caught.value.data["stream"], caught.value.data["version"]) == ("plan-three", 2)
    assert told(target) == before


@exports
def test_a_thread_that_somebody_runs_gets_no_events(opened, tmp_path):
    source, target = filled(opened("source")), opened("target")
    path = str(tmp_path / "events.jsonl")
    write_file(source, path)
    owner = f"{target.instance}/run"
    target.append(Append("run-one", owner=owner, claim=True))
    with pytest.raises(OwnershipConflictError):
        bring(ExportFile(path), target)
    target.append(Append("run-one", owner=owner, epoch=1, release=True))
    bring(ExportFile(path), target)
    assert sorted(told(target)) == sorted(told(source))


# -- damage ---------------------------------------------------------------------------------------


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
    for left in (lines[:5] + lines[6:], lines[:5] + [lines[6], lines[5]] + lines[7:], lines + lines[-2:]):
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
    from dashflow.log.portable.lines import sealed

    path.write_bytes(sealed({"dashflow": "events", "format": 2}))
    error = refused(path, tmp_path)
    assert isinstance(error, ExportFormatError)
    assert error.data["found"] == 2
    with pytest.raises(UsageError):
        bring(ExportFile(str(tmp_path / "nowhere")), MemoryLog())
    with pytest.raises(NotAnExportError):
        bring(ExportFile(str(tmp_path)), MemoryLog())


# -- what stands beside the events ----------------------------------------------------------------


def blob(text: str) -> dict[bytes, bytes]:
    return {sha256(text.encode()).digest(): text.encode() * 1000}


@exports
@backups
def test_large_values_and_forgotten_events(opened, tmp_path):
    source, target = opened("source"), opened("target")
    source.append(Append("run-1", [event(1, blobs=blob("a")), event(2, blobs=blob("b"))]))
    source.append(Append("run-2", [event(3, blobs={**blob("a"), **blob("c")})]))
    source.append(Append("run-1", [event(4), event(5, blobs=blob("b")), event(6)], forget=2))
    source.append(Append("run-3", [event(number) for number in range(10, 500)]))
    source.append(Append("run-3", [event(501)], forget=490))
    path = str(tmp_path / "events.jsonl")
    assert write_file(source, path).blobs == 3
    bring(ExportFile(path), target)
    assert sorted(told(target)) == sorted(told(source))
    assert [target.version(stream) for stream in ("run-1", "run-3")] == [5, 491]
    for stream in ("run-1", "run-2", "run-3"):
        assert target.needs(stream) == source.needs(stream)
    for text in "abc":
        [(key, content)] = blob(text).items()
        assert target.blob(key) == content
    assert verify(target).found == examine(ExportFile(path)).found == 0
    assert bring(ExportFile(path), target).events == 0


@backups
def test_a_value_that_is_needed_before_and_after_the_moment(opened, tmp_path):
    source, target = opened("source"), opened("target")
    source.append(Append("run-1", [event(1, blobs=blob("a")), event(2)]))
    source.append(Append("run-1", [event(3, blobs=blob("a"))]))
    path = str(tmp_path / "backup.gz")
    backup(source, path)
    bring(ExportFile(path), target, wanted=Until(position=2).wants)
    [(key, content)] = blob("a").items()
    assert (target.version("run-1"), target.blob(key)) == (2, content)


# -- verifying ------------------------------------------------------------------------------------


@backups
def test_verify_finds_damage_gaps_and_what_cannot_be_read(tmp_path):
    import sqlite3

    db = tmp_path / "log.db"
    filled(open_log(db)).close()
    with closing_log(db) as log:
        assert verify(log).found == 0
    connection = sqlite3.connect(db)
    [(first,), (second,)] = connection.execute(
        "SELECT position FROM events WHERE stream_id = (SELECT stream_id FROM streams WHERE name = 'run-one') "
        "AND version IN (3, 5) ORDER BY position"
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
    assert codes == {("damaged", 3), ("gap", 6)}
    assert "unreadable" in {one.code for one in found.findings}
    done = command(tmp_path, "backup", "verify", "--db", "log.db", "--json")
    assert done.returncode == 6
    assert json.loads(done.stdout)["sound"] is False


def _refuses_schema_3(record) -> None:
    if record.schema == 3:
        raise LogError("of the future")


def closing_log(path):
    from contextlib import closing

    return closing(open_log(path))


# -- a drill --------------------------------------------------------------------------------------


def counting(saver):
    """Counts to 10, asks, and says what it was told."""
    builder = StateGraph(dict)
    builder.add_node("count", lambda state: {"n": state["n"] + 1, "said": ""})
    builder.add_node("ask", lambda state: {**state, "said": interrupt(f"after {state['n']}?")})
    builder.add_edge(START, "count")
    builder.add_conditional_edges("count", lambda state: "ask" if state["n"] >= 10 else "count")
    builder.add_edge("ask", END)
    return builder.compile(checkpointer=saver)


RUNNING = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_backup import counting
from dashflow.checkpoint.sqlite import SqliteSaver

saver = SqliteSaver(sys.argv[1])
graph = counting(saver)
number = 0
while True:
    graph.invoke({{"n": 0, "said": ""}}, {{"configurable": {{"thread_id": f"t{{number}}"}}}})
    number += 1
    print(number, flush=True)
"""


def command(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dashflow", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": SOURCES},
        capture_output=True,
        text=True,
        check=False,
    )


@backups
def test_a_drill_backup_in_the_middle_of_runs_and_restore_to_several_moments(tmp_path, soak):
    """A program runs threads; backups are made meanwhile; it is killed; every thread goes on from each backup."""
    with subprocess.Popen(
        [sys.executable, "-c", RUNNING, "log.db"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": SOURCES},
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        running.stdout.readline()
        with closing_log(tmp_path / "log.db") as log:
            for number in range(3):
                running.stdout.readline()
                backup(log, str(tmp_path / f"b{number}.jsonl.zst"))
        running.kill()
    counts = []
    for number in range(3):
        path = str(tmp_path / f"b{number}.jsonl.zst")
        assert examine(ExportFile(path)).found == 0
        counts.append(restore(path, str(tmp_path / f"r{number}.db")).events)
        assert go_on(tmp_path / f"r{number}.db") > number
    assert counts == sorted(counts)
    file = ExportFile(str(tmp_path / "b2.jsonl.zst"))
    lines = list(file.events())
    chance = random.Random(3)
    for number in range(40 if soak else 4):
        line = chance.choice(lines)
        new = tmp_path / f"p{number}.db"
        restore(file.path, str(new), until=Until(position=line.position))
        with closing_log(new) as log:
            assert [r.event_id for r in log.read_all(limit=100_000)] == [
                one.event.event_id for one in lines if one.position <= line.position
            ]
        go_on(new)
    moment = lines[len(lines) // 2].event.at
    done = command(
        tmp_path, "backup", "restore", "b2.jsonl.zst", "--db", "at.db", "--until", iso(moment), "--json"
    )
    assert done.returncode == 0, done.stderr
    with closing_log(tmp_path / "at.db") as log:
        whole = [one for one in lines if one.event.at <= moment // 1000 * 1000]
        assert 0 < len(log.read_all(limit=100_000)) <= len(whole)
        assert all(r.at <= moment for r in log.read_all(limit=100_000))
    go_on(tmp_path / "at.db")


def iso(at: int) -> str:
    from datetime import UTC, datetime

    moment = datetime.fromtimestamp(at // 1_000_000_000, UTC).replace(microsecond=at // 1000 % 1_000_000)
    return moment.isoformat()


def go_on(db: Path) -> int:
    """Every thread of a restored log comes to its end; how many there are."""
    saver = SqliteSaver(db)
    graph = counting(saver)
    threads = saver.reader.threads()
    for thread in threads:
        config = {"configurable": {"thread_id": thread}}
        state = graph.get_state(config)
        if state.next and not state.interrupts:
            graph.invoke(None, config)
        state = graph.get_state(config)
        if state.interrupts:
            assert [one.value for one in state.interrupts] == ["after 10?"]
            assert graph.invoke(Command(resume="enough"), config) == {"n": 10, "said": "enough"}
        history = list(graph.get_state_history(config))
        assert history[0].values["said"] == "enough"
        graph.invoke(None, history[3].config)
    assert verify(saver.log).found == 0
    saver.close()
    return len(threads)


@backups
def test_a_backup_is_of_one_moment_while_others_append(opened, tmp_path):
    log = opened("source")
    stop = threading.Event()

    def append(stream: str) -> None:
        for number in range(1000):
            if stop.is_set():
                break
            identifier = sha256(f"{stream}{number}".encode()).digest()[:16]
            log.append(Append(stream, [NewEvent("Happened", b"\x80", identifier, AT + number)], number))

    writers = [threading.Thread(target=append, args=(f"run-{number}",)) for number in range(3)]
    for writer in writers:
        writer.start()
    try:
        for number in range(5):
            while log.version("run-0") < 50 * (number + 1):
                pass
            done = backup(log, str(tmp_path / f"{number}.jsonl"))
            assert done.upto > 0
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    for number in range(5):
        file = ExportFile(str(tmp_path / f"{number}.jsonl"))
        examined = examine(file)
        assert examined.found == 0
        there = [r.event_id for r in log.read_all(limit=100_000) if r.position <= examined.upto]
        assert [line.event.event_id for line in file.events()] == there


@backups
def test_a_restore_that_is_killed_leaves_no_log(tmp_path):
    backup(filled(MemoryLog()), str(tmp_path / "backup.jsonl"))
    script = """
import os, signal
from dashflow.log.portable import restore
from dashflow.log.sqlite import SqliteLog

submit, left = SqliteLog.submit, 30

def counting(self, append):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return submit(self, append)

SqliteLog.submit = counting
restore("backup.jsonl", "new.db")
"""
    env = {**os.environ, "PYTHONPATH": SOURCES}
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=env, check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "new.db").exists()
    assert command(tmp_path, "backup", "restore", "backup.jsonl", "--db", "new.db").returncode == 0
    assert sorted(one.name for one in tmp_path.iterdir()) == ["backup.jsonl", "new.db"]


@backups
def test_nothing_is_overwritten(tmp_path):
    log = filled(open_log(tmp_path / "log.db"))
    log.close()
    assert command(tmp_path, "backup", "create", "b.jsonl", "--db", "log.db").returncode == 0
    content = (tmp_path / "b.jsonl").read_bytes()
    again = command(tmp_path, "backup", "create", "b.jsonl", "--db", "log.db")
    assert (again.returncode, (tmp_path / "b.jsonl").read_bytes()) == (2, content)
    over = command(tmp_path, "backup", "restore", "b.jsonl", "--db", "log.db")
    assert (over.returncode, "is there already" in over.stderr) == (2, True)
    for words in (["backup", "create", "c.jsonl"], ["log", "export"], ["backup", "verify"]):
        missing = command(tmp_path, *words, "--db", "nowhere.db")
        assert (missing.returncode, "no log" in missing.stderr) == (2, True)
    assert (
        command(tmp_path, "backup", "restore", "b.jsonl", "--db", "n.db", "--until", "soon").returncode == 2
    )
    assert sorted(one.name for one in tmp_path.iterdir()) == ["b.jsonl", "log.db"]


@exports
def test_the_commands(tmp_path):
    saver = SqliteSaver(tmp_path / "log.db")
    graph = counting(saver)
    for thread in ("a", "b"):
        graph.invoke({"n": 7, "said": ""}, {"configurable": {"thread_id": thread}})
    saver.close()
    done = command(tmp_path, "log", "export", "--db", "log.db", "--thread", "a")
    (tmp_path / "a.jsonl").write_text(done.stdout)
    assert {json.loads(line).get("stream") for line in done.stdout.splitlines()} == {"run-a", None}
    wrote = command(tmp_path, "log", "export", "--db", "log.db", "--stream", "run-b", "-o", "b.jsonl.gz")
    assert wrote.returncode == 0
    for name in ("a.jsonl", "b.jsonl.gz", "a.jsonl"):
        assert command(tmp_path, "log", "import", name, "--db", "new.db").returncode == 0
    saver = SqliteSaver(tmp_path / "new.db")
    config = {"configurable": {"thread_id": "b"}}
    assert counting(saver).invoke(Command(resume="yes"), config) == {"n": 10, "said": "yes"}
    saver.close()
    for words in (["--thread", "nobody"], ["--stream", "run-a", "--category", "run"]):
        assert command(tmp_path, "log", "export", "--db", "log.db", *words).returncode == 2
    (tmp_path / "a.jsonl").write_text(done.stdout[:-50])
    bad = command(tmp_path, "log", "import", "a.jsonl", "--db", "other.db", "--json")
    assert (bad.returncode, json.loads(bad.stdout)["error"]["code"]) == (6, "DAMAGED_FILE")


@exports
def test_an_import_into_a_saver_of_a_running_program_is_seen(tmp_path):
    """The reader of threads keeps nothing that an import would make wrong."""
    source, target = LogSaver(MemoryLog()), LogSaver(MemoryLog())
    config = {"configurable": {"thread_id": "a"}}
    counting(source).invoke({"n": 7, "said": ""}, config)
    assert counting(target).get_state(config).values == {}
    write_file(source.log, str(tmp_path / "a.jsonl"))
    bring(ExportFile(str(tmp_path / "a.jsonl")), target.log)
    assert counting(target).get_state(config).next == ("ask",)
