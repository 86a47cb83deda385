"""Projections on every backend: caught up, followed, shared, made again, and of several versions."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from dashflow.errors import UsageError
from dashflow.log.base import Append, EventLog, Record
from dashflow.log.memory import MemoryLog, MemoryStore
from dashflow.log.postgres import PostgresLog
from dashflow.log.projections import Projection, Projector, View
from dashflow.log.sqlite import SqliteLog
from dashflow.testing.log_case import LogCase, Open, in_threads, new_event, new_events
from tests.postgres import Place as Postgres

pytestmark = pytest.mark.feature("LOG-06")


class Counts(Projection):
    """How often each stream was written to, and by what."""

    name: ClassVar[str] = "counts"
    category = "run"

    def changes(self, record: Record, view: View) -> Mapping[str, Any]:
        count = view.get(record.stream, {"count": 0, "types": []})
        count["count"] += 1
        if record.type not in count["types"]:
            count["types"].append(record.type)
        if record.type == "Forgotten":
            return {record.stream: None}
        return {record.stream: count}


class Better(Counts):
    version = 2

    def changes(self, record: Record, view: View) -> Mapping[str, Any]:
        return {record.type: view.get(record.type, 0) + 1}


class Broken(Counts):
    name = "broken"

    def changes(self, record: Record, view: View) -> Mapping[str, Any]:
        if record.type == "Odd":
            raise KeyError("never heard of it")
        return super().changes(record, view)


def fill(log: EventLog, streams: int = 5, count: int = 300) -> None:
    for number in range(streams):
        log.append(Append(f"run-{number}", new_events(count)))
        log.append(Append("plan-x", new_events(1)))


class Projections(LogCase):
    def test_caught_up_in_batches(self, log: EventLog) -> None:
        fill(log)
        projector = Projector(log, Counts())
        assert projector.items() == {}
        assert projector.catch_up() == projector.position == log.read("run-4")[-1].position
        assert {key: value["count"] for key, value in projector.items().items()} == {
            f"run-{number}": 300 for number in range(5)
        }
        assert projector.get("run-3") == {"count": 300, "types": ["TaskCompleted"]}
        assert projector.get("run-", "none") == "none"
        assert list(projector.items("run-3")) == ["run-3"]
        log.append(Append("run-3", [new_event("Forgotten")]))
        assert list(projector.look()) == ["run-0", "run-1", "run-2", "run-4"]
        assert projector.get("run-3") is not None
        projector.catch_up()
        assert projector.get("run-3") is None

    def test_made_again_it_has_the_same_bytes(self, log: EventLog) -> None:
        projector = Projector(log, Counts())
        for _ in range(5):
            fill(log, count=7)  # other batches than those of the rebuild
            projector.catch_up()
        before = log.view("counts.1")
        assert projector.verify() == []
        position = projector.position
        assert projector.rebuild() == position
        assert log.view("counts.1") == before

    def test_a_view_that_was_tampered_with_is_found_out(self, log: EventLog) -> None:
        fill(log)
        projector = Projector(log, Counts())
        position = projector.catch_up()
        log.project("counts.1", position, {"run-2": b"\x00", "run-9": b"\x00"}, expected=position)
        assert projector.verify() == ["run-2", "run-9"]
        projector.rebuild()
        assert projector.verify() == []

    def test_several_run_the_same_and_nothing_counts_twice(self, log: EventLog, opened: Open) -> None:
        other = opened()
        logs = (log, other, log, other)
        projectors = [Projector(source, Counts()) for source in logs]

        def write() -> None:
            for _ in range(40):
                log.append(Append("run-a", new_events(5)))
            log.append(Append("run-a", [new_event("End")]))

        def follow(projector: Projector) -> None:
            while projector.get("run-a", {"count": 0})["count"] < 201:
                projector.follow(within=0.02)

        in_threads([write, *(lambda one=one: follow(one) for one in projectors)])
        assert projectors[0].get("run-a") == {"count": 201, "types": ["TaskCompleted", "End"]}
        assert projectors[0].verify() == []

    async def test_the_same_in_an_event_loop(self, log: EventLog) -> None:
        fill(log)
        projector = Projector(log, Counts())
        assert await projector.acatch_up() == projector.position
        log.append(Append("run-0", new_events(1)))
        await projector.afollow(within=0)
        assert projector.get("run-0")["count"] == 301

    def test_close_ends_following(self, log: EventLog) -> None:
        fill(log, count=1)
        projector = Projector(log, Counts())
        in_threads([projector.follow, projector.close])
        assert projector.follow() == projector.position

    def test_new_code_makes_a_view_of_its_own_and_retires_the_old_one(self, log: EventLog) -> None:
        fill(log, count=3)
        old, new = Projector(log, Counts()), Projector(log, Better())
        old.catch_up()
        assert new.items() == {}
        assert old.get("run-1")["count"] == 3
        new.catch_up()
        assert new.items() == {"TaskCompleted": 15}
        assert log.view_position("counts.1") == 0
        # A process that still runs the old code has what it needs, too.
        old.catch_up()
        assert old.get("run-1")["count"] == 3
        new.catch_up()
        assert log.view_position("counts.1") > 0

    def test_an_error_says_where_and_leaves_nothing_half_done(self, log: EventLog) -> None:
        fill(log, count=3)
        projector = Projector(log, Broken())
        position = projector.catch_up()
        log.append(Append("run-1", [new_event(), new_event("Odd")]))
        with pytest.raises(KeyError) as caught:
            projector.catch_up()
        assert "'broken' at Odd of 'run-1', version 5" in caught.value.__notes__[0]
        assert (projector.position, projector.get("run-1")["count"]) == (position, 3)

    def test_a_projection_needs_a_name(self, log: EventLog) -> None:
        class Nameless(Counts):
            name = ""

        with pytest.raises(UsageError, match="Nameless"):
            Projector(log, Nameless())


class TestProjectionsInMemory(Projections):
    @pytest.fixture(autouse=True)
    def _store(self) -> None:
        self.store = MemoryStore()

    def open_log(self, place: Path) -> EventLog:
        return MemoryLog(self.store)


class TestProjectionsInSqlite(Projections):
    def open_log(self, place: Path) -> EventLog:
        return SqliteLog(place / "log.db")


class TestProjectionsInPostgres(Projections):
    @pytest.fixture(autouse=True)
    def _place(self, postgres: Postgres) -> None:
        self.place = postgres

    def open_log(self, place: Path) -> EventLog:
        return PostgresLog(self.place.log)
