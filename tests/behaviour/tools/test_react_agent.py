"""The ready-made agent, on every host: loop, parallel calls, hooks, prompts, structured responses, limits."""

import asyncio
from typing import Annotated, Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from pydantic import BaseModel, Field

from dashflow.graph.message import REMOVE_ALL_MESSAGES, add_messages
from dashflow.managed import RemainingSteps
from dashflow.prebuilt import InjectedState, ToolNode, ValidationNode, create_react_agent
from dashflow.prebuilt.chat_agent_executor import AgentState, create_tool_calling_executor
from dashflow.prebuilt.interrupt import ActionRequest
from dashflow.types import Command, interrupt
from dashflow.warnings import LangGraphDeprecatedSinceV10

pytestmark = [
    pytest.mark.feature("RUN-02"),
    pytest.mark.filterwarnings("ignore::dashflow.warnings.LangGraphDeprecatedSinceV10"),
]


class Scripted(BaseChatModel):
    """Answers from a list; a list of calls is an answer, too. The place in it comes from the conversation."""

    answers: list[Any]
    asked: list[list[BaseMessage]] = Field(default_factory=list)
    bound: list[Any] = Field(default_factory=list)
    structured: Any = None

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools, **kwargs):
        self.bound.extend(tools)
        return self.bind(tools=[t if isinstance(t, dict) else {"name": t.name} for t in tools])

    def with_structured_output(self, schema, **kwargs):
        return RunnableLambda(lambda messages: schema(**self.structured, seen=len(messages)))

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        answer = self.answers[len(self.asked)]
        self.asked.append(list(messages))
        number = len(self.asked)
        if isinstance(answer, str):
            message = AIMessage(answer, id=f"m{number}")
        else:
            calls = [
                {"name": name, "args": args, "id": f"c{number}{place}", "type": "tool_call"}
                for place, (name, args) in enumerate(answer)
            ]
            message = AIMessage("", id=f"m{number}", tool_calls=calls)
        return ChatResult(generations=[ChatGeneration(message=message)])


@tool
def weather(city: str) -> str:
    """Weather."""
    return f"sun in {city}"


@tool(return_direct=True)
def final(text: str) -> str:
    """Final."""
    return text


def made(world, *args, **kwargs):
    """An agent on the world's host and with its saver."""
    agent = create_react_agent(*args, checkpointer=world.saver, **kwargs)
    return agent.with_host(world._simulated) if world.kind == "simulated" else agent


def said(result):
    return [message.content for message in result["messages"]]


HELLO = {"messages": [HumanMessage("hello")]}
BOTH = pytest.mark.parametrize("version", ["v1", "v2"])


@BOTH
def test_tools_are_called_until_none_is_asked_for(world, version):
    model = Scripted(answers=[[("weather", {"city": "Rome"}), ("weather", {"city": "Oslo"})], "All sunny."])
    agent = made(world, model, [weather], prompt="Be brief.", version=version, name="forecaster")
    result = world.run(agent, HELLO)
    assert said(result) == ["hello", "", "sun in Rome", "sun in Oslo", "All sunny."]
    assert result["messages"][-1].name == "forecaster"
    assert [type(message) for message in model.asked[0]] == [SystemMessage, HumanMessage]
    assert [t.name for t in model.bound] == ["weather"]


@BOTH
def test_a_tool_may_ask_a_person(recorded, version):
    @tool
    def book(city: str) -> str:
        """Book."""
        return f"{city}: {interrupt('sure?')}"

    model = Scripted(answers=[[("book", {"city": "Rome"})], "Booked."])
    agent = made(recorded, model, [book], version=version)
    assert recorded.run(agent, HELLO)["__interrupt__"][0].value == "sure?"
    assert said(recorded.run(agent, Command(resume="yes"))) == ["hello", "", "Rome: yes", "Booked."]


@BOTH
def test_a_tool_may_answer_directly(world, version):
    model = Scripted(answers=[[("weather", {"city": "Rome"}), ("final", {"text": "done"})]])
    result = world.run(made(world, model, [weather, final], version=version), HELLO)
    assert said(result) == ["hello", "", "sun in Rome", "done"]


@BOTH
def test_the_recursion_limit_is_met_with_words(world, version):
    model = Scripted(answers=[[("weather", {"city": "Rome"})]] * 9)
    agent = made(world, model, [weather], version=version)
    result = world.run(agent, HELLO, world.config(recursion_limit=4))
    assert said(result)[-1] == "Sorry, need more steps to process this request."


@BOTH
def test_hooks_before_and_after_the_model(world, version):
    model = Scripted(answers=[[("weather", {"city": "Rome"})], "Sunny."])

    def before(state):
        return {"llm_input_messages": state["messages"][-2:]}

    def after(state):
        return {"notes": [len(state["messages"])]}

    class State(AgentState):
        notes: Annotated[list[int], lambda old, new: [*(old or []), *new]]

    agent = made(
        world,
        model,
        [weather],
        pre_model_hook=before,
        post_model_hook=after,
        state_schema=State,
        version=version,
    )
    result = world.run(agent, HELLO)
    assert said(result) == ["hello", "", "sun in Rome", "Sunny."]
    assert result["notes"] == [2, 4]
    assert [len(messages) for messages in model.asked] == [1, 2]


def test_a_hook_may_rewrite_the_conversation(world):
    model = Scripted(answers=["Bye."])

    def forget(state):
        return {"messages": [RemoveMessage(id=REMOVE_ALL_MESSAGES), HumanMessage("new")]}

    assert said(world.run(made(world, model, [], pre_model_hook=forget), HELLO)) == ["new", "Bye."]


