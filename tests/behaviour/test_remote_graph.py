"""Graphs on a LangGraph Server, over HTTP: called, streamed, looked at, edited, and as nodes of a
graph here."""

import operator
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.runnables import Runnable
from langgraph_sdk.client import get_client, get_sync_client
from langsmith.run_helpers import tracing_context

from dashflow.checkpoint.memory import InMemorySaver
from dashflow.errors import GraphInterrupt
from dashflow.graph import START, StateGraph
from dashflow.pregel.remote import RemoteException, RemoteGraph
from dashflow.runtime import Runtime
from dashflow.types import Command, GraphOutput, interrupt
from tests.behaviour.langgraph_server import Server


class State(TypedDict, total=False):
    log: Annotated[list[Any], operator.add]
    ask: bool
    fail: bool


def work(state: State, runtime: Runtime[Any]) -> Any:
    if state.get("fail"):
        raise ValueError("the server is out of paper")
    if state.get("ask"):
        return {"log": [interrupt("how many?")]}
    return {"log": ["worked", runtime.context]}


@pytest.fixture
def server() -> Iterator[Server]:
    inner = (
        StateGraph(State).add_node("leaf", lambda state: {"log": ["leaf"]}).add_edge(START, "leaf").compile()
    )
    builder = StateGraph(State, context_schema=dict).add_node("work", work)
    builder.add_node("inner", lambda state: {"log": inner.invoke({"log": []})["log"]})
    builder.add_edge(START, "work").add_edge("work", "inner")
    found = Server(builder.compile(checkpointer=InMemorySaver()))
    yield found
    found.close()


@pytest.fixture
async def remote(server: Server) -> AsyncIterator[RemoteGraph]:
    client, sync_client = get_client(url=server.url), get_sync_client(url=server.url)
    yield RemoteGraph("agent", client=client, sync_client=sync_client)
    sync_client.http.client.close()
    await client.http.client.aclose()


def thread(name: str = "t") -> dict[str, Any]:
    return {"configurable": {"thread_id": name}}


async def both(remote: RemoteGraph, given: Any, config: Any, **options: Any) -> list[Any]:
    """The parts of a run, which are the same under asyncio on another thread."""
    parts = list(remote.stream(given, config, **options))
    other = thread(f"{config['configurable']['thread_id']}-async")
    assert [part async for part in remote.astream(given, other, **options)] == parts
    return parts


async def test_a_run_returns_the_last_state(remote, server) -> None:
    assert isinstance(remote, Runnable)
    done = {"log": ["worked", {"who": "me"}, "leaf"]}
    assert remote.invoke({"log": []}, thread(), context={"who": "me"}) == done
    assert await remote.ainvoke({"log": []}, thread("2"), context={"who": "me"}) == done
    output = remote.invoke({"log": []}, thread("3"), version="v2")
    assert output == GraphOutput(value={"log": ["worked", None, "leaf"]})
    path, _, body = server.requests[0]
    assert path == "/threads/t/runs/stream"
    assert body["assistant_id"] == "agent"
    assert body["if_not_exists"] == "create"
    assert "thread_id" not in body["config"]["configurable"]


async def test_parts_come_as_from_a_graph_here(remote) -> None:
    given = {"log": []}
    updates = [{"work": {"log": ["worked", None]}}, {"inner": {"log": ["leaf"]}}]
    assert await both(remote, given, thread()) == updates
    values = [part["log"] for part in remote.stream(given, thread("v"), stream_mode="values")]
    assert values == [[], ["worked", None], ["worked", None, "leaf"]]
    pairs = await both(remote, given, thread("l"), stream_mode=["updates", "values"])
    assert [part.event for part in pairs] == ["values", "updates", "values", "updates", "values"]
    deep = [part async for part in remote.astream(given, thread("d"), subgraphs=True)]
    assert [(len(namespace), data) for namespace, data in deep] == [
        (0, updates[0]),
        (1, {"leaf": {"log": ["leaf"]}}),
        (0, updates[1]),
    ]
    second = list(remote.stream(given, thread("2"), version="v2"))
    assert [part["type"] for part in second] == ["updates", "updates"]
    assert second[0] == {"type": "updates", "ns": (), "data": updates[0], "interrupts": ()}


async def test_a_question_is_answered_on_the_server(remote) -> None:
    asked = remote.invoke({"ask": True}, thread())
    assert [question["value"] for question in asked["__interrupt__"]] == ["how many?"]
    snapshot = remote.get_state(thread())
    assert [question.value for question in snapshot.interrupts] == ["how many?"]
    assert remote.invoke(Command(resume=3), thread())["log"] == [3, "leaf"]
    output = await remote.ainvoke({"ask": True}, thread("2"), version="v2")
    assert [question.value for question in output.interrupts] == ["how many?"]


async def test_what_fails_there_is_an_error_here(remote) -> None:
    with pytest.raises(RemoteException) as failed:
        remote.invoke({"fail": True}, thread())
    assert failed.value.args == ({"error": "ValueError", "message": "the server is out of paper"},)
    with pytest.raises(RemoteException):
        await remote.ainvoke({"fail": True}, thread("2"))


