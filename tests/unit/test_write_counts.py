"""A gate on the way to the disk without a clock: flushes per run, statements per commit, round trips.

Nobody commits here before somebody waits for it, so that the counts are the same however busy the machine is.
When a count has to grow, it is for the one who grows it to say why, here.
"""

import asyncio
from typing import TypedDict

import pytest
from psycopg import Cursor

from dashflow.checkpoint import breakpoints
from dashflow.checkpoint.breakpoints import MANY, stream_of
from dashflow.checkpoint.saver import LogSaver
from dashflow.checkpoint.thread import ThreadReader
from dashflow.graph import END, START, StateGraph
from dashflow.log import commits
from dashflow.log.base import Append
from dashflow.log.codec import Registry
from dashflow.log.memory import MemoryLog
from dashflow.log.postgres import PostgresLog
from dashflow.log.sqlite import SqliteLog
from dashflow.testing.log_case import new_event, owner_of
from dashflow.types import Command, interrupt
from tests.postgres import Place

pytestmark = pytest.mark.feature("NEW-07")

STEPS = 5


class State(TypedDict):
    n: int


@pytest.fixture(autouse=True)
def _no_clock(monkeypatch):
    """What nobody waits for is left in the queue, and breakpoints are looked for once."""
    monkeypatch.setattr(commits, "LINGER", 1000.0)
    monkeypatch.setattr(breakpoints, "INTERVAL_NS", 10**15)


@pytest.fixture
def log(tmp_path):
    log = SqliteLog(tmp_path / "log.db")
    yield log
    log.close()


@pytest.fixture
def statements(log):
    """The statements of the log's writer. Each COMMIT flushes the file once."""
    seen = []
    log.append(Append("seal-blobs", [new_event()]))  # what is read once has been read
    log._database.writer.set_trace_callback(seen.append)
    yield seen
    log._database.writer.set_trace_callback(None)


def flushes(statements):
    count = statements.count("COMMIT")
    statements.clear()
    return count


def looping(log):
    graph = StateGraph(State).add_node("add", lambda state: {"n": state["n"] + 1})
    graph.add_conditional_edges("add", lambda state: "add" if state["n"] < STEPS else END)
    return graph.add_edge(START, "add").compile(checkpointer=LogSaver(log))


def asking(log):
    graph = StateGraph(State).add_node("ask", lambda state: {"n": interrupt("how many?")})
    return graph.add_edge(START, "ask").compile(checkpointer=LogSaver(log))


def thread(number):
    return {"configurable": {"thread_id": str(number)}}


@pytest.mark.parametrize(
    ("durability", "count"),
    # Its acceptance and its end; the first record is that of the input.
    [("exit", 2), ("async", 2), ("sync", 2 + STEPS + 1)],
)
def test_flushes_of_a_run(log, statements, durability, count):
    assert looping(log).invoke({"n": 0}, thread(1), durability=durability) == {"n": STEPS}
    assert flushes(statements) == count


@pytest.mark.parametrize(("durability", "count"), [("exit", 2), ("async", 2), ("sync", 3)])
def test_flushes_of_an_answer(log, statements, durability, count):
    graph = asking(log)
    graph.invoke({"n": 0}, thread(1), durability=durability)
    flushes(statements)
    assert graph.invoke(Command(resume=7), thread(1), durability=durability) == {"n": 7}
    assert flushes(statements) == count


def test_appends_that_come_together_need_few_statements(log, statements):
    owner = owner_of(log)
    for claim in (True, False):
        asked = [
            Append(f"run-{number}", [new_event()], owner=owner, claim=claim, epoch=0 if claim else 1)
            for number in range(200)
        ]
        tickets = [log.submit(append) for append in asked]
        assert [ticket.wait().version for ticket in tickets] == [1 if claim else 2] * 200
        # Begin, end, what others changed; 200 rows of events and of streams in four statements each.
        assert len(statements) <= 15
        assert flushes(statements) == 1


@pytest.fixture
def questions(monkeypatch):
    """The statements that are sent to servers, but for those that call who listens."""
    sent = []
    execute = Cursor.execute

    def watched(self, query, *parameters, **options):
        if "pg_notify" not in str(query):
            sent.append(str(query))
        return execute(self, query, *parameters, **options)

    monkeypatch.setattr(Cursor, "execute", watched)
    return sent


def test_round_trips_to_a_server(postgres: Place, questions):
    log = PostgresLog(postgres.log)
    graph, other = asking(log), looping(log)
    graph.invoke({"n": 0}, thread("first"))
    for number in range(3):
        questions.clear()
        graph.invoke({"n": 0}, thread(number))
        assert len(questions) == 3  # how thread, inbox and breakpoints are; its acceptance; its end
        questions.clear()
        graph.invoke(Command(resume=7), thread(number))
        assert len(questions) == 5  # and a snapshot, and events
        questions.clear()
        other.invoke({"n": 0}, thread(f"loop {number}"))
        assert len(questions) == 3
    log.close()


def test_runs_that_begin_together_ask_a_server_together(postgres: Place, questions):
    log = PostgresLog(postgres.log)
    graph = looping(log)

    async def main():
        await graph.ainvoke({"n": 0}, thread("first"))
        questions.clear()
        await asyncio.gather(*(graph.ainvoke({"n": 0}, thread(number)) for number in range(50)))

    asyncio.run(main())
    log.close()
    assert len([query for query in questions if "ANY ($1)" in query]) == 1


def test_one_look_for_breakpoints_is_for_all_threads_at_work():
    log = MemoryLog()
    reader = ThreadReader(log, Registry())
    stops = [reader.stops(str(number)) for number in range(3 * MANY)]
    first, *rest = stops
    assert {one.stream for one in first.due(1)} == {stream_of(str(number)) for number in range(3 * MANY)}
    pause = 3 * breakpoints.INTERVAL_NS
    assert {one.until for one in stops} == {1 + pause}
    rest[0].looked(0)  # who began to look before does not make it earlier
    assert rest[0].due(2) == [rest[0]]
    assert rest[1].until == 1 + pause
    del stops, rest
    assert first.due(2 * pause) == [first]
    assert first.until == 2 * pause + breakpoints.INTERVAL_NS
