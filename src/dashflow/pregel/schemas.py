"""Pydantic models and JSON Schemas of what graphs take and give, made from their annotations.

May import pydantic and LangChain inside functions only.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from inspect import isclass
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = (
    "config_model",
    "context_json_schema",
    "default_of",
    "for_pydantic",
    "model_of",
    "root_model_of",
    "state_json_schema",
)


def model_of(name: str, types_and_defaults: Mapping[str, tuple[Any, Any]]) -> type[BaseModel]:
    """A pydantic model with these fields; what LangChain calls a schema."""
    from langchain_core.utils.pydantic import create_model_v2

    return create_model_v2(name, field_definitions=dict(types_and_defaults))


def context_json_schema(kind: Any) -> dict[str, Any]:
    """JSON Schema of a pydantic model, TypedDict or dataclass.

    Raises:
        ValueError: It is none of these.
    """
    from pydantic import BaseModel, TypeAdapter

    if isclass(kind) and issubclass(kind, BaseModel):
        return kind.model_json_schema()
    if _is_typeddict(kind) or is_dataclass(kind):
        return TypeAdapter(for_pydantic(kind)).json_schema()
    raise ValueError(f"Invalid context schema type: {kind}. Must be a BaseModel, TypedDict or dataclass.")


def config_model(name: str, context: Any, include: Sequence[str]) -> type[BaseModel]:
    """A pydantic model of a run's config: ``configurable`` and the fields of LangChain's in ``include``."""
    from langchain_core.runnables import RunnableConfig

    found = {"configurable": (context, None)} if context is not None else {}
    for key, hint in get_type_hints(RunnableConfig).items():
        if key in include and key != "configurable":
            found[key] = (hint, None)
    return model_of(name, found)


def state_json_schema(
    kind: Any, keys: Sequence[str], channels: Mapping[str, Any], name: str
) -> dict[str, Any]:
    """JSON Schema of a state.

    Args:
        kind: What the state was declared as.
        keys: Its keys.
        channels: The graph's channels; a key without one is a managed value and no part of the schema.
        name: The title, where the type has none of its own.
    """
    from langchain_core.utils.pydantic import create_model_v2
    from pydantic import BaseModel, TypeAdapter

    if isclass(kind) and issubclass(kind, BaseModel):
        return kind.model_json_schema()
    if _is_typeddict(kind):
        return TypeAdapter(for_pydantic(kind)).json_schema()
    if list(keys) == ["__root__"]:
        model = create_model_v2(name, root=(channels["__root__"].UpdateType, None))
    else:
        hints = {key: channels[key].UpdateType for key in keys if key in channels}
        model = model_of(name, {key: (hint, default_of(key, hint, kind)) for key, hint in hints.items()})
    return model.model_json_schema()


def root_model_of(name: str, kind: Any) -> type[BaseModel]:
    """A pydantic model of a value of that type; the type itself when it is one."""
    from langchain_core.utils.pydantic import create_model_v2
    from pydantic import BaseModel

    if isclass(kind) and get_origin(kind) is None and issubclass(kind, BaseModel):
        return kind
    return create_model_v2(name, root=for_pydantic(kind))


def for_pydantic(kind: Any) -> Any:
    """The type with TypedDicts that pydantic takes: before Python 3.12 it refuses those of ``typing``."""
    return kind if sys.version_info >= (3, 12) else _portable(kind, {})


def _portable(kind: Any, made: dict[Any, Any]) -> Any:
    """``for_pydantic``, also of the types inside; each TypedDict is made once."""
    if is_typeddict(kind):
        if kind not in made:
            made[kind] = kind  # one that has itself inside stays what it is, and pydantic says what is wrong
            made[kind] = _portable_typeddict(kind, made)
        return made[kind]
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return Annotated[(_portable(kind.__origin__, made), *kind.__metadata__)]
    if origin in (Required, NotRequired):
        return origin[_portable(parts[0], made)]
    if origin in (list, dict, tuple, set) and parts:
        return origin[tuple(_portable(part, made) for part in parts)]
    if origin in (Union, types.UnionType):
        return Union[tuple(_portable(part, made) for part in parts)]  # noqa: UP007  # made of a tuple
    return kind


def _portable_typeddict(kind: Any, made: dict[Any, Any]) -> Any:
    import typing_extensions

    optional = kind.__optional_keys__
    hints = {}
    for key, hint in get_type_hints(kind, include_extras=True).items():
        hint = _portable(hint, made)
        hints[key] = NotRequired[hint] if key in optional and _is_required(hint) is None else hint
    make: Any = typing_extensions.TypedDict
    return make(kind.__name__, hints)


def _is_typeddict(kind: Any) -> bool:
    import typing_extensions

    return is_typeddict(kind) or typing_extensions.is_typeddict(kind)


def default_of(name: str, hint: Any, kind: Any) -> Any:
    """The default of a field of a state; ``...`` when it must be given."""
    required = _is_required(hint)
    if name in getattr(kind, "__optional_keys__", ()):
        return ... if required else None
    if required is not None:
        return ... if required else None
    if is_dataclass(kind):
        field = next((field for field in fields(kind) if field.name == name), None)
        if field is not None and field.default is not MISSING and field.default is not ...:
            return field.default
        if field is not None and field.default_factory is not MISSING:
            return field.default_factory()
    return None if _may_be_none(hint) else ...


def _is_required(hint: Any) -> bool | None:
    """What ``Required`` or ``NotRequired`` around it says; None without one."""
    origin = get_origin(hint)
    if origin is Annotated:
        return _is_required(hint.__origin__)
    return {Required: True, NotRequired: False}.get(origin)


def _may_be_none(hint: Any) -> bool:
    origin = get_origin(hint)
    if origin is Annotated:
        return _may_be_none(hint.__origin__)
    if origin in (Union, types.UnionType):
        return any(option is type(None) or _may_be_none(option) for option in get_args(hint))
    return hint is None
