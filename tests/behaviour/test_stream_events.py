"""``stream_events(version="v3")``: a graph's run, read through its projections while it goes on."""

import threading
from typing import Any, TypedDict

import pytest
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk, ChatResult

from dashflow.config import get_stream_writer
from dashflow.graph import START, MessagesState, StateGraph
from dashflow.graph.message import push_message
from dashflow.stream import (
    CheckpointsTransformer,
    CustomTransformer,
    DebugTransformer,
    StreamChannel,
    StreamTransformer,
    TasksTransformer,
    UpdatesTransformer,
)
from dashflow.types import Command, interrupt

pytestmark = [
    pytest.mark.feature("RUN-07"),
    # LangChain's own models say so when they are asked for events of content blocks.
    pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning"),
]


class Reader:
    """A run of a world's kind, read in the same words."""

    def __init__(self, world, graph, given, config=None, **options):
        config = world.config() if config is None else config
        self.world = world
        if world._runner is None:
            self.run = graph.stream_events(given, config, version="v3", **options)
        else:
            self.run = self.wait(graph.astream_events(given, config, version="v3", **options))

    def wait(self, awaitable):
        async def waited():
            return await awaitable

        return self.world._runner.run(waited())

    def list(self, stream, each=lambda item: item):
        """Everything that a projection yields; ``each`` of it is looked at when it comes."""
        if self.world._runner is None:
            return [each(item) for item in stream]

        async def collect():
            return [each(item) async for item in stream]

        return self.world._runner.run(collect())

    def get(self, name, of=None):
        """``output``, ``interrupted`` or ``interrupts``."""
        found = getattr(of or self.run, name)
        return found if self.world._runner is None else self.wait(found())

    def abort(self):
        if self.world._runner is None:
            self.run.abort()
        else:
            self.wait(self.run.abort())


def chain(world, **options):
    return world.compile(world.graph([world.says("a"), world.says("b")]), **options)


def test_values_and_the_output(world) -> None:
    reader = Reader(world, chain(world), {"n": 1})
    assert reader.list(reader.run.values) == [
        {"n": 1, "log": []}, {"n": 1, "log": ["a"]}, {"n": 1, "log": ["a", "b"]},
    ]  # fmt: skip
    assert reader.get("output") == {"n": 1, "log": ["a", "b"]}
    assert reader.get("interrupted") is False


def test_the_graph_waits_for_whoever_reads(world) -> None:
    seen = []
    nodes = [("a", lambda s: seen.append("a")), ("b", lambda s: seen.append("b"))]
    reader = Reader(world, world.compile(world.graph(nodes)), {"n": 1})
    assert seen == []
    assert reader.get("output") is not None
    assert seen == ["a", "b"]


def test_events_are_numbered_and_in_order(world) -> None:
    reader = Reader(world, chain(world), {"n": 1})
    events = reader.list(reader.run)
    assert [event["seq"] for event in events] == [1, 2, 3]
    assert {event["method"] for event in events} == {"values"}


def test_further_projections_when_asked_for(world) -> None:
    def talks(state: Any) -> Any:
        get_stream_writer()("hello")
        return {"log": ["talks"]}

    transformers = [UpdatesTransformer, CustomTransformer, CheckpointsTransformer, DebugTransformer]
    graph = world.compile(world.graph([talks]), transformers=[*transformers, TasksTransformer])
    expected = {
        "updates": [{"talks": {"log": ["talks"]}}],
        "custom": ["hello"],
    }
    for number, (name, items) in enumerate(expected.items()):
        reader = Reader(world, graph, {"n": 1}, world.config(str(number)))
        assert reader.list(getattr(reader.run, name)) == items
    reader = Reader(world, graph, {"n": 1}, world.config("tasks"))
    tasks = reader.list(reader.run.tasks)
    assert [task["name"] for task in tasks] == ["talks", "talks"]
    assert [("input" in task, "result" in task) for task in tasks] == [(True, False), (False, True)]
    reader = Reader(world, graph, {"n": 1}, world.config("checkpoints"))
    kept = [checkpoint["next"] for checkpoint in reader.list(reader.run.checkpoints)]
    assert kept == ([] if world.saver is None else [["__start__"], ["talks"], []])
    reader = Reader(world, graph, {"n": 1}, world.config("debug"))
    kinds = [part["type"] for part in reader.list(reader.run.debug)]
    assert [kind for kind in kinds if kind != "checkpoint"] == ["task", "task_result"]


