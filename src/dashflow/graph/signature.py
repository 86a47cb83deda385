"""What a node's function wants besides the state, found by parameter name and annotation, once."""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, iscoroutinefunction, isfunction, ismethod, signature
from typing import Any, get_type_hints

from dashflow.engine.task import Scope
from dashflow.errors import NodeError

_WANTED: dict[str, Callable[[Scope], Any]] = {
    "config": lambda scope: scope.config,
    "writer": lambda scope: scope.writer,
    "store": lambda scope: scope.store,
    "runtime": lambda scope: scope.runtime,
}
Provider = tuple[str, Callable[[Scope], Any]]


def wants(function: Callable[..., Any]) -> tuple[Provider, ...]:
    """The parameters of ``function`` that the runtime fills, with where their values come from.

    A parameter counts by its name; ``config`` and ``store`` also when positional after the state.
    """
    try:
        parameters = list(signature(function).parameters.values())
    except (TypeError, ValueError):  # builtins without a signature take the state only
        return ()
    found: list[Provider] = []
    for parameter in parameters[1:] if parameters else ():
        if parameter.name == "error" and parameter.annotation in (NodeError, "NodeError"):
            found.append((parameter.name, lambda scope: scope.error))
        provider = _WANTED.get(parameter.name)
        if provider is not None and parameter.kind is not Parameter.VAR_KEYWORD:
            found.append((parameter.name, provider))
    return tuple(found)


def is_asynchronous(function: Any) -> bool:
    """Whether calling it gives an awaitable: a coroutine function or an object with an async call."""
    if iscoroutinefunction(function):
        return True
    call = getattr(function, "__call__", None)  # noqa: B004  # its kind is asked for, not whether there is one
    return iscoroutinefunction(call) or iscoroutinefunction(getattr(function, "func", None))


def hints_of(function: Any) -> dict[str, Any]:
    """Type hints of a function or callable object; {} when they cannot be resolved."""
    call = getattr(type(function), "__call__", None)  # noqa: B004  # as above
    target = function if isfunction(function) or ismethod(function) else call
    try:
        return get_type_hints(target, include_extras=True) if target is not None else {}
    except (NameError, TypeError, AttributeError):  # names only a type checker knows: infer nothing
        return {}


def first_parameter_hint(function: Any) -> Any:
    """The annotation of the first parameter, which may name a node's own input schema; None if none."""
    hints = hints_of(function)
    try:
        first = next(iter(signature(function).parameters))
    except (StopIteration, TypeError, ValueError):
        return None
    return hints.get(first)