async def test_threads_are_looked_at_and_edited(remote) -> None:
    remote.invoke({"log": []}, thread())
    snapshot = remote.get_state(thread())
    assert snapshot.values == {"log": ["worked", None, "leaf"]}
    assert snapshot.next == ()
    assert snapshot.metadata["step"] == 2
    history = list(remote.get_state_history(thread()))
    assert [one.metadata["step"] for one in history] == [2, 1, 0, -1]
    assert history[1].next == ("inner",)
    assert [task.name for task in history[1].tasks] == ["inner"]
    assert (
        history[0].parent_config["configurable"]["checkpoint_id"]
        == (history[1].config["configurable"]["checkpoint_id"])
    )
    found = [one async for one in remote.aget_state_history(thread(), limit=2, filter={"source": "loop"})]
    assert [one.metadata["step"] for one in found] == [2, 1]
    earlier = await remote.aget_state(history[1].config)
    assert earlier.values == {"log": ["worked", None]}
    made = remote.update_state(thread(), {"log": ["edited"]}, as_node="inner")
    assert remote.get_state(made).values["log"][-1] == "edited"
    await remote.aupdate_state(thread(), {"log": ["again"]})
    assert (await remote.aget_state(thread())).values["log"][-1] == "again"
    with pytest.raises(NotImplementedError):
        remote.bulk_update_state(thread(), [])


async def test_its_drawing_is_the_servers(remote, server) -> None:
    local = server.graph.get_graph()
    for drawing in (remote.get_graph(), await remote.aget_graph()):
        assert list(drawing.nodes) == list(local.nodes)
        assert drawing.edges == local.edges
    assert "inner:leaf" in remote.get_graph(xray=True).nodes


def test_only_plain_values_of_a_config_are_sent(remote, server) -> None:
    bound = remote.with_config({"configurable": {"user": "u", "tool": object()}, "tags": ["bound"]})
    given = {
        **thread(),
        "metadata": {"a": 1, "deep": {"ok": [1, None, object()], 3: "no text"}},
        "recursion_limit": 9,
        "callbacks": [],
    }
    list(bound.stream({"log": []}, given, headers={"X-Trace": "1"}, params={"p": "q"}))
    path, headers, body = server.requests[-1]
    assert path.endswith("?p=q")
    assert headers["X-Trace"] == "1"
    assert body["config"] == {
        "configurable": {"user": "u"},
        "tags": ["bound"],
        "metadata": {"a": 1, "deep": {"ok": [1]}},
        "recursion_limit": 9,
    }


def test_tracing_headers_are_sent_when_asked_for(remote, server) -> None:
    from langsmith import RunTree

    traced = remote.copy({"distributed_tracing": True})
    run = RunTree(name="here", run_type="chain")
    with tracing_context(parent=run, enabled=False):
        list(traced.stream({"log": []}, thread(), headers={"baggage": "mine=1"}))
        list(remote.stream({"log": []}, thread("2")))
    (_, sent, _), (_, plain, _) = server.requests
    assert "langsmith-trace" in sent
    assert sent["baggage"].startswith("mine=1")
    assert "langsmith-trace" not in plain


def test_it_is_a_node_of_a_graph_here(remote) -> None:
    builder = StateGraph(State).add_node("far", remote).add_edge(START, "far")
    graph = builder.compile(checkpointer=InMemorySaver())
    assert graph.invoke({"log": []}, thread("outer"))["log"] == ["worked", None, "leaf"]
    parts = list(graph.stream({"log": []}, thread("parts"), subgraphs=True))
    names = [(len(namespace), next(iter(data))) for namespace, data in parts]
    assert names == [(1, "work"), (2, "leaf"), (1, "inner"), (0, "far")]
    asked = graph.invoke({"ask": True}, thread("asks"))
    assert [question.value for question in asked["__interrupt__"]] == ["how many?"]
    with pytest.raises(GraphInterrupt):
        list(remote.stream({"ask": True}, {"configurable": {"checkpoint_ns": "far:1"}}))


async def test_without_a_client_it_says_what_is_missing() -> None:
    bare = RemoteGraph("agent")
    with pytest.raises(ValueError, match="please provide `url` or `sync_client`"):
        bare.invoke({})
    with pytest.raises(ValueError, match="please provide `url` or `client`"):
        await bare.ainvoke({})
    made = RemoteGraph("agent", url="http://127.0.0.1:9", api_key="k")
    assert made.get_name() == "agent"
    assert made.client is not None
    made.sync_client.http.client.close()
    await made.client.http.client.aclose()


async def test_event_streams_refuse_what_servers_cannot_do(remote) -> None:
    with pytest.raises(NotImplementedError, match="does not support `control=`"):
        remote.stream_events({}, version="v3", control=object())
    with pytest.raises(NotImplementedError, match=r"kwargs: \['more'\]"):
        await remote.astream_events({}, version="v3", more=1)
    with pytest.raises(NotImplementedError, match="`goto` / `update` are not supported"):
        remote.stream_events(Command(goto="work"), version="v3")
    with pytest.raises(NotImplementedError, match="use astream"):
        await remote.astream_events({}, version="v2")
