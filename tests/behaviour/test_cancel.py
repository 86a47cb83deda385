"""Cancelling runs: the cancel is durable, wins over code that ignores it, and is the run's last record."""

import asyncio
import threading
from contextlib import closing
from typing import TypedDict

import pytest

from dashflow.checkpoint.memory import InMemorySaver
from dashflow.checkpoint.saver import LogSaver
from dashflow.checkpoint.sqlite import SqliteSaver
from dashflow.errors import OwnershipConflictError, RunCancelledError, UsageError
from dashflow.func import entrypoint, task
from dashflow.graph import END, START, StateGraph
from dashflow.log.postgres import PostgresLog
from dashflow.types import Command, interrupt

pytestmark = pytest.mark.feature("RUN-08")


class State(TypedDict):
    n: int


CONFIG = {"configurable": {"thread_id": "t"}}


def types_of(saver, stream="run-t"):
    return [record.type for record in saver.log.read(stream)]


def chain(saver, *nodes, name=""):
    graph = StateGraph(State)
    before = START
    for node in nodes:
        graph.add_node(node.__name__, node)
        graph.add_edge(before, node.__name__)
        before = node.__name__
    graph.add_edge(before, END)
    return graph.compile(checkpointer=saver, name=name or None)


def status(saver, thread="t"):
    return saver.reader.head(thread).status


async def cancelled_while(graph, begun, *, given=None, cancel=None):
    """Start a run, cancel it once ``begun`` is set, and return the error that its caller gets."""
    run = asyncio.create_task(graph.ainvoke(given or {"n": 0}, CONFIG))
    await begun.wait()
    await (cancel() if cancel else graph.acancel(CONFIG, reason="enough", wait=10))
    with pytest.raises(RunCancelledError) as caught:
        await run
    assert run.cancelling() == 0
    return caught.value


def test_an_async_node_is_stopped_and_the_record_is_the_last_one():
    saver = InMemorySaver()
    begun, stopped = asyncio.Event(), []

    async def first(state: State):
        return {"n": 1}

    async def second(state: State):
        begun.set()
        try:
            await asyncio.sleep(3600)
        finally:
            stopped.append(True)

    graph = chain(saver, first, second)
    error = asyncio.run(cancelled_while(graph, begun))
    assert stopped == [True]
    assert (error.thread, error.reason) == ("t", "enough")
    assert types_of(saver)[-2:] == ["CancelRequested", "RunCancelled"]
    assert status(saver) == "cancelled"
    assert graph.get_state(CONFIG).values == {"n": 1}
    assert graph.get_state(CONFIG).next == ("second",)


def test_a_node_that_swallows_the_cancel_loses():
    saver = InMemorySaver()
    begun = asyncio.Event()
    ran = []

    async def stubborn(state: State):
        begun.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            return {"n": 99}

    async def after(state: State):
        ran.append("after")

    graph = chain(saver, stubborn, after)
    asyncio.run(cancelled_while(graph, begun))
    assert ran == []
    assert graph.get_state(CONFIG).values == {"n": 0}
    assert types_of(saver)[-1] == "RunCancelled"


def test_a_sync_node_is_waited_for_and_its_result_refused():
    saver = InMemorySaver()
    begun, go, seen = threading.Event(), threading.Event(), []

    def busy(state: State):
        begun.set()
        go.wait(30)
        return {"n": 99}

    graph = chain(saver, busy)

    def run():
        with pytest.raises(RunCancelledError):
            graph.invoke({"n": 0}, CONFIG)
        seen.append("raised")

    thread = threading.Thread(target=run)
    thread.start()
    begun.wait(30)
    told = graph.cancel(CONFIG)
    assert told.status == "cancelling"  # its work has not stopped
    with pytest.raises(OwnershipConflictError):
        graph.invoke(None, CONFIG)
    assert graph.cancel(CONFIG).status == "cancelling"
    go.set()
    assert graph.cancel(CONFIG, wait=30).status == "cancelled"
    thread.join(30)
    assert seen == ["raised"]
    assert graph.get_state(CONFIG).values == {"n": 0}
    assert types_of(saver).count("CancelRequested") == 1


