"""Values of the graph's own vocabulary, and errors: each one's parts, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dashflow.log.codec import codes
from dashflow.log.codec.opaque import RecordedError
from dashflow.log.codec.plain import Find, Parts
from dashflow.log.codec.registry import type_name
from dashflow.types import Command, Interrupt, Overwrite, Send, TimeoutPolicy


def _send_parts(value: Send) -> Parts:
    fields: dict[str, Any] = {"node": value.node, "arg": value.arg}
    if (timeout := value.timeout) is not None:
        fields["timeout"] = [timeout.run_timeout, timeout.idle_timeout, timeout.refresh_on]
    return codes.SEND, [fields]


def _interrupt_parts(value: Interrupt) -> Parts:
    fields: dict[str, Any] = {"value": value.value, "id": value.id}
    if value.response_schema is not None:
        fields["response_schema"] = value.response_schema
    return codes.INTERRUPT, [fields]


def _command_parts(value: Command[Any]) -> Parts:
    fields: dict[str, Any] = {}
    for name in ("graph", "update", "resume"):
        if (part := getattr(value, name)) is not None:
            fields[name] = part
    if value.goto != ():
        fields["goto"] = value.goto
    return codes.COMMAND, [fields]


def error_parts(value: BaseException) -> Parts:
    """An exception's description: its class's name, ``str`` and ``repr``."""
    if isinstance(value, RecordedError):
        return codes.ERROR, [value.type_name, value.message, value.shown]
    return codes.ERROR, [type_name(type(value)), _text(str, value), _text(repr, value)]


def _text(show: Callable[[Any], str], value: BaseException) -> str:
    """An error's own text; a description of it where its class cannot even say that."""
    try:
        return str.__str__(show(value))
    except Exception as problem:
        return f"<{type(value).__qualname__} whose text cannot be had: {type(problem).__qualname__}>"


PARTS: dict[type, Callable[[Any], Parts]] = {
    Send: _send_parts,
    Interrupt: _interrupt_parts,
    Command: _command_parts,
    Overwrite: lambda value: (codes.OVERWRITE, [{"value": value.value}]),
    RecordedError: error_parts,
}


def _send_from(parts: list[Any]) -> Send:
    (fields,) = parts
    timeout = None
    if "timeout" in fields:
        run_timeout, idle_timeout, refresh_on = fields["timeout"]
        timeout = TimeoutPolicy(run_timeout=run_timeout, idle_timeout=idle_timeout, refresh_on=refresh_on)
    return Send(fields["node"], fields["arg"], timeout=timeout)


def _error_from(parts: list[Any]) -> RecordedError:
    kind, message, shown = parts
    if not (isinstance(kind, str) and isinstance(message, str) and isinstance(shown, str)):
        raise TypeError("a recorded error is made of texts")
    return RecordedError(kind, message, shown)


FROM: dict[int, Callable[[list[Any], Find], Any]] = {
    codes.SEND: lambda parts, find: _send_from(parts),
    codes.INTERRUPT: lambda parts, find: Interrupt(**parts[0]),
    codes.COMMAND: lambda parts, find: Command(**parts[0]),
    codes.OVERWRITE: lambda parts, find: Overwrite(parts[0]["value"]),
    codes.ERROR: lambda parts, find: _error_from(parts),
}
