"""Parts of streams: the modes, and the shape of what each mode yields. Types only."""

from collections.abc import Callable
from typing import Any, Generic, Literal, NotRequired, TypeAlias, TypeVar

from typing_extensions import TypeAliasType, TypedDict

from dashflow._util.langchain import AnyMessage, RunnableConfig
from dashflow.types.interrupts import Interrupt
from dashflow.types.snapshots import StateSnapshot

__all__ = (
    "All",
    "CheckpointPayload",
    "CheckpointStreamPart",
    "CheckpointTask",
    "CustomStreamPart",
    "DebugPayload",
    "DebugStreamPart",
    "Durability",
    "MessagesStreamPart",
    "StreamMode",
    "StreamPart",
    "StreamWriter",
    "TaskPayload",
    "TaskResultPayload",
    "TasksStreamPart",
    "UpdatesStreamPart",
    "ValuesStreamPart",
)

StateT = TypeVar("StateT")
OutputT = TypeVar("OutputT")

StreamMode: TypeAlias = Literal["values", "updates", "checkpoints", "tasks", "debug", "messages", "custom"]
"""What a stream yields.

``values``: the whole state after each step. ``updates``: what each node returned. ``custom``: what nodes
write with their ``StreamWriter``. ``messages``: tokens of chat models as they come. ``checkpoints``: each
checkpoint, as ``get_state`` shows it. ``tasks``: starts and ends of tasks. ``debug``: the last two together.
"""

Durability: TypeAlias = Literal["sync", "async", "exit"]
"""When a step is on disk: before the next one starts, while it runs, or when the run stops."""

All: TypeAlias = Literal["*"]
"""Every node, where names of nodes are asked for."""

StreamWriter: TypeAlias = Callable[[Any], None]
"""Writes to the ``custom`` stream; injected into nodes that name a ``writer``."""


class TaskPayload(TypedDict):
    """A task starts. ``metadata`` is what the ``messages`` mode gives, when there is some."""

    id: str
    name: str
    input: Any
    triggers: list[str]
    metadata: NotRequired[dict[str, Any]]


class TaskResultPayload(TypedDict):
    """A task ended: ``error`` is its text, ``result`` what it wrote, by channel."""

    id: str
    name: str
    error: str | None
    interrupts: list[dict[str, Any]]
    result: dict[str, Any]


class CheckpointTask(TypedDict):
    """A task of a checkpoint: failed (``error``), done (``result``) or pending (neither)."""

    id: str
    name: str
    error: NotRequired[str]
    result: NotRequired[Any]
    interrupts: NotRequired[list[dict[str, Any]]]
    state: StateSnapshot | RunnableConfig | None


class CheckpointPayload(TypedDict, Generic[StateT]):
    """A checkpoint was made."""

    config: RunnableConfig | None
    metadata: dict[str, Any]
    values: StateT
    next: list[str]
    parent_config: RunnableConfig | None
    tasks: list[CheckpointTask]


class DebugCheckpoint(TypedDict, Generic[StateT]):
    """A checkpoint in the ``debug`` mode; ``timestamp`` is ISO 8601."""

    step: int
    timestamp: str
    type: Literal["checkpoint"]
    payload: CheckpointPayload[StateT]


class DebugTask(TypedDict):
    """A task's start in the ``debug`` mode."""

    step: int
    timestamp: str
    type: Literal["task"]
    payload: TaskPayload


class DebugTaskResult(TypedDict):
    """A task's end in the ``debug`` mode."""

    step: int
    timestamp: str
    type: Literal["task_result"]
    payload: TaskResultPayload


DebugPayload = TypeAliasType(
    "DebugPayload", DebugCheckpoint[StateT] | DebugTask | DebugTaskResult, type_params=(StateT,)
)
"""What the ``debug`` mode yields; ``type`` tells which."""


class ValuesStreamPart(TypedDict, Generic[OutputT]):
    """The whole state after a step."""

    type: Literal["values"]
    ns: tuple[str, ...]
    data: OutputT
    interrupts: tuple[Interrupt, ...]


class UpdatesStreamPart(TypedDict):
    """What nodes returned, by name; ``__interrupt__`` and ``__metadata__`` may be among the keys."""

    type: Literal["updates"]
    ns: tuple[str, ...]
    data: dict[str, Any]


class MessagesStreamPart(TypedDict):
    """A message or a chunk of one, and where it comes from."""

    type: Literal["messages"]
    ns: tuple[str, ...]
    data: tuple[AnyMessage, dict[str, Any]]


class CustomStreamPart(TypedDict):
    """What a node wrote with its ``StreamWriter``."""

    type: Literal["custom"]
    ns: tuple[str, ...]
    data: Any


class CheckpointStreamPart(TypedDict, Generic[StateT]):
    """A checkpoint."""

    type: Literal["checkpoints"]
    ns: tuple[str, ...]
    data: CheckpointPayload[StateT]


class TasksStreamPart(TypedDict):
    """The start or the end of a task."""

    type: Literal["tasks"]
    ns: tuple[str, ...]
    data: TaskPayload | TaskResultPayload


class DebugStreamPart(TypedDict, Generic[StateT]):
    """A checkpoint, or the start or the end of a task, with step and time."""

    type: Literal["debug"]
    ns: tuple[str, ...]
    data: DebugPayload[StateT]


StreamPart = TypeAliasType(
    "StreamPart",
    ValuesStreamPart[OutputT]
    | UpdatesStreamPart
    | MessagesStreamPart
    | CustomStreamPart
    | CheckpointStreamPart[StateT]
    | TasksStreamPart
    | DebugStreamPart[StateT],
    type_params=(StateT, OutputT),
)
"""What ``stream(..., version="v2")`` yields; ``part["type"]`` tells which."""
