"""Branches in an event log: a stream that begins where another one was. One event makes one."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from dashflow.checkpoint.events import to_new
from dashflow.checkpoint.lines import CATEGORY, MARK, stream_of
from dashflow.checkpoint.recording import begun_in, is_there, shortener_of, shortening
from dashflow.checkpoint.thread import ThreadReader
from dashflow.checkpoint.view import name_of, places, timestamp
from dashflow.core.events import (
    BranchStarted,
    CheckpointImported,
    CheckpointsForgotten,
    Event,
    RunStarted,
    StateEdited,
    StepCompleted,
)
from dashflow.core.fold import EMPTY, ThreadState
from dashflow.core.merge import Contribution
from dashflow.core.plan import GraphPlan
from dashflow.core.superstep import Live
from dashflow.core.written import resolve
from dashflow.engine.branches import Line, LineStep, ordered, thread_names
from dashflow.engine.journal import give_back
from dashflow.engine.log_history import LogHistory
from dashflow.engine.ports import Host
from dashflow.errors import (
    BranchExistsError,
    OwnershipConflictError,
    UnknownCheckpointError,
    UsageError,
    VersionConflictError,
)
from dashflow.log.base import EVERYTHING, Append
from dashflow.log.ids import EventIds
from dashflow.types.branches import ThreadBranch

Writes = list[tuple[str, Any]]


class LogBranches:
    """See ``Branches``.

    Args:
        host: The world.
        reader: The log's threads.
        plan: The graph, if it is known: tells whose writes can be read off a change.
    """

    def __init__(self, host: Host, reader: ThreadReader, plan: GraphPlan | None = None) -> None:
        self.host = host
        self.reader = reader
        self._trusted = plan.trusted if plan is not None else frozenset[str]()

    # -- beginning and ending ---------------------------------------------------------------------

    async def begin(self, thread: str, checkpoint: str | None, name: str) -> ThreadBranch:
        """See ``Branches.begin``."""
        host, reader = self.host, self.reader
        version, state = await host.read(lambda: self._place(thread, checkpoint))
        event = BranchStarted(name, thread, version, name_of(stream_of(thread), state), state.step)
        at = host.now()
        new = to_new(event, EventIds(host.entropy(), at).next(), at, "", b"", "")
        for identifier in thread_names(thread, name):
            try:
                await host.append(reader.log, Append(stream_of(identifier), (new,), 0, unowned=True))
            except VersionConflictError:
                branch = await self._found(identifier)
                if branch is not None and (branch.parent, branch.name) == (thread, name):
                    raise BranchExistsError(thread, name, identifier) from None
                continue
            return await self._stays(identifier, checkpoint, begun_at=version)
        raise AssertionError("there are more names than threads")

    async def _stays(self, identifier: str, checkpoint: str | None, begun_at: int) -> ThreadBranch:
        """The branch that was just made, unless what it began with was dropped at the same moment."""
        host, reader = self.host, self.reader
        began = await host.read(lambda: reader.lines.beginning(identifier))
        assert began is not None
        thread = began.event.thread
        shortener = await host.read(lambda: shortener_of(reader, thread))
        if not shortener and await host.read(lambda: is_there(reader, thread, begun_at)):
            found = await self._found(identifier)
            assert found is not None
            return found
        await self._forget(identifier)
        reader.lines.forget(identifier)
        if shortener:
            raise OwnershipConflictError(stream_of(thread), shortener)
        return await self.begin(thread, checkpoint, began.event.name)

    async def _forget(self, thread: str, ns: str = "") -> None:
        """Drop a stream's events. Claimed first, see ``recording.shortener_of``."""
        host, lines, stream = self.host, self.reader.lines, stream_of(thread, ns)
        at = host.now()
        event = CheckpointsForgotten(all=True, base=0)
        new = to_new(event, EventIds(host.entropy(), at).next(), at, "", b"", "")
        owner = shortening(self.reader, host.entropy())
        claimed = await host.append(lines, Append(stream, (), owner=owner, claim=True))
        forget = 0 if await host.read(lambda: begun_in(self.reader, thread)) else EVERYTHING
        await host.append(
            lines, Append(stream, (new,), owner=owner, epoch=claimed.epoch, release=True, forget=forget)
        )

    def _place(self, thread: str, checkpoint: str | None) -> tuple[int, ThreadState]:
        """The version at which a branch begins, and the state there.

        Where nobody ran the thread while it was at that checkpoint: with all that was asked and done, but not
        with answers that led on from there. Else, as the checkpoint was made.
        """
        reader, stream = self.reader, stream_of(thread)
        head = reader.head(thread)
        if not head.checkpoint:
            raise UsageError(f"Thread {thread!r} has no checkpoint where a branch could begin; run it first.")
        if checkpoint is None or checkpoint == name_of(stream, head):
            if head.status != "running":
                return head.version, head
            wanted: ThreadState | None = head
        else:
            wanted = places(reader, stream).get(checkpoint)
        if checkpoint is not None and wanted is None:
            raise UnknownCheckpointError(thread, checkpoint)
        assert wanted is not None
        there = [state for state in reader.history(thread) if state.checkpoint == wanted.checkpoint]
        if not there:
            raise UsageError(
                f"Checkpoint {checkpoint!r} of thread {thread!r} was put in by hand beside what the thread "
                "did; no branch can begin there. Copy it with update_state(config, None, '__copy__') first."
            )
        state = next((state for state in reversed(there) if state.status != "running"), there[0])
        return state.version, state

    async def all_of(self, thread: str) -> list[ThreadBranch]:
        """See ``Branches.all_of``."""
        return await self.host.read(lambda: self._list(thread))

    def _list(self, thread: str) -> list[ThreadBranch]:
        infos = self.reader.log.streams(category=CATEGORY, prefix=stream_of(thread) + MARK)
        found = [self._branch(info.stream.removeprefix(f"{CATEGORY}-"), info.owner) for info in infos]
        return ordered([one for one in found if one is not None and self._descends(one, thread)], thread)

    def _descends(self, branch: ThreadBranch, thread: str) -> bool:
        parent = branch.parent
        while parent != thread:
            began = self.reader.lines.beginning(parent)
            if began is None:
                return False
            parent = began.event.thread
        return True

    async def _found(self, thread: str) -> ThreadBranch | None:
        return await self.host.read(lambda: self._branch(thread, ""))

    def _branch(self, thread: str, owner: str) -> ThreadBranch | None:
        """What there is to say of a branch; None: it is none, or was deleted."""
        reader = self.reader
        began, head = reader.lines.beginning(thread), reader.head(thread)
        if began is None or not head.checkpoint:
            return None
        event = began.event
        status = "stopped" if head.status == "running" and not owner else head.status
        return ThreadBranch(
            event.name,
            thread,
            event.thread,
            event.checkpoint,
            event.step,
            name_of(stream_of(thread), head),
            head.step,
            status,
            timestamp(began.at),
        )

    async def delete(self, thread: str) -> None:
        """See ``Branches.delete``; the log keeps the events only for branches that began in this one."""
        host, reader = self.host, self.reader
        for ns in await host.read(lambda: reader.namespaces(thread)):
            await give_back(host, reader, stream_of(thread, ns))
            await self._forget(thread, ns)

    # -- what led to a state ----------------------------------------------------------------------

    async def line(self, thread: str, checkpoint: str | None) -> Line:
        """See ``Branches.line``."""
        history = LogHistory(self.host, self.reader, thread)
        place = await history.locate(checkpoint, looking=True)
        if not place.state.checkpoint:
            raise UsageError(f"Thread {thread!r} has no checkpoint; run it first.")
        steps: dict[Hashable, LineStep] = {}
        await self.host.read(lambda: self._walk(thread, place.state.version, steps, set()))
        return Line(thread, name_of(stream_of(thread), place.state), place, history, steps)

    def _walk(
        self, thread: str, version: int, steps: dict[Hashable, LineStep], seen: set[tuple[str, int]]
    ) -> None:
        if (thread, version) in seen:
            return
        seen.add((thread, version))
        before = EMPTY
        for record, event, state in self.reader.line(thread, version):
            if record.position not in steps:
                done = _contribution(event, before, state, self._trusted)
                steps[record.position] = LineStep(record.position, thread, record.version, done)
                if isinstance(event, StateEdited) and event.merged:
                    self._walk(event.merged[0], event.merged[1], steps, seen)
            before = state

    async def state(self, step: LineStep) -> tuple[str, ThreadState]:
        """See ``Branches.state``."""
        state = await self.host.read(lambda: self.reader.at(step.thread, step.at))
        return name_of(stream_of(step.thread), state), self.reader.own(state)

    async def edit(
        self, line: Line, source: Line, plan: GraphPlan | None, event: StateEdited, live: Live
    ) -> dict[str, Any]:
        """See ``Branches.edit``."""
        return await line.history.edit(plan, line.place, event, live, ())  # type: ignore[arg-type]  # not used


