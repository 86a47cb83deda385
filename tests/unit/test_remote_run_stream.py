"""Run streams of the v3 protocol on the SDK's streams of threads; a script stands for the server."""

from typing import Any, ClassVar

import pytest

from dashflow.pregel.remote import RemoteGraph
from dashflow.pregel.remote_run_stream import AsyncRemoteRunStream, RemoteRunStream, wire_input
from dashflow.types import Command

EVENTS = [
    {"method": "updates", "params": {"namespace": [], "data": {"a": 1}}},
    {"method": "values", "params": {"namespace": [], "data": {"n": 1}}},
]


class Thread:
    """What the SDK gives for a thread, playing ``EVENTS``; ``log`` is what was done to it."""

    thread_id = "t"
    output: ClassVar[Any] = {"n": 1}
    interrupted = True
    interrupts = ({"value": "how many?"},)
    values, messages, tool_calls, subgraphs = ["v"], ["m"], ["c"], ["s"]
    extensions: ClassVar[Any] = {"mine": ["x"]}

    def __init__(self, log: list[Any], broken: bool = False) -> None:
        self.log = log
        self.broken = broken
        self.run = self

    def __enter__(self) -> Any:
        self.log.append("enter")
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self.log.append(("exit", kind))

    def start(self, **given: Any) -> Any:
        self.log.append(("start", given))
        if self.broken:
            raise ConnectionError("no server")
        return {"run_id": "r"}

    @property
    def events(self) -> Any:
        self.log.append("subscribed")
        return iter(EVENTS)

    def subscribe(self, channels: list[str]) -> Any:
        return (event for event in EVENTS if event["method"] in channels)

    def interleave_projections(self, names: list[str]) -> Any:
        yield from ((name, getattr(self, name)) for name in names)

    def close(self) -> None:
        self.log.append("close")
        if self.broken:
            raise ConnectionError("no server")

    # The SDK's client: streams of threads, and runs to cancel.

    @property
    def threads(self) -> Any:
        return self

    runs = threads

    def stream(self, **given: Any) -> Any:
        self.log.append(("thread", given))
        return self

    def cancel(self, thread: str, run: str, *, wait: bool) -> None:
        self.log.append(("cancel", thread, run))
        if self.broken:
            raise ConnectionError("no server")


class AsyncThread(Thread):
    """The same for asyncio."""

    async def __aenter__(self) -> Any:
        return self.__enter__()

    async def __aexit__(self, *error: Any) -> None:
        self.__exit__(*error)

    async def start(self, **given: Any) -> Any:
        return super().start(**given)

    @property
    async def output(self) -> Any:
        return Thread.output

    @property
    def events(self) -> Any:
        self.log.append("subscribed")
        return self.subscribe(["updates", "values"])

    async def subscribe(self, channels: list[str]) -> Any:
        for event in super().subscribe(channels):
            yield event

    async def close(self) -> None:
        super().close()

    async def cancel(self, thread: str, run: str, *, wait: bool) -> None:
        super().cancel(thread, run, wait=wait)


def opened(broken: bool = False) -> tuple[RemoteRunStream, list[Any]]:
    log: list[Any] = []
    thread = Thread(log, broken)
    return RemoteRunStream(client=thread, sdk_thread=thread, input=1, config={}, metadata=None), log


def aopened(broken: bool = False) -> tuple[AsyncRemoteRunStream, list[Any]]:
    log: list[Any] = []
    thread = AsyncThread(log, broken)
    return AsyncRemoteRunStream(client=thread, sdk_thread=thread, input=1, config={}, metadata=None), log


def test_a_run_starts_on_entering_and_is_read_in_many_ways():
    stream, log = opened()
    with stream as run:
        assert log == ["enter", ("start", {"input": 1, "config": {}, "metadata": None})]
        assert run.output == {"n": 1}
        assert run.interrupted is True
        assert run.interrupts == [{"value": "how many?"}]
        assert [next(iter(run)), *run] == EVENTS
        assert log.count("subscribed") == 1
        assert (run.values, run.messages, run.tool_calls, run.subgraphs) == (["v"], ["m"], ["c"], ["s"])
        assert list(run.interleave("values", "messages")) == [("values", ["v"]), ("messages", ["m"])]
        assert run.extensions["values"] == ["v"]
        assert run.extensions["mine"] == ["x"]
        assert list(run.extensions["updates"]) == [{"a": 1}]
        assert len(run.extensions) == len(list(run.extensions)) == 8
    assert log[-1] == ("exit", None)
    with pytest.raises(RuntimeError, match="closed already"):
        stream.__enter__()


async def test_the_same_under_asyncio():
    stream, log = aopened()
    async with stream as run:
        assert await run.output() == {"n": 1}
        assert await run.interrupted() is True
        assert await run.interrupts() == [{"value": "how many?"}]
        assert [event async for event in run] == EVENTS
        assert [item async for item in run.extensions["updates"]] == [{"a": 1}]
        assert run.values == ["v"]
        assert not hasattr(run, "interleave")
    assert log[0] == "enter"
    assert log[-1] == ("exit", None)
    with pytest.raises(RuntimeError, match="closed already"):
        await stream.__aenter__()


async def test_a_run_that_cannot_start_leaves_nothing_open():
    stream, log = opened(broken=True)
    with pytest.raises(ConnectionError):
        stream.__enter__()
    assert log[-1] == ("exit", ConnectionError)
    other, log = aopened(broken=True)
    with pytest.raises(ConnectionError):
        await other.__aenter__()
    assert log[-1] == ("exit", ConnectionError)


async def test_a_run_is_cancelled_once_and_closed_whatever_happens(caplog):
    stream, log = opened()
    with stream as run:
        run.abort()
        run.abort()
    assert log[-2:] == [("cancel", "t", "r"), "close"]
    other, log = aopened()
    async with other as arun:
        await arun.abort()
        await arun.abort()
    assert log[-2:] == [("cancel", "t", "r"), "close"]
    early, log = opened()
    early.abort()
    assert log == ["close"]
    broken, log = opened()
    with broken as run:
        broken._sdk.broken = True
        run.abort()
    abroken, alog = aopened()
    async with abroken as arun:
        abroken._sdk.broken = True
        await arun.abort()
    assert log[-2:] == alog[-2:] == [("cancel", "t", "r"), "close"]
    assert "could not be cancelled" in caplog.text


def test_of_a_command_only_an_answer_can_be_sent():
    assert wire_input({"n": 1}) == {"n": 1}
    assert wire_input(Command(resume=3)) == 3
    with pytest.raises(NotImplementedError):
        wire_input(Command(update={"n": 1}))


async def test_a_remote_graph_opens_such_streams():
    log: list[Any] = []
    graph = RemoteGraph("agent", client=AsyncThread(log), sync_client=Thread(log), config={"tags": ["t"]})
    config = {"configurable": {"thread_id": "7", "user": "u", "checkpoint_ns": "a"}}
    stream = graph.stream_events(
        Command(resume=1), config, version="v3", headers={"X": "1"}, metadata={"m": 2}
    )
    with stream:
        thread, _, start = log
    assert thread == ("thread", {"thread_id": "7", "assistant_id": "agent", "headers": {"X": "1"}})
    sent = {"tags": ["t"], "configurable": {"user": "u"}}
    assert start == ("start", {"input": 1, "config": sent, "metadata": {"m": 2}})
    log.clear()
    async with await graph.astream_events({"n": 1}, version="v3"):
        assert log[0] == ("thread", {"thread_id": None, "assistant_id": "agent", "headers": None})
