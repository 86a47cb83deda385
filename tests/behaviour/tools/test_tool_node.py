"""ToolNode: calls in, messages and commands out; what tools get from the graph; errors; interceptors."""

import threading
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import InjectedToolArg, InjectedToolCallId, tool
from pydantic import BaseModel

from dashflow._util.scope import TOOL_CALL_WRITER
from dashflow.graph import START, MessagesState, StateGraph
from dashflow.prebuilt import InjectedState, InjectedStore, ToolNode, ToolRuntime, tools_condition
from dashflow.prebuilt.tool_node import ToolInvocationError, msg_content_output
from dashflow.types import Command, Send, interrupt
from tests.behaviour.tools.tool_calls import add, asks, call, shown

pytestmark = pytest.mark.feature("RUN-02")


# -- forms ------------------------------------------------------------------------------------------


class ModelState(BaseModel):
    messages: list[Any]


@dataclass
class DataState:
    messages: list[Any]


def test_what_it_is_called_with_is_how_it_answers(run):
    node = ToolNode([add])
    message = AIMessage("", tool_calls=[call("add", a=1, b=2)])
    for given in ({"messages": [message]}, ModelState(messages=[message]), DataState([message])):
        assert shown(run(node, given)["messages"]) == [("3", "success", "1")]
    assert shown(run(node, [HumanMessage("x"), message, HumanMessage("later")])) == [("3", "success", "1")]
    assert shown(run(node, [call("add", a=2, b=2)])["messages"]) == [("4", "success", "1")]
    sent = {"__type": "tool_call_with_context", "tool_call": call("add", a=3, b=2), "state": {}}
    assert shown(run(node, sent)["messages"]) == [("5", "success", "1")]
    assert shown(run(ToolNode([add], messages_key="log"), {"log": [message]})["log"]) == [
        ("3", "success", "1")
    ]
    for nothing, words in (({}, "No message found"), ([HumanMessage("x")], "No AIMessage found")):
        with pytest.raises(ValueError, match=words):
            run(node, nothing)


def test_calls_run_beside_each_other_and_answer_in_order(run):
    meet = threading.Barrier(2, timeout=30)

    @tool
    def wait(x: int) -> str:
        """Wait for the other."""
        meet.wait()
        return str(x)

    result = run(ToolNode([wait]), asks(call("wait", "a", x=1), call("wait", "b", x=2)))
    assert shown(result["messages"]) == [("1", "success", "a"), ("2", "success", "b")]


def test_a_node_of_a_compiled_graph_runs_by_itself(run):
    builder = StateGraph(MessagesState).add_node("tools", ToolNode([add]), metadata={"k": "v"})
    node = builder.add_edge(START, "tools").compile().nodes["tools"]
    assert shown(run(node, asks(call("add", a=1, b=2)))["messages"]) == [("3", "success", "1")]
    seen = run(node.copy({"bound": RunnableLambda(lambda value, config: config["metadata"]["k"])}), 1)
    assert seen == "v"


def test_contents():
    assert msg_content_output("x") == "x"
    blocks = [{"type": "text", "text": "x"}]
    assert msg_content_output(blocks) is blocks
    assert msg_content_output({"ä": 1}) == '{"ä": 1}'
    assert msg_content_output({1, 2} - {2}) == "{1}"


def test_needs_a_runtime():
    with pytest.raises(ValueError, match="Missing required config key 'N/A' for 'tools'"):
        ToolNode([add]).invoke(asks(call("add", a=1, b=1)))


def test_the_condition_leads_to_tools_or_to_the_end():
    message = AIMessage("", tool_calls=[call("add")])
    assert tools_condition([message]) == "tools"
    assert tools_condition({"messages": [message, HumanMessage("x")]}) == "__end__"
    assert tools_condition(ModelState(messages=[message])) == "tools"
    assert tools_condition({"log": [message]}, messages_key="log") == "tools"
    with pytest.raises(ValueError, match="No messages found in input state to tool_edge"):
        tools_condition({})


# -- what tools get from the graph ------------------------------------------------------------------


class Secret(InjectedToolArg):
    """Somebody else's injected argument."""


