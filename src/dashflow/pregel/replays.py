"""Replaying a recorded thread with a graph as it is now. Sync and async side by side."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, cast

from dashflow._util.drive import drive
from dashflow._util.reserved import way_to
from dashflow.checkpoint.thread import ThreadReader, stream_of
from dashflow.core.events import CheckpointsForgotten
from dashflow.engine.log_history import LogHistory
from dashflow.engine.ports import Host
from dashflow.errors import UsageError
from dashflow.pregel.start import loop_host, sync_host
from dashflow.pregel.threads import Look

if TYPE_CHECKING:
    from dashflow.engine.rehearsal import Found, Wanted
    from dashflow.pregel.shape import GraphShape
    from dashflow.types.replays import ThreadReplay

Config = Mapping[str, Any]
Run = bool | Collection[str]
"""Which nodes are run again: all, none, or these."""


class ReplayMethods:
    """The part of ``Pregel`` that compares it with what was recorded."""

    def replay(self, config: Config, *, run: Run = False, routes: bool | None = None) -> ThreadReplay:
        """Follow what was recorded of a thread, and tell the first place where this graph does otherwise.

        Nothing is recorded. Without ``run`` no code of nodes and conditional edges is called, only reducers
        and what reads the state: it is decided anew at every superstep which tasks come next, and what nodes
        wrote is applied again.

        Args:
            config: Names the thread; all of it is replayed, as it led to its latest checkpoint, with the
                graphs inside.
            run: Nodes that come to the same for the same input and do no harm when they run again: True for
                all, or names. They run, and what they write is compared.
            routes: Whether to ask the conditional edges of nodes that are not run; by default with ``run``.

        Raises:
            UsageError: There is no such thread, a name is no node, or the checkpointer keeps no events.
            ValueError: The graph has no checkpointer, or ``config`` no thread.
        """
        host = sync_host(cast("GraphShape", self))
        return drive(_replayed(cast("GraphShape", self), host, config, run, routes))

    async def areplay(self, config: Config, *, run: Run = False, routes: bool | None = None) -> ThreadReplay:
        """``replay`` for asyncio callers; for ``run`` with nodes that are coroutine functions."""
        return await _replayed(cast("GraphShape", self), loop_host(), config, run, routes)


async def _replayed(
    graph: GraphShape, host: Host, config: Config, run: Run, routes: bool | None
) -> ThreadReplay:
    from dashflow.types.replays import ThreadReplay

    look = _look(graph, host, config)
    reader, thread = look.history.reader, look.options.thread
    if graph.plan.release.migrations and (told := await _migrated(look)) is not None:
        return told
    namespaces = await host.read(lambda: reader.namespaces(thread))
    graphs = _graphs(graph, namespaces)
    wanted = _wanted(graphs, run, routes)
    found: list[Found] = []
    unchecked: list[str] = []
    answers: dict[str, Any] = {}
    for ns, inner in graphs.items():
        if inner is None:
            unchecked.append(f"the graph inside {way_to(ns)!r}, which is not found in this one")
            continue
        found.append(await _rehearsed(look, inner, host, ns, wanted, answers))
        unchecked += found[-1].unchecked
    met = [one.divergence for one in found if one.divergence is not None]
    steps, ran = sum(one.steps for one in found), sum(one.ran for one in found)
    reason = next((one.reason for one in found if one.reason), "")
    return ThreadReplay(
        thread,
        "diverged" if met else "not_replayable" if reason else "same",
        found[0].status,
        steps,
        ran,
        min(met, key=lambda one: one.position, default=None),
        reason,
        tuple(dict.fromkeys(unchecked)),
    )


async def _migrated(look: Look) -> ThreadReplay | None:
    """What is said of a thread of an earlier version, which has other names; None where nothing moves it."""
    from dashflow.engine.trial import tried
    from dashflow.types.replays import ThreadReplay

    fit = await tried(look.setting(), look.history)
    if fit.verdict != "migrated":
        return None
    since = f" of version {fit.version!r}" if fit.version else ""
    reason = f"Its run was{since}; it would be brought here: {', '.join(fit.migrated)}."
    return ThreadReplay(fit.thread_id, "migrated", fit.status, reason=reason)


class _LogLook(Look):
    """A look at a thread that is kept in a log."""

    history: LogHistory


def _look(graph: GraphShape, host: Host, config: Config) -> _LogLook:
    look = Look(graph, host, config)
    if look.ns or look.checkpoint:
        raise UsageError(
            "A whole thread is replayed: leave checkpoint_ns and checkpoint_id out. What led to an old "
            "checkpoint can be replayed in a branch that begins there."
        )
    if not isinstance(look.history, LogHistory):
        raise UsageError(
            f"{type(look.saver).__name__} keeps checkpoints, and no record of what led to them: only threads "
            "in savers of DashFlow can be replayed."
        )
    if not is_there(look.history.reader, look.options.thread):
        raise UsageError(f"There is no thread {look.options.thread!r}, so there is nothing to replay.")
    return cast(_LogLook, look)


def is_there(reader: ThreadReader, thread: str) -> bool:
    """Whether a log has a thread, and not only what is left of one that was deleted."""
    stream = stream_of(thread)
    last = reader.lines.read(stream, after=max(reader.lines.version(stream) - 1, 0))
    if not last or last[-1].type != CheckpointsForgotten.type:
        return bool(last)
    return not getattr(reader.event(last[-1], stream), "all", False)


def _graphs(graph: GraphShape, namespaces: Collection[str]) -> dict[str, GraphShape | None]:
    """By namespace, the graph whose thread is there; None where no node is known to run one."""
    from dashflow.pregel.subgraphs import subgraphs_of

    found: dict[str, GraphShape | None] = {"": graph}
    for ns in namespaces:
        if ns:
            inner = next((one for _, one in subgraphs_of(graph, way_to(ns), recurse=True)), None)
            found[ns] = inner if hasattr(inner, "plan") else None
    return found


def _wanted(graphs: Mapping[str, GraphShape | None], run: Run, routes: bool | None) -> Wanted:
    from dashflow.engine.rehearsal import Wanted

    if isinstance(run, bool):
        return Wanted(lambda name: run, run if routes is None else routes)
    names = {run} if isinstance(run, str) else set(run)
    known = {name for graph in graphs.values() if graph is not None for name in graph.plan.nodes}
    if unknown := sorted(names - known):
        raise UsageError(f"There is no node {unknown[0]!r} to run. Nodes: {', '.join(sorted(known))}.")
    return Wanted(names.__contains__, bool(names) if routes is None else routes)


async def _rehearsed(
    look: _LogLook, graph: GraphShape, host: Host, ns: str, wanted: Wanted, answers: dict[str, Any]
) -> Found:
    from dashflow.engine.parts import Parts
    from dashflow.engine.rehearsal import Rehearsal
    from dashflow.engine.stage import Stage

    plan = graph.plan
    parts = Parts(frozenset(), plan.stream)
    stage = Stage(host, plan, look.options, parts, None, look.graph.store, None, ns)
    return await Rehearsal(stage, look.history.reader, wanted, answers).play()
