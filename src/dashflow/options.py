"""RunOptions: LangChain's config dict and a run's keyword arguments, parsed once at the edge.

Inside the engine nobody looks into config dicts; nodes that want one get a new one made from this.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, cast

import msgspec

from dashflow._util.reserved import CONFIG_KEY_DURABILITY, CONFIG_KEY_NODE_FINISHED, CONFIG_KEY_STRICT_RESUME
from dashflow.errors import UsageError
from dashflow.runtime import RunControl
from dashflow.types.breakpoints import Breakpoints

_STRATEGY = "multitask_strategy"
STRATEGIES = ("reject", "enqueue", "interrupt", "rollback")
"""What may become of a new input for a thread whose run is going on."""

DEFAULT_RECURSION_LIMIT = int(os.environ.get("LANGGRAPH_DEFAULT_RECURSION_LIMIT", "10007"))
Durability = Literal["sync", "async", "exit"]
UNLISTED = frozenset(
    {
        "thread_id",
        "checkpoint_id",
        "checkpoint_ns",
        "checkpoint_map",
        _STRATEGY,
        "langgraph_step",
        "langgraph_node",
        "langgraph_triggers",
        "langgraph_path",
        "langgraph_checkpoint_ns",
    }
)


_SHOWN = frozenset(
    {"thread_id", "checkpoint_id", "checkpoint_ns", "task_id", "run_id", "assistant_id", "graph_id"}
)
"""Keys of ``configurable`` that a run's metadata shows too."""


class RunOptions(msgspec.Struct, frozen=True):
    """How one run is to go.

    Attributes:
        thread: ``configurable["thread_id"]`` as text; "" when not given.
        checkpoint: ``configurable["checkpoint_id"]``, to go on from an old checkpoint.
        recursion_limit: Supersteps after which ``GraphRecursionError`` is raised.
        durability: When records must be on disk.
        max_concurrency: How many tasks of a step run at a time.
        config: The config as given, merged; a new dict.
        context: What the caller passed as ``context``.
        interrupt_before: Breakpoints before these nodes, or ``"*"``, or nodes and on which condition.
        interrupt_after: The same after them.
        around: ``configurable["checkpoint_map"]``: checkpoints by namespace, to go back to graphs inside
        tasks.
        strict_resume: Whether an answer to no pending question is refused.
        control: Can be asked to drain the run; None: the one of the run around, or one nobody else has.
        step_timeout: Seconds that a superstep may take; None: any.
        finished: Told the name of every node that is done: ``configurable["__pregel_node_finished"]``.
        tracer: Follows the run (``dashflow.pregel.tracing``); None when nobody does.
        asked: What the caller asked for and the graph does not say, as ``RunStarted.options`` has it.
        strategy: What becomes of a new input while a run of the thread is going on: ``reject``, ``enqueue``,
            ``interrupt`` or ``rollback``; ``configurable["multitask_strategy"]``.
        attempt: Of a run that is taken over from an owner that died: how often that happened; else 0.
        meter: Counts what the run uses (``dashflow.engine.meter``); None without a budget.
        partials: Knows what models have written and not finished (``dashflow.pregel.partials``), or None.
    """

    thread: str
    checkpoint: str | None
    recursion_limit: int
    durability: Durability
    max_concurrency: int | None
    config: dict[str, Any]
    context: Any = None
    interrupt_before: Breakpoints = ()
    interrupt_after: Breakpoints = ()
    around: Mapping[str, str] = {}
    strict_resume: bool = False
    control: RunControl | None = None
    step_timeout: float | None = None
    finished: Callable[[str], object] | None = None
    tracer: Any = None
    asked: dict[str, Any] = {}
    attempt: int = 0
    strategy: str = "enqueue"
    meter: Any = None
    partials: Any = None

    @property
    def metadata(self) -> dict[str, Any]:
        """What checkpoints of this run keep of the config: its metadata and plain configurables."""
        merged: dict[str, Any] = {}
        sources = (self.config.get("configurable") or {}, self.config.get("metadata") or {})
        for source in sources:
            for key, value in source.items():
                if key in UNLISTED or key.startswith("__"):
                    continue
                if isinstance(value, str):
                    merged[key] = value.replace("\0", "")
                elif isinstance(value, int | float | bool):
                    merged[key] = value
        return merged


