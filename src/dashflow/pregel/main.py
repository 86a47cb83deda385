"""Pregel: what a compiled graph can be asked to do. Every method is a few lines over engine flows.

Sync and async methods stand side by side and do the same on another host. Nothing is decided here but
how arguments become options and how parts are shown.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Self

from dashflow._util.drive import iterate
from dashflow.engine.cache import namespaces
from dashflow.engine.ports import Host
from dashflow.options import merge_configs
from dashflow.pregel.branches import BranchMethods
from dashflow.pregel.breakpoints import LiveBreakpoints
from dashflow.pregel.budgets import BudgetMethods
from dashflow.pregel.call import Call
from dashflow.pregel.cancelling import CancelMethods
from dashflow.pregel.described import Described
from dashflow.pregel.fits import FitMethods
from dashflow.pregel.replays import ReplayMethods
from dashflow.pregel.shape import GraphShape
from dashflow.pregel.start import loop_host, sync_host
from dashflow.pregel.threads import ThreadMethods
from dashflow.pregel.tracing import followed
from dashflow.types.breakpoints import Breakpoints
from dashflow.types.snapshots import GraphOutput
from dashflow.typing import ContextT, InputT, OutputT, StateT

if TYPE_CHECKING:
    from dashflow.stream.run_stream import AsyncGraphRunStream, GraphRunStream

Config = Mapping[str, Any]


class Pregel(
    GraphShape,
    ThreadMethods,
    BranchMethods,
    ReplayMethods,
    FitMethods,
    LiveBreakpoints,
    CancelMethods,
    BudgetMethods,
    Described[StateT, ContextT, InputT, OutputT],
):
    """A compiled graph: see ``GraphShape`` for how one is made of nodes and channels."""

    def with_config(self, config: Config | None = None, **more: Any) -> Self:
        """A copy with other defaults for its runs' config."""
        return self.copy({"config": merge_configs(self.config, config, more)})

    def with_host(self, host: Host) -> Self:
        """A copy whose synchronous methods run in another world than the caller's: a simulated one."""
        return self.copy({"_host": host})

    # -- running ------------------------------------------------------------------------------

    def invoke(
        self,
        input: Any,  # noqa: A002  # LangGraph's name
        config: Config | None = None,
        *,
        context: Any = None,
        stream_mode: str | Sequence[str] = "values",
        print_mode: str | Sequence[str] = (),
        output_keys: str | Sequence[str] | None = None,
        interrupt_before: Breakpoints | None = None,
        interrupt_after: Breakpoints | None = None,
        durability: str | None = None,
        control: Any = None,
        version: str = "v1",
        **more: Any,
    ) -> Any:
        """Run the graph to its end or to the next question.

        Args:
            input: The first update of the state; a ``Command`` to answer or steer; None to go on.
            config: ``{"configurable": {"thread_id": ...}}`` where there is a checkpointer.
            context: Handed to nodes as ``runtime.context``.
            stream_mode: With another mode than ``values``, returns the list of that mode's parts.
            print_mode: Modes whose parts are printed.
            output_keys: Which keys to return.
            interrupt_before: Breakpoints of this run: names of nodes, ``"*"`` for all, or a dict from names
                to conditions (a function of the state's values; None: always).
            interrupt_after: The same after nodes.
            durability: ``sync``, ``async`` (default) or ``exit``: when records must be on disk.
            control: To ask the run to stop at the next step (``RunControl``).
            version: ``v2`` returns a ``GraphOutput``.
            more: ``multitask_strategy``: what becomes of a new input while a run of the thread is going on:
                ``enqueue`` (default: it is accepted at once and runs after that one), ``reject``,
                ``interrupt`` or ``rollback``; and old names of these.

        Returns:
            The state's output keys; with ``__interrupt__`` in it when somebody is asked.

        Raises:
            Whatever a node raises; GraphRecursionError; InvalidUpdateError; OwnershipConflictError when
            another run of the thread is going on, and this is no new input or rejects to wait;
            SupersededError when a newer input took the place of this run; RunCancelledError when somebody
            cancelled it.
        """
        call = Call(graph=self, input=input, config=config, context=context, stream_mode=stream_mode,
                    print_mode=print_mode, output_keys=self._shown(output_keys),
                    interrupt_before=interrupt_before,
                    interrupt_after=interrupt_after, durability=durability, control=control, version=version,
                    more=more)  # fmt: skip
        if not call.quiet():
            return _collected(list(self._stream(call)), call)
        run, _ = call.begin(sync_host(self), quiet=True)
        for _ in iterate(followed(run, call.input)):
            pass
        return call.result(run)

    async def ainvoke(
        self,
        input: Any,  # noqa: A002  # LangGraph's name
        config: Config | None = None,
        *,
        context: Any = None,
        stream_mode: str | Sequence[str] = "values",
        print_mode: str | Sequence[str] = (),
        output_keys: str | Sequence[str] | None = None,
        interrupt_before: Breakpoints | None = None,
        interrupt_after: Breakpoints | None = None,
        durability: str | None = None,
        control: Any = None,
        version: str = "v1",
        **more: Any,
    ) -> Any:
        """``invoke`` for asyncio callers; async nodes run on the loop, sync ones on threads."""
        call = Call(graph=self, input=input, config=config, context=context, stream_mode=stream_mode,
                    print_mode=print_mode, output_keys=self._shown(output_keys),
                    interrupt_before=interrupt_before,
                    interrupt_after=interrupt_after, durability=durability, control=control, version=version,
                    more=more)  # fmt: skip
        if not call.quiet():
            return _collected([part async for part in self._astream(call)], call)
        run, _ = call.begin(loop_host(), quiet=True)
        async for _ in followed(run, call.input):
            pass
        return call.result(run)

    def stream(
        self,
        input: Any,  # noqa: A002  # LangGraph's name
        config: Config | None = None,
        *,
        context: Any = None,
        stream_mode: str | Sequence[str] | None = None,
        print_mode: str | Sequence[str] = (),
        output_keys: str | Sequence[str] | None = None,
        interrupt_before: Breakpoints | None = None,
        interrupt_after: Breakpoints | None = None,
        durability: str | None = None,
        control: Any = None,
        subgraphs: bool = False,
        debug: bool | None = None,
        version: str = "v1",
        **more: Any,
    ) -> Iterator[Any]:
        """Run the graph and yield what happens.

        Args:
            stream_mode: ``values`` (the state after each step), ``updates`` (what each node wrote),
            ``messages``
                (tokens of chat models), ``custom`` (what nodes write to their stream writer), ``tasks``,
                ``checkpoints``, ``debug`` (both); or a list of them, then parts are pairs of mode and data.
            subgraphs: Also show what happens in graphs inside nodes; parts come with a namespace.
            debug: Print updates and values.
            version: ``v2`` yields dicts: ``type``, ``ns``, ``data``.
            input, config, context, print_mode, output_keys, interrupt_before, interrupt_after, durability,
            control,
                more: See ``invoke``.
        """
        yield from self._stream(
            Call(graph=self, input=input, config=config, context=context, stream_mode=stream_mode,
                 print_mode=print_mode, output_keys=output_keys, interrupt_before=interrupt_before,
                 interrupt_after=interrupt_after, durability=durability, control=control, subgraphs=subgraphs,
                 debug=debug, version=version, more=more)
        )  # fmt: skip

    async def astream(
        self,
        input: Any,  # noqa: A002  # LangGraph's name
        config: Config | None = None,
        *,
        context: Any = None,
        stream_mode: str | Sequence[str] | None = None,
        print_mode: str | Sequence[str] = (),
        output_keys: str | Sequence[str] | None = None,
        interrupt_before: Breakpoints | None = None,
        interrupt_after: Breakpoints | None = None,
        durability: str | None = None,
        control: Any = None,
        subgraphs: bool = False,
        debug: bool | None = None,
        version: str = "v1",
        **more: Any,
    ) -> AsyncIterator[Any]:
        """``stream`` for asyncio callers."""
        parts = self._astream(
            Call(graph=self, input=input, config=config, context=context, stream_mode=stream_mode,
                 print_mode=print_mode, output_keys=output_keys, interrupt_before=interrupt_before,
                 interrupt_after=interrupt_after, durability=durability, control=control, subgraphs=subgraphs,
                 debug=debug, version=version, more=more)
        )  # fmt: skip
        async with aclosing(parts):
            async for part in parts:
                yield part

    # -- cache -------------------------------------------------------------------------------

    def clear_cache(self, nodes: Sequence[str] | None = None) -> None:
        """Forget the cached results of these nodes, or of all.

        Raises:
            ValueError: The graph has no cache.
        """
        self._cache().clear(namespaces(self.plan, nodes))

    async def aclear_cache(self, nodes: Sequence[str] | None = None) -> None:
        """``clear_cache`` for asyncio callers."""
        await self._cache().aclear(namespaces(self.plan, nodes))

    def _cache(self) -> Any:
        if self.cache is None:
            raise ValueError("No cache is set for this graph. Cannot clear cache.")
        return self.cache

    def stream_events(
        self,
        input: Any,  # noqa: A002  # LangGraph's name
        config: Config | None = None,
        *,
        version: str = "v2",
        **more: Any,
    ) -> GraphRunStream:
        """Run the graph, driven by whoever reads what this returns: see ``dashflow.pregel.events``."""
        from dashflow.pregel.events import stream_events

        return stream_events(self, input, config, version=version, **more)

    def astream_events(
        self,
        input: Any,  # noqa: A002  # LangGraph's name
        config: Config | None = None,
        *,
        version: str = "v2",
        **more: Any,
    ) -> AsyncIterator[Any] | Awaitable[AsyncGraphRunStream]:
        """``stream_events`` for asyncio callers; LangChain's events for ``v1`` and ``v2``."""
        from dashflow.pregel.events import astream_events

        return astream_events(self, input, config, version=version, **more)

    # -- inside -------------------------------------------------------------------------------

    def _shown(self, keys: str | Sequence[str] | None) -> str | Sequence[str]:
        return self.plan.output if keys is None else keys

    def _stream(self, call: Call) -> Iterator[Any]:
        run, shape = call.begin(sync_host(self))
        for part in iterate(followed(run, call.input)):
            yield from shape.show(part)

    async def _astream(self, call: Call) -> AsyncGenerator[Any, None]:
        run, shape = call.begin(loop_host())
        async with aclosing(followed(run, call.input)) as steps:
            async for part in steps:
                for shown in shape.show(part):
                    yield shown


def _collected(parts: list[Any], call: Call) -> Any:
    """What ``invoke`` returns of a run that showed more than its result."""
    if call.stream_mode != "values":
        return parts
    if call.version == "v2":
        interrupts = tuple(one for part in parts for one in part["interrupts"])
        return GraphOutput(value=parts[-1]["data"] if parts else None, interrupts=interrupts)
    return parts[-1] if parts else None
