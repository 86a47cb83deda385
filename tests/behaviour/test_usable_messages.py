"""Message lists that stay usable when a run is cancelled in the middle of an answer or of a tool call."""

import asyncio
from typing import Annotated, TypedDict

import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, RemoveMessage, ToolMessage
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.tools import tool

from dashflow.checkpoint.memory import InMemorySaver
from dashflow.errors import RunCancelledError
from dashflow.graph import START, StateGraph, add_messages
from dashflow.graph.usable import CLOSED, is_partial, usable_messages

pytestmark = pytest.mark.feature("NEW-13")

CONFIG = {"configurable": {"thread_id": "t"}}


def call(name, call_id):
    return {"name": name, "args": {}, "id": call_id, "type": "tool_call"}


ASKING = AIMessage("", id="a", tool_calls=[call("search", "1"), call("pay", "2")])


def shown(messages):
    return [(m.type, m.content, getattr(m, "tool_call_id", None)) for m in messages]


def test_open_calls_are_answered_before_a_person_speaks():
    left = [HumanMessage("hi", id="h"), ASKING, ToolMessage("found", tool_call_id="1", id="t1")]
    merged = usable_messages(left, [HumanMessage("and?", id="h2")])
    assert shown(merged) == [
        ("human", "hi", None),
        ("ai", "", None),
        ("tool", "found", "1"),
        ("tool", CLOSED, "2"),
        ("human", "and?", None),
    ]
    assert merged[3].status == "error"
    assert merged[3].name == "pay"
    assert usable_messages(left, ("user", "and?"))[3].tool_call_id == "2"


def test_a_late_answer_takes_the_place_of_the_closing_one():
    merged = usable_messages([ASKING], [HumanMessage("and?", id="h2")])
    merged = usable_messages(merged, [ToolMessage("paid", tool_call_id="2", id="t2")])
    assert shown(merged) == [
        ("ai", "", None),
        ("tool", CLOSED, "1"),
        ("tool", "paid", "2"),
        ("human", "and?", None),
    ]


def test_answers_and_other_messages_are_merged_as_ever():
    cases = [
        ([ASKING], [ToolMessage("found", tool_call_id="1", id="t1")]),
        ([ASKING], [AIMessage("never mind", id="b")]),
        ([HumanMessage("hi", id="h")], [AIMessage("hello", id="b"), HumanMessage("so", id="i")]),
        ([HumanMessage("hi", id="h"), ASKING], [RemoveMessage("a")]),
        ([], [ASKING, HumanMessage("so", id="i")]),
    ]
    for left, right in cases:
        assert usable_messages(left, right) == add_messages(left, right)


def test_a_partial_message_gives_way_to_the_next_one_of_the_model():
    partial = AIMessage("Once up", id="p", response_metadata={"partial": True})
    assert is_partial(partial)
    left = [HumanMessage("tell", id="h"), partial]
    assert shown(usable_messages(left, [AIMessage("Once upon a time", id="q")]))[1:] == [
        ("ai", "Once upon a time", None)
    ]
    assert len(usable_messages(left, [HumanMessage("go on", id="i")])) == 3


class Slow(GenericFakeChatModel):
    """Writes two words and then nothing more."""

    said: object = None

    def bind_tools(self, tools, **kwargs):
        return self

    async def _astream(self, messages, stop=None, run_manager=None, **kwargs):
        for word in ("Once ", "upon"):
            chunk = ChatGenerationChunk(message=AIMessageChunk(word, id="run-1"))
            if run_manager:
                await run_manager.on_llm_new_token(word, chunk=chunk)
            yield chunk
        self.said.set()
        await asyncio.sleep(3600)


def agent_of(model, tools=(), saver=None):
    from dashflow.prebuilt import create_react_agent

    return create_react_agent(model, list(tools), checkpointer=saver)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("how", ["cancelled", "task cancelled"])
def test_what_was_streamed_is_kept_and_marked(how):
    saver = InMemorySaver()

    async def scenario():
        said = asyncio.Event()
        agent = agent_of(Slow(messages=iter(()), said=said), saver=saver)

        async def listen():
            async for _ in agent.astream({"messages": [("user", "tell")]}, CONFIG, stream_mode="messages"):
                pass

        run = asyncio.create_task(listen())
        await said.wait()
        if how == "cancelled":
            await agent.acancel(CONFIG, wait=10)
            with pytest.raises(RunCancelledError):
                await run
        else:
            run.cancel()
            with pytest.raises(asyncio.CancelledError):
                await run
        return agent

    agent = asyncio.run(scenario())
    messages = agent.get_state(CONFIG).values["messages"]
    assert shown(messages) == [("human", "tell", None), ("ai", "Once upon", None)]
    assert is_partial(messages[1])
    # Going on makes the answer whole; the partial one is gone.
    mended = agent_of(GenericFakeChatModel(messages=iter([AIMessage("Once upon a time")])), saver=saver)
    result = mended.invoke(None, CONFIG)
    assert shown(result["messages"]) == [("human", "tell", None), ("ai", "Once upon a time", None)]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_agent_that_was_cancelled_in_a_tool_takes_the_next_question():
    saver = InMemorySaver()

    async def scenario():
        begun = asyncio.Event()

        @tool
        async def search() -> str:
            """Search."""
            begun.set()
            await asyncio.sleep(3600)

        class Model(GenericFakeChatModel):
            def bind_tools(self, tools, **kwargs):
                return self

        asking = AIMessage("", tool_calls=[call("search", "1")])
        model = Model(messages=iter([asking, AIMessage("As you wish")]))
        agent = agent_of(model, [search], saver)
        run = asyncio.create_task(agent.ainvoke({"messages": [("user", "find")]}, CONFIG))
        await begun.wait()
        await agent.acancel(CONFIG, wait=10)
        with pytest.raises(RunCancelledError):
            await run
        return await agent.ainvoke({"messages": [("user", "forget it")]}, CONFIG)

    result = asyncio.run(scenario())
    assert shown(result["messages"]) == [
        ("human", "find", None),
        ("ai", "", None),
        ("tool", CLOSED, "1"),
        ("human", "forget it", None),
        ("ai", "As you wish", None),
    ]


def test_graphs_may_ask_for_it_or_name_the_reducer():
    class Plain(TypedDict):
        messages: Annotated[list, add_messages]

    class Own(TypedDict):
        messages: Annotated[list, usable_messages]

    def graph_of(schema, **options):
        graph = StateGraph(schema)
        graph.add_node("node", lambda state: None)
        graph.add_edge(START, "node")
        return graph.compile(InMemorySaver(), **options)

    given = {"messages": [ASKING]}
    for graph, wanted in (
        (graph_of(Plain), 2),
        (graph_of(Plain, keep_messages_usable=True), 4),
        (graph_of(Own), 4),
    ):
        graph.invoke(given, CONFIG)
        assert len(graph.invoke({"messages": [("user", "so?")]}, CONFIG)["messages"]) == wanted
