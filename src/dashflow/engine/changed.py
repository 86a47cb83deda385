"""A thread comes to a graph that is not the one it was left by: it is brought to it, or refused.

Decides before anything is recorded and before any node runs. What is wrong, ``dashflow.core.changed`` says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from dashflow._util.reserved import BRANCH_TO, TASKS, stable
from dashflow.core.changed import nodes_at_stake, values_at_stake
from dashflow.core.fingerprint import JOIN, changes, fingerprint_of, is_control, parsed
from dashflow.core.fold import ThreadState, move
from dashflow.core.moved import Moved
from dashflow.core.plan import GraphPlan
from dashflow.core.superstep import Live, next_tasks, revive
from dashflow.engine.history import History, Place
from dashflow.engine.setting import Setting
from dashflow.engine.task import Scope
from dashflow.errors import IncompatibleGraphError, Obstacle
from dashflow.types.commands import Send
from dashflow.types.migrations import Migration


class Meeting:
    """A thread and a graph.

    Args:
        plan: The graph.
        thread: Id of the thread.
        ns: Namespace in it.
        place: Where the thread is.
        recorded: Whether what is done here will be recorded; if not, no value may be changed.

    Attributes:
        place: Where the thread is, as the graph's migrations have it.
        moved: What they did; None: nothing.

    Raises:
        IncompatibleGraphError: A function of a migration raised, or changes what a task has written already;
            or a value would be lost or misread.
    """

    def __init__(self, plan: GraphPlan, thread: str, ns: str, place: Place, *, recorded: bool = True) -> None:
        self._plan = plan
        self._thread = thread
        self._ns = ns
        self._recorded = recorded
        state = place.state
        self.moved: Moved | None = None
        if plan.release.migrations:
            state, self.moved = self._migrate(state)
            place = place._replace(state=state)
        self.place = place
        self._raise(state, values_at_stake(plan, state))

    def check(self, live: Live, state: ThreadState, *, fresh: bool) -> None:
        """See that the graph knows the work that waits in the thread.

        Args:
            live: The thread's channels.
            state: The thread, as it was brought here.
            fresh: Whether the step begins anew.

        Raises:
            IncompatibleGraphError: It does not; or the run is pinned to another version.
        """
        self._raise(state, self._pin(state))
        self._raise(state, nodes_at_stake(self._plan, live, state, fresh=fresh))

    async def look_inside(self, setting: Setting, history: History, state: ThreadState) -> None:
        """``check`` for graphs inside the nodes that wait; of graphs inside these, each sees to its own.

        Args:
            setting: Names tasks.
            history: The thread, in its namespace.
            state: The thread, as it was brought here.
        """
        waiting = state.questions.keys() | state.errors.keys()
        for task in next_tasks(self._plan, setting.live):
            graphs: Any = getattr(task.node.source, "subgraphs", None) or ()
            if task.key not in waiting or len(graphs) != 1 or graphs[0].checkpointer is False:
                continue
            plan, ns = graphs[0].plan, Scope(setting, task).namespace
            ns = stable(ns) if graphs[0].checkpointer is True else ns
            place = await history.nested(ns, setting.host, plan).locate(None)
            if place.state.checkpoint and place.state.print != plan.print:
                inner = Meeting(plan, self._thread, ns, place, recorded=self._recorded)
                state_there = inner.place.state
                seen = {name: dict(versions) for name, versions in state_there.seen.items()}
                live = Live({}, dict(state_there.versions), seen, None, state_there.step + 1)
                revive(plan, state_there.values, live)
                inner.check(live, state_there, fresh=False)

    def _pin(self, state: ThreadState) -> Iterable[Obstacle]:
        release = self._plan.release
        if not state.pinned or (state.release and state.release == release.version):
            return
        called = f"version {state.release!r}" if state.release else f"the graph {state.print}"
        yield Obstacle(
            "pinned",
            "",
            f"its run is pinned to {called}, and this is version {release.version!r}",
            "let a process that has that version go on with it, or give the run up with a new input",
        )

    def _raise(self, state: ThreadState, found: Iterable[Obstacle]) -> None:
        obstacles = [*found]
        if obstacles:
            raise self._error(state, obstacles)

    def _error(self, state: ThreadState, obstacles: list[Obstacle]) -> IncompatibleGraphError:
        was = parsed(state.shape) if state.shape else None
        told = "" if was is None else ", ".join(changes(was, fingerprint_of(self._plan)))
        return IncompatibleGraphError(self._thread, self._ns, told, obstacles)

    # -- migrations -----------------------------------------------------------------------------

    def _migrate(self, state: ThreadState) -> tuple[ThreadState, Moved | None]:
        release = self._plan.release
        at, total, before = state.release, Moved(since=state.release), state
        for one in release.migrations:
            if one.since is None:
                step = self._renames(one, state)
            elif self._recorded and one.since == at != release.version:
                step, at = self._renames(one, state, everything=True), one.to or release.version
            else:
                continue
            state = move(state, step)
            if one.since is not None:
                put = self._values(one, before, state)
                state = move(state, Moved(put=put))
                step = msgspec.structs.replace(step, put=put)
            total = _both(total, step)
        empty = not (total.nodes or total.keys or total.dropped or total.put)
        # Renamed at once, so that what was is told by the names that were there.
        return (before, None) if empty else (move(before, total), total)

    def _renames(self, one: Migration, state: ThreadState, *, everything: bool = False) -> Moved:
        """Those of a migration's names that the thread has, and the graph has not."""
        nodes, keys = _nodes_in(state), state.versions.keys() | state.values.keys() | _written(state)
        mine = self._plan
        return Moved(
            {
                old: new
                for old, new in one.nodes.items()
                if old in nodes and (everything or old not in mine.nodes)
            },
            {
                old: new
                for old, new in one.keys.items()
                if old in keys and (everything or old not in mine.channels)
            },
            [name for name in one.dropped if name in keys and (everything or name not in mine.channels)],
        )

    def _values(self, one: Migration, before: ThreadState, state: ThreadState) -> dict[str, Any]:
        """What a migration makes of the thread's values."""
        written = _written(state)
        put: dict[str, Any] = {}
        for key, upcast in one.upcasts.items():
            if key in written:
                raise self._error(before, [_pending(key)])
            if key in state.values:
                put[key] = self._call(before, key, upcast, state.values[key])
        if one.fill is not None:
            known = {key: value for key, value in state.values.items() if not is_control(key)} | put
            given = self._call(before, "", one.fill, known)
            if not isinstance(given, Mapping):
                problem = f"fill returned a {type(given).__name__}, not a dict"
                raise self._error(before, [Obstacle("migration", "", problem, "mend it")])
            put.update(given)
        if unknown := sorted(put.keys() - self._plan.channels.keys()):
            problem = f"it gives a value to {unknown[0]!r}, which the graph does not have"
            raise self._error(before, [Obstacle("migration", unknown[0], problem, "mend it")])
        return put

    def _call(self, state: ThreadState, key: str, function: Any, value: Any) -> Any:
        try:
            return function(value)
        except Exception as error:
            problem = f"the migration of {key!r}" if key else "the migration's fill"
            told = Obstacle("migration", key, f"{problem} raised {type(error).__name__}: {error}", "mend it")
            raise self._error(state, [told]) from error


