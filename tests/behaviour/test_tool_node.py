"""ToolNode: calls in, messages and commands out; what tools get from the graph; errors; interceptors."""

import asyncio
import threading
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import InjectedToolArg, InjectedToolCallId, ToolException, tool
from pydantic import BaseModel, field_validator

from dashflow._util.scope import TOOL_CALL_WRITER
from dashflow.errors import GraphInterrupt
from dashflow.graph import START, MessagesState
from dashflow.prebuilt import InjectedState, InjectedStore, ToolNode, ToolRuntime, tools_condition
from dashflow.prebuilt.tool_node import ToolCallRequest, ToolInvocationError, msg_content_output
from dashflow.runtime import Runtime
from dashflow.types import Command, Send, interrupt

pytestmark = pytest.mark.feature("RUN-02")


def call(name, identifier="1", **args):
    return {"name": name, "args": args, "id": identifier, "type": "tool_call"}


def asks(*calls):
    return {"messages": [AIMessage("", tool_calls=list(calls))]}


def bare(**runtime):
    return {"configurable": {"__pregel_runtime": Runtime(**runtime)}}


@pytest.fixture(params=["sync", "async"])
def run(request):
    """Run a node by itself, in either world."""

    def go(node, given, **runtime):
        if request.param == "sync":
            return node.invoke(given, bare(**runtime))
        return asyncio.run(node.ainvoke(given, bare(**runtime)))

    go.asynchronous = request.param == "async"
    return go


def add(a: int, b: int) -> int:
    """Add."""
    return a + b


def fail(text: str) -> str:
    """Fail."""
    raise LookupError(text)


def shown(result):
    return [(m.content, m.status, m.tool_call_id) for m in result]


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


# -- errors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("handling", "told"),
    [
        (True, "Error: LookupError('x')\n Please fix your mistakes."),
        ("Try again.", "Try again."),
        (LookupError, "Error: LookupError('x')\n Please fix your mistakes."),
        ((ValueError, LookupError), "Error: LookupError('x')\n Please fix your mistakes."),
        (lambda error: f"<{error}>", "<x>"),
        (False, None),
        (ValueError, None),
        ((ValueError, TypeError), None),
    ],
)
def test_forms_of_handling(run, handling, told):
    node = ToolNode([fail], handle_tool_errors=handling)
    if told is None:
        with pytest.raises(LookupError, match="x"):
            run(node, asks(call("fail", text="x")))
    else:
        (message,) = run(node, asks(call("fail", text="x")))["messages"]
        assert (message.content, message.status, message.name) == (told, "error", "fail")


def by_annotation(error: ValueError | LookupError) -> str:
    return "mine"


def wrong_annotation(error: int) -> str:
    return ""


def wrong_union(error: int | ValueError) -> str:
    return ""


def test_a_handlers_annotation_says_what_it_handles(run):
    given = asks(call("fail", text="x"))
    assert run(ToolNode([fail], handle_tool_errors=by_annotation), given)["messages"][0].content == "mine"

    def other(error: TypeError) -> str:
        return ""

    with pytest.raises(LookupError):
        run(ToolNode([fail], handle_tool_errors=other), given)
    with pytest.raises(ValueError, match="Arbitrary types are not supported"):
        run(ToolNode([fail], handle_tool_errors=wrong_annotation), given)
    with pytest.raises(ValueError, match="All types in the error handler"):
        run(ToolNode([fail], handle_tool_errors=wrong_union), given)


def test_by_default_only_arguments_that_do_not_fit_are_told(run):
    node = ToolNode([add, fail])
    (message,) = run(node, asks(call("add", a="x", b=1)))["messages"]
    assert message.content.startswith(
        "Error invoking tool 'add' with kwargs {'a': 'x', 'b': 1} with error:\n a:"
    )
    with pytest.raises(LookupError):
        run(node, asks(call("fail", text="x")))
    (message,) = run(node, asks(call("nobody")))["messages"]
    assert message.content == "Error: nobody is not a valid tool, try one of [add, fail]."


def test_an_answer_that_does_not_fit_a_question_is_never_the_models_mistake(recorded):
    class Answer(BaseModel):
        n: int

        @field_validator("n")
        @classmethod
        def positive(cls, n: int) -> int:
            if n < 0:
                raise ValueError("negative")
            return n

    @tool
    def ask() -> str:
        """Ask."""
        return str(interrupt("n?", response_schema=Answer).n)

    node = ToolNode([ask], handle_tool_errors=True)
    builder = recorded.graph(
        [("model", lambda state: asks(call("ask"))), ("tools", node)], schema=MessagesState
    )
    graph = recorded.compile(builder)
    recorded.run(graph, {"messages": []})
    with pytest.raises(ValueError, match="negative"):
        recorded.run(graph, Command(resume={"n": -1}))
    assert recorded.run(graph, Command(resume={"n": 4}))["messages"][-1].content == "4"


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


