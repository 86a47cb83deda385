"""A run's pen for a LangGraph saver: checkpoints and writes as its methods take them, in LangGraph's order.

Holds the saver's names of versions beside the engine's numbers. Reads nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from inspect import Parameter, signature
from typing import Any, Protocol

from dashflow._util.ids import interrupt_id
from dashflow._util.reserved import (
    ERROR,
    ERROR_SOURCE_NODE,
    INPUT,
    INTERRUPT,
    NO_WRITES,
    NS_END,
    NULL_TASK_ID,
    RESUME,
    TASKS,
)
from dashflow._util.sentinel import MISSING
from dashflow.checkpoint.thread import stream_of
from dashflow.checkpoint.view import FORMAT, timestamp
from dashflow.core.events import (
    Event,
    RunFinished,
    RunStarted,
    StepCompleted,
    TaskCompleted,
    TaskFailed,
    TaskInterrupted,
)
from dashflow.core.ids import checkpoint_id
from dashflow.core.plan import GraphPlan
from dashflow.core.superstep import Live
from dashflow.core.untracked import storable, storable_packet
from dashflow.engine.accept import loose_writes
from dashflow.engine.deltas import STUB_STEP, Deltas, input_task_id
from dashflow.engine.halt import NEVER
from dashflow.engine.history import Place, Worker, Writes
from dashflow.engine.payloads import interrupts_of
from dashflow.engine.ports import Host
from dashflow.types.snapshots import DeltaSnapshot


class SaverThread(Protocol):
    """What a pen asks of its thread (``dashflow.engine.saver_history.SaverHistory``)."""

    host: Host
    saver: Any
    thread: str
    ns: str

    def placed(self, checkpoint: str | None) -> dict[str, Any]:
        """The config that names a checkpoint."""
        ...

    def method(self, name: str) -> Any:
        """A method of the saver, as the host wants it."""
        ...

    async def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Call a method of the saver."""
        ...