def test_a_sync_node_under_asyncio_is_waited_for_too():
    saver = InMemorySaver()
    go = threading.Event()

    async def scenario():
        begun = asyncio.Event()
        loop = asyncio.get_running_loop()

        def busy(state: State):
            loop.call_soon_threadsafe(begun.set)
            go.wait(30)
            return {"n": 99}

        graph = chain(saver, busy)
        run = asyncio.create_task(graph.ainvoke({"n": 0}, CONFIG))
        await begun.wait()
        assert (await graph.acancel(CONFIG)).status == "cancelling"
        assert not run.done()
        go.set()
        assert (await graph.acancel(CONFIG, wait=30)).status == "cancelled"
        with pytest.raises(RunCancelledError):
            await run

    asyncio.run(scenario())
    assert types_of(saver)[-1] == "RunCancelled"


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
def test_what_was_done_before_stays(durability):
    saver = InMemorySaver()

    async def scenario():
        begun = asyncio.Event()

        async def one(state: State):
            return {"n": 1}

        async def two(state: State):
            begun.set()
            await asyncio.sleep(3600)

        graph = chain(saver, one, two)
        run = asyncio.create_task(graph.ainvoke({"n": 0}, CONFIG, durability=durability))
        await begun.wait()
        await graph.acancel(CONFIG, wait=10)
        with pytest.raises(RunCancelledError):
            await run
        return graph

    graph = asyncio.run(scenario())
    assert graph.get_state(CONFIG).values == {"n": 1}
    assert types_of(saver)[-1] == "RunCancelled"


def test_tasks_of_a_step_and_graphs_inside_stop_with_the_run():
    saver = InMemorySaver()

    async def scenario():
        begun = asyncio.Event()
        stopped = []

        async def inner(state: State):
            begun.set()
            try:
                await asyncio.sleep(3600)
            finally:
                stopped.append("inner")

        async def beside(state: State):
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                stopped.append("beside")
                return

        sub = chain(None, inner)
        graph = StateGraph(State)
        graph.add_node("sub", sub)
        graph.add_node("beside", beside)
        graph.add_edge(START, "sub")
        graph.add_edge(START, "beside")
        compiled = graph.compile(checkpointer=saver)
        await cancelled_while(compiled, begun)
        assert sorted(stopped) == ["beside", "inner"]
        again = await compiled.aget_state(CONFIG)
        assert set(again.next) == {"sub", "beside"}

    asyncio.run(scenario())
    last = saver.log.read_all()[-1]
    assert (last.stream, last.type) == ("run-t", "RunCancelled")


def test_called_functions_stop_and_start_no_others():
    saver = InMemorySaver()

    async def scenario():
        begun = asyncio.Event()
        made = []

        @task
        async def slow(x):
            begun.set()
            await asyncio.sleep(3600)

        @task
        async def quick(x):
            made.append(x)

        @entrypoint(checkpointer=saver)
        async def flow(given):
            try:
                await slow(1)
            finally:
                await quick(2)

        await cancelled_while(flow, begun, given=1)
        assert made == []

    asyncio.run(scenario())
    assert types_of(saver)[-1] == "RunCancelled"


def test_a_run_that_waits_for_somebody_is_cancelled_at_once():
    saver = InMemorySaver()

    def ask(state: State):
        return {"n": interrupt("how many?")}

    graph = chain(saver, ask)
    graph.invoke({"n": 0}, CONFIG)
    assert graph.cancel(CONFIG).status == "cancelled"
    assert graph.invoke(Command(resume=3), CONFIG) == {"n": 3}  # whoever means it can go on
    assert graph.cancel(CONFIG).status == "finished"


def test_only_the_run_that_was_named_is_cancelled():
    saver = InMemorySaver()

    def ask(state: State):
        return {"n": interrupt("how many?")}

    graph = chain(saver, ask)
    graph.invoke({"n": 0}, {**CONFIG, "run_id": "5b6c28a5-3d66-4a8c-a8ce-6d2ce33c4a1f"})
    told = graph.cancel({**CONFIG, "run_id": "00000000-3d66-4a8c-a8ce-6d2ce33c4a1f"})
    assert told.status == "paused"
    assert graph.cancel({**CONFIG, "run_id": "5b6c28a5-3d66-4a8c-a8ce-6d2ce33c4a1f"}).status == "cancelled"


def test_a_new_input_waits_until_the_work_has_stopped():
    saver = InMemorySaver()
    begun, go = threading.Event(), threading.Event()
    order = []

    def busy(state: State):
        if state["n"] == 0:
            begun.set()
            go.wait(30)
            order.append("old work ends")
        else:
            order.append("new run")
        return {"n": state["n"] + 1}

    graph = chain(saver, busy)

    def old():
        with pytest.raises(RunCancelledError):
            graph.invoke({"n": 0}, CONFIG)

    def new():
        order.append(graph.invoke({"n": 10}, CONFIG))

    threads = [threading.Thread(target=old), threading.Thread(target=new)]
    threads[0].start()
    begun.wait(30)
    assert graph.cancel(CONFIG).status == "cancelling"
    threads[1].start()
    inbox = saver.log.subscribe(category="inbox")
    assert inbox.poll(30)  # it waits
    go.set()
    for thread in threads:
        thread.join(30)
    assert order == ["old work ends", "new run", {"n": 11}]


