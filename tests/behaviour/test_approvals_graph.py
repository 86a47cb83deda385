"""Approvals in nodes: the run waits, a worker goes on with it, and no decision counts for anything else."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict

import pytest

from dashflow.checkpoint.base import BaseCheckpointSaver
from dashflow.checkpoint.memory import InMemorySaver
from dashflow.checkpoint.saver import LogSaver
from dashflow.checkpoint.serde.encrypted import EncryptedSerializer
from dashflow.checkpoint.sqlite import SqliteSaver
from dashflow.errors import (
    ApprovalCancelledError,
    ApprovalExpiredError,
    CorruptEventError,
    UsageError,
    is_invalid_resume,
)
from dashflow.func import entrypoint
from dashflow.graph import START, StateGraph
from dashflow.hitl import Approvals, Status, Terms, aapproval, approval
from dashflow.hosts.sync import SyncHost
from dashflow.log.memory import MemoryLog
from dashflow.log.open import open_log
from dashflow.types import Command
from dashflow.worker import Report, Worker
from tests.postgres import Place

pytestmark = pytest.mark.feature("HIL-005", "NEW-09")

CONFIG = {"configurable": {"thread_id": "t"}}
TWO = Terms(("ann", "bob"), quorum=2)
ONE = Terms(("ann",))


class State(TypedDict, total=False):
    amount: int
    outcome: str
    by: list[str]


class Shop:
    """A log, a graph that pays when it may, and what was paid."""

    def __init__(self, log: Any, asynchronous: bool) -> None:
        self.saver = LogSaver(log)
        self.approvals = Approvals(log)
        self.reports: list[Report] = []
        self.paid: list[int] = []
        self.asked = 0
        self.asynchronous = asynchronous

    def graph(self, terms: Terms = TWO, amount: Callable[[State], int] = lambda state: state["amount"],
              **options: Any) -> Any:  # fmt: skip
        def pay(state: State) -> State:
            self.asked += 1
            wanted = amount(state)
            decision = approval(f"pay {wanted}", {"amount": wanted}, terms, **options)
            if decision.approved:
                self.paid.append(wanted)
            return {"outcome": decision.outcome, "by": [*decision.by]}

        async def apay(state: State) -> State:
            self.asked += 1
            wanted = amount(state)
            decision = await aapproval(f"pay {wanted}", {"amount": wanted}, terms, **options)
            if decision.approved:
                self.paid.append(wanted)
            return {"outcome": decision.outcome, "by": [*decision.by]}

        builder = StateGraph(State).add_node("pay", apay if self.asynchronous else pay)
        return builder.add_edge(START, "pay").compile(checkpointer=self.saver, name="shop")

    def call(self, graph: Any, given: Any, config: Any = CONFIG) -> Any:
        if self.asynchronous:
            return asyncio.run(graph.ainvoke(given, config))
        return graph.invoke(given, config)

    def work(self, graph: Any) -> list[str]:
        """Let a worker do what there is to do; what it did."""
        self.reports.clear()
        worker = Worker(graph, self.saver, tell=self.reports.append)
        asyncio.run(worker.arun(once=True)) if self.asynchronous else worker.run(once=True)
        return [report.what for report in self.reports]

    def vote(self, *people: str, verdict: str = "approve") -> None:
        for person in people:
            [waiting] = self.approvals.waiting(person)
            self.approvals.vote(waiting.approval, person, verdict, seen=waiting.hash)


@pytest.fixture(params=["memory", "sqlite", "postgres", "asyncio"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "postgres":
        place: Place = request.getfixturevalue("postgres")
        log = open_log(place.log)
    elif request.param == "sqlite":
        log = open_log(str(tmp_path / "log.db"))
    else:
        log = MemoryLog()
    yield Shop(log, request.param == "asyncio")
    log.close()


def test_the_run_waits_and_goes_on_by_itself(shop) -> None:
    graph = shop.graph()
    result = shop.call(graph, {"amount": 7})
    [question] = result["__interrupt__"]
    [waiting] = shop.approvals.waiting("ann")
    assert question.value == {
        "approval": waiting.approval,
        "subject": "pay 7",
        "payload": {"amount": 7},
        "hash": waiting.hash,
    }
    assert (waiting.origin.kind, waiting.origin.name) == ("graph", "t")
    assert shop.work(graph) == []
    shop.vote("ann")
    assert shop.work(graph) == []
    shop.vote("bob")
    assert shop.paid == []
    assert shop.work(graph) == ["answered", "finished"]
    assert shop.paid == [7]
    assert graph.get_state(CONFIG).values == {"amount": 7, "outcome": "approved", "by": ["ann", "bob"]}
    assert shop.work(graph) == []
    assert shop.approvals.get(waiting.approval).taken
    assert shop.paid == [7]


def test_a_rejection_is_a_decision_too(shop) -> None:
    graph = shop.graph()
    shop.call(graph, {"amount": 7})
    shop.vote("bob", verdict="reject")
    assert shop.work(graph) == ["answered", "finished"]
    assert graph.get_state(CONFIG).values["outcome"] == "rejected"
    assert shop.paid == []


def test_a_program_goes_on_by_itself_too(shop) -> None:
    graph = shop.graph(ONE, name="my-approval")
    shop.call(graph, {"amount": 7})
    shop.vote("ann")
    assert shop.call(graph, shop.approvals.resume("my-approval"))["outcome"] == "approved"
    assert shop.work(graph) == []
    assert shop.approvals.get("my-approval").taken


def test_calling_again_does_not_ask_again(shop) -> None:
    graph = shop.graph()
    shop.call(graph, {"amount": 7})
    for _ in range(2):
        shop.call(graph, None)
    [waiting] = shop.approvals.waiting("ann")
    assert len(shop.approvals.history(waiting.approval)) == 1
    assert shop.asked == 3


@pytest.mark.guarantee("approvals-bound")
def test_what_changed_since_is_asked_anew(shop) -> None:
    """82,000 is not approved by who approved 1."""
    price = [1]
    graph = shop.graph(ONE, amount=lambda state: price[0])
    shop.call(graph, {})
    shop.vote("ann")
    price[0] = 82_000
    assert shop.work(graph) == ["answered", "paused"]
    assert shop.paid == []
    [waiting] = shop.approvals.waiting("ann")
    assert (waiting.round, waiting.subject) == (2, "pay 82000")
    shop.vote("ann", verdict="reject")
    assert shop.work(graph) == ["answered", "finished"]
    assert (shop.paid, graph.get_state(CONFIG).values["outcome"]) == ([], "rejected")
    kinds = [type(event).__name__ for _, event in shop.approvals.history(waiting.approval)]
    assert kinds.count("ApprovalRequested") == 2
    assert kinds.count("ApprovalSuperseded") == 1


@pytest.mark.guarantee("approvals-bound")
def test_an_answer_that_nobody_decided_is_not_believed(shop) -> None:
    graph = shop.graph(ONE)
    shop.call(graph, {"amount": 7})
    [waiting] = shop.approvals.waiting("ann")
    with pytest.raises(Exception, match="validation error") as refused:
        shop.call(graph, Command(resume="yes"))
    assert is_invalid_resume(refused.value)
    forged = {
        "approval": waiting.approval,
        "round": 1,
        "subject": "pay 7",
        "hash": waiting.hash,
        "outcome": "approved",
        "reason": "quorum",
        "by": ["ann"],
    }
    assert "__interrupt__" in shop.call(graph, Command(resume=forged))
    assert shop.paid == []
    assert [one.approval for one in shop.approvals.waiting("ann")] == [waiting.approval]
    shop.vote("ann")
    assert shop.work(graph) == ["answered", "finished"]
    assert shop.paid == [7]


def test_nobody_decides_in_time(shop) -> None:
    graph = shop.graph(Terms(("ann",), expires_after=3600, on_expiry="error"), name="a")
    shop.call(graph, {"amount": 7})
    later = SyncHost()
    later.now = lambda: shop.approvals.get("a").expires_at
    Approvals(shop.saver.log, host=later).tick("a")
    assert shop.work(graph) == ["answered", "failed"]
    assert "ApprovalExpiredError" in shop.reports[-1].text
    with pytest.raises(ApprovalExpiredError):
        shop.call(graph, None)


def test_a_request_that_was_taken_back(shop) -> None:
    graph = shop.graph(name="a")
    shop.call(graph, {"amount": 7})
    shop.approvals.cancel("a", by="robot", reason="paid in cash")
    assert shop.work(graph) == ["answered", "failed"]
    with pytest.raises(ApprovalCancelledError, match="paid in cash"):
        shop.call(graph, None)


def test_several_approvals_of_one_thread(shop) -> None:
    def node(name: str) -> Any:
        def pay(state: State) -> State:
            approval(f"pay {name}", name, ONE)
            shop.paid.append(len(shop.paid))
            return {}

        async def apay(state: State) -> State:
            await aapproval(f"pay {name}", name, ONE)
            shop.paid.append(len(shop.paid))
            return {}

        return apay if shop.asynchronous else pay

    builder = StateGraph(State)
    for name in ("a", "b", "c"):
        builder.add_node(name, node(name)).add_edge(START, name)
    graph = builder.compile(checkpointer=shop.saver)
    shop.call(graph, {})
    waiting = {one.subject: one for one in shop.approvals.waiting("ann")}
    assert [*sorted(waiting)] == ["pay a", "pay b", "pay c"]
    for name in ("pay a", "pay c"):
        shop.approvals.vote(waiting[name].approval, "ann", "approve", seen=waiting[name].hash)
    assert shop.work(graph) == ["answered", "paused"]
    assert len(shop.paid) == 2  # the two go on; the third is not asked twice
    assert [one.subject for one in shop.approvals.waiting("ann")] == ["pay b"]
    shop.vote("ann")
    assert shop.work(graph) == ["answered", "finished"]
    assert len(shop.paid) == 3


def test_one_approval_after_the_other_in_one_node(shop) -> None:
    def both(state: State) -> State:
        first = approval("first", 1, ONE)
        second = approval("second", 2, ONE)
        return {"by": [first.subject, second.subject]}

    graph = StateGraph(State).add_node("both", both).add_edge(START, "both").compile(checkpointer=shop.saver)
    shop.call(graph, {})
    for _ in range(2):
        shop.vote("ann")
        shop.work(graph)
    assert graph.get_state(CONFIG).values["by"] == ["first", "second"]
    assert len(shop.approvals.list(Status.APPROVED)) == 2


def test_in_a_graph_inside_a_node(shop) -> None:
    inner = shop.graph(ONE)
    outer = StateGraph(State).add_node("inner", inner).add_edge(START, "inner")
    graph = outer.compile(checkpointer=shop.saver)
    shop.call(graph, {"amount": 7})
    shop.vote("ann")
    assert shop.work(graph) == ["answered", "finished"]
    assert shop.paid == [7]


def test_in_an_entrypoint() -> None:
    saver = InMemorySaver()

    @entrypoint(checkpointer=saver)
    def pay(amount: int) -> str:
        return approval("pay", amount, ONE).outcome

    pay.invoke(7, CONFIG)
    approvals = Approvals(saver.log)
    [waiting] = approvals.waiting("ann")
    approvals.vote(waiting.approval, "ann", "approve", seen=waiting.hash)
    assert pay.invoke(approvals.resume(waiting.approval), CONFIG) == "approved"


def test_a_worker_without_the_graph_leaves_it(shop) -> None:
    graph = shop.graph(ONE)
    shop.call(graph, {"amount": 7})
    shop.vote("ann")
    other = StateGraph(State).add_node("x", lambda state: {}).add_edge(START, "x").compile(name="other")
    assert shop.work(other) == ["left"]
    assert shop.work(graph) == ["answered", "finished"]


def test_a_thread_that_was_deleted_is_forgotten(shop) -> None:
    graph = shop.graph(ONE, name="a")
    shop.call(graph, {"amount": 7})
    shop.vote("ann")
    shop.saver.delete_thread("t")
    assert shop.work(graph) == []
    assert shop.approvals.get("a").taken


def test_terms_are_checked_before_anything_is_recorded(shop) -> None:
    graph = shop.graph(Terms(()))
    with pytest.raises(UsageError, match="Nobody"):
        shop.call(graph, {"amount": 7})
    assert shop.approvals.list() == []


def test_another_peoples_saver_is_refused() -> None:
    class Other(BaseCheckpointSaver[str]):
        def get_tuple(self, config: Any) -> None:
            return None

        def put(self, config: Any, *rest: Any) -> Any:
            return config

        def put_writes(self, *arguments: Any) -> None:
            return None

    def pay(state: State) -> State:
        approval("pay", 1, ONE)
        return {}

    graph = StateGraph(State).add_node("pay", pay).add_edge(START, "pay").compile(checkpointer=Other())
    with pytest.raises(UsageError, match="DashFlow's savers"):
        graph.invoke({}, CONFIG)


def test_outside_of_a_graph_there_is_nobody_to_wait() -> None:
    with pytest.raises(RuntimeError, match="approval"):
        approval("pay", 1, ONE)


def test_after_a_restart(tmp_path) -> None:
    """Ask in one process, decide in another, go on in a third."""
    paid = []

    def pay(state: State) -> State:
        if approval("pay", state["amount"], TWO, name="a").approved:
            paid.append(state["amount"])
        return {}

    builder = StateGraph(State).add_node("pay", pay).add_edge(START, "pay")
    path = str(tmp_path / "threads.db")
    with SqliteSaver.from_conn_string(path) as saver:
        builder.compile(checkpointer=saver).invoke({"amount": 7}, CONFIG)
    for person in ("ann", "bob"):
        with SqliteSaver.from_conn_string(path) as saver:
            approvals = Approvals(saver.log)
            approvals.vote("a", person, "approve", seen=approvals.get("a").hash)
    with SqliteSaver.from_conn_string(path) as saver:
        Worker(builder.compile(), saver, tell=lambda report: None).run(once=True)
    assert paid == [7]


def test_in_an_encrypted_log_only_who_has_the_key_sees_them(tmp_path) -> None:
    key = b"0123456789abcdef"
    log = open_log(str(tmp_path / "log.db"))
    saver = LogSaver(log, serde=EncryptedSerializer.from_pycryptodome_aes(key=key))

    def pay(state: State) -> State:
        return {"outcome": approval("pay", {"secret": "swordfish"}, ONE, name="a").outcome}

    graph = StateGraph(State).add_node("pay", pay).add_edge(START, "pay").compile(checkpointer=saver)
    graph.invoke({}, CONFIG)
    assert all(b"swordfish" not in record.data for record in log.read("approval-a"))
    with pytest.raises(CorruptEventError):
        Approvals(log).list()
    approvals = Approvals(saver.log)
    [waiting] = approvals.waiting("ann")
    approvals.vote("a", "ann", "approve", seen=waiting.hash)
    Worker(graph, saver, tell=lambda report: None).run(once=True)
    assert graph.get_state(CONFIG).values["outcome"] == "approved"
    log.close()
