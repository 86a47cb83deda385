"""Threads in a LangGraph saver of somebody else's, as the engine sees them. Speaks only the saver's own
methods.

The guarantees are those of LangGraph: the interface has no compare-and-append, so nothing is fenced here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from dashflow._util.sentinel import MISSING
from dashflow.channels.binop import BinaryOperatorAggregate
from dashflow.channels.delta import DeltaChannel
from dashflow.checkpoint.base.checkpoint import WRITES_IDX_MAP, CheckpointTuple
from dashflow.checkpoint.imported import content_of, numbering
from dashflow.checkpoint.view import mapped, naming
from dashflow.core.events import StateEdited
from dashflow.core.fold import EMPTY, ThreadState
from dashflow.core.plan import GraphPlan
from dashflow.core.superstep import Live
from dashflow.engine.history import Place, Worker, Writes
from dashflow.engine.ports import Host
from dashflow.engine.saver_pen import SaverPen
from dashflow.errors import UnknownCheckpointError
from dashflow.options import RunOptions

if TYPE_CHECKING:
    from dashflow.engine.turn import Turn


class SaverHistory:
    """A thread in a saver.

    Args:
        host: The world.
        saver: The saver.
        plan: The graph that looks: savers rebuild some channels with its help.
        thread: Id of the thread.
        ns: Namespace in it.
        config: The caller's; what it says beside the place is handed to the saver.
    """

    diffs = False
    stops = None

    def __init__(
        self,
        host: Host,
        saver: Any,
        plan: GraphPlan,
        thread: str,
        ns: str = "",
        config: Mapping[str, Any] | None = None,
    ) -> None:
        self.host = host
        self.saver = saver
        self.plan = plan
        self.thread = thread
        self.ns = ns
        self.config = dict(config or {})

    def nested(self, ns: str, host: Host, plan: GraphPlan) -> SaverHistory:
        """See ``History.nested``."""
        return SaverHistory(host, self.saver, plan, self.thread, ns, self.config)

    # -- calls -----------------------------------------------------------------------------------

    async def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Call a method of the saver: the asynchronous one where the host is."""
        act = self.method(method)
        return await self.host.call(lambda: act(*args, **kwargs), blocking=not self.host.asynchronous)

    def method(self, name: str) -> Any:
        """A method of the saver: the asynchronous one where the host is."""
        return getattr(self.saver, f"a{name}" if self.host.asynchronous else name)

    def placed(self, checkpoint: str | None) -> dict[str, Any]:
        """The config that names a checkpoint, with all else that the caller's says."""
        configurable = {
            **(self.config.get("configurable") or {}),
            "thread_id": self.thread,
            "checkpoint_ns": self.ns,
            "checkpoint_id": checkpoint,
        }
        return {**self.config, "configurable": configurable}

    async def tuple_at(self, checkpoint: str | None) -> CheckpointTuple | None:
        """What the saver has there."""
        found: CheckpointTuple | None = await self.call("get_tuple", self.placed(checkpoint))
        return found

    async def listed(
        self,
        limit: int | None = None,
        before: str | None = None,
        matching: Any = None,
        where: Mapping[str, Any] | None = None,
    ) -> list[CheckpointTuple]:
        """What the saver has, newest first: of this namespace, or of what ``where`` says instead."""
        bound = None if before is None else self.placed(before)
        place = self.placed(None)
        place["configurable"].pop("checkpoint_id")
        if where is not None:
            place = {**place, "configurable": dict(where)}
        if not self.host.asynchronous:
            found = await self.call("list", place, before=bound, limit=limit, filter=matching)
            return list(found)

        async def collect() -> list[CheckpointTuple]:
            found = self.saver.alist(place, before=bound, limit=limit, filter=matching)
            return [one async for one in found]

        collected: list[CheckpointTuple] = await self.host.call(collect, blocking=False)
        return collected

    # -- reading ---------------------------------------------------------------------------------

    async def locate(
        self, checkpoint: str | None, before: str | None = None, *, looking: bool = False
    ) -> Place:
        """See ``History.locate``."""
        if before is not None:
            earlier = await self.listed(1, before, None)
            saved = earlier[0] if earlier else None
        else:
            saved = await self.tuple_at(checkpoint)
            if saved is None and checkpoint is not None:
                raise UnknownCheckpointError(self.thread, checkpoint)
        if saved is None:
            return Place(EMPTY, 0, before is not None)
        superseded = False
        if checkpoint is not None and not looking:
            latest = await self.tuple_at(None)
            superseded = latest is not None and latest.checkpoint["id"] != saved.checkpoint["id"]
        return Place(await self.state_of(saved), 1, checkpoint is not None or before is not None, superseded)

    async def list(
        self, *, before: str | None, matching: Mapping[str, Any] | None, limit: int | None
    ) -> Sequence[ThreadState]:
        """See ``History.list``."""
        return [await self.state_of(saved) for saved in await self.listed(limit, before, matching)]

    async def state_of(self, saved: CheckpointTuple) -> ThreadState:
        """A saver's checkpoint as a folded state."""
        checkpoint: dict[str, Any] = {**saved.checkpoint}
        metadata: dict[str, Any] = {**(saved.metadata or {})}
        values = dict(checkpoint.get("channel_values") or {})
        versions = dict(checkpoint.get("channel_versions") or {})
        values.update(await self._rebuilt(saved, values, versions))
        content = content_of(checkpoint, metadata, values, versions, self.host.now())
        identifier = str(checkpoint["id"])
        parent = (saved.parent_config or {}).get("configurable", {}).get("checkpoint_id") or ""
        rows = _by_task(saved)
        return msgspec.structs.replace(
            EMPTY,
            version=1,
            checkpoint=1,
            at=content.at,
            step=content.step,
            source=content.source,
            meta=content.meta,
            values=content.values,
            versions=content.versions,
            seen=content.seen,
            updated=content.updated,
            id=identifier,
            parent_id=parent,
            labels={**content.labels, **_older(checkpoint, versions)},
            layout=content.layout,
            loose={identifier: rows} if rows else {},
            parents=dict(metadata.get("parents") or {}),
        )

    async def _rebuilt(
        self, saved: CheckpointTuple, values: Mapping[str, Any], versions: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The values of channels that the saver keeps as writes only."""
        names = [
            name
            for name, channel in self.plan.channels.items()
            if name in versions
            and name not in values
            and isinstance(channel, DeltaChannel | BinaryOperatorAggregate)
        ]
        if not names:
            return {}
        histories = await self.call("get_delta_channel_history", config=saved.config, channels=names)
        rebuilt = {}
        for name in names:
            told = histories[name]
            channel: Any = self.plan.channels[name].from_checkpoint(told.get("seed", MISSING))
            if isinstance(channel, DeltaChannel):
                channel.replay_writes(told["writes"])
            else:  # it was a delta channel before; each write by itself, as each may overwrite
                for _, _, value in told["writes"]:
                    channel.update([value])
            rebuilt[name] = channel.snapshot()
        return rebuilt

    # -- writing ---------------------------------------------------------------------------------

    def turn(self, plan: GraphPlan, options: RunOptions, given: Any) -> Turn | None:
        """See ``History.turn``: savers of others know of no owner, so nothing waits."""
        return None

    def pen(self, plan: GraphPlan, place: Place, run: str, durability: str) -> SaverPen:
        """See ``History.pen``."""
        return SaverPen(self, plan, place, durability)

    async def edit(
        self,
        plan: GraphPlan,
        place: Place,
        event: StateEdited,
        live: Live,
        results: Sequence[tuple[Worker, Writes]],
    ) -> dict[str, Any]:
        """See ``History.edit``."""
        pen = SaverPen(self, plan, place, "sync")
        pen.deltas.branch()
        for worker, writes in results:
            if place.superseded:
                pen.deltas.force(writes)
            elif place.state.checkpoint:
                await pen.put_writes(list(writes), worker.id, worker.path)
        parent = place.state.parent_id if event.copied else None
        identifier = await pen.put(live, event.source, event.step, place.state.parents, copied_of=parent)
        return mapped(naming(self.thread, self.ns, identifier), place.state.parents)


def _older(checkpoint: Mapping[str, Any], versions: Mapping[str, Any]) -> dict[str, tuple[int, Any]]:
    """All versions that a checkpoint speaks of and how the saver calls them, under names no channel has."""
    seen = [v for known in (checkpoint.get("versions_seen") or {}).values() for v in known.values()]
    number = numbering([*versions.values(), *seen])
    return {f"\0{n}": (n, label) for label, n in number.items()}


def _by_task(saved: CheckpointTuple) -> dict[tuple[str, str], list[list[Any]]]:
    """The writes at a checkpoint, by task, numbered as savers number them."""
    found: dict[tuple[str, str], list[list[Any]]] = {}
    for task, channel, value in saved.pending_writes or ():
        rows = found.setdefault(("", task), [])
        rows.append([WRITES_IDX_MAP.get(channel, len(rows)), channel, value])
    return found
