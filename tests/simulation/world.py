"""A small world in which processes run the real engine: one clock, one store, one seed that decides
everything.

Any number of callers (``Caller``) run in it, each on a thread of its own of which exactly one moves at a
time: at every port call the seed picks who goes on, how long that took, which records that were handed over
reach the store, who stands still for a while (longer than a lease, at times), and who dies. Time is a number.
"""

import random
import re
import threading
from collections.abc import Callable
from typing import Any

from dashflow.engine.ports import Done, Posted
from dashflow.hosts.simulated import SimulatedCrash, SimulatedCrew, SimulatedHost
from dashflow.log.base import Append, Appended, Record
from dashflow.log.memory import MemoryLog, MemoryStore
from dashflow.log.memory.store import Stream

LEASE = 10.0
"""Seconds."""
START = 1_700_000_000_000_000_000
HOUR = 3600.0
_LIMIT = 20_000
"""Port calls after which a world counts as stuck."""

TOKEN = re.compile(rb"[#<]\d+[#>]")
"""What callers (``<7>``) and nodes (``#7#``) leave in what they write, so that it is found in the store."""


class Stuck(Exception):
    """Nobody can go on any more, or they go on for ever."""


class Caller:
    """Somebody who calls the engine: a thread of control."""

    def __init__(self, world: "World", name: str, work: Callable[["Caller"], Any]) -> None:
        self.world = world
        self.name = name
        self.work = work
        self.baton = threading.Lock()
        self.baton.acquire()
        self.wakes: float | None = 0.0
        """When it goes on: 0 now, None when it is over."""
        self.rung = False
        """Whether an append ends the wait."""
        self.error: BaseException | None = None


class Process:
    """One process: a log of its own, and whether it lives."""

    def __init__(self, world: "World", number: int) -> None:
        self.world = world
        self.dead = False
        self.left: float | None = None
        """When it showed a sign of life last; None as long as it shows them."""
        self.log = SimulatedLog(world, self, number)

    def kill(self) -> None:
        """Nothing of it runs from now on. Others see that at once, or only when the lease is over."""
        if not self.dead:
            self.dead = True
            self.left = self.world.time if self.world.random.random() < 0.5 else -HOUR
            self.log.abandon()

    def close(self) -> None:
        """It ends in good order."""
        if not self.dead:
            self.dead, self.left = True, -HOUR
            self.log.close()


class SimulatedLog(MemoryLog):
    """A process's log: leases go by the world's time, waiting takes none, every commit is looked at."""

    def __init__(self, world: "World", process: Process, number: int) -> None:
        super().__init__(world.store, lease_seconds=LEASE)
        world.store.open.pop(self._instance)
        self._instance = f"p{number}"
        world.store.open[self._instance] = self
        self.world = world
        self._process = process

    def append(self, append: Append) -> Appended:
        """See ``EventLog.append``."""
        result = super().append(append)
        self.world.committed(append, result)
        return result

    def _alive(self, stream: Stream) -> bool:
        owner = self.world.processes.get(stream.owner.partition("/")[0])
        if owner is None or owner is self._process:
            return owner is not None
        return owner.left is None or self.world.time < owner.left + LEASE

    def subscribe(self, **asked: Any) -> Any:
        """See ``EventLog.subscribe``; only the world's time passes while somebody waits."""
        return Watching(self.world, super().subscribe(**asked))


class Watching:
    """A subscription whose wait is a wait in the world."""

    def __init__(self, world: "World", inner: Any) -> None:
        self.world = world
        self._inner = inner
        self.close = inner.close

    def poll(self, timeout: float | None = None, limit: int = 500) -> list[Record]:
        """See ``Subscription.poll``."""
        found: list[Record] = self._inner.poll(0, limit)
        if not found and timeout:
            self.world.wait(timeout, rung=True)
            found = self._inner.poll(0, limit)
        return found


