"""Handlers of the ``messages`` mode, driven by LangChain's own callback managers and chat models."""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from langchain_core.callbacks.manager import CallbackManager
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import BaseModel

from dashflow.pregel.listener import graph_namespace
from dashflow.pregel.message_events import StreamMessagesHandlerV2
from dashflow.pregel.messages import StreamMessagesHandler
from dashflow.pregel.stream_handlers import keep_to_themselves, stream_handlers
from dashflow.stream import GraphRunStream, StreamMux
from dashflow.stream.transformers import MessagesTransformer
from dashflow.types import Command

pytestmark = pytest.mark.feature("RUN-07")


def metadata(ns="node:t1", **more):
    return {
        "langgraph_node": "node",
        "langgraph_checkpoint_ns": ns,
        "langgraph_path": ("pull", "node"),
        **more,
    }


class Model(BaseChatModel):
    """Says what it is told to, in these chunks."""

    chunks: list[Any]
    fails: bool = False

    @property
    def _llm_type(self):
        return "told"

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        return ChatResult(generations=[ChatGeneration(message=AIMessage("whole", id="m1"))])

    def _stream(self, messages, stop=None, run_manager=None, **kwargs):
        for chunk in self.chunks:
            yield ChatGenerationChunk(message=chunk.model_copy())
        if self.fails:
            raise ValueError("no more")


def calls(*pieces):
    """A chunk with pieces of tool calls: (index, id, name, arguments)."""
    chunks = [
        {"type": "tool_call_chunk", "index": index, "id": call_id, "name": name, "args": args}
        for index, call_id, name, args in pieces
    ]
    return AIMessageChunk("", tool_call_chunks=chunks)


PARALLEL = [
    calls((0, "a", "add", "")),
    calls((0, None, None, '{"x": ')),
    calls((1, "b", "find", '{"q":')),
    calls((0, None, None, "1}"), (1, None, None, ' "y"}')),
]


def listen(*, kind=StreamMessagesHandler, subgraphs=False, parent_ns=None):
    parts = []
    return kind(parts.append, subgraphs, parent_ns=parent_ns), parts


def config(handler, ns="node:t1", **more):
    return {"callbacks": [handler], "metadata": metadata(ns, **more)}


def said(parts):
    return [message.content for _, _, (message, _) in parts]


# -- what models write ---------------------------------------------------------------------------


def test_chunks_come_with_where_they_were_written():
    handler, parts = listen()
    Model(chunks=[AIMessageChunk("Hel"), AIMessageChunk("lo")]).invoke(
        "hi", {**config(handler), "tags": ["seq:step:1", "mine"]}
    )
    chunks = [part for part in parts if part[2][0].content]
    assert [message.content for _, _, (message, _) in chunks] == ["Hel", "lo"]
    assert all((ns, mode) == ((), "messages") for ns, mode, _ in parts)
    about = chunks[0][2][1]
    assert about["langgraph_node"] == "node"
    assert about["tags"] == ["mine"]
    assert len({message.id for _, _, (message, _) in parts}) == 1
    assert not any(
        isinstance(message, AIMessage) and type(message) is AIMessage for _, _, (message, _) in parts
    )


@pytest.mark.feature("RUN-03")
def test_pieces_of_parallel_tool_calls_come_as_they_are_written():
    handler, parts = listen()
    Model(chunks=PARALLEL).invoke("hi", config(handler))
    chunks = [message for _, _, (message, _) in parts]
    assert [[(c["index"], c["id"], c["args"]) for c in chunk.tool_call_chunks] for chunk in chunks[:4]] == [
        [(0, "a", "")],
        [(0, None, '{"x": ')],
        [(1, "b", '{"q":')],
        [(0, None, "1}"), (1, None, ' "y"}')],
    ]
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    assert [(call["id"], call["name"], call["args"]) for call in whole.tool_calls] == [
        ("a", "add", {"x": 1}),
        ("b", "find", {"q": "y"}),
    ]


@pytest.mark.feature("RUN-03")
def test_pieces_of_parallel_tool_calls_come_as_content_blocks_too():
    handler, parts = listen(kind=StreamMessagesHandlerV2)
    Model(chunks=PARALLEL).invoke("hi", config(handler))
    mux = StreamMux(factories=[MessagesTransformer])
    run = GraphRunStream(iter({"type": mode, "ns": ns, "data": data} for ns, mode, data in parts), mux)
    (stream,) = run.messages
    pieces = [(piece["id"], piece["args"]) for piece in stream.tool_calls]
    assert ("a", '{"x": ') in pieces, "partial arguments are shown"
    assert [(call["id"], call["args"]) for call in stream.output.tool_calls] == [
        ("a", {"x": 1}),
        ("b", {"q": "y"}),
    ]