def test_a_transformer_of_ones_own(world) -> None:
    class Counter(StreamTransformer):
        required_stream_modes = ("updates",)

        def __init__(self, scope=()):
            super().__init__(scope)
            self.channel = StreamChannel("counter")
            self.count = 0

        def init(self):
            return {"counter": self.channel}

        def process(self, event):
            if event["method"] == "updates":
                self.count += 1
                self.channel.push(self.count)
            return event["method"] != "updates"

    reader = Reader(world, chain(world), {"n": 1}, transformers=[Counter])
    assert reader.list(reader.run.extensions["counter"]) == [1, 2]
    reader = Reader(world, chain(world), {"n": 1}, world.config("2"), transformers=[Counter])
    events = reader.list(reader.run)
    assert [event["method"] for event in events].count("custom:counter") == 2
    assert "updates" not in {event["method"] for event in events}


def test_questions_and_answers(recorded) -> None:
    def asks(state: Any) -> Any:
        return {"log": [interrupt("name?")]}

    graph = recorded.compile(recorded.graph([recorded.says("a"), asks]))
    reader = Reader(recorded, graph, {"n": 1})
    assert reader.get("interrupted") is True
    (question,) = reader.get("interrupts")
    assert question.value == "name?"
    assert reader.get("output") == {"n": 1, "log": ["a"]}
    reader = Reader(recorded, graph, Command(resume="Ada"))
    assert reader.get("output") == {"n": 1, "log": ["a", "Ada"]}
    assert reader.get("interrupts") == []


def test_a_failure_reaches_whoever_reads(world) -> None:
    def fails(state: Any) -> Any:
        raise ValueError("boom")

    reader = Reader(world, world.compile(world.graph([world.says("a"), fails])), {"n": 1})
    with pytest.raises(ValueError, match="boom"):
        reader.list(reader.run.values)
    with pytest.raises(ValueError, match="boom"):
        reader.get("output")


# -- subgraphs -----------------------------------------------------------------------------------


def nested(world, *last):
    inner = world.graph([world.says("in"), *last]).compile()
    return world.compile(world.graph([world.says("out"), ("sub", inner)]))


def test_a_subgraph_is_followed_through_a_stream_of_its_own(world) -> None:
    reader = Reader(world, nested(world), {"n": 1})
    found = []

    def look(handle):
        found.append((handle.graph_name, handle.status, handle.path[0].split(":")[0]))
        return handle

    (handle,) = reader.list(reader.run.subgraphs, look)
    assert found == [("sub", "started", "sub")]
    assert handle.status == "completed"
    assert handle.path == (f"sub:{handle.trigger_call_id}",)
    assert reader.get("output", of=handle)["log"][-1] == "in"


def test_what_subgraphs_do_is_told(world) -> None:
    reader = Reader(world, nested(world), {"n": 1})
    told = reader.list(reader.run.lifecycle)
    assert [(one["event"], one["namespace"][0].split(":")[0]) for one in told] == [
        ("started", "sub"), ("completed", "sub"),
    ]  # fmt: skip

    def fails(state: Any) -> Any:
        raise ValueError("boom")

    reader = Reader(world, nested(world, fails), {"n": 1}, world.config("2"))
    reader.run.lifecycle._subscribed = True
    with pytest.raises(ValueError, match="boom"):
        reader.get("output")
    last = reader.run.lifecycle._items[-1][1]
    assert last["event"] == "failed"
    assert "boom" in last["error"]


def test_a_subgraph_that_asks_is_interrupted(recorded) -> None:
    def asks(state: Any) -> Any:
        return {"log": [interrupt("name?")]}

    graph = nested(recorded, asks)
    reader = Reader(recorded, graph, {"n": 1})
    assert [one["event"] for one in reader.list(reader.run.lifecycle)] == ["started", "interrupted"]
    assert [question.value for question in reader.get("interrupts")] == ["name?"]
    reader = Reader(recorded, graph, Command(resume="Ada"))
    assert [one["event"] for one in reader.list(reader.run.lifecycle)] == ["started", "completed"]


