"""What a compiled graph can be asked about its threads: states, history, edits. Sync and async
side by side."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dashflow._util.drive import drive
from dashflow._util.reserved import CONFIG_KEY_CHECKPOINTER, stable, way_to
from dashflow.engine import state_api
from dashflow.engine.history import History
from dashflow.engine.parts import Parts
from dashflow.engine.ports import Host
from dashflow.engine.setting import Setting
from dashflow.options import parse_options
from dashflow.pregel.start import THREAD_WANTED, history_in, loop_host, sync_host
from dashflow.types.commands import StateUpdate
from dashflow.types.snapshots import StateSnapshot

if TYPE_CHECKING:
    from dashflow.pregel.shape import GraphShape

Config = Mapping[str, Any]


class Look:
    """A compiled graph looking at one thread, in one namespace, on one host."""

    def __init__(self, graph: GraphShape, host: Host, config: Config, *, editing: bool = False) -> None:
        lent = (config.get("configurable") or {}).get(CONFIG_KEY_CHECKPOINTER)
        saver = lent or graph.checkpointer
        if saver is None or isinstance(saver, bool):
            raise ValueError("No checkpointer set")
        self.graph, self.config = _addressed(graph, config, saver, editing)
        self.saver = saver
        self.host = host
        options = parse_options(self.graph.config, self.config)
        given = (self.config.get("configurable") or {}).get("checkpoint_ns") or ""
        self.ns = stable(given) if self.graph.checkpointer is True else given
        if not options.thread:
            raise ValueError(THREAD_WANTED)
        self.options = options
        # With a checkpoint map the config names the checkpoint of this namespace.
        self.checkpoint = options.config["configurable"].get("checkpoint_id") or None
        self.history: History = history_in(saver, self.graph.plan, host, options, self.ns)

    def setting(self) -> Setting:
        """Names things as a run of the thread would."""
        graph = self.graph
        return Setting(
            self.host, graph.plan, self.options, Parts(frozenset(), graph.plan.stream),
            self.history, graph.store, None, self.ns,
        )  # fmt: skip

    async def state(self, subgraphs: bool) -> StateSnapshot:
        """The thread at a checkpoint, or its latest state."""
        found = await state_api.current(self.setting(), self.history, self.checkpoint)
        if found is None:
            configurable = {
                k: v for k, v in self.options.config["configurable"].items() if k != CONFIG_KEY_CHECKPOINTER
            }
            return state_api.empty_snapshot({"configurable": configurable})
        return await self._with_inner(found) if subgraphs else found

    async def _with_inner(self, found: StateSnapshot) -> StateSnapshot:
        """The snapshot with those of the graphs inside its tasks."""
        if not any(task.state for task in found.tasks):
            return found
        from dashflow.pregel.subgraphs import subgraphs_of

        inner = dict(subgraphs_of(self.graph))
        tasks = []
        for task in found.tasks:
            if isinstance(task.state, dict) and task.name in inner:
                given: dict[str, Any] = task.state["configurable"]
                configurable = {**given, CONFIG_KEY_CHECKPOINTER: self.saver}
                state = await Look(inner[task.name], self.host, {"configurable": configurable}).state(True)
                task = task._replace(state=state)
            tasks.append(task)
        return found._replace(tasks=tuple(tasks))

    async def states(
        self, matching: Mapping[str, Any] | None, before: Config | None, limit: int | None
    ) -> list[StateSnapshot]:
        """All of the thread's states, newest first."""
        bound = before["configurable"].get("checkpoint_id") if before else None
        return await state_api.history_of(
            self.setting(), self.history, matching=matching, before=bound, limit=limit
        )

    async def update(self, supersteps: Sequence[Sequence[StateUpdate]]) -> dict[str, Any]:
        """Edit the thread."""
        return await state_api.update(self.setting(), self.history, self.checkpoint, supersteps)


