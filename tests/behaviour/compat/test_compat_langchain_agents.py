"""``create_agent`` on DashFlow: the loop, tools, state, structured answers, streams, sub-agents, hooks."""

from dataclasses import dataclass
from typing import Any

import pytest
from langchain.agents import AgentState, create_agent
from langchain.agents.middleware import (
    AgentMiddleware,
    ModelRequest,
    after_agent,
    after_model,
    before_agent,
    before_model,
    dynamic_prompt,
    hook_config,
    wrap_model_call,
    wrap_tool_call,
)
from langchain.agents.structured_output import ToolStrategy
from langchain.tools import ToolRuntime, tool
from langchain_core.messages import AIMessage, ToolMessage
from langgraph.store.memory import InMemoryStore
from langgraph.types import Command
from pydantic import BaseModel

pytestmark = [pytest.mark.feature("MIGRATE-002", "RUN-02")]


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@tool
def fail() -> str:
    """Never works."""
    raise ValueError("no luck")


def test_langchain_runs_on_dashflow(place, make):
    import dashflow.graph.state

    agent = place.agent("hello")
    assert type(agent.graph) is dashflow.graph.state.CompiledStateGraph
    assert make.texts(agent.ask("hi")) == ["hi", "hello"]


def test_tools_are_called_until_the_model_is_done(place, make):
    agent = place.agent(
        make.calls("add", "add", a=1, b=2),
        make.calls("add", a=3, b=3),
        "six",
        tools=[add],
        system_prompt="Count.",
    )
    result = agent.ask("1+2, and twice that?")
    assert make.kinds(result) == ["human", "ai", "tool", "tool", "ai", "tool", "ai"]
    assert make.texts(result)[2:] == ["3", "3", "", "6", "six"]
    assert [seen[0].text for seen in agent.model.seen] == ["Count."] * 3
    assert agent.model.bound[-1] == ["add"]


def test_a_thread_remembers(place, make):
    agent = place.agent("one", "two")
    agent.ask("first")
    assert make.texts(agent.ask("second")) == ["first", "one", "second", "two"]
    assert make.texts(agent.state().values) == ["first", "one", "second", "two"]
    assert agent.state().next == ()


def test_a_tool_error_ends_the_run_and_the_thread_goes_on_after_it(place, make):
    agent = place.agent(make.calls("fail"), "done", tools=[fail])
    with pytest.raises(ValueError, match="no luck"):
        agent.ask("try")
    assert agent.state().next == ("tools",)


def test_an_answer_in_a_given_shape(place, make):
    class Weather(BaseModel):
        degrees: int
        sky: str

    agent = place.agent(make.calls("Weather", degrees=21, sky="clear"), response_format=ToolStrategy(Weather))
    assert agent.ask("weather?")["structured_response"] == Weather(degrees=21, sky="clear")


def test_a_wrong_shape_is_asked_for_again(place, make):
    class Weather(BaseModel):
        degrees: int

    agent = place.agent(
        make.calls("Weather", degrees="warm"),
        make.calls("Weather", degrees=3),
        response_format=ToolStrategy(Weather),
    )
    result = agent.ask("weather?")
    assert result["structured_response"].degrees == 3
    assert "degrees" in result["messages"][2].text


def test_tools_read_and_write_state_store_and_context(place, make):
    class Notes(AgentState):
        notes: list[str]

    @dataclass
    class Who:
        name: str

    @tool
    def note(text: str, runtime: ToolRuntime) -> Command:
        """Write a note."""
        runtime.store.put(("notes",), runtime.context.name, {"text": text})
        runtime.stream_writer({"noted": text})
        return Command(
            update={
                "notes": [*runtime.state.get("notes", []), text],
                "messages": [ToolMessage("noted", tool_call_id=runtime.tool_call_id)],
            }
        )

    store = InMemoryStore()
    agent = place.agent(
        make.calls("note", text="milk"),
        "ok",
        tools=[note],
        state_schema=Notes,
        context_schema=Who,
        store=store,
    )
    streamed = agent.stream("note milk", context=Who("ada"), stream_mode="custom")
    assert streamed == [{"noted": "milk"}]
    assert agent.state().values["notes"] == ["milk"]
    assert store.get(("notes",), "ada").value == {"text": "milk"}


def test_updates_and_tokens_are_streamed(place, make):
    agent = place.agent(make.calls("add", a=1, b=2), "the sum is three", tools=[add])
    parts = agent.stream("1+2?", stream_mode=["updates", "messages"])
    steps = [next(iter(part)) for mode, part in parts if mode == "updates"]
    assert steps == ["model", "tools", "model"]
    tokens = [part for mode, part in parts if mode == "messages"]
    said = "".join(chunk.text for chunk, about in tokens if about["langgraph_node"] == "model")
    assert said == "the sum is three"
    assert len([1 for chunk, about in tokens if about["langgraph_node"] == "model"]) > 4
    assert [chunk.text for chunk, about in tokens if about["langgraph_node"] == "tools"] == ["3"]


