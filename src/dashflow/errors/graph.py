"""Errors and control flow of graphs, under LangGraph's names."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any, Literal, NamedTuple

from dashflow.errors.base import Portable

_TROUBLESHOOTING = "https://docs.langchain.com/oss/python/langgraph/errors/"


class ErrorCode(Enum):
    """Codes of LangGraph's troubleshooting pages."""

    GRAPH_RECURSION_LIMIT = "GRAPH_RECURSION_LIMIT"
    INVALID_CONCURRENT_GRAPH_UPDATE = "INVALID_CONCURRENT_GRAPH_UPDATE"
    INVALID_GRAPH_NODE_RETURN_VALUE = "INVALID_GRAPH_NODE_RETURN_VALUE"
    MULTIPLE_SUBGRAPHS = "MULTIPLE_SUBGRAPHS"
    INVALID_CHAT_HISTORY = "INVALID_CHAT_HISTORY"


def create_error_message(*, message: str, error_code: ErrorCode) -> str:
    """``message`` followed by the address of the page that explains ``error_code``."""
    return f"{message}\nFor troubleshooting, visit: {_TROUBLESHOOTING}{error_code.value}"


class EmptyChannelError(Exception):
    """A channel was read before anything was written to it."""


class InvalidUpdateError(Exception):
    """An update that the state's channels cannot take."""


class GraphRecursionError(RecursionError):
    """The graph took more supersteps than its recursion limit without coming to an end."""


class EmptyInputError(Exception):
    """A run was started with nothing: no input and no checkpoint to continue from."""


class TaskNotFound(Exception):
    """A task that a remote executor was asked for does not exist."""