def _contribution(
    event: Event, before: ThreadState, after: ThreadState, trusted: frozenset[str]
) -> Contribution:
    """What an event did to the channels, as writes where it tells any."""
    if isinstance(event, CheckpointImported) and event.latest:
        return Contribution((), frozenset(after.values))
    if not isinstance(event, StepCompleted | StateEdited | RunStarted) or event.change is None:
        return Contribution(())
    if isinstance(event, StateEdited) and event.merged:  # what was merged counts by itself
        return Contribution(())
    writes = _writes(event, before, after, trusted)
    told, change = {chan for chan, _ in writes}, event.change
    return Contribution(writes, frozenset({*change.put, *change.ops, *change.cleared} - told))


def _writes(
    event: StepCompleted | StateEdited | RunStarted,
    before: ThreadState,
    after: ThreadState,
    trusted: frozenset[str],
) -> Writes:
    writes: Writes = []
    if isinstance(event, StepCompleted):
        for key in sorted(before.done, key=_task_order):
            writes += before.done[key]
        if event.wrote:
            writes += resolve(event.wrote[2], after.values)
    elif isinstance(event, StateEdited):
        for _, _, told in event.wrote:
            writes += resolve(told, after.values)
    elif event.change is not None:  # of a command's update only the outcome is told
        for chan, op in event.change.ops.items():
            if chan in trusted and op[0] == "l" and _appends(op[1:], before.values.get(chan)):
                writes.append((chan, op[1][2]))
    return writes


def _appends(splices: Sequence[Any], value: Any) -> bool:
    """Whether splices of a list only add to its end."""
    return len(splices) == 1 and isinstance(value, list) and splices[0][:2] == [len(value), 0]


def _task_order(key: str) -> tuple[int, int, str]:
    """Tasks as a step joins them: nodes by name, then packets by number."""
    return (1, int(key[1:]), "") if key.startswith("#") and key[1:].isdigit() else (0, 0, key)