@tool
def look(
    q: str,
    whole: Annotated[Any, InjectedState],
    user: Annotated[str, InjectedState("user")],
    store: Annotated[Any, InjectedStore()],
    call_id: Annotated[str, InjectedToolCallId],
    runtime: ToolRuntime,
    lang: Annotated[str, InjectedState("lang")] = "en",
) -> str:
    """Look."""
    assert whole is runtime.state
    assert store is runtime.store
    names = [t.name for t in runtime.tools]
    return f"{q} {user} {lang} {call_id} {runtime.tool_call_id} {runtime.context} {names}"


def test_tools_get_state_store_runtime_and_the_calls_id(run):
    node, given = ToolNode([look]), {**asks(call("look", q="?")), "user": "ada"}
    result = run(node, given, context="ctx", store=object())
    assert result["messages"][0].content == "? ada en 1 1 ctx ['look']"
    result = run(node, {**given, "lang": "de"}, context="ctx", store=object())
    assert result["messages"][0].content.startswith("? ada de")
    with pytest.raises(ValueError, match="please compile your graph with a store"):
        run(node, given)
    with pytest.raises(KeyError, match="user"):
        run(node, asks(call("look", q="?")), store=object())


def test_a_list_of_messages_has_no_other_keys(run):
    @tool
    def act(
        user: Annotated[str, InjectedState("user")], log: Annotated[Any, InjectedState("messages")]
    ) -> str:
        """Act."""
        return user

    with pytest.raises(
        ValueError, match=r"requires graph state dict as input\. State should contain fields user"
    ):
        run(ToolNode([act]), asks(call("act"))["messages"])

    @tool
    def count(log: Annotated[Any, InjectedState("messages")]) -> str:
        """Count."""
        return str(len(log))

    assert run(ToolNode([count]), asks(call("count"))["messages"])[0].content == "1"


def test_what_the_model_forges_is_thrown_away(run):
    @tool
    def act(
        x: int, user: Annotated[str, InjectedState("user")], token: Annotated[str, Secret()] = "none"
    ) -> str:
        """Act."""
        return f"{x} {user} {token}"

    given = {**asks(call("act", x=1, user="root", token="forged")), "user": "ada"}
    assert run(ToolNode([act]), given)["messages"][0].content == "1 ada none"


def test_errors_name_only_what_the_model_wrote(run):
    @tool
    def act(x: int, user: Annotated[int, InjectedState("user")]) -> str:
        """Act."""
        return ""

    caught = []

    def handle(error: ToolInvocationError) -> str:
        caught.append(error)
        return "told"

    given = {**asks(call("act", x="one")), "user": "no number"}
    assert run(ToolNode([act], handle_tool_errors=handle), given)["messages"][0].content == "told"
    (part,) = caught[0].filtered_errors
    assert part["loc"] == ("x",)
    assert "user" not in caught[0].message
    assert run(ToolNode([act]), given)["messages"][0].status == "error"


def test_one_annotation_each():
    def act(x: Annotated[str, InjectedState("a"), InjectedState("b")]) -> str:
        """Act."""
        return x

    with pytest.raises(ValueError, match="more than once"):
        ToolNode([act])


def test_bare_tool_calls_see_the_graphs_state(world):
    @tool
    def count(runtime: ToolRuntime, messages: Annotated[list[Any], InjectedState("messages")]) -> str:
        """Count."""
        return f"{len(messages)} {runtime.state['user']}"

    class State(MessagesState):
        user: str

    def model(state):
        return {"messages": [AIMessage("", tool_calls=[call("count", "a"), call("count", "b")])]}

    builder = world.graph([("model", model), ("tools", ToolNode([count]))], [(START, "model")], schema=State)
    builder.add_conditional_edges(
        "model", lambda state: [Send("tools", [made]) for made in state["messages"][-1].tool_calls]
    )
    result = world.run(world.compile(builder), {"messages": [HumanMessage("x")], "user": "ada"})
    assert [m.content for m in result["messages"][2:]] == ["2 ada", "2 ada"]


def test_tools_stream_and_ask_from_their_threads(recorded):
    @tool
    def ask(question: str, runtime: ToolRuntime) -> str:
        """Ask."""
        runtime.stream_writer(f"asking {question}")
        return f"answer: {interrupt(question)}"

    def model(state):
        return asks(call("ask", question="why?"))

    builder = recorded.graph([("model", model), ("tools", ToolNode([ask]))], schema=MessagesState)
    graph = recorded.compile(builder)
    parts = recorded.parts(graph, {"messages": []}, stream_mode=["custom", "updates"])
    assert ("custom", "asking why?") in parts
    assert parts[-1][1]["__interrupt__"][0].value == "why?"
    result = recorded.run(graph, Command(resume="because"))
    assert result["messages"][-1].content == "answer: because"


