"""Runtime: what a run lends to its nodes: context, store, stream writer, and facts about the execution.

Plain values; the engine fills them. Knows no engine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, cast

from typing_extensions import TypeVar

from dashflow._util.scope import require_scope

if TYPE_CHECKING:
    from langgraph_sdk.auth.types import BaseUser

__all__ = ("BaseUser", "ExecutionInfo", "RunControl", "Runtime", "ServerInfo", "get_runtime")

ContextT = TypeVar("ContextT", default=None)


def ignore(value: Any) -> None:
    """The stream writer when nobody listens."""


def _no_limit() -> None:
    """The heartbeat when nothing waits for one."""


@dataclass(frozen=True, slots=True)
class ExecutionInfo:
    """Facts about the execution of one task.

    Attributes:
        checkpoint_id: The checkpoint that the step started from.
        checkpoint_ns: The task's namespace.
        task_id: The task's id.
        thread_id: The run's thread; None without one.
        run_id: The run's id; None when the caller gave none.
        node_attempt: Which attempt this is, from 1.
        node_first_attempt_time: When the first attempt began, seconds since the Unix epoch.
    """

    checkpoint_id: str
    checkpoint_ns: str
    task_id: str
    thread_id: str | None = None
    run_id: str | None = None
    node_attempt: int = 1
    node_first_attempt_time: float | None = None

    def patch(self, **overrides: Any) -> ExecutionInfo:
        """A copy with some fields changed."""
        return replace(self, **overrides)


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What a server that runs the graph says about the call; None where no server does.

    Attributes:
        assistant_id: The assistant that was called.
        graph_id: Its graph.
        user: Who calls, when that is known.
    """

    assistant_id: str
    graph_id: str
    user: BaseUser | None = None

    @staticmethod
    def of(configurable: Mapping[str, Any]) -> ServerInfo | None:
        """What a config says of the server, or None when it says nothing."""
        assistant, graph = configurable.get("assistant_id"), configurable.get("graph_id")
        user = configurable.get("langgraph_auth_user")
        if not hasattr(user, "identity"):  # whatever class it has, this is what makes it a user
            user = None
        if assistant is None and graph is None and user is None:
            return None
        return ServerInfo(str(assistant or ""), str(graph or ""), user)


class RunControl:
    """Asks a run to stop between two steps. One for each run, as it cannot be taken back. For any thread."""

    __slots__ = ("drain_reason",)

    def __init__(self) -> None:
        self.drain_reason: str | None = None
        """What the drain was asked for with; None when nobody asked."""

    def request_drain(self, reason: str = "shutdown") -> None:
        """Let the step that runs come to its end and start no other: the run raises ``GraphDrained`` then."""
        self.drain_reason = reason

    @property
    def drain_requested(self) -> bool:
        """Whether somebody asked."""
        return self.drain_reason is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime(Generic[ContextT]):
    """What a node gets as ``runtime``.

    Attributes:
        context: What the caller passed as ``context``, as the graph's ``context_schema``.
        store: The graph's store, or None.
        stream_writer: Writes to the ``custom`` stream.
        heartbeat: Tells the node's idle time-out that it gets on; does nothing where there is none.
        previous: The value the last run of this thread returned (functional API).
        execution_info: Facts about this task.
        server_info: What a server says about the call; None without one.
        control: Can be asked to drain the run.
    """

    context: ContextT = field(default=cast("ContextT", None))
    store: Any = None
    stream_writer: Callable[[Any], None] = ignore
    heartbeat: Callable[[], None] = _no_limit
    previous: Any = None
    execution_info: ExecutionInfo | None = None
    server_info: ServerInfo | None = None
    control: RunControl | None = None

    def override(self, **changes: Any) -> Runtime[ContextT]:
        """A copy with some fields changed."""
        return replace(self, **changes)

    def merge(self, other: Runtime[ContextT]) -> Runtime[ContextT]:
        """A copy with the fields of ``other`` that are set."""
        return Runtime(
            context=other.context or self.context,
            store=other.store or self.store,
            stream_writer=other.stream_writer if other.stream_writer is not ignore else self.stream_writer,
            heartbeat=other.heartbeat if other.heartbeat is not _no_limit else self.heartbeat,
            previous=self.previous if other.previous is None else other.previous,
            execution_info=other.execution_info or self.execution_info,
            server_info=other.server_info or self.server_info,
            control=other.control or self.control,
        )

    def patch_execution_info(self, **overrides: Any) -> Runtime[ContextT]:
        """A copy with fields of its ``execution_info`` changed.

        Raises:
            RuntimeError: There is no ``execution_info``.
        """
        if self.execution_info is None:
            raise RuntimeError("Cannot patch execution_info before it has been set")
        return replace(self, execution_info=self.execution_info.patch(**overrides))

    @property
    def drain_requested(self) -> bool:
        """Whether somebody asked the run to stop after this step."""
        return self.control is not None and self.control.drain_requested

    @property
    def drain_reason(self) -> str | None:
        """What the drain was asked for with, or None."""
        return None if self.control is None else self.control.drain_reason


DEFAULT_RUNTIME: Runtime[Any] = Runtime()
"""A runtime with nothing set."""


def get_runtime(context_schema: type[ContextT] | None = None) -> Runtime[ContextT]:
    """The runtime of the task that runs here; ``context_schema`` is for type checkers only.

    Raises:
        RuntimeError: No task runs here.
    """
    return cast("Runtime[ContextT]", require_scope("get_runtime()").runtime)


def __getattr__(name: str) -> Any:
    """``BaseUser``, imported from LangGraph's SDK when it is asked for."""
    if name == "BaseUser":
        from langgraph_sdk.auth.types import BaseUser

        return BaseUser
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
