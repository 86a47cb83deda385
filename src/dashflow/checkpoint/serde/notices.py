"""What is said about classes in stored data, each once: on the logger of ``jsonplus``, and as events."""

from __future__ import annotations

import logging

from dashflow.checkpoint.serde.event_hooks import emit_serde_event

logger = logging.getLogger("dashflow.checkpoint.serde.jsonplus")

MOST_NAMES = 1000
"""So many classes of each sort are named; a program may make classes without end."""

Names = set[tuple[str, str]]
unregistered: Names = set()
blocked: Names = set()
unrevivable: Names = set()


def _once(said: Names, name: tuple[str, str], message: str, *parts: object) -> None:
    if name not in said and len(said) < MOST_NAMES:
        said.add(name)
        logger.warning(message, *parts)


def say_unregistered(module: str, name: str) -> None:
    """A class was revived only because this process stored it itself."""
    emit_serde_event({"kind": "msgpack_unregistered_allowed", "module": module, "name": name})
    _once(
        unregistered,
        (module, name),
        "Revived the unregistered type %s.%s because this process has stored it before; another process "
        "will not. Name it in the state's annotations, or pass allowed_msgpack_modules=[(%r, %r)].",
        module,
        name,
        module,
        name,
    )


def say_blocked(module: str, name: str) -> None:
    """A class was not revived; its data is given instead."""
    emit_serde_event({"kind": "msgpack_blocked", "module": module, "name": name})
    _once(
        blocked,
        (module, name),
        "Blocked deserialization of %s.%s: it is not registered here, so its data is returned instead. Name "
        "it in the state's annotations, or pass allowed_msgpack_modules=[(%r, %r)].",
        module,
        name,
        module,
        name,
    )


def say_method_blocked(module: str, name: str, method: str) -> None:
    """Stored data asked for a method call that is not allowed."""
    emit_serde_event({"kind": "msgpack_method_blocked", "module": module, "name": name, "method": method})
    logger.warning("Blocked deserialization of method call %s.%s.%s.", module, name, method)


def say_unrevivable(module: str, name: str, problem: Exception) -> None:
    """A class is known but its instance could not be made; its data is given instead."""
    _once(
        unrevivable,
        (module, name),
        "Could not reconstruct %s.%s (%s); its serialized data is returned instead.",
        module,
        name,
        type(problem).__name__,
    )
