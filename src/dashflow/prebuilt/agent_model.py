"""The model of a ready-made agent: its prompt, its tools, and which model it is at each call.

Calls no tool and knows no graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import iscoroutinefunction
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, SystemMessage, ToolMessage
from langchain_core.runnables import Runnable, RunnableBinding, RunnableSequence
from langchain_core.tools import BaseTool

from dashflow.errors import ErrorCode, create_error_message
from dashflow.pregel.callable import RunnableCallable

PROMPT_RUNNABLE_NAME = "Prompt"


def value_of(state: Any, key: str, default: Any = None) -> Any:
    """One key of a state, whether a dict or an object."""
    return state.get(key, default) if isinstance(state, dict) else getattr(state, key, default)


class AgentModel:
    """The model as the agent calls it, prompt included.

    Args:
        model: A chat model, perhaps with tools bound; ``"provider:name"``; or a function of state and
            runtime, sync or async, that gives one per call.
        tools: Tools to bind, unless they are bound already.
        builtin: Tools of the provider, as dicts.
        prompt: What goes before the messages; see ``prompt_runnable``.

    Raises:
        ImportError: ``model`` is a text and ``langchain`` is not installed.
        ValueError: Other tools are bound already.
    """

    def __init__(
        self, model: Any, tools: Sequence[BaseTool], builtin: Sequence[dict[str, Any]], prompt: Any
    ) -> None:
        self._prompt = prompt
        self._choose: Callable[..., Any] | None = None
        self._fixed: Runnable[Any, Any] | None = None
        if not isinstance(model, str | Runnable) and callable(model):
            self._choose = model
        else:
            if isinstance(model, str):
                model = _by_name(model)
            if should_bind_tools(model, tools, num_builtin=len(builtin)) and (tools or builtin):
                model = model.bind_tools([*tools, *builtin])
            self._fixed = prompt_runnable(prompt) | model
        self._awaits = iscoroutinefunction(self._choose)

    async def at(self, state: Any, runtime: Any, *, asynchronous: bool) -> Runnable[Any, Any]:
        """The prompt and the model for this call.

        Raises:
            RuntimeError: The function that chooses is async, and the run is not.
        """
        if self._fixed is not None:
            return self._fixed
        assert self._choose is not None
        if self._awaits and not asynchronous:
            raise RuntimeError(
                "Async model callable provided but agent invoked synchronously. "
                "Use agent.ainvoke() or agent.astream(), or provide a sync model callable."
            )
        chosen = self._choose(state, runtime)
        model: Runnable[Any, Any] = await chosen if self._awaits else chosen
        return prompt_runnable(self._prompt) | model


def _by_name(name: str) -> Any:
    try:
        from langchain.chat_models import init_chat_model  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        raise ImportError(
            "Please install langchain (`pip install langchain`) to use '<provider>:<model>' string syntax "
            "for `model` parameter."
        ) from None
    return init_chat_model(name)


def prompt_runnable(prompt: Any) -> Runnable[Any, Any]:
    """What makes the model's input of a state: its messages, after a system message if ``prompt`` is a text
    or message; or whatever ``prompt`` makes of the state, if it is a function or ``Runnable``.

    Raises:
        ValueError: It is none of these.
    """
    if prompt is None:
        return RunnableCallable(lambda state: value_of(state, "messages"), name=PROMPT_RUNNABLE_NAME)
    if isinstance(prompt, str | SystemMessage):
        first = SystemMessage(content=prompt) if isinstance(prompt, str) else prompt
        return RunnableCallable(
            lambda state: [first, *value_of(state, "messages")], name=PROMPT_RUNNABLE_NAME
        )
    if iscoroutinefunction(prompt):
        return RunnableCallable(None, prompt, name=PROMPT_RUNNABLE_NAME)
    if isinstance(prompt, Runnable):
        return prompt
    if callable(prompt):
        return RunnableCallable(prompt, name=PROMPT_RUNNABLE_NAME)
    raise ValueError(f"Got unexpected type for `prompt`: {type(prompt)}")


def _in_sequence(model: Any) -> Any:
    """The model in a sequence of Runnables; ``model`` itself when it is none."""
    if isinstance(model, RunnableSequence):
        for step in model.steps:
            if isinstance(step, RunnableBinding | BaseChatModel):
                return step
    return model


def chat_model_of(model: Any) -> BaseChatModel:
    """The chat model inside of ``model``, without what is bound to it.

    Raises:
        TypeError: There is none.
    """
    model = _in_sequence(model)
    if isinstance(model, RunnableBinding):
        model = model.bound
    if not isinstance(model, BaseChatModel):
        raise TypeError(
            "Expected `model` to be a ChatModel or RunnableBinding (e.g. model.bind_tools(...)), "
            f"got {type(model)}"
        )
    return model


def should_bind_tools(model: Any, tools: Sequence[BaseTool], num_builtin: int = 0) -> bool:
    """Whether the model has no tools yet.

    Raises:
        ValueError: It has others than ``tools``.
    """
    model = _in_sequence(model)
    if not isinstance(model, RunnableBinding) or "tools" not in model.kwargs:
        return True
    bound = model.kwargs["tools"]
    if len(tools) != len(bound) - num_builtin:
        raise ValueError(
            "Number of tools in the model.bind_tools() and tools passed to create_react_agent must match"
            f" Got {len(tools)} tools, expected {len(bound) - num_builtin}"
        )
    names = {t["function"]["name"] if t.get("type") == "function" else t.get("name") for t in bound}
    if missing := {tool.name for tool in tools} - names:
        raise ValueError(f"Missing tools '{missing}' in the model.bind_tools()")
    return False


def validate_chat_history(messages: Sequence[BaseMessage]) -> None:
    """Check that every tool call has its answer.

    Raises:
        ValueError: Names some that have none.
    """
    answered = {message.tool_call_id for message in messages if isinstance(message, ToolMessage)}
    open_calls = [
        call
        for message in messages
        if isinstance(message, AIMessage)
        for call in message.tool_calls
        if call["id"] not in answered
    ]
    if open_calls:
        raise ValueError(
            create_error_message(
                message="Found AIMessages with tool_calls that do not have a corresponding ToolMessage. "
                f"Here are the first few of those tool calls: {open_calls[:3]}.\n\n"
                "Every tool call (LLM requesting to call a tool) in the message history MUST have a "
                "corresponding ToolMessage (result of a tool invocation to return to the LLM) - "
                "this is required by most LLM providers.",
                error_code=ErrorCode.INVALID_CHAT_HISTORY,
            )
        )
