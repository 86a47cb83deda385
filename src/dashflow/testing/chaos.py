"""Chaos: faults at named points (``dashflow.testing.chaos_points``), for tests and staging.

    with Chaos([Fault("append.after", "crash", at=3)]):
        graph.invoke(...)

While it is on, the functions at the points that its faults name are wrapped; when it ends they are as they
were. So chaos that is off costs nothing. It is on where a program says so; ``from_environment`` says so where
two variables of the environment do.
"""

from __future__ import annotations

import inspect
import os
import random
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from functools import wraps
from importlib import import_module
from typing import Any, Final, Literal, Self, get_args

import msgspec

from dashflow.errors import StorageUnavailableError, UsageError
from dashflow.hosts.simulated import SimulatedCrash
from dashflow.log.base import Append
from dashflow.testing.chaos_points import POINTS, Point, point_of

__all__ = ("ENABLED", "PLAN", "Chaos", "Fault", "Passed", "SimulatedCrash", "from_environment", "parse")

ENABLED: Final = "DASHFLOW_CHAOS_ENABLED"
"""Has to be ``1`` for ``from_environment`` to look at ``PLAN``."""
PLAN: Final = "DASHFLOW_CHAOS"
"""The faults, see ``parse``."""

Action = Literal["latency", "error", "crash", "kill", "drop"]


class Fault(msgspec.Struct, frozen=True):
    """What is to go wrong, and when.

    Attributes:
        point: Name of the point and side: ``append.before``.
        action: ``latency``: it takes ``seconds`` longer. ``error``: ``error`` is raised. ``crash``: as if the
            process died here; from then on every point that is watched raises ``SimulatedCrash``. ``kill``:
            the process kills itself (SIGKILL). ``drop``: the log's connection to its server is cut.
        at: Only when the point is passed for the n-th time, from 1; 0: every time.
        chance: How likely, from 0 to 1.
        only: Only where the name fits this pattern (``*`` stands for anything): a stream's or a node's.
        times: How often at most; 0: no limit.
        seconds: For ``latency``.
        error: For ``error``; None: ``StorageUnavailableError`` in logs, ``ConnectionError`` elsewhere.
    """

    point: str
    action: Action
    at: int = 0
    chance: float = 1.0
    only: str = "*"
    times: int = 0
    seconds: float = 0.0
    error: BaseException | None = None


class Passed(msgspec.Struct, frozen=True):
    """A point was passed: its name with the side, the name of a stream or node, for the n-th time; and which
    fault struck there, if one did. ``append`` is what was appended, at points that append."""

    point: str
    name: str
    number: int
    fault: Fault | None = None
    append: Append | None = None