def test_parts_of_the_output_go_to_whoever_listens(run):
    @tool
    def slow(runtime: ToolRuntime) -> str:
        """Slow."""
        runtime.emit_output_delta("half")
        return "whole"

    heard = []
    run(ToolNode([slow]), asks(call("slow")))
    token = TOOL_CALL_WRITER.set(heard.append)
    try:
        run(ToolNode([slow]), asks(call("slow")))
    finally:
        TOOL_CALL_WRITER.reset(token)
    assert heard == ["half"]


# -- commands ---------------------------------------------------------------------------------------


def returns(value):
    @tool
    def give(call_id: Annotated[str, InjectedToolCallId]) -> Any:
        """Give."""
        return value(call_id) if callable(value) else value

    return ToolNode([give])


def test_commands_and_messages_are_one_list(run):
    @tool
    def go(call_id: Annotated[str, InjectedToolCallId]) -> Command:
        """Go."""
        return Command(goto="x", update={"messages": [ToolMessage("went", tool_call_id=call_id)], "n": 1})

    result = run(ToolNode([go, add]), asks(call("go"), call("add", "2", a=1, b=1)))
    command, messages = result
    assert (command.goto, command.update["n"], command.update["messages"][0].name) == ("x", 1, "go")
    assert shown(messages["messages"]) == [("2", "success", "2")]


def test_packets_for_the_parent_are_one_command(run):
    @tool
    def up(n: int, call_id: Annotated[str, InjectedToolCallId]) -> Command:
        """Up."""
        return Command(graph=Command.PARENT, goto=[Send("x", n)])

    result = run(ToolNode([up]), asks(call("up", "1", n=1), call("up", "2", n=2)))
    assert result == [Command(graph=Command.PARENT, goto=[Send("x", 1), Send("x", 2)])]


def test_a_tool_may_return_several_of_both(run):
    node = returns(lambda i: [Command(update={"n": 1}), ToolMessage("done", tool_call_id=i)])
    command, messages = run(node, asks(call("give")))
    assert command == Command(update={"n": 1})
    assert shown(messages["messages"]) == [("done", "success", "1")]


@pytest.mark.parametrize(
    ("value", "form", "error", "words"),
    [
        (Command(update={"n": 1}), "dict", ValueError, "Expected to have a matching ToolMessage"),
        (Command(update=[HumanMessage("x")]), "dict", ValueError, "Tools can provide a list of messages"),
        (
            Command(update={"messages": []}),
            "list",
            ValueError,
            "Tools can provide a dict in Command.update only",
        ),
        (
            lambda i: [Command(update={"n": 1})],
            "dict",
            ValueError,
            "with 0 messages bound to tool_call_id '1'",
        ),
        (
            lambda i: [ToolMessage("a", tool_call_id=i), ToolMessage("b", tool_call_id=i)],
            "dict",
            ValueError,
            "with 2 messages bound",
        ),
    ],
)
def test_commands_that_do_not_fit_are_refused(run, value, form, error, words):
    given = asks(call("give"))
    node = returns(value)
    with pytest.raises(error, match=words):
        run(node, given if form == "dict" else given["messages"])


def test_commands_steer_the_graph(world):
    class State(MessagesState):
        n: int

    @tool
    def go(call_id: Annotated[str, InjectedToolCallId]) -> Command:
        """Go."""
        return Command(goto="end", update={"messages": [ToolMessage("went", tool_call_id=call_id)], "n": 5})

    nodes = [
        ("model", lambda state: asks(call("go"), call("add", "2", a=1, b=1))),
        ("tools", ToolNode([go, add])),
        ("end", lambda state: {"n": state["n"] + 1}),
    ]
    builder = world.graph(nodes, [(START, "model"), ("model", "tools")], schema=State)
    result = world.run(world.compile(builder), {"messages": [], "n": 0})
    assert result["n"] == 6
    assert [m.content for m in result["messages"][1:]] == ["went", "2"]