class UnknownInterruptError(Portable):
    """In strict resume mode: answers that do not fit the open questions. Nothing was written.

    Attributes:
        reason: ``not_pending``: an id names no open question (it may have been answered before);
            ``empty_map``: a mapping without answers; ``ambiguous``: one value, several questions.
        interrupt_ids: The ids that are not open.
        pending_ids: The ids that are.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: Literal["not_pending", "empty_map", "ambiguous"],
        interrupt_ids: Sequence[str] = (),
        pending_ids: Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.interrupt_ids = tuple(interrupt_ids)
        self.pending_ids = tuple(pending_ids)


class NodeCancelledError(Portable):
    """A node raised ``asyncio.CancelledError`` by itself; a cancelled run raises that error, not this."""

    def __init__(self, node: str, message: str | None = None) -> None:
        super().__init__(message or f"Node {node!r} raised asyncio.CancelledError")
        self.node = node


class BudgetExceededError(Portable):
    """A run without a thread has used up its budget; with a checkpointer it would pause.

    Attributes:
        code: ``BUDGET_EXCEEDED``.
        limit: Which limit: ``tokens``, ``money``, ``seconds`` or ``steps``.
        allowed: What it is.
        used: What was used.
    """

    code = "BUDGET_EXCEEDED"

    def __init__(self, limit: str, allowed: float, used: float) -> None:
        super().__init__(
            f"The run has used {used:g} {limit} of {allowed:g}. It cannot be continued, since no "
            "checkpointer keeps it; give the graph one, or a larger budget."
        )
        self.limit = limit
        self.allowed = allowed
        self.used = used


class CircuitOpenError(Portable, RuntimeError):
    """A node was not called: what it calls failed again and again (``CircuitBreaker``).

    Not retried by default. A ``RetryPolicy`` that names it waits until it is tried again.

    Attributes:
        code: ``CIRCUIT_OPEN``.
        name: The breaker's.
        retry_at: When it is tried again, seconds since the Unix epoch.
        retry_after: Seconds until then.
    """

    code = "CIRCUIT_OPEN"

    def __init__(self, name: str, retry_at: float, retry_after: float) -> None:
        super().__init__(
            f"Circuit {name!r} is open since calls failed again and again; nothing was called. "
            f"It is tried again in {retry_after:.3f} s."
        )
        self.name = name
        self.retry_at = retry_at
        self.retry_after = retry_after


class BulkheadFullError(Portable, RuntimeError):
    """A node was not called: too many calls wait for it already (``Bulkhead``). Not retried by default.

    Attributes:
        code: ``BULKHEAD_FULL``.
        name: The bulkhead's.
        limit: How many are called at a time.
        queue: How many may wait.
    """

    code = "BULKHEAD_FULL"

    def __init__(self, name: str, limit: int, queue: int) -> None:
        super().__init__(
            f"Bulkhead {name!r} lets {limit} in at a time, and {queue} wait already; nothing was called. "
            "Try again later, or let more wait."
        )
        self.name = name
        self.limit = limit
        self.queue = queue


class NodeProcessDiedError(Portable):
    """The process of a node (``isolation="process"``) ended before its code did; retried by default.

    Attributes:
        code: ``NODE_PROCESS_DIED``.
        node: The node.
        exitcode: The process's exit code; negative: the signal that killed it.
    """

    code = "NODE_PROCESS_DIED"

    def __init__(self, node: str, exitcode: int | None) -> None:
        how = f"by signal {-exitcode}" if exitcode is not None and exitcode < 0 else f"with code {exitcode}"
        super().__init__(
            f"The process of node {node!r} ended {how} before its code did. Nothing of it was recorded."
        )
        self.node = node
        self.exitcode = exitcode


class RemoteNodeError(Portable):
    """A node in a process of its own raised an error whose class is not known here, or cannot be built.

    Attributes:
        code: ``NODE_REMOTE``.
        node: The node.
        kind: The error's class, as ``module:name``.
        text: Its text.
    """

    code = "NODE_REMOTE"

    def __init__(self, node: str, kind: str, text: str) -> None:
        super().__init__(f"Node {node!r} raised {kind} in its process: {text}")
        self.node = node
        self.kind = kind
        self.text = text


class NodeTimeoutError(Portable):
    """An attempt of a node exceeded a limit of its ``TimeoutPolicy``; retried by default.

    Attributes:
        node: The node.
        elapsed: Seconds the attempt had taken.
        kind: Which limit: ``run`` or ``idle``.
        timeout: That limit, in seconds.
        run_timeout: The limit of the whole attempt, or None.
        idle_timeout: The limit without progress, or None.
    """

    def __init__(
        self,
        node: str,
        elapsed: float,
        *,
        kind: Literal["idle", "run"],
        idle_timeout: float | None = None,
        run_timeout: float | None = None,
    ) -> None:
        if kind not in ("idle", "run"):
            raise ValueError("kind must be 'idle' or 'run'")
        timeout = idle_timeout if kind == "idle" else run_timeout
        if timeout is None:
            raise ValueError(f"{kind}_timeout is required when kind='{kind}'")
        limit = f"Node '{node}' exceeded its {kind} timeout of {timeout:.3f}s"
        how = " without making progress" if kind == "idle" else ""
        super().__init__(f"{limit}{how} (elapsed: {elapsed:.3f}s).")
        self.node = node
        self.elapsed = elapsed
        self.kind: Literal["idle", "run"] = kind
        self.timeout = timeout
        self.idle_timeout = idle_timeout
        self.run_timeout = run_timeout


class NodeError(NamedTuple):
    """What an error handler is told: a parameter of this type gets it. No exception itself.

    Attributes:
        node: The node that failed.
        error: What it raised.
    """

    node: str
    error: BaseException


INVALID_RESUME = "_dashflow_invalid_resume"
"""Name of the attribute that marks an error raised for an answer that does not fit."""


def is_invalid_resume(error: BaseException) -> bool:
    """Whether ``interrupt()`` raised ``error`` because the answer did not fit its ``response_schema``."""
    return getattr(error, INVALID_RESUME, False) is True


class GraphBubbleUp(Portable):
    """Base of control flow that leaves a node through an exception."""


class GraphDrained(GraphBubbleUp):
    """The run stopped between two steps because ``RunControl.request_drain`` asked it to; it can go on.

    Attributes:
        reason: What the drain was asked for with.
    """

    def __init__(self, reason: str = "shutdown") -> None:
        super().__init__(f"Graph drained: {reason}")
        self.reason = reason


class RunCancelledError(GraphBubbleUp):
    """Somebody cancelled the run (``graph.cancel``, ``dashflow cancel``). Its thread can be continued.

    Attributes:
        code: ``RUN_CANCELLED``.
        thread: The run's thread.
        run: Its id.
        reason: Why, as given by who cancelled it; "" if nothing was said.
    """

    code = "RUN_CANCELLED"

    def __init__(self, thread: str, run: str, reason: str = "") -> None:
        why = f": {reason}" if reason else ""
        super().__init__(
            f"The run of thread {thread!r} was cancelled{why}. What it had recorded stays; "
            "a new input or invoke(None) goes on from there."
        )
        self.thread = thread
        self.run = run
        self.reason = reason


class GraphInterrupt(GraphBubbleUp):
    """Raised by ``interrupt()`` inside a node; carries the pending interrupts."""

    def __init__(self, interrupts: Sequence[Any] = ()) -> None:
        super().__init__(interrupts)


class ParentCommand(GraphBubbleUp):
    """A ``Command`` that a subgraph addressed to its parent."""

    def __init__(self, command: Any) -> None:
        super().__init__(command)