# -- interceptors -----------------------------------------------------------------------------------


def wrapped(run, tools, wrapper, **options):
    """A node with an interceptor of the kind that fits the world."""
    if not run.asynchronous:
        return ToolNode(tools, wrap_tool_call=wrapper, **options)

    async def awrapper(request, execute):
        loop = asyncio.get_running_loop()

        def blocking(changed):
            return asyncio.run_coroutine_threadsafe(execute(changed), loop).result()

        return await asyncio.to_thread(wrapper, request, blocking)

    return ToolNode(tools, awrap_tool_call=awrapper, **options)


def test_an_interceptor_changes_repeats_and_replaces_calls(run):
    def twice(request, execute):
        execute(request)
        args = {**request.tool_call["args"], "b": 10}
        return execute(request.override(tool_call={**request.tool_call, "args": args}))

    given = asks(call("add", a=1, b=2))
    assert shown(run(wrapped(run, [add], twice), given)["messages"]) == [("11", "success", "1")]
    kept = ToolMessage("kept", tool_call_id="1")
    assert run(wrapped(run, [fail], lambda request, execute: kept), asks(call("fail", text="")))[
        "messages"
    ] == [kept]


def test_an_interceptor_may_bring_a_tool_that_the_node_does_not_have(run):
    def bring(request, execute):
        assert request.tool is None
        return execute(request.override(tool=look))

    given = {**asks(call("look", q="?")), "user": "ada"}
    result = run(wrapped(run, [add], bring), given, store=object())
    assert result["messages"][0].content.startswith("? ada en")


def test_another_state_reaches_the_tool_both_ways(run):
    def other(request, execute):
        return execute(request.override(state={"user": "eve"}))

    given = {**asks(call("look", q="?")), "user": "ada"}
    result = run(wrapped(run, [look], other), given, store=object())
    assert result["messages"][0].content.startswith("? eve en")


def test_errors_of_interceptors_are_handled_as_those_of_tools_and_questions_pass(run):
    def broken(request, execute):
        raise LookupError("broken")

    def asking(request, execute):
        raise GraphInterrupt(())

    given = asks(call("add", a=1, b=1))
    (message,) = run(wrapped(run, [add], broken, handle_tool_errors=True), given)["messages"]
    assert message.status == "error"
    with pytest.raises(LookupError):
        run(wrapped(run, [add], broken, handle_tool_errors=False), given)
    with pytest.raises(GraphInterrupt):
        run(wrapped(run, [add], asking, handle_tool_errors=True), given)


def test_a_sync_interceptor_serves_async_runs():
    node = ToolNode([add], wrap_tool_call=lambda request, execute: execute(request))
    result = asyncio.run(node.ainvoke(asks(call("add", a=1, b=1)), bare()))
    assert shown(result["messages"]) == [("2", "success", "1")]
    only_async = ToolNode([add], awrap_tool_call=None)
    assert shown(only_async.invoke(asks(call("add", a=1, b=1)), bare())["messages"]) == [
        ("2", "success", "1")
    ]


def test_requests_are_copied_not_changed():
    request = ToolCallRequest(call("add"), None, {}, None)
    changed = request.override(state={"a": 1})
    assert (request.state, changed.state) == ({}, {"a": 1})
    with pytest.warns(DeprecationWarning, match="Setting attribute 'state' on ToolCallRequest is deprecated"):
        request.state = {"b": 1}
    assert request.state == {"b": 1}


def test_a_request_without_its_tool_is_refused(run):
    def lose(request, execute):
        return execute(request.override(tool=None))

    with pytest.raises(TypeError, match="Tool add is not registered with ToolNode"):
        run(wrapped(run, [add], lose, handle_tool_errors=False), asks(call("add", a=1, b=1)))


def test_tools_own_errors_are_theirs(run):
    @tool
    def own(x: int) -> str:
        """Own."""
        raise ToolException("mine")

    own.handle_tool_error = "handled by the tool"
    (message,) = run(ToolNode([own]), asks(call("own", x=1)))["messages"]
    assert (message.content, message.status) == ("handled by the tool", "error")
