"""Call: the arguments of ``invoke`` and ``stream``, understood once for all four of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from warnings import warn

import msgspec

from dashflow._util.reserved import CONFIG_KEY_BUDGET, CONFIG_KEY_STREAM_MESSAGES_V2, path_of
from dashflow._util.sentinel import MISSING
from dashflow.engine.ports import Host
from dashflow.engine.run import GraphRun
from dashflow.options import RunOptions
from dashflow.pregel.shapes import Shape
from dashflow.pregel.start import options_of, start
from dashflow.pregel.stream_handlers import LISTENING, stream_handlers
from dashflow.pregel.tracing import tracer_for
from dashflow.types.breakpoints import Breakpoints
from dashflow.types.budget import from_told
from dashflow.types.snapshots import GraphOutput
from dashflow.warnings import LangGraphDeprecatedSinceV10

if TYPE_CHECKING:
    from dashflow.pregel.listener import StreamListener
    from dashflow.pregel.shape import GraphShape


class Call(msgspec.Struct, kw_only=True):
    """One call's arguments; see ``Pregel.stream`` for what they mean."""

    graph: Any
    input: Any
    config: Mapping[str, Any] | None = None
    context: Any = None
    stream_mode: str | Sequence[str] | None = None
    print_mode: str | Sequence[str] = ()
    output_keys: str | Sequence[str] | None = None
    interrupt_before: Breakpoints | None = None
    interrupt_after: Breakpoints | None = None
    durability: str | None = None
    control: Any = None
    subgraphs: bool = False
    debug: bool | None = None
    version: str = "v1"
    more: dict[str, Any] = {}

    def quiet(self) -> bool:
        """Whether nothing but the result is asked for."""
        return self.stream_mode == "values" and not self.print_mode and not (self.debug or self.graph.debug)

    def begin(self, host: Host, *, quiet: bool = False) -> tuple[GraphRun, Shape]:
        """A run, ready to begin, and how its parts are shown.

        Args:
            host: The world.
            quiet: Show nothing but the result, that is ``output_keys``.
        """
        graph: GraphShape = self.graph
        options, outer = options_of(
            graph,
            self.config,
            context=self.context,
            interrupt_before=self.interrupt_before,
            interrupt_after=self.interrupt_after,
            durability=self._durability(),
            control=self.control,
            strategy=self.more.get("multitask_strategy") if self.more else None,
        )
        meter = None if outer is not None else self._meter(graph, host, options)
        if meter is not None:
            options = msgspec.structs.replace(options, meter=meter)
        default = graph.stream_mode if outer is None else "values"
        printed = ("updates", "values") if self.debug or graph.debug else self.print_mode
        shape = Shape(
            self.stream_mode or default,
            printed,
            subgraphs=self.subgraphs,
            version=self.version,
            output_mapper=graph.output_mapper,
            state_mapper=graph.state_mapper,
        )
        keys = graph.plan.stream if self.output_keys is None else self.output_keys
        modes = frozenset() if quiet else shape.modes
        run = start(graph, host, options, outer, self.input, modes, keys)
        if self.durability is not None and run.lent is None:
            warn("`durability` has no effect when no checkpointer is present.", stacklevel=4)
        if graph.stream_eager and modes:
            run.attend()
        if self.subgraphs:
            run.listen(modes)
        handlers: Sequence[Any] = () if LISTENING.isdisjoint(modes) else self._handlers(run, modes)
        if meter is not None:
            handlers = (*handlers, meter)
        if outer is None and graph.plan.usable and ("messages" in modes or options.config.get("callbacks")):
            from dashflow.pregel.partials import PartialMessages  # only where models stream

            partials = PartialMessages()
            handlers = (*handlers, partials)
            run.options = options = msgspec.structs.replace(options, partials=partials)
        tracer = tracer_for(
            options.config,
            graph.name,
            asynchronous=host.asynchronous,
            nested=outer is not None,
            handlers=handlers,
            chunks="messages" in modes and self.version != "v2",
        )
        if tracer is not None:
            run.options = msgspec.structs.replace(options, tracer=tracer)
        return run, shape

    def _meter(self, graph: GraphShape, host: Host, options: RunOptions) -> Any:
        """What counts for the run's budget, if it has one."""
        given = options.config["configurable"].get(CONFIG_KEY_BUDGET)
        budget = graph.budget if given is None else given
        if budget is None:
            return None
        from dashflow.engine.meter import Meter  # only those who have a budget pay for it

        if given is not None:
            if isinstance(given, Mapping):
                given = budget = from_told(given)
            options.asked["budget"] = given.told()
        return Meter(host, budget, given=given is not None)

    def _handlers(self, run: GraphRun, modes: frozenset[str]) -> list[StreamListener]:
        """Those that make the parts which come from LangChain's callbacks inside the run."""
        return stream_handlers(
            modes,
            run.overhear,
            subgraphs=self.subgraphs,
            namespace=path_of(run.namespace),
            blocks=self.version == "v2"
            and CONFIG_KEY_STREAM_MESSAGES_V2 in run.options.config["configurable"],
        )

    def _durability(self) -> str | None:
        during = self.more.get("checkpoint_during", MISSING)
        if during is MISSING or during is None:
            return self.durability
        warn(
            "`checkpoint_during` is deprecated and will be removed. Please use `durability` instead.",
            category=LangGraphDeprecatedSinceV10,
            stacklevel=5,
        )
        if self.durability is not None:
            raise ValueError(
                "Cannot use both `checkpoint_during` and `durability` parameters. "
                "Please use `durability` instead."
            )
        return "async" if during else "exit"

    def result(self, run: GraphRun) -> Any:
        """What ``invoke`` returns of a quiet run: the output, with the pending questions in it."""
        output, interrupts = run.output(), run.interrupts
        if self.version == "v2":
            mapper = self.graph.output_mapper
            value = mapper(output) if mapper is not None and isinstance(output, dict) else output
            return GraphOutput(value=value, interrupts=tuple(interrupts))
        if not interrupts:
            return output
        if isinstance(output, dict):
            return {**output, "__interrupt__": interrupts}
        return {"__interrupt__": interrupts}
