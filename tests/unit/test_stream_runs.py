"""Run streams over parts made by hand: who reads drives, also subgraphs; ends, failures and aborts."""

import asyncio
import logging

import pytest

from dashflow.errors import GraphDrained, GraphInterrupt
from dashflow.stream import (
    AsyncGraphRunStream,
    GraphRunStream,
    LifecycleTransformer,
    StreamMux,
    StreamTransformer,
    SubgraphTransformer,
    TasksTransformer,
)
from dashflow.stream.transformers import CustomTransformer, MessagesTransformer, ValuesTransformer

pytestmark = pytest.mark.feature("RUN-07")

BUILT_IN = (ValuesTransformer, MessagesTransformer, LifecycleTransformer, SubgraphTransformer)


def part(mode, data, ns=(), **more):
    return {"type": mode, "ns": ns, "data": data, **more}


def values(n, ns=(), interrupts=()):
    return part("values", {"n": n}, ns, interrupts=interrupts)


def started(task, name="node", ns=(), given=None, **metadata):
    return part("tasks", {"id": task, "name": name, "input": given, "triggers": (), "metadata": metadata}, ns)


def ended(task, ns=(), error=None, interrupts=()):
    return part(
        "tasks", {"id": task, "name": "node", "error": error, "result": {}, "interrupts": interrupts}, ns
    )


SUB = ("sub:t1",)
DEEP = ("sub:t1", "deep:t2")

NESTED = [
    values(0),
    started("t1", "sub"),
    values(10, SUB),
    started("t2", "deep", SUB),
    started("t3", "leaf", DEEP),
    values(20, DEEP),
    ended("t3", DEEP),
    ended("t2", SUB),
    values(11, SUB),
    ended("t1"),
    values(1),
]


class Source:
    """The parts of a run; knows how far it was read and whether it was closed."""

    def __init__(self, parts):
        self.parts, self.taken, self.closed = parts, 0, False

    def __iter__(self):
        return self.stream()

    def stream(self):
        try:
            for item in self.parts:
                if isinstance(item, Exception):
                    raise item
                self.taken += 1
                yield item
        finally:
            self.closed = True

    async def astream(self):
        try:
            for item in self.stream():
                await asyncio.sleep(0)
                yield item
        finally:
            self.closed = True


class Run:
    """A run stream of one kind, read in the same words."""

    def __init__(self, asynchronous, parts, *factories):
        self.source = Source(parts)
        mux = StreamMux(factories=(*BUILT_IN, *factories), is_async=asynchronous)
        self.asynchronous = asynchronous
        if asynchronous:
            self.stream = AsyncGraphRunStream(self.source.astream(), mux)
        else:
            self.stream = GraphRunStream(iter(self.source), mux)

    async def read(self, stream):
        if self.asynchronous:
            return [item async for item in stream]
        return list(stream)

    async def get(self, name, of=None):
        found = getattr(of or self.stream, name)
        return await found() if self.asynchronous else found


@pytest.fixture(params=[False, True], ids=["sync", "asyncio"])
def run(request):
    return lambda parts, *factories: Run(request.param, parts, *factories)


async def test_values_are_those_of_the_graph_itself(run):
    one = run(NESTED)
    assert await one.read(one.stream.values) == [{"n": 0}, {"n": 1}]
    assert await one.get("output") == {"n": 1}


async def test_output_runs_to_the_end(run):
    one = run(NESTED)
    assert await one.get("output") == {"n": 1}
    assert one.source.taken == len(NESTED)
    assert await one.get("interrupted") is False
    assert await one.get("interrupts") == []


async def test_open_questions_are_told(run):
    one = run([values(0), values(0, interrupts=("why",))])
    assert await one.get("interrupted") is True
    assert await one.get("interrupts") == ["why"]


async def test_its_events_are_those_of_all_graphs_without_tasks(run):
    one = run(NESTED)
    events = await one.read(one.stream)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert [event["params"]["data"]["n"] for event in events if event["method"] == "values"] == [
        0, 10, 20, 11, 1,
    ]  # fmt: skip
    assert {event["method"] for event in events} == {"values", "lifecycle"}


async def test_lifecycle_tells_of_subgraphs_at_every_depth(run):
    one = run(NESTED)
    assert await one.read(one.stream.lifecycle) == [
        {"event": "started", "namespace": list(SUB), "graph_name": "sub", "trigger_call_id": "t1"},
        {"event": "started", "namespace": list(DEEP), "graph_name": "deep", "trigger_call_id": "t2"},
        {"event": "completed", "namespace": list(DEEP)},
        {"event": "completed", "namespace": list(SUB)},
    ]


