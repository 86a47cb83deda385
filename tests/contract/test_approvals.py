"""Approvals on every backend: asked once, votes from many processes, timers that fire once, notices."""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from dashflow.checkpoint.saver import LogSaver
from dashflow.errors import (
    AnswerReusedError,
    ApprovalStateError,
    CorruptEventError,
    LogFormatError,
    NotEntitledError,
    StaleApprovalError,
    UnknownApprovalError,
    UsageError,
    ValueCodecError,
)
from dashflow.hitl import Approvals, Escalation, Notice, Status, Terms
from dashflow.hitl.core.events import ApprovalDecided, ApprovalEscalated, ApprovalReminded, ApprovalRequested
from dashflow.hitl.notices import Notices
from dashflow.hosts.sync import SyncHost
from dashflow.log.base import Append, EventLog, NewEvent
from dashflow.log.memory import MemoryLog, MemoryStore
from dashflow.log.postgres import PostgresLog
from dashflow.log.sqlite import SqliteLog
from dashflow.testing.log_case import LogCase, Open, in_threads
from dashflow.worker import Report
from dashflow.worker.approvals import ApprovalCare
from tests.postgres import Place as Postgres

pytestmark = pytest.mark.feature("HIL-005", "NEW-09")

S = 1_000_000_000
TWO = Terms(("ann", "bob", "eve"), quorum=2)


class Clock(SyncHost):
    """A host whose time is what a test says, in seconds."""

    def __init__(self, at: float = 1000.0) -> None:
        super().__init__()
        self.at = at
        self.now = lambda: int(self.at * S)


class Mail:
    """Keeps what it is told; raises for subjects that are in ``broken``."""

    def __init__(self) -> None:
        self.notices: list[Notice] = []
        self.broken: set[str] = set()

    def notify(self, notice: Notice) -> None:
        if notice.subject in self.broken:
            raise ConnectionError("no mail today")
        self.notices.append(notice)

    def told(self) -> list[tuple[str, tuple[str, ...]]]:
        return [(one.what, one.to) for one in self.notices]


def care(log: EventLog, host: Clock, mail: Mail | None = None) -> ApprovalCare:
    return ApprovalCare(
        log, LogSaver(log).reader, plans=False, notifier=mail, tell=lambda report: None, host=host
    )


def together(count: int, act: Callable[[int], object]) -> None:
    """Call it with 0, 1, 2, ... at the same time."""
    in_threads([partial(act, number) for number in range(count)])


def kinds(approvals: Approvals, approval: str) -> list[str]:
    return [type(event).__name__ for _, event in approvals.history(approval)]


