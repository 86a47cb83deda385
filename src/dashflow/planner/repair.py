"""From plain data to tasks: other spellings are understood, slips mended, the rest refused with a reason.

What was changed is said in notes. The order of a plan is never guessed: a dependency that cannot be
found, and a circle, are errors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from dashflow.errors import PlanAnswerError, UnknownDependencyError
from dashflow.planner.core import dag
from dashflow.planner.core.task import Attachment, Task, TaskKind
from dashflow.planner.language import parse
from dashflow.planner.meaning import REPORT, Draft, drafts

MAX_TASKS: Final = 500

_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "id": ("id", "task_id", "taskid", "name", "key", "number", "step"),
    "description": (
        "description",
        "task",
        "title",
        "text",
        "instruction",
        "action",
        "goal",
        "content",
        "step",
    ),
    "kind": ("kind", "type", "category", "node_kind", "task_type"),
    "dependencies": ("dependencies", "depends_on", "dependson", "deps", "requires", "after", "depends"),
    "optional_dependencies": ("optional_dependencies", "optional"),
    "params": ("params", "parameters", "args", "arguments", "inputs"),
    "attachments": ("attachments", "files", "resources"),
}
_KINDS: Final[dict[str, TaskKind]] = {
    **{kind.value.replace("_", ""): kind for kind in TaskKind},
    "question": TaskKind.CLARIFICATION,
    "clarify": TaskKind.CLARIFICATION,
    "ask": TaskKind.CLARIFICATION,
    "tool": TaskKind.TOOL_CALL,
    "test": TaskKind.UNIT_TEST,
    "tests": TaskKind.UNIT_TEST,
    "testing": TaskKind.UNIT_TEST,
    "search": TaskKind.RETRIEVAL,
    "research": TaskKind.RETRIEVAL,
    "analyze": TaskKind.ANALYSIS,
    "analyse": TaskKind.ANALYSIS,
    "report": TaskKind.PROCESSING,
    "reporting": TaskKind.PROCESSING,
    "summary": TaskKind.PROCESSING,
    "refactoring": TaskKind.REFACTOR,
    "code": TaskKind.IMPLEMENTATION,
    "coding": TaskKind.IMPLEMENTATION,
    "implement": TaskKind.IMPLEMENTATION,
}
_NOTHING: Final = frozenset({"", "none", "null", "n/a", "-", "start", "[]"})


def tasks_from(entries: list[Any], answer: str) -> tuple[tuple[Task, ...], tuple[str, ...]]:
    """The tasks that the entries describe, runnable, and notes on what was mended.

    Raises:
        PlanAnswerError: an entry says nothing, or there are too many.
        UnknownDependencyError: a task waits for one that is not there.
        PlanCycleError: tasks wait for each other.
    """
    if len(entries) > MAX_TASKS:
        raise PlanAnswerError(f"it has {len(entries)} tasks, more than {MAX_TASKS}", answer[:1000])
    notes: list[str] = []
    raw = [_fields(entry, number, answer) for number, entry in enumerate(entries, 1)]
    _name(raw, notes)
    names = {str(one["id"]): str(one["id"]) for one in raw}
    for number, one in enumerate(raw, 1):
        names.setdefault(str(one["id"]).lower(), one["id"])
        names.setdefault(str(one["description"]).strip().lower(), one["id"])
        names.setdefault(str(number), one["id"])
    tasks = tuple(_task(one, names, notes) for one in raw)
    tasks = _reports_last(tasks)
    dag.validate(tasks)
    return tasks, tuple(dict.fromkeys(notes))


def _fields(entry: Any, number: int, answer: str) -> dict[str, Any]:
    """The entry under our names for its fields."""
    if isinstance(entry, str):
        entry = {"description": entry}
    if not isinstance(entry, Mapping):
        raise PlanAnswerError(f"task {number} is {type(entry).__name__}, not an object", answer)
    given = {str(name).strip().lower().replace("-", "_"): value for name, value in entry.items()}
    fields: dict[str, Any] = {}
    for field, spellings in _FIELDS.items():
        fields[field] = next((given[one] for one in spellings if given.get(one) is not None), None)
    if not isinstance(fields["description"], str) or not fields["description"].strip():
        raise PlanAnswerError(f"task {number} has no description", answer)
    fields["description"] = " ".join(fields["description"].split())
    return fields


def _name(raw: list[dict[str, Any]], notes: list[str]) -> None:
    """Give every task an id of its own."""
    taken: set[str] = set()
    for number, one in enumerate(raw, 1):
        given = one["id"]
        usable = isinstance(given, str | int) and not isinstance(given, bool) and len(str(given)) <= 60
        name = str(given).strip() if usable else ""
        name = f"t{name}" if name.isdigit() else name or f"t{number}"
        fresh, again = name, 2
        while fresh in taken:
            fresh, again = f"{name}-{again}", again + 1
        if fresh != name:
            notes.append(f"Two tasks had the id {name!r}; the later one is {fresh!r} now")
        taken.add(fresh)
        one["id"] = fresh


def _task(one: dict[str, Any], names: Mapping[str, str], notes: list[str]) -> Task:
    understood = _understood(one["description"])
    kind = _kind(one, understood, notes)
    params = one["params"] if isinstance(one["params"], dict) else {}
    params = {str(name): value for name, value in params.items()}
    if understood is not None and understood.kind is kind:
        params = {**understood.params, **params}
    if kind is TaskKind.ANALYSIS and "check" in params:
        check = {name: params.pop(name) for name in list(params) if name not in ("checks", "exclude")}
        params["checks"] = [check]
    if kind is TaskKind.CLARIFICATION:
        params = {"topic": "free", "question": one["description"], **params}
    hard = _waits(one, "dependencies", names, notes)
    optional = [name for name in _waits(one, "optional_dependencies", names, notes) if name not in hard]
    return Task(
        id=one["id"],
        description=one["description"],
        kind=kind,
        params=params,
        attachments=_attachments(one["attachments"]) or (understood.attachments if understood else ()),
        dependencies=tuple(hard),
        optional_dependencies=tuple(optional),
    )


def _understood(description: str) -> Draft | None:
    """What the rules make of the description, if it is one thing."""
    clauses = parse(description)
    found = drafts(clauses[0]) if clauses else []
    return found[0] if len(found) == 1 else None


def _kind(one: dict[str, Any], understood: Draft | None, notes: list[str]) -> TaskKind:
    given = one["kind"]
    spelled = "".join(character for character in str(given or "").lower() if character.isalnum())
    kind = _KINDS.get(spelled) or _KINDS.get(spelled.removesuffix("task"))
    if kind is None:
        kind = understood.kind if understood is not None else TaskKind.PROCESSING
        said = f"has the unknown kind {given!r}" if given else "has no kind"
        notes.append(f"Task {one['id']!r} {said}; taken for {kind.value!r}")
    return kind


def _waits(one: dict[str, Any], field: str, names: Mapping[str, str], notes: list[str]) -> list[str]:
    """Ids that a task waits for, however they were written."""
    found: dict[str, None] = {}
    for said in _mentioned(one[field]):
        plain = said.strip().strip("${}#'\"").removesuffix(".output")
        if plain.lower() in _NOTHING:
            continue
        name = names.get(plain) or names.get(f"t{plain}") or names.get(plain.lower())
        if name is None:
            raise UnknownDependencyError(one["id"], said)
        if name == one["id"]:
            notes.append(f"Task {name!r} was said to wait for itself; it does not")
        else:
            found[name] = None
    return list(found)


def _mentioned(value: Any) -> Iterable[str]:
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, str):
        yield from value.strip("[] ").split(",")
    elif isinstance(value, int | float):
        yield str(value).removesuffix(".0")
    elif isinstance(value, Mapping):
        inner = next((value[key] for key in ("task", "id", "task_id", "name") if key in value), None)
        yield from _mentioned(inner) if inner is not None else (str(key) for key in value)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from [inner] if isinstance(inner, str) else _mentioned(inner)


def _attachments(value: Any) -> tuple[Attachment, ...]:
    if isinstance(value, str):
        value = [value]
    found: dict[Attachment, None] = {}
    for one in value if isinstance(value, list | tuple) else ():
        text = (one.get("value") or one.get("path")) if isinstance(one, Mapping) else one
        if isinstance(text, str) and text.strip():
            kind = "url" if text.startswith(("http://", "https://")) else "file"
            found[Attachment(kind, text.strip())] = None
    return tuple(found)


def _reports_last(tasks: tuple[Task, ...]) -> tuple[Task, ...]:
    """A report waits for the ends of its tasks, not for their success, so that there always is one."""

    def mended(task: Task) -> Task:
        if task.kind is not TaskKind.PROCESSING or task.params.get("format") != "report":
            return task
        waits = dict.fromkeys((*task.dependencies, *task.optional_dependencies))
        return msgspec.structs.replace(task, dependencies=(), optional_dependencies=tuple(waits))

    found = tuple(mended(task) for task in tasks)
    lonely = [task for task in found if task.params == REPORT.params and not task.optional_dependencies]
    if len(lonely) != 1 or len(found) == 1:
        return found
    waiting_for_it = {
        one for one, followers in dag.dependants(found).items() if one == lonely[0].id and followers
    }
    if waiting_for_it:
        return found
    others = tuple(task.id for task in found if task.id != lonely[0].id)
    whole = msgspec.structs.replace(lonely[0], optional_dependencies=others)
    return tuple(whole if task.id == whole.id else task for task in found)
