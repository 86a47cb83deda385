"""ToolNode: the node that runs the tool calls of the last message; and ``tools_condition``, the way to it.

One text serves sync and async: only how a tool and an interceptor are called differs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Literal, TypeAlias, cast

from langchain_core.messages import AIMessage, AnyMessage, ToolCall, ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import get_config_list, get_executor_for_config
from langchain_core.tools import BaseTool
from langchain_core.tools import tool as create_tool
from pydantic import BaseModel, ValidationError

from dashflow._util.drive import drive
from dashflow._util.reserved import CONF, CONFIG_KEY_READ
from dashflow._util.scope import CURRENT, STEP_BRANCH
from dashflow.errors import GraphBubbleUp, GraphInterrupt, is_invalid_resume
from dashflow.prebuilt.tool_call import (
    Answer,
    AsyncToolCallWrapper,
    ToolCallRequest,
    ToolCallWithContext,
    ToolCallWrapper,
)
from dashflow.prebuilt.tool_errors import (
    INVALID_TOOL_NAME_ERROR_TEMPLATE,
    TOOL_CALL_ERROR_TEMPLATE,
    TOOL_EXECUTION_ERROR_TEMPLATE,
    TOOL_INVOCATION_ERROR_TEMPLATE,
    ErrorHandling,
    ToolInvocationError,
    default_handling,
    handled_types,
    is_handled,
    models_errors,
    told,
)
from dashflow.prebuilt.tool_injection import (
    ContextT,
    InjectedState,
    InjectedStore,
    Injections,
    StateT,
    ToolRuntime,
)
from dashflow.prebuilt.tool_output import InputForm, Responses, msg_content_output
from dashflow.pregel.callable import RunnableCallable
from dashflow.runtime import Runtime

__all__ = (
    "INVALID_TOOL_NAME_ERROR_TEMPLATE",
    "TOOL_CALL_ERROR_TEMPLATE",
    "TOOL_EXECUTION_ERROR_TEMPLATE",
    "TOOL_INVOCATION_ERROR_TEMPLATE",
    "AsyncToolCallWrapper",
    "ContextT",
    "InjectedState",
    "InjectedStore",
    "StateT",
    "ToolCallRequest",
    "ToolCallWithContext",
    "ToolCallWrapper",
    "ToolInvocationError",
    "ToolNode",
    "ToolRuntime",
    "msg_content_output",
    "tools_condition",
)

_infer_handled_types = handled_types
_READ_STATE = "__pregel_read_state"
"""Key of a config under which a function gives the state as a node would read it."""

Given: TypeAlias = list[AnyMessage] | dict[str, Any] | BaseModel
_Call: TypeAlias = Callable[[BaseTool, Any, RunnableConfig], Awaitable[Any]]
_Wrap: TypeAlias = Callable[[ToolCallRequest, RunnableConfig, InputForm], Awaitable[Any]]


async def _call(tool: BaseTool, call: Any, config: RunnableConfig) -> Any:
    return tool.invoke(call, config)


async def _acall(tool: BaseTool, call: Any, config: RunnableConfig) -> Any:
    return await tool.ainvoke(call, config)


class ToolNode(RunnableCallable):
    """Runs tools beside each other, in the order of their calls, and returns their messages.

    Called with a state (dict, dataclass or model with messages), a list of messages, or a list of tool
    calls. Returns what the state takes: ``{"messages": [...]}``, or a list of messages for a list; when a
    tool returns a ``Command``, a list of commands and such updates.

    Args:
        tools: Tools, or functions that become tools.
        name: Name of the node.
        tags: Tags of its trace.
        handle_tool_errors: See ``ErrorHandling``; by default the model is told about arguments that do not
            fit, and everything else is raised.
        messages_key: The state's key of messages.
        wrap_tool_call: Interceptor; runs each call, none, or several.
        awrap_tool_call: The same for async runs; without it the other one serves.
    """

    name: str | None = "tools"

    def __init__(
        self,
        tools: Sequence[BaseTool | Callable[..., Any]],
        *,
        name: str = "tools",
        tags: list[str] | None = None,
        handle_tool_errors: ErrorHandling = default_handling,
        messages_key: str = "messages",
        wrap_tool_call: ToolCallWrapper | None = None,
        awrap_tool_call: AsyncToolCallWrapper | None = None,
    ) -> None:
        super().__init__(self._func, self._afunc, name=name, tags=tags, trace=False)
        self._handle_tool_errors = handle_tool_errors
        self._messages_key = messages_key
        self._wrap_tool_call = wrap_tool_call
        self._awrap_tool_call = awrap_tool_call
        self._responses = Responses(messages_key)
        made = [t if isinstance(t, BaseTool) else create_tool(cast("Any", t)) for t in tools]
        self._tools_by_name: dict[str, BaseTool] = {tool.name: tool for tool in made}
        self._injections = {name: Injections(tool) for name, tool in self._tools_by_name.items()}

    @property
    def tools_by_name(self) -> dict[str, BaseTool]:
        """The tools."""
        return self._tools_by_name

    def _func(self, input: Given, config: RunnableConfig, runtime: Runtime[Any]) -> Any:  # noqa: A002
        requests, configs, form = self._requests(input, config, runtime)

        def answer(request: ToolCallRequest, own: RunnableConfig) -> Any:
            return drive(self._answer(request, own, form, _call, self._wrap))

        with get_executor_for_config(config) as executor:
            answers = list(executor.map(answer, requests, configs))
        return self._responses.joined(_without_questions(answers), form)

    async def _afunc(self, input: Given, config: RunnableConfig, runtime: Runtime[Any]) -> Any:  # noqa: A002
        requests, configs, form = self._requests(input, config, runtime)
        calls = zip(requests, configs, strict=True)
        answers = await asyncio.gather(*(self._answer(*call, form, _acall, self._awrap) for call in calls))
        return self._responses.joined(_without_questions(answers), form)

    # -- what is asked ------------------------------------------------------------------------

    def _requests(
        self, given: Given, config: RunnableConfig, runtime: Runtime[Any]
    ) -> tuple[list[ToolCallRequest], list[RunnableConfig], InputForm]:
        """One request per tool call, and the config that each runs under."""
        calls, form = self._tool_calls(given)
        configs = get_config_list(config, len(calls))
        state = _state(given, config)
        requests = []
        for call, own in zip(calls, configs, strict=True):
            lent = ToolRuntime(
                state=state,
                tool_call_id=call["id"],
                config=own,
                context=runtime.context,
                store=runtime.store,
                stream_writer=runtime.stream_writer,
                tools=list(self._tools_by_name.values()),
                execution_info=getattr(runtime, "execution_info", None),
                server_info=getattr(runtime, "server_info", None),
            )
            requests.append(ToolCallRequest(call, self._tools_by_name.get(call["name"]), state, lent))
        return requests, configs, form

    def _tool_calls(self, given: Any) -> tuple[list[ToolCall], InputForm]:
        """The tool calls in what the node was called with.

        Raises:
            ValueError: It has no messages, or none of a model.
        """
        form: InputForm = "dict"
        messages: Any
        if isinstance(given, list):
            if _is_tool_call(given):
                return given, "tool_calls"
            messages, form = given, "list"
        elif _has_context(given):
            return [given["tool_call"]], "tool_calls"
        else:
            messages = given.get(self._messages_key) if isinstance(given, dict) else None
            messages = messages or getattr(given, self._messages_key, None)
        if not messages:
            raise ValueError("No message found in input")
        for message in reversed(messages):
            if isinstance(message, AIMessage):
                return list(message.tool_calls), form
        raise ValueError("No AIMessage found in input")

    # -- one call -----------------------------------------------------------------------------

    async def _answer(
        self, request: ToolCallRequest, config: RunnableConfig, form: InputForm, call: _Call, wrap: _Wrap
    ) -> Answer | list[Answer] | GraphInterrupt:
        """What a request comes to, through the interceptor if there is one; what it asks, when it does."""
        STEP_BRANCH.set((CURRENT.get(), request.tool_call["id"] or ""))  # every call has a context of its own
        try:
            return await self._answered(request, config, form, call, wrap)
        except GraphInterrupt as asked:  # the others come to their end
            return asked

    async def _answered(
        self, request: ToolCallRequest, config: RunnableConfig, form: InputForm, call: _Call, wrap: _Wrap
    ) -> Answer | list[Answer]:
        if self._wrap_tool_call is None and (self._awrap_tool_call is None or call is _call):
            return await self._execute(request, config, form, call)
        try:
            answer: Answer | list[Answer] = await wrap(request, config, form)
        except GraphBubbleUp:
            raise
        except Exception as error:
            if not self._handle_tool_errors or is_invalid_resume(error):
                raise
            return _failed(request.tool_call, told(error, self._handle_tool_errors))
        return answer

    async def _wrap(self, request: ToolCallRequest, config: RunnableConfig, form: InputForm) -> Any:
        assert self._wrap_tool_call is not None
        return self._wrap_tool_call(
            request,
            lambda changed: cast("Answer", drive(self._execute(changed, config, form, _call))),
        )

    async def _awrap(self, request: ToolCallRequest, config: RunnableConfig, form: InputForm) -> Any:
        if self._awrap_tool_call is None:
            return await self._wrap(request, config, form)

        async def execute(changed: ToolCallRequest) -> Answer:
            return cast("Answer", await self._execute(changed, config, form, _acall))

        return await self._awrap_tool_call(request, execute)

    async def _execute(
        self, request: ToolCallRequest, config: RunnableConfig, form: InputForm, call_tool: _Call
    ) -> Answer | list[Answer]:
        """Call the tool.

        Raises:
            TypeError: The request has no tool, although the node has one of that name.
        """
        call, tool = request.tool_call, request.tool
        name = call["name"]
        if tool is None:
            if name in self._tools_by_name:
                raise TypeError(f"Tool {name} is not registered with ToolNode")
            known = ", ".join(self._tools_by_name)
            text = INVALID_TOOL_NAME_ERROR_TEMPLATE.format(requested_tool=name, available_tools=known)
            return _failed(call, text)
        # Registered, or brought along by an interceptor.
        injections = self._injections.get(name) or Injections(tool)
        filled = injections.fill(call, request.runtime, self._messages_key)
        try:
            try:
                response = await call_tool(tool, {**filled, "type": "tool_call"}, config)
            except ValidationError as error:
                if is_invalid_resume(error):
                    raise
                parts = models_errors(error, injections)
                raise ToolInvocationError(name, error, call["args"], parts) from error
            return self._responses.checked(response, call, form)
        except GraphBubbleUp:
            raise
        except Exception as error:
            # An answer to interrupt() that does not fit is a person's mistake: the model cannot correct it.
            if is_invalid_resume(error) or not is_handled(error, self._handle_tool_errors):
                raise
            return _failed(call, told(error, self._handle_tool_errors))


def _without_questions(
    answers: Sequence[Answer | list[Answer] | GraphInterrupt],
) -> list[Answer | list[Answer]]:
    """The answers of all tools.

    Raises:
        GraphInterrupt: Some of them asked, with all that they ask.
    """
    asked = [answer for answer in answers if isinstance(answer, GraphInterrupt)]
    if len(asked) == 1:
        raise asked[0]
    if asked:
        raise GraphInterrupt(tuple(one for stop in asked for one in stop.args[0]))
    return cast("list[Answer | list[Answer]]", list(answers))


def _failed(call: ToolCall, text: str) -> ToolMessage:
    return ToolMessage(content=text, name=call["name"], tool_call_id=call["id"], status="error")


def _is_tool_call(given: Any) -> bool:
    return bool(given) and isinstance(given[-1], dict) and given[-1].get("type") == "tool_call"


def _has_context(given: Any) -> bool:
    return isinstance(given, dict) and given.get("__type") == "tool_call_with_context"


def _state(given: Any, config: RunnableConfig) -> Any:
    """The state that tools see: what the node was called with; sent along with a tool call; or, for bare
    tool calls, what the graph's node would read now."""
    if _has_context(given):
        return given["state"]
    if not isinstance(given, list) or not _is_tool_call(given):
        return given
    configurable = config.get(CONF) or {}
    if (read := configurable.get(_READ_STATE)) is not None:
        return read()
    if (scope := CURRENT.get()) is not None:
        return scope.read_state()
    local = configurable.get(CONFIG_KEY_READ)
    if isinstance(local, partial):  # as LangGraph puts it there: over its channels, which come second
        return local(list(local.args[1]), True)
    return {}


def tools_condition(
    state: list[AnyMessage] | dict[str, Any] | BaseModel, messages_key: str = "messages"
) -> Literal["tools", "__end__"]:
    """The path function of an agent: ``tools`` when the last message calls tools, else the end.

    Raises:
        ValueError: The state has no messages.
    """
    if isinstance(state, list):
        messages: Any = state
    else:
        messages = state.get(messages_key) if isinstance(state, dict) else None
        messages = messages or getattr(state, messages_key, None)
        if not messages:
            raise ValueError(f"No messages found in input state to tool_edge: {state}")
    return "tools" if getattr(messages[-1], "tool_calls", None) else "__end__"