async def test_a_subgraph_has_a_stream_of_its_own(run):
    one = run(NESTED, TasksTransformer)
    found = []

    async def follow(handles, depth=0):
        if one.asynchronous:
            async for handle in handles:
                await look(handle, depth)
        else:
            for handle in handles:
                await look(handle, depth)

    async def look(handle, depth):
        found.append((depth, handle.path, handle.graph_name, handle.trigger_call_id, handle.status))
        await follow(handle.subgraphs, depth + 1)
        found.append((depth, handle.status, await one.get("output", of=handle)))

    await follow(one.stream.subgraphs)
    assert found == [
        (0, SUB, "sub", "t1", "started"),
        (1, DEEP, "deep", "t2", "started"),
        (1, "completed", {"n": 20}),
        (0, "completed", {"n": 11}),
    ]


async def test_reading_a_subgraph_ends_with_it(run):
    one = run(NESTED)
    if one.asynchronous:
        handle = await anext(aiter(one.stream.subgraphs))
    else:
        handle = next(iter(one.stream.subgraphs))
    # What it said before its first task, with which it is found, is not among them: as in LangGraph.
    assert await one.read(handle.values) == [{"n": 11}]
    assert one.source.taken < len(NESTED)


ENDS = [
    (ended("t1", error="boom"), "failed", "boom"),
    (ended("t1", interrupts=[{"value": "why"}]), "interrupted", None),
    (ended("t1", error="boom", interrupts=[{"value": "why"}]), "interrupted", None),
    (ended("t1"), "completed", None),
    (GraphDrained("maintenance"), "drained", None),
    (GraphInterrupt(()), "interrupted", None),
    (ValueError("gone"), "failed", "gone"),
    (None, "completed", None),
]


@pytest.mark.parametrize(("last", "status", "error"), ENDS)
async def test_a_subgraph_ends_as_its_task_or_the_run_does(run, last, status, error):
    one = run([started("t1"), started("t2", ns=SUB), *([] if last is None else [last])])
    one.stream.lifecycle._subscribed = True
    if one.asynchronous:
        handle = await anext(aiter(one.stream.subgraphs))
    else:
        handle = next(iter(one.stream.subgraphs))
    try:
        await one.get("output")
    except (GraphDrained, GraphInterrupt, ValueError):
        assert isinstance(last, Exception)
    assert (handle.status, handle.error) == (status, error)
    told = one.stream.lifecycle._items[-1][1]
    assert (told["event"], told.get("error")) == (status, error)


async def test_what_a_failed_subgraph_yields_ends_with_the_error(run):
    one = run([started("t1"), started("t2", ns=SUB), values(10, SUB), ended("t1", error="boom"), values(1)])
    if one.asynchronous:
        handle = await anext(aiter(one.stream.subgraphs))
    else:
        handle = next(iter(one.stream.subgraphs))
    with pytest.raises(RuntimeError, match="boom"):
        await one.read(handle.values)
    assert await one.get("output") == {"n": 1}


async def test_an_agent_is_known_by_its_name_and_the_call_that_started_it(run):
    call = {"tool_call": {"id": "call-1", "name": "ask"}}
    one = run([started("t1", given=call), started("t2", ns=SUB, lc_agent_name="helper"), ended("t1")])
    first = (await one.read(one.stream.lifecycle))[0]
    assert first["graph_name"] == "helper"
    assert first["cause"] == {"type": "toolCall", "tool_call_id": "call-1"}

    one = run([started("t1", given=[{"id": "call-2"}]), started("t2", ns=SUB, lc_agent_name="helper")])
    assert (await one.read(one.stream.lifecycle))[0]["cause"]["tool_call_id"] == "call-2"

    one = run([started("t1", given=call), started("t2", ns=SUB)])
    assert "cause" not in (await one.read(one.stream.lifecycle))[0], "no agent, no cause"


async def test_a_failure_reaches_whoever_reads(run):
    one = run([values(0), ValueError("gone")])
    with pytest.raises(ValueError, match="gone"):
        await one.read(one.stream.values)
    with pytest.raises(ValueError, match="gone"):
        await one.get("output")
    with pytest.raises(ValueError, match="gone"):
        await one.read(one.stream)


@pytest.mark.feature("RUN-08")
async def test_leaving_the_run_stops_it(run):
    one = run(NESTED)
    if one.asynchronous:
        async with one.stream as stream:
            assert await anext(aiter(stream.values)) == {"n": 0}
    else:
        with one.stream as stream:
            assert next(iter(stream.values)) == {"n": 0}
    assert one.source.closed
    assert one.source.taken == 1
    assert await one.read(one.stream.lifecycle) == []


