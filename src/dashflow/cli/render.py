"""How views look to people: one function per view, as rich renderables. No colour carries meaning alone.

Text from outside is cleaned of control characters first, and never read as markup. Decides nothing;
writes nowhere.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from dashflow.cli.batch_views import BatchList, BatchView
from dashflow.cli.marks import mark, plain, word
from dashflow.cli.streams import Stream, clean
from dashflow.cli.views import (
    BreakpointList,
    DeadLetterList,
    EventView,
    Retained,
    RunList,
    RunRow,
    RunsView,
    RunView,
    StateView,
    TaskView,
    WorkView,
)

_WIDE = 10_000
"""Columns where no terminal bounds them: a pipe gets whole lines, so that grep finds what it looks for."""

_HEIGHT = 25

_WORK = {"finished": "green", "failed": "red", "dead letter": "red", "left": "yellow", "trouble": "yellow"}
"""Colours of what a worker tells."""


def console_for(stream: Stream) -> Console:
    """A rich console that does what the stream can: colour, width, nothing else."""
    width, height = _size(stream)
    return Console(
        file=stream,  # type: ignore[arg-type]  # has all that rich asks of a file
        width=width,
        height=height,
        color_system="auto" if stream.coloured else None,
        force_terminal=stream.terminal,
        no_color=not stream.coloured,
        markup=False,
        highlight=False,
        emoji=False,
        legacy_windows=False,
    )


def _size(stream: Stream) -> tuple[int, int]:
    """Columns and lines. Not left to rich, which takes 80 for any simple terminal and for any file then."""
    asked = os.environ.get("COLUMNS", "")
    columns = int(asked) if asked.isdecimal() and len(asked) < 6 else 0
    if not stream.terminal:
        return columns or _WIDE, _HEIGHT
    try:
        size = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return columns or 80, _HEIGHT  # it says that it is one, but not how large
    return columns or size.columns or 80, size.lines or _HEIGHT


def render(view: Any, form: str, unicode: bool) -> RenderableType:
    """What people see of ``view``; ``form`` as in ``Output.show``."""
    kind = type(view)
    harmless = msgspec.convert(_cleaned(msgspec.to_builtins(view)), kind)
    return _renderer(kind)(harmless, form, unicode)


def _renderer(kind: type) -> Callable[[Any, str, bool], RenderableType]:
    if kind in _RENDERERS:
        return _RENDERERS[kind]
    from dashflow.cli.branch_render import RENDERERS  # only for these

    if kind in RENDERERS:
        return RENDERERS[kind]
    from dashflow.cli.replay_views import ReplayView, lines_of

    if kind is ReplayView:
        return lambda view, form, unicode: Text("\n".join(lines_of(view)))
    from dashflow.cli.doctor_views import DoctorView, lines

    if kind is DoctorView:
        return lambda view, form, unicode: Text("\n".join(lines(view)))
    from dashflow.cli.moving_views import text_of  # and for these

    return lambda view, form, unicode: Text(text_of(view))


def _cleaned(value: Any) -> Any:
    """The same plain data without anything that a terminal would obey."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {_cleaned(key): _cleaned(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(one) for one in value]
    return value


def duration(seconds: float | None) -> str:
    """A duration in the unit that people would use."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


# -- a run --------------------------------------------------------------------------------------


def _run(view: RunView, form: str, unicode: bool) -> RenderableType:
    return _run_tree(view, unicode) if form == "tree" else Group(*_summary(view, unicode))


def headline(view: RunView, unicode: bool) -> Text:
    """A run's state in one line."""
    dot = " · " if unicode else " - "
    done = sum(task.state == "completed" for task in view.tasks)
    line = Text.assemble(mark(view.status, unicode), " ", (word(view.status), "bold"))
    if view.seconds is not None:
        line.append(
            f" in {duration(view.seconds)}"
            if view.status == "completed"
            else f" after {duration(view.seconds)}"
        )
    if view.tasks:
        line.append(f"{dot}{done} of {len(view.tasks)} tasks{dot}run {view.run}")
    else:
        line.append(f"{dot}run {view.run}")
    return line


