"""Results of nodes kept in a cache: used again for the same input, kept when a node is done.

Talks to the cache through LangGraph's ``BaseCache`` calls only. What is kept are a task's writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from dashflow._util.ids import digest
from dashflow._util.reserved import CACHE_NS_WRITES
from dashflow.core.plan import GraphPlan
from dashflow.core.superstep import Task
from dashflow.engine.ports import Host
from dashflow.types.policies import CachePolicy

Namespace = tuple[str, ...]
FullKey = tuple[Namespace, str]
DYNAMIC = "__dynamic__"
"""Stands for code that has no name of its own."""


def identity(action: Any) -> str:
    """A name for a function that is the same in every process: its module and qualified name."""
    name = getattr(action, "__qualname__", None) or getattr(action, "__name__", None)
    module = getattr(action, "__module__", None)
    return f"{module}.{name}" if name and module else DYNAMIC


def full_key(policy: CachePolicy[Any], namespace: Namespace, *args: Any, **kwargs: Any) -> FullKey:
    """Where the result for these arguments is kept."""
    return namespace, digest(policy.key_func(*args, **kwargs))


def namespaces(plan: GraphPlan, nodes: Iterable[str] | None) -> list[Namespace]:
    """Where results of these nodes are kept; of all nodes for None. Unknown nodes are left out."""
    names = nodes or plan.nodes
    return [_namespace(plan.nodes[name].policies.identity, name) for name in names if name in plan.nodes]


def _namespace(code: str, name: str) -> Namespace:
    return (CACHE_NS_WRITES, code or DYNAMIC, name)


def _key_of(policy: CachePolicy[Any], identity: str, task: Task) -> FullKey:
    """Where the result of a task is kept: of a node by its input, of a called function by its arguments."""
    if task.path[-1] is True:
        args, named = task.input
        return full_key(policy, (CACHE_NS_WRITES, identity or DYNAMIC), *args, **named)
    return full_key(policy, _namespace(identity, task.name), task.input)


class Kept:
    """A cache as one run uses it.

    Args:
        host: The world.
        cache: A ``BaseCache``.
    """

    def __init__(self, host: Host, cache: Any) -> None:
        self._host = host
        self._cache = cache
        self._keys: dict[str, FullKey] = {}

    async def look(self, tasks: Sequence[Task]) -> list[Task]:
        """Give tasks that have no writes yet those of an earlier run for the same input; which they are."""
        keys: dict[str, FullKey] = {}
        for task in tasks:
            policies = task.node.policies
            if policies.cache is not None and task.writes is None:
                keys[task.key] = _key_of(policies.cache, policies.identity, task)
        if not keys:
            return []
        self._keys.update(keys)
        wanted, cache = list(dict.fromkeys(keys.values())), self._cache
        if self._host.asynchronous:
            found = await self._host.call(lambda: cache.aget(wanted), blocking=False)
        else:
            found = await self._host.read(lambda: cache.get(wanted))
        hits = []
        for task in tasks:
            key = keys.get(task.key)
            if key is not None and key in found:
                task.writes = [(chan, value) for chan, value in found[key]]
                del self._keys[task.key]
                hits.append(task)
        return hits

    async def keep(self, task: Task) -> None:
        """Keep what a task that ran has written, if its node has a policy for that."""
        key = self._keys.pop(task.key, None)
        if key is None:
            return
        cache, pairs = self._cache, {key: (list(task.writes or ()), task.node.policies.cache.ttl)}  # type: ignore[union-attr]  # it has a key
        if self._host.asynchronous:
            await self._host.call(lambda: cache.aset(pairs), blocking=False)
        else:
            await self._host.read(lambda: cache.set(pairs))