class Place(SimulatedHost):
    """The host of one caller in one process."""

    def __init__(self, world: "World", process: Process, caller: Caller) -> None:
        super().__init__()
        self._random = world.random
        self.world = world
        self.process = process
        self.caller = caller

    def alive(self) -> None:
        """See ``SimulatedHost.alive``."""
        if self.process.dead or self.world.over:
            raise SimulatedCrash

    def port(self, act: Callable[[], Any]) -> Any:
        """See ``SimulatedHost.port``; here is where others get their turn."""
        world = self.world
        if self.process.dead or world.over:
            raise SimulatedCrash
        dies = world.step(self)
        world.current = self
        while self._pending and world.random.random() < 0.5:
            self._pending.popleft().commit()
        if dies is False:
            self._die()
        try:
            return act()
        finally:
            if dies:
                self._die()
            if self.process.dead:
                raise SimulatedCrash

    def _die(self) -> None:
        self._pending.clear()
        self.process.kill()
        raise SimulatedCrash

    def now(self) -> int:
        """See ``Host.now``: never goes back, whatever is done to the wall clock."""
        self._clock = max(self._clock, START + int((self.world.time + self.world.ahead) * 1e9))
        return self._clock

    def elapsed(self) -> float:
        """See ``Host.elapsed``."""
        return self.world.time

    def crew(self, limit: int | None = None, *, attentive: bool = False) -> SimulatedCrew:
        """See ``Host.crew``."""
        return PlaceCrew(self, limit)

    async def sleep(self, seconds: float) -> None:
        """See ``Host.sleep``."""
        self.port(lambda: self.world.wait(seconds))

    async def wait(self, future: Any) -> None:
        """See ``Host.wait``: until somebody else of this process has set it."""
        while not future.done():
            self.port(lambda: self.world.wait(1.0, rung=True))

    def here(self) -> Any:
        """See ``Host.here``."""
        return self.caller


class PlaceCrew(SimulatedCrew):
    """A crew whose waiting takes time, and ends when somebody posts something."""

    _host: Place

    def post(self, item: Any) -> None:
        """See ``Crew.post``."""
        super().post(item)
        caller = self._host.caller
        if caller.rung and caller.wakes:
            caller.wakes = 0.0

    def _next(self) -> Done | Posted:
        if self._within is not None and not self._results and not self._waiting:
            self._host.world.wait(self._within, rung=True)
        return super()._next()

    async def next(self, within: float | None = None) -> Done | Posted:
        """See ``Crew.next``."""
        self._within = within
        return await super().next(within)