class ApprovalsOnLogs(LogCase):
    def test_asked_voted_decided(self, log: EventLog) -> None:
        approvals = Approvals(log)
        asked = approvals.ask("pay", {"amount": 1}, TWO, by="robot")
        assert asked.status is Status.OPEN
        assert approvals.waiting("ann")[0].approval == asked.id
        assert approvals.decision(asked.id) is None
        approvals.vote(asked.id, "ann", "approve", seen=asked.hash, comment="fine")
        assert approvals.waiting("ann") == []
        assert [one.subject for one in approvals.waiting("bob")] == ["pay"]
        done = approvals.vote(asked.id, "eve", "approve", seen=asked.hash)
        assert done.status is Status.APPROVED
        decision = approvals.decision(asked.id)
        assert decision is not None
        assert decision.approved
        assert (decision.by, decision.comments) == (("ann", "eve"), (("ann", "fine"),))
        assert approvals.waiting("bob") == []
        assert [one.id for one in approvals.list()] == [asked.id]
        assert approvals.list(Status.OPEN) == []
        assert kinds(approvals, asked.id) == ["ApprovalRequested", "VoteCast", "VoteCast", "ApprovalDecided"]
        causes = [record.causation_id for record, _ in approvals.history(asked.id)]
        ids = [record.event_id for record, _ in approvals.history(asked.id)]
        assert causes == [b"", *ids[:-1]]

    def test_nothing_is_asked_twice_whoever_asks(self, log: EventLog, opened: Open) -> None:
        other = Approvals(opened())

        def ask(number: int) -> None:
            (Approvals(log), other)[number % 2].ask("pay", {"n": 1}, TWO, approval="a")

        together(8, ask)
        assert kinds(other, "a") == ["ApprovalRequested"]

    @pytest.mark.guarantee("approvals-bound")
    def test_a_changed_payload_is_asked_anew_and_old_votes_are_refused(self, log: EventLog) -> None:
        approvals = Approvals(log)
        first = approvals.ask("pay", {"n": 1}, TWO, approval="a")
        approvals.vote("a", "ann", "approve", seen=first.hash)
        second = approvals.ask("pay", {"n": 2}, TWO, approval="a")
        assert (second.round, second.votes) == (2, {})
        with pytest.raises(StaleApprovalError):
            approvals.vote("a", "bob", "approve", seen=first.hash)
        assert [one.hash for one in approvals.waiting("ann")] == [second.hash]
        assert kinds(approvals, "a")[-2:] == ["ApprovalSuperseded", "ApprovalRequested"]
        asked = [event for _, event in approvals.history("a") if isinstance(event, ApprovalRequested)]
        assert [event.payload for event in asked] == [{"n": 1}, {"n": 2}]

    def test_what_is_refused_is_typed_and_changes_nothing(self, log: EventLog) -> None:
        approvals = Approvals(log)
        asked = approvals.ask("pay", 1, TWO, approval="a")
        for error, call in (
            (UnknownApprovalError, lambda: approvals.get("b")),
            (UnknownApprovalError, lambda: approvals.vote("b", "ann", "approve", seen=asked.hash)),
            (NotEntitledError, lambda: approvals.vote("a", "mallory", "approve", seen=asked.hash)),
            (StaleApprovalError, lambda: approvals.vote("a", "ann", "approve", seen="0" * 64)),
            (UsageError, lambda: approvals.vote("a", "ann", "maybe", seen=asked.hash)),
            (UsageError, lambda: approvals.ask("pay", 1, Terms(()), approval="c")),
            (UsageError, lambda: approvals.ask("pay", 1, Terms((1,)), approval="c")),  # type: ignore[arg-type]
            (ValueCodecError, lambda: approvals.ask("pay", print, TWO, approval="c")),
            (ApprovalStateError, lambda: approvals.resume("a")),
        ):
            with pytest.raises(error):
                call()
        assert kinds(approvals, "a") == ["ApprovalRequested"]
        with pytest.raises(UnknownApprovalError):
            approvals.get("c")

    @pytest.mark.guarantee("approvals-bound")
    def test_votes_of_many_processes_make_one_decision(self, log: EventLog, opened: Open) -> None:
        other = opened()
        people = [f"p{number}" for number in range(8)]
        asked = Approvals(log).ask("pay", 1, Terms(tuple(people), quorum=5), approval="a")
        refused = Counter[str]()

        def vote(number: int) -> None:
            approvals = Approvals((log, other)[number % 2])
            for _ in range(2):  # an answer that is sent twice
                try:
                    approvals.vote("a", people[number], "approve", seen=asked.hash, answer=f"m{number}")
                except ApprovalStateError:
                    refused[people[number]] += 1

        together(8, vote)
        history = [event for _, event in Approvals(log).history("a")]
        assert [type(event).__name__ for event in history] == [
            "ApprovalRequested",
            *["VoteCast"] * 5,
            "ApprovalDecided",
        ]
        assert {*refused.values()} == {2}
        assert len(refused) == 3

    def test_an_answers_id_counts_once(self, log: EventLog) -> None:
        approvals = Approvals(log)
        asked = approvals.ask("pay", 1, TWO, approval="a")
        for _ in range(3):
            approvals.vote("a", "ann", "approve", seen=asked.hash, answer="m")
        with pytest.raises(AnswerReusedError):
            approvals.vote("a", "ann", "reject", seen=asked.hash, answer="m")
        approvals.comment("a", "ann", "hello")
        approvals.withdraw_vote("a", "ann", "hm")
        assert approvals.get("a").missing == ("ann", "bob", "eve")
        approvals.cancel("a", by="robot", reason="not needed")
        assert approvals.get("a").status is Status.CANCELLED

    @pytest.mark.guarantee("approvals-timers-once")
    def test_timers_fire_once_though_many_look(self, log: EventLog, opened: Open) -> None:
        clock = Clock()
        terms = Terms(("ann",), remind_every=10, expires_after=35, escalations=(Escalation(25, ("max",)),))
        names = [f"a{number}" for number in range(12)]
        for name in names:
            Approvals(log, host=clock).ask("pay", name, terms, approval=name)
        logs = [log, opened(), opened()]
        for now in (1005.0, 1010.0, 1026.0, 1035.0, 1100.0):
            clock.at = now
            together(3, lambda number: care(logs[number], clock).look())
        for name in names:
            told = [
                (type(event).__name__, getattr(event, "number", getattr(event, "step", 0)))
                for _, event in Approvals(log).history(name)
            ]
            assert told == [
                ("ApprovalRequested", 0),
                ("ApprovalReminded", 1),
                ("ApprovalReminded", 2),
                ("ApprovalEscalated", 1),
                ("ApprovalReminded", 3),
                ("ApprovalDecided", 0),
            ]
        assert Approvals(log).get("a0").status is Status.REJECTED

    def test_a_vote_and_the_expiry_race(self, log: EventLog, opened: Open) -> None:
        other = opened()
        for trial in range(5):
            early, late = Clock(1009.0), Clock(1010.0)
            name = f"a{trial}"
            asked = Approvals(log, host=Clock()).ask(
                "pay", 1, Terms(("ann",), expires_after=10), approval=name
            )

            def act(number: int, name: str = name, seen: str = asked.hash, early: Clock = early,
                    late: Clock = late) -> None:  # fmt: skip
                if number:
                    Approvals(other, host=late).tick(name)
                else:
                    with suppress(ApprovalStateError):
                        Approvals(log, host=early).vote(name, "ann", "approve", seen=seen)

            together(2, act)
            history = [event for _, event in Approvals(log).history(name)]
            [decided] = [event for event in history if isinstance(event, ApprovalDecided)]
            voted = any(type(event).__name__ == "VoteCast" for event in history)
            assert decided.outcome == ("approved" if voted else "rejected")

    def test_a_vote_that_comes_late_finds_the_expiry_recorded(self, log: EventLog) -> None:
        clock = Clock()
        approvals = Approvals(log, host=clock)
        asked = approvals.ask("pay", 1, Terms(("ann",), expires_after=10), approval="a")
        clock.at += 11
        with pytest.raises(ApprovalStateError):
            approvals.vote("a", "ann", "approve", seen=asked.hash)
        assert kinds(approvals, "a") == ["ApprovalRequested", "ApprovalDecided"]

    @pytest.mark.guarantee("approvals-timers-once")
    def test_after_downtime_timers_catch_up_in_order(self, log: EventLog) -> None:
        clock = Clock()
        steps = (Escalation(25, ("max",)),)
        terms = Terms(("ann",), remind_every=10, escalations=steps)
        Approvals(log, host=clock).ask("pay", 1, terms, approval="a")
        clock.at += 1000
        care(log, clock).look()
        clock.at -= 500  # a clock that is set back starves nobody and fires nothing twice
        care(log, clock).look()
        history = [event for _, event in Approvals(log).history("a")][1:]
        assert [type(event) for event in history] == [ApprovalReminded, ApprovalEscalated, ApprovalReminded]
        dues = [event.due for event in history if isinstance(event, ApprovalReminded | ApprovalEscalated)]
        assert dues == sorted(dues)

    def test_people_are_told_at_least_once_under_one_key(self, log: EventLog, opened: Open) -> None:
        clock, mail = Clock(), Mail()
        approvals = Approvals(log, host=clock)
        steps = (Escalation(25, ("max",)),)
        asked = approvals.ask(
            "pay", 1, Terms(("ann", "bob"), quorum=2, remind_every=10, escalations=steps), by="robot"
        )
        first = care(log, clock, mail)
        first.look()
        first.look()
        assert mail.told() == [("asked", ("ann", "bob"))]
        approvals.vote(asked.id, "ann", "approve", seen=asked.hash)
        clock.at += 10
        first.look()
        clock.at += 15
        first.look()
        approvals.vote(asked.id, "max", "approve", seen=asked.hash)
        first.leave()
        care(opened(), clock, mail).look()  # another one goes on where the first stopped
        assert mail.told()[1:] == [
            ("reminder", ("bob",)),
            ("reminder", ("bob", "max")),
            ("escalated", ("bob", "max")),
            ("decided", ("robot",)),
        ]
        assert mail.notices[-1].outcome == "approved"
        assert len({one.key for one in mail.notices}) == 5

    def test_a_notifier_that_fails_is_told_again_and_only_one_tells(
        self, log: EventLog, opened: Open
    ) -> None:
        clock, mail = Clock(), Mail()
        approvals = Approvals(log, host=clock)
        for subject in ("one", "two", "three"):
            approvals.ask(subject, 1, TWO)
        mail.broken.add("two")
        here, there = Notices(clock, log, mail), Notices(clock, opened(), mail)
        with pytest.raises(ConnectionError):
            here.deliver()
        assert there.deliver() == 0  # the other one is at it
        mail.broken.clear()
        assert here.deliver() == 2
        assert [one.subject for one in mail.notices] == ["one", "two", "three"]
        here.leave()
        approvals.ask("four", 1, TWO)
        assert there.deliver() == 1
        assert (
            Notices(clock, log, Mail(), "another").deliver() == 4
        )  # a notifier of another name hears it all

    def test_what_is_void_or_decided_is_not_told_any_more(self, log: EventLog) -> None:
        clock, mail = Clock(), Mail()
        approvals = Approvals(log, host=clock)
        approvals.ask("pay", 1, TWO, approval="a")
        approvals.ask("pay", 2, TWO, approval="a")
        other = approvals.ask("go", 1, Terms(("ann",)), approval="b")
        approvals.vote("b", "ann", "reject", seen=other.hash)
        Notices(clock, log, mail).deliver()
        assert [(one.what, one.approval) for one in mail.notices] == [("asked", "a"), ("decided", "b")]

    @pytest.mark.parametrize("seen_before", [True, False])
    def test_a_damaged_approval_does_not_hold_up_the_others(self, log: EventLog, seen_before: bool) -> None:
        clock = Clock()
        approvals = Approvals(log, host=clock)
        for name in ("a", "b"):
            approvals.ask("pay", 1, Terms(("ann",), expires_after=5), approval=name)
        if seen_before:
            approvals.overview.catch_up()
        log.append(Append("approval-a", (NewEvent("VoteCast", b"?", bytes(15) + b"\1", at=1),)))
        reports: list[Report] = []
        worker = ApprovalCare(
            log, LogSaver(log).reader, plans=False, notifier=None, tell=reports.append, host=clock
        )
        clock.at += 10
        worker.look()
        worker.look()
        assert approvals.get("b").status is Status.REJECTED
        assert [(report.what, report.name) for report in reports] == [("trouble", "a")]
        assert "approval-a" in reports[0].text
        assert [one.id for one in approvals.list()] == ["b"]
        with pytest.raises(CorruptEventError):
            approvals.get("a")

    def test_what_a_newer_program_wrote_is_left_to_it(self, log: EventLog) -> None:
        clock = Clock()
        approvals = Approvals(log, host=clock)
        approvals.ask("pay", 1, Terms(("ann",), expires_after=5), approval="a")
        log.append(Append("approval-a", (NewEvent("VoteCast", b"?", bytes(15) + b"\1", at=1, schema=9),)))
        clock.at += 10
        with pytest.raises(LogFormatError):
            care(log, clock).look()
        assert approvals.overview.position == 0

    async def test_for_asyncio_callers(self, log: EventLog) -> None:
        approvals = Approvals(log)
        asked = await approvals.aask("pay", 1, TWO, approval="a")
        await approvals.avote("a", "ann", "approve", seen=asked.hash)
        await approvals.awithdraw_vote("a", "ann")
        await approvals.acomment("a", "bob", "hm")
        assert await approvals.atick("a") == []
        assert await approvals.adecision("a") is None
        await approvals.acancel("a")
        await approvals.ataken("a", 1)
        assert (await approvals.aget("a")).taken
        assert len(await approvals.ahistory("a")) == 6
        with pytest.raises(ApprovalStateError):
            await approvals.aresume("a")


class TestMemory(ApprovalsOnLogs):
    @pytest.fixture(autouse=True)
    def _store(self) -> None:
        self.store = MemoryStore()

    def open_log(self, place: Path) -> EventLog:
        return MemoryLog(self.store)


class TestSqlite(ApprovalsOnLogs):
    def open_log(self, place: Path) -> EventLog:
        return SqliteLog(place / "log.db")


class TestPostgres(ApprovalsOnLogs):
    @pytest.fixture(autouse=True)
    def _place(self, postgres: Postgres) -> None:
        self.place = postgres

    def open_log(self, place: Path) -> EventLog:
        return PostgresLog(self.place.log)