class Chaos:
    """Faults, on as long as the ``with`` block lasts; in this process, one at a time.

    Args:
        faults: What is to go wrong.
        seed: Decides where something is likely.
        watch: Called whenever a watched point is passed, on the thread that passes it.
        also: Points to be watched though no fault names them.

    Attributes:
        passed: How often each watched point was passed.
        struck: What struck.
        dead: Whether a ``crash`` struck.

    Raises:
        UsageError: A fault that cannot be: no such point, a crash on a thread of the log, no seconds.
    """

    def __init__(
        self,
        faults: Sequence[Fault] = (),
        *,
        seed: int = 0,
        watch: Callable[[Passed], None] | None = None,
        also: Sequence[str] = (),
    ) -> None:
        for fault in faults:
            _check(fault)
        self._faults = tuple(faults)
        self._random = random.Random(seed)
        self._watch = watch
        self._asked = {point_of(name)[0].name for name in (*also, *(fault.point for fault in faults))}
        # What died writes and reads nothing any more, whatever its code still tries.
        deadly = any(fault.action == "crash" for fault in faults)
        self._points = self._asked | ({"append", "submit", "read"} if deadly else set())
        self._lock = threading.Lock()
        self._times: Counter[int] = Counter()
        self._undo: list[tuple[Any, str, Any]] = []
        self.passed: Counter[str] = Counter()
        self.struck: list[Passed] = []
        self.dead = False

    def __enter__(self) -> Self:
        """On.

        Raises:
            UsageError: Another one is on.
        """
        if not _ONE.acquire(blocking=False):
            raise UsageError("There is chaos already in this process; only one can be on at a time.")
        try:
            for name in sorted(self._points):
                for place in POINTS[name].places:
                    self._wrap(POINTS[name], place)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        """Off: everything is as it was."""
        while self._undo:
            owner, name, inner = self._undo.pop()
            if inner is None:
                delattr(owner, name)  # it is inherited
            else:
                setattr(owner, name, inner)
        _ONE.release()

    def _wrap(self, point: Point, place: str) -> None:
        module, _, path = place.partition(":")
        try:
            owner: Any = import_module(module)
        except ImportError:  # a backend whose package is not installed
            return
        *outer, name = path.split(".")
        for part in outer:
            owner = getattr(owner, part)
        inner = getattr(owner, name)
        self._undo.append((owner, name, vars(owner).get(name)))
        setattr(
            owner, name, (_asynchronous if inspect.iscoroutinefunction(inner) else _plain)(self, point, inner)
        )

    # -- at a point ---------------------------------------------------------------------------------

    def strike(self, point: Point, side: str, arguments: tuple[Any, ...]) -> float:
        """A point is passed; how many seconds that is to take.

        Raises:
            SimulatedCrash: The process died here, or before.
            Exception: What a fault raises.
        """
        append = next((one for one in arguments if isinstance(one, Append)), None)
        if point.only and not (append is not None and getattr(append, point.only)):
            return 0.0
        if self.dead:
            raise SimulatedCrash
        if point.name not in self._asked:
            return 0.0
        name = f"{point.name}.{side}"
        fault = self._pick(name, _named(append, arguments), append)
        if fault is None:
            return 0.0
        if fault.action == "latency":
            return fault.seconds
        if fault.action == "drop":
            _cut(arguments[0])
            return 0.0
        if fault.action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault.action == "crash":
            self.dead = True
            raise SimulatedCrash
        raise fault.error or _usual(point, arguments)

    def _pick(self, point: str, name: str, append: Append | None) -> Fault | None:
        """The fault that strikes now."""
        with self._lock:
            self.passed[point] += 1
            number = self.passed[point]
            found = next(
                (one for one in enumerate(self._faults) if self._fits(*one, point, name, number)), None
            )
            if found is not None:
                self._times[found[0]] += 1
            passed = Passed(point, name, number, found[1] if found else None, append)
            if found is not None:
                self.struck.append(passed)
        if self._watch is not None:
            self._watch(passed)
        return passed.fault

    def _fits(self, index: int, fault: Fault, point: str, name: str, number: int) -> bool:
        return (
            fault.point == point
            and fault.at in (0, number)
            and not (fault.times and self._times[index] >= fault.times)
            and fnmatchcase(name, fault.only)
            and (fault.chance >= 1 or self._random.random() < fault.chance)
        )


_ONE = threading.Lock()


def _plain(chaos: Chaos, point: Point, inner: Any) -> Any:
    @wraps(inner)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        _sleep(chaos.strike(point, "before", arguments))
        result = inner(*arguments, **named)
        _sleep(chaos.strike(point, "after", arguments))
        return result

    return wrapped


def _asynchronous(chaos: Chaos, point: Point, inner: Any) -> Any:
    @wraps(inner)
    async def wrapped(*arguments: Any, **named: Any) -> Any:
        host = getattr(arguments[0], "host", None) or getattr(arguments[0], "_host", arguments[0])
        if seconds := chaos.strike(point, "before", arguments):
            await host.sleep(seconds)
        result = await inner(*arguments, **named)
        if seconds := chaos.strike(point, "after", arguments):
            await host.sleep(seconds)
        return result

    return wrapped