def _summary(view: RunView, unicode: bool) -> Iterator[RenderableType]:
    yield headline(view, unicode)
    yield from _problems(view, unicode)
    yield from _questions(view)
    facts = _facts()
    if view.findings is not None:
        total = sum(view.findings.values())
        facts.add_row("findings", Text(str(total) if total else "none"))
        width = len(str(total))
        for kind, count in view.findings.items():
            facts.add_row("", Text.assemble((f"{count:>{width}} ", "bold"), plain(kind.replace("_", " "))))
    if view.report.markdown:
        facts.add_row("report", _path(view.report.markdown))
    if view.report.json:
        facts.add_row("", _path(view.report.json))
    facts.add_row("log", _path(view.log))
    for number, line in enumerate(view.next):
        facts.add_row("" if number else "next", Text(line, "cyan", overflow="fold"))
    yield Text()
    yield facts


def _facts() -> Table:
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    return facts


def _path(path: str) -> Text:
    return Text(path, overflow="fold")


def _problems(view: RunView, unicode: bool) -> Iterator[RenderableType]:
    failed = [task for task in view.tasks if task.state == "failed"]
    blocked = [task.id for task in view.tasks if task.state == "blocked"]
    for task in failed:
        yield _indented(Text.assemble(mark("failed", unicode), f" {task.id} ", plain(task.error or "")))
    if blocked:
        yield _indented(Text.assemble(mark("blocked", unicode), f" could not start: {', '.join(blocked)}"))
    if view.error is not None and not failed:  # else it only sums up what stands above
        yield _indented(plain(view.error.message, "red"))


def _questions(view: RunView) -> Iterator[RenderableType]:
    for question in view.questions:
        yield _indented(Text.assemble((f"{question.task}  ", "dim"), plain(question.text, "bold")))


def _indented(text: Text) -> RenderableType:
    from rich.padding import Padding

    return Padding(text, (0, 0, 0, 2), expand=False)


# -- a plan as a tree ---------------------------------------------------------------------------


def _run_tree(view: RunView, unicode: bool) -> RenderableType:
    tree = Tree(plain(view.goal, "bold"), guide_style="dim")
    branches: dict[str, Tree] = {}
    parents = tree_parents(view.tasks)
    for task in view.tasks:  # parents first, since a plan lists them so or the depth sorted them
        branches[task.id] = Tree("")
    for task in view.tasks:
        parent = parents[task.id]
        node = branches[task.id]
        node.label = _task_line(task, parent, unicode)
        node.guide_style = "dim"
        (tree if parent is None else branches[parent]).children.append(node)
    parts: list[RenderableType] = [tree, Text(), headline(view, unicode)]
    parts += _problems(view, unicode)
    parts += [_indented(plain(f"note: {note}", "dim")) for note in view.notes]
    parts += [*_questions(view), Text(), _where(view)]
    return Group(*parts)


def _where(view: RunView) -> RenderableType:
    facts = _facts()
    if view.folder:
        facts.add_row("folder", _path(view.folder))
    if view.report.markdown:
        facts.add_row("report", _path(view.report.markdown))
    facts.add_row("planned by", plain(view.planned_by or "nobody yet"))
    facts.add_row("started", _local_time(view.created_at))
    for number, line in enumerate(view.next if view.status not in ("completed", "running") else ()):
        facts.add_row("" if number else "next", Text(line, "cyan", overflow="fold"))
    return facts


