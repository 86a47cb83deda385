"""Every error DashFlow raises, as one tree; messages are built here. All of them survive pickling.

Imports nothing of DashFlow, except that the deprecated ``NodeInterrupt`` is found when it is asked for.

::

    Exception
    ├── DashFlowError                     code, message, data
    │   ├── UsageError                    the caller asked for something that cannot be
    │   │   ├── EmptyGoalError            a goal without words
    │   │   ├── WorkspaceError            folder missing, unreadable or without anything to look at
    │   │   ├── UnknownRunError           no run of that name in this log
    │   │   ├── UnknownBranchError        the thread has no branch of that name
    │   │   ├── BranchExistsError         one does already
    │   │   ├── BranchesUnsupportedError  the checkpointer cannot do what branches need
    │   │   ├── MergeConflictError        two threads changed the same keys, and no reducer joins them
    │   │   ├── UnrelatedThreadsError     two threads without a common checkpoint
    │   │   ├── RunStateError             the run is in a state that does not allow this
    │   │   ├── UnknownBatchError         no batch of that name in this log
    │   │   ├── BatchStateError           the batch is in a state that does not allow this
    │   │   ├── BatchInputError           the source of a batch's items failed or is another one
    │   │   │   └── DuplicateKeyError     two items with one key
    │   │   ├── BatchAggregateError       a function that aggregates a batch's results raised
    │   │   ├── AliasInstallError         the alias for LangGraph cannot be installed (any more)
    │   │   └── AliasMissingError         (a ModuleNotFoundError) nothing of DashFlow's under that name
    │   ├── PlanError                     a plan that cannot be run
    │   │   ├── PlanCycleError            tasks that wait for each other
    │   │   ├── UnknownDependencyError    a task waits for one that is not in the plan
    │   │   └── PlanAnswerError           a model's answer that is no plan, after repair
    │   ├── ItemTimeoutError              an item of a batch took too long
    │   ├── ItemWaitingError              an item of a batch waits for an answer
    │   ├── ItemFailedError               an item of a batch came to no result
    │   ├── StepError                     a step that cannot be found among those recorded of its node
    │   │   ├── AmbiguousStepError        several of one name, in an order that is chance
    │   │   └── NondeterministicStepError another one was recorded there
    │   ├── AmbiguousAnswerError          (a RuntimeError) one answer, several open questions
    │   ├── InterruptExpiredError         an answer after its question's time
    │   ├── ModelError                    a model could not be asked
    │   ├── StructuredOutputError         a model's answer that is no JSON of the schema, after repair
    │   └── LogError                      the event log
    │       ├── VersionConflictError      expected version is not the stream's version
    │       ├── OwnershipConflictError    somebody else owns this stream and is alive
    │       ├── FencedError               this owner lost the stream to a later one
    │       │   └── SupersededError       ... to a newer input
    │       ├── DuplicateEventError       an event's id is used by another event already
    │       ├── NotALogError              the file is no DashFlow log
    │       ├── LogFormatError            the log's format is newer than this program
    │       ├── CorruptLogError           what is stored is not what was written
    │       │   ├── CorruptStreamError    a stream's row does not match its checksum
    │       │   ├── CorruptEventError     a stored event does not match its checksum, or is missing
    │       │   ├── CorruptBlobError      a stored large value does not match its checksum
    │       │   ├── CorruptViewError      a view does not match its checksum
    │       │   └── MissingBlobError      a large value that an event needs is not there
    │       ├── StorageUnavailableError   disk full, I/O error, server away
    │       ├── LogClosedError            used after close()
    │       └── ValueCodecError           a value that cannot be stored or revived
    ├── LangGraph's names
    │   ├── EmptyChannelError             a channel without a value was read
    │   ├── InvalidUpdateError            an update the channels cannot take
    │   ├── EmptyInputError               a run was started with nothing
    │   ├── GraphRecursionError           (a RecursionError) too many steps
    │   ├── NodeCancelledError            a node raised CancelledError by itself
    │   ├── NodeTimeoutError              a node took too long (no TimeoutError: it is retried)
    │   ├── UnknownInterruptError         an answer that fits no open question
    │   └── TaskNotFound                  a remote executor does not have the task
    └── GraphBubbleUp                     control flow, never a fault
        ├── GraphInterrupt                a task asked; NodeInterrupt is its old form
        ├── GraphDrained                  the run stopped on request, between two steps
        └── ParentCommand                 a command for the graph around
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from dashflow.errors.answers import (
    StructuredOutputError,
)
from dashflow.errors.base import (
    DashFlowError,
)
from dashflow.errors.effects import (
    AmbiguousAnswerError,
    AmbiguousStepError,
    InterruptExpiredError,
    NondeterministicStepError,
    StepError,
)
from dashflow.errors.graph import (
    INVALID_RESUME,
    EmptyChannelError,
    EmptyInputError,
    ErrorCode,
    GraphBubbleUp,
    GraphDrained,
    GraphInterrupt,
    GraphRecursionError,
    InvalidUpdateError,
    NodeCancelledError,
    NodeError,
    NodeTimeoutError,
    ParentCommand,
    TaskNotFound,
    UnknownInterruptError,
    create_error_message,
    is_invalid_resume,
)
from dashflow.errors.log import (
    CorruptBlobError,
    CorruptEventError,
    CorruptLogError,
    CorruptStreamError,
    CorruptViewError,
    DamagedFileError,
    DifferentHistoryError,
    DuplicateEventError,
    ExportFormatError,
    FencedError,
    ImportStoppedError,
    LogClosedError,
    LogError,
    LogFormatError,
    MissingBlobError,
    NotALogError,
    NotAnExportError,
    NotLangGraphError,
    OwnershipConflictError,
    StorageUnavailableError,
    SupersededError,
    ValueCodecError,
    VersionConflictError,
)
from dashflow.errors.plans import (
    ItemFailedError,
    ItemTimeoutError,
    ItemWaitingError,
    ModelError,
    PlanAnswerError,
    PlanCycleError,
    PlanError,
    UnknownDependencyError,
)
from dashflow.errors.usage import (
    AliasInstallError,
    AliasMissingError,
    BatchAggregateError,
    BatchInputError,
    BatchStateError,
    BranchesUnsupportedError,
    BranchExistsError,
    DuplicateKeyError,
    EmptyGoalError,
    MergeConflictError,
    RunStateError,
    UnknownBatchError,
    UnknownBranchError,
    UnknownCheckpointError,
    UnknownRunError,
    UnrelatedThreadsError,
    UsageError,
    WorkspaceError,
)

__all__ = (
    "INVALID_RESUME",
    "AliasInstallError",
    "AliasMissingError",
    "AmbiguousAnswerError",
    "AmbiguousStepError",
    "BatchAggregateError",
    "BatchInputError",
    "BatchStateError",
    "BranchExistsError",
    "BranchesUnsupportedError",
    "CorruptBlobError",
    "CorruptEventError",
    "CorruptLogError",
    "CorruptStreamError",
    "CorruptViewError",
    "DamagedFileError",
    "DashFlowError",
    "DifferentHistoryError",
    "DuplicateEventError",
    "DuplicateKeyError",
    "EmptyChannelError",
    "EmptyGoalError",
    "EmptyInputError",
    "ErrorCode",
    "ExportFormatError",
    "FencedError",
    "GraphBubbleUp",
    "GraphDrained",
    "GraphInterrupt",
    "GraphRecursionError",
    "ImportStoppedError",
    "InterruptExpiredError",
    "InvalidUpdateError",
    "ItemFailedError",
    "ItemTimeoutError",
    "ItemWaitingError",
    "LogClosedError",
    "LogError",
    "LogFormatError",
    "MergeConflictError",
    "MissingBlobError",
    "ModelError",
    "NodeCancelledError",
    "NodeError",
    "NodeTimeoutError",
    "NondeterministicStepError",
    "NotALogError",
    "NotAnExportError",
    "NotLangGraphError",
    "OwnershipConflictError",
    "ParentCommand",
    "PlanAnswerError",
    "PlanCycleError",
    "PlanError",
    "RunStateError",
    "StepError",
    "StorageUnavailableError",
    "StructuredOutputError",
    "SupersededError",
    "TaskNotFound",
    "UnknownBatchError",
    "UnknownBranchError",
    "UnknownCheckpointError",
    "UnknownDependencyError",
    "UnknownInterruptError",
    "UnknownRunError",
    "UnrelatedThreadsError",
    "UsageError",
    "ValueCodecError",
    "VersionConflictError",
    "WorkspaceError",
    "create_error_message",
    "is_invalid_resume",
)

for _name in __all__:
    # Pickles and stored descriptions name the public module, wherever in it a class is written.
    if isinstance(_kind := globals()[_name], type):
        _kind.__module__ = __name__


def __getattr__(name: str) -> Any:
    """Serve the deprecated exception that needs the vocabulary above this file."""
    if name == "NodeInterrupt":
        return import_module("dashflow.types.interrupts").NodeInterrupt
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
