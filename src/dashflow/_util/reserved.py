"""Names that are reserved in writes, configs and namespaces: the words of LangGraph's wire format.

Checkpoints, configs and streams hold these strings, so they can never change.
"""

from __future__ import annotations

from typing import Final

# Keys of writes.
INPUT: Final = "__input__"
INTERRUPT: Final = "__interrupt__"
RESUME: Final = "__resume__"
ERROR: Final = "__error__"
ERROR_SOURCE_NODE: Final = "__error_source_node__"
NO_WRITES: Final = "__no_writes__"
TASKS: Final = "__pregel_tasks"
RETURN: Final = "__return__"
STEP: Final = "__step__"
PREVIOUS: Final = "__previous__"
SCHEDULED: Final = "__scheduled__"
SNAPSHOT_BUMPS: Final = "__snapshot_bumps__"
OVERWRITE: Final = "__overwrite__"

# Namespace of cached writes.
CACHE_NS_WRITES: Final = "__pregel_ns_writes"

# Keys of config["configurable"].
CONF: Final = "configurable"
CONFIG_KEY_SEND: Final = "__pregel_send"
CONFIG_KEY_READ: Final = "__pregel_read"
CONFIG_KEY_CALL: Final = "__pregel_call"
CONFIG_KEY_CHECKPOINTER: Final = "__pregel_checkpointer"
CONFIG_KEY_STREAM: Final = "__pregel_stream"
CONFIG_KEY_CACHE: Final = "__pregel_cache"
CONFIG_KEY_RESUMING: Final = "__pregel_resuming"
CONFIG_KEY_REPLAY_STATE: Final = "__pregel_replay_state"
CONFIG_KEY_TASK_ID: Final = "__pregel_task_id"
CONFIG_KEY_THREAD_ID: Final = "thread_id"
CONFIG_KEY_CHECKPOINT_MAP: Final = "checkpoint_map"
CONFIG_KEY_CHECKPOINT_ID: Final = "checkpoint_id"
CONFIG_KEY_CHECKPOINT_NS: Final = "checkpoint_ns"
CONFIG_KEY_NODE_FINISHED: Final = "__pregel_node_finished"
CONFIG_KEY_TIMED_ATTEMPT_OBSERVER: Final = "__pregel_timed_attempt_observer"
CONFIG_KEY_SCRATCHPAD: Final = "__pregel_scratchpad"
CONFIG_KEY_RUNNER_SUBMIT: Final = "__pregel_runner_submit"
CONFIG_KEY_BUDGET: Final = "budget"
CONFIG_KEY_DURABILITY: Final = "__pregel_durability"
CONFIG_KEY_RUNTIME: Final = "__pregel_runtime"
CONFIG_KEY_RESUME_MAP: Final = "__pregel_resume_map"
CONFIG_KEY_STRICT_RESUME: Final = "__pregel_strict_resume"
CONFIG_KEY_STREAM_MESSAGES_V2: Final = "__pregel_stream_messages_v2"
CONFIG_KEY_NODE_ERROR: Final = "__pregel_node_error"

# Channels that wake a node: this and its name; see ``branch_to``.
BRANCH_TO: Final = "branch:to:"

# Kinds of tasks, and the parts of namespaces and task ids.
PUSH: Final = "__pregel_push"
PULL: Final = "__pregel_pull"
ERROR_HANDLER: Final = "node_error_handler"
NS_SEP: Final = "|"
NS_END: Final = ":"
NULL_TASK_ID: Final = "00000000-0000-0000-0000-000000000000"

RESERVED: Final = frozenset(
    {
        "langsmith:hidden",
        INPUT,
        INTERRUPT,
        RESUME,
        ERROR,
        ERROR_SOURCE_NODE,
        NO_WRITES,
        STEP,
        SNAPSHOT_BUMPS,
        CONFIG_KEY_SEND,
        CONFIG_KEY_READ,
        CONFIG_KEY_CHECKPOINTER,
        CONFIG_KEY_STREAM,
        CONFIG_KEY_CHECKPOINT_MAP,
        CONFIG_KEY_RESUMING,
        CONFIG_KEY_REPLAY_STATE,
        CONFIG_KEY_TASK_ID,
        CONFIG_KEY_CHECKPOINT_ID,
        CONFIG_KEY_CHECKPOINT_NS,
        CONFIG_KEY_TIMED_ATTEMPT_OBSERVER,
        CONFIG_KEY_RESUME_MAP,
        CONFIG_KEY_STRICT_RESUME,
        CONFIG_KEY_STREAM_MESSAGES_V2,
        PUSH,
        PULL,
        NS_SEP,
        NS_END,
        CONF,
    }
)
"""Names that no state key and no node may have."""


def branch_to(node: str) -> str:
    """Name of the channel that wakes a node."""
    return f"{BRANCH_TO}{node}"


def path_of(namespace: str | None) -> tuple[str, ...]:
    """The segments of a namespace; () for the root's."""
    return tuple(namespace.split(NS_SEP)) if namespace else ()


def stable(namespace: str) -> str:
    """A namespace without the ids of tasks: that of a graph that keeps one history per thread."""
    return NS_SEP.join(part.split(NS_END)[0] for part in namespace.split(NS_SEP))


def way_to(namespace: str) -> str:
    """The nodes that a namespace leads through, whichever call of a graph in them it speaks of."""
    return stable(NS_SEP.join(part for part in path_of(namespace) if not part.isdigit()))
