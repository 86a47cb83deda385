"""What a run asks of where threads are kept. Two implementations: the event log, and any LangGraph saver.

A ``History`` is one thread in one namespace. Reads give folded states that are the caller's own; a ``Pen``
writes one run. The engine knows only this file of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from dashflow.core.events import Event, RunStarted, StateEdited
from dashflow.core.fold import ThreadState
from dashflow.core.plan import GraphPlan
from dashflow.core.superstep import Live
from dashflow.engine.halt import Halt
from dashflow.engine.ports import Host
from dashflow.options import RunOptions

if TYPE_CHECKING:
    from dashflow.engine.turn import Turn

if TYPE_CHECKING:
    from dashflow.checkpoint.breakpoints import Stops

Writes = Sequence[tuple[str, Any]]


class Place(NamedTuple):
    """Where a run goes on.

    Attributes:
        state: The thread there.
        end: The stream's last version, which an append expects.
        addressed: Whether the caller named this checkpoint, or a replay of the graph around did.
        superseded: Whether the thread went on from there already.
    """

    state: ThreadState
    end: int
    addressed: bool = False
    superseded: bool = False


class Worker(Protocol):
    """The task that an event speaks of, for histories that keep results under tasks' ids."""

    asked: int

    @property
    def id(self) -> str:
        """The task's id."""
        ...

    @property
    def path(self) -> str:
        """Where it stands, as text that sorts."""
        ...

    @property
    def namespace(self) -> str:
        """Its namespace."""
        ...


class Pen(Protocol):
    """Writes one run.

    Attributes:
        version: Of the stream, after what was written so far.
        at: When the last event was written, nanoseconds.
        open: Whether anything can be written.
        detailed: Whether every task's result is wanted, with its ``Worker``; else only that of tasks that
            wait for others.
        reused: A detailed pen of a graph with delta channels is told here which tasks' stored results were
            taken: their ids.
        halt: Whether the run is being cancelled; nothing is recorded then.
    """

    version: int
    at: int
    open: bool
    detailed: bool
    reused: set[str]
    halt: Halt

    async def begin(self, event: RunStarted, live: Live, writes: Writes) -> None:
        """Record that the run was accepted; durable on return, before any node runs.

        Args:
            event: What was accepted.
            live: The channels, as the first superstep finds them.
            writes: What the input, or a command's update, wrote.
        """
        ...

    def guard(self, halt: Callable[[int], None]) -> None:
        """From its beginning to its end, have ``halt`` called when somebody cancels the run, with the version
        of the stream that says so."""
        ...

    async def record(
        self, event: Event, *, worker: Worker | None = None, error: BaseException | None = None
    ) -> None:
        """Record what happened."""
        ...

    async def settled(self) -> None:
        """Wait until everything recorded so far is durable, as far as the durability allows."""
        ...

    async def confirm(self, host: Host) -> None:
        """Make sure that the thread is this run's at this moment.

        Args:
            host: The one of whoever asks.

        Raises:
            FencedError: Somebody else has it by now.
        """
        ...

    def leave(self) -> None:
        """The run is given up while it still goes on: whoever comes next need not wait for its end."""
        ...

    async def end(self, *events: Event) -> None:
        """Record the run's last events, wait for everything, give the thread back."""
        ...


class History(Protocol):
    """One thread in one namespace.

    Attributes:
        thread: Its id.
        ns: The namespace; "" is that of the outermost graph.
        diffs: Whether its pens want to be told what changed (``Change``); else they look at the channels.
    """

    thread: str
    ns: str
    diffs: bool

    @property
    def stops(self) -> Stops | None:
        """The thread's breakpoints, as ``locate`` read them; None where they cannot be kept."""
        ...

    def nested(self, ns: str, host: Host, plan: GraphPlan) -> History:
        """The same thread in another namespace; ``host`` is that of the run there, which may be another one:
        a blocking node of an asynchronous run calls a graph on its own thread."""
        ...

    async def locate(
        self, checkpoint: str | None, before: str | None = None, *, looking: bool = False
    ) -> Place:
        """Where to go on.

        Args:
            checkpoint: Id of a checkpoint; None: the latest.
            before: Instead: the latest one whose id is smaller.
            looking: To show a named checkpoint as a record, and not to go on from it.

        Raises:
            UnknownCheckpointError: There is no such checkpoint.
        """
        ...

    async def list(
        self, *, before: str | None, matching: Mapping[str, Any] | None, limit: int | None
    ) -> Sequence[ThreadState]:
        """The states at all checkpoints, newest first."""
        ...

    def turn(self, plan: GraphPlan, options: RunOptions, given: Any) -> Turn | None:
        """What a new input waits its turn with, and goes on from here by; None: it does not wait."""
        ...

    def pen(self, plan: GraphPlan, place: Place, run: str, durability: str) -> Pen:
        """What writes a run that goes on from ``place``."""
        ...

    async def edit(
        self,
        plan: GraphPlan,
        place: Place,
        event: StateEdited,
        live: Live,
        results: Sequence[tuple[Worker, Writes]],
    ) -> dict[str, Any]:
        """Record an edit.

        Args:
            plan: The graph.
            place: Where the edit starts from.
            event: The edit.
            live: The channels after it.
            results: What was written, as which tasks of the step it stands for.

        Returns:
            The config that names the new checkpoint.
        """
        ...
