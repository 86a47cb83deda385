"""Handlers of the ``tools`` mode with LangChain's own tools, and the projection made of their events."""

import asyncio

import pytest
from langchain_core.messages import ToolMessage
from langchain_core.tools import tool

from dashflow._util.scope import TOOL_CALL_WRITER
from dashflow.errors import GraphDrained, GraphInterrupt
from dashflow.prebuilt import ToolCallTransformer
from dashflow.pregel.tools import StreamToolCallHandler
from dashflow.stream import AsyncGraphRunStream, GraphRunStream, StreamMux

pytestmark = pytest.mark.feature("RUN-07")


@tool
def spell(word: str) -> str:
    """Spells."""
    for letter in word:
        TOOL_CALL_WRITER.get()(letter)
    return word.upper()


@tool
async def aspell(word: str) -> str:
    """Spells, with pauses."""
    for letter in word:
        await asyncio.sleep(0)
        TOOL_CALL_WRITER.get()(letter)
    return word.upper()


def raising(error):
    @tool
    def broken() -> str:
        """Raises."""
        raise error

    return broken


def listen(subgraphs=False):
    parts = []
    return StreamToolCallHandler(parts.append, subgraphs), parts


def config(handler, ns="node:t1", tags=()):
    return {
        "callbacks": [handler],
        "tags": list(tags),
        "metadata": {"langgraph_checkpoint_ns": ns, "langgraph_path": ("pull", "node")},
    }


def call(name, call_id, **args):
    return {"type": "tool_call", "id": call_id, "name": name, "args": args}


def test_a_call_starts_emits_and_ends():
    handler, parts = listen()
    spell.invoke(call("spell", "c1", word="ab"), config(handler))
    assert all((ns, mode) == ((), "tools") for ns, mode, _ in parts)
    events = [data for _, _, data in parts]
    assert [event["event"] for event in events] == [
        "tool-started", "tool-output-delta", "tool-output-delta", "tool-finished",
    ]  # fmt: skip
    assert {event["tool_call_id"] for event in events} == {"c1"}
    assert (events[0]["tool_name"], events[0]["input"]) == ("spell", {"word": "ab"})
    assert [event["delta"] for event in events[1:3]] == ["a", "b"]
    assert events[3]["output"].content == "AB"
    assert TOOL_CALL_WRITER.get() is None


def test_a_tool_that_nobody_called_by_id_is_known_by_its_run():
    handler, parts = listen()
    spell.invoke({"word": "a"}, config(handler))
    assert len({data["tool_call_id"] for _, _, data in parts}) == 1


async def test_calls_beside_each_other_do_not_mix():
    handler, parts = listen()
    words = ["abc", "xyz"]
    await asyncio.gather(
        *(aspell.ainvoke(call("aspell", word, word=word), config(handler)) for word in words)
    )
    for word in words:
        mine = [data for _, _, data in parts if data["tool_call_id"] == word]
        assert "".join(data["delta"] for data in mine if data["event"] == "tool-output-delta") == word
        assert mine[-1]["event"] == "tool-finished"


def test_a_tool_that_raises_has_failed():
    handler, parts = listen()
    with pytest.raises(ValueError, match="broken"):
        raising(ValueError("broken")).invoke(call("broken", "c1"), config(handler))
    assert parts[-1][2] == {"event": "tool-error", "tool_call_id": "c1", "message": "broken"}


@pytest.mark.parametrize("error", [GraphInterrupt(()), GraphDrained("maintenance")])
def test_a_tool_that_is_interrupted_has_not_ended(error):
    handler, parts = listen()
    with pytest.raises(type(error)):
        raising(error).invoke(call("broken", "c1"), config(handler))
    assert [data["event"] for _, _, data in parts] == ["tool-started"]


