"""What a caller of a thread wants done, one thing after the other, whatever dies meanwhile.

The caller itself never dies: it stands for somebody outside who was told, or was not told, that something is
done. What it was told must be in the log; what it was not told it looks up, and does again if it is not
there.
"""

from collections.abc import Callable
from copy import copy
from typing import Any, NamedTuple

from dashflow._util.drive import drive
from dashflow.checkpoint.saver import LogSaver
from dashflow.core.fold import ThreadState
from dashflow.engine.recovery import Recovery
from dashflow.errors import FencedError, GraphDrained, OwnershipConflictError, VersionConflictError
from dashflow.hosts.simulated import SimulatedCrash
from dashflow.runtime import RunControl
from dashflow.types import Command
from dashflow.worker.rounds import Rounds
from tests.simulation.programs import PROGRAMS, State
from tests.simulation.world import Caller, Place, Process, Stuck, World

ELSEWHERE = (FencedError, OwnershipConflictError, VersionConflictError)
"""Somebody else has the thread, or had it meanwhile."""
DURABILITIES = ("sync", "async", "exit")


def graph_of(program: Any, saver: LogSaver, host: Any = None) -> Any:
    """A program on a saver. Quicker than ``with_checkpointer``, which makes the plan again."""
    graph = copy(PROGRAMS[program] if isinstance(program, str) else program)
    graph.checkpointer, graph._host = saver, host
    return graph


class Session:
    """A caller with its process, and the graph as that process sees it."""

    def __init__(self, world: World, caller: Caller, program: Any, *, worker: bool | None = None) -> None:
        self.world = world
        self.caller = caller
        self.program = program
        self.durability = world.random.choice(DURABILITIES)
        self.by_worker = world.random.random() < 0.5 if worker is None else worker
        self.process: Process = world.process()
        self._enter(self.process)

    def _enter(self, process: Process) -> None:
        self.process = process
        self.host = Place(self.world, process, self.caller)
        self.saver = LogSaver(process.log)
        self.graph = graph_of(self.program, self.saver, self.host)

    def renew(self) -> None:
        """A new process after the present one died."""
        if self.world.over:
            raise SimulatedCrash
        self._enter(self.world.process())

    def config(self, thread: str = "t") -> dict[str, Any]:
        """The config of a thread."""
        return {"configurable": {"thread_id": thread}}

    def state(self, thread: str = "t") -> Any:
        """The thread's state."""
        return self.graph.get_state(self.config(thread))

    def running(self) -> bool:
        """Whether a run of the thread is recorded as going on."""
        return self.head().status == "running"

    def head(self) -> ThreadState:
        """The thread as the log has it."""
        return self.saver.reader.head("t")

    def recover(self, before: tuple[str, ...] = ()) -> None:
        """Have done what a dead process left: by a worker, or by going on with it."""
        if self.by_worker:
            work_once(self)
            self.pause()
        else:
            self.graph.invoke(None, self.config(), interrupt_before=before, durability=self.durability)

    def pause(self) -> None:
        """Let some time pass."""
        try:
            self.host.port(lambda: self.world.wait(3.0))
        except SimulatedCrash:
            self.renew()


def rounds_of(session: Session) -> Rounds:
    """A worker in the session's process."""
    return Rounds(
        session.host,
        Recovery(session.host, session.saver.reader, max_attempts=50),
        {session.graph.name: session.graph},
        context=None,
        concurrency=2,
        every=2.0,
        tell=lambda report: None,
    )


def work_once(session: Session) -> None:
    """Let a worker of the session's process take over whatever there is to take over."""
    drive(rounds_of(session).work(once=True))


class Op(NamedTuple):
    """One thing that the caller wants.

    Attributes:
        do: Does it, and leaves a token in the store.
        done: Tells whether it has come to its end, where nothing tells it of a run that goes on.
        before: Breakpoints of its run.
        forks: How often it goes on elsewhere than at the end of the thread.
        silent: Whether it leaves no token.
    """

    do: Callable[[Session, str], Any]
    done: Callable[[Session], bool] = lambda session: not session.running()
    before: tuple[str, ...] = ()
    forks: int = 0
    silent: bool = False


