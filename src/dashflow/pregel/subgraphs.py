"""Which graph a node runs, found by looking at the node and never by running it.

A node may be a graph, a LangChain sequence with one in it, or a function that reaches one: in its closure,
among the globals it names, or along attributes of these. May not run or import anything of the user's.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from types import CodeType, FunctionType
from typing import Any

from dashflow._util.reserved import NS_SEP
from dashflow.pregel.protocol import PregelProtocol

__all__ = ("find_subgraph", "get_function_nonlocals", "subgraphs_of")

_LEAVES = frozenset(
    {int, float, complex, bool, str, bytes, bytearray, list, tuple, dict, set, frozenset, type(None)}
)
"""Exact types that nothing is looked for in."""


def find_subgraph(action: Any) -> Any:
    """The first graph that a node's action is or reaches; None when there is none.

    Graphs that were compiled with ``checkpointer=False`` do not count: nobody can look into them.
    """
    waiting, known = [action], set()
    for found in waiting:
        if id(found) in known:
            continue
        known.add(id(found))
        if isinstance(found, PregelProtocol) and getattr(found, "checkpointer", None) is not False:
            return found
        waiting.extend(_parts(found))
    return None


def _parts(thing: Any) -> list[Any]:
    """What has to be looked at inside of something that is no graph itself."""
    if isinstance(thing, PregelProtocol):
        return []
    if isinstance(thing, partial):
        return [thing.func, *thing.args, *thing.keywords.values()]
    if isinstance(thing, FunctionType) or hasattr(thing, "__func__"):
        return [_owner(value) for value in get_function_nonlocals(thing)]
    base = sys.modules.get("langchain_core.runnables.base")
    if base is None or not isinstance(thing, base.Runnable):
        return []
    if isinstance(thing, base.RunnableSequence):
        return list(thing.steps)
    if isinstance(thing, base.RunnableLambda):
        return list(thing.deps)
    function = getattr(thing, "func", None) or getattr(thing, "afunc", None)
    return [] if function is None else [_owner(value) for value in get_function_nonlocals(function)]


def _owner(value: Any) -> Any:
    """A method stands for what it is a method of; functions are not followed further."""
    owner = getattr(value, "__self__", value)
    return None if isinstance(owner, FunctionType | partial) else owner


def get_function_nonlocals(func: Any) -> list[Any]:
    """The values that a function reaches outside of itself: captured ones, globals it names, and what it
    loads along their attributes. There may be some that it never comes to.
    """
    func = getattr(func, "__func__", func)
    wrapped = getattr(func, "__wrapped__", None)
    if callable(wrapped):
        func = getattr(wrapped, "__func__", wrapped)
    if not isinstance(func, FunctionType):
        return []
    captured = dict(_captured(func))
    named = {name: func.__globals__[name] for name in func.__code__.co_names if name in func.__globals__}
    found = list(captured.values())
    if not all(type(value) in _LEAVES for value in (*found, *named.values())):
        found.extend(_loaded(func.__code__, captured, named))
    return found


def _captured(func: FunctionType) -> Iterator[tuple[str, Any]]:
    for name, cell in zip(func.__code__.co_freevars, func.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # not assigned yet
            continue


def _loaded(code: CodeType, captured: dict[str, Any], named: dict[str, Any]) -> Iterator[Any]:
    """What the code, and code inside of it, loads from these names, following attributes."""
    from dis import get_instructions

    value: Any = None
    for step in get_instructions(code):
        match step.opname:
            case "LOAD_GLOBAL":
                value = named.get(step.argval)
            case "LOAD_DEREF":
                value = captured.get(step.argval)
            case "LOAD_ATTR" | "LOAD_METHOD":
                value = _attribute(value, step.argval)
            case _:
                value = None
        if value is not None:
            yield value
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _loaded(constant, captured, named)


def _attribute(value: Any, name: str) -> Any:
    try:
        return getattr(value, name, None)
    except Exception:  # a user's property that cannot be read here leads to no graph
        return None


def subgraphs_of(
    graph: Any, namespace: str | None = None, recurse: bool = False
) -> Iterator[tuple[str, Any]]:
    """Pairs of namespace and graph, for the graphs that nodes of ``graph`` run.

    Args:
        graph: The outer one.
        namespace: Only the one there.
        recurse: Also the graphs inside of those.
    """
    for name, node in graph.nodes.items():
        inner = next(iter(node.subgraphs), None)
        if inner is None:
            continue
        rest: str | None = None
        if namespace is not None:
            first, _, rest = namespace.partition(NS_SEP)
            if first != name:
                continue
            if not rest:
                yield name, inner
                return
        else:
            yield name, inner
        if recurse and hasattr(inner, "nodes"):
            for path, found in subgraphs_of(inner, rest, recurse):
                yield f"{name}{NS_SEP}{path}", found
