"""Live progress, from the log alone: a thread follows the run's stream and folds it; displays draw the state.

Works the same for a run of this process and of another one. Draws on standard error only, and decides
nothing: losing a display loses nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from dashflow.cli.marks import mark, plain, word
from dashflow.cli.output import Output
from dashflow.cli.render import console_for, duration
from dashflow.cli.streams import Stream, clean
from dashflow.cli.views import task_state
from dashflow.errors import LogError
from dashflow.log.base import EventLog, Record, Subscription
from dashflow.planner.core.codec import decode, stream_of
from dashflow.planner.core.events import (
    AnswerSource,
    ApprovalAwaited,
    ApprovalReceived,
    ClarificationReceived,
    Event,
    PlanRejected,
    TaskDispatched,
    TasksPlanned,
    TaskStatusUpdated,
)
from dashflow.planner.core.fold import fold, fold_all
from dashflow.planner.core.state import PlannerState, TaskTime
from dashflow.planner.core.task import TaskStatus


class Display(Protocol):
    """Shows how a run goes on."""

    def begin(self, state: PlannerState) -> None:
        """Start to show; ``state`` is how the run stands."""
        ...

    def update(self, event: Event, state: PlannerState) -> None:
        """Something happened; called on the follower's thread."""
        ...

    def pause(self) -> None:
        """Leave the terminal to somebody else."""
        ...

    def go_on(self) -> None:
        """Take it back."""
        ...

    def note(self, text: str) -> None:
        """Tell something that is no event."""
        ...

    def end(self) -> None:
        """Show the last state and stop."""
        ...


def display_for(output: Output) -> Display:
    """The display that standard error can carry."""
    return LiveDisplay(output.err) if output.err.animated else LineDisplay(output)


class Follower:
    """Feeds a display from the log: first what is there, then what comes, each event once."""

    def __init__(self, log: EventLog, run: str, display: Display) -> None:
        self._log = log
        self._stream = stream_of(run)
        self._display = display
        self._state = PlannerState()
        self._subscription: Subscription | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Show how the run stands, and follow it from there on a thread."""
        records = self._log.read(self._stream)
        self._state = fold_all(decode(record) for record in records)
        self._display.begin(self._state)
        after = records[-1].position if records else 0
        self._subscription = self._log.subscribe(stream=self._stream, after=after)
        self._thread = threading.Thread(target=self._follow, name="dashflow-progress", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Show what is still to be shown, and stop following. Safe to call twice."""
        if self._subscription is None or self._thread is None:
            return
        self._subscription.close()
        self._thread.join()
        self._subscription = None
        try:
            for record in self._log.read(self._stream, after=self._state.cursor):
                self._take(record)
        except LogError:
            self._display.note("The rest of the progress cannot be read.")  # the command says why
        self._display.end()

    def _follow(self) -> None:
        subscription = self._subscription
        try:
            while subscription is not None and (records := subscription.poll()):
                for record in records:
                    self._take(record)
        except LogError:
            self._display.note("The progress cannot be read any more.")  # the flow will meet it too

    def _take(self, record: Record) -> None:
        if record.version > self._state.cursor:
            event = decode(record)
            self._state = fold(self._state, event)
            self._display.update(event, self._state)


# -- one line per event -------------------------------------------------------------------------


