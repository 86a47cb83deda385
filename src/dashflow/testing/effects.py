"""watch_effects: notice what nodes do to the world outside of steps, for tests.

Listens to Python's audit events, which cannot be turned off again once they are listened to; outside of
``watch_effects`` that costs one function call per event.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from dashflow._util.scope import CURRENT

_WRITES: Final = os.O_WRONLY | os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC


def _opened(args: tuple[Any, ...]) -> str | None:
    path, mode, flags = args
    if isinstance(path, int):  # a file that is open already
        return None
    if isinstance(mode, str):
        writes = not {"w", "a", "x", "+"}.isdisjoint(mode)
    else:
        writes = bool((flags or 0) & _WRITES)
    return f"opening {path} to write" if writes else None


_EFFECTS: Final[dict[str, Callable[[tuple[Any, ...]], str | None]]] = {
    "open": _opened,
    "socket.connect": lambda args: f"connecting to {args[1]}",
    "socket.sendto": lambda args: f"sending to {args[1]}",
    "subprocess.Popen": lambda args: f"starting {args[0]}",
    "os.posix_spawn": lambda args: f"starting {args[0]}",
    "os.system": lambda args: f"starting {args[0]}",
    "os.remove": lambda args: f"removing {args[0]}",
    "os.rename": lambda args: f"renaming {args[0]}",
    "os.rmdir": lambda args: f"removing {args[0]}",
    "os.mkdir": lambda args: f"making folder {args[0]}",
    "http.client.send": lambda args: f"sending to {getattr(args[0], 'host', 'a server')}",
    "smtplib.send": lambda args: "sending mail",
    "ftplib.sendcmd": lambda args: "sending to a server",
}
"""Audit events of the standard library that tell of something done to the world."""


class _Watch:
    """Whether anybody watches, and whether the hook is there."""

    watchers = 0
    hooked = False


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if not _Watch.watchers or event not in _EFFECTS:
        return
    scope: Any = CURRENT.get()
    if scope is None:
        return
    if (what := _EFFECTS[event](args)) and "__pycache__" not in what:  # an import keeps its compiled form
        scope.noticed = [*(scope.noticed or ()), what]


@contextmanager
def watch_effects() -> Iterator[None]:
    """Let a node that asks (``interrupt``) after it did something outside of a step be warned of that:
    ``UnrecordedEffectWarning``.

    Seen are new connections, started programs, files opened to write, made or removed, as far as Python code
    does so in the node's own context. Not seen is what goes over a connection or into a file that is open
    already, and what extension modules do by themselves.
    """
    if not _Watch.hooked:
        _Watch.hooked = True
        sys.addaudithook(_hook)
    _Watch.watchers += 1
    try:
        yield
    finally:
        _Watch.watchers -= 1
