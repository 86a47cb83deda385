"""Any order of appends, retries, claims, forgetting and reopenings does in every backend what a model says.

The model is a few dictionaries. Memory and SQLite are driven side by side and must agree with it, in
results, in the types of errors and in what can be read.
"""

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace

from dashflow.errors import (
    FencedError,
    LogError,
    MissingBlobError,
    OwnershipConflictError,
    VersionConflictError,
)
from dashflow.log.base import ANY, EVERYTHING, Append, Appended, EventLog
from dashflow.log.memory import MemoryLog, MemoryStore
from dashflow.log.sqlite import SqliteLog
from dashflow.testing.log_case import new_events

STREAMS = st.sampled_from(["run-1", "run-2", "plan-1"])
RUNS = st.sampled_from(["a", "b"])


@dataclass
class ModelStream:
    ids: list[bytes] = field(default_factory=list)
    epochs: list[int] = field(default_factory=list)
    forgotten: int = 0
    owner: str = ""  # the run's name alone: instances differ from backend to backend
    epoch: int = 0


class Logs(RuleBasedStateMachine):
    """Memory, SQLite in a file and the model, in step."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.store = MemoryStore()
        self.model: dict[str, ModelStream] = {}
        self.order: list[tuple[str, int]] = []
        self.written: list[tuple[str, int, Any, int]] = []
        self.needs: dict[bytes, dict[str, int]] = {}
        self.open()

    def open(self) -> None:
        self.logs: list[EventLog] = [MemoryLog(self.store), SqliteLog(self.folder / "log.db")]

    def teardown(self) -> None:
        if hasattr(self, "logs"):
            for log in self.logs:
                log.close()
            shutil.rmtree(self.folder)

    def everywhere(self, append: Append, expected: Appended | type[LogError]) -> None:
        """Append to every log; each must answer the same, positions apart from memory's own order."""
        for log in self.logs:
            owner = f"{log.instance}/{append.owner}" if append.owner else ""
            mine = replace(append, owner=owner)
            try:
                found: Appended | type[LogError] = log.append(mine)
            except LogError as error:
                found = type(error)
            assert found == expected, (log, append)

    @rule(
        stream=STREAMS,
        count=st.integers(0, 3),
        expected=st.sampled_from(["any", "right", "wrong"]),
        run=st.none() | RUNS,
        epoch=st.sampled_from(["right", "old"]),
        asks=st.sampled_from(["", "", "claim", "release", "claim and release", "unowned", "claim by force"]),
        forget=st.sampled_from([0, 0, 0, 1, 3, 9, EVERYTHING]),
    )
    def append(
        self, stream: str, count: int, expected: str, run: str | None, epoch: str, asks: str, forget: int
    ) -> None:
        known = self.model.get(stream, ModelStream())
        version = len(known.ids)
        claim = "claim" in asks and run is not None
        needs = {f"blob {count}".encode(): b"x" * count}
        append = Append(
            stream,
            [replace(event, blobs=needs) for event in new_events(count)],
            {"any": ANY, "right": version, "wrong": version + 1}[expected],
            owner=run or "",
            epoch=known.epoch - (epoch == "old"),
            claim=claim,
            release="release" in asks and run is not None,
            unowned=asks == "unowned",
            force="force" in asks and claim,
            forget=forget,
        )
        self.everywhere(append, self.decide(known, append))

    def decide(self, known: ModelStream, append: Append) -> Appended | type[LogError]:
        held = known.owner not in ("", append.owner)
        if held and ((append.claim and not append.force) or append.unowned):
            return OwnershipConflictError
        if append.owner and not append.claim and (known.owner, known.epoch) != (append.owner, append.epoch):
            return FencedError
        if append.expected not in (ANY, len(known.ids)):
            return VersionConflictError
        before = len(known.ids)
        epoch = known.epoch + 1 if append.claim else append.epoch if append.owner else 0
        if append.events or append.owner:
            self.model[append.stream] = known
        if append.owner:
            known.owner = "" if append.release else append.owner
            known.epoch = epoch
        for event in append.events:
            known.ids.append(event.event_id)
            known.epochs.append(epoch)
            self.order.append((append.stream, len(known.ids)))
        if append.events:
            self.written.append((append.stream, append.expected, append.events, len(known.ids)))
            self.needs.setdefault(next(iter(append.events[0].blobs)), {})[append.stream] = len(known.ids)
        known.forgotten = max(known.forgotten, min(append.forget, before))
        return Appended(len(known.ids), self.position(append.stream, len(known.ids)), epoch)

    def position(self, stream: str, version: int) -> int:
        return self.order.index((stream, version)) + 1 if version else 0

    @precondition(lambda self: self.written)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        stream, expected, events, version = data.draw(st.sampled_from(self.written))
        if version - len(events) < self.model[stream].forgotten:
            return  # what is forgotten is not known to have been there
        epoch = self.model[stream].epochs[version - 1]
        first = Appended(version, self.position(stream, version), epoch)
        self.everywhere(Append(stream, events, expected), first)

    @rule()
    def reopen(self) -> None:
        for log in self.logs:
            log.close()
        self.open()
        for known in self.model.values():
            known.owner = ""

    @invariant()
    def reads_agree(self) -> None:
        for log in getattr(self, "logs", ()):
            records = log.read_all(limit=10_000)
            kept = [(name, at) for name, at in self.order if at > self.model[name].forgotten]
            assert [(record.stream, record.version) for record in records] == kept
            for key, users in self.needs.items():
                needed = any(at > self.model[name].forgotten for name, at in users.items())
                assert has(log, key) == needed
            for name, known in self.model.items():
                found = log.read(name)
                assert [record.event_id for record in found] == known.ids[known.forgotten :]
                assert [record.epoch for record in found] == known.epochs[known.forgotten :]
                assert log.version(name) == len(known.ids)
            owners = {info.stream: info.owner.rpartition("/")[2] for info in log.streams()}
            assert owners == {
                name: known.owner for name, known in self.model.items() if len(known.ids) > known.forgotten
            }


def has(log: EventLog, key: bytes) -> bool:
    try:
        log.blob(key)
    except MissingBlobError:
        return False
    return True


TestLogs = pytest.mark.feature("LOG-01", "LOG-05", "PERSIST-000")(Logs.TestCase)
TestLogs.settings = settings(stateful_step_count=25, max_examples=max(settings().max_examples // 2, 10))
