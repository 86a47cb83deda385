"""The store in memory: what it has beside the contract."""

import sys
import threading
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import pytest

from dashflow.store import similarity
from dashflow.store.base import GetOp, PutOp, SearchOp
from dashflow.store.memory import InMemoryStore
from dashflow.testing.store_case import letters

pytestmark = pytest.mark.feature("PERSIST-006")


def test_a_ttl_is_refused_unless_the_store_was_told_about_ends():
    store = InMemoryStore()
    with pytest.raises(NotImplementedError, match="TTL is not supported by InMemoryStore"):
        store.put(("n",), "k", {}, ttl=5)
    store.put(("n",), "k", {}, ttl=None)
    assert not store.supports_ttl
    InMemoryStore(ttl={}).put(("n",), "k", {}, ttl=5)


def test_a_batch_happens_at_one_moment():
    now = datetime(2026, 1, 1, tzinfo=UTC)
    asked = []

    def clock():
        asked.append(None)
        return now + timedelta(minutes=len(asked))

    store = InMemoryStore(ttl={"refresh_on_read": True, "omit_expired": True})
    store.clock = clock
    store.batch([PutOp(("n",), key, {"v": 1}, ttl=60) for key in "abc"])
    found, *got = store.batch([SearchOp(("n",)), GetOp(("n",), "a"), PutOp(("n",), "d", {"v": 2}, ttl=1)])
    assert {item.updated_at for item in found} == {got[0].updated_at} == {now + timedelta(minutes=1)}
    assert store.sweep_ttl() == 1
    assert len(asked) == 3


def test_what_has_no_vector_comes_after_the_ranked():
    store = InMemoryStore(index={"dims": 26, "embed": letters, "fields": ["text"]})
    store.put(("n",), "plain", {"text": "aaa"}, index=False)
    store.put(("n",), "ranked", {"text": "zzz"})
    found = [(item.key, item.score) for item in store.search(("n",), query="a")]
    assert found == [("ranked", 0.0), ("plain", None)]
    assert [item.key for item in store.search(("n",), query="a", offset=1)] == ["plain"]


def test_threads_share_a_store_while_it_grows():
    store = InMemoryStore()
    failed = []

    def work(number):
        try:
            for count in range(200):
                store.put((f"n{number}", str(count)), "k", {"v": count})
                store.search((f"n{number}",), filter={"v": count})
                store.list_namespaces()
        except BaseException as error:
            failed.append(error)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert failed == []
    assert len(store.list_namespaces(limit=10_000)) == 800


def test_lists_serve_as_namespaces_in_operations():
    store = InMemoryStore()
    store.put(("a", "b"), "k", {"v": 1})
    assert not store._vectors
    got, found = store.batch([GetOp(["a", "b"], "k"), SearchOp(["a"])])
    assert got.value == {"v": 1}
    assert len(found) == 1


def test_its_mappings_can_be_replaced_by_others():
    """As LangGraph's development server does, to keep them in files."""

    class Kept(InMemoryStore):
        def __init__(self, **options):
            super().__init__(**options)
            self._data = defaultdict(dict)
            self._vectors = defaultdict(lambda: defaultdict(dict))

    store = Kept(index={"dims": 26, "embed": letters})
    store.put(("n",), "k", {"text": "abc"})
    assert list(store._data) == [("n",)]
    assert list(store._vectors["n",]["k"]) == ["$"]
    assert store.search(("n",), query="abc")[0].score > 0
    store.delete(("n",), "k")
    assert dict(store._data) == {}


@pytest.mark.parametrize("with_numpy", [True, False])
def test_vectors_are_compared_with_and_without_numpy(monkeypatch, with_numpy):
    monkeypatch.setattr(similarity, "_HAS_NUMPY", with_numpy)
    query, vectors = [3.0, 4.0], [[3.0, 4.0], [-6.0, -8.0], [4.0, -3.0], [0.0, 0.0]]
    assert similarity.cosine(query, vectors) == pytest.approx([1, -1, 0, 0])
    assert similarity.cosine([0.0, 0.0], vectors) == [0, 0, 0, 0]
    assert similarity.dot(query, vectors) == [25, -50, 0, 0]
    assert similarity.euclidean(query, vectors) == pytest.approx([0, 15, 50**0.5, 5])
    assert similarity.cosine(query, []) == similarity.dot(query, []) == similarity.euclidean(query, []) == []
