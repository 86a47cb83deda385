"""LangGraph's former module paths: they still serve their names, and warn where LangGraph's do."""

import importlib
import sys
from typing import Any, TypedDict

import pytest

from dashflow import types
from dashflow.graph import START, StateGraph
from dashflow.warnings import LangGraphDeprecatedSinceV10

pytestmark = pytest.mark.feature("RUN-16")


class State(TypedDict):
    n: int


def test_types_of_graphs() -> None:
    sys.modules.pop("dashflow.pregel.types", None)
    with pytest.warns(LangGraphDeprecatedSinceV10, match="dashflow.pregel.types is deprecated"):
        former = importlib.import_module("dashflow.pregel.types")
    assert all(getattr(former, name) is getattr(types, name) for name in former.__all__)


def test_runnables_of_functions() -> None:
    from dashflow.utils.runnable import RunnableCallable

    assert RunnableCallable(lambda value: value + 1).invoke(1) == 2


def test_configs() -> None:
    from dashflow.utils.config import ensure_config, get_config, get_store, patch_configurable

    seen: list[Any] = []

    def node(state: State) -> None:
        seen.append((ensure_config({"tags": ["mine"]}), get_config(), get_store()))

    graph = StateGraph(State).add_node(node).add_edge(START, "node").compile()
    graph.invoke({"n": 1}, {"configurable": {"user": "u"}, "tags": ["x"]})
    ((whole, config, store),) = seen
    assert (whole["tags"], whole["configurable"]["user"], store) == (["x", "mine"], "u", None)
    assert config["configurable"]["user"] == "u"
    assert ensure_config(None)["configurable"] == {}
    patched = patch_configurable({"tags": ["x"], "configurable": {"a": 1}}, {"b": 2})
    assert patched == {"tags": ["x"], "configurable": {"a": 1, "b": 2}}
    assert patch_configurable(None, {"b": 2}) == {"configurable": {"b": 2}}


def test_writing_and_reading_through_the_config() -> None:
    from langchain_core.runnables import RunnableConfig

    read: list[Any] = []

    def node(state: State, config: RunnableConfig) -> None:
        inside = config["configurable"]
        inside["__pregel_send"]([("n", 5)])
        read.append((inside["__pregel_read"]("n"), inside["__pregel_read"](["n"], True)))

    graph = StateGraph(State).add_node(node).add_edge(START, "node").compile()
    assert graph.invoke({"n": 1}) == {"n": 5}
    assert read == [(1, {"n": 5})]