def tree_parents(tasks: Sequence[TaskView]) -> dict[str, str | None]:
    """For every task the one it is drawn under: of those it waits for, the deepest in the plan.

    A plan is no tree; the others that a task waits for are named on its line.
    """
    known = {task.id for task in tasks}
    waits = {
        task.id: [other for other in (*task.after, *task.after_optional) if other in known] for task in tasks
    }
    depth = dict.fromkeys(waits, 0)
    for _ in waits:  # as often as the longest chain is long, at most; plans are listed almost in order
        before = dict(depth)
        for one, others in waits.items():
            depth[one] = max((1 + depth[other] for other in others), default=0)
        if depth == before:
            break
    return {one: max(others, key=depth.__getitem__, default=None) for one, others in waits.items()}


def _task_line(task: TaskView, parent: str | None, unicode: bool) -> Text:
    line = Text.assemble(
        mark(task.state, unicode),
        " ",
        (task.id, "bold"),
        " ",
        (task.kind, "dim"),
        "  ",
        plain(task.description),
    )
    facts = [word(task.state)]
    if task.seconds is not None and task.state in ("completed", "failed"):
        facts.append(duration(task.seconds))
    attempts = task.attempt - (task.answer is not None)  # an answered task was only handed out again
    if attempts > 1:
        facts.append(f"attempt {attempts}")
    others = [one for one in (*task.after, *task.after_optional) if one != parent]
    if others:
        facts.append(f"also after {', '.join(others)}")
    line.append(f"  [{', '.join(facts)}]", "dim")
    if task.answer:
        line.append("  answer: ", "dim").append_text(plain(task.answer))
    return line


# -- lists, events, states ----------------------------------------------------------------------


def _runs(view: RunsView, form: str, unicode: bool) -> RenderableType:
    parts: list[RenderableType] = []
    for one in view.runs:
        parts += [Text()] if parts else []
        parts += _summary(one, unicode)
    return Group(*parts)


def _list(view: RunList, form: str, unicode: bool) -> RenderableType:
    if not view.runs:
        return Text.assemble("No runs in ", plain(view.log), '. Start one: dashflow run "GOAL" --on PATH')
    # Columns by hand: a rich table would rather squeeze the ids than cut the goals.
    runs = max(len(row.run) for row in view.runs)
    lines = [Text(f"{'run':<{runs}}  {'state':<11}  {'tasks':>5}  {'started':<16}  goal", "dim")]
    for row in view.runs:
        line = Text(f"{row.run:<{runs}}  ").append_text(mark(row.status, unicode))
        line.append(f" {row.status:<9}  {f'{row.tasks_done}/{row.tasks_total}':>5}  ")
        line.append(f"{_local_time(row.created_at):<16}  ", "dim").append_text(plain(_about(row)))
        lines.append(line)
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
    return Group(*lines)


def _about(row: RunRow) -> str:
    """What a run is about; of a graph's thread there is only how far it is."""
    if row.kind == "plan":
        return row.goal
    return f"graph, {row.steps} step{'s' * (row.steps != 1)}" + (f", {row.error}" if row.error else "")


def _event(view: EventView, form: str, unicode: bool) -> RenderableType:
    time = datetime.fromisoformat(view.at).astimezone().strftime("%H:%M:%S.%f")[:-3]
    fields = {name: value for name, value in view.data.items() if name not in ("at", "type")}
    number = f"{view.version:>4}" if form == "line" else f"{view.position:>6}"
    line = Text.assemble((f"{number}  {time}  ", "dim"), (f"{view.type:<22}", "bold"), "  ")
    if form == "log":
        line.append_text(plain(f"{view.stream} "))
    line.append_text(plain(_fields(fields)))
    line.no_wrap, line.overflow = True, "ellipsis"
    return Group(line)  # alone, rich would copy it without these two


def _work(view: WorkView, form: str, unicode: bool) -> RenderableType:
    line = Text.assemble((f"{view.kind} {view.name} ".lstrip(), ""), (view.what, _WORK.get(view.what, "")))
    if view.attempt > 1:
        line.append(f", attempt {view.attempt}")
    if view.text:
        line.append(": ").append_text(plain(view.text))
    return line


