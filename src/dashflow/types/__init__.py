"""The vocabulary of graphs, as users import it. Knows no graph, no engine and no LangChain."""

from dashflow.types.branches import (
    BranchMerge,
    CheckpointInfo,
    ItemChange,
    StateDiff,
    ThreadBranch,
    ValueChange,
)
from dashflow.types.breakpoints import Breakpoint, Breakpoints
from dashflow.types.budget import Budget, BudgetExceeded, Price
from dashflow.types.cancellation import Cancellation
from dashflow.types.checkpointer import Checkpointer, ensure_valid_checkpointer
from dashflow.types.commands import Command, Overwrite, Send, StateUpdate
from dashflow.types.fits import ThreadFit
from dashflow.types.interrupts import Interrupt, interrupt
from dashflow.types.migrations import Migration
from dashflow.types.policies import (
    CachePolicy,
    RetryPolicy,
    TimeoutPolicy,
    TracePolicy,
    default_cache_key,
    default_retry_on,
    omit_payload,
)
from dashflow.types.replays import Divergence, ThreadReplay
from dashflow.types.resilience import Bulkhead, CircuitBreaker
from dashflow.types.snapshots import CacheKey, GraphOutput, PregelExecutableTask, PregelTask, StateSnapshot
from dashflow.types.streaming import (
    All,
    CheckpointPayload,
    CheckpointStreamPart,
    CheckpointTask,
    CustomStreamPart,
    DebugPayload,
    DebugStreamPart,
    Durability,
    MessagesStreamPart,
    StreamMode,
    StreamPart,
    StreamWriter,
    TaskPayload,
    TaskResultPayload,
    TasksStreamPart,
    UpdatesStreamPart,
    ValuesStreamPart,
)

__all__ = (
    "All",
    "BranchMerge",
    "Breakpoint",
    "Breakpoints",
    "Budget",
    "BudgetExceeded",
    "Bulkhead",
    "CacheKey",
    "CachePolicy",
    "Cancellation",
    "CheckpointInfo",
    "CheckpointPayload",
    "CheckpointStreamPart",
    "CheckpointTask",
    "Checkpointer",
    "CircuitBreaker",
    "Command",
    "CustomStreamPart",
    "DebugPayload",
    "DebugStreamPart",
    "Divergence",
    "Durability",
    "GraphOutput",
    "Interrupt",
    "ItemChange",
    "MessagesStreamPart",
    "Migration",
    "Overwrite",
    "PregelExecutableTask",
    "PregelTask",
    "Price",
    "RetryPolicy",
    "Send",
    "StateDiff",
    "StateSnapshot",
    "StateUpdate",
    "StreamMode",
    "StreamPart",
    "StreamWriter",
    "TaskPayload",
    "TaskResultPayload",
    "TasksStreamPart",
    "ThreadBranch",
    "ThreadFit",
    "ThreadReplay",
    "TimeoutPolicy",
    "TracePolicy",
    "UpdatesStreamPart",
    "ValueChange",
    "ValuesStreamPart",
    "default_cache_key",
    "default_retry_on",
    "ensure_valid_checkpointer",
    "interrupt",
    "omit_payload",
)