class LineDisplay:
    """A line on standard error for each thing worth telling: for pipes, files and simple terminals."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def begin(self, state: PlannerState) -> None:
        """See ``Display.begin``."""
        done = state.count(TaskStatus.COMPLETED)
        if done:
            self._say(state.updated_at, f"{done} of {len(state.tasks)} tasks are completed already")

    def update(self, event: Event, state: PlannerState) -> None:
        """See ``Display.update``."""
        for line in tell(event, state):
            self._say(event.at, line)

    def pause(self) -> None:
        """See ``Display.pause``; lines come only while tasks run, and none runs meanwhile."""

    def go_on(self) -> None:
        """See ``Display.go_on``; a line needs no terminal of its own."""

    def note(self, text: str) -> None:
        """See ``Display.note``."""
        self._output.say(text)

    def end(self) -> None:
        """See ``Display.end``; lines need no end."""

    def _say(self, at: int, line: str) -> None:
        clock = datetime.fromtimestamp(at / 1e9).strftime("%H:%M:%S")
        self._output.say(f"{clock}  {line}")


def tell(event: Event, state: PlannerState) -> Iterator[str]:
    """What an event means, in words; nothing for those that say nothing new to people."""
    if isinstance(event, TasksPlanned):
        count = len(event.tasks)
        yield f"planned {count} task{'s' * (count != 1)} by {event.planner or 'rules'}"
        yield from (f"note: {' '.join(note.split())}" for note in event.notes)
    elif isinstance(event, PlanRejected):
        yield f"plan rejected: {' '.join(event.problem.split())}"
    elif isinstance(event, TaskDispatched):
        again = f" (attempt {event.attempt})" if event.attempt > 1 else ""
        yield f"{event.task} started{again}: {' '.join(state.tasks[event.task].description.split())}"
    elif isinstance(event, TaskStatusUpdated):
        yield _told_status(event, state)
    elif isinstance(event, ApprovalAwaited):
        yield f"{event.task} waits for approval {event.approval}"
    elif isinstance(event, ApprovalReceived):
        by = f" by {', '.join(event.by)}" if event.by else ""
        yield f"{event.task} {event.outcome}{by}"
    elif isinstance(event, ClarificationReceived):
        source = " (given in advance)" if event.source is AnswerSource.RECORDED else ""
        yield f"{event.task} answered{source}: {' '.join(event.text.split())}"


def _told_status(event: TaskStatusUpdated, state: PlannerState) -> str:
    times = state.times.get(event.task, TaskTime())
    took = duration((times.ended - times.started) / 1e9) if times.started else "no time"
    if event.status is TaskStatus.FAILED:
        return f"{event.task} failed after {took}: {' '.join((event.error or '').split())}"
    if event.status is TaskStatus.NEEDS_CLARIFICATION:
        return f"{event.task} asks: {' '.join((event.question or '').split())}"
    return f"{event.task} {event.status.value} in {took}"


# -- drawn again and again ----------------------------------------------------------------------

_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_NARROW = 60
"""Columns below which only the essential is drawn."""

_ORDER = (
    "running",
    "stopped",
    "needs_clarification",
    "needs_approval",
    "failed",
    "ready",
    "planned",
    "blocked",
    "cancelled",
    "completed",
)
"""Which tasks to draw first when not all fit."""


class LiveDisplay:
    """The plan, drawn again several times a second at the bottom of the terminal."""

    def __init__(self, stream: Stream) -> None:
        self._unicode = stream.unicode
        self._console = console_for(stream)
        self._state = PlannerState()
        self._live: Live | None = None
        self._note = ""
        self._over = False

    def begin(self, state: PlannerState) -> None:
        """See ``Display.begin``."""
        self._state = state
        self._start()

    def update(self, event: Event, state: PlannerState) -> None:
        """See ``Display.update``; drawn at the next beat."""
        self._state = state

    def pause(self) -> None:
        """See ``Display.pause``: what was drawn is wiped away."""
        self._stop(wipe=True)

    def go_on(self) -> None:
        """See ``Display.go_on``: it is drawn anew."""
        self._start()

    def note(self, text: str) -> None:
        """See ``Display.note``."""
        self._note = text

    def end(self) -> None:
        """See ``Display.end``."""
        self._over = True
        self._stop(wipe=False)

    def _start(self) -> None:
        self._live = Live(
            get_renderable=self._draw,
            console=self._console,
            refresh_per_second=8,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def _stop(self, *, wipe: bool) -> None:
        live, self._live = self._live, None
        if live is not None:
            live.transient = wipe
            live.stop()

    def _draw(self) -> RenderableType:
        now = 0 if self._over else time.time_ns()
        picture = draw(self._state, self._console, now, self._unicode)
        if not self._note or self._over:
            return picture
        return Group(picture, Text(self._note, "yellow", no_wrap=True, overflow="ellipsis"))


def draw(state: PlannerState, console: Console, now: int, unicode: bool) -> RenderableType:
    """The plan as it stands: a line per task as far as they fit, and how much is done.

    ``now`` is 0 when nobody works on it any more.
    """
    if not state.tasks:
        return Text.assemble(_spinner(now, unicode), " planning ...") if now else Text("no plan yet", "dim")
    states = {one: task_state(state, one, running=bool(now)) for one in state.tasks}
    room = max(3, console.size.height - 4)
    shown = sorted(state.tasks, key=lambda one: _ORDER.index(states[one]))[:room]
    table = Table.grid(padding=(0, 1), expand=True)
    wide = console.width >= _NARROW
    table.add_column(no_wrap=True, width=1)
    table.add_column(no_wrap=True)
    if wide:
        table.add_column(no_wrap=True, style="dim")
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column(no_wrap=True, justify="right")
    for task in state.tasks.values():
        if task.id in shown:
            name = states[task.id]
            glyph = _spinner(now, unicode) if name == "running" else mark(name, unicode)
            kind = [clean(task.kind.value)] if wide else []
            table.add_row(
                glyph, clean(task.id), *kind, plain(task.description), _beside(state, task.id, name, now)
            )
    hidden = len(state.tasks) - len(shown)
    foot = f"{hidden} more tasks" if hidden else ""
    if now:
        done = f"{state.count(TaskStatus.COMPLETED)} of {len(state.tasks)} tasks done"
        foot = f"{done}{f', {hidden} not shown' if hidden else ''}"
        foot += "" if state.finished else "; Ctrl-C stops, `dashflow resume` goes on"
    return Group(table, Text(foot, "dim", no_wrap=True, overflow="ellipsis"))


def _beside(state: PlannerState, task: str, name: str, now: int) -> Text:
    """What stands at the end of a task's line: its duration, or why there is none."""
    times = state.times.get(task, TaskTime())
    if name == "running":
        return Text(duration(max(0, now - times.started) / 1e9), "cyan")
    if name == "completed":
        return Text(duration((times.ended - times.started) / 1e9), "green")
    return Text(word(name), "red" if name in ("failed", "blocked") else "dim")


def _spinner(now: int, unicode: bool) -> Text:
    frames = _FRAMES if unicode else "|/-\\"
    return Text(frames[now // 125_000_000 % len(frames)], "cyan")