def _dead_letters(view: DeadLetterList, form: str, unicode: bool) -> RenderableType:
    if not view.dead_letters:
        return Text.assemble("No dead letters in ", plain(view.log), ".")
    lines: list[RenderableType] = []
    for row in view.dead_letters:
        line = Text.assemble(mark("failed", unicode), " ", (row.thread, "bold"))
        line.append(f"  {row.graph}  " if row.graph else "  ").append(_local_time(row.at), "dim")
        lines += [line, Text("  ").append_text(plain(row.reason))]
    lines += [Text(), Text.assemble("try again  ", (view.next, "cyan"))]
    return Group(*lines)


def _fields(fields: dict[str, Any]) -> str:
    shown = []
    for name, value in fields.items():
        if value is None or (not value and isinstance(value, str | list | tuple | dict)):
            continue
        text = value if isinstance(value, str) else msgspec.json.encode(value, enc_hook=repr).decode()
        shown.append(f"{name}={text}")
    return " ".join(shown)


def _state(view: StateView, form: str, unicode: bool) -> RenderableType:
    from rich.pretty import Pretty

    head = Text.assemble((view.kind, "dim"), " ", (view.thread, "bold"), f" at version {view.version}")
    return Group(head, Pretty(view.state, expand_all=True, indent_guides=False))


def _local_time(iso: str) -> str:
    """A time as the reader's clock shows it, to the minute."""
    return datetime.fromisoformat(iso).astimezone().strftime("%Y-%m-%d %H:%M")


def _breakpoints(view: BreakpointList, form: str, unicode: bool) -> RenderableType:
    if not view.breakpoints:
        return Text(f"No breakpoints on thread {view.thread}.")
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("node", "at", "when"):
        table.add_column(title)
    for point in view.breakpoints:
        table.add_row(Text(point.node), Text(point.at), Text(point.when or "always"))
    return table


def _retained(view: Retained, form: str, unicode: bool) -> RenderableType:
    if not view.threads:
        return Text("There are no threads.")
    lines = []
    for row in view.threads:
        if row.running:
            lines.append(Text(f"{row.thread}: runs at this moment, left alone", "yellow"))
        elif view.did == "deleted":
            lines.append(Text(f"{row.thread}: deleted"))
        else:
            what = "checkpoint" if row.checkpoints == 1 else "checkpoints"
            lines.append(Text(f"{row.thread}: {row.checkpoints} {what} {view.did}"))
    return Group(*lines)


def _batch(view: BatchView, form: str, unicode: bool) -> RenderableType:
    line = Text.assemble(mark(view.status, unicode), " ", (word(view.status), "bold"), f"  {view.batch}")
    total = f"{view.accepted}" if view.input_ended else f"{view.accepted} so far"
    lines = [line, Text(f"  {view.completed} of {total} completed, {view.failed} failed, {view.open} open")]
    if view.reason:
        lines.append(plain(f"  {view.reason}"))
    lines += [Text(f"  {command}", "dim") for command in view.next]
    return Group(*lines)


def _batches(view: BatchList, form: str, unicode: bool) -> RenderableType:
    if not view.batches:
        return Text(f"No batches in {view.log}.")
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("", "status", "batch", "completed", "failed", "accepted", "written"):
        table.add_column(title, justify="right" if title in ("completed", "failed", "accepted") else "left")
    for one in view.batches:
        table.add_row(
            mark(one.status, unicode),
            word(one.status),
            Text(one.batch),
            str(one.completed),
            str(one.failed),
            str(one.accepted) if one.input_ended else f"{one.accepted}+",
            _local_time(one.updated_at),
        )
    return table


_RENDERERS: dict[type, Callable[[Any, str, bool], RenderableType]] = {
    RunView: _run,
    RunsView: _runs,
    RunList: _list,
    EventView: _event,
    StateView: _state,
    WorkView: _work,
    DeadLetterList: _dead_letters,
    BreakpointList: _breakpoints,
    Retained: _retained,
    BatchView: _batch,
    BatchList: _batches,
}
