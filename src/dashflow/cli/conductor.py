"""Works on a run while somebody looks on: the flow on a thread, the terminal and the signals on the main one.

Asks questions where a person sits at the terminal. Decides nothing about plans.
"""

from __future__ import annotations

import sys
import threading
from queue import SimpleQueue

import msgspec
from rich.text import Text

from dashflow.cli.interrupts import Interrupts
from dashflow.cli.output import Output
from dashflow.cli.progress import Display, Follower, display_for
from dashflow.cli.streams import clean
from dashflow.hosts.stoppable import StoppableHost, StopRequested
from dashflow.log.base import EventLog
from dashflow.planner.core.state import PlannerState
from dashflow.planner.runs import PlanRuns


class _Question(msgspec.Struct):
    """Sent to the main thread; its answer (None: nobody answered) goes back on ``reply``."""

    task: str
    text: str
    reply: SimpleQueue[str | None]


class _Stopping(msgspec.Struct):
    """A signal asked to stop; the flow has been told already."""


class _Ended(msgspec.Struct):
    """The flow returned, or raised ``error``."""

    error: BaseException | None = None


class Conductor:
    """Runs plans of one log for one command."""

    def __init__(self, log: EventLog, output: Output, interrupts: Interrupts) -> None:
        self._host = StoppableHost()
        self._log = log
        self._output = output
        self._interrupts = interrupts
        self._inbox: SimpleQueue[_Question | _Stopping | _Ended] = SimpleQueue()
        self.runs = PlanRuns(log, host=self._host)

    @property
    def stopped(self) -> bool:
        """Whether a signal asked to stop."""
        return self._interrupts.came

    def work(self, run: str) -> PlannerState:
        """Work on a run until its end, until it waits, or until somebody stops it; how it stands then.

        Raises:
            UnknownRunError, OwnershipConflictError, UsageError, LogError: as ``PlanRuns.run``.
        """
        display = display_for(self._output)
        follower = Follower(self._log, run, display)
        person = sys.stdin is not None and sys.stdin.isatty() and self._output.err.terminal
        worker = threading.Thread(target=self._run, args=(run, person), name="dashflow-run", daemon=True)
        follower.start()
        try:
            self._interrupts.stop = self._stop
            worker.start()
            ended = self._attend(display)
        finally:
            self._interrupts.stop = None
            follower.finish()
        if ended.error is not None and not isinstance(ended.error, StopRequested):
            raise ended.error
        return self.runs.state(run)

    def _stop(self) -> None:
        """Called by the signal handler: writes nothing, since it may have broken into a write."""
        self._host.stop()
        self._inbox.put(_Stopping())

    def _run(self, run: str, person: bool) -> None:
        """The flow's thread."""
        try:
            self.runs.run(run, ask=self._ask if person else None)
            self._inbox.put(_Ended())
        except BaseException as error:  # raised again on the main thread
            self._inbox.put(_Ended(error))

    def _ask(self, task: str, question: str) -> str | None:
        """Called on the flow's side: let the main thread ask, since only it hears Ctrl-C."""
        asked = _Question(task, question, SimpleQueue())
        self._inbox.put(asked)
        return asked.reply.get()

    def _attend(self, display: Display) -> _Ended:
        """The main thread's part: wait for the flow and ask its questions."""
        while True:
            item = self._inbox.get()
            if isinstance(item, _Ended):
                return item
            if isinstance(item, _Stopping):
                display.note("Stopping: running tasks are cancelled. Ctrl-C again leaves at once.")
                continue
            display.pause()
            item.reply.put(self._answer(item))
            if not self.stopped:
                display.go_on()

    def _answer(self, question: _Question) -> str | None:
        """Ask at the terminal; None when the person leaves it open (Ctrl-D, or Ctrl-C to stop)."""
        text = Text.assemble(("? ", "bold yellow"), clean(question.text.strip()))
        self._output.err.write(self._output.text(text, self._output.err))
        try:
            # In this order: a Ctrl-C before the flag is seen by the look behind it, a later one breaks in.
            self._interrupts.breakable = True
            answer = None if self.stopped else self._read_line()
            self._interrupts.breakable = False
        except KeyboardInterrupt:  # at most one: the second signal leaves without a word
            self._interrupts.breakable = False
            self._output.say("")
            return None
        return answer

    def _read_line(self) -> str | None:
        """The first line that is not empty; None at the end of the input."""
        while True:
            self._output.err.write("> ")
            line = self._interrupts.read_line()
            if not line:
                self._output.say("")
                return None
            if line.strip():
                return line.strip()
            self._output.say("Type an answer, or Ctrl-D to answer later.")