def _addressed(graph: GraphShape, config: Config, saver: Any, editing: bool) -> tuple[GraphShape, Config]:
    """The graph that a config's namespace speaks of: this one, or one inside its nodes.

    Raises:
        ValueError: An edit is for a graph that is not known.
    """
    configurable = config.get("configurable") or {}
    namespace = configurable.get("checkpoint_ns") or ""
    if not namespace or CONFIG_KEY_CHECKPOINTER in configurable:
        return graph, config
    from dashflow.pregel.subgraphs import subgraphs_of

    names = way_to(namespace)
    for _, inner in subgraphs_of(graph, names, recurse=True):
        return inner, {**config, "configurable": {**configurable, CONFIG_KEY_CHECKPOINTER: saver}}
    if editing:
        raise ValueError(f"Subgraph {names} not found")
    return graph, config


class ThreadMethods:
    """The part of ``Pregel`` that looks at threads and edits them."""

    def _look(self, config: Config, *, editing: bool = False) -> Look:
        return Look(self, sync_host(self), config, editing=editing)  # type: ignore[arg-type]  # a Pregel

    def _alook(self, config: Config, *, editing: bool = False) -> Look:
        return Look(self, loop_host(), config, editing=editing)  # type: ignore[arg-type]  # a Pregel

    def get_state(self, config: Config, *, subgraphs: bool = False) -> StateSnapshot:
        """The thread's latest state, or the one at ``checkpoint_id``.

        What it shows is what the log holds now. Its values, tasks and questions are made when they are read,
        and are the caller's own: to open a long thread costs no more than a short one.

        Args:
            config: Names the thread; with ``checkpoint_ns``, a graph inside a node.
            subgraphs: Also show the states of graphs inside the tasks.

        Raises:
            ValueError: The graph has no checkpointer, or ``config`` no thread.
            UnknownCheckpointError: The thread has no such checkpoint.
            ValueCodecError: When values are read, and one is of a class that is not registered.
        """
        return drive(self._look(config).state(subgraphs))

    async def aget_state(self, config: Config, *, subgraphs: bool = False) -> StateSnapshot:
        """``get_state`` for asyncio callers."""
        return await self._alook(config).state(subgraphs)

    def get_state_history(
        self,
        config: Config,
        *,
        filter: Mapping[str, Any] | None = None,  # noqa: A002  # LangGraph's name
        before: Config | None = None,
        limit: int | None = None,
    ) -> Iterator[StateSnapshot]:
        """All checkpoints of the thread, newest first, each as ``get_state`` shows it; ``filter`` compares
        metadata."""
        yield from drive(self._look(config).states(filter, before, limit))

    async def aget_state_history(
        self,
        config: Config,
        *,
        filter: Mapping[str, Any] | None = None,  # noqa: A002  # LangGraph's name
        before: Config | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[StateSnapshot]:
        """``get_state_history`` for asyncio callers."""
        for snapshot in await self._alook(config).states(filter, before, limit):
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
        return self.bulk_update_state(config, [[StateUpdate(values, as_node, task_id)]])

    async def aupdate_state(
        self, config: Config, values: Any, as_node: str | None = None, task_id: str | None = None
    ) -> dict[str, Any]:
        """``update_state`` for asyncio callers."""
        return await self.abulk_update_state(config, [[StateUpdate(values, as_node, task_id)]])

    def bulk_update_state(
        self, config: Config, supersteps: Sequence[Sequence[StateUpdate]]
    ) -> dict[str, Any]:
        """Several edits in order, each of updates that belong together; see ``update_state``.

        Raises:
            ValueError: There is no checkpointer, or nothing to do.
        """
        return drive(self._look(config, editing=True).update(supersteps))

    async def abulk_update_state(
        self, config: Config, supersteps: Sequence[Sequence[StateUpdate]]
    ) -> dict[str, Any]:
        """``bulk_update_state`` for asyncio callers."""
        return await self._alook(config, editing=True).update(supersteps)
