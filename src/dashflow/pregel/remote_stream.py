"""One streamed run on a server: what is asked for, and what its chunks are to the caller.

Written once for both clients: a ``RemoteStream`` makes the arguments of the request and reads chunk after
chunk; who has the client does the waiting. Nothing is sent here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from dashflow._util.reserved import (
    CONF,
    CONFIG_KEY_CHECKPOINT_NS,
    CONFIG_KEY_STREAM,
    INTERRUPT,
    NS_SEP,
    path_of,
)
from dashflow._util.scope import CURRENT
from dashflow.engine.task import Scope
from dashflow.errors import GraphInterrupt, ParentCommand
from dashflow.types.commands import Command
from dashflow.types.interrupts import Interrupt

__all__ = ("RemoteException", "RemoteStream")


class RemoteException(Exception):  # LangGraph's name
    """The graph failed on the server; the argument is what the server says of it."""


class RemoteStream:
    """A streamed run.

    Args:
        config: As the caller gave it: where the run is called from.
        modes: What the caller asked for; None: updates.
        subgraphs: Whether parts of inner graphs are wanted.
        version: ``v1`` or ``v2``: how parts are shown.
    """

    def __init__(self, config: Mapping[str, Any] | None, modes: Any, subgraphs: bool, version: str) -> None:
        configurable = (config or {}).get(CONF) or {}
        namespace = configurable.get(CONFIG_KEY_CHECKPOINT_NS)
        self._caller = path_of(namespace)
        self._single = modes is None or isinstance(modes, str)
        asked: list[str] = ["updates"] if not modes else [modes] if isinstance(modes, str) else list(modes)
        self._asked = {"messages" if mode == "messages-tuple" else mode for mode in asked}
        self._put, also = _around(configurable)
        self._also = frozenset(also)
        self._subgraphs = subgraphs
        self._version = version
        self._modes = asked + [mode for mode in also if mode not in asked]

    def request(self, given: Any) -> dict[str, Any]:
        """The arguments of the request that say what is run and what is streamed."""
        modes = ["messages-tuple" if mode == "messages" else mode for mode in self._modes]
        if "updates" not in modes:  # interrupts are seen there
            modes.append("updates")
        command = isinstance(given, Command)
        return {
            "input": None if command else given,
            "command": asdict(given) if command else None,
            "stream_mode": [mode for mode in dict.fromkeys(modes) if mode != "events"],
            "stream_subgraphs": self._subgraphs or self._put is not None,
            "if_not_exists": "create",
        }

    def read(self, chunk: Any) -> list[Any]:
        """What the caller sees of a chunk: one part, or none.

        Raises:
            ParentCommand: The remote graph sends a command to the graph that it is a node of.
            GraphInterrupt: It asks, and is a node of a graph here.
            RemoteException: It failed.
        """
        mode, _, inner = chunk.event.partition(NS_SEP)
        data = chunk.data
        if mode == "command" and data.get("graph") == Command.PARENT:
            raise ParentCommand(Command(**data))
        namespace = (*self._caller, *path_of(inner))
        if self._put is not None and mode in self._also:
            self._put((namespace, mode, data))
        if mode.startswith("error"):
            raise RemoteException(data)
        if self._caller and mode.startswith("updates") and isinstance(data, dict) and INTERRUPT in data:
            raise GraphInterrupt([Interrupt(**question) for question in data[INTERRUPT]])
        # Messages are shown wherever they come from: the server sends each only once.
        if mode not in self._asked or (inner and not self._subgraphs and mode != "messages"):
            return []
        if mode.startswith("messages"):
            chunk = chunk._replace(data=tuple(data))
        return [self._shown(chunk, namespace, mode)]

    def _shown(self, chunk: Any, namespace: tuple[str, ...], mode: str) -> Any:
        data = chunk.data
        if self._version == "v2":
            questions: Sequence[Any] = ()
            if mode == "values" and isinstance(data, dict):
                questions = data.pop(INTERRUPT, ())
            interrupts = tuple(Interrupt(**q) if isinstance(q, dict) else q for q in questions)
            return {"type": mode, "ns": namespace, "data": data, "interrupts": interrupts}
        if self._subgraphs:
            return (namespace, data) if self._single else (namespace, mode, data)
        return data if self._single else chunk


def _around(configurable: Mapping[str, Any]) -> tuple[Callable[[Any], None] | None, Sequence[str]]:
    """Where parts go beside the caller, and which: to who streams the graph that this one is a node of."""
    stream = configurable.get(CONFIG_KEY_STREAM)
    if stream is not None:
        return stream, sorted(stream.modes)
    scope = CURRENT.get()
    audience = scope.run.audience if isinstance(scope, Scope) else None
    return (None, ()) if audience is None else (audience.put, sorted(audience.modes))
