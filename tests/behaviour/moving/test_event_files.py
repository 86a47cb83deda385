"""Exports and imports of events: byte for byte, in part, twice, into logs that others use."""

import gzip
import json
from hashlib import sha256

import pytest
import zstandard

from dashflow.checkpoint.saver import LogSaver
from dashflow.checkpoint.sqlite import SqliteSaver
from dashflow.errors import (
    DifferentHistoryError,
    OwnershipConflictError,
    UsageError,
)
from dashflow.log.base import Append, NewEvent
from dashflow.log.memory import MemoryLog
from dashflow.log.portable import ExportFile, Until, backup, bring, examine, restore, verify, write_file
from dashflow.types import Command
from tests.behaviour.moving.logs import command, counting, event, filled, told

exports = pytest.mark.feature("LOG-06")
backups = pytest.mark.feature("PERSIST-005")


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
    assert told(target) == [one for one in told(source) if one[1] in ("run-one", "plan-three")]
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
