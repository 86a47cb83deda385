"""The stores' interface: items, settings, texts of values, embeddings, operations collected in batches."""

import asyncio
import gc
import json
import pickle
import subprocess
import sys
import weakref
from datetime import UTC, datetime
from types import MappingProxyType

import pytest

from dashflow.checkpoint.serde.jsonplus import JsonPlusSerializer
from dashflow.store.base import (
    NOT_GIVEN,
    NOT_PROVIDED,
    GetOp,
    InvalidNamespaceError,
    Item,
    ListNamespacesOp,
    MatchCondition,
    PutOp,
    SearchItem,
    SearchOp,
    ensure_embeddings,
    get_text_at_path,
    tokenize_path,
    validate_op_namespace,
)
from dashflow.store.base.batch import AsyncBatchedBaseStore
from dashflow.store.base.embed import EmbeddingsLambda
from dashflow.store.memory import InMemoryStore
from dashflow.testing.store_case import letters

pytestmark = pytest.mark.feature("PERSIST-006")

TIME = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ITEM = Item(value={"v": 1}, key="k", namespace=("n",), created_at=TIME, updated_at=TIME)


def test_an_item_is_what_its_json_says():
    data = json.loads(json.dumps(ITEM.dict()))
    assert Item(**data) == ITEM
    assert hash(Item(**data)) == hash(ITEM)
    assert SearchItem(("n",), "k", {"v": 1}, TIME, TIME, 0.5).dict() == {**data, "score": 0.5}
    assert SearchItem(("n",), "k", {"v": 1}, TIME, TIME).score is None
    assert Item(**{**data, "key": "other"}) != ITEM
    assert data != ITEM
    assert "key='k'" in repr(ITEM)


def test_items_survive_pickles_and_checkpoints():
    assert pickle.loads(pickle.dumps(ITEM)) == ITEM
    serde = JsonPlusSerializer()
    assert serde.loads_typed(serde.dumps_typed({"item": ITEM})) == {"item": ITEM}
    assert Item.__module__ == GetOp.__module__ == "dashflow.store.base"


def test_what_was_left_out_is_not_none():
    assert NOT_GIVEN is NOT_PROVIDED
    assert not NOT_PROVIDED
    assert repr(NOT_PROVIDED) == "NOT_GIVEN"


@pytest.mark.parametrize(
    "op",
    [
        GetOp(("a.b",), "k"),
        PutOp(("a", ""), "k", None),
        SearchOp(("a", 3)),
        ListNamespacesOp((MatchCondition("suffix", ("a\0",)),)),
    ],
)
def test_an_operation_with_a_bad_label_is_refused(op):
    with pytest.raises(InvalidNamespaceError, match="label"):
        validate_op_namespace(op)


def test_an_operation_may_name_the_reserved_root_and_wildcards():
    validate_op_namespace(PutOp(("langgraph",), "k", {}))
    validate_op_namespace(ListNamespacesOp((MatchCondition("prefix", ("*", "a")),)))
    validate_op_namespace(SearchOp(()))
    validate_op_namespace(ListNamespacesOp())


@pytest.mark.parametrize(
    ("path", "tokens"),
    [
        ("", []),
        ("a", ["a"]),
        ("a.b", ["a", "b"]),
        ("a[0].b", ["a", "[0]", "b"]),
        ("[*][-1]", ["[*]", "[-1]"]),
        ("a.{b,c.d}.e", ["a", "{b,c.d}", "e"]),
        ("a[b[c]]", ["a", "[b[c]]"]),
        ("a.{b", ["a", "{b"]),
    ],
)
def test_paths_have_parts(path, tokens):
    assert tokenize_path(path) == tokens


@pytest.mark.parametrize(
    ("path", "texts"),
    [
        ("name", ["ada"]),
        ("n", ["1"]),
        ("no", []),
        ("none", []),
        ("none.deeper", []),
        ("list[0].a", ["x"]),
        ("list[-1].a", ["y"]),
        ("list[9].a", []),
        ("list[q]", []),
        ("list[*].a", ["x", "y"]),
        ("list.*.a", ["x", "y"]),
        ("list", ['[{"a": "x", "b": {"c": true}}, {"a": "y"}]']),
        ("list[*].{a, b.c}", ["x", "True", "y"]),
        ("list[0].*", ["x", '{"c": true}']),
        ("{name,no,none}", ["ada"]),
        ("name[0]", []),
        (["list", "[0]", "a"], ["x"]),
    ],
)
def test_paths_lead_to_texts(path, texts):
    value = {"name": "ada", "n": 1, "none": None, "list": [{"a": "x", "b": {"c": True}}, {"a": "y"}]}
    assert get_text_at_path(value, path) == texts
    assert get_text_at_path(MappingProxyType(value), path) == texts
    assert get_text_at_path(value, "$") == get_text_at_path(value, "") == [json.dumps(value, sort_keys=True)]


async def test_a_function_makes_embeddings():
    made = ensure_embeddings(letters)
    assert made.embed_query("ab")[:3] == [1, 1, 0]
    assert await made.aembed_documents(["ab"]) == made.embed_documents(["ab"])
    assert await made.aembed_query("b") == letters(["b"])[0]
    assert ensure_embeddings(made) is made


