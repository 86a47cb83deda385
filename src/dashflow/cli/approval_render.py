"""How the views of the ``approvals`` commands look to people: see ``render``, which finds them here."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from dashflow.cli.approval_views import ApprovalList, ApprovalView
from dashflow.cli.marks import plain


def _list(view: ApprovalList, form: str, unicode: bool) -> RenderableType:
    if not view.approvals:
        return Text(f"Nothing waits for {view.person}." if view.person else f"No approvals in {view.log}.")
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    titles = ("approval", "status", "subject", "asked", "expires", "from")
    for title in (*titles, *(() if view.person else ("waits for",))):
        table.add_column(
            title, overflow="fold" if title in ("approval", "subject", "waits for") else "ellipsis"
        )
    for row in view.approvals:
        cells = [row.approval, row.status, row.subject, row.asked_at, row.expires_at or "", row.origin]
        if not view.person:
            cells.append(", ".join(row.waits_for))
        table.add_row(*map(plain, cells))
    return Group(table, *(Text(f"  {line}", "dim") for line in view.next))


def _one(view: ApprovalView, form: str, unicode: bool) -> RenderableType:
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    rows = {
        "asked": f"{view.asked_at}{f' by {view.asked_by}' if view.asked_by else ''}",
        "expires": view.expires_at or "never",
        "needs": view.quorum,
        "waits for": ", ".join(view.waits_for),
        "decided": view.decided_at and f"{view.decided_at} ({view.reason or 'no reason given'})",
        "from": view.origin,
        "hash": view.hash,
        "payload": json.dumps(view.payload, ensure_ascii=False, indent=2),
    }
    for name, text in rows.items():
        if text:
            facts.add_row(name, plain(str(text)))
    head = Text.assemble((view.status, "bold"), "  ", plain(view.subject), f"  {view.approval}")
    trail = Table.grid(padding=(0, 2))
    for row in view.trail:
        trail.add_row(Text(row.at, "dim"), plain(row.by), plain(row.text))
    return Group(head, facts, Text(), trail, *(Text(f"  {line}", "cyan") for line in view.next))


RENDERERS: dict[type, Callable[[Any, str, bool], RenderableType]] = {
    ApprovalList: _list,
    ApprovalView: _one,
}
