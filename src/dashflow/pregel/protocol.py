"""PregelProtocol: what a compiled graph can be asked, here or on a server; StreamProtocol: where parts go.

Names and calls only. May not import graphs or the engine.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, Self

from dashflow.pregel.face import RunnableFace
from dashflow.types.snapshots import StateSnapshot
from dashflow.types.streaming import StreamMode
from dashflow.typing import ContextT, InputT, OutputT, StateT

if TYPE_CHECKING:
    from langchain_core.runnables.graph import Graph

__all__ = ("PregelProtocol", "StreamProtocol")

Config = Mapping[str, Any]
StreamChunk = tuple[tuple[str, ...], str, Any]
"""Namespace, mode and data."""


class PregelProtocol(RunnableFace, Generic[StateT, ContextT, InputT, OutputT]):
    """A compiled graph to whoever uses one: ``Pregel`` runs it here, ``RemoteGraph`` on a server."""

    @abstractmethod
    def with_config(self, config: Config | None = None, **kwargs: Any) -> Self:
        """A copy with other defaults for its runs' config."""

    @abstractmethod
    def get_graph(self, config: Config | None = None, *, xray: int | bool = False) -> Graph:
        """The graph as LangChain draws graphs."""

    @abstractmethod
    async def aget_graph(self, config: Config | None = None, *, xray: int | bool = False) -> Graph:
        """``get_graph`` for asyncio callers."""

    @abstractmethod
    def get_state(self, config: Config, *, subgraphs: bool = False) -> StateSnapshot:
        """The state of a thread."""

    @abstractmethod
    async def aget_state(self, config: Config, *, subgraphs: bool = False) -> StateSnapshot:
        """``get_state`` for asyncio callers."""

    @abstractmethod
    def get_state_history(
        self,
        config: Config,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002  # LangGraph's name
        before: Config | None = None,
        limit: int | None = None,
    ) -> Iterator[StateSnapshot]:
        """The states of a thread, newest first."""

    @abstractmethod
    def aget_state_history(
        self,
        config: Config,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002  # LangGraph's name
        before: Config | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[StateSnapshot]:
        """``get_state_history`` for asyncio callers."""

    @abstractmethod
    def update_state(self, config: Config, values: Any, as_node: str | None = None) -> Any:
        """Change a thread's state as if a node had returned ``values``."""

    @abstractmethod
    async def aupdate_state(self, config: Config, values: Any, as_node: str | None = None) -> Any:
        """``update_state`` for asyncio callers."""

    @abstractmethod
    def bulk_update_state(self, config: Config, updates: Sequence[Sequence[Any]]) -> Any:
        """Several edits in order, each of updates that belong together."""

    @abstractmethod
    async def abulk_update_state(self, config: Config, updates: Sequence[Sequence[Any]]) -> Any:
        """``bulk_update_state`` for asyncio callers."""

    @abstractmethod
    def stream(
        self,
        input: Any,  # noqa: A002  # LangGraph's name
        config: Config | None = None,
        *,
        context: Any = None,
        stream_mode: Any = None,
        interrupt_before: Sequence[str] | str | None = None,
        interrupt_after: Sequence[str] | str | None = None,
        subgraphs: bool = False,
    ) -> Iterator[Any]:
        """Run, and yield what happens."""

    @abstractmethod
    def astream(
        self,
        input: Any,  # noqa: A002  # LangGraph's name
        config: Config | None = None,
        *,
        context: Any = None,
        stream_mode: Any = None,
        interrupt_before: Sequence[str] | str | None = None,
        interrupt_after: Sequence[str] | str | None = None,
        subgraphs: bool = False,
    ) -> AsyncIterator[Any]:
        """``stream`` for asyncio callers."""

    @abstractmethod
    def invoke(
        self,
        input: Any,  # noqa: A002  # LangGraph's name
        config: Config | None = None,
        *,
        context: Any = None,
        interrupt_before: Sequence[str] | str | None = None,
        interrupt_after: Sequence[str] | str | None = None,
    ) -> Any:
        """Run to the end or to the next question."""

    @abstractmethod
    async def ainvoke(
        self,
        input: Any,  # noqa: A002  # LangGraph's name
        config: Config | None = None,
        *,
        context: Any = None,
        interrupt_before: Sequence[str] | str | None = None,
        interrupt_after: Sequence[str] | str | None = None,
    ) -> Any:
        """``invoke`` for asyncio callers."""


class StreamProtocol:
    """Where a run's parts go: a function of one part, and the modes it wants.

    Args:
        __call__: The function.
        modes: The modes it wants.
    """

    __slots__ = ("_put", "modes")

    def __init__(self, __call__: Callable[[StreamChunk], None], modes: set[StreamMode]) -> None:
        self._put = __call__
        self.modes = modes

    def __call__(self, part: StreamChunk) -> None:
        """Hand over one part."""
        self._put(part)
