"""The table of the alias: which of LangGraph's names are answered from where. Data only; imports nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

API: Final[Mapping[str, str]] = {
    "langgraph": "1.2.22",
    "langgraph-checkpoint": "4.3.2",
    "langgraph-checkpoint-sqlite": "3.1.2",
    "langgraph-prebuilt": "1.1.3",
}
"""Distributions that DashFlow stands in for, with the versions whose calls it answers."""

SHARED: Final = frozenset({"", "cache", "checkpoint", "store"})
"""Below ``langgraph``: the folders that many distributions share. They hold no names of their own."""

REPLACED: Final = frozenset(
    {
        "_internal",
        "cache.base",
        "cache.memory",
        "cache.redis",
        "callbacks",
        "channels",
        "checkpoint.base",
        "checkpoint.memory",
        "checkpoint.serde",
        "config",
        "constants",
        "errors",
        "func",
        "graph",
        "managed",
        "prebuilt",
        "pregel",
        "runtime",
        "store.base",
        "store.memory",
        "stream",
        "types",
        "typing",
        "utils",
        "version",
        "warnings",
    }
)
"""What LangGraph's own distributions hold: never loaded from them while the alias is installed."""

PRIVATE: Final[Mapping[str, Mapping[str, str]]] = {
    "_internal._config": {"ensure_config": "utils.config", "patch_configurable": "utils.config"},
    "_internal._constants": {"*": "_util.reserved"},
    "_internal._runnable": {"RunnableCallable": "pregel.callable", "RunnableLike": "utils.runnable"},
    "stream._mux": {"StreamMux": "stream", "TransformerFactory": "stream"},
    "stream._types": {"ProtocolEvent": "stream", "StreamTransformer": "stream"},
    "version": {"__version__": "compat.names"},
}
"""Private modules that packages built on LangGraph import, each name with the public module of DashFlow
that has it; ``*`` stands for every other name. Used only where DashFlow has no module at that path."""

__version__: Final = API["langgraph"]
"""What ``langgraph.version`` says."""