def given(**values: Any) -> Op:
    """A new input."""
    return Op(
        lambda s, token: s.graph.invoke(
            {**values, "ops": [token]}, s.config(), durability=s.durability, multitask_strategy="reject"
        )
    )


def answer() -> Op:
    """The answer to all that is asked."""

    def do(session: Session, token: str) -> None:
        asked = session.state().interrupts
        resume = {question.id: f"{question.value} {token}" for question in asked}
        session.graph.invoke(Command(resume=resume), session.config(), durability=session.durability)

    return Op(do)


def until(node: str) -> Op:
    """A new input, up to a breakpoint."""

    def do(session: Session, token: str) -> None:
        session.graph.invoke(
            {"n": 1, "ops": [token]},
            session.config(),
            interrupt_before=[node],
            durability=session.durability,
        )

    return Op(do, lambda session: session.state().next == (node,), (node,))


def edit(step: int | None = None, **values: Any) -> Op:
    """An edit of the state, the latest or that of an older step: a fork."""

    def do(session: Session, token: str) -> None:
        config = session.config()
        if step is not None:
            history = session.graph.get_state_history(config)
            (config,) = [one.config for one in history if one.metadata["step"] == step][:1]
        session.graph.update_state(config, {**values, "ops": [token]})

    return Op(do, lambda session: True, forks=int(step is not None))


def go_on() -> Op:
    """Go on from where the thread is."""

    def do(session: Session, token: str) -> None:
        if session.head().status != "finished":
            session.graph.invoke(None, session.config(), durability=session.durability)

    return Op(do, silent=True)


def drained() -> Op:
    """A new input whose run is asked to stop at the next step, as soon as its first node has begun."""

    def do(session: Session, token: str) -> None:
        control = RunControl()
        control.request_drain("the caller thinks again")
        try:
            session.graph.invoke(
                {"n": 1, "ops": [token]}, session.config(), control=control, durability=session.durability
            )
        except GraphDrained:
            return

    return Op(do, lambda session: True)


SCRIPTS: dict[str, tuple[str, list[Op]]] = {
    "chain": ("chain", [given(n=1), given(n=10)]),
    "fan-out": ("fan-out", [given(n=1)]),
    "loop": ("loop", [given(n=1)]),
    "questions": ("questions", [given(n=1), answer(), answer(), answer()]),
    "nested": ("nested", [given(n=1), answer()]),
    "nested-thread": ("nested-thread", [given(n=1), answer(), given(n=2), answer()]),
    "nested-plain": ("nested-plain", [given(n=1), answer()]),
    "update": ("chain", [until("b"), edit(n=7), go_on(), edit(n=20)]),
    "fork": ("chain", [given(n=1), edit(1, n=50), go_on(), given(n=3)]),
    "cancel": ("chain", [drained(), go_on(), given(n=5)]),
}


def perform(session: Session, ops: list[Op], first: int = 0) -> list[str]:
    """Do all of a script; the tokens of what was done."""
    tokens = []
    if any(op.forks for op in ops) and session.durability == "exit":
        session.durability = "async"  # there would be no history to go back in
    for number, op in enumerate(ops, first):
        token = f"<{number}>"
        _perform(session, op, token)
        tokens += [] if op.silent else [token]
    return tokens


def _perform(session: Session, op: Op, token: str) -> None:
    world = session.world
    for _ in range(60):
        try:
            if token.encode() not in world.durable:
                op.do(session, token)
                return
            if op.done(session):
                return
            session.recover(op.before)
        except SimulatedCrash:
            session.renew()
        except ELSEWHERE:
            session.pause()
    raise Stuck(f"{token} never came to its end: {session.state()}")


def final(world: World, ended: tuple[str, ...] = ("finished", "idle")) -> dict[str, Any]:
    """The thread's values when all is over, as somebody reads them who only looks.

    Raises:
        Stuck: The thread is not at its end.
    """
    state = LogSaver(world.process().log).reader.head("t")
    if state.status not in ended:
        raise Stuck(f"not at its end: {state}")
    return {key: state.values[key] for key in State.__annotations__ if key in state.values}