def test_a_run_inside_of_a_node_shows_its_own_level(world) -> None:
    inner = world.graph([world.says("in")]).compile()
    seen = []

    if world._runner is None:

        def node(state: Any) -> Any:
            seen.extend(inner.stream_events({"n": 5}, version="v3").values)

    else:

        async def node(state: Any) -> Any:
            run = await inner.astream_events({"n": 5}, version="v3")
            seen.extend([value async for value in run.values])

    reader = Reader(world, world.compile(world.graph([("node", node)])), {"n": 1})
    assert reader.get("output") == {"n": 1, "log": []}
    assert seen == [{"n": 5, "log": []}, {"n": 5, "log": ["in"]}]


# -- messages ------------------------------------------------------------------------------------


def says(*answers):
    return GenericFakeChatModel(messages=iter([AIMessage(answer) for answer in answers]))


def talking(world, model):
    def sync(state: Any) -> Any:
        return {"messages": model.invoke(state["messages"])}

    async def coroutine(state: Any) -> Any:
        return {"messages": await model.ainvoke(state["messages"])}

    node = sync if world._runner is None else coroutine
    return world.graph([("model", node)], schema=MessagesState)


def test_what_a_model_writes_is_a_stream(world) -> None:
    reader = Reader(world, world.compile(talking(world, says("hello there"))), {"messages": "hi"})
    deltas = []

    if world._runner is None:
        for stream in reader.run.messages:
            deltas += list(stream.text)
    else:

        async def read():
            async for stream in reader.run.messages:
                deltas.extend([delta async for delta in stream.text])

        world._runner.run(read())
    assert deltas == ["hello", " ", "there"]
    assert reader.get("output")["messages"][-1].text == "hello there"


def test_a_message_that_a_node_returns_is_a_finished_stream(world) -> None:
    graph = world.graph([("node", lambda s: {"messages": AIMessage("done", id="m1")})], schema=MessagesState)
    reader = Reader(world, world.compile(graph), {"messages": "hi"})
    (stream,) = reader.list(reader.run.messages)
    assert (stream.done, stream.node, stream.message_id) == (True, "node", "m1")


def test_a_model_in_a_subgraph_belongs_to_the_subgraph(world) -> None:
    inner = talking(world, says("inside")).compile()
    graph = world.compile(world.graph([("sub", inner)], schema=MessagesState))
    reader = Reader(world, graph, {"messages": "hi"})
    assert reader.list(reader.run.messages) == []
    reader = Reader(world, world.compile(world.graph([("sub", talking(world, says("inside")).compile())],
                    schema=MessagesState)), {"messages": "hi"}, world.config("2"))  # fmt: skip
    if world._runner is None:
        nodes = [stream.node for handle in reader.run.subgraphs for stream in handle.messages]
    else:

        async def read():
            return [s.node async for handle in reader.run.subgraphs async for s in handle.messages]

        nodes = world._runner.run(read())
    assert nodes == ["model"]


# -- stopping ------------------------------------------------------------------------------------


@pytest.mark.feature("RUN-08")
def test_an_abort_leaves_a_thread_that_can_go_on(recorded) -> None:
    graph = chain(recorded)
    reader = Reader(recorded, graph, {"n": 1})
    if recorded._runner is None:
        values = iter(reader.run.values)
        assert [next(values), next(values)][1]["log"] == ["a"]
    else:

        async def two():
            values = aiter(reader.run.values)
            return [await anext(values), await anext(values)]

        assert recorded._runner.run(two())[1]["log"] == ["a"]
    reader.abort()
    assert recorded.state(graph).next == ("b",)
    assert recorded.run(graph, None) == {"n": 1, "log": ["a", "b"]}


# -- bad input -----------------------------------------------------------------------------------


def test_what_version_3_sets_itself_is_refused(world) -> None:
    for wrong in ({"stream_mode": "values"}, {"subgraphs": False}):
        with pytest.raises(TypeError, match=next(iter(wrong))):
            Reader(world, chain(world), {"n": 1}, **wrong)


def test_a_finished_transformer_is_refused(world) -> None:
    with pytest.raises(TypeError, match="scope-aware callables, got pre-built instance UpdatesTransformer"):
        Reader(world, chain(world), {"n": 1}, transformers=[UpdatesTransformer()])
    with pytest.raises(TypeError, match="scope-aware callables, got str"):
        Reader(world, chain(world), {"n": 1}, transformers=["updates"])


def test_older_versions_have_no_synchronous_form() -> None:
    builder = StateGraph(MessagesState)
    builder.add_node("a", lambda s: None)
    builder.add_edge(START, "a")
    with pytest.raises(NotImplementedError, match="astream_events"):
        builder.compile().stream_events({"messages": []}, version="v2")


