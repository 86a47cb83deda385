"""Runs as LangChain's callbacks and tracers see them: ids, parents, tags, metadata, errors, events."""

import contextvars
import os
import subprocess
import sys
from typing import Any
from uuid import UUID

import pytest
from langchain_core.callbacks import BaseCallbackHandler, get_usage_metadata_callback
from langchain_core.documents import Document
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langchain_core.runnables.config import ensure_config
from langchain_core.tools import tool
from langchain_core.tracers.base import BaseTracer

from dashflow.config import get_config
from dashflow.func import task
from dashflow.graph import START, MessagesState, StateGraph
from dashflow.types import RetryPolicy, TracePolicy, interrupt, omit_payload


class Tracer(BaseTracer):
    """Keeps the outermost runs."""

    def __init__(self) -> None:
        super().__init__()
        self.roots: list[Any] = []

    def _persist_run(self, run: Any) -> None:
        self.roots.append(run)

    def tree(self) -> list[Any]:
        """Name, tags and children of every run."""

        def told(run: Any) -> Any:
            return (run.name, run.tags, [told(child) for child in run.child_runs])

        return [told(run) for run in self.roots]


def step(number: int) -> list[str]:
    return [f"graph:step:{number}"]


def test_a_run_its_nodes_and_what_they_call_report_to_each_other(world) -> None:
    inner = (
        StateGraph(world.State).add_node(*world.says("leaf")).add_edge(START, "leaf").compile(name="inner")
    )

    def calls(state: Any) -> Any:
        return {"log": [RunnableLambda(len).with_config(run_name="length").invoke("four")]}

    builder = world.graph([calls, ("within", inner)], [(START, "calls")])
    builder.add_conditional_edges("calls", lambda state: "within", ["within"])
    tracer = Tracer()
    graph = world.compile(builder)
    world.run(graph, {"n": 1}, {**world.config(), "callbacks": [tracer], "run_name": "mine"})
    length = ("length", ["seq:step:1"], [])
    branch = ("condition", ["seq:step:3"], [])
    deep = ("inner", ["seq:step:1"], [("leaf", step(1), [])])
    assert tracer.tree() == [
        ("mine", [], [("calls", step(1), [length, branch]), ("within", step(2), [deep])])
    ]
    (root,) = tracer.roots
    assert root.inputs == {"n": 1}
    assert root.outputs == {"n": 1, "log": [4, 4, "leaf"]}
    within = root.child_runs[1]
    assert within.parent_run_id == root.id
    assert within.extra["metadata"]["langgraph_node"] == "within"
    leaf = within.child_runs[0].child_runs[0].extra["metadata"]
    assert leaf["langgraph_checkpoint_ns"].startswith(within.extra["metadata"]["langgraph_checkpoint_ns"])
    assert leaf["ls_integration"] == "langgraph"


def test_ids_tags_and_metadata_are_those_of_the_config(world) -> None:
    tracer = Tracer()
    graph = world.compile(world.graph([world.says("a")])).with_config(tags=["bound"], metadata={"who": "me"})
    given = {**world.config("7"), "callbacks": [tracer], "run_id": UUID(int=5), "tags": ["given"]}
    world.run(graph, {"n": 1}, given)
    (root,) = tracer.roots
    assert root.id == UUID(int=5)
    assert set(root.tags) == {"bound", "given"}
    assert root.extra["metadata"]["who"] == "me"
    assert root.extra["metadata"]["thread_id"] == "7"
    assert root.child_runs[0].id != root.id
    assert "given" in root.child_runs[0].tags


def test_called_functions_are_part_of_their_callers_run(world) -> None:
    @task
    def double(number: int, *, times: int = 2, **more: Any) -> int:
        return number * times

    def calls(state: Any) -> Any:
        return {"log": [double(3, times=4, extra=1).result(), double(1).result()]}

    tracer = Tracer()
    builder = StateGraph(world.State).add_node("calls", calls).add_edge(START, "calls")
    graph = world.compile(builder)
    world.run(graph, {"n": 1}, {**world.config(), "callbacks": [tracer]})
    (root,) = tracer.roots
    (caller,) = root.child_runs
    assert [(run.name, run.tags, run.inputs, run.outputs) for run in caller.child_runs] == [
        ("double", ["seq:step:1"], {"number": 3, "times": 4, "extra": 1}, {"output": 12}),
        ("double", ["seq:step:1"], {"number": 1, "times": 2}, {"output": 2}),
    ]


def test_a_trace_policy_decides_what_is_shown_of_a_node(world) -> None:
    policy = TracePolicy(process_inputs=lambda value: {"seen": sorted(value)}, process_outputs=omit_payload)
    builder = StateGraph(world.State).add_node(*world.says("secret"), trace_policy=policy)
    tracer = Tracer()
    graph = world.compile(builder.add_edge(START, "secret"))
    assert world.run(graph, {"n": 1}, {**world.config(), "callbacks": [tracer]})["log"] == ["secret"]
    (node,) = tracer.roots[0].child_runs
    assert node.inputs == {"seen": ["log", "n"]}
    assert "secret" not in str(node.outputs)


