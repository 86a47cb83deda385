"""How tasks and checkpoints are shown: the payloads of ``tasks``, ``checkpoints`` and of snapshots. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from dashflow._util.reserved import RETURN
from dashflow._util.sentinel import MISSING
from dashflow.constants import TAG_HIDDEN
from dashflow.core.events import Question
from dashflow.options import UNLISTED
from dashflow.types.interrupts import Interrupt
from dashflow.types.snapshots import PregelTask

Writes = Sequence[tuple[str, Any]]


def folded(writes: Writes) -> dict[str, Any]:
    """Writes as a dict; several to one channel as ``{"$writes": [...]}``."""
    result: dict[str, Any] = {}
    for channel, value in writes:
        known = result.get(channel)
        if known is None:
            result[channel] = value
        elif isinstance(known, dict) and isinstance(known.get("$writes"), list):
            known["$writes"].append(value)
        else:
            result[channel] = {"$writes": [known, value]}
    return result


def result_of(writes: Writes, keys: Collection[str] | str) -> Any:
    """What a finished task came to, as snapshots show it: what a function returned, else its shown writes."""
    returned = next((value for channel, value in writes if channel == RETURN), MISSING)
    if returned is not MISSING:
        return returned
    if isinstance(keys, str):
        return folded([write for write in writes if write[0] == keys]).get(keys)
    return folded([write for write in writes if write[0] in keys])


def interrupts_of(questions: Sequence[Question]) -> tuple[Interrupt[Any], ...]:
    """Questions as people see them."""
    return tuple(Interrupt(q.value, q.id, response_schema=q.schema) for q in questions)


def task_started(
    identifier: str, name: str, given: Any, triggers: Any, config: Mapping[str, Any]
) -> dict[str, Any]:
    """A task starts."""
    payload = {"id": identifier, "name": name, "input": given, "triggers": triggers}
    metadata = {key: value for key, value in (config.get("metadata") or {}).items() if key not in UNLISTED}
    tags = [tag for tag in config.get("tags") or () if not tag.startswith("seq:step") and tag != TAG_HIDDEN]
    if tags:
        metadata["tags"] = tags
    if metadata:
        payload["metadata"] = metadata
    return payload


def task_ended(
    identifier: str,
    name: str,
    keys: Collection[str] | str,
    *,
    writes: Writes = (),
    error: BaseException | None = None,
    interrupts: Sequence[Interrupt[Any]] = (),
) -> dict[str, Any]:
    """A task came to its end."""
    shown = (keys,) if isinstance(keys, str) else keys
    return {
        "id": identifier,
        "name": name,
        "error": error,
        "result": folded([write for write in writes if write[0] in shown or write[0] == RETURN]),
        "interrupts": [asdict(interrupt) for interrupt in interrupts],
    }


def checkpoint_shown(
    *,
    config: Mapping[str, Any],
    parent: Mapping[str, Any] | None,
    values: Any,
    metadata: Mapping[str, Any],
    tasks: Sequence[PregelTask],
) -> dict[str, Any]:
    """A checkpoint, and the tasks of the step after it."""
    return {
        "config": config,
        "parent_config": parent,
        "values": values,
        "metadata": metadata,
        "next": [task.name for task in tasks],
        "tasks": [_task_row(task) for task in tasks],
    }


def _task_row(task: PregelTask) -> dict[str, Any]:
    row: dict[str, Any] = {"id": task.id, "name": task.name}
    if task.error:
        return {**row, "error": task.error, "state": task.state}
    if task.result:
        row["result"] = task.result
    return {**row, "interrupts": tuple(asdict(one) for one in task.interrupts), "state": task.state}
