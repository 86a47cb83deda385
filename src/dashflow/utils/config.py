"""LangGraph's former place of functions about configs."""

from __future__ import annotations

from typing import Any

from dashflow._util.langchain import RunnableConfig
from dashflow._util.reserved import CONF
from dashflow.config import get_config, get_store

__all__ = ("ensure_config", "get_config", "get_store", "patch_configurable")


def ensure_config(*configs: RunnableConfig | None) -> RunnableConfig:
    """A whole config, with every key that has a default: of the running task, then of ``configs``."""
    from dashflow._util.scope import CURRENT
    from dashflow.options import DEFAULT_RECURSION_LIMIT, merge_configs

    scope = CURRENT.get()
    empty: dict[str, Any] = {
        "tags": [],
        "metadata": {},
        "callbacks": None,
        "recursion_limit": DEFAULT_RECURSION_LIMIT,
        "configurable": {},
    }
    merged: Any = {**empty, **merge_configs(scope.config if scope is not None else None, *configs)}
    return merged  # type: ignore[no-any-return]  # built as one


def patch_configurable(config: RunnableConfig | None, patch: dict[str, Any]) -> RunnableConfig:
    """A copy of ``config`` with ``patch`` in what is configurable."""
    given: Any = config or {}
    patched: Any = {**given, CONF: {**given.get(CONF, {}), **patch}}
    return patched  # type: ignore[no-any-return]  # built as one
