"""Values of LangChain and pydantic themselves, through a fixed table of names.

These need no registration: every program knows them. Only modules in the table are ever imported, and
only when a value of theirs turns up.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Any

from dashflow._util.sentinel import MISSING
from dashflow.log.codec import codes
from dashflow.log.codec.classes import pydantic_from
from dashflow.log.codec.codes import UnknownClassError
from dashflow.log.codec.plain import Parts

_LANGCHAIN: dict[str, str] = {
    **dict.fromkeys(
        (
            "AIMessage",
            "AIMessageChunk",
            "ChatMessage",
            "ChatMessageChunk",
            "FunctionMessage",
            "FunctionMessageChunk",
            "HumanMessage",
            "HumanMessageChunk",
            "RemoveMessage",
            "SystemMessage",
            "SystemMessageChunk",
            "ToolMessage",
            "ToolMessageChunk",
        ),
        "langchain_core.messages",
    ),
    "Document": "langchain_core.documents",
    "ChatPromptValue": "langchain_core.prompt_values",
    "StringPromptValue": "langchain_core.prompt_values",
    "AgentAction": "langchain_core.agents",
    "AgentActionMessageLog": "langchain_core.agents",
    "AgentFinish": "langchain_core.agents",
    "AgentStep": "langchain_core.agents",
}
"""LangChain's values that are data, and where they live."""

_SECRETS = ("SecretBytes", "SecretStr")
_ADDRESSES = ("AnyHttpUrl", "AnyUrl", "FileUrl", "HttpUrl")
_PYDANTIC = dict.fromkeys((*_SECRETS, *_ADDRESSES), "pydantic")


@lru_cache(maxsize=64)
def _langchain(name: str) -> Any:
    return _from_table(_LANGCHAIN, name)


@lru_cache(maxsize=16)
def _pydantic(name: str) -> Any:
    return _from_table(_PYDANTIC, name)


def _from_table(table: dict[str, str], name: str) -> Any:
    module = table.get(name)
    if module is None:
        raise UnknownClassError(f"is of {name!r}, which this version of DashFlow does not know")
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError) as problem:
        raise UnknownClassError(f"is of {name!r}, and {module} has no such class here") from problem


def parts_of(kind: type) -> Callable[[Any], Parts] | None:
    """What takes values of exactly this type apart; None for types that are not in the tables."""
    name = kind.__name__
    package = kind.__module__.partition(".")[0]
    if package == "langchain_core" and name in _LANGCHAIN and _langchain(name) is kind:
        return lambda value: (codes.LANGCHAIN, [name, _telling_fields(value)])
    if package == "pydantic" and name in _PYDANTIC and _pydantic(name) is kind:
        if name in _SECRETS:
            return lambda value: (codes.PYDANTIC_VALUE, [name, value.get_secret_value()])
        return lambda value: (codes.PYDANTIC_VALUE, [name, str(value)])
    return None


@lru_cache(maxsize=64)
def _defaults(kind: Any) -> dict[str, Any]:
    """The default of each field that has one; only ever compared with."""
    return {
        name: field.get_default(call_default_factory=True)
        for name, field in kind.__pydantic_fields__.items()
        if not field.is_required()
    }


def _telling_fields(value: Any) -> dict[str, Any]:
    """A LangChain value's fields without those that have their default: most of a message's do."""
    kind: Any = type(value)
    known = kind.__pydantic_fields__
    defaults = _defaults(kind)
    fields: dict[str, Any] = {}
    for name, part in value.__dict__.items():
        default = defaults.get(name, MISSING)
        if name in known and (type(part) is not type(default) or part != default):
            fields[name] = part
    if value.__pydantic_extra__:
        fields[""] = value.__pydantic_extra__
    return fields


def langchain_from(parts: list[Any]) -> Any:
    """A LangChain value from its stored fields."""
    name, fields = parts
    kind = _langchain(name)
    extra = fields.pop("", None) if "" in fields else None
    return pydantic_from(kind, fields, [fields.keys(), extra] if extra else [])


def pydantic_value_from(parts: list[Any]) -> Any:
    """A secret or an address."""
    name, text = parts
    return _pydantic(name)(text)
