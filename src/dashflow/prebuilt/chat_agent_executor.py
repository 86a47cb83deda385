"""create_react_agent: a ready-made agent, under LangGraph's names. Deprecated there, complete here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, NotRequired, TypeAlias, TypeVar, get_type_hints
from warnings import catch_warnings, simplefilter, warn

from langchain_core.messages import BaseMessage, SystemMessage
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from pydantic import BaseModel
from typing_extensions import TypedDict, deprecated

from dashflow._util.sentinel import MISSING
from dashflow.graph.compiled import CompiledStateGraph
from dashflow.graph.message import add_messages
from dashflow.managed import RemainingSteps
from dashflow.prebuilt.agent_model import (
    AgentModel,
    chat_model_of,
    prompt_runnable,
    should_bind_tools,
    validate_chat_history,
)
from dashflow.prebuilt.react_agent import ReactAgent
from dashflow.prebuilt.tool_node import ToolNode
from dashflow.types.checkpointer import Checkpointer
from dashflow.warnings import LangGraphDeprecatedSinceV10

__all__ = (
    "AgentState",
    "AgentStatePydantic",
    "AgentStateWithStructuredResponse",
    "AgentStateWithStructuredResponsePydantic",
    "create_react_agent",
    "create_tool_calling_executor",
)

StructuredResponse: TypeAlias = dict[str, Any] | BaseModel
StructuredResponseSchema: TypeAlias = dict[str, Any] | type[BaseModel]


@deprecated(
    "AgentState has been moved to `langchain.agents`. "
    "Please update your import to `from langchain.agents import AgentState`.",
    category=LangGraphDeprecatedSinceV10,
)
class AgentState(TypedDict):
    """An agent's state: its messages, and how many steps are left."""

    messages: Annotated[Sequence[BaseMessage], add_messages]
    remaining_steps: NotRequired[RemainingSteps]


@deprecated(
    "AgentStatePydantic has been deprecated in favor of AgentState in `langchain.agents`.",
    category=LangGraphDeprecatedSinceV10,
)
class AgentStatePydantic(BaseModel):
    """The same as a model."""

    messages: Annotated[Sequence[BaseMessage], add_messages]
    remaining_steps: RemainingSteps = 25


with catch_warnings():  # one deprecated class is made of another
    simplefilter("ignore", LangGraphDeprecatedSinceV10)

    @deprecated(
        "AgentStateWithStructuredResponse has been deprecated in favor of AgentState in `langchain.agents`.",
        category=LangGraphDeprecatedSinceV10,
    )
    class AgentStateWithStructuredResponse(AgentState):
        """With a structured response at the end."""

        structured_response: StructuredResponse

    @deprecated(
        "AgentStateWithStructuredResponsePydantic has been deprecated in favor of AgentState in "
        "`langchain.agents`.",
        category=LangGraphDeprecatedSinceV10,
    )
    class AgentStateWithStructuredResponsePydantic(AgentStatePydantic):
        """The same as a model."""

        structured_response: StructuredResponse


StateSchema = TypeVar("StateSchema")
StateSchemaType: TypeAlias = type[StateSchema]
Prompt: TypeAlias = SystemMessage | str | Callable[..., Any] | Runnable[Any, Any]

_get_model = chat_model_of
_get_prompt_runnable = prompt_runnable
_should_bind_tools = should_bind_tools
_validate_chat_history = validate_chat_history


@deprecated(
    "create_react_agent has been moved to `langchain.agents`. "
    "Please update your import to `from langchain.agents import create_agent`.",
    category=LangGraphDeprecatedSinceV10,
)
def create_react_agent(
    model: str | Runnable[Any, Any] | Callable[..., Any],
    tools: Sequence[BaseTool | Callable[..., Any] | dict[str, Any]] | ToolNode,
    *,
    prompt: Prompt | None = None,
    response_format: StructuredResponseSchema | tuple[str, StructuredResponseSchema] | None = None,
    pre_model_hook: Any = None,
    post_model_hook: Any = None,
    state_schema: Any = None,
    context_schema: type[Any] | None = None,
    checkpointer: Checkpointer = None,
    store: Any = None,
    interrupt_before: list[str] | None = None,
    interrupt_after: list[str] | None = None,
    debug: bool = False,
    version: Literal["v1", "v2"] = "v2",
    name: str | None = None,
    **deprecated_kwargs: Any,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    """An agent: calls the model, runs the tools it asks for, and again, until it asks for none.

    Args:
        model: A chat model, perhaps with tools bound; ``"provider:name"``; or a function of state and
            runtime, sync or async, that gives one per call.
        tools: Tools, functions, the provider's own tools as dicts; or a ``ToolNode``.
        prompt: A text or system message before the messages; or what makes the model's input of the state.
        response_format: Schema of a closing structured response, or a pair of prompt and schema.
        pre_model_hook: Node before every call of the model; may return ``llm_input_messages``.
        post_model_hook: Node after every call of the model.
        state_schema: State with at least ``messages`` and ``remaining_steps``.
        context_schema: Type of the run's context.
        checkpointer: Keeps threads.
        store: Lent to tools and prompts.
        interrupt_before: Static breakpoints before these nodes.
        interrupt_after: The same after them.
        debug: Print the parts of every run.
        version: ``v1`` runs all calls of a message in one task, ``v2`` each in its own.
        name: The agent's name, as its messages bear it.
        deprecated_kwargs: ``config_schema``, now ``context_schema``.

    Raises:
        TypeError: An unknown keyword argument.
        ValueError: Unknown version, a state schema without a needed key, or other tools bound to the model.
        ImportError: ``model`` is a text and ``langchain`` is not installed.
    """
    if (given := deprecated_kwargs.pop("config_schema", MISSING)) is not MISSING:
        warn(
            "`config_schema` is deprecated and will be removed. Please use `context_schema` instead.",
            LangGraphDeprecatedSinceV10,
            stacklevel=3,
        )
        context_schema = context_schema or given
    if deprecated_kwargs:
        raise TypeError(f"create_react_agent() got unexpected keyword arguments: {deprecated_kwargs}")
    if version not in ("v1", "v2"):
        raise ValueError(f"Invalid version {version}. Supported versions are 'v1' and 'v2'.")
    schema = _state_schema(state_schema, response_format is not None)
    builtin: list[dict[str, Any]] = []
    if isinstance(tools, ToolNode):
        node = tools
    else:
        builtin = [tool for tool in tools if isinstance(tool, dict)]
        node = ToolNode([tool for tool in tools if not isinstance(tool, dict)])
    agent = ReactAgent(
        AgentModel(model, list(node.tools_by_name.values()), builtin, prompt),
        node,
        state_schema=schema,
        name=name,
        response_format=response_format,
        pre_model_hook=pre_model_hook,
        post_model_hook=post_model_hook,
        version=version,
    )
    return agent.graph(context_schema).compile(
        checkpointer,
        store=store,
        interrupt_before=interrupt_before,
        interrupt_after=interrupt_after,
        debug=debug,
        name=name,
        keep_messages_usable=True,
    )


def _state_schema(given: Any, structured: bool) -> Any:
    """The agent's state schema.

    Raises:
        ValueError: The given one lacks a key.
    """
    if given is None:
        return AgentStateWithStructuredResponse if structured else AgentState
    needed = {"messages", "remaining_steps"} | ({"structured_response"} if structured else set())
    if missing := needed - set(get_type_hints(given)):
        raise ValueError(f"Missing required key(s) {missing} in state_schema")
    return given


create_tool_calling_executor = create_react_agent
