"""What the callback handlers that make stream parts have in common: whose events they show, and where.

May not know what a part holds. Imported when a run streams ``messages`` or ``tools``, not before.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.tracers._streaming import _StreamingCallbackHandler

from dashflow._util.reserved import NS_SEP, PUSH
from dashflow.constants import TAG_NOSTREAM

__all__ = ("Put", "StreamListener", "graph_namespace")

T = TypeVar("T")
Put: TypeAlias = Callable[[tuple[tuple[str, ...], str, Any]], None]
"""Takes a part: namespace of the graph it comes from, mode, data. May be called from any thread."""


class StreamListener(BaseCallbackHandler, _StreamingCallbackHandler[Any]):
    """Shows what models and tools inside a graph's nodes do.

    Args:
        stream: Takes the parts.
        subgraphs: Whether to show what happens in the graph's subgraphs.
        parent_ns: Namespace of the graph that is streamed: a graph that a node streams by itself is shown to
            that node, whatever its own caller wants to see of subgraphs.

    Attributes:
        run_inline: Callbacks run where the event happens, so that parts keep their order.
    """

    run_inline = True

    def __init__(self, stream: Put, subgraphs: bool, *, parent_ns: tuple[str, ...] | None = None) -> None:
        self.stream = stream
        self.subgraphs = subgraphs
        self.parent_ns = parent_ns

    def _place(
        self, metadata: Mapping[str, Any] | None, tags: Sequence[str] | None
    ) -> tuple[str, ...] | None:
        """Namespace to show something under; None when it is not to be shown."""
        if not metadata or "langgraph_checkpoint_ns" not in metadata or TAG_NOSTREAM in (tags or ()):
            return None
        return self._heard(graph_namespace(metadata))

    def _heard(self, namespace: tuple[str, ...]) -> tuple[str, ...] | None:
        """The namespace, if this one is listened to."""
        return namespace if self.subgraphs or not namespace or namespace == self.parent_ns else None

    def tap_output_aiter(self, run_id: UUID, output: AsyncIterator[T]) -> AsyncIterator[T]:
        """What LangChain asks of handlers that stream; nothing is taken from here."""
        return output

    def tap_output_iter(self, run_id: UUID, output: Iterator[T]) -> Iterator[T]:
        """``tap_output_aiter`` for synchronous iterators."""
        return output


def graph_namespace(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    """Namespace of the graph that a task runs in, from the metadata of the task's config.

    The last segment is the task's own. A ``@task`` that another task calls runs in the same graph but below
    its caller's segment; its path is ``(PUSH, path of the caller, index, True)``. A ``Send``'s ends with
    False.
    """
    segments = tuple(metadata["langgraph_checkpoint_ns"].split(NS_SEP))
    own = 1
    path = metadata.get("langgraph_path", ())
    while len(path) == 4 and path[0] == PUSH and path[-1] is True:
        own += 1
        path = path[1]
    return segments[:-own]