def _pending(key: str) -> Obstacle:
    return Obstacle(
        "migration",
        key,
        f"the migration changes {key!r}, to which a task of the step that goes on has written already",
        "let the version that it knows complete the step",
    )


def _both(one: Moved, other: Moved) -> Moved:
    """One move and then another, as one."""
    keys = _chained(one.keys, other.keys)
    gone = set(other.dropped)
    put = {other.keys.get(key, key): value for key, value in one.put.items() if key not in gone}
    dropped = [*one.dropped, *(old for old, new in one.keys.items() if new in gone)]
    kept = {old: new for old, new in keys.items() if one.keys.get(old, old) not in gone}
    dropped += [name for name in other.dropped if name not in one.keys.values()]
    return Moved(_chained(one.nodes, other.nodes), kept, dropped, {**put, **other.put}, one.since)


def _chained(one: Mapping[str, str], other: Mapping[str, str]) -> dict[str, str]:
    left = dict(other)
    chained = {old: left.pop(new, new) for old, new in one.items()}
    return {**left, **chained}


def _nodes_in(state: ThreadState) -> set[str]:
    """Names of nodes that a thread speaks of."""
    found = {*state.seen, *state.names.values()}
    sent = state.values.get(TASKS)
    if isinstance(sent, list | tuple):
        found.update(one.node for one in sent if isinstance(one, Send))
    for name in state.versions:
        if name.startswith(BRANCH_TO):
            found.add(name.removeprefix(BRANCH_TO))
        elif name.startswith(JOIN):
            starts, _, end = name.removeprefix(JOIN).rpartition(":")
            found.update((*starts.split("+"), end))
    return found


def _written(state: ThreadState) -> set[str]:
    """Channels that tasks of the present step have written to."""
    return {chan for writes in state.done.values() for chan, _ in writes}