class World:
    """See the module.

    Args:
        seed: Decides everything.
        crashes: By the number of the port call: whether the process that makes it dies after it (True) or
            before (False).
        stalls: How likely a process stands still at a port call for longer than a lease.
        jumps: How likely the wall clock jumps by an hour, forth or back, at a port call.
    """

    def __init__(
        self, seed: int, crashes: dict[int, bool] | None = None, *, stalls: float = 0.0, jumps: float = 0.0
    ) -> None:
        self.random = random.Random(seed)
        self.crashes = crashes or {}
        self.stalls = stalls
        self.jumps = jumps
        self.store = MemoryStore()
        self.processes: dict[str, Process] = {}
        self.time = 0.0
        """Seconds since the beginning, of the clock that only measures; leases go by it."""
        self.ahead = 0.0
        """How far the wall clock is ahead of it, seconds."""
        self.calls = 0
        self.over = False
        self.durable: set[bytes] = set()
        """Tokens that are in the store."""
        self.zombies: set[Process] = set()
        """Processes that stood still longer than their lease."""
        self.current: Place | None = None
        """Whose turn it is."""
        self.callers: list[Caller] = []
        self._now: Caller | None = None
        self._end = threading.Lock()

    def process(self) -> Process:
        """A new process."""
        number = len(self.processes) + 1
        process = Process(self, number)
        self.processes[process.log.instance] = process
        return process

    def committed(self, append: Append, result: Appended) -> None:
        """Called after every commit."""
        for event in append.events:
            self.durable.update(TOKEN.findall(event.data))
        if len(self.callers) > 1:
            for caller in self.callers:
                if caller.rung and caller.wakes:
                    caller.wakes = 0.0

    # -- time and turns ---------------------------------------------------------------------------

    def step(self, place: Place) -> bool | None:
        """One port call begins; whether its process dies: after it (True), before it (False), not (None)."""
        self.calls += 1
        if self.calls > _LIMIT:
            raise Stuck(f"{_LIMIT} port calls and no end")
        draw = self.random.random
        self.time += draw() * 0.001
        dies = self.crashes.get(self.calls)
        if self.jumps and draw() < self.jumps:
            self.ahead += HOUR if draw() < 0.5 else -HOUR
        if self.stalls and dies is None and draw() < self.stalls:
            self._stall(place.process)
        elif len(self.callers) > 1:
            self._turn()
        if place.process.dead or self.over:
            raise SimulatedCrash  # while others had their turn
        return dies

    def _stall(self, process: Process) -> None:
        process.left = self.time
        self.wait(LEASE * (0.5 + self.random.random() * 2))
        if not process.dead:
            if self.time - process.left > LEASE:
                self.zombies.add(process)
            process.left = None

    def wait(self, seconds: float, *, rung: bool = False) -> None:
        """The caller whose turn it is goes on after so many seconds; with ``rung`` at the next commit."""
        me = self._now
        if me is None:
            self.time += seconds
            return
        me.wakes, me.rung = self.time + max(seconds, 1e-6), rung
        self._turn()
        me.rung = False

    def _turn(self) -> None:
        """Pick who goes on, and be picked again."""
        me = self._now
        chosen = self._pick()
        if chosen is not me and chosen is not None:
            self._now = chosen
            chosen.baton.release()
            if me is not None and me.wakes is not None:
                me.baton.acquire()
                if self.over:
                    raise SimulatedCrash

    def _pick(self) -> Caller | None:
        ready = [one for one in self.callers if one.wakes is not None and one.wakes <= self.time]
        if not ready:
            waiting = [one for one in self.callers if one.wakes is not None]
            if not waiting:
                return None
            first = min(waiting, key=lambda one: one.wakes or 0.0)
            self.time = max(self.time, first.wakes or 0.0)
            ready = [first]
        chosen = ready[0] if len(ready) == 1 else self.random.choice(ready)
        chosen.wakes = 0.0
        return chosen

    # -- running ----------------------------------------------------------------------------------

    def run(self, **work: Callable[[Caller], Any]) -> None:
        """Let callers do their work to its end. The first error of one is raised."""
        self.callers = [Caller(self, name, do) for name, do in work.items()]
        if len(self.callers) == 1:
            self.callers[0].work(self.callers[0])
            return
        self._end.acquire()
        threads = [threading.Thread(target=self._serve, args=(one,), daemon=True) for one in self.callers]
        for thread in threads:
            thread.start()
        first = self._pick()
        assert first is not None
        self._now = first
        first.baton.release()
        self._end.acquire()
        for thread in threads:
            thread.join()
        for caller in self.callers:
            if caller.error is not None:
                raise caller.error

    def _serve(self, caller: Caller) -> None:
        caller.baton.acquire()
        try:
            if not self.over:
                caller.work(caller)
        except BaseException as error:
            if not self.over:
                caller.error = error
                self._stop()
        finally:
            caller.wakes = None
            if not self.over and self._pick() is None:
                self.over = True
                self._end.release()
            elif not self.over:
                self._now = caller
                self._turn()

    def _stop(self) -> None:
        """Something is wrong: everybody ends."""
        self.over = True
        for caller in self.callers:
            if caller is not self._now and caller.wakes is not None:
                caller.baton.release()
        self._end.release()
