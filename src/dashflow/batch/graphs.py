"""Items run by a compiled graph (or any other Runnable), each on a thread of its own.

Where the graph has a checkpointer, an attempt goes on where the last one was: inside the item. Without one
the item begins again. Speaks to the graph by LangGraph's public methods only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dashflow.batch.work import Item, StopReason, Suspended
from dashflow.errors import GraphDrained, ItemFailedError, ItemWaitingError
from dashflow.log.base import EventLog
from dashflow.log.codec import Registry
from dashflow.runtime import RunControl

_QUESTION = 300
"""Characters that are shown of a question."""


class GraphWork:
    """Invokes a graph for every item; the item is the input.

    Args:
        graph: Anything with ``invoke`` and ``ainvoke``.
        config: For every run; the thread's id is put into a copy of it.
        types: Classes that recorded values may be revived as, beside those of the graph's schemas.
    """

    kind = "graph"
    awaitable = True

    def __init__(
        self, graph: Any, config: Mapping[str, Any] | None = None, types: tuple[type, ...] = ()
    ) -> None:
        self._graph = graph
        self._given = dict(config or {})
        saver = getattr(graph, "checkpointer", None)
        self._saver = None if isinstance(saver, bool) else saver
        registry = getattr(self._saver, "registry", None)
        self.registry = registry if isinstance(registry, Registry) else Registry()
        for kind in types:
            self.registry.register(kind)
        for schema in getattr(getattr(graph, "builder", None), "schemas", ()):
            self.registry.register_schema(schema)

    @property
    def log(self) -> EventLog | None:
        """The log that the graph's checkpointer keeps threads in; None when it has no such."""
        log = getattr(self._saver, "log", None)
        return log if isinstance(log, EventLog) else None

    def run(self, item: Item) -> Any:
        """See ``Work.run``.

        Raises:
            ItemWaitingError: The run waits for an answer.
            Suspended: It stopped between two steps, since it was asked to.
        """
        config, options = self._begin(item)
        given = item.value
        if self._saver is not None and not item.fresh:
            given = _going_on(item, self._graph.get_state(config))
        try:
            return _result(item, self._graph.invoke(given, config, **options))
        except GraphDrained as drained:
            raise Suspended from drained

    async def arun(self, item: Item) -> Any:
        """See ``Work.arun``; raises what ``run`` raises."""
        config, options = self._begin(item)
        given = item.value
        if self._saver is not None and not item.fresh:
            given = _going_on(item, await self._graph.aget_state(config))
        try:
            return _result(item, await self._graph.ainvoke(given, config, **options))
        except GraphDrained as drained:
            raise Suspended from drained

    def _begin(self, item: Item) -> tuple[dict[str, Any], dict[str, Any]]:
        """Config and options of an attempt, which can be asked to stop from now on."""
        config = dict(self._given)
        config["metadata"] = {**(config.get("metadata") or {}), "batch": item.batch, "batch_item": item.key}
        if self._saver is not None:
            config["configurable"] = {**(config.get("configurable") or {}), "thread_id": item.run}
        if not hasattr(self._graph, "get_state"):
            return config, {}
        control = RunControl()

        def stop(reason: StopReason) -> None:
            # Without a checkpointer there is nothing to go on from: then it is better to finish.
            if self._saver is not None or reason == "timeout":
                control.request_drain(f"batch {item.batch}: {reason}")

        item.on_stop(stop)
        return config, {"control": control}


def _going_on(item: Item, snapshot: Any) -> Any:
    """What to invoke the graph with, given how its thread stands: None goes on, the item begins.

    Raises:
        ItemWaitingError: Only an answer can make it go on.
    """
    if snapshot.created_at is None:
        return item.value
    if snapshot.interrupts:
        _refuse_question(item, snapshot.interrupts)
    return None


def _result(item: Item, output: Any) -> Any:
    if isinstance(output, Mapping) and output.get("__interrupt__"):
        _refuse_question(item, output["__interrupt__"])
    if output is None and item.value is not None:
        raise ItemFailedError(item.key, "the graph returned nothing.")
    return output


def _refuse_question(item: Item, interrupts: Any) -> None:
    question = repr(interrupts[0].value)
    if len(question) > _QUESTION:
        question = question[:_QUESTION] + "..."
    raise ItemWaitingError(item.key, item.run, question)
