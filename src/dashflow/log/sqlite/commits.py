"""Group commit: appends queue up, one thread at a time commits everything that is queued.

Who waits for an append may commit the group itself, in its own thread, when nobody else is doing so
(the leader); that spares two thread switches. Appends that nobody waits for are committed by a
background thread, started when first needed, which lingers a little so that more of them share one
flush of the disk. Knows nothing of SQL; the order of the queue is the order of the commits.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from time import monotonic, sleep
from typing import Final

from dashflow.errors import LogError
from dashflow.log.base import Append, Appended

LINGER: Final = 0.001
"""Seconds that a submitted append may wait for company."""

_GROUP: Final = 1024
"""Appends in one transaction at most, so that the first of them need not wait for ever."""

_IDLE_ROUNDS: Final = 3
"""Times that the background thread looks again by itself before it waits to be called."""

Gate = tuple[threading.Lock, int]
"""A lock that a thread is blocked on, and the thread's number."""


class Pending:
    """A ``Ticket``: an append in the queue and, once ``done``, what it came to."""

    __slots__ = ("_log", "_queue", "append", "callbacks", "done", "error", "gates", "result")

    def __init__(self, queue: CommitQueue, append: Append, log: object) -> None:
        self._queue = queue
        self._log = log  # kept from being collected, and closed, while it has work
        self.append = append
        self.done = False
        self.result: Appended | None = None
        self.error: BaseException | None = None
        self.gates: list[Gate] | None = None
        self.callbacks: list[Callable[[], None]] | None = None

    def wait(self) -> Appended:
        """See ``Ticket.wait``."""
        if not self.done:
            self._queue.settle(self)
        if self.result is None:
            assert self.error is not None
            raise self.error
        return self.result

    def on_done(self, callback: Callable[[], None]) -> None:
        """See ``Ticket.on_done``."""
        if self.done or not self._queue.call_back(self, callback):
            callback()