def test_a_model_that_does_not_stream_is_shown_when_it_is_done():
    class Whole(Model):
        _stream = BaseChatModel._stream

    handler, parts = listen()
    Whole(chunks=[]).invoke("hi", config(handler))
    assert said(parts) == ["whole"]


def test_a_tag_keeps_a_model_out():
    handler, parts = listen()
    Model(chunks=[AIMessageChunk("x")]).invoke("hi", {**config(handler), "tags": ["nostream"]})
    Model(chunks=[AIMessageChunk("x")]).invoke("hi", {"callbacks": [handler]})  # outside of any graph
    assert parts == []


@pytest.mark.parametrize(
    ("subgraphs", "parent_ns", "heard"),
    [(False, None, False), (True, None, True), (False, ("outer:t0",), True), (False, ("other:t0",), False)],
)
def test_whose_subgraphs_are_shown(subgraphs, parent_ns, heard):
    handler, parts = listen(subgraphs=subgraphs, parent_ns=parent_ns)
    Model(chunks=[AIMessageChunk("x")]).invoke("hi", config(handler, "outer:t0|node:t1"))
    assert [ns for ns, _, _ in parts] == ([("outer:t0",)] * len(parts) if heard else [])
    assert bool(parts) is heard


def test_a_task_that_another_one_calls_belongs_to_the_same_graph():
    packet = ("__pregel_push", 3, False)
    call = ("__pregel_push", ("__pregel_pull", "node"), 1, True)
    inner = ("__pregel_push", call, 0, True)
    assert graph_namespace(metadata("a:1|b:2", langgraph_path=packet)) == ("a:1",)
    assert graph_namespace(metadata("a:1|b:2|c:3", langgraph_path=call)) == ("a:1",)
    assert graph_namespace(metadata("a:1|b:2|c:3|d:4", langgraph_path=inner)) == ("a:1",)
    assert graph_namespace(metadata("b:2")) == ()


def test_a_model_that_fails_is_forgotten():
    for kind in (StreamMessagesHandler, StreamMessagesHandlerV2):
        handler, _ = listen(kind=kind)
        with pytest.raises(ValueError, match="no more"):
            Model(chunks=[AIMessageChunk("x")], fails=True).invoke("hi", config(handler))
        assert handler.metadata == {}


# -- what nodes return ---------------------------------------------------------------------------


@dataclass
class Dataclass:
    messages: Any


class Pydantic(BaseModel):
    messages: Any


def ran(handler, given, output, **more):
    """A node's run, as LangChain's callbacks tell it."""
    manager = CallbackManager.configure([handler], inheritable_metadata=metadata())
    run = manager.on_chain_start(None, given, **{"name": "node", **more})
    run.on_chain_end(output)


MESSAGE = AIMessage("done", id="m1")


@pytest.mark.parametrize(
    "output",
    [
        MESSAGE,
        [MESSAGE],
        {"messages": MESSAGE},
        {"messages": ["text", MESSAGE], "note": "text"},
        Dataclass([MESSAGE]),
        Pydantic(messages=[MESSAGE]),
        Command(update={"messages": [MESSAGE]}),
        [Command(update={"messages": MESSAGE}), {"messages": [MESSAGE]}],
    ],
    ids=lambda output: type(output).__name__,
)
def test_messages_that_a_node_returns_are_shown_once(output):
    for kind in (StreamMessagesHandler, StreamMessagesHandlerV2):
        handler, parts = listen(kind=kind)
        ran(handler, {}, output)
        assert said(parts) == ["done"]
        ran(handler, {}, output)
        assert len(parts) == 1


def test_messages_that_a_node_was_given_are_no_news():
    handler, parts = listen()
    known = HumanMessage("hi", id="h1")
    ran(handler, {"messages": [known, HumanMessage("no id")]}, {"messages": [known, MESSAGE]})
    assert said(parts) == ["done"]


def test_a_message_without_an_id_gets_one():
    handler, parts = listen()
    message = AIMessage("new")
    ran(handler, {}, {"messages": message})
    assert parts[0][2][0].id == message.id is not None


def test_other_runs_inside_of_a_node_and_hidden_ones_are_not_shown():
    handler, parts = listen()
    ran(handler, {}, MESSAGE, name="a chain inside")
    manager = CallbackManager.configure(
        [handler], inheritable_metadata=metadata(), inheritable_tags=["langsmith:hidden"]
    )
    manager.on_chain_start(None, {}, name="node").on_chain_end(MESSAGE)
    assert parts == []