def merge_configs(*configs: Mapping[str, Any] | None) -> dict[str, Any]:
    """One config out of several; later ones win, tags, callbacks and dicts are joined.

    Tags that the first one has are not added again: a graph gets the config around it from its
    surroundings and from its caller.
    """
    merged: dict[str, Any] = {}
    inherited: Sequence[str] = (configs[0].get("tags") if configs and configs[0] else None) or ()
    for config in configs:
        for key, value in (config or {}).items():
            if value is None:
                continue
            if key in ("metadata", "configurable"):
                merged[key] = {**merged.get(key, {}), **value}
            elif key == "tags":
                known = merged.get(key)
                merged[key] = (
                    list(value)
                    if known is None
                    else [*known, *(tag for tag in value if tag not in inherited)]
                )
            elif key == "callbacks":
                merged[key] = _merge_callbacks(merged.get(key), value)
            else:
                merged[key] = value
    return merged


def _merge_callbacks(known: Any, more: Any) -> Any:
    """Two values of ``callbacks``: lists of handlers, or LangChain's managers of such lists."""
    if known is None:
        return more.copy()
    if isinstance(known, list) and isinstance(more, list):
        return [*known, *(handler for handler in more if handler not in known)]
    if isinstance(known, list) or isinstance(more, list):
        manager, handlers = (more, known) if isinstance(known, list) else (known, more)
        manager = manager.copy()
        for handler in handlers:
            manager.add_handler(handler, inherit=True)
        return manager
    return known.merge(more)


def _asked(
    limit: int,
    concurrency: int | None,
    before: Breakpoints | None,
    after: Breakpoints | None,
) -> dict[str, Any]:
    """See ``RunOptions.asked``. Of breakpoints with a condition the name is kept: they always stop then."""
    asked: dict[str, Any] = {}
    if limit != DEFAULT_RECURSION_LIMIT:
        asked["limit"] = limit
    if concurrency is not None:
        asked["concurrency"] = concurrency
    if before:
        asked["before"] = before if isinstance(before, str) else [*before]
    if after:
        asked["after"] = after if isinstance(after, str) else [*after]
    return asked


def parse_options(
    *configs: Mapping[str, Any] | None,
    durability: str | None = None,
    context: Any = None,
    interrupt_before: Breakpoints | None = None,
    interrupt_after: Breakpoints | None = None,
    breakpoints: tuple[Breakpoints, Breakpoints] = ((), ()),
    control: RunControl | None = None,
    step_timeout: float | None = None,
    strategy: str | None = None,
) -> RunOptions:
    """Parse config dicts (defaults first) and keyword arguments; ``breakpoints`` are the graph's own, before
    and after nodes, for a caller who names none.

    Raises:
        ValueError: ``recursion_limit`` is below 1.
        UsageError: ``durability`` is none of ``sync``, ``async``, ``exit``; or the strategy is none.
    """
    config = merge_configs(*configs)
    configurable = config.setdefault("configurable", {})
    if not _SHOWN.isdisjoint(configurable):
        found = {key: value for key, value in configurable.items() if key in _SHOWN and value}
        config["metadata"] = {**found, **config.get("metadata", {})}
    limit = config.setdefault("recursion_limit", DEFAULT_RECURSION_LIMIT)
    if limit < 1:
        raise ValueError("recursion_limit must be at least 1")
    if durability not in (None, "sync", "async", "exit"):
        raise UsageError(f"durability must be 'sync', 'async' or 'exit', not {durability!r}.")
    if strategy is None and _STRATEGY in configurable:
        strategy = configurable[_STRATEGY]
    strategy = strategy or "enqueue"
    if strategy not in STRATEGIES:
        raise UsageError(f"multitask_strategy must be one of {', '.join(STRATEGIES)}, not {strategy!r}.")
    concurrency = config.get("max_concurrency")
    special = limit != DEFAULT_RECURSION_LIMIT or concurrency or interrupt_before or interrupt_after
    asked = _asked(limit, concurrency, interrupt_before, interrupt_after) if special else {}
    if durability is not None:  # graphs inside find it here
        configurable[CONFIG_KEY_DURABILITY] = durability
    thread = configurable.get("thread_id")
    around = configurable.get("checkpoint_map") or {}
    checkpoint = configurable.get("checkpoint_id") or None
    if configurable.get("checkpoint_ns"):  # it names a graph inside; the map says where the outermost is
        checkpoint = None
    checkpoint = around.get("", checkpoint)
    return RunOptions(
        thread="" if thread is None else str(thread),
        checkpoint=checkpoint,
        recursion_limit=limit,
        durability=cast("Durability", durability or configurable.get(CONFIG_KEY_DURABILITY) or "async"),
        max_concurrency=concurrency,
        config=config,
        context=context,
        interrupt_before=interrupt_before or breakpoints[0],
        interrupt_after=interrupt_after or breakpoints[1],
        around=around,
        strict_resume=bool(configurable.get(CONFIG_KEY_STRICT_RESUME)),
        control=control,
        step_timeout=step_timeout,
        finished=configurable.get(CONFIG_KEY_NODE_FINISHED),
        asked=asked,
        strategy=strategy,
    )
