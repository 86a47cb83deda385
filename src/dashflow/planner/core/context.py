"""The planner's context: what a model would be told of a plan so far, and how it is made smaller.

Pure. Compaction never touches tasks or results; it says which items of the context are given only as
a summary from now on. Every item has a reference (``t3.result``), so what was dropped can be read back
from the log. Decisions and artefacts (answers, files, ids) are kept; bulk goes first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from dashflow.planner.core.events import ContextCompacted
from dashflow.planner.core.state import PlannerState

PROFILES: Final[dict[str, tuple[str, ...]]] = {
    "balanced": ("goal", "answer", "question", "error", "artefact", "plan", "result"),
    "decisions": ("goal", "answer", "question", "artefact", "error", "plan", "result"),
    "progress": ("goal", "question", "error", "plan", "answer", "artefact", "result"),
}
"""By profile the kinds of items, those kept longest first."""

_CHARACTERS_PER_TOKEN = 4
_LINE = 160


class Item(msgspec.Struct, frozen=True):
    """One thing of the context: ``ref`` finds it again, ``brief`` is what a summary says of it."""

    ref: str
    kind: str
    text: str
    brief: str


def tokens(text: str) -> int:
    """How many tokens a text is about: four characters each, rounded up. An estimate, no vocabulary."""
    return -(-len(text) // _CHARACTERS_PER_TOKEN)


def items(state: PlannerState) -> list[Item]:
    """The whole context in plan order, as if nothing had ever been compacted."""
    return list(_items(state))


def render(state: PlannerState) -> str:
    """The context as text: the last summary, then every item that it does not stand for."""
    dropped = set(state.context.dropped)
    lines = [state.context.summary] if state.context.summary else []
    lines += [item.text for item in items(state) if item.ref not in dropped]
    return "\n".join(lines)


def compact(state: PlannerState, max_tokens: int, summary: str | None, now: int) -> ContextCompacted:
    """Decide what stays in full within about ``max_tokens``, and summarise the rest.

    With ``summary`` (a model's) that text stands for what is dropped; without, one brief line each,
    as many as there is room for, the more important ones first.
    """
    everything = items(state)
    before = tokens(render(state))
    rank = {kind: number for number, kind in enumerate(PROFILES[state.config.profile])}
    by_importance = sorted(everything, key=lambda item: (rank[item.kind], tokens(item.text)))
    kept: set[str] = set()
    dropped: list[Item] = []
    # A quarter is left for the summary, so that what is dropped is at least named.
    room = max_tokens if sum(tokens(i.text) + 1 for i in everything) <= max_tokens else max_tokens * 3 // 4
    for item in by_importance:
        cost = tokens(item.text) + 1
        if cost <= room or item.kind == "goal":
            kept.add(item.ref)
            room -= cost
        else:
            dropped.append(item)
    text = _brief(dropped, max(0, room) + max_tokens // 4) if summary is None else summary
    left = [item.ref for item in everything if item.ref in kept]
    gone = [item.ref for item in everything if item.ref not in kept]
    after = tokens("\n".join([text] * bool(text) + [i.text for i in everything if i.ref in kept]))
    return ContextCompacted(
        at=now,
        summary=text,
        kept=tuple(left),
        dropped=tuple(gone),
        tokens_before=before,
        tokens_after=after,
    )


def _brief(dropped: list[Item], room: int) -> str:
    lines: list[str] = []
    for item in dropped:
        room -= tokens(item.brief) + 1
        if room < 0:
            break
        lines.append(item.brief)
    return "\n".join(lines)


def _items(state: PlannerState) -> Iterator[Item]:
    yield Item("goal", "goal", f"Goal: {state.goal}", f"Goal: {_cut(state.goal)}")
    for task in state.tasks.values():
        head = f"{task.id} ({task.kind.value}, {task.status.value})"
        yield Item(f"{task.id}.plan", "plan", f"{head}: {task.description}", head)
        if task.question is not None:
            text = f"{task.id} asks: {task.question}"
            yield Item(f"{task.id}.question", "question", text, _cut(text))
        if task.answer is not None:
            text = f"{task.id} was answered: {task.answer}"
            yield Item(f"{task.id}.answer", "answer", text, _cut(text))
        if task.error is not None:
            text = f"{task.id} failed: {task.error}"
            yield Item(f"{task.id}.error", "error", text, _cut(text))
        if task.result is not None:
            found = sorted(set(_artefacts(task.result)))
            if found:
                text = f"{task.id} made or named: {', '.join(found)}"
                yield Item(f"{task.id}.artefacts", "artefact", text, _cut(text))
            text = f"{task.id} result: {_plain(task.result)}"
            yield Item(f"{task.id}.result", "result", text, f"{task.id} result: {_outline(task.result)}")


def _artefacts(value: Any, key: str = "") -> Iterator[str]:
    """Paths and addresses in a result: strings under keys that name them."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _artefacts(inner, str(name))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _artefacts(inner, key)
    elif isinstance(value, str) and key in {"path", "file", "files", "url", "report", "out", "artefacts"}:
        yield value


def _outline(value: Any) -> str:
    """A result's shape with its small values: lists as counts, long texts cut."""
    if not isinstance(value, Mapping):
        return _cut(str(value))
    parts = []
    for name, inner in value.items():
        if isinstance(inner, list | tuple | Mapping):
            parts.append(f"{name}: {len(inner)}")
        else:
            parts.append(f"{name}: {_cut(str(inner), 40)}")
    return _cut(", ".join(parts))


def _plain(value: Any) -> str:
    return msgspec.json.encode(value, order="deterministic").decode()


def _cut(text: str, size: int = _LINE) -> str:
    line = " ".join(text.split())
    return line if len(line) <= size else line[: size - 1] + "…"
