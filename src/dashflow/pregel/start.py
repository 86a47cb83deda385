"""Starting a run of a compiled graph: which world, which history, inside of which task. Runs
nothing by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from typing import TYPE_CHECKING, Any

from dashflow._util.reserved import CONFIG_KEY_SCRATCHPAD, stable
from dashflow._util.scope import CURRENT
from dashflow.core.plan import GraphPlan
from dashflow.engine.history import History
from dashflow.engine.log_history import LogHistory
from dashflow.engine.parts import Parts
from dashflow.engine.ports import Host
from dashflow.engine.run import GraphRun
from dashflow.engine.task import Scope
from dashflow.errors import StateValidationError
from dashflow.hosts.sync import SyncHost
from dashflow.options import RunOptions, parse_options
from dashflow.pregel.tracing import inherited_config
from dashflow.runtime import RunControl
from dashflow.types.breakpoints import Breakpoints

if TYPE_CHECKING:
    from dashflow.pregel.shape import GraphShape

Config = Mapping[str, Any]
THREAD_WANTED = (
    "Checkpointer requires one or more of the following 'configurable' keys: "
    "thread_id, checkpoint_ns, checkpoint_id"
)
_COORDINATES = ("thread_id", "checkpoint_ns", "checkpoint_id", "checkpoint_map")


def loop_host() -> Host:
    """The asyncio host; imported when first needed, since asyncio takes longer to import than all of this."""
    from dashflow.hosts.aio import AioHost

    return AioHost()


def sync_host(graph: GraphShape) -> Host:
    """The world of synchronous calls: the caller's, or one that was given to the graph."""
    return graph._host or SyncHost()


def scope_of(config: Config | None) -> Scope | None:
    """The task that a graph called with ``config`` runs inside of; None when it runs by itself.

    A config that names a thread or checkpoint of its own, and does not come from the task, speaks of a run
    apart.
    """
    configurable = (config or {}).get("configurable") or {}
    given = configurable.get(CONFIG_KEY_SCRATCHPAD)
    if isinstance(given, Scope):
        return given
    if _apart(config):
        return None
    scope = CURRENT.get()
    return scope if isinstance(scope, Scope) else None


def _apart(config: Config | None) -> bool:
    """Whether a config names a thread or checkpoint."""
    configurable = (config or {}).get("configurable") or {}
    return any(configurable.get(key) for key in _COORDINATES)


def options_of(
    graph: GraphShape,
    config: Config | None,
    *,
    context: Any = None,
    interrupt_before: Breakpoints | None = None,
    interrupt_after: Breakpoints | None = None,
    durability: str | None = None,
    control: RunControl | None = None,
    strategy: str | None = None,
) -> tuple[RunOptions, Scope | None]:
    """What a call's arguments come to; and the task it is made from."""
    outer = scope_of(config)
    inherited = inherited_config(outer)
    if outer is None and inherited is not None and _apart(config):
        inherited = {key: value for key, value in inherited.items() if key != "configurable"}
    if outer is not None:  # called by a node: what holds for the node holds here
        context = outer.run.options.context if context is None else context
        durability = durability or outer.run.options.durability
    options = parse_options(
        inherited,
        graph.config,
        config,
        durability=durability,
        context=context if graph.context_schema is None else _as_schema(graph, context),
        interrupt_before=interrupt_before,
        interrupt_after=interrupt_after,
        breakpoints=(graph.interrupt_before_nodes, graph.interrupt_after_nodes),
        control=control,
        step_timeout=graph.step_timeout,
        strategy=strategy,
    )
    return options, outer


def start(
    graph: GraphShape,
    host: Host,
    options: RunOptions,
    outer: Scope | None,
    given: Any,
    modes: frozenset[str],
    keys: Sequence[str] | str,
) -> GraphRun:
    """A run, ready to begin; nobody follows it yet.

    Raises:
        ValueError: There is a saver and no thread, or a key that is no channel.
        RuntimeError: An answer, and no saver that knows the question.
    """
    check_keys(graph.plan, keys)
    namespace, history = "", None
    if outer is None:
        history = root_history(graph, host, options)
        if history is None and getattr(given, "resume", None) is not None:
            raise RuntimeError("Cannot use Command(resume=...) without checkpointer")
    else:
        namespace = outer.next_namespace()
        if graph.checkpointer is True:
            namespace = stable(namespace)
        if graph.checkpointer is not False and outer.run.lent is not None:
            history = outer.run.lent.nested(namespace, host, graph.plan)
    store = graph.store if outer is None or outer.store is None else outer.store
    cache = graph.cache if outer is None or outer.run.cache is None else outer.run.cache
    return GraphRun(
        host, graph.plan, options, given, Parts(modes, keys),
        history=history, store=store, cache=cache, outer=outer, namespace=namespace,
    )  # fmt: skip


def root_history(graph: GraphShape, host: Host, options: RunOptions) -> History | None:
    """Where the thread of a graph that runs by itself is kept; None: nowhere."""
    saver = graph.checkpointer
    if saver is True:
        raise RuntimeError("checkpointer=True cannot be used for root graphs.")
    if saver is None or saver is False:
        return None
    if not options.thread:
        raise ValueError(THREAD_WANTED)
    return history_in(saver, graph.plan, host, options)


def history_in(saver: Any, plan: GraphPlan, host: Host, options: RunOptions, ns: str = "") -> History:
    """A thread in a saver. Only our own savers, by exact type, are windows on a log: whoever
    changes one means it."""
    if type(saver).__dict__.get("drives_log"):
        return LogHistory(host, saver.reader, options.thread, ns)
    from dashflow.engine.saver_history import SaverHistory  # only for savers of somebody else

    return SaverHistory(host, saver, plan, options.thread, ns, options.config)


def _as_schema(graph: GraphShape, context: Any) -> Any:
    """``context`` as the graph's schema for it: a dict becomes the dataclass or model.

    Raises:
        StateValidationError: It breaks a rule of that schema.
    """
    kind = graph.context_schema
    if isinstance(context, dict) and (is_dataclass(kind) or hasattr(kind, "parse_obj")):
        context = kind(**context)
    check = graph.context_check
    if check is not None and context is not None and (broken := check(context)) is not None:
        raise StateValidationError("context", broken.path or "context", broken.value, broken.rule)
    return context


def check_keys(plan: GraphPlan, keys: Sequence[str] | str) -> None:
    """Raises ValueError for a key that is no channel."""
    for key in (keys,) if isinstance(keys, str) else keys:
        if key not in plan.channels:
            raise ValueError(f"Key {key} not in channels")
