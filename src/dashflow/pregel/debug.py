"""What the ``tasks``, ``checkpoints`` and ``debug`` modes say, for code that has tasks in LangGraph's form.

The engine makes its own parts without this.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from dashflow._util.langchain import RunnableConfig
from dashflow._util.reserved import (
    CONF,
    CONFIG_KEY_CHECKPOINT_MAP,
    CONFIG_KEY_CHECKPOINT_NS,
    ERROR,
    ERROR_SOURCE_NODE,
    INTERRUPT,
    NS_END,
    NS_SEP,
    NULL_TASK_ID,
    RESUME,
)
from dashflow.channels.base import BaseChannel
from dashflow.constants import TAG_HIDDEN
from dashflow.core.superstep import read
from dashflow.engine.payloads import checkpoint_shown, folded, result_of, task_ended, task_started
from dashflow.types.snapshots import PregelExecutableTask, PregelTask, StateSnapshot
from dashflow.types.streaming import CheckpointPayload, TaskPayload, TaskResultPayload

__all__ = (
    "get_bolded_text",
    "get_colored_text",
    "is_multiple_channel_write",
    "map_debug_checkpoint",
    "map_debug_task_results",
    "map_debug_tasks",
    "map_task_result_writes",
    "rm_pregel_keys",
    "tasks_w_writes",
)

Write = tuple[str, Any]
PendingWrite = tuple[str, str, Any]
Keys = str | Sequence[str]

_ABOUT_THE_TASK = frozenset({ERROR, ERROR_SOURCE_NODE, INTERRUPT, RESUME})
"""Writes that say what happened to a task; all others are what it came to."""


def map_debug_tasks(tasks: Iterable[PregelExecutableTask]) -> Iterator[TaskPayload]:
    """What ``tasks`` says when these tasks start; nothing of hidden ones."""
    for task in tasks:
        config = task.config or {}
        if TAG_HIDDEN not in (config.get("tags") or ()):
            yield task_started(task.id, task.name, task.input, task.triggers, config)  # type: ignore[misc]


def is_multiple_channel_write(value: Any) -> bool:
    """Whether this stands for several writes to one channel."""
    return isinstance(value, dict) and isinstance(value.get("$writes"), list)


def map_task_result_writes(writes: Sequence[Write]) -> dict[str, Any]:
    """Writes as a dict; several to one channel as ``{"$writes": [...]}``."""
    return folded(writes)


def map_debug_task_results(
    task_tup: tuple[PregelExecutableTask, Sequence[Write]], stream_keys: Keys
) -> Iterator[TaskResultPayload]:
    """What ``tasks`` says when a task ended with these writes."""
    task, writes = task_tup
    yield task_ended(  # type: ignore[misc]  # a dict of that shape
        task.id,
        task.name,
        stream_keys,
        writes=writes,
        error=next((value for channel, value in writes if channel == ERROR), None),
        interrupts=[one for channel, value in writes if channel == INTERRUPT for one in _several(value)],
    )


def rm_pregel_keys(config: RunnableConfig | None) -> RunnableConfig | None:
    """The config's ``configurable`` alone, without what only the engine uses."""
    if config is None:
        return None
    given = config.get(CONF, {})
    return {CONF: {key: value for key, value in given.items() if not key.startswith("__pregel_")}}