@pytest.mark.feature("RUN-08")
async def test_what_cannot_be_closed_does_not_hide_the_reason_for_leaving(run, caplog):
    class Stuck(StreamTransformer):
        def init(self):
            return {}

        def process(self, event):
            return True

        def finalize(self):
            raise KeyError("stuck")

    one = run(NESTED, Stuck)

    async def leave():
        if one.asynchronous:
            async with one.stream:
                raise ValueError("reason")
        with one.stream:
            raise ValueError("reason")

    with caplog.at_level(logging.ERROR), pytest.raises(ValueError, match="reason"):
        await leave()
    assert "stuck" in caplog.text


async def test_a_projection_that_is_not_there_is_named_with_those_that_are(run):
    one = run([])
    with pytest.raises(AttributeError, match=r"'tool_calls' \(registered projections: lifecycle, messages"):
        _ = one.stream.tool_calls
    assert set(one.stream.extensions) == {"values", "messages", "lifecycle", "subgraphs"}


# -- several readers -----------------------------------------------------------------------------


def test_interleaved_projections_come_in_the_order_in_which_things_happened():
    parts = [values(0), part("custom", "a"), part("custom", "b"), values(1), part("custom", "c")]
    one = Run(False, parts, CustomTransformer)
    assert list(one.stream.interleave("custom", "values")) == [
        ("values", {"n": 0}), ("custom", "a"), ("custom", "b"), ("values", {"n": 1}), ("custom", "c"),
    ]  # fmt: skip


def test_interleaving_gives_the_projections_back():
    one = Run(False, [values(0), values(1)], CustomTransformer)
    mixed = one.stream.interleave("custom", "values")
    assert next(mixed) == ("values", {"n": 0})
    with pytest.raises(RuntimeError, match="already has a subscriber"):
        iter(one.stream.values)
    mixed.close()
    assert list(one.stream.values) == [{"n": 1}]


def test_interleaving_yields_what_came_before_the_error():
    one = Run(False, [values(0), ValueError("gone")], CustomTransformer)
    mixed = one.stream.interleave("custom", "values")
    assert next(mixed) == ("values", {"n": 0})
    with pytest.raises(ValueError, match="gone"):
        next(mixed)


def test_what_cannot_be_interleaved_is_refused():
    class Odd(StreamTransformer):
        def init(self):
            return {"odd": 1}

        def process(self, event):
            return True

    one = Run(False, [], Odd)
    with pytest.raises(KeyError, match="nothing"):
        list(one.stream.interleave("nothing"))
    with pytest.raises(TypeError, match="got int for 'odd'"):
        list(one.stream.interleave("odd"))


async def test_tasks_that_read_different_projections_share_the_steps():
    one = Run(True, NESTED)
    read = await asyncio.gather(
        one.read(one.stream.values), one.read(one.stream.lifecycle), one.stream.output(), one.read(one.stream)
    )
    assert read[0] == [{"n": 0}, {"n": 1}]
    assert len(read[1]) == 4
    assert read[2] == {"n": 1}
    assert len(read[3]) == 9


@pytest.mark.feature("RUN-08")
async def test_a_step_goes_on_until_nobody_waits_for_it():
    blocked, released, cancelled = asyncio.Event(), asyncio.Event(), []

    async def source():
        yield values(0)
        blocked.set()
        try:
            await released.wait()
        except asyncio.CancelledError:
            cancelled.append(1)
            raise
        yield values(1)

    one = Run(True, [])
    one.stream = AsyncGraphRunStream(source(), StreamMux(factories=BUILT_IN, is_async=True))
    first = asyncio.create_task(one.read(one.stream.values))
    second = asyncio.create_task(one.read(one.stream.lifecycle))
    await blocked.wait()
    first.cancel()
    await asyncio.wait((first,))
    assert first.cancelled()
    assert cancelled == [], "the second still waits"
    second.cancel()
    await asyncio.wait((second,))
    assert cancelled == [1]


@pytest.mark.feature("RUN-08")
async def test_an_abort_cancels_the_step_that_is_being_made():
    blocked, closed = asyncio.Event(), []

    async def source():
        try:
            yield values(0)
            blocked.set()
            await asyncio.Event().wait()
        finally:
            closed.append(1)

    stream = AsyncGraphRunStream(source(), StreamMux(factories=BUILT_IN, is_async=True))
    reader = asyncio.create_task(Run(True, []).read(stream.values))
    await blocked.wait()
    await stream.abort()
    assert closed == [1]
    assert await reader == [{"n": 0}]
    await stream.abort()  # nothing is left to do


async def test_the_graph_sees_one_context_through_all_steps():
    from contextvars import ContextVar

    variable = ContextVar("variable", default=0)
    seen = []

    async def source():
        for n in range(3):
            seen.append(variable.get())
            variable.set(n + 1)
            yield values(n)

    stream = AsyncGraphRunStream(source(), StreamMux(factories=BUILT_IN, is_async=True))
    await stream.output()
    assert seen == [0, 1, 2]
    assert variable.get() == 0
