"""Agents on LangChain's own client for OpenAI, over HTTP: what a provider is sent, and what its answers do.

Sync and asyncio only: a simulated host has no sockets.
"""

import os
from collections.abc import Callable, Iterator
from typing import Annotated, Any, TypedDict

import openai
import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, Field

from dashflow.graph import START, MessagesState, StateGraph
from dashflow.prebuilt import ToolNode, ToolRuntime, create_react_agent, tools_condition
from tests.behaviour.tools.openai_server import Provider

pytestmark = [
    pytest.mark.feature("RUN-01"),
    pytest.mark.filterwarnings("ignore::dashflow.warnings.LangGraphDeprecatedSinceV10"),
    pytest.mark.parametrize(
        "world", ["sync-none", "asyncio-none", "sync-sqlite", "asyncio-sqlite"], indirect=True
    ),
]

_LEAKING = ("openai_", "http_proxy", "https_proxy", "all_proxy", "no_proxy", "ssl_cert")


@pytest.fixture
def provider() -> Iterator[Provider]:
    served = Provider()
    yield served
    served.close()


@pytest.fixture
def model(world, provider, monkeypatch) -> Iterator[ChatOpenAI]:
    for name in list(os.environ):
        if name.lower().startswith(_LEAKING):
            monkeypatch.delenv(name)
    # Clients of its own: LangChain's are shared in the process and never closed.
    made = ChatOpenAI(
        model="any",
        base_url=provider.url,
        api_key="none",
        max_retries=0,
        timeout=30,
        http_client=openai.DefaultHttpxClient(trust_env=False),
        http_async_client=openai.DefaultAsyncHttpxClient(trust_env=False),
    )
    yield made
    made.root_client.close()
    if world.kind == "asyncio":
        world._runner.run(made.root_async_client.close())


def weather(city: str, days: int = 1) -> str:
    """Weather of a city."""
    return f"{city}: {days} days of sun"


class Route(BaseModel):
    """A way."""

    start: str
    stops: list[str] = Field(description="In order", max_length=3)


@tool(args_schema=Route)
def route(start: str, stops: list[str], runtime: ToolRuntime) -> str:
    """Way through the stops."""
    return f"{runtime.tool_call_id}: {' > '.join([start, *stops])}"


class Book(TypedDict):
    """Book a room."""

    city: Annotated[str, ..., "Where"]
    nights: Annotated[int, 1, "How long"]


WEATHER = {
    "name": "weather",
    "description": "Weather of a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "default": 1}},
        "required": ["city"],
    },
}
ROUTE = {
    "name": "route",
    "description": "Way through the stops.",
    "parameters": {
        "type": "object",
        "properties": {
            "start": {"type": "string"},
            "stops": {
                "type": "array",
                "items": {"type": "string"},
                "maxItems": 3,
                "description": "In order",
            },
        },
        "required": ["start", "stops"],
    },
}
BOOK = {
    "name": "Book",
    "description": "Book a room.",
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "Where"},
            "nights": {"type": "integer", "description": "How long", "default": 1},
        },
        "required": ["city"],
    },
}
CALLS = [
    ("call_a", "weather", {"city": "Rome", "days": 2}),
    ("call_b", "route", {"start": "Rome", "stops": ["Pisa", "Turin"]}),
]
RESULTS = [("call_a", "Rome: 2 days of sun"), ("call_b", "call_b: Rome > Pisa > Turin")]
HELLO = {"messages": [HumanMessage("hello")]}
BOTH = pytest.mark.parametrize("version", ["v1", "v2"])


def functions(request: dict[str, Any]) -> list[dict[str, Any]]:
    assert all(entry["type"] == "function" for entry in request["tools"])
    return [entry["function"] for entry in request["tools"]]


def asked(calls: list[Any]) -> list[tuple[Any, ...]]:
    return [(call["id"], call["name"], call["args"]) for call in calls]


def answered(messages: list[Any]) -> list[tuple[str, str]]:
    return [(each.tool_call_id, each.content) for each in messages if isinstance(each, ToolMessage)]


def graph_of(world: Any, model: Any, tools: list[Any]) -> Any:
    """The agent's loop, written by hand."""

    def ask(state: MessagesState) -> dict[str, Any]:
        return {"messages": model.invoke(state["messages"])}

    async def aask(state: MessagesState) -> dict[str, Any]:
        return {"messages": await model.ainvoke(state["messages"])}

    builder = StateGraph(MessagesState)
    builder.add_node("model", aask if world.kind == "asyncio" else ask)
    builder.add_node("tools", ToolNode(tools))
    builder.add_edge(START, "model")
    builder.add_conditional_edges("model", tools_condition)
    builder.add_edge("tools", "model")
    return world.compile(builder)


def react(version: str) -> Callable[..., Any]:
    def made(world: Any, model: Any, tools: list[Any]) -> Any:
        return create_react_agent(model, tools, version=version, checkpointer=world.saver)

    return made


