"""How the views of the ``branch`` commands look to people: see ``render``, which finds them here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text
from rich.tree import Tree

from dashflow.cli.branch_views import (
    BranchList,
    BranchView,
    ChangeView,
    DiffView,
    ItemView,
    MergeView,
    PlaceView,
)
from dashflow.cli.marks import mark, plain, word

_SIGNS = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow")}


def _begun(view: BranchView, form: str, unicode: bool) -> RenderableType:
    row = view.branch
    head = Text.assemble("Branch ", (row.name, "bold"), f" of {row.parent} is thread ", (row.thread, "bold"))
    head.append(f", from step {row.step} ({row.checkpoint}).")
    return Group(head, *(Text(f"  {line}", "dim") for line in view.next))


def _tree(view: BranchList, form: str, unicode: bool) -> RenderableType:
    root = Tree(_node(view.thread, "", view.status, f"at step {view.step}", unicode), guide_style="dim")
    nodes = {view.thread: root}
    for row in view.branches:
        moved = row.head_step - row.step
        facts = f"from step {row.step}" + (f", at step {row.head_step}" if moved else ", nothing done yet")
        above = nodes.get(row.parent, root)
        facts += "" if row.parent in nodes else f", began in {row.parent}, which is deleted"
        nodes[row.thread] = above.add(_node(row.name, row.thread, row.status, facts, unicode))
    if not view.branches:
        return Group(root, Text(f"No branches. Begin one: dashflow branch fork {view.thread} NAME", "dim"))
    return root


def _node(name: str, thread: str, status: str, facts: str, unicode: bool) -> Text:
    line = Text.assemble(mark(status, unicode), " ", (name, "bold"))
    if thread:
        line.append(f"  {thread}", "cyan")
    line.append(f"  [{word(status)}, {facts}]", "dim")
    line.no_wrap, line.overflow = True, "ellipsis"
    return line


def _diff(view: DiffView, form: str, unicode: bool) -> RenderableType:
    lines = [
        Text.assemble(("--- ", "red"), _where(view.before)),
        Text.assemble(("+++ ", "green"), _where(view.after)),
    ]
    if view.base is None:
        lines.append(Text("They have no checkpoint in common.", "dim"))
    if not view.changes:
        lines.append(Text("The states are the same."))
    for change in view.changes:
        lines += _change(change, unicode)
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
    return Group(*lines)


def _where(place: PlaceView) -> str:
    return f"{place.thread} at {place.checkpoint}"


def _change(change: ChangeView, unicode: bool) -> Iterator[Text]:
    sign, style = _SIGNS[change.kind]
    if change.items:
        yield Text.assemble((f"{sign} {change.key}", f"bold {style}"), f"  {_sizes(change)}")
        for item in change.items:
            yield _item(item, unicode)
        return
    line = Text.assemble((f"{sign} {change.key}", f"bold {style}"), "  ")
    yield line.append_text(_values(change, unicode))


def _sizes(change: ChangeView) -> str:
    before, after = len(change.before), len(change.after)
    return f"{before} items" if before == after else f"{before} items, then {after}"


def _item(item: ItemView, unicode: bool) -> Text:
    sign, style = _SIGNS[item.kind]
    at = "" if item.at is None else f"[{_json(item.at)}] "
    return Text.assemble((f"  {sign} {at}", style)).append_text(_values(item, unicode))


def _values(change: ChangeView | ItemView, unicode: bool) -> Text:
    if change.kind == "added":
        return plain(_json(change.after), "green")
    if change.kind == "removed":
        return plain(_json(change.before), "red")
    arrow = " → " if unicode else " -> "
    return Text.assemble(plain(_json(change.before), "red"), arrow, plain(_json(change.after), "green"))


def _json(value: Any) -> str:
    if isinstance(value, dict) and value.keys() == {"class", "fields"}:
        return f"{value['class'].rpartition(':')[2]} {_json(value['fields'])}"
    return json.dumps(value, ensure_ascii=False)


def _merged(view: MergeView, form: str, unicode: bool) -> RenderableType:
    if not view.merged:
        return Text(f"Nothing to merge: {view.thread} has all that {view.source} did.")
    head = Text.assemble((view.source, "bold"), " is merged into ", (view.thread, "bold"), ": checkpoint ")
    lines = [head.append(view.checkpoint + ".")]
    told = (("taken", view.taken), ("through reducers", view.reduced), ("decided by --take", view.resolved))
    lines += [Text.assemble((f"  {how}: ", "dim"), plain(", ".join(keys))) for how, keys in told if keys]
    return Group(*lines)


RENDERERS: dict[type, Callable[[Any, str, bool], RenderableType]] = {
    BranchView: _begun,
    BranchList: _tree,
    DiffView: _diff,
    MergeView: _merged,
}
"""By view."""
