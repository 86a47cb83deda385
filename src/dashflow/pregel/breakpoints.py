"""Breakpoints that are set and cleared on a thread while its runs go on, here or elsewhere. Sync and async
side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from dashflow._util.drive import drive
from dashflow._util.reserved import NS_SEP
from dashflow.errors import UsageError
from dashflow.pregel.start import loop_host, sync_host
from dashflow.pregel.threads import Look
from dashflow.types.breakpoints import Breakpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dashflow.checkpoint.breakpoints import Stops
    from dashflow.pregel.shape import GraphShape

Config = Mapping[str, Any]
T = TypeVar("T")


class LiveBreakpoints:
    """The part of ``Pregel`` that sets and clears breakpoints on live threads."""

    def set_breakpoint(
        self, config: Config, node: str, *, at: Literal["before", "after"] = "before", when: str = ""
    ) -> Breakpoint:
        """Let every run of a thread stop at a node, also one that is going on in another process.

        It holds until it is cleared, whichever program runs the thread. A run stops as at a static
        breakpoint, and goes on with ``invoke(None, config)``. One that is going on sees it before its next
        step; in another process, at the latest before the first step that begins 10 ms later.

        Args:
            config: Names the thread.
            node: A node, ``"*"`` for all, or ``"outer|inner"`` for one in a graph inside a node.
            at: ``before`` or ``after`` the node.
            when: A condition on the state's values as text, such as ``amount > 100 and not approved``; see
                ``dashflow.core.condition``. It takes the place of an earlier one for the node and side.

        Returns:
            The breakpoint.

        Raises:
            ValueError: The graph has no such node, or no checkpointer; or ``config`` names no thread.
            UsageError: ``when`` is no condition; or the saver keeps no log, so that there is no place for it.
        """
        return drive(_set(Look(self, sync_host(self), config), Breakpoint(node, at, when)))  # type: ignore[arg-type]  # a Pregel

    async def aset_breakpoint(
        self, config: Config, node: str, *, at: Literal["before", "after"] = "before", when: str = ""
    ) -> Breakpoint:
        """``set_breakpoint`` for asyncio callers."""
        return await _set(Look(self, loop_host(), config), Breakpoint(node, at, when))  # type: ignore[arg-type]  # a Pregel

    def clear_breakpoints(
        self, config: Config, node: str | None = None, *, at: Literal["before", "after"] | None = None
    ) -> list[Breakpoint]:
        """Clear a thread's breakpoints: of one node, or of all; on one side of it, or on both.

        Returns:
            Those that are cleared.

        Raises:
            ValueError, UsageError: As ``set_breakpoint``.
        """
        return drive(_clear(Look(self, sync_host(self), config), node, at))  # type: ignore[arg-type]  # a Pregel

    async def aclear_breakpoints(
        self, config: Config, node: str | None = None, *, at: Literal["before", "after"] | None = None
    ) -> list[Breakpoint]:
        """``clear_breakpoints`` for asyncio callers."""
        return await _clear(Look(self, loop_host(), config), node, at)  # type: ignore[arg-type]  # a Pregel

    def get_breakpoints(self, config: Config) -> list[Breakpoint]:
        """The breakpoints that were set on a thread and hold; static ones are in the graph.

        Raises:
            ValueError, UsageError: As ``set_breakpoint``.
        """
        return drive(_holding(Look(self, sync_host(self), config)))  # type: ignore[arg-type]  # a Pregel

    async def aget_breakpoints(self, config: Config) -> list[Breakpoint]:
        """``get_breakpoints`` for asyncio callers."""
        return await _holding(Look(self, loop_host(), config))  # type: ignore[arg-type]  # a Pregel


async def _set(look: Look, point: Breakpoint) -> Breakpoint:
    from dashflow.checkpoint.breakpoints import added

    _check_node(look.graph, point.node)
    await _changed(look, lambda known: (added(known, point), None))
    return point


async def _clear(look: Look, node: str | None, at: str | None) -> list[Breakpoint]:
    from dashflow.checkpoint.breakpoints import parted

    return await _changed(look, lambda known: parted(known, node, at))


async def _changed(look: Look, decide: Callable[[list[Breakpoint]], tuple[Iterable[Breakpoint], T]]) -> T:
    from dashflow.checkpoint.breakpoints import change

    stops = _stops(look)
    version, points, result = await look.host.read(lambda: change(stops.log, stops.thread, decide))
    stops.take(version, points)
    return result


async def _holding(look: Look) -> list[Breakpoint]:
    stops = _stops(look)
    await look.host.read(stops.refresh)
    return list(stops.points)


def _stops(look: Look) -> Stops:
    stops = look.history.stops
    if stops is None:
        raise UsageError(
            "Breakpoints on a live thread are kept in the event log, and this graph's saver, a "
            f"{type(look.saver).__name__}, keeps none. Use one of DashFlow's savers, or give "
            "interrupt_before and interrupt_after to the run."
        )
    return stops


def _check_node(graph: GraphShape, node: str) -> None:
    """Raises ValueError for a node that the graph, or a graph in its nodes, is known not to have."""
    name, _, rest = node.partition(NS_SEP)
    if name == "*" and not rest:
        return
    if name not in graph.plan.nodes or graph.plan.nodes[name].hidden:
        known = sorted(name for name, one in graph.plan.nodes.items() if not one.hidden)
        raise ValueError(f"Node {name} not in nodes of {graph.name}: {', '.join(known)}")
    if rest:
        from dashflow.pregel.subgraphs import subgraphs_of

        for _, inner in subgraphs_of(graph, name):  # one that a function calls is not seen from here
            _check_node(inner, rest)