def _sleep(seconds: float) -> None:
    if seconds:
        time.sleep(seconds)


def _named(append: Append | None, arguments: tuple[Any, ...]) -> str:
    """The stream or node that a point is passed for; "" where there is none."""
    if append is not None:
        return append.stream
    for one in arguments:
        if isinstance(one, str):
            return one
        node = getattr(one, "node", None)
        if node is not None:
            return str(one.name)
    return str(getattr(arguments[0], "stream", "")) if arguments else ""


def _usual(point: Point, arguments: tuple[Any, ...]) -> Exception:
    if point.name in ("node", "step", "record", "accept", "end", "recover"):
        return ConnectionError(f"chaos at {point.name}")
    return StorageUnavailableError(str(getattr(arguments[0], "where", "the log")), "chaos says so")


def _cut(writer: Any) -> None:
    """End the connection of a log's writer under it, as a network does."""
    cursor = getattr(writer, "_cursor", None)
    connection = getattr(cursor, "connection", None)
    if connection is None or not hasattr(connection, "fileno"):
        return
    with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)


def _check(fault: Fault) -> None:
    point, _ = point_of(fault.point)
    if fault.action not in get_args(Action):
        raise UsageError(f"Chaos has no action {fault.action!r}; it has {', '.join(get_args(Action))}.")
    if fault.action == "crash" and point.background:
        raise UsageError(f"{fault.point} is passed on a thread of the log; use 'kill' or 'error' there.")
    if fault.action == "drop" and point.name not in ("commit", "heartbeat"):
        raise UsageError(f"A connection can be dropped at 'commit' and 'heartbeat', not at {fault.point!r}.")
    if fault.action == "latency" and fault.seconds <= 0:
        raise UsageError(f"The latency at {fault.point} needs seconds.")
    if not 0 <= fault.chance <= 1:
        raise UsageError(f"A chance is a number from 0 to 1, not {fault.chance!r}.")


# -- from outside -----------------------------------------------------------------------------------


def parse(text: str) -> list[Fault]:
    """Faults from text: ``POINT ACTION [name=value ...]``, with semicolons between them.

    ``append.after kill at=3; node.before error chance=0.1 only=charge*; read.before latency seconds=0.2``

    Raises:
        UsageError: It cannot be understood.
    """
    faults = []
    for part in filter(None, map(str.strip, text.split(";"))):
        words = part.split()
        if len(words) < 2:
            raise UsageError(f"A fault is POINT ACTION [name=value ...], not {part!r}.")
        given: dict[str, Any] = {"point": words[0], "action": words[1]}
        for word in words[2:]:
            name, _, value = word.partition("=")
            if name not in _KINDS:
                raise UsageError(f"A fault has no {name!r}; it has {', '.join(_KINDS)}.")
            try:
                given[name] = _KINDS[name](value)
            except ValueError as error:
                raise UsageError(f"{word!r} is no number.") from error
        fault = Fault(**given)
        _check(fault)
        faults.append(fault)
    return faults


_KINDS: Final[Mapping[str, Callable[[str], Any]]] = {
    "at": int,
    "chance": float,
    "only": str,
    "times": int,
    "seconds": float,
}


def from_environment(environment: Mapping[str, str] = os.environ) -> Chaos | None:
    """The chaos that the environment asks for, to be entered; None unless ``DASHFLOW_CHAOS_ENABLED`` is
    ``1``.

    ``DASHFLOW_CHAOS`` has the faults, ``DASHFLOW_CHAOS_SEED`` the seed.

    Raises:
        UsageError: They cannot be understood.
    """
    if environment.get(ENABLED) != "1":
        return None
    seed = environment.get(f"{PLAN}_SEED", "0")
    if not seed.isdecimal():
        raise UsageError(f"{PLAN}_SEED is a number, not {seed!r}.")
    return Chaos(parse(environment.get(PLAN, "")), seed=int(seed))
