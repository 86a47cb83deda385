"""What a tool's arguments get from the graph instead of from the model: state, store, runtime.

Found once per tool, by annotation; filled in just before the tool is called. Whatever the model wrote at
those places is thrown away.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import UnionType
from typing import Annotated, Any, Generic, Union, get_args, get_origin, get_type_hints

from langchain_core.messages import ToolCall
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, InjectedToolArg
from langchain_core.tools.base import (
    _DirectlyInjectedToolArg,
    _is_injected_arg_type,
    get_all_basemodel_annotations,
)
from typing_extensions import TypeVar

from dashflow._util.scope import TOOL_CALL_WRITER
from dashflow.types.streaming import StreamWriter

StateT = TypeVar("StateT", default=dict[str, Any])
ContextT = TypeVar("ContextT", default=None)


@dataclass
class ToolRuntime(_DirectlyInjectedToolArg, Generic[ContextT, StateT]):
    """What a tool gets for a parameter annotated with this class, or named ``runtime``.

    Attributes:
        state: The graph's state.
        context: What the caller passed as ``context``.
        config: The config of this call.
        stream_writer: Writes to the ``custom`` stream.
        tool_call_id: Id of the tool call.
        store: The graph's store, or None.
        tools: All tools of the node.
        execution_info: Facts about the task.
        server_info: Facts about the server that runs the graph, or None.
    """

    state: StateT
    context: ContextT
    config: RunnableConfig
    stream_writer: StreamWriter
    tool_call_id: str | None
    store: Any
    tools: list[BaseTool] = field(default_factory=list)
    execution_info: Any = None
    server_info: Any = None

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """A closed box to pydantic: LangChain dumps a tool's arguments for their names, and this one holds
        the whole state."""
        from pydantic_core import core_schema

        shown = core_schema.plain_serializer_function_ser_schema(lambda runtime: cls.__name__)
        return core_schema.is_instance_schema(cls, serialization=shown)

    def emit_output_delta(self, delta: Any) -> None:
        """Send a part of the tool's output to the ``tools`` stream; nothing happens when nobody listens.

        Args:
            delta: Any value that JSON can hold.
        """
        writer = TOOL_CALL_WRITER.get()
        if writer is not None:
            writer(delta)


class InjectedState(InjectedToolArg):
    """Annotates a tool's argument that gets the graph's state, or one key of it.

    Args:
        field: The key; None: the whole state.
    """

    def __init__(self, field: str | None = None) -> None:
        self.field = field


class InjectedStore(InjectedToolArg):
    """Annotates a tool's argument that gets the graph's store."""


class Injections:
    """Which arguments of one tool are filled, and from where.

    Attributes:
        state: From argument to the state's key; None: the whole state.
        store: The argument that gets the store.
        runtime: The argument that gets the ``ToolRuntime``.
        hidden: Every argument that the model does not give, those that LangChain fills included.
        optional: Arguments of ``state`` with a default: their key may be missing.
    """

    __slots__ = ("hidden", "optional", "runtime", "state", "store")

    def __init__(self, tool: BaseTool) -> None:
        self.state: dict[str, str | None] = {}
        self.store: str | None = None
        self.runtime: str | None = None
        self.hidden: set[str] = set()
        self.optional: set[str] = set()
        schema = tool.get_input_schema()
        function = getattr(tool, "func", None) or getattr(tool, "coroutine", None)
        hints = get_type_hints(function, include_extras=True) if function else {}
        hints.update(get_all_basemodel_annotations(schema))
        for name, hint in hints.items():
            self._take(name, hint, getattr(schema, "model_fields", {}).get(name))

    def _take(self, name: str, hint: Any, field_info: Any) -> None:
        if _is_injected_arg_type(hint):
            self.hidden.add(name)
        if name == "runtime" or marker(hint, ToolRuntime):
            self.runtime = name
        if marker(hint, InjectedStore):
            self.store = name
        if (state := marker(hint, InjectedState)) is not None:
            key = state.field if isinstance(state, InjectedState) and state.field else None
            self.state[name] = key
            if key and field_info is not None and not field_info.is_required():
                self.optional.add(name)

    @property
    def filled(self) -> set[str]:
        """Arguments that ``fill`` gives."""
        return {*self.state, *(name for name in (self.store, self.runtime) if name)}

    def fill(self, call: ToolCall, runtime: ToolRuntime[Any, Any], messages_key: str) -> ToolCall:
        """A copy of ``call`` with the arguments from the graph, and without what the model forged.

        Raises:
            ValueError: The tool wants a store or a state's key, and there is none.
            KeyError, AttributeError: The state has no such key.
        """
        given: dict[str, Any] = {}
        if self.state:
            given.update(self._from_state(call, runtime.state, messages_key))
        if self.store:
            if runtime.store is None:
                raise ValueError(
                    "Cannot inject store into tools with InjectedStore annotations - "
                    "please compile your graph with a store."
                )
            given[self.store] = runtime.store
        if self.runtime:
            given[self.runtime] = runtime
        kept = {name: value for name, value in call["args"].items() if name not in self.hidden}
        return {**call, "args": {**kept, **given}}

    def _from_state(self, call: ToolCall, state: Any, messages_key: str) -> dict[str, Any]:
        if isinstance(state, list):
            keys = list(self.state.values())
            if keys[0] is not None and keys != [messages_key]:
                wanted = ", ".join(key for key in keys if key)
                raise ValueError(
                    f"Invalid input to ToolNode. Tool {call['name']} requires graph state dict as input."
                    f" State should contain fields {wanted}."
                )
            state = {messages_key: state}
        found: dict[str, Any] = {}
        keyed = isinstance(state, dict)
        for name, key in self.state.items():
            if not key:
                found[name] = state
            elif (key in state) if keyed else hasattr(state, key):
                found[name] = state[key] if keyed else getattr(state, key)
            elif name not in self.optional:
                raise KeyError(key) if keyed else AttributeError(key)
        return found


def marker(hint: Any, kind: type) -> Any:
    """The ``kind`` that an annotation carries: the instance, the class, or True; None without one.

    Raises:
        ValueError: It carries several.
    """
    found = [part for part in get_args(hint) if _carries(part, kind)]
    if len(found) > 1:
        raise ValueError(
            f"A tool argument should not be annotated with {kind.__name__} more than once. Found: {found}"
        )
    if found:
        return found[0]
    return True if _carries(hint, kind) else None


def _carries(hint: Any, kind: type) -> bool:
    if isinstance(hint, kind) or (isinstance(hint, type) and issubclass(hint, kind)):
        return True
    origin = get_origin(hint)
    if origin in (Union, UnionType, Annotated):
        return any(_carries(part, kind) for part in get_args(hint))
    return isinstance(origin, type) and issubclass(origin, kind)