def test_decorated_hooks_run_in_order(place, make):
    order: list[str] = []

    @before_agent
    def first(state, runtime):
        order.append("before_agent")

    @before_model
    def second(state, runtime):
        order.append("before_model")

    @after_model
    def third(state, runtime):
        order.append("after_model")

    @after_agent
    def last(state, runtime):
        order.append("after_agent")

    @dynamic_prompt
    def prompt(request: ModelRequest) -> str:
        return f"{len(request.messages)} so far"

    agent = place.agent("hi", middleware=[first, second, third, last, prompt])
    assert make.texts(agent.ask("hello")) == ["hello", "hi"]
    assert order == ["before_agent", "before_model", "after_model", "after_agent"]
    assert agent.model.seen[0][0].text == "1 so far"


class Wrapped(AgentMiddleware):
    """Wraps models and tools, both ways."""

    def __init__(self) -> None:
        super().__init__()
        self.order: list[str] = []

    def wrap_model_call(self, request, handler):
        self.order.append("model")
        return handler(request)

    async def awrap_model_call(self, request, handler):
        self.order.append("model")
        return await handler(request)

    def wrap_tool_call(self, request, handler):
        self.order.append(request.tool_call["name"])
        return handler(request.override(tool_call={**request.tool_call, "args": {"a": 5, "b": 5}}))

    async def awrap_tool_call(self, request, handler):
        self.order.append(request.tool_call["name"])
        return await handler(request.override(tool_call={**request.tool_call, "args": {"a": 5, "b": 5}}))


def test_models_and_tools_are_wrapped(place, make):
    wrapped = Wrapped()
    agent = place.agent(make.calls("add", a=1, b=2), "ten", tools=[add], middleware=[wrapped])
    assert make.texts(agent.ask("?"))[2] == "10"
    assert wrapped.order == ["model", "add", "model"]


def test_a_hook_can_end_the_run(place, make):
    class Stop(AgentMiddleware):
        @hook_config(can_jump_to=["end"])
        def before_model(self, state, runtime):
            return {"messages": [AIMessage("no")], "jump_to": "end"}

    agent = place.agent("never said", middleware=[Stop()])
    assert make.texts(agent.ask("go")) == ["go", "no"]
    assert agent.model.seen == []


def test_wrapping_decorators_on_the_sync_side(make):
    @wrap_model_call
    def louder(request, handler):
        answer = handler(request)
        answer.result[0].content = answer.result[0].text.upper()
        return answer

    @wrap_tool_call
    def once(request, handler):
        return ToolMessage("99", tool_call_id=request.tool_call["id"])

    agent = create_agent(make.model(make.calls("add", a=1, b=2), "sum"), [add], middleware=[louder, once])
    assert make.texts(agent.invoke({"messages": [("user", "?")]})) == ["?", "", "99", "SUM"]


# -- sub-agents ------------------------------------------------------------------------------------------


def with_helper(place: Any, make: Any) -> Any:
    """An agent with another agent as its tool."""
    helper = create_agent(make.model("a haiku"), [], name="poet")

    @tool
    def poet(topic: str) -> str:
        """Ask the poet."""
        return helper.invoke({"messages": [("user", topic)]})["messages"][-1].text

    @tool("poet")
    async def apoet(topic: str) -> str:
        """Ask the poet."""
        return (await helper.ainvoke({"messages": [("user", topic)]}))["messages"][-1].text

    return place.agent(
        make.calls("poet", topic="snow"),
        "here: a haiku",
        tools=[poet if place.runner is None else apoet],
        name="editor",
    )


def test_an_agent_is_a_tool_of_another(place, make):
    agent = with_helper(place, make)
    result = agent.ask("write")
    assert make.texts(result) == ["write", "", "a haiku", "here: a haiku"]
    assert [message.name for message in result["messages"] if message.type == "ai"] == ["editor", "editor"]


def test_what_a_sub_agent_does_is_streamed_with_its_place(place, make):
    parts = with_helper(place, make).stream("write", stream_mode="updates", subgraphs=True)
    places = [(bool(namespace), next(iter(part))) for namespace, part in parts]
    assert places == [(False, "model"), (True, "model"), (False, "tools"), (False, "model")]


@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")
def test_sub_agents_are_handles_of_the_event_stream(place, make):
    agent = with_helper(place, make)
    given, config = agent.given("write"), agent.config("t")
    if place.runner is None:
        run = agent.graph.stream_events(given, config, version="v3")
        found = [(child.name, child.cause, child.output["messages"][-1].text) for child in run.subagents]
        output = run.output
    else:

        async def collect():
            run = await agent.graph.astream_events(given, config, version="v3")
            found = [
                (child.name, child.cause, (await child.output())["messages"][-1].text)
                async for child in run.subagents
            ]
            return found, await run.output()

        found, output = place.runner.run(collect())
    asked = output["messages"][1].tool_calls[0]["id"]
    assert found == [("poet", {"type": "toolCall", "tool_call_id": asked}, "a haiku")]
    assert make.texts(output)[-1] == "here: a haiku"
