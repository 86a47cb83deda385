"""Where a node's own return value may lead, as far as its function's annotation says. Runs nothing."""

from __future__ import annotations

import types
from dataclasses import is_dataclass
from typing import Any, Literal, Union, get_args, get_origin, is_typeddict

from dashflow.pregel.signature import hints_of
from dashflow.types.commands import Command

_MISSING = object()


def targets(action: Any) -> frozenset[str] | None:
    """The nodes that a function's commands may name; None: any, or it cannot be told.

    A function whose return type is a state (a dict, typed dict, dataclass or model) or None is taken at its
    word that it returns no command.
    """
    if action is None:
        return frozenset()
    answer = hints_of(action).get("return", _MISSING)
    options = get_args(answer) if get_origin(answer) in (Union, types.UnionType) else (answer,)
    found: set[str] = set()
    for option in options:
        if get_origin(option) is Command:
            (inner,) = get_args(option)
            if get_origin(inner) is not Literal:
                return None
            found.update(get_args(inner))
        elif not _is_state(option):
            return None
    return frozenset(found)


def _is_state(kind: Any) -> bool:
    return (
        kind is type(None)
        or kind is dict
        or get_origin(kind) is dict
        or is_typeddict(kind)
        or (isinstance(kind, type) and (is_dataclass(kind) or hasattr(kind, "model_fields")))
    )
