"""Pregel: what a compiled graph can be asked to do. Every method is a few lines over engine flows.

Sync and async methods stand side by side and do the same on another host. Nothing is decided here but
how arguments become options and how parts are shown.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any

from msgspec.structs import replace

from dashflow._util.drive import drive, iterate
from dashflow._util.scope import CURRENT
from dashflow.checkpoint.saver import LogSaver
from dashflow.checkpoint.thread import ThreadReader
from dashflow.core.plan import GraphPlan
from dashflow.engine import state_api
from dashflow.engine.parts import SUPPORTED, Part, Parts
from dashflow.engine.ports import Host
from dashflow.engine.run import GraphRun
from dashflow.engine.task import Scope
from dashflow.hosts.sync import SyncHost
from dashflow.options import RunOptions, merge_configs, parse_options
from dashflow.pregel.described import Described
from dashflow.pregel.shape import GraphShape
from dashflow.pregel.tracing import followed, inherited_config, tracer_for
from dashflow.types.interrupts import Interrupt
from dashflow.types.snapshots import StateSnapshot

Config = Mapping[str, Any]


class Pregel(GraphShape, Described[Any, Any, Any, Any]):
    """A compiled graph: see ``GraphShape`` for how one is made of nodes and channels."""

    def with_config(self, config: Config | None = None, **more: Any) -> Pregel:
        """A copy with other defaults for its runs' config."""
        return self.copy({"config": merge_configs(self.config, config, more)})

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
        output_keys: str | Sequence[str] | None = None,
        interrupt_before: Sequence[str] | str | None = None,
        interrupt_after: Sequence[str] | str | None = None,
        durability: str | None = None,
    ) -> Any:
        """Run the graph to its end or to the next question.

        Args:
            input: The first update of the state; a ``Command`` to answer or steer; None to go on.
            config: ``{"configurable": {"thread_id": ...}}`` where there is a checkpointer.
            context: Handed to nodes as ``runtime.context``.
            stream_mode: With another mode than ``values``, returns the list of that mode's parts.
            output_keys: Which keys to return.
            interrupt_before: Static breakpoints of this run.
            interrupt_after: The same after nodes.
            durability: ``sync``, ``async`` (default) or ``exit``: when records must be on disk.

        Returns:
            The state's output keys; with ``__interrupt__`` in it when somebody is asked.

        Raises:
            Whatever a node raises; GraphRecursionError; InvalidUpdateError; OwnershipConflictError when
            another run of the thread is going on.
        """
        options = self._options(config, context, interrupt_before, interrupt_after, durability)
        if stream_mode != "values":
            return list(self.stream(input, config, context=context, stream_mode=stream_mode,
                                    output_keys=output_keys, interrupt_before=interrupt_before,
                                    interrupt_after=interrupt_after, durability=durability))  # fmt: skip
        run = self._run(
            self._host or SyncHost(), options, input, frozenset(), output_keys or self.plan.output
        )
        for _ in iterate(followed(run, input)):
            pass
        return _result(run)

    async def ainvoke(
        self,
        input: Any,  # noqa: A002  # LangGraph's name
        config: Config | None = None,
        *,
        context: Any = None,
        stream_mode: str | Sequence[str] = "values",
        output_keys: str | Sequence[str] | None = None,
        interrupt_before: Sequence[str] | str | None = None,
        interrupt_after: Sequence[str] | str | None = None,
        durability: str | None = None,
    ) -> Any:
        """``invoke`` for asyncio callers; async nodes run on the loop, sync ones on threads."""
        options = self._options(config, context, interrupt_before, interrupt_after, durability)
        if stream_mode != "values":
            parts = self.astream(input, config, context=context, stream_mode=stream_mode,
                                 output_keys=output_keys, interrupt_before=interrupt_before,
                                 interrupt_after=interrupt_after, durability=durability)  # fmt: skip
            return [part async for part in parts]
        run = self._run(_loop_host(), options, input, frozenset(), output_keys or self.plan.output)
        async for _ in followed(run, input):
            pass
        return _result(run)

    def stream(
        self,
        input: Any,  # noqa: A002  # LangGraph's name
        config: Config | None = None,
        *,
        context: Any = None,
        stream_mode: str | Sequence[str] | None = None,
        output_keys: str | Sequence[str] | None = None,
        interrupt_before: Sequence[str] | str | None = None,
        interrupt_after: Sequence[str] | str | None = None,
        durability: str | None = None,
        subgraphs: bool = False,
    ) -> Iterator[Any]:
        """Run the graph and yield what happens: ``values`` (the state after each step), ``updates``
        (what each node wrote) or ``custom`` (what nodes write to their stream writer).

        With a list of modes, yields pairs of mode and data; with ``subgraphs``, the namespace before them.
        """
        options = self._options(config, context, interrupt_before, interrupt_after, durability)
        modes, shape = _modes(stream_mode, self.stream_mode, subgraphs)
        run = self._run(self._host or SyncHost(), options, input, modes, output_keys or self.plan.stream)
        if subgraphs:
            run.listen(modes)
        for part in iterate(followed(run, input)):
            yield _shaped(part, shape)

    async def astream(
        self,
        input: Any,  # noqa: A002  # LangGraph's name
        config: Config | None = None,
        *,
        context: Any = None,
        stream_mode: str | Sequence[str] | None = None,
        output_keys: str | Sequence[str] | None = None,
        interrupt_before: Sequence[str] | str | None = None,
        interrupt_after: Sequence[str] | str | None = None,
        durability: str | None = None,
        subgraphs: bool = False,
    ) -> AsyncIterator[Any]:
        """``stream`` for asyncio callers."""
        options = self._options(config, context, interrupt_before, interrupt_after, durability)
        modes, shape = _modes(stream_mode, self.stream_mode, subgraphs)
        run = self._run(_loop_host(), options, input, modes, output_keys or self.plan.stream)
        if subgraphs:
            run.listen(modes)
        steps = followed(run, input)
        try:
            async for part in steps:
                yield _shaped(part, shape)
        finally:
            await steps.aclose()

    # -- looking and editing ------------------------------------------------------------------

    def get_state(self, config: Config, *, subgraphs: bool = False) -> StateSnapshot:
        """The thread's latest state, or the one at ``checkpoint_id``.

        Raises:
            ValueError: The graph has no checkpointer, or ``config`` no thread.
            UnknownCheckpointError: The thread has no such checkpoint.
        """
        host, run = self._looker(config)
        return drive(host.read(lambda: state_api.current(run, self.plan, self._reader())))

    async def aget_state(self, config: Config, *, subgraphs: bool = False) -> StateSnapshot:
        """``get_state`` for asyncio callers."""
        _, run = self._looker(config)
        return await _loop_host().read(lambda: state_api.current(run, self.plan, self._reader()))

    def get_state_history(
        self,
        config: Config,
        *,
        filter: Mapping[str, Any] | None = None,  # noqa: A002  # LangGraph's name
        before: Config | None = None,
        limit: int | None = None,
    ) -> Iterator[StateSnapshot]:
        """All checkpoints of the thread, newest first; ``filter`` compares metadata."""
        _, run = self._looker(config)
        bound = before["configurable"].get("checkpoint_id") if before else None
        yield from state_api.history(
            run, self.plan, self._reader(), matching=filter, before=bound, limit=limit
        )

    async def aget_state_history(
        self,
        config: Config,
        *,
        filter: Mapping[str, Any] | None = None,  # noqa: A002  # LangGraph's name
        before: Config | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[StateSnapshot]:
        """``get_state_history`` for asyncio callers."""
        found = await _loop_host().read(
            lambda: list(self.get_state_history(config, filter=filter, before=before, limit=limit))
        )
        for snapshot in found:
            yield snapshot

    def update_state(
        self, config: Config, values: Any, as_node: str | None = None, task_id: str | None = None
    ) -> dict[str, Any]:
        """Change the thread's state as if ``as_node`` (default: which ran last) had returned ``values``.

        Returns:
            The config of the checkpoint this made; a run can go on from it.

        Raises:
            InvalidUpdateError: Unknown or ambiguous node, or an update the channels cannot take.
            OwnershipConflictError: A run of this thread is going on.
        """
        host, run = self._looker(config)
        return drive(state_api.update(host, run, self.plan, self._reader(), values, as_node))

    async def aupdate_state(
        self, config: Config, values: Any, as_node: str | None = None, task_id: str | None = None
    ) -> dict[str, Any]:
        """``update_state`` for asyncio callers."""
        _, run = self._looker(config)
        return await state_api.update(_loop_host(), run, self.plan, self._reader(), values, as_node)

    # -- inside -------------------------------------------------------------------------------

    def _options(
        self,
        config: Config | None,
        context: Any,
        before: Sequence[str] | str | None,
        after: Sequence[str] | str | None,
        durability: str | None,
    ) -> RunOptions:
        scope = CURRENT.get()
        inherited = inherited_config(scope)
        if isinstance(scope, Scope):  # called by a node: what holds for the node holds here
            context = scope.run.options.context if context is None else context
        return parse_options(
            inherited,
            self.config,
            config,
            durability=durability,
            context=_as_schema(self.context_schema, context),
            interrupt_before=self.interrupt_before_nodes if before is None else before,
            interrupt_after=self.interrupt_after_nodes if after is None else after,
        )

    def _run(
        self, host: Host, options: RunOptions, given: Any, modes: frozenset[str], keys: Sequence[str] | str
    ) -> GraphRun:
        outer = self._outer(options)
        reader = None
        _check_keys(self.plan, keys)
        if outer is None and isinstance(self.checkpointer, LogSaver):
            if not options.thread:
                raise ValueError(
                    "Checkpointer requires one or more of the following 'configurable' keys: "
                    "thread_id, checkpoint_ns, checkpoint_id"
                )
            reader = self.checkpointer.reader
        elif outer is None and _answers(given):
            raise RuntimeError("Cannot use Command(resume=...) without checkpointer")
        tracer = tracer_for(options.config, self.name, asynchronous=host.asynchronous)
        return GraphRun(
            host,
            self.plan,
            options if tracer is None else replace(options, tracer=tracer),
            given,
            Parts(modes, keys),
            reader=reader,
            store=self.store if self.store is not None or outer is None else outer.store,
            outer=outer,
        )

    def _outer(self, options: RunOptions) -> Scope | None:
        """The task that this graph runs inside of; None when it runs by itself, on a thread of its own."""
        scope = CURRENT.get()
        if not isinstance(scope, Scope):
            return None
        if isinstance(self.checkpointer, LogSaver):
            home = scope.outermost.run
            return scope if home.recorded and options.thread == home.options.thread else None
        return scope

    def _reader(self) -> ThreadReader:
        if not isinstance(self.checkpointer, LogSaver):
            raise ValueError("No checkpointer set")
        return self.checkpointer.reader

    def _looker(self, config: Config) -> tuple[Host, GraphRun]:
        """A host, and a run that is never started: it lends the names of tasks."""
        self._reader()
        host = self._host or SyncHost()
        options = self._options(config, None, None, None, None)
        return host, self._run(host, options, None, frozenset(), self.plan.stream)


def _loop_host() -> Host:
    """The asyncio host; imported when first needed, since asyncio takes longer to import than all of this."""
    from dashflow.hosts.aio import AioHost

    return AioHost()


def _as_schema(kind: Any, context: Any) -> Any:
    """``context`` as the graph's schema for it: a dict becomes the dataclass or model."""
    if isinstance(context, dict) and (is_dataclass(kind) or hasattr(kind, "parse_obj")):
        return kind(**context)
    return context


def _check_keys(plan: GraphPlan, keys: Sequence[str] | str) -> None:
    for key in (keys,) if isinstance(keys, str) else keys:
        if key not in plan.channels:
            raise ValueError(f"Key {key} not in channels")


def _answers(given: Any) -> bool:
    return getattr(given, "resume", None) is not None


def _result(run: GraphRun) -> Any:
    """The run's output, with the pending questions in it."""
    output = run.output()
    interrupts: list[Interrupt[Any]] = run.interrupts
    if not interrupts:
        return output
    if isinstance(output, dict):
        return {**output, "__interrupt__": interrupts}
    return {"__interrupt__": interrupts}


def _modes(given: str | Sequence[str] | None, default: str, subgraphs: bool) -> tuple[frozenset[str], int]:
    """The modes to listen to; and how to show parts: 0 data, 1 with mode, 2 with namespace, 3 with both."""
    several = given is not None and not isinstance(given, str)
    names = frozenset({given or default} if given is None or isinstance(given, str) else given)
    unknown = names - SUPPORTED
    if unknown:
        raise ValueError(
            f"Stream mode {', '.join(sorted(unknown))!r} is not known; this version has "
            f"{', '.join(sorted(SUPPORTED))}."
        )
    return names, int(several) + 2 * int(subgraphs)


def _shaped(part: Part, shape: int) -> Any:
    namespace, mode, data = part
    match shape:
        case 0:
            return data
        case 1:
            return (mode, data)
        case 2:
            return (namespace, data)
        case _:
            return (namespace, mode, data)
