"""Time limits of one attempt of a node: how much is left, and what counts as progress.

Knows no clock and cancels nothing: the host waits and cancels. What an attempt still tries when its time is
over is refused by its scope.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, cast

from dashflow._util.functions import is_asynchronous
from dashflow.errors import NodeTimeoutError
from dashflow.types.policies import TimeoutPolicy

_UNSUPPORTED = (
    "Node timeouts are only supported for async nodes because sync Python "
    "execution cannot be safely cancelled in-process."
)


def timeout_unsupported(name: str, kind: Literal["Node", "Task"] = "Node") -> ValueError:
    """The error for a time limit on something that is not async."""
    return ValueError(f"{_UNSUPPORTED} {kind} {name!r} is sync.")


class Watch:
    """Measures one attempt.

    Args:
        policy: The limits; its numbers are seconds (see ``TimeoutPolicy.coerce``).
        clock: Seconds, of a clock that only measures.
    """

    __slots__ = ("_auto", "_clock", "_idle", "_last", "_run", "_started")

    def __init__(self, policy: TimeoutPolicy, clock: Callable[[], float]) -> None:
        self._run = cast("float | None", policy.run_timeout)
        self._idle = cast("float | None", policy.idle_timeout)
        self._auto = self._idle is not None and policy.refresh_on == "auto"
        self._clock = clock
        self._started = self._last = clock()

    def beat(self) -> None:
        """The node says itself that it gets on."""
        self._last = self._clock()

    def progress(self) -> None:
        """The node put something out; that counts unless only ``beat`` does."""
        if self._auto:
            self._last = self._clock()

    def left(self) -> float:
        """Seconds until the nearest limit."""
        return self._nearest()[0]

    def _nearest(self) -> tuple[float, Literal["idle", "run"]]:
        now = self._clock()
        run = float("inf") if self._run is None else self._started + self._run - now
        idle = float("inf") if self._idle is None else self._last + self._idle - now
        return (run, "run") if run <= idle else (idle, "idle")

    def error(self, node: str) -> NodeTimeoutError:
        """What is raised when no time is left."""
        return NodeTimeoutError(
            node,
            self._clock() - self._started,
            kind=self._nearest()[1],
            idle_timeout=self._idle,
            run_timeout=self._run,
        )

    def hear(self, config: dict[str, Any]) -> dict[str, Any]:
        """``config``, so that LangChain's callback events of what runs under it count as progress."""
        if not self._auto:
            return config
        listener = Listener(self.progress)
        callbacks = config.get("callbacks")
        if callbacks is None:
            heard: Any = [listener]
        elif isinstance(callbacks, list):
            heard = [*callbacks, listener]
        else:  # a callback manager
            heard = callbacks.copy()
            heard.add_handler(listener, inherit=True)
        return {**config, "callbacks": heard}


class Listener:
    """A LangChain callback handler that hears every event. LangChain asks for no base class, so it has none.

    Args:
        heard: Called for each event.
    """

    raise_error = False
    run_inline = True
    """Not on another thread: progress has to be noted when it is made."""
    ignore_llm = ignore_retry = ignore_chain = ignore_agent = False
    ignore_retriever = ignore_chat_model = ignore_custom_event = False

    def __init__(self, heard: Callable[[], None]) -> None:
        self._heard = heard

    def _event(self, *args: Any, **kwargs: Any) -> None:
        self._heard()

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("on_"):
            return self._event
        raise AttributeError(name)


def check_timeout(name: str, action: Any, writers: Sequence[Any] = ()) -> None:
    """Refuse a time limit on a node whose code is not async all the way down.

    Raises:
        ValueError: Its code, or that of a writer behind it, is not.
    """
    if not all(_is_native(part) for part in (action, *writers)):
        raise timeout_unsupported(name)


def _is_native(action: Any) -> bool:
    """Whether it has async code of its own; ``ainvoke`` that only sends ``invoke`` to a thread is none."""
    while hasattr(action, "bound") and hasattr(action, "kwargs"):  # LangChain's RunnableBinding
        action = action.bound
    parts = getattr(action, "steps__", None) or getattr(action, "steps", None)
    if isinstance(parts, Mapping):
        parts = list(parts.values())
    if isinstance(parts, list | tuple):
        return all(map(_is_native, parts))
    if not hasattr(action, "invoke"):
        return is_asynchronous(action)
    if hasattr(action, "func") or hasattr(action, "afunc"):  # a Runnable around functions
        own = getattr(action, "afunc", None)
        return own is not None and not isinstance(own, partial)
    base = getattr(sys.modules.get("langchain_core.runnables.base"), "Runnable", None)
    return getattr(type(action), "ainvoke", None) not in (None, getattr(base, "ainvoke", None))