def test_a_cooperative_sync_node_is_told_by_its_control():
    saver = InMemorySaver()
    begun = threading.Event()
    noticed = []

    def busy(state: State, runtime):
        begun.set()
        while not runtime.control.drain_requested:
            threading.Event().wait(0.001)
        noticed.append(runtime.control.drain_reason)

    from dashflow.runtime import Runtime

    busy.__annotations__["runtime"] = Runtime
    graph = chain(saver, busy)
    caught = []

    def run():
        try:
            graph.invoke({"n": 0}, CONFIG)
        except RunCancelledError as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    begun.wait(30)
    assert graph.cancel(CONFIG, wait=30).status == "cancelled"
    thread.join(30)
    assert noticed == ["cancelled"]
    assert len(caught) == 1


def test_a_stream_that_is_closed_and_goes_on_later():
    saver = InMemorySaver()

    async def scenario():
        stopped = []
        begun = asyncio.Event()

        async def one(state: State):
            return {"n": state["n"] + 1}

        async def two(state: State):
            begun.set()
            try:
                await asyncio.sleep(3600 if not stopped else 0)
            finally:
                stopped.append(True)
            return {"n": state["n"] + 1}

        graph = chain(saver, one, two)
        stream = graph.astream({"n": 0}, CONFIG)
        assert await anext(stream) == {"one": {"n": 1}}
        step = asyncio.create_task(anext(stream))
        await begun.wait()
        step.cancel()
        with pytest.raises(asyncio.CancelledError):
            await step
        await stream.aclose()
        assert stopped == [True]
        assert (await graph.aget_state(CONFIG)).values == {"n": 1}
        assert await graph.ainvoke(None, CONFIG) == {"n": 2}

    asyncio.run(scenario())


def test_a_user_cancel_and_a_callers_cancel_at_once_stay_a_callers_cancel():
    saver = InMemorySaver()

    async def scenario():
        begun = asyncio.Event()

        async def slow(state: State):
            begun.set()
            await asyncio.sleep(3600)

        graph = chain(saver, slow)
        run = asyncio.create_task(graph.ainvoke({"n": 0}, CONFIG))
        await begun.wait()
        await graph.acancel(CONFIG)
        run.cancel()
        with pytest.raises((asyncio.CancelledError, RunCancelledError)):
            await run
        assert (await graph.acancel(CONFIG, wait=10)).status == "cancelled"

    asyncio.run(scenario())


def test_savers_of_somebody_else_cannot_keep_a_cancel():
    class Own(InMemorySaver):
        pass

    def node(state: State):
        return None

    graph = chain(Own(), node)
    with pytest.raises(UsageError, match="kept in the event log"):
        graph.cancel(CONFIG)


def test_a_second_log_on_the_same_file_cancels(tmp_path):
    path = str(tmp_path / "log.db")

    async def scenario():
        begun = asyncio.Event()

        async def slow(state: State):
            begun.set()
            await asyncio.sleep(3600)

        with SqliteSaver.from_conn_string(path) as one, SqliteSaver.from_conn_string(path) as two:
            graph, other = chain(one, slow), chain(two, slow)
            run = asyncio.create_task(graph.ainvoke({"n": 0}, CONFIG))
            await begun.wait()
            assert (await other.acancel(CONFIG, wait=10)).status == "cancelled"
            with pytest.raises(RunCancelledError):
                await run
            assert types_of(one)[-1] == "RunCancelled"
            assert one.log.streams(category="run")[0].owner == ""

    asyncio.run(scenario())


def test_a_run_on_postgresql_is_cancelled_by_another_log(postgres):
    async def scenario():
        begun = asyncio.Event()

        async def slow(state: State):
            begun.set()
            await asyncio.sleep(3600)

        with closing(PostgresLog(postgres.log)) as one, closing(PostgresLog(postgres.log)) as two:
            graph, other = chain(LogSaver(one), slow), chain(LogSaver(two), slow)
            run = asyncio.create_task(graph.ainvoke({"n": 0}, CONFIG))
            await begun.wait()
            assert (await other.acancel(CONFIG, wait=30)).status == "cancelled"
            with pytest.raises(RunCancelledError):
                await run
            assert one.streams(category="run")[0].owner == ""

    asyncio.run(scenario())