class SaverPen:
    """Writes one run into a saver.

    Args:
        history: The thread.
        plan: The graph.
        place: Where the run goes on.
        durability: With ``exit``, only the end is written.
    """

    detailed = True

    def __init__(self, history: SaverThread, plan: GraphPlan, place: Place, durability: str) -> None:
        state = place.state
        self.version = state.version
        self.at = 0
        self.open = False
        self.halt = NEVER
        self._history = history
        self._plan = plan
        self._at_exit = durability == "exit"
        self._id: str | None = state.id or None
        self._labels: dict[int, Any] = dict(state.labels.values())
        self._newest: Any = max(self._labels.values(), default=None)
        self._stored: dict[str, Any] = {
            chan: self._labels[number] for chan, number in state.versions.items() if number in self._labels
        }
        self._place = place
        self.deltas = Deltas(plan, state)
        self.reused = self.deltas.used
        self._numbers = dict(state.versions)
        self._command: Writes = []
        # Made here, so that it sorts before every other id of the run.
        self._stub = self._next_name() if plan.delta_channels and self._at_exit and not state.id else ""
        self._parents: Mapping[str, str] = {}
        self._live: Live | None = None
        self._unsaved: tuple[str, str, int] | None = None
        self._parent: str | None = None
        self._held: list[tuple[Writes, str, str]] = []
        self._untracked = plan.untracked
        self._takes_path: bool | None = None
        # A graph inside a task that is done has nothing to say any more, when only ends are kept.
        self._fleeting = NS_END in history.ns

    async def begin(self, event: RunStarted, live: Live, writes: Writes) -> None:
        """See ``Pen.begin``."""
        self.open = True
        self._live = live
        self._parents = event.parents
        self._name_versions(live)
        deltas = self._plan.delta_channels
        if event.kind in ("input", "fork"):
            if deltas:
                await self._begin_deltas(event, writes)
            await self._checkpoint(event.kind, event.step)
            if event.answer:
                await self.put_writes([(RESUME, event.answer[0])], NULL_TASK_ID, "")
            return
        if deltas and (self._place.superseded or event.replay):
            self.deltas.branch()
        if writes:
            self._command = self.deltas.of(writes)
            await self.put_writes(writes, NULL_TASK_ID, "")

    def guard(self, halt: Callable[[int], None]) -> None:
        """See ``Pen.guard``: savers of somebody else have no place where a cancel could be written."""

    async def _begin_deltas(self, event: RunStarted, writes: Writes) -> None:
        """Where an input's writes to delta channels go: to the checkpoint it comes to, if nothing else was
        built on that; else the new checkpoint has the channels whole."""
        deltas, place = self.deltas, self._place
        deltas.branch()
        given = deltas.of(writes[len(loose_writes(place.state)) :] if event.kind == "input" else writes)
        deltas.written(given)
        if event.kind == "fork":
            deltas.force(given)
        elif self._at_exit:
            deltas.hold(event.step, given)
        elif given and place.state.id and not place.addressed:
            await self.put_writes(given, input_task_id(place.state.id), "")
        else:
            deltas.force(given)

    async def record(
        self, event: Event, *, worker: Worker | None = None, error: BaseException | None = None
    ) -> None:
        """See ``Pen.record``."""
        if isinstance(event, StepCompleted):
            assert self._live is not None
            if self._plan.delta_channels:
                self._step_deltas(event.step)
            self._held = []
            self._name_versions(self._live)
            await self._checkpoint("loop", event.step)
            return
        if worker is None:
            return
        writes: Writes = ()
        if isinstance(event, TaskCompleted):
            writes = [(chan, value) for chan, value in event.writes] or [(NO_WRITES, None)]
        elif isinstance(event, TaskInterrupted):
            writes = [(INTERRUPT, interrupts_of(event.questions)), *self._answered(event, worker)]
        elif isinstance(event, TaskFailed):
            writes = [(ERROR, error if error is not None else event.error)]
            if event.handler:
                writes.append((ERROR_SOURCE_NODE, event.name))
        if writes:
            await self.put_writes(writes, worker.id, worker.path)

    def _step_deltas(self, step: int) -> None:
        self.deltas.ran(step)
        self.deltas.stepped()
        if self._at_exit:
            self.deltas.hold(step, self._command)
            for writes, task, path in self._held:
                if task != NULL_TASK_ID:
                    self.deltas.hold(step, writes, task, path)
        self._command = []

    def _answered(self, event: TaskInterrupted, worker: Worker) -> Writes:
        """The answers that a task used before it asked again."""
        answers = worker.run.answers.known(  # type: ignore[attr-defined]  # a Scope
            [interrupt_id(worker.namespace, n) for n in range(worker.asked)]
        )
        return [(RESUME, answers)] if answers and not event.refused else []

    async def settled(self) -> None:
        """See ``Pen.settled``: every call of the saver was waited for."""

    async def confirm(self, host: Host) -> None:
        """See ``Pen.confirm``: savers of others know no owners."""

    def leave(self) -> None:
        """See ``Pen.leave``: nobody has to wait here."""

    async def end(self, *events: Event) -> None:
        """See ``Pen.end``."""
        if not self.open:
            return
        self.open = False
        if self._at_exit and self._fleeting and any(isinstance(event, RunFinished) for event in events):
            return
        if self._at_exit and self._unsaved is not None:
            identifier, source, step = self._unsaved
            if self._plan.delta_channels:
                await self._end_deltas()
            await self._store(identifier, source, step)
        for writes, task, path in self._held:
            await self._send(writes, task, path)
        self._held = []

    async def _end_deltas(self) -> None:
        """Store what was written to delta channels at the checkpoint where the run began; a new thread gets
        an empty one for that."""
        live = self._live
        assert live is not None
        if self._place.state.id and self._place.addressed:
            self.deltas.force_held()
        held = self.deltas.held(live)
        if held and not self._parent:
            stub = self._stub
            checkpoint = {"v": FORMAT, "id": stub, "ts": timestamp(self.at), "channel_values": {},
                          "channel_versions": {}, "versions_seen": {}}  # fmt: skip
            await self._history.call("put", self._history.placed(None), checkpoint, {"step": STUB_STEP}, {})
            self._parent = stub
        for task, path, writes in held:
            await self._send(writes, task, path, at=self._parent)

    # -- checkpoints -----------------------------------------------------------------------------

    def _name_versions(self, live: Live) -> None:
        """Let the saver name the versions that are new; those of one step have the same name."""
        for number in sorted({*live.versions.values()} - self._labels.keys()):
            self._newest = self._history.saver.get_next_version(self._newest, None)
            self._labels[number] = self._newest

    def _next_name(self) -> str:
        self.version += 1
        self.at = self._history.host.now()
        return checkpoint_id(stream_of(self._history.thread, self._history.ns), self.version, self.at)

    async def _checkpoint(self, source: str, step: int) -> None:
        identifier = self._next_name()
        if self._plan.delta_channels and self._live is not None:
            self.deltas.count(self._live.updated)
        if self._at_exit:
            if self._unsaved is None:
                self._parent = self._id
            self._unsaved = (identifier, source, step)
            self._id = identifier
            return
        self._parent = self._id
        await self._store(identifier, source, step)
        self._id = identifier

    async def put(
        self, live: Live, source: str, step: int, parents: Mapping[str, str], *, copied_of: str | None
    ) -> str:
        """Store a checkpoint that somebody made by hand; returns its id.

        Args:
            live: The channels.
            source: ``update``, ``input`` or ``fork``.
            step: Its number.
            parents: The checkpoints of the graphs around.
            copied_of: The parent, where it is not the checkpoint that the edit starts from.
        """
        self._live = live
        self._parents = parents
        self._parent = self._id if copied_of is None else copied_of or None
        self._id = self._next_name()
        whole = None
        if self._plan.delta_channels:
            if copied_of is not None:
                whole = self.deltas.whole()
            elif self._place.state.checkpoint:
                self.deltas.count(live.updated)
            else:
                whole = self.deltas.written_ones(live)
        await self._store(self._id, source, step, whole=whole)
        return self._id

    async def _store(self, identifier: str, source: str, step: int, *, whole: set[str] | None = None) -> None:
        live = self._live
        assert live is not None
        if self._plan.delta_channels and whole is None:
            whole = self.deltas.due(live)
            self.deltas.stored(whole, live, self._numbers)
        self._name_versions(live)
        label = self._labels
        versions = {chan: label[number] for chan, number in live.versions.items()}
        seen = {
            node: {chan: label[number] for chan, number in known.items() if number in label}
            for node, known in live.seen.items()
        }
        checkpoint = {
            "v": FORMAT,
            "id": identifier,
            "ts": timestamp(self.at),
            "channel_values": self._values(live, whole or ()),
            "channel_versions": versions,
            "versions_seen": {INPUT: {}, **seen},
            "updated_channels": None if live.updated is None else sorted(live.updated),
        }
        metadata = {"source": source, "step": step, "parents": dict(self._parents), **self.deltas.metadata()}
        new = {chan: v for chan, v in versions.items() if self._stored.get(chan) != v}
        self._stored, self._numbers = versions, dict(live.versions)
        self._unsaved = None
        await self._history.call("put", self._history.placed(self._parent), checkpoint, metadata, new)

    def _values(self, live: Live, whole: Collection[str]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, channel in live.channels.items():
            if name not in live.versions:
                continue
            if name in whole and channel.is_available():
                values[name] = DeltaSnapshot(channel.get())
                continue
            value = channel.checkpoint()
            if value is not MISSING:
                values[name] = (
                    [storable_packet(packet, self._untracked) for packet in value] if name == TASKS else value
                )
        return values

    # -- writes ----------------------------------------------------------------------------------

    async def put_writes(self, writes: Writes, task: str, path: str) -> None:
        """Store what a task wrote; at the end of the run only, where that was asked for."""
        kept = storable(writes, self._untracked)
        if not kept:
            return
        if self._plan.delta_channels:
            self.deltas.written(kept)
        if self._at_exit:
            self._held = [held for held in self._held if held[1] != task]
            self._held.append((kept, task, path))
            return
        await self._send(kept, task, path)

    async def _send(self, writes: Writes, task: str, path: str, *, at: str | None = None) -> None:
        history = self._history
        if self._takes_path is None:
            self._takes_path = accepts_path(history.method("put_writes"))
        place = history.placed(at or self._id)
        if self._takes_path:
            await history.call("put_writes", place, list(writes), task, path)
        else:
            await history.call("put_writes", place, list(writes), task)


def accepts_path(put_writes: Any) -> bool:
    """Whether a saver's ``put_writes`` takes the task's path; those of old interfaces do not."""
    parameters = signature(put_writes).parameters.values()
    return any(p.name == "task_path" or p.kind is Parameter.VAR_KEYWORD for p in parameters)