def test_a_node_that_fails_is_forgotten():
    handler, parts = listen()
    run = CallbackManager.configure([handler], inheritable_metadata=metadata()).on_chain_start(
        None, {}, name="node"
    )
    run.on_chain_error(ValueError())
    assert handler.metadata == {}
    assert parts == []


def test_results_of_tools_are_messages_for_those_who_read_chunks_only():
    result = {"messages": [ToolMessage("42", tool_call_id="a", id="t1")]}
    handler, parts = listen()
    ran(handler, {}, result)
    assert said(parts) == ["42"]
    handler, parts = listen(kind=StreamMessagesHandlerV2)
    ran(handler, {}, result)
    assert parts == []


# -- events of content blocks --------------------------------------------------------------------


def test_content_blocks_come_with_the_call_they_belong_to():
    handler, parts = listen(kind=StreamMessagesHandlerV2)
    answer = Model(chunks=[AIMessageChunk("Hel"), AIMessageChunk("lo")]).invoke("hi", config(handler))
    kinds = [event["event"] for _, _, (event, _) in parts]
    assert kinds[0] == "message-start"
    assert kinds[-1] == "message-finish"
    assert kinds.count("content-block-delta") == 2
    assert len({about["run_id"] for _, _, (_, about) in parts}) == 1
    before = len(parts)
    ran(handler, {}, {"messages": [answer]})
    assert len(parts) == before, "what was streamed is not shown again when the node returns it"


def test_chunks_of_a_node_that_streams_by_itself_do_not_get_among_content_blocks():
    handler, parts = listen(kind=StreamMessagesHandlerV2)
    list(Model(chunks=[AIMessageChunk("x"), AIMessageChunk("y")]).stream("hi", config(handler)))
    assert said(parts) == ["xy"], "only what the model said in the end"


def test_a_finished_message_is_a_stream_that_is_complete():
    data = (AIMessage("done", id="m1"), {"langgraph_node": "node"})
    parts = [
        {"type": "messages", "ns": (), "data": data},
        {"type": "messages", "ns": ("sub:1",), "data": data},
        {"type": "messages", "ns": (), "data": (AIMessageChunk("x"), {})},
        {"type": "messages", "ns": (), "data": (ToolMessage("42", tool_call_id="a"), {})},
        {"type": "messages", "ns": (), "data": (None, {})},
    ]
    (stream,) = GraphRunStream(iter(parts), StreamMux(factories=[MessagesTransformer])).messages
    assert (stream.node, stream.message_id, stream.done) == ("node", "m1", True)
    assert stream.output.text == "done"


def test_messages_of_a_run_that_fails_fail():
    def parts():
        start = {"event": "message-start", "role": "ai", "message_id": "m1"}
        yield {"type": "messages", "ns": (), "data": (start, {"run_id": "1"})}
        raise ValueError("gone")

    stream = next(iter(GraphRunStream(parts(), StreamMux(factories=[MessagesTransformer])).messages))
    with pytest.raises(ValueError, match="gone"):
        _ = stream.output


# -- which handlers ------------------------------------------------------------------------------


def test_each_mode_has_its_handler():
    def kinds(modes, **more):
        return [type(one).__name__ for one in stream_handlers(modes, print, subgraphs=False, **more)]

    assert kinds({"values"}) == []
    assert kinds({"messages", "tools"}) == ["StreamMessagesHandler", "StreamToolCallHandler"]
    assert kinds({"messages"}, blocks=True) == ["StreamMessagesHandlerV2"]


@pytest.mark.parametrize(
    ("chunks", "nested", "left"),
    [
        (False, True, ["one", "all", "blocks", "other"]),
        (True, True, ["one", "all", "other"]),
        (False, False, ["all", "other"]),
    ],
)
def test_handlers_of_runs_around_do_not_take_what_is_not_theirs(chunks, nested, left):
    from langchain_core.callbacks import BaseCallbackHandler

    handlers = {
        "one": listen()[0],
        "all": listen(subgraphs=True)[0],
        "blocks": listen(kind=StreamMessagesHandlerV2)[0],
        "other": BaseCallbackHandler(),
    }
    manager = CallbackManager(handlers=list(handlers.values()), inheritable_handlers=list(handlers.values()))
    keep_to_themselves(manager, chunks=chunks, nested=nested)
    expected = [handlers[name] for name in left]
    assert manager.handlers == expected
    assert manager.inheritable_handlers == expected


def test_ids_are_strings():
    handler, parts = listen()
    handler.metadata[run_id := uuid4()] = ((), {})
    handler.on_llm_new_token("x", chunk=ChatGenerationChunk(message=AIMessageChunk("x")), run_id=run_id)
    assert isinstance(parts[0][2][0].id, str)
    handler.on_llm_new_token("x", chunk="no chunk", run_id=run_id)
    assert len(parts) == 1
