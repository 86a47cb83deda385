"""Scenarios with several callers: inputs for a busy thread, takeovers, owners that wake after their lease."""

from collections.abc import Callable
from functools import partial
from typing import Any

from dashflow._util.drive import drive
from dashflow.errors import FencedError, OwnershipConflictError, SupersededError, VersionConflictError
from dashflow.hosts.simulated import SimulatedCrash
from dashflow.worker.rounds import Rounds
from tests.simulation import checks
from tests.simulation.checks import Violation
from tests.simulation.programs import Watch
from tests.simulation.scripts import SCRIPTS, Session, final, perform, rounds_of, work_once
from tests.simulation.world import LEASE, Caller, Stuck, World

INPUTS = 2
"""Inputs per caller."""


class Room:
    """What the callers of one world share."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.told: list[str] = []
        self.refused: list[str] = []
        self.intervals: dict[str, tuple[float, float]] = {}
        self.busy = 0
        self.rounds: Rounds | None = None

    def texter(self, number: int, strategy: str, caller: Caller) -> None:
        """A caller that sends inputs one after the other, once there is a worker."""
        session = Session(self.world, caller, "chain")
        while self.rounds is None:
            self.world.wait(0.1)
        for count in range(INPUTS):
            token = f"<{number * 10 + count}>"
            asked = self.world.time
            if self._send(session, token, strategy):
                self.intervals[token] = (asked, self.world.time)
            if token not in self.refused:
                self.told.append(token)
        self._leave()

    def _send(self, session: Session, token: str, strategy: str) -> bool:
        for _ in range(60):
            try:
                if token.encode() in self.world.durable:
                    return False  # accepted, though nobody could say so
                session.graph.invoke(
                    {"n": 1, "ops": [token]},
                    session.config(),
                    durability=session.durability,
                    multitask_strategy=strategy,
                )
                return True
            except SimulatedCrash:
                session.renew()
            except (FencedError, SupersededError):
                if token.encode() not in self.world.durable:
                    raise
                return False
            except (OwnershipConflictError, VersionConflictError):
                if strategy != "reject":
                    raise
                self.refused.append(token)
                return False
        raise Stuck(f"{token} was never accepted")

    def actor(self, name: str, caller: Caller) -> None:
        """A caller that goes through a script."""
        program, ops = SCRIPTS[name]
        self.told += perform(Session(self.world, caller, program), ops)
        self._leave()

    def _leave(self) -> None:
        self.busy -= 1
        if not self.busy and self.rounds is not None:
            self.rounds.stop()

    def worker(self, program: str, caller: Caller) -> None:
        """A worker that works as long as callers are busy, and then finishes what is left."""
        session = Session(self.world, caller, program)
        while self.busy:
            self.rounds = rounds_of(session)
            try:
                drive(self.rounds.work())
            except SimulatedCrash:
                session.renew()
        for _ in range(9):
            try:
                session.host.port(lambda: self.world.wait(2 * LEASE))  # who died is known to be dead by then
                work_once(session)
            except SimulatedCrash:
                session.renew()
            else:
                return


def double_texting(strategy: str, world: World, watch: Watch) -> None:
    """Three callers and one thread; a worker finishes what dies."""
    room = Room(world)
    room.busy = 3
    callers = {f"caller{n}": partial(room.texter, n, strategy) for n in range(room.busy)}
    world.run(**callers, worker=partial(room.worker, "chain"))
    values = final(world, ("finished",) if strategy == "enqueue" else ("finished", "paused", "failed"))
    checks.check_told(world, room.told)
    checks.check_marks(values)
    ops = values.get("ops", [])
    if strategy == "rollback":
        return
    checks.check_order(world, "t", 0)
    if sorted(ops) != sorted(room.told):
        raise Violation(f"told of {room.told}, and the thread has {ops}")
    checks.check_intervals(ops, room.intervals)
    log = [mark.partition("#")[0] for mark in values["log"]]
    # An input may start before anybody has finished a run that died: then one run works on both.
    runs, rest = divmod(len(log), 3)
    if strategy == "enqueue" and (
        rest or log != [*"abc"] * runs or not len(ops) - len(world.crashes) <= runs <= len(ops)
    ):
        raise Violation(f"{ops} came to {log}")


TAKEN_OVER = ("chain", "fan-out", "loop", "questions", "nested-thread", "update")


def actor_and_worker(room: Room, name: str) -> None:
    """A caller with a script, and a worker."""
    program, _ = SCRIPTS[name]
    room.busy = 1
    room.world.run(caller=partial(room.actor, name), worker=partial(room.worker, program))


def takeover(world: World, watch: Watch) -> None:
    """A caller whose process dies or stands still, beside a worker that may do so too."""
    from tests.simulation.cases import expected

    room = Room(world)
    name = world.random.choice(TAKEN_OVER)
    actor_and_worker(room, name)
    values = final(world)
    checks.check_told(world, room.told)
    checks.check_marks(values)
    checks.check_order(world, "t", 0)
    if checks.normal(values) != expected(name):
        raise Violation(f"{name}: the final state is {values}, and should be {expected(name)}")


CROWDS: dict[str, Callable[[World, Watch], Any]] = {
    "enqueue": partial(double_texting, "enqueue"),
    "interrupt": partial(double_texting, "interrupt"),
    "rollback": partial(double_texting, "rollback"),
    "reject": partial(double_texting, "reject"),
    "takeover": takeover,
    "zombie": takeover,
}
STALLS = {"zombie": 0.02}
"""How likely a process stands still at a port call."""