def by_hand(world: Any, model: Any, tools: list[Any]) -> Any:
    return graph_of(world, model.bind_tools(tools), tools)


LOOPS = pytest.mark.parametrize(
    "made", [react("v1"), react("v2"), by_hand], ids=["react-v1", "react-v2", "by-hand"]
)


@LOOPS
def test_both_calls_run_and_their_results_go_back(world, provider, model, made):
    provider.calls = CALLS
    agent = made(world, model, [tool(weather), route])
    messages = world.run(agent, HELLO)["messages"]

    assert asked(messages[1].tool_calls) == CALLS
    assert answered(messages) == RESULTS
    assert [each.type for each in messages] == ["human", "ai", "tool", "tool", "ai"]
    assert messages[-1].content == "Done."
    first, second = provider.requests
    assert not any(request.get("stream") for request in provider.requests)
    assert functions(first) == functions(second) == [WEATHER, ROUTE]
    assert [each["role"] for each in second["messages"]] == ["user", "assistant", "tool", "tool"]
    assert [each["id"] for each in second["messages"][1]["tool_calls"]] == ["call_a", "call_b"]
    assert [(each["tool_call_id"], each["content"]) for each in second["messages"][2:]] == RESULTS
    kind = "AsyncOpenAI" if world.kind == "asyncio" else "OpenAI"
    assert [agent.partition("/")[0] for agent in provider.agents] == [kind, kind]


def test_a_plain_function_becomes_a_tool(world, provider, model):
    provider.calls = CALLS[:1]
    agent = create_react_agent(model, [weather], checkpointer=world.saver)
    assert answered(world.run(agent, HELLO)["messages"]) == RESULTS[:1]
    assert functions(provider.requests[0]) == [WEATHER]


def test_a_typed_dict_may_describe_a_tool(world, provider, model):
    @tool("Book")
    def book(city: str, nights: int = 1) -> str:
        """Book."""
        return f"{nights} in {city}"

    provider.calls = [("call_c", "Book", {"city": "Oslo", "nights": 3}), ("call_d", "Book", {"city": "Bern"})]
    messages = world.run(graph_of(world, model.bind_tools([Book]), [book]), HELLO)["messages"]
    assert functions(provider.requests[0]) == [BOOK]
    assert asked(messages[1].tool_calls) == provider.calls
    assert answered(messages) == [("call_c", "3 in Oslo"), ("call_d", "1 in Bern")]


@BOTH
def test_an_agent_takes_a_model_with_tools_bound_to_it(world, provider, model, version):
    provider.calls = CALLS
    bound = model.bind_tools([weather, route], tool_choice="auto")
    messages = world.run(react(version)(world, bound, [tool(weather), route]), HELLO)["messages"]
    assert answered(messages) == RESULTS
    assert [functions(request) for request in provider.requests] == [[WEATHER, ROUTE]] * 2
    assert provider.requests[0]["tool_choice"] == "auto"


def test_a_refusal_of_the_provider_ends_the_run(world, provider, model):
    lost = [HumanMessage("hello"), ToolMessage("sun", tool_call_id="call_lost")]
    agent = create_react_agent(model, [weather], checkpointer=world.saver)
    with pytest.raises(openai.BadRequestError, match="must be a response to a message"):
        world.run(agent, {"messages": lost})
    assert len(provider.requests) == 1


@pytest.mark.feature("RUN-03")
@LOOPS
def test_calls_arrive_in_pieces_and_are_put_together(world, provider, model, made):
    provider.calls = CALLS
    agent = made(world, model, [tool(weather), route])
    parts = world.parts(agent, HELLO, stream_mode=["messages", "values"])
    assert all(request["stream"] for request in provider.requests)

    heard = [data[0] for mode, data in parts if mode == "messages"]
    chunks = [each for each in heard if isinstance(each, AIMessageChunk)]
    first = [each for each in chunks if each.id == chunks[0].id]
    pieces = [piece for each in first for piece in each.tool_call_chunks]
    started = [(piece["index"], piece["id"], piece["name"]) for piece in pieces if piece["id"]]
    assert started == [(0, "call_a", "weather"), (1, "call_b", "route")]
    later = [piece for piece in pieces if not piece["id"]]
    assert [piece["index"] for piece in later[:6]] == [0, 1, 0, 1, 0, 1]
    assert all(piece["name"] is None and 0 < len(piece["args"]) <= 5 for piece in later)

    whole = first[0]
    for chunk in first[1:]:
        whole += chunk
    assert asked(whole.tool_calls) == CALLS
    assert whole.invalid_tool_calls == []
    assert sorted(answered(heard)) == RESULTS  # as they come: tasks of their own in version v2
    assert "".join(each.content for each in chunks if each.id != whole.id) == "Done."

    final = [data for mode, data in parts if mode == "values"][-1]["messages"]
    assert isinstance(final[1], AIMessage)
    assert asked(final[1].tool_calls) == CALLS
    assert answered(final) == RESULTS
