"""Nodes in processes of their own: code that can be killed, and whose crash is one node's failure.

A process is started for the first call and used again for others; one that was killed is not. Sends bytes of
the codec through a pipe and waits; decides nothing about retries.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from dashflow._util.scope import CURRENT
from dashflow.errors import (
    NodeCancelledError,
    NodeProcessDiedError,
    NodeTimeoutError,
    RemoteNodeError,
    UsageError,
)
from dashflow.hosts.child import serve
from dashflow.hosts.loaded import LoadedClasses, named
from dashflow.log.codec import decode, encode

KEPT: Final = os.cpu_count() or 1
"""How many processes that have nothing to do are kept."""

_METHOD: Final = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
"""How processes start: never as a copy of this one, whose threads and locks would be half there."""


class _Child:
    """One process and the pipe to it. For one call at a time; ``kill`` is for any thread."""

    def __init__(self) -> None:
        context: Any = multiprocessing.get_context(_METHOD)
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs,), name="dashflow-node", daemon=True)
        self._process.start()
        theirs.close()
        self.killed = False

    def call(self, name: str, given: bytes, within: float | None) -> bytes | None:
        """The answer; None when there was none in so many seconds.

        Raises:
            EOFError, OSError: The process is dead.
        """
        self._pipe.send_bytes(name.encode())
        self._pipe.send_bytes(given)
        if within is not None and not self._pipe.poll(within):
            return None
        answer: bytes = self._pipe.recv_bytes()
        return answer

    def kill(self) -> None:
        """End it now, whatever it does."""
        self.killed = True
        self._process.kill()

    def give_up(self) -> None:
        """The task is given up (see ``dashflow.engine.span.Inside``)."""
        self.kill()

    def bury(self) -> int | None:
        """It is dead, or about to be: its exit code, negative for a signal."""
        self._process.join()
        self._pipe.close()
        code: int | None = self._process.exitcode
        return code

    @property
    def alive(self) -> bool:
        """Whether it can be called."""
        return not self.killed and bool(self._process.is_alive())


class _Children:
    """The processes that have nothing to do."""

    def __init__(self) -> None:
        self._idle: deque[_Child] = deque()
        self._lock = threading.Lock()

    def take(self) -> _Child:
        """One that lives; a new one if none waits."""
        with self._lock:
            while self._idle:
                child = self._idle.pop()
                if child.alive:
                    return child
        return _Child()

    def give_back(self, child: _Child) -> None:
        """It has nothing to do any more."""
        with self._lock:
            if child.alive and len(self._idle) < KEPT:
                self._idle.append(child)
                return
        child.kill()
        child.bury()

    def forget(self) -> None:
        """In a forked child: they are the parent's."""
        self._idle = deque()
        self._lock = threading.Lock()


CHILDREN = _Children()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=CHILDREN.forget)


class Isolated:
    """A function as a node that runs in a process of its own.

    Args:
        node: The node's name.
        function: What to call there, sync or async, with the node's input.
        within: Seconds that a call may take; then its process is killed. None: any.

    Raises:
        UsageError: Another process could not find the function by its name.
    """

    def __init__(self, node: str, function: Callable[[Any], Any], within: float | None = None) -> None:
        module = getattr(function, "__module__", None)
        name = getattr(function, "__qualname__", "")
        if not module or named(sys.modules.get(module), name) is not function:
            raise UsageError(
                f"Node {node!r} is to run in a process of its own, which has to find its code by name; "
                f"{module}.{name or function!r} cannot be found so. Give it a function that is defined in a "
                "module, not a lambda, method, decorated or nested function.",
                node=node,
            )
        self.__name__ = name
        self.__doc__ = function.__doc__
        self._node = node
        self._target = f"{module}:{name}"
        self._within = within

    def __call__(self, value: Any) -> Any:
        """Call the function over there.

        Raises:
            ValueCodecError: The input or the result cannot be told to another process.
            NodeProcessDiedError: The process came to its end by itself.
            NodeTimeoutError: It took too long, and was killed.
            NodeCancelledError: It was killed since the run is cancelled.
            RemoteNodeError: The function raised something that is not known here.
            Exception: The function raised it.
        """
        given, scope = encode(value), CURRENT.get()
        child = CHILDREN.take()
        begun = time.monotonic()
        try:
            if scope is not None:
                scope.hold(child)  # type: ignore[attr-defined]  # the engine's scopes can
            answer = child.call(self._target, given, self._within)
        except (EOFError, OSError):
            if child.killed:
                raise NodeCancelledError(
                    self._node, f"The process of node {self._node!r} was killed"
                ) from None
            raise NodeProcessDiedError(self._node, child.bury()) from None
        except BaseException:
            child.kill()
            raise
        finally:
            if scope is not None:
                scope.release(child)  # type: ignore[attr-defined]
            if child.killed:
                child.bury()
        if answer is None:
            child.kill()
            child.bury()
            elapsed = time.monotonic() - begun
            raise NodeTimeoutError(self._node, elapsed, kind="run", run_timeout=self._within)
        CHILDREN.give_back(child)
        return _result(self._node, decode(answer, LoadedClasses()))


def _result(node: str, answer: list[Any]) -> Any:
    """What a call returned, or raise what it raised."""
    if answer[0] == "done":
        return answer[1]
    _, name, args, attributes, text, trace = answer
    kind = LoadedClasses().find(name)
    if args is not None and kind is not None and issubclass(kind, Exception):
        error: Exception = kind.__new__(kind, *args)  # as pickle does: constructors may take what they like
        error.args = tuple(args)
        error.__dict__.update(attributes)
    else:
        error = RemoteNodeError(node, name, text)
    error.add_note(f"In the process of node {node!r}:\n{trace}")
    raise error