def test_tools_elsewhere_are_not_shown():
    handler, parts = listen()
    quiet = raising(ValueError("broken"))
    for given in (
        config(handler, "outer:t0|node:t1"),
        config(handler, tags=["nostream"]),
        {"callbacks": [handler]},
    ):
        with pytest.raises(ValueError, match="broken"):
            quiet.invoke(call("broken", "c1"), given)
    assert parts == []
    handler, parts = listen(subgraphs=True)
    with pytest.raises(ValueError, match="broken"):
        quiet.invoke(call("broken", "c1"), config(handler, "outer:t0|node:t1"))
    assert {ns for ns, _, _ in parts} == {("outer:t0",)}


# -- the projection ------------------------------------------------------------------------------


def event(kind, call_id="c1", ns=(), **more):
    return {"type": "tools", "ns": ns, "data": {"event": kind, "tool_call_id": call_id, **more}}


def started(call_id="c1", ns=()):
    return event("tool-started", call_id, ns, tool_name="spell", input={"word": "ab"})


def delta(piece, call_id="c1"):
    return event("tool-output-delta", call_id, delta=piece)


SERIALISED = {
    "lc": 1,
    "type": "constructor",
    "id": ["langchain_core", "messages", "ToolMessage"],
    "kwargs": {"content": "AB"},
}


def run(parts):
    return GraphRunStream(iter(parts), StreamMux(factories=[ToolCallTransformer]))


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        (ToolMessage("AB", tool_call_id="c1"), "AB"),
        (SERIALISED, "AB"),
        ({"type": "constructor", "id": ["other"]}, {"type": "constructor", "id": ["other"]}),
        ({"any": 1}, {"any": 1}),
        (None, None),
    ],
)
def test_a_call_is_read_while_it_runs(output, shown):
    one = run([started(), delta("a"), delta("b"), event("tool-finished", output=output)])
    found = next(iter(one.tool_calls))
    assert (found.tool_call_id, found.tool_name, found.input) == ("c1", "spell", {"word": "ab"})
    assert not found.completed
    assert repr(found) == "ToolCallStream(tool_call_id='c1', tool_name='spell', status=running)"
    assert list(found) == ["a", "b"]
    assert (found.output, found.error, found.completed) == (shown, None, True)
    assert "status=completed" in repr(found)


async def test_a_call_is_read_while_it_runs_asynchronously():
    async def parts():
        for one in (started(), delta("a"), delta("b"), event("tool-finished", output="AB")):
            await asyncio.sleep(0)
            yield one

    one = AsyncGraphRunStream(parts(), StreamMux(factories=[ToolCallTransformer], is_async=True))
    found = await anext(aiter(one.tool_calls))
    assert [piece async for piece in found] == ["a", "b"]
    assert found.output == "AB"


def test_a_failed_call_has_an_error():
    one = run([started(), event("tool-error", message="broken")])
    found = next(iter(one.tool_calls))
    assert list(found) == []
    assert (found.output, found.error, found.completed) == (None, "broken", True)
    assert "status=failed" in repr(found)


def test_calls_beside_each_other_are_told_apart():
    one = run(
        [started("a"), started("b"), delta("1", "b"), delta("2", "a"), event("tool-finished", "b", output=1)]
    )
    calls = list(one.tool_calls)
    assert [each.tool_call_id for each in calls] == ["a", "b"]
    assert (calls[1].output, calls[0].completed) == (1, True)
    assert calls[0].output is None, "it had not returned when the run ended"


def test_calls_of_subgraphs_and_of_nobody_are_not_shown():
    one = run([started(ns=("sub:1",)), event("tool-finished", None), event("tool-finished", "unknown")])
    assert list(one.tool_calls) == []


def test_calls_of_a_run_that_fails_fail():
    def parts():
        yield started()
        raise ValueError("gone")

    one = run(parts())
    found = next(iter(one.tool_calls))
    with pytest.raises(ValueError, match="gone"):
        _ = one.output
    assert (found.error, found.completed) == ("gone", True)
