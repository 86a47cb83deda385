"""What a caller sees of a run: StateSnapshot and its tasks, GraphOutput, DeltaSnapshot. Data only."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar
from warnings import warn

import msgspec

from dashflow._util.langchain import RunnableConfig
from dashflow._util.reserved import INTERRUPT
from dashflow.types.interrupts import Interrupt
from dashflow.types.policies import RetryPolicy, TimeoutPolicy
from dashflow.warnings import LangGraphDeprecatedSinceV11

__all__ = (
    "CacheKey",
    "DeltaSnapshot",
    "GraphOutput",
    "PregelExecutableTask",
    "PregelTask",
    "StateSnapshot",
)

OutputT = TypeVar("OutputT")


class PregelTask(NamedTuple):
    """A task of a step as ``get_state`` shows it.

    Attributes:
        id: Names the task; the same for the same step.
        name: The node it runs.
        path: Where it stands: a pull or push mark, then names and numbers.
        error: What it failed with, if it did.
        interrupts: Its questions.
        state: Of a subgraph: its snapshot, or the config to get it with.
        result: What it wrote, once done.
    """

    id: str
    name: str
    path: tuple[str | int | tuple[Any, ...], ...]
    error: Exception | None = None
    interrupts: tuple[Interrupt, ...] = ()
    state: "RunnableConfig | StateSnapshot | None" = None
    result: Any | None = None


class StateSnapshot(NamedTuple):
    """The state of a thread before a step.

    Attributes:
        values: Values of the channels.
        next: Names of the nodes that run next, one per task.
        config: Gets this snapshot again.
        metadata: Source, step and more; None where there is no checkpoint.
        created_at: ISO 8601 time.
        parent_config: Gets the snapshot before it; None for the first.
        tasks: Tasks of the next step; those already tried have an error or a result.
        interrupts: Questions. In the latest state those that wait for an answer; in history all that
            the step's tasks asked last, answered since or not.
    """

    values: dict[str, Any] | Any
    next: tuple[str, ...]
    config: RunnableConfig
    metadata: dict[str, Any] | None
    created_at: str | None
    parent_config: RunnableConfig | None
    tasks: tuple[PregelTask, ...]
    interrupts: tuple[Interrupt, ...]


class CacheKey(NamedTuple):
    """Where a task's result is cached.

    Attributes:
        ns: Namespace.
        key: Digest of the input's key.
        ttl: Seconds it is kept; None: for good.
    """

    ns: tuple[str, ...]
    key: str
    ttl: int | None


class PregelExecutableTask(msgspec.Struct, frozen=True, weakref=True):
    """A task ready to run, as code that extends LangGraph's runner knows it."""

    name: str
    input: Any
    proc: Any
    writes: deque[tuple[str, Any]]
    config: RunnableConfig
    triggers: Sequence[str]
    retry_policy: Sequence[RetryPolicy]
    cache_key: CacheKey | None
    id: str
    path: tuple[str | int | tuple[Any, ...], ...]
    writers: Sequence[Any] = ()
    subgraphs: Sequence[Any] = ()
    timeout: TimeoutPolicy | None = None


class DeltaSnapshot(NamedTuple):
    """The whole value of a ``DeltaChannel`` in a checkpoint, from which its later writes are replayed."""

    value: Any


@dataclass(frozen=True)
class GraphOutput(Generic[OutputT]):
    """What ``invoke(..., version="v2")`` returns.

    Attributes:
        value: The graph's output.
        interrupts: Questions it stopped for.
    """

    value: OutputT
    interrupts: tuple[Interrupt, ...] = ()

    def __getitem__(self, key: str) -> Any:
        """The output's item, as version "v1" returns it: deprecated."""
        _warn_of_dict_access("result[key]")
        if key == INTERRUPT:
            return self.interrupts
        if isinstance(self.value, dict):
            return self.value[key]
        try:
            return getattr(self.value, key)
        except AttributeError:
            raise KeyError(key) from None

    def __contains__(self, key: object) -> bool:
        """Whether the output has an item: deprecated."""
        _warn_of_dict_access("key in result")
        if key == INTERRUPT:
            return bool(self.interrupts)
        if isinstance(self.value, dict):
            return key in self.value
        return isinstance(key, str) and hasattr(self.value, key)


def _warn_of_dict_access(how: str) -> None:
    warn(
        f"Accessing GraphOutput via `{how}` is deprecated. Use `result.value` for the output and "
        "`result.interrupts` for interrupts.",
        LangGraphDeprecatedSinceV11,
        stacklevel=3,
    )
