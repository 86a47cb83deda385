"""Type variables of graphs: state, input, output, context. For annotations; holds no behaviour."""

from __future__ import annotations

from dataclasses import Field
from typing import Any, ClassVar, Protocol, TypeAlias

from typing_extensions import TypeVar

__all__ = (
    "ContextT",
    "InputT",
    "OutputT",
    "StateT",
    "StateT_co",
    "StateT_contra",
)


class TypedDictLike(Protocol):
    """A ``TypedDict`` as checkers see it that keep its keys in class variables."""

    __required_keys__: ClassVar[frozenset[str]]
    __optional_keys__: ClassVar[frozenset[str]]


class TypedDictInstanceLike(Protocol):
    """A ``TypedDict`` as the other checkers see it."""

    __required_keys__: frozenset[str]
    __optional_keys__: frozenset[str]


class DataclassLike(Protocol):
    """A dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


class PydanticLike(Protocol):
    """A pydantic model, without importing pydantic."""

    __pydantic_core_schema__: ClassVar[Any]


class StructLike(Protocol):
    """A ``msgspec.Struct``."""

    __struct_fields__: ClassVar[tuple[str, ...]]


StateLike: TypeAlias = TypedDictLike | TypedDictInstanceLike | DataclassLike | PydanticLike | StructLike
"""What a graph's state may be declared as."""

StateT = TypeVar("StateT", bound=StateLike)
"""State of a graph."""

StateT_co = TypeVar("StateT_co", bound=StateLike, covariant=True)
"""State of a graph, where it is only read."""

StateT_contra = TypeVar("StateT_contra", bound=StateLike, contravariant=True)
"""State of a graph, where it is only taken."""

ContextT = TypeVar("ContextT", bound=StateLike | None, default=None)
"""What a run brings along beside its state; nothing unless said otherwise."""

ContextT_contra = TypeVar("ContextT_contra", bound=StateLike | None, contravariant=True, default=None)
"""A run's context, where it is only taken."""

InputT = TypeVar("InputT", bound=StateLike, default=StateT)
"""What a graph is started with; its state unless said otherwise."""

OutputT = TypeVar("OutputT", bound=StateLike, default=StateT)
"""What a graph returns; its state unless said otherwise."""

NodeInputT = TypeVar("NodeInputT", bound=StateLike)
"""What a node is called with."""

NodeInputT_contra = TypeVar("NodeInputT_contra", bound=StateLike, contravariant=True)
"""What a node is called with, where it is only taken."""