def test_structured_responses(world):
    class Report(BaseModel):
        city: str
        seen: int

    model = Scripted(answers=["Sunny."], structured={"city": "Rome"})
    for form, seen in ((Report, 2), (("Report.", Report), 3)):
        model.asked.clear()
        result = world.run(made(world, model, [], response_format=form), HELLO, world.config(str(seen)))
        assert result["structured_response"] == Report(city="Rome", seen=seen)


def test_the_model_may_be_chosen_at_every_call(world):
    models = {"a": Scripted(answers=["From a."]), "b": Scripted(answers=["From b."])}

    def choose(state, runtime):
        return models[runtime.context]

    agent = made(world, choose, [weather], prompt=lambda state: [SystemMessage("s"), *state["messages"]])
    assert said(world.run(agent, HELLO, world.config("1"), context="b")) == ["hello", "From b."]
    assert models["b"].asked[0][0].content == "s"


def test_an_async_choice_needs_an_async_run():
    async def choose(state, runtime):
        return Scripted(answers=["Hi."])

    agent = create_react_agent(choose, [weather])
    assert said(asyncio.run(agent.ainvoke(HELLO))) == ["hello", "Hi."]
    with pytest.raises(RuntimeError, match="Async model callable provided but agent invoked synchronously"):
        agent.invoke(HELLO)


def test_state_reaches_tools_in_a_model_state(world):
    class State(BaseModel):
        messages: Annotated[list[Any], add_messages]
        remaining_steps: RemainingSteps = 25
        user: str = "nobody"

    @tool
    def who(user: Annotated[str, InjectedState("user")]) -> str:
        """Who."""
        return user

    model = Scripted(answers=[[("who", {})], "So."])
    result = world.run(made(world, model, [who], state_schema=State), {**HELLO, "user": "ada"})
    assert said(result) == ["hello", "", "ada", "So."]


def test_open_calls_in_the_history_are_refused(world):
    call = {"name": "weather", "args": {}, "id": "1", "type": "tool_call"}
    given = {"messages": [AIMessage("", tool_calls=[call]), HumanMessage("?")]}
    with pytest.raises(ValueError, match="do not have a corresponding ToolMessage"):
        world.run(made(world, Scripted(answers=["x"]), [weather]), given)
    given["messages"].insert(1, ToolMessage("y", tool_call_id="1"))
    world.run(made(world, Scripted(answers=["x"]), [weather]), given, world.config("other"))


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"version": "v3"}, ValueError, "Invalid version v3"),
        ({"other": 1}, TypeError, "unexpected keyword arguments: {'other': 1}"),
        ({"state_schema": BaseModel}, ValueError, "Missing required key"),
        ({"prompt": 3}, ValueError, "unexpected type for `prompt`"),
    ],
)
def test_wrong_options_are_refused(options, error, words):
    with pytest.raises(error, match=words):
        create_react_agent(Scripted(answers=[]), [weather], **options)


def test_tools_that_are_bound_already_must_be_the_same():
    model = Scripted(answers=[])
    create_react_agent(model.bind_tools([weather]), [weather])
    create_react_agent(model.bind_tools([weather, {"type": "mcp"}]), [weather, {"type": "mcp"}])
    with pytest.raises(ValueError, match="Number of tools"):
        create_react_agent(model.bind_tools([weather]), [weather, final])
    with pytest.raises(ValueError, match=r"Missing tools '.'final'.'"):
        create_react_agent(model.bind_tools([weather]), [final])


@pytest.mark.filterwarnings("default")
def test_deprecations():
    with pytest.warns(LangGraphDeprecatedSinceV10, match="create_react_agent has been moved"):
        create_tool_calling_executor(Scripted(answers=[]), ToolNode([weather]))
    with pytest.warns(LangGraphDeprecatedSinceV10, match="`config_schema` is deprecated"):
        create_react_agent(Scripted(answers=[]), [], config_schema=dict)
    assert "ActionRequest has been moved" in ActionRequest.__deprecated__
    with pytest.warns(LangGraphDeprecatedSinceV10, match="ValidationNode is deprecated"):
        ValidationNode([weather])


class Number(BaseModel):
    n: int


def test_a_validation_node_checks_calls_and_runs_nothing(world):
    def takes(n: int) -> None:
        """Take."""
        raise AssertionError("must not run")

    calls = [
        {"name": "Number", "args": {"n": 1}, "id": "1", "type": "tool_call"},
        {"name": "takes", "args": {"n": "x"}, "id": "2", "type": "tool_call"},
        {"name": "weather", "args": {"city": "Rome"}, "id": "3", "type": "tool_call"},
    ]
    node = ValidationNode([Number, takes, weather])
    builder = world.graph([("check", node)], schema=AgentState)
    result = world.run(world.compile(builder), {"messages": [AIMessage("", tool_calls=calls)]})
    assert [m.additional_kwargs.get("is_error", False) for m in result["messages"][1:]] == [
        False,
        True,
        False,
    ]
    assert result["messages"][1].content == '{"n":1}'
    assert result["messages"][2].content.endswith("Respond after fixing all validation errors.")
    told = ValidationNode([Number], format_error=lambda error, call, schema: call["name"])
    message = AIMessage("", tool_calls=[{**calls[0], "args": {}}])
    assert told.invoke([message])[0].content == "Number"
    with pytest.raises(ValueError, match="Unsupported input to ValidationNode"):
        ValidationNode([3])
    with pytest.raises(ValueError, match="Last message is not an AIMessage"):
        told.invoke([HumanMessage("x")])
    with pytest.raises(ValueError, match="No message found"):
        told.invoke({"messages": []})