# LangChain deprecates its own version 1.
@pytest.mark.filterwarnings("ignore:astream_events version='v1' is deprecated")
async def test_older_versions_are_langchains_events() -> None:
    class State(TypedDict):
        n: int

    async def node(state: State) -> Any:
        return {"n": state["n"] + 1}

    builder = StateGraph(State)
    builder.add_node("node", node)
    builder.add_edge(START, "node")
    graph = builder.compile(name="counter")
    for version in ("v1", "v2"):
        events = [event async for event in graph.astream_events({"n": 1}, version=version)]
        told = [(event["event"], event["name"]) for event in events]
        assert told[0] == ("on_chain_start", "counter")
        assert ("on_chain_start", "node") in told
        assert ("on_chain_end", "node") in told
        assert told[-1] == ("on_chain_end", "counter")
        # Version 1 takes a run's output for the sum of its chunks.
        output = {"v1": {"node": {"n": 2}}, "v2": {"n": 2}}[version]
        assert events[-1]["data"]["output"] == output
        chosen = graph.astream_events({"n": 1}, version=version, include_names=["node"])
        assert {event["name"] async for event in chosen} == {"node"}


# -- the messages mode ---------------------------------------------------------------------------


class Slow(BaseChatModel):
    """Writes the second piece of a tool call when somebody has read the first."""

    read: Any

    @property
    def _llm_type(self) -> str:
        return "slow"

    def _generate(self, messages: Any, *args: Any, **kwargs: Any) -> ChatResult:
        raise NotImplementedError

    def _stream(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
        for number, (call_id, piece) in enumerate([("a", '{"x":'), (None, "1}")]):
            if number:
                assert self.read.wait(60)
            call = {"type": "tool_call_chunk", "index": 0, "id": call_id, "name": None, "args": piece}
            yield ChatGenerationChunk(message=AIMessageChunk("", tool_call_chunks=[call]))


@pytest.mark.feature("RUN-03")
async def test_pieces_of_tool_calls_arrive_while_the_model_still_writes() -> None:
    pieces = []
    for asynchronous in (False, True):
        model = Slow(read=threading.Event())

        def look(part: Any, model: Slow = model) -> None:
            message, metadata = part
            pieces.extend((chunk["index"], chunk["id"], chunk["args"]) for chunk in message.tool_call_chunks)
            assert metadata["langgraph_node"] == "model"
            model.read.set()

        async def node(state: Any, model: Slow = model) -> Any:
            return {"messages": await model.ainvoke(state["messages"])}

        builder = StateGraph(MessagesState)
        builder.add_node(
            "model",
            node if asynchronous else lambda s, model=model: {"messages": model.invoke(s["messages"])},
        )
        builder.add_edge(START, "model")
        given = {"messages": "hi"}
        if asynchronous:
            async for part in builder.compile().astream(given, stream_mode="messages"):
                look(part)
        else:
            for part in builder.compile().stream(given, stream_mode="messages"):
                look(part)
    assert pieces == [(0, "a", '{"x":'), (0, None, "1}")] * 2


def test_whole_messages_are_shown_once(world) -> None:
    graph = world.graph(
        [
            ("one", lambda s: {"messages": AIMessage("one", id="1")}),
            ("again", lambda s: {"messages": [*s["messages"], AIMessage("two", id="2")]}),
        ],
        schema=MessagesState,
    )
    parts = world.parts(
        world.compile(graph), {"messages": [AIMessage("given", id="0")]}, stream_mode="messages"
    )
    assert [(message.content, about["langgraph_node"]) for message, about in parts] == [
        ("one", "one"), ("two", "again"),
    ]  # fmt: skip


def test_pushed_messages_are_shown_and_kept(world) -> None:
    def pushes(state: Any) -> Any:
        push_message(AIMessage("kept", id="1"))
        push_message(AIMessage("only shown", id="2"), state_key=None)
        return {"messages": AIMessage("returned", id="3")}

    graph = world.compile(world.graph([("pushes", pushes)], schema=MessagesState))
    parts = world.parts(graph, {"messages": []}, stream_mode=["messages", "values"])
    shown = [data[0].content for mode, data in parts if mode == "messages"]
    assert shown == ["kept", "only shown", "returned"]
    assert sorted(message.content for message in parts[-1][1]["messages"]) == ["kept", "returned"]
