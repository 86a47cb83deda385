"""Make docs/reference/events.md from the event types themselves: names, meanings, fields.

With ``--check`` nothing is written, and a page that is not current ends with 1.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import get_args

import msgspec

from dashflow.batch.core import events as batch_events
from dashflow.checkpoint.breakpoints import BreakpointsSet
from dashflow.core import events as graph_events
from dashflow.core import inbox as inbox_events
from dashflow.hitl.core import commands as approval_commands
from dashflow.hitl.core import events as approval_events
from dashflow.hitl.core import terms as approval_terms
from dashflow.planner.core import commands as planner_commands
from dashflow.planner.core import events as planner_events
from dashflow.types.breakpoints import Breakpoint

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "events.md"

HEAD = """\
# Events

<!-- Made by scripts/event_reference.py from the event types themselves. Do not edit: `make features`. -->

What can happen, as the log records it. Names are in the past tense and never change; a layout that changes
gets a new schema number and is translated when it is read. The envelope around every event is described in
[log format](log-format.md).
"""

SECTIONS: tuple[tuple[str, str, tuple[type[msgspec.Struct], ...]], ...] = (
    (
        "Planner events",
        "Recorded in a run's stream. All of them have `at: int`, nanoseconds since the Unix epoch.",
        get_args(planner_events.Event),
    ),
    (
        "Planner commands",
        "What the pure handler is asked with `process(state, command)`; not recorded. All have `now: int`.",
        get_args(planner_commands.Command),
    ),
    (
        "Graph events",
        "Recorded in a thread's stream.",
        get_args(graph_events.Event),
    ),
    (
        "Inbox events",
        "Recorded in the stream of a thread's inbox, while inputs wait for a busy thread; and by processes "
        "that wait or work.",
        get_args(inbox_events.InboxEvent),
    ),
    (
        "Parts of graph events",
        "Values inside the events above.",
        (graph_events.Change, graph_events.Question),
    ),
    (
        "Events beside graphs",
        "Recorded in a stream of their own, `breakpoints-THREAD`.",
        (BreakpointsSet,),
    ),
    ("Parts of these", "", (Breakpoint,)),
    (
        "Batch events",
        "Recorded in a batch's stream. All of them have `at: int`, nanoseconds since the Unix epoch.",
        get_args(batch_events.Event),
    ),
    (
        "Approval events",
        "Recorded in an approval's stream. All of them have `at: int`, nanoseconds since the Unix epoch.",
        get_args(approval_events.Event),
    ),
    (
        "Parts of approval events",
        "",
        (approval_terms.Terms, approval_terms.Escalation, approval_events.Origin),
    ),
    (
        "Approval commands",
        "What the pure handler is asked; not recorded. All have `now: int`.",
        get_args(approval_commands.Command),
    ),
)


def render() -> str:
    """The page's text."""
    lines = [HEAD]
    for title, text, kinds in SECTIONS:
        lines += [f"## {title}\n", f"{text}\n", *_section(kinds)]
    return "\n".join(lines) + "\n"


def _section(kinds: Iterable[type[msgspec.Struct]]) -> Iterator[str]:
    for kind in kinds:
        yield f"### {kind.__name__}\n"
        yield f"{_markdown(inspect.getdoc(kind) or '')}\n"
        own = inspect.get_annotations(kind)
        fields = [(name, own[name]) for name in kind.__struct_fields__ if name in own]
        if fields:
            yield "```text"
            yield from (f"{name}: {kind_of}" for name, kind_of in fields)
            yield "```\n"


def _markdown(docstring: str) -> str:
    """A docstring as Markdown: attributes become a list, double backquotes single ones."""
    text, _, attributes = docstring.partition("\nAttributes:\n")
    items: list[str] = []
    for line in attributes.splitlines():
        name, colon, meaning = line.strip().partition(": ")
        if line.startswith("    ") and not line.startswith("     ") and colon:
            items.append(f"- `{name}`: {meaning}")
        elif line.strip():
            items[-1] += f" {line.strip()}"
    return (text.strip() + ("\n\n" + "\n".join(items) if items else "")).replace("``", "`")


def main(arguments: list[str]) -> int:
    """Write the page, or with ``--check`` say whether it is current."""
    text = render()
    if arguments == ["--check"]:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
            print(
                "event_reference: docs/reference/events.md is not current; run `make features` and commit it."
            )
            return 1
        print("event_reference: docs/reference/events.md is current.")
        return 0
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(text, encoding="utf-8")
    print("event_reference: wrote docs/reference/events.md.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
