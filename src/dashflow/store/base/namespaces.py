"""Which namespaces are valid, and which match a path."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from dashflow.store.base.ops import GetOp, ListNamespacesOp, MatchCondition, Op, PutOp, SearchOp

__all__ = ("InvalidNamespaceError", "matches", "validate_op_namespace")

RESERVED_ROOT: Final = "langgraph"
"""The root that nobody may put items under; of LangGraph's wire format, so it keeps that name."""


class InvalidNamespaceError(ValueError):
    """The namespace cannot be used; the message says why."""


def _validate_namespace(namespace: tuple[str, ...]) -> None:
    """What must hold for a namespace that something is put into.

    Raises:
        InvalidNamespaceError: It is empty, or its root is reserved, or a label is not valid.
    """
    if not namespace:
        raise InvalidNamespaceError("Namespace cannot be empty.")
    _validate_namespace_labels(namespace)
    if namespace[0] == RESERVED_ROOT:
        raise InvalidNamespaceError(f'Root label for namespace cannot be "{RESERVED_ROOT}". Got: {namespace}')


def _validate_namespace_labels(namespace: Iterable[str]) -> None:
    """What must hold for the labels of every namespace.

    Raises:
        InvalidNamespaceError: A label is empty, is not a text, or has a period or a NUL in it.
    """
    for label in namespace:
        if not isinstance(label, str):
            raise _invalid(label, namespace, f"must be strings, but got {type(label).__name__}.")
        if "." in label:
            raise _invalid(label, namespace, "cannot contain periods ('.').")
        if "\x00" in label:
            raise _invalid(label, namespace, "cannot contain NUL bytes ('\\x00').")
        if not label:
            raise InvalidNamespaceError(
                f"Namespace labels cannot be empty strings. Got {label} in {namespace}"
            )


def _invalid(label: object, namespace: Iterable[str], problem: str) -> InvalidNamespaceError:
    return InvalidNamespaceError(
        f"Invalid namespace label '{label}' found in {namespace}. Namespace labels {problem}"
    )


def validate_op_namespace(op: Op) -> None:
    """Check the labels in an operation.

    For stores that keep a namespace as one text: operations given to ``batch`` directly have not been
    checked, and the label ``"a.b"`` must not lead to the namespace ``("a", "b")``.

    Raises:
        InvalidNamespaceError: A label is empty, is not a text, or has a period or a NUL in it.
    """
    if isinstance(op, GetOp | PutOp):
        _validate_namespace_labels(op.namespace)
    elif isinstance(op, SearchOp):
        _validate_namespace_labels(op.namespace_prefix)
    elif isinstance(op, ListNamespacesOp):
        for condition in op.match_conditions or ():
            _validate_namespace_labels(condition.path)


def matches(condition: MatchCondition, namespace: tuple[str, ...]) -> bool:
    """Whether a namespace begins or ends as the condition says.

    Raises:
        ValueError: The condition is of no known kind.
    """
    kind, path = condition
    if kind == "prefix":
        part = namespace[: len(path)]
    elif kind == "suffix":
        part = namespace[max(0, len(namespace) - len(path)) :]
    else:
        raise ValueError(f"Unsupported match type: {kind}")
    return len(part) == len(path) and all(
        wanted in ("*", label) for wanted, label in zip(path, part, strict=True)
    )