def map_debug_checkpoint(
    config: RunnableConfig,
    channels: Mapping[str, BaseChannel[Any, Any, Any]],
    stream_channels: Keys,
    metadata: Mapping[str, Any],
    tasks: Iterable[PregelExecutableTask],
    pending_writes: list[PendingWrite],
    parent_config: RunnableConfig | None,
    output_keys: Keys,
) -> Iterator[CheckpointPayload[Any]]:
    """What ``checkpoints`` says of a checkpoint and the tasks after it.

    Args:
        config: Gets the checkpoint.
        channels: Its channels.
        stream_channels: Which of them are shown.
        metadata: Its metadata.
        tasks: The tasks of the next step.
        pending_writes: What these have written so far.
        parent_config: Gets the checkpoint before it.
        output_keys: Which channels a task's result shows.
    """
    tasks = list(tasks)
    around = config[CONF].get(CONFIG_KEY_CHECKPOINT_NS, "")
    inside: dict[str, RunnableConfig | StateSnapshot] = {}
    for task in tasks:
        if task.subgraphs:
            own = f"{task.name}{NS_END}{task.id}"
            inside[task.id] = {
                CONF: {
                    "thread_id": config[CONF]["thread_id"],
                    CONFIG_KEY_CHECKPOINT_NS: f"{around}{NS_SEP}{own}" if around else own,
                }
            }
    yield checkpoint_shown(  # type: ignore[misc]  # a dict of that shape
        config=rm_pregel_keys(_with_parents(config, metadata)) or {},
        parent=rm_pregel_keys(_with_parents(parent_config, metadata)),
        values=read(channels, stream_channels),
        metadata=metadata,
        tasks=tasks_w_writes(tasks, pending_writes, inside, output_keys),
    )


def _with_parents(config: RunnableConfig | None, metadata: Mapping[str, Any]) -> RunnableConfig | None:
    """A checkpoint's config with the checkpoints of the graphs around it, which its metadata knows."""
    parents = metadata.get("parents")
    if config is None or not parents:
        return config
    given = config[CONF]
    place = {given.get(CONFIG_KEY_CHECKPOINT_NS, ""): given.get("checkpoint_id")}
    return {**config, CONF: {**given, CONFIG_KEY_CHECKPOINT_MAP: {**parents, **place}}}


def tasks_w_writes(
    tasks: Iterable[PregelTask | PregelExecutableTask],
    pending_writes: list[PendingWrite] | None,
    states: dict[str, RunnableConfig | StateSnapshot] | None,
    output_keys: Keys,
    *,
    live: bool = False,
) -> tuple[PregelTask, ...]:
    """Tasks as a snapshot shows them, with what they wrote.

    Args:
        tasks: The tasks.
        pending_writes: What was written so far: (task's id, channel, value).
        states: Of subgraphs, by task: a snapshot, or the config to get it with.
        output_keys: Which channels a result shows.
        live: Show only questions that wait for an answer, not all that were asked in the step.
    """
    by_task: dict[str, list[Write]] = {}
    for task_id, channel, value in pending_writes or ():
        if task_id != NULL_TASK_ID:
            by_task.setdefault(task_id, []).append((channel, value))
    return tuple(
        _task_row(task, by_task.get(task.id, ()), (states or {}).get(task.id), output_keys, live)
        for task in tasks
    )


def _task_row(
    task: PregelTask | PregelExecutableTask, writes: Sequence[Write], state: Any, keys: Keys, live: bool
) -> PregelTask:
    came_to = [write for write in writes if write[0] not in _ABOUT_THE_TASK]
    asked = [one for channel, value in writes if channel == INTERRUPT for one in _several(value)]
    return PregelTask(
        task.id,
        task.name,
        task.path,
        next((value for channel, value in writes if channel == ERROR), None),
        () if live and came_to else tuple(asked),
        state,
        result_of(came_to, keys) if came_to else None,
    )


def _several(value: Any) -> Collection[Any]:
    return value if isinstance(value, Sequence) else (value,)


_COLORS = {
    "black": "0;30",
    "red": "0;31",
    "green": "0;32",
    "yellow": "0;33",
    "blue": "0;34",
    "magenta": "0;35",
    "cyan": "0;36",
    "white": "0;37",
    "gray": "1;30",
}


def get_colored_text(text: str, color: str) -> str:
    """Text in a colour, for terminals.

    Raises:
        KeyError: There is no such colour.
    """
    return f"\033[1;3{_COLORS[color]}m{text}\033[0m"


def get_bolded_text(text: str) -> str:
    """Bold text, for terminals."""
    return f"\033[1m{text}\033[0m"
