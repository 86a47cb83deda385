"""Pregel: what a compiled graph can be asked to do. Every method is a few lines over engine flows.

Sync and async methods stand side by side and do the same on another host. Nothing is decided here but
how arguments become options and how parts are shown.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from dashflow._util.drive import iterate
from dashflow.core.plan import GraphPlan
from dashflow.engine.ports import Host
from dashflow.pregel.call import Call
from dashflow.pregel.start import loop_host, sync_host
from dashflow.pregel.threads import ThreadMethods
from dashflow.types.checkpointer import ensure_valid_checkpointer
from dashflow.types.snapshots import GraphOutput

Config = Mapping[str, Any]


class Pregel(ThreadMethods):
    """A compiled graph.

    Args:
        plan: The graph as data.
        checkpointer: Keeps its threads; None: those of the graph it is used in; False: never.
        store: Lent to nodes.
        interrupt_before: Static breakpoints before these nodes, or ``"*"``.
        interrupt_after: The same after them.
        name: For people.
        debug: Print every part.
        config: Defaults for every run's config.
        context_schema: A dataclass or model that a dict given as ``context`` is made into.
        host: Runs it somewhere else than where its caller is; for simulations.

    Raises:
        TypeError: ``checkpointer`` is no saver.
    """

    def __init__(
        self,
        plan: GraphPlan,
        *,
        checkpointer: Any = None,
        store: Any = None,
        interrupt_before: Sequence[str] | str = (),
        interrupt_after: Sequence[str] | str = (),
        name: str = "LangGraph",
        debug: bool = False,
        config: Config | None = None,
        context_schema: Any = None,
        host: Host | None = None,
    ) -> None:
        self.plan = plan
        self.checkpointer = ensure_valid_checkpointer(checkpointer)
        self.store = store
        self.interrupt_before_nodes = interrupt_before
        self.interrupt_after_nodes = interrupt_after
        self.name = name
        self.debug = debug
        self.config = dict(config or {})
        self.context_schema = context_schema
        self.stream_mode: str = "values"
        self.output_mapper: Callable[[Any], Any] | None = None
        self.state_mapper: Callable[[Any], Any] | None = None
        self._host = host

    def get_subgraphs(
        self, *, namespace: str | None = None, recurse: bool = False
    ) -> Iterator[tuple[str, Pregel]]:
        """The graphs inside the nodes, by namespace."""
        for name, node in self.plan.nodes.items():
            for graph in getattr(node.body, "subgraphs", ()):
                if namespace is None or namespace == name or (recurse and namespace.startswith(f"{name}|")):
                    yield name, graph
                    if namespace == name:
                        return
                if recurse:
                    inner = None if namespace is None else namespace[len(name) + 1 :]
                    for below, one in graph.get_subgraphs(namespace=inner, recurse=True):
                        yield f"{name}|{below}", one

    def with_config(self, config: Config | None = None, **more: Any) -> Pregel:
        """A copy with other defaults for its runs' config."""
        return self.copy({"config": {**self.config, **(config or {}), **more}})

    def copy(self, update: Mapping[str, Any] | None = None) -> Pregel:
        """A copy with some attributes changed."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin.__dict__.update(update or {})
        return twin

    def with_host(self, host: Host) -> Pregel:
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
        interrupt_before: Sequence[str] | str | None = None,
        interrupt_after: Sequence[str] | str | None = None,
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
            interrupt_before: Static breakpoints of this run.
            interrupt_after: The same after nodes.
            durability: ``sync``, ``async`` (default) or ``exit``: when records must be on disk.
            control: To ask the run to stop at the next step (``RunControl``).
            version: ``v2`` returns a ``GraphOutput``.
            more: Old names of these.

        Returns:
            The state's output keys; with ``__interrupt__`` in it when somebody is asked.

        Raises:
            Whatever a node raises; GraphRecursionError; InvalidUpdateError; OwnershipConflictError when
            another run of the thread is going on.
        """
        call = Call(graph=self, input=input, config=config, context=context, stream_mode=stream_mode,
                    print_mode=print_mode, output_keys=self._shown(output_keys), interrupt_before=interrupt_before,
                    interrupt_after=interrupt_after, durability=durability, control=control, version=version,
                    more=more)  # fmt: skip
        if not call.quiet():
            return _collected(list(self._stream(call)), call)
        run, _ = call.begin(sync_host(self), quiet=True)
        for _ in iterate(run.supersteps()):
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
        interrupt_before: Sequence[str] | str | None = None,
        interrupt_after: Sequence[str] | str | None = None,
        durability: str | None = None,
        control: Any = None,
        version: str = "v1",
        **more: Any,
    ) -> Any:
        """``invoke`` for asyncio callers; async nodes run on the loop, sync ones on threads."""
        call = Call(graph=self, input=input, config=config, context=context, stream_mode=stream_mode,
                    print_mode=print_mode, output_keys=self._shown(output_keys), interrupt_before=interrupt_before,
                    interrupt_after=interrupt_after, durability=durability, control=control, version=version,
                    more=more)  # fmt: skip
        if not call.quiet():
            return _collected([part async for part in self._astream(call)], call)
        run, _ = call.begin(loop_host(), quiet=True)
        async for _ in run.supersteps():
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
        interrupt_before: Sequence[str] | str | None = None,
        interrupt_after: Sequence[str] | str | None = None,
        durability: str | None = None,
        control: Any = None,
        subgraphs: bool = False,
        debug: bool | None = None,
        version: str = "v1",
        **more: Any,
    ) -> Iterator[Any]:
        """Run the graph and yield what happens.

        Args:
            stream_mode: ``values`` (the state after each step), ``updates`` (what each node wrote), ``messages``
                (tokens of chat models), ``custom`` (what nodes write to their stream writer), ``tasks``,
                ``checkpoints``, ``debug`` (both); or a list of them, then parts are pairs of mode and data.
            subgraphs: Also show what happens in graphs inside nodes; parts come with a namespace.
            debug: Print updates and values.
            version: ``v2`` yields dicts: ``type``, ``ns``, ``data``.
            input, config, context, print_mode, output_keys, interrupt_before, interrupt_after, durability, control,
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
        interrupt_before: Sequence[str] | str | None = None,
        interrupt_after: Sequence[str] | str | None = None,
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

    # -- inside -------------------------------------------------------------------------------

    def _shown(self, keys: str | Sequence[str] | None) -> str | Sequence[str]:
        return self.plan.output if keys is None else keys

    def _stream(self, call: Call) -> Iterator[Any]:
        run, shape = call.begin(sync_host(self))
        for part in iterate(run.supersteps()):
            yield from shape.show(part)

    async def _astream(self, call: Call) -> AsyncGenerator[Any, None]:
        run, shape = call.begin(loop_host())
        async with aclosing(run.supersteps()) as steps:
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
