"""The list of a thread's checkpoints, with what the graph knows of the nodes that come next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dashflow._util.sentinel import MISSING
from dashflow.checkpoint.listing import Seen, Waiting, info_of_tuple, list_config, sent, waiting
from dashflow.core.plan import GraphPlan
from dashflow.engine.log_history import LogHistory
from dashflow.engine.ports import Host
from dashflow.engine.saver_history import SaverHistory
from dashflow.pregel.threads import Look
from dashflow.types.branches import CheckpointInfo

if TYPE_CHECKING:
    from dashflow.pregel.shape import GraphShape

Config = Mapping[str, Any]


async def listed(
    graph: GraphShape,
    host: Host,
    thread: str | Config,
    matching: Mapping[str, Any] | None,
    before: str | Config | None,
    limit: int | None,
    subgraphs: bool,
) -> list[CheckpointInfo]:
    """See ``BranchMethods.get_checkpoints``."""
    config: Config = thread if isinstance(thread, Mapping) else {"configurable": {"thread_id": thread}}
    look = Look(graph, host, config)
    saver, name = look.saver, look.options.thread
    bound = before["configurable"].get("checkpoint_id") if isinstance(before, Mapping) else before
    tell = _next_of(look.graph.plan, look.ns)
    wanted = dict(matching) if matching else None
    if isinstance(look.history, LogHistory):

        def every() -> list[CheckpointInfo]:
            return [*saver.get_checkpoints(name, ns=look.ns, filter=wanted, before=bound, limit=limit,
                                           subgraphs=subgraphs, next_of=tell)]  # fmt: skip

        return await host.read(every)
    assert isinstance(look.history, SaverHistory)
    where = list_config(name, look.ns, subgraphs)
    found = await look.history.listed(limit, bound, wanted, where["configurable"])
    return [info_of_tuple(one, tell) for one in found]


def _next_of(plan: GraphPlan, ns: str) -> Waiting:
    """Tells the next nodes of the graph in ``ns``; those of graphs inside by the names of channels."""

    def next_of(
        where: str, values: Mapping[str, Any], versions: Mapping[str, Any], seen: Seen
    ) -> tuple[str, ...]:
        if where != ns:
            return waiting(where, values, versions, seen)
        due = [
            name
            for name, node in plan.nodes.items()
            if any(_wakes(plan, chan, values, versions, seen.get(name, {})) for chan in node.triggers)
        ]
        return (*sent(values), *due)

    return next_of


def _wakes(
    plan: GraphPlan,
    channel: str,
    values: Mapping[str, Any],
    versions: Mapping[str, Any],
    seen: Mapping[str, Any],
) -> bool:
    """Whether a channel has a value that a node has not seen."""
    version, known = versions.get(channel), seen.get(channel)
    if version is None or (known is not None and not version > known):
        return False
    return plan.channels[channel].from_checkpoint(values.get(channel, MISSING)).is_available()
