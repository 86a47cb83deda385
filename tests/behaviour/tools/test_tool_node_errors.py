"""ToolNode: errors of tools, and interceptors around them."""

import asyncio
from typing import Annotated

import pytest
from langchain_core.messages import ToolMessage
from langchain_core.tools import ToolException, tool
from pydantic import AfterValidator, BaseModel, field_validator

from dashflow.errors import GraphInterrupt
from dashflow.graph import MessagesState
from dashflow.prebuilt import InjectedState, ToolNode, ToolRuntime
from dashflow.prebuilt.tool_node import ToolCallRequest
from dashflow.types import Command, interrupt
from tests.behaviour.tools.tool_calls import add, asks, call, fail, shown

pytestmark = pytest.mark.feature("RUN-02")


@tool
def look(q: str, user: Annotated[str, InjectedState("user")], runtime: ToolRuntime) -> str:
    """Look."""
    return f"{q} {user} {runtime.state['user']}"


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
    assert result["messages"][0].content.startswith("? ada ada")


def test_errors_of_a_brought_tool_name_only_what_the_model_wrote(run):
    def refused(value):
        raise ValueError(f"cannot be {value}")

    @tool
    def act(x: int, user: Annotated[str, InjectedState("user"), AfterValidator(refused)]) -> str:
        """Act."""
        return ""

    def bring(request, execute):
        return execute(request.override(tool=act))

    given = {**asks(call("act", x="one")), "user": "a secret"}
    (message,) = run(wrapped(run, [add], bring), given)["messages"]
    assert message.status == "error"
    assert "x: Input should be a valid integer" in message.content
    assert "user" not in message.content
    assert "secret" not in message.content


def test_another_state_reaches_the_tool_both_ways(run):
    def other(request, execute):
        return execute(request.override(state={"user": "eve"}))

    given = {**asks(call("look", q="?")), "user": "ada"}
    result = run(wrapped(run, [look], other), given, store=object())
    assert result["messages"][0].content.startswith("? eve eve")


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


def test_a_sync_interceptor_serves_async_runs(run):
    node = ToolNode([add], wrap_tool_call=lambda request, execute: execute(request))
    result = asyncio.run(node.ainvoke(asks(call("add", a=1, b=1)), run.config()))
    assert shown(result["messages"]) == [("2", "success", "1")]
    only_async = ToolNode([add], awrap_tool_call=None)
    assert shown(only_async.invoke(asks(call("add", a=1, b=1)), run.config())["messages"]) == [
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
