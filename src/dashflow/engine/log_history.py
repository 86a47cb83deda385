"""Threads in an event log, as the engine sees them. Reads through ``ThreadReader``, writes through
a journal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dashflow.checkpoint.events import to_new
from dashflow.checkpoint.lines import MARK
from dashflow.checkpoint.thread import ThreadReader, is_plain, stream_of
from dashflow.checkpoint.view import as_shown, config_of, mapped, name_of, places
from dashflow.checkpoint.window import checkpoints, place
from dashflow.core.events import StateEdited
from dashflow.core.fold import EMPTY, ThreadState
from dashflow.core.plan import GraphPlan
from dashflow.core.superstep import Live
from dashflow.engine.history import Place, Worker, Writes
from dashflow.engine.journal import Journal, give_back
from dashflow.engine.ports import Host
from dashflow.errors import CorruptLogError, UnknownCheckpointError
from dashflow.log.base import Append
from dashflow.log.ids import EventIds
from dashflow.options import RunOptions
from dashflow.types.commands import Command

if TYPE_CHECKING:
    from dashflow.checkpoint.breakpoints import Stops
    from dashflow.checkpoint.inbox import Inbox
    from dashflow.engine.turn import Turn


class LogHistory:
    """A thread in a log.

    Args:
        host: The world.
        reader: The log's threads.
        thread: Id of the thread.
        ns: Namespace in it.
    """

    diffs = True

    def __init__(self, host: Host, reader: ThreadReader, thread: str, ns: str = "") -> None:
        self.host = host
        self.reader = reader
        self.thread = thread
        self.ns = ns
        self._turn: Turn | None = None
        self._stops: Stops | None = None

    @property
    def stops(self) -> Stops:
        """See ``History.stops``; whoever only looks at the thread needs none."""
        if self._stops is None:
            self._stops = self.reader.stops(self.thread)
        return self._stops

    def nested(self, ns: str, host: Host, plan: GraphPlan) -> LogHistory:
        """See ``History.nested``."""
        return LogHistory(host, self.reader, self.thread, ns)

    async def locate(
        self, checkpoint: str | None, before: str | None = None, *, looking: bool = False
    ) -> Place:
        """See ``History.locate``."""
        turn, reader = self._turn, self.reader
        inbox = turn.inbox if turn is not None and not turn.ticket else None
        asked = [stream_of(self.thread, self.ns)]
        if not looking and not self.ns:
            asked.append(self.stops.stream)
        if inbox is not None:
            asked.append(inbox.stream)
        if not reader.has_opened(asked[0]) and turn is None:
            # It has to be read anyway, so that all is asked for there.
            return await self.host.read(lambda: self._ask(asked, checkpoint, before, looking))
        there = dict(zip(asked, await self.host.versions(reader.log, asked), strict=True))
        if checkpoint is None and before is None and self._at_hand(there, inbox):
            return self._look(there, None, None, looking)
        return await self.host.read(lambda: self._look(there, checkpoint, before, looking))

    def _ask(self, asked: Sequence[str], checkpoint: str | None, before: str | None, looking: bool) -> Place:
        there = dict(zip(asked, self.reader.log.versions(asked), strict=True))
        return self._look(there, checkpoint, before, looking)

    def _at_hand(self, there: Mapping[str, int], inbox: Inbox | None) -> bool:
        """Whether all that ``there`` says of is known here, so that the log need not be asked."""
        turn, stream = self._turn, stream_of(self.thread, self.ns)
        if MARK in stream or (
            turn is not None and (inbox is None or not inbox.known_at(there[inbox.stream]))
        ):
            return False
        if self._stops is not None and there.get(self._stops.stream, 0) > self._stops.version:
            return False
        head = self.reader.known(stream, there[stream])
        if head is None or head.status == "running" or head.durability == "exit":
            return False
        return is_plain(head)

    def _look(
        self, there: Mapping[str, int], checkpoint: str | None, before: str | None, looking: bool
    ) -> Place:
        """Where to go on, if it is the turn of who asks; ``there``: versions of streams."""
        reader, turn, stream = self.reader, self._turn, stream_of(self.thread, self.ns)
        if not looking and not self.ns:
            self.stops.refresh(there[self.stops.stream])
        try:
            head = reader.head(self.thread, self.ns, reader.lines.counted(stream, there[stream]))
            place = self._locate(head, checkpoint, before, looking)
        except CorruptLogError as error:
            if looking:
                from dashflow.checkpoint.lastgood import last_good  # only where something is damaged

                error.last_good = last_good(reader, self.thread, self.ns)
            raise
        if turn is not None:
            turn.check(head, place.end, there.get(turn.inbox.stream, 0))
        return place

    def _locate(self, head: ThreadState, checkpoint: str | None, before: str | None, looking: bool) -> Place:
        reader = self.reader
        if before is not None:
            there = places(reader, stream_of(self.thread, self.ns))
            state = next((state for name, state in there.items() if name < before), EMPTY)
            return Place(reader.own(state), head.version, True)
        if checkpoint is None:
            shown = as_shown(reader, self.thread, head, self.ns)
            return Place(reader.own(shown), head.version)
        stream = stream_of(self.thread, self.ns)
        if head.checkpoint and checkpoint == name_of(stream, head) and not looking:
            return Place(reader.own(as_shown(reader, self.thread, head, self.ns)), head.version, True)
        found = place(reader, stream, checkpoint)
        if found is None:
            raise UnknownCheckpointError(self.thread, checkpoint)
        return Place(reader.own(found), head.version, True, True)

    async def list(
        self, *, before: str | None, matching: Mapping[str, Any] | None, limit: int | None
    ) -> Sequence[ThreadState]:
        """See ``History.list``."""

        from dashflow._util.collector import resting

        def every() -> list[ThreadState]:
            with resting():  # a state per event is made, and needed
                found = checkpoints(
                    self.reader, self.thread, before=before, filter=matching, limit=limit, ns=self.ns
                )
                return [self.reader.own(state) for state in found]

        return await self.host.read(every)

    def turn(self, plan: GraphPlan, options: RunOptions, given: Any) -> Turn | None:
        """See ``History.turn``."""
        if given is None or isinstance(given, Command) or options.strategy == "reject":
            return None
        from dashflow.engine.turn import Turn  # graphs that keep nothing need not load it

        return self.take_turn(Turn(self.host, self.reader, plan.recorded, options, given))

    def take_turn(self, turn: Turn) -> Turn:
        """Go on only when it is this one's turn."""
        self._turn = turn
        return turn

    def pen(self, plan: GraphPlan, place: Place, run: str, durability: str) -> Journal:
        """See ``History.pen``."""
        seizes = self._turn is not None and self._turn.seizes
        return Journal(self.host, self.reader, thread=self.thread, ns=self.ns, run=run,
                       version=place.end, durability=durability, force=seizes)  # fmt: skip

    async def edit(
        self,
        plan: GraphPlan,
        place: Place,
        event: StateEdited,
        live: Live,
        results: Sequence[tuple[Worker, Writes]],
    ) -> dict[str, Any]:
        """See ``History.edit``.

        Raises:
            OwnershipConflictError: A run of this thread is going on.
            VersionConflictError: Somebody else wrote at the same moment; look again.
        """
        host, reader = self.host, self.reader
        at = host.now()
        new = to_new(event, EventIds(host.entropy(), at).next(), at, "", b"", "")
        stream = stream_of(self.thread, self.ns)
        await give_back(host, reader, stream)
        appended = await host.append(reader.lines, Append(stream, (new,), place.end, unowned=True))
        return mapped(config_of(self.thread, appended.version, at, self.ns), event.parents)
