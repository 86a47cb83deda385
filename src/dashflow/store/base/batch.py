"""AsyncBatchedBaseStore: operations that are asked for at the same time are carried out as one batch."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any, TypeVar, cast

from dashflow.store.base.items import Item, SearchItem
from dashflow.store.base.namespaces import _validate_namespace
from dashflow.store.base.ops import GetOp, ListNamespacesOp, NamespacePath, Op, PutOp, Result, SearchOp
from dashflow.store.base.settings import NOT_PROVIDED, NotProvided, _ensure_ttl
from dashflow.store.base.store import (
    BaseStore,
    Index,
    Namespace,
    _delete,
    _get,
    _list_namespaces,
    _search,
)

__all__ = ("AsyncBatchedBaseStore",)

T = TypeVar("T")
Asked = tuple["asyncio.Future[Result]", Op]


class AsyncBatchedBaseStore(BaseStore):
    """A store whose async calls are collected; what one turn of the event loop asks is one ``abatch``.

    A subclass implements ``abatch``. Its synchronous methods are for other threads than the event loop's.
    Belongs to the event loop in which it was made.
    """

    __slots__ = ("_aqueue", "_loop", "_task")

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._aqueue: asyncio.Queue[Asked] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._ensure_task()

    def __del__(self) -> None:
        task = getattr(self, "_task", None)
        if task is not None and not self._loop.is_closed():
            task.cancel()

    def _ensure_task(self) -> None:
        """Start the task that works the queue off, if there is none or somebody stopped it."""
        if self._task is None or self._task.done():
            self._task = self._loop.create_task(_work_off(self._aqueue, weakref.ref(self)))

    async def _ask(self, op: Op) -> Any:
        self._ensure_task()
        future: asyncio.Future[Result] = self._loop.create_future()
        self._aqueue.put_nowait((future, op))
        return await future

    def _wait(self, method: str, call: Coroutine[Any, Any, T]) -> T:
        """The result of a call that the store's event loop makes.

        Raises:
            asyncio.InvalidStateError: This is that event loop's thread, which would wait for itself.
        """
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        if running is self._loop:
            call.close()
            raise asyncio.InvalidStateError(
                f"Synchronous calls to {type(self).__name__} detected in the main event loop. "
                "This can lead to deadlocks or performance issues. "
                "Please use the asynchronous interface for main thread operations. "
                f"Specifically, replace `store.{method}(...)` with `await store.a{method}(...)`."
            )
        return asyncio.run_coroutine_threadsafe(call, self._loop).result()

    async def aget(self, namespace: Namespace, key: str, *, refresh_ttl: bool | None = None) -> Item | None:
        """An item; see ``BaseStore.get``."""
        return cast("Item | None", await self._ask(_get(self, namespace, key, refresh_ttl)))

    async def asearch(
        self,
        namespace_prefix: Namespace,
        /,
        *,
        query: str | None = None,
        filter: dict[str, Any] | None = None,  # noqa: A002 - LangGraph's name
        limit: int = 10,
        offset: int = 0,
        refresh_ttl: bool | None = None,
    ) -> list[SearchItem]:
        """Items under a namespace; see ``BaseStore.search``."""
        op = _search(self, namespace_prefix, query, filter, limit, offset, refresh_ttl)
        return cast("list[SearchItem]", await self._ask(op))

    async def aput(
        self,
        namespace: Namespace,
        key: str,
        value: Mapping[str, Any],
        index: Index = None,
        *,
        ttl: float | NotProvided | None = NOT_PROVIDED,
    ) -> None:
        """Keep a value; see ``BaseStore.put``. A ttl is passed on even if items cannot end."""
        _validate_namespace(namespace)
        await self._ask(PutOp(namespace, str(key), value, index, _ensure_ttl(self.ttl_config, ttl)))

    async def adelete(self, namespace: Namespace, key: str) -> None:
        """Delete an item; see ``BaseStore.delete``."""
        await self._ask(_delete(namespace, key))

    async def alist_namespaces(
        self,
        *,
        prefix: NamespacePath | None = None,
        suffix: NamespacePath | None = None,
        max_depth: int | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[Namespace]:
        """Namespaces that hold items; see ``BaseStore.list_namespaces``."""
        op = _list_namespaces(prefix, suffix, max_depth, limit, offset)
        return cast("list[Namespace]", await self._ask(op))

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """``abatch``, from another thread than the event loop's."""
        return self._wait("batch", self.abatch(ops))

    def get(self, namespace: Namespace, key: str, *, refresh_ttl: bool | None = None) -> Item | None:
        """``aget``, from another thread than the event loop's."""
        return self._wait("get", self.aget(namespace, key, refresh_ttl=refresh_ttl))

    def search(
        self,
        namespace_prefix: Namespace,
        /,
        *,
        query: str | None = None,
        filter: dict[str, Any] | None = None,  # noqa: A002 - LangGraph's name
        limit: int = 10,
        offset: int = 0,
        refresh_ttl: bool | None = None,
    ) -> list[SearchItem]:
        """``asearch``, from another thread than the event loop's."""
        call = self.asearch(
            namespace_prefix,
            query=query,
            filter=filter,
            limit=limit,
            offset=offset,
            refresh_ttl=refresh_ttl,
        )
        return self._wait("search", call)

    def put(
        self,
        namespace: Namespace,
        key: str,
        value: Mapping[str, Any],
        index: Index = None,
        *,
        ttl: float | NotProvided | None = NOT_PROVIDED,
    ) -> None:
        """``aput``, from another thread than the event loop's."""
        self._wait("put", self.aput(namespace, key, value, index, ttl=ttl))

    def delete(self, namespace: Namespace, key: str) -> None:
        """``adelete``, from another thread than the event loop's."""
        self._wait("delete", self.adelete(namespace, key))

    def list_namespaces(
        self,
        *,
        prefix: NamespacePath | None = None,
        suffix: NamespacePath | None = None,
        max_depth: int | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[Namespace]:
        """``alist_namespaces``, from another thread than the event loop's."""
        call = self.alist_namespaces(
            prefix=prefix, suffix=suffix, max_depth=max_depth, limit=limit, offset=offset
        )
        return self._wait("list_namespaces", call)


async def _work_off(queue: asyncio.Queue[Asked], where: weakref.ReferenceType[AsyncBatchedBaseStore]) -> None:
    """Carry out what is asked, all that is there as one batch, as long as the store is alive."""
    while True:
        asked = [await queue.get()]
        while not queue.empty():
            asked.append(queue.get_nowait())
        # Whoever was cancelled meanwhile wants nothing any more.
        asked = [(future, op) for future, op in asked if not future.done()]
        store = where()
        if store is None:
            return
        try:
            if asked:
                await _carry_out(store, asked)
        finally:
            del store  # while waiting, the queue keeps nobody alive


async def _carry_out(store: AsyncBatchedBaseStore, asked: list[Asked]) -> None:
    places, ops = _dedupe_ops([op for _, op in asked])
    try:
        results = await store.abatch(ops)
    except Exception as error:
        for future, _ in asked:
            if not future.done():
                future.set_exception(error)
        return
    for (future, _), place in zip(asked, places, strict=True):
        if not future.done():
            future.set_result(results[place])


def _dedupe_ops(asked: list[Op]) -> tuple[list[int], list[Op]]:
    """Each read once, of each key the last put; and where among these each operation's result is."""
    places: list[int] = []
    ops: list[Op] = []
    puts: dict[tuple[Namespace, str], int] = {}
    reads: dict[Op, int] = {}
    for op in asked:
        place = len(ops)
        if isinstance(op, PutOp):
            place = puts.setdefault((tuple(op.namespace), op.key), place)
        elif isinstance(op, GetOp | SearchOp | ListNamespacesOp):
            try:
                place = reads.setdefault(op, place)
            except TypeError:  # a filter is a dict, which has no hash
                place = ops.index(op) if op in ops else place
        if place == len(ops):
            ops.append(op)
        else:
            ops[place] = op
        places.append(place)
    return places, ops