class CommitQueue:
    """The queue, who leads it, and the background thread.

    ``commit`` is called by one thread at a time; it sets ``result`` or ``error`` of every append it
    is given, or raises when none of them was written.
    """

    def __init__(
        self,
        commit: Callable[[list[Pending]], None],
        *,
        committed: Callable[[], None],
        beat: Callable[[], bool],
        beat_seconds: float,
    ) -> None:
        """``committed`` is called after each group; ``beat`` now and then until it returns False,
        once ``keep_beating`` was called."""
        self._commit = commit
        self._committed = committed
        self._beat = beat
        self._beat_seconds = beat_seconds
        self._beat_due: float | None = None
        self._queued: deque[Pending] = deque()
        self._mutex = threading.Lock()
        self._leader = 0
        self._company = 0  # appends in the last group
        self._reserved: list[Gate] = []  # who wants the lead for something else than a group
        self._starting = threading.RLock()
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._call = True  # whether `submit` must call the background thread
        self._urgent = False  # somebody waits: no lingering
        self._ending = False
        self._ended = False
        self._last: Callable[[], None] | None = None

    # -- handing over and waiting ---------------------------------------------------------------

    def submit(self, append: Append, log: object) -> Pending:
        """Queue an append; the background thread will commit it unless somebody waits for it."""
        pending = Pending(self, append, log)
        self._queued.append(pending)
        if self._call:
            self._call_thread()
            if self._ended:
                self._drain()
        return pending

    def append(self, append: Append, log: object) -> Appended:
        """Queue an append and see to it that it is committed."""
        pending = Pending(self, append, log)
        self._queued.append(pending)
        return pending.wait()

    def settle(self, pending: Pending) -> None:
        """Return when ``pending`` is done: commit it here if nobody else is committing."""
        me = threading.get_ident()
        while not pending.done:
            gate: Gate | None = None
            try:
                with self._mutex:
                    if pending.done:
                        return
                    if not self._leader:
                        self._leader = me
                    else:
                        gate = _gate(me)
                        pending.gates = [*(pending.gates or ()), gate]
                        self._urgent = True
                if gate is not None:
                    gate[0].acquire()
                if self._leader == me:
                    self._commit_group()
            except BaseException:  # Ctrl-C
                self._withdraw(me, gate, pending)
                raise

    def call_back(self, pending: Pending, callback: Callable[[], None]) -> bool:
        """Have ``callback`` called when ``pending`` is done; False if it is already."""
        with self._mutex:
            if pending.done:
                return False
            pending.callbacks = [*(pending.callbacks or ()), callback]
            self._urgent = True
        self._call_thread()
        return True

    def keep_beating(self) -> None:
        """Call ``beat`` regularly from now on."""
        if self._beat_due is None:
            self._beat_due = monotonic() + self._beat_seconds
            self._call_thread()

    def alone(self, work: Callable[[], None]) -> None:
        """Do ``work`` while nobody commits, in turn with those who do."""
        self._lead(work)

    def close(self, last: Callable[[], None]) -> None:
        """Commit what is queued, end the thread, and do ``last`` while nobody can commit."""
        with self._starting:
            thread = self._thread
            if thread is threading.current_thread():  # collected as garbage, here of all threads
                self._last = last
            self._ending = self._call = True
        self._wake.set()
        if self._last is None:
            if thread is not None:
                thread.join()
            self._end(last)

    # -- leading --------------------------------------------------------------------------------

    def _commit_group(self) -> None:
        """Commit the head of the queue as its leader, then pass the lead on.

        Appends stay in the queue until they are done. Wherever a leader is interrupted, the next one
        finds what is left; events are known by their ids, so that none is written twice.
        """
        self._let_in()
        group = [pending for pending in islice(self._queued.copy(), _GROUP) if not pending.done]
        try:
            if group:
                self._commit(group)
        except LogError as error:
            # What was submitted before anybody could know goes the same way: it must not overtake.
            group = [pending for pending in self._queued.copy() if not pending.done]
            for pending in group:
                pending.result, pending.error = None, _copy(error)
        except Exception as error:
            for pending in group:
                pending.result, pending.error = None, error
        self._company = len(group)
        callbacks: list[Callable[[], None]] = []
        with self._mutex:
            self._urgent = False
            for pending in group:
                pending.done = True
            self._clear_done(callbacks)
            self._pass_on()
        if group:
            self._committed()
        _call_all(callbacks)

    def _let_in(self) -> None:
        """Give those a chance whose appends were in the last group: they were woken just now, and
        without them this commit would be for one, and the next one for all the others."""
        queued = self._queued
        here = len(queued)
        while here < self._company:
            sleep(0)
            before, here = here, len(queued)
            if here == before:
                break

    def _clear_done(self, callbacks: list[Callable[[], None]]) -> None:
        """Take what is done out of the queue and wake who waits for it; the mutex is held."""
        queued = self._queued
        while queued and queued[0].done:
            pending = queued[0]
            if pending.gates is not None:
                for lock, _ in pending.gates:
                    with suppress(RuntimeError):  # opened already, before an interruption
                        lock.release()
            if pending.callbacks is not None:
                callbacks += pending.callbacks
            queued.popleft()

    def _pass_on(self) -> None:
        """Choose the next leader; the mutex is held."""
        head = self._queued[0] if self._queued else None
        if self._reserved:
            gate = self._reserved.pop(0)
        elif head is not None and head.gates:
            gate = head.gates.pop(0)
        else:
            self._leader = 0
            if head is not None:
                self._urgent = any(other.gates or other.callbacks for other in self._queued.copy())
                self._call_thread()
            return
        self._leader = gate[1]
        gate[0].release()

    def _withdraw(self, me: int, gate: Gate | None, pending: Pending | None = None) -> None:
        """Somebody who was interrupted waits no longer, and passes the lead on if it has it."""
        callbacks: list[Callable[[], None]] = []
        with self._mutex:
            if pending is not None and pending.gates:
                pending.gates = [other for other in pending.gates if other is not gate]
            self._reserved = [other for other in self._reserved if other is not gate]
            if self._leader == me:
                self._clear_done(callbacks)
                self._pass_on()
        _call_all(callbacks)

    def _lead(self, work: Callable[[], None]) -> None:
        """Do ``work`` while nobody commits."""
        me = threading.get_ident()
        gate: Gate | None = None
        try:
            with self._mutex:
                if not self._leader:
                    self._leader = me
                else:
                    gate = _gate(me)
                    self._reserved.append(gate)
            if gate is not None:
                gate[0].acquire()
            work()
        finally:
            self._withdraw(me, gate)

    # -- the background thread --------------------------------------------------------------------

    def _call_thread(self) -> None:
        """Have the background thread look at the queue, starting it if there is none."""
        if self._thread is None:
            with self._starting:
                if self._thread is None and not self._ending:
                    thread = threading.Thread(target=self._run, name="dashflow-log-writer", daemon=True)
                    thread.start()
                    self._thread = thread
        self._call = self._ending
        self._wake.set()

    def _run(self) -> None:
        """Commit what nobody waits for, and keep the owners' leases."""
        idle = 0
        while not self._ending:
            self._wake.clear()
            if self._queued:
                idle = 0
                if not self._urgent:
                    self._wake.wait(LINGER)
                self._commit_if_free()
            elif idle < _IDLE_ROUNDS:
                idle += 1
                self._wake.wait(LINGER)
            else:
                self._call = True
                if not self._queued and not self._ending:
                    self._wake.wait(self._until_beat())
                self._call = self._ending
            if self._until_beat() == 0:
                self._lead(self._one_beat)
        if self._last is not None:
            self._end(self._last)

    def _commit_if_free(self) -> None:
        """Lead one group, unless somebody else is committing."""
        me = threading.get_ident()
        with self._mutex:
            if not self._leader and self._queued:
                self._leader = me
        if self._leader == me:
            self._commit_group()
        elif self._queued:
            self._wake.wait(LINGER)

    def _until_beat(self) -> float | None:
        """Seconds until the heartbeat is due; None without one."""
        return None if self._beat_due is None else max(self._beat_due - monotonic(), 0.0)

    def _one_beat(self) -> None:
        self._beat_due = monotonic() + self._beat_seconds if self._beat() else None

    def _drain(self) -> None:
        """Commit, or refuse, all that is queued."""
        while self._queued:
            with suppress(IndexError):  # another thread was faster
                self.settle(self._queued[-1])

    def _end(self, last: Callable[[], None]) -> None:
        self._drain()
        self._lead(last)
        self._ended = True
        self._drain()  # submitted meanwhile: refused, since the log is closed now


def _gate(thread: int) -> Gate:
    lock = threading.Lock()
    lock.acquire()
    return lock, thread


def _call_all(callbacks: list[Callable[[], None]]) -> None:
    """Call what was to be called; one that fails keeps no other from it."""
    for callback in callbacks:
        try:
            callback()
        except Exception:
            import logging  # rarely needed, and slow to load

            logging.getLogger(__name__).exception("a call after an append has failed")


def _copy(error: LogError) -> LogError:
    """The same error for another append, so that threads do not share its traceback."""
    kind, arguments = error.__reduce__()
    copy: LogError = kind(*arguments)
    copy.__cause__ = error.__cause__
    return copy