async def test_an_async_function_makes_embeddings_for_asyncio():
    async def later(texts):
        return letters(texts)

    class Callable:
        async def __call__(self, texts):
            return letters(texts)

    for function in (later, Callable()):
        made = ensure_embeddings(function)
        assert await made.aembed_query("b") == letters(["b"])[0]
        with pytest.raises(ValueError, match="async function but no sync function"):
            made.embed_query("b")
    store = InMemoryStore(index={"dims": 26, "embed": later})
    await store.aput(("n",), "k", {"text": "abc"})
    assert (await store.asearch(("n",), query="abc"))[0].score > 0.4


def test_embeddings_need_a_source():
    with pytest.raises(ValueError, match="must be provided"):
        ensure_embeddings(None)
    with pytest.raises(ValueError, match="func must be provided"):
        EmbeddingsLambda(None)
    with pytest.raises(ValueError, match=r"'no(:model)?'"):
        ensure_embeddings("no:model")


@pytest.mark.feature("NEW-07")
@pytest.mark.usefixtures("_uncounted")
def test_a_store_loads_no_langchain_until_its_class_is_asked_for():
    program = """
import sys
from dashflow.store.base import ensure_embeddings
from dashflow.store.memory import InMemoryStore
store = InMemoryStore(index={"dims": 1, "embed": lambda texts: [[1.0] for _ in texts]})
store.put(("n",), "k", {})
assert store.search((), query="x")
assert "langchain_core" not in sys.modules and "asyncio" not in sys.modules and "sqlite3" not in sys.modules
from dashflow.store.base import Embeddings
assert isinstance(store.embeddings, Embeddings)
class Mine(Embeddings):
    def embed_documents(self, texts): return [[2.0] for _ in texts]
    def embed_query(self, text): return [2.0]
mine = Mine()
assert ensure_embeddings(mine) is mine
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class Counting(AsyncBatchedBaseStore):
    """Keeps the batches that it was given."""

    def __init__(self):
        super().__init__()
        self.inner = InMemoryStore()
        self.batches = []

    async def abatch(self, ops):
        self.batches.append(list(ops))
        return self.inner.batch(self.batches[-1])


async def test_what_is_asked_at_once_is_one_batch_without_repeats():
    store = Counting()
    await asyncio.gather(*(store.aput(("n",), "k", {"v": number}) for number in range(3)))
    assert store.batches == [[PutOp(("n",), "k", {"v": 2})]]
    found = await asyncio.gather(
        store.aget(("n",), "k"),
        store.aget(("n",), "k"),
        store.asearch(("n",), filter={"v": 2}),
        store.asearch(("n",), filter={"v": 2}),
        store.asearch(("n",), filter={"v": 3}),
        store.alist_namespaces(),
        store.aget(("n",), "k", refresh_ttl=False),
    )
    assert len(store.batches[1]) == 5
    assert [item.value for item in (found[0], found[1], *found[2], *found[3], found[6])] == [{"v": 2}] * 5
    assert found[4:6] == [[], [("n",)]]


async def test_an_error_reaches_everybody_in_the_batch_and_the_store_goes_on():
    class Failing(Counting):
        async def abatch(self, ops):
            if any(op.key == "bad" for op in ops):
                raise LookupError("bad")
            return await super().abatch(ops)

    store = Failing()
    results = await asyncio.gather(
        store.aget(("n",), "bad"), store.aget(("n",), "good"), return_exceptions=True
    )
    assert [type(result) for result in results] == [LookupError, LookupError]
    assert await store.aget(("n",), "good") is None


async def test_whoever_was_cancelled_is_left_out():
    store = Counting()
    asking = asyncio.create_task(store.aget(("n",), "cancelled"))
    other = asyncio.create_task(store.aget(("n",), "other"))
    await asyncio.sleep(0)
    asking.cancel()
    assert await other is None
    assert store.batches == [[GetOp(("n",), "other")]]
    assert asking.cancelled()


async def test_a_stopped_worker_is_replaced():
    store = Counting()
    store._task.cancel()
    await asyncio.gather(store._task, return_exceptions=True)
    await store.aput(("n",), "k", {"v": 1})
    assert (await store.aget(("n",), "k")).value == {"v": 1}


async def test_a_forgotten_store_goes_and_its_worker_with_it():
    store = Counting()
    await store.aput(("n",), "k", {})
    gone, worker = weakref.ref(store), store._task
    del store
    gc.collect()
    await asyncio.gather(worker, return_exceptions=True)
    assert gone() is None
    assert worker.cancelled()


async def test_synchronous_calls_are_for_other_threads():
    store = Counting()
    calls = {
        "get": lambda: store.get(("n",), "k"),
        "put": lambda: store.put(("n",), "k", {"v": 1}),
        "delete": lambda: store.delete(("n",), "k"),
        "search": lambda: store.search(("n",)),
        "list_namespaces": lambda: store.list_namespaces(),
        "batch": lambda: store.batch([]),
    }
    for name, call in calls.items():
        with pytest.raises(asyncio.InvalidStateError, match=f"await store.a{name}"):
            call()
    await asyncio.to_thread(calls["put"])
    assert (await asyncio.to_thread(calls["get"])).value == {"v": 1}
    assert await asyncio.to_thread(calls["list_namespaces"]) == [("n",)]