def test_the_end_of_every_node_is_told_to_who_asks_for_it(world) -> None:
    """LangGraph's servers ask for it, by a key of the config."""
    inner = StateGraph(world.State).add_node(*world.says("leaf")).add_edge(START, "leaf").compile()
    graph = world.compile(world.graph([world.says("a"), ("within", inner)]))
    names: list[str] = []
    world.run(graph, {"n": 1}, {"configurable": {"thread_id": "1", "__pregel_node_finished": names.append}})
    assert names == ["a", "leaf", "within"]


def test_what_a_node_raises_ends_its_run_and_the_graphs(world) -> None:
    def fails(state: Any) -> Any:
        raise KeyError("lost")

    tracer = Tracer()
    graph = world.compile(world.graph([fails]))
    with pytest.raises(KeyError, match="lost"):
        world.run(graph, {"n": 1}, {**world.config(), "callbacks": [tracer]})
    (root,) = tracer.roots
    assert "KeyError('lost')" in root.error
    assert "KeyError('lost')" in root.child_runs[0].error


def test_every_attempt_is_a_run_of_its_own(world) -> None:
    tries: list[int] = []

    def shaky(state: Any) -> Any:
        tries.append(1)
        if len(tries) == 1:
            raise ConnectionError("not yet")
        return {"log": ["done"]}

    builder = StateGraph(world.State)
    policy = RetryPolicy(initial_interval=0.0, jitter=False)
    builder.add_node("shaky", world.node(shaky), retry_policy=policy).add_edge(START, "shaky")
    tracer = Tracer()
    world.run(world.compile(builder), {"n": 1}, {**world.config(), "callbacks": [tracer]})
    (root,) = tracer.roots
    assert [(run.name, bool(run.error)) for run in root.child_runs] == [("shaky", True), ("shaky", False)]
    assert root.error is None


def test_a_question_ends_the_run_without_an_error(recorded) -> None:
    def asks(state: Any) -> Any:
        return {"log": [interrupt("how many?")]}

    tracer = Tracer()
    graph = recorded.compile(recorded.graph([asks]))
    recorded.run(graph, {"n": 1}, {**recorded.config(), "callbacks": [tracer]})
    (root,) = tracer.roots
    assert root.error is None
    assert root.outputs == {"n": 1, "log": []}
    assert "how many?" in root.child_runs[0].error


def test_handlers_of_a_stream_see_the_same(world) -> None:
    tracer = Tracer()
    graph = world.compile(world.graph([world.says("a"), world.says("b")]))
    assert world.parts(graph, {"n": 1}, {**world.config(), "callbacks": [tracer]}) == [
        {"a": {"log": ["a"]}},
        {"b": {"log": ["b"]}},
    ]
    assert tracer.tree() == [("LangGraph", [], [("a", step(1), []), ("b", step(2), [])])]


