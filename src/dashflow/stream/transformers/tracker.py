"""SubgraphTracker: finds out from ``tasks`` events which subgraphs start and how they end.

May not decide what is shown of them: subclasses do.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

from dashflow.errors import GraphDrained, GraphInterrupt
from dashflow.stream.event import ProtocolEvent
from dashflow.stream.payload import SubgraphStatus
from dashflow.stream.transformer import StreamTransformer

__all__ = ("Ending", "SubgraphTracker", "status_of_error")

Namespace = tuple[str, ...]
Ending = tuple[Namespace, SubgraphStatus, str | None]
"""Which subgraph ended, how, and with which error."""


class SubgraphTracker(StreamTransformer):
    """The base of transformers that follow subgraphs.

    A subgraph starts with the first task in its namespace. It ends with the task of the parent that it runs
    in, or with the run. ``tasks`` events are kept out of the log: what subclasses make of them is shown
    instead.

    Subclasses say which namespaces they follow (``_should_track``) and what to do when a subgraph starts and
    ends (``_on_started``, ``_on_terminal``). While ``_on_started`` runs, ``_pending_cause`` is the tool call
    that started the subgraph if it is a named agent.

    Args:
        scope: Namespace of the graph whose subgraphs are followed.
    """

    required_stream_modes = ("tasks",)

    def __init__(self, scope: Namespace = ()) -> None:
        super().__init__(scope)
        self._seen: set[Namespace] = set()
        self._open: dict[Namespace, str] = {}  # which task of the parent each one ends with
        self._lc_by_ns: dict[Namespace, str | None] = {}  # names of agents; for subclasses too
        self._pending_tool_calls: dict[str, str] = {}  # tool calls by the task that makes them
        self._pending_cause: Any = None

    @abstractmethod
    def _should_track(self, ns: Namespace) -> bool:
        """Whether to follow the subgraph in ``ns``."""

    @abstractmethod
    def _on_started(self, ns: Namespace, graph_name: str | None, trigger_call_id: str | None) -> None:
        """A subgraph started: once for each namespace that is followed."""

    @abstractmethod
    def _on_terminal(self, ns: Namespace, status: SubgraphStatus, error: str | None) -> None:
        """A subgraph ended."""

    def process(self, event: ProtocolEvent) -> bool:
        """Follow ``tasks`` events, and keep them out of the log."""
        if event["method"] != "tasks":
            return True
        for ending in self._follow(event):
            self._on_terminal(*ending)
        return False

    def _follow(self, event: ProtocolEvent) -> list[Ending]:
        """Take note of a task's start or end; returns which subgraphs ended with it."""
        ns = tuple(event["params"]["namespace"])
        data = event["params"]["data"]
        if "result" in data:
            return self._pop_terminal_transitions(ns, data)
        self._record_identity(ns, data)
        self._record_pending_tool_calls(data)
        self._handle_task_start(ns, data)
        return []

    def _record_identity(self, ns: Namespace, data: dict[str, Any]) -> None:
        """Remember the agent of a namespace: that of its first task."""
        self._lc_by_ns.setdefault(ns, _agent_name(data))

    def _record_pending_tool_calls(self, data: dict[str, Any]) -> None:
        """Remember which tool call a task makes: the task's id is also in the namespace of what it starts."""
        task_id = data.get("id")
        if (
            isinstance(task_id, str)
            and (call_id := next(_tool_call_ids(data.get("input")), None)) is not None
        ):
            self._pending_tool_calls[task_id] = call_id

    def _handle_task_start(self, ns: Namespace, data: dict[str, Any]) -> None:
        """Tell of a subgraph when its first task starts."""
        if ns in self._seen or not self._should_track(ns):
            return
        self._seen.add(ns)
        node, _, task_id = ns[-1].partition(":")
        agent = _agent_name(data)
        call_id = None if agent is None else self._pending_tool_calls.get(task_id)
        self._pending_cause = {"type": "toolCall", "tool_call_id": call_id} if call_id else None
        self._on_started(ns, agent or node or None, task_id or None)
        if task_id:
            self._open[ns] = task_id

    def _pop_terminal_transitions(self, ns: Namespace, data: dict[str, Any]) -> list[Ending]:
        """Which subgraphs end with this task of ``ns``; they are followed no more."""
        ended = [child for child, task in self._open.items() if task == data.get("id") and child[:-1] == ns]
        for child in ended:
            del self._open[child]
        return [(child, *_status_of_result(data)) for child in ended]

    def finalize(self) -> None:
        """What is still open is complete."""
        for ns in tuple(self._open):
            self._on_terminal(ns, "completed", None)
        self._open.clear()

    def fail(self, err: BaseException) -> None:
        """What is still open ends as the run does."""
        for ns in tuple(self._open):
            self._on_terminal(ns, *status_of_error(err))
        self._open.clear()


def _agent_name(data: dict[str, Any]) -> str | None:
    """The name that LangChain's agents leave in their tasks' metadata."""
    name: str | None = (data.get("metadata") or {}).get("lc_agent_name")
    return name


def _tool_call_ids(given: Any) -> Iterator[str]:
    """Ids of the tool calls in a task's input: one call with its context, or a list of calls."""
    calls = [given.get("tool_call")] if isinstance(given, dict) else given
    if isinstance(calls, list):
        for call in calls:
            if isinstance(call, dict) and isinstance(call.get("id"), str):
                yield call["id"]


def status_of_error(error: BaseException) -> tuple[SubgraphStatus, str | None]:
    """How a subgraph ended that ``error`` came out of."""
    if isinstance(error, GraphDrained):
        return "drained", None
    if isinstance(error, GraphInterrupt):
        return "interrupted", None
    return "failed", str(error)


def _status_of_result(result: dict[str, Any]) -> tuple[SubgraphStatus, str | None]:
    """How a task ended; an open question is no failure."""
    if result.get("interrupts"):
        return "interrupted", None
    if result.get("error"):
        return "failed", str(result["error"])
    return "completed", None