@pytest.mark.feature("RUN-07")
async def test_events_tell_of_chains_and_models_with_filters():
    model = GenericFakeChatModel(messages=iter([AIMessage("one two")]))

    async def talk(state: MessagesState) -> Any:
        return {"messages": [await model.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState).add_node("talk", talk).add_edge(START, "talk").compile()
    given = {"messages": [("human", "hi")]}
    events = [event async for event in graph.astream_events(given, version="v2")]
    names = [(event["event"], event["name"]) for event in events]
    assert names == [
        ("on_chain_start", "LangGraph"),
        ("on_chain_start", "talk"),
        ("on_chat_model_start", "GenericFakeChatModel"),
        ("on_chat_model_stream", "GenericFakeChatModel"),
        ("on_chat_model_stream", "GenericFakeChatModel"),
        ("on_chat_model_stream", "GenericFakeChatModel"),
        ("on_chat_model_end", "GenericFakeChatModel"),
        ("on_chain_stream", "talk"),
        ("on_chain_end", "talk"),
        ("on_chain_stream", "LangGraph"),
        ("on_chain_end", "LangGraph"),
    ]
    said = "".join(e["data"]["chunk"].content for e in events if e["event"] == "on_chat_model_stream")
    assert said == "one two"
    assert events[2]["parent_ids"] == [events[0]["run_id"], events[1]["run_id"]]
    assert events[2]["metadata"]["langgraph_node"] == "talk"


@pytest.mark.feature("RUN-07")
async def test_events_tell_of_tools_and_retrievers():
    class Shelf(BaseRetriever):
        def _get_relevant_documents(self, query: str, *, run_manager: Any) -> Any:
            return [Document(f"about {query}")]

    @tool
    def count(text: str) -> int:
        """Counts."""
        return len(text)

    async def look(state: Any) -> Any:
        (found,) = await Shelf().ainvoke("cats")
        return {"size": await count.ainvoke({"text": found.page_content})}

    graph = StateGraph(dict).add_node("look", look).add_edge(START, "look").compile()
    events = [event async for event in graph.astream_events({}, version="v2")]
    assert [(event["event"], event["name"]) for event in events[2:6]] == [
        ("on_retriever_start", "Shelf"),
        ("on_retriever_end", "Shelf"),
        ("on_tool_start", "count"),
        ("on_tool_end", "count"),
    ]
    assert events[5]["data"]["output"] == 10
    tools = [e async for e in graph.astream_events({}, version="v2", include_names=["count"])]
    assert [event["event"] for event in tools] == ["on_tool_start", "on_tool_end"]
    steps = [e async for e in graph.astream_events({}, version="v2", include_tags=["graph:step:1"])]
    assert {event["name"] for event in steps} == {"look"}


@pytest.mark.feature("RUN-07")
async def test_events_can_be_filtered_by_type():
    model = GenericFakeChatModel(messages=iter([AIMessage("three")]))

    async def talk(state: MessagesState) -> Any:
        return {"messages": [await model.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState).add_node("talk", talk).add_edge(START, "talk").compile()
    given = {"messages": [("human", "hi")]}
    only = [e async for e in graph.astream_events(given, version="v2", include_types=["chat_model"])]
    assert {event["name"] for event in only} == {"GenericFakeChatModel"}


def test_a_handler_of_langchains_context_hears_of_the_run():
    model = GenericFakeChatModel(
        messages=iter(
            [
                AIMessage(
                    "hi",
                    usage_metadata={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
                    response_metadata={"model_name": "fake"},
                )
            ]
        )
    )
    graph = (
        StateGraph(MessagesState)
        .add_node("talk", lambda state: {"messages": [model.invoke(state["messages"])]})
        .add_edge(START, "talk")
        .compile()
    )
    with get_usage_metadata_callback() as usage:
        graph.invoke({"messages": ["hello"]})
    assert usage.usage_metadata["fake"]["total_tokens"] == 3


def test_code_in_nodes_finds_its_config_in_langchains_way(world) -> None:
    """Without callbacks too: a tool that a node calls without a config knows the thread."""
    seen: list[Any] = []

    def look(state: Any) -> Any:
        found = ensure_config()
        seen.append((found["configurable"], found["metadata"]["langgraph_node"]))
        RunnableLambda(lambda _: seen.append(get_config()["configurable"])).invoke(None)
        return {"log": []}

    graph = world.compile(world.graph([look]))
    world.run(graph, {"n": 1}, {"configurable": {"thread_id": "9", "user": "u"}})
    (configurable, node), inner = seen
    assert (configurable["thread_id"], configurable["user"], node) == ("9", "u", "look")
    assert inner["user"] == "u"


def test_a_graph_inside_a_runnable_gets_its_config_and_leaves_it_alone():
    seen: list[Any] = []

    def look(state: Any, config: RunnableConfig) -> Any:
        seen.append((config["configurable"].get("user"), config["tags"]))
        return state

    graph = StateGraph(dict).add_node("look", look).add_edge(START, "look").compile()

    def outer(value: Any, config: RunnableConfig) -> Any:
        graph.invoke({})
        seen.append(ensure_config()["configurable"])
        return value

    tracer = Tracer()
    given = {"configurable": {"user": "u"}, "tags": ["t"]}
    RunnableLambda(outer).invoke(1, given)
    RunnableLambda(outer).invoke(1, {**given, "callbacks": [tracer]})
    assert seen == [("u", ["t"]), {"user": "u"}] * 2
    assert tracer.tree() == [("outer", ["t"], [("LangGraph", ["t"], [("look", ["graph:step:1", "t"], [])])])]


def test_nothing_stays_behind_in_the_callers_context():
    graph = StateGraph(dict).add_node("a", lambda s: s).add_edge(START, "a").compile()

    def run() -> Any:
        graph.invoke({}, {"configurable": {"user": "u"}})
        graph.invoke({}, {"callbacks": [Tracer()]})
        return ensure_config()["configurable"]

    assert contextvars.copy_context().run(run) == {}


def test_an_error_of_a_handler_that_may_raise_ends_the_run(world) -> None:
    class Strict(BaseCallbackHandler):
        raise_error = True

        def on_chain_start(self, serialized: Any, inputs: Any, **more: Any) -> None:
            if more.get("name") == "a":
                raise PermissionError("not this node")

    graph = world.compile(world.graph([world.says("a")]))
    with pytest.raises(PermissionError):
        world.run(graph, {"n": 1}, {**world.config(), "callbacks": [Strict()]})


@pytest.mark.feature("NEW-07")
@pytest.mark.parametrize(("switch", "loaded"), [("", "False"), ("true", "True")])
def test_langchain_is_loaded_for_a_run_only_when_somebody_listens(switch, loaded):
    program = """
import sys
from dashflow.graph import StateGraph, START
StateGraph(dict).add_node("a", lambda s: s).add_edge(START, "a").compile().invoke({})
print("langchain_core" in sys.modules)
"""
    environment = {**os.environ, "LANGSMITH_TRACING": switch, "LANGSMITH_ENDPOINT": "http://127.0.0.1:9"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.split() == [loaded]
