"""The part of the stores' contract about searches: by namespace, by filter, and by meaning."""

from __future__ import annotations

from typing import Any

import pytest

from dashflow.store.base import PutOp, SearchItem
from dashflow.testing.store_case import Calls, OpenStore, StoreCase, letters


def _keys(items: list[SearchItem]) -> set[str]:
    return {item.key for item in items}


class SearchContract(StoreCase):
    """Searches find what fits, under a namespace."""

    VALUES: dict[str, dict[str, Any]] = {  # noqa: RUF012 - a table
        "one": {"n": 1, "who": "ada", "tags": ["x"], "in": {"lang": "en", "no": 7}, "on": True},
        "two": {"n": 2, "who": "bob", "tags": ["x", "y"], "in": {"lang": "fr"}, "on": False},
        "three": {"n": 3.5, "who": "O'Brien", "tags": [], "gone": None},
    }

    @pytest.fixture
    def filled(self, store: Calls) -> Calls:
        """A store with an item of each of ``VALUES``."""
        for key, value in self.VALUES.items():
            store.put(("docs",), key, value)
        return store

    def test_a_namespace_is_searched_with_all_below_it_and_nothing_beside(self, store: Calls) -> None:
        places = [("foo",), ("foo", "bar"), ("foo", "bar", "baz"), ("foobar",), ("Foo",), ("fo",)]
        store.batch([PutOp(place, "k", {"at": list(place)}) for place in places])
        assert {item.namespace for item in store.search(("foo",))} == set(places[:3])
        assert {item.namespace for item in store.search(("foo", "bar"))} == set(places[1:3])
        assert {item.namespace for item in store.search(())} == set(places)
        assert store.search(("f",)) == []
        assert all(item.value == {"at": list(item.namespace)} for item in store.search(()))

    def test_pages_together_are_everything_once(self, store: Calls) -> None:
        store.batch([PutOp(("n",), str(number), {"v": number}) for number in range(25)])
        pages = [store.search(("n",), limit=10, offset=offset) for offset in (0, 10, 20, 30)]
        assert [len(page) for page in pages] == [10, 10, 5, 0]
        assert len({item.key for page in pages for item in page}) == 25
        assert len(store.search(("n",))) == 10

    @pytest.mark.parametrize(
        ("wanted", "expected"),
        [
            ({"who": "ada"}, {"one"}),
            ({"who": "O'Brien"}, {"three"}),
            ({"who": "x' OR '1'='1"}, set()),
            ({"n": 2}, {"two"}),
            ({"n": 3.5}, {"three"}),
            ({"on": True}, {"one"}),
            ({"on": False}, {"two"}),
            ({"gone": None}, {"one", "two", "three"}),
            ({"on": None}, {"three"}),
            ({"tags": ["x"]}, {"one"}),
            ({"tags": []}, {"three"}),
            ({"in": {"lang": "fr"}}, {"two"}),
            ({"in": {"no": {"$gt": 6}}}, {"one"}),
            ({"who": "ada", "n": 2}, set()),
            ({"n": {"$eq": 2}}, {"two"}),
            ({"n": {"$ne": 2}}, {"one", "three"}),
            ({"n": {"$gt": 2}}, {"three"}),
            ({"n": {"$gte": 2}}, {"two", "three"}),
            ({"n": {"$lt": 2}}, {"one"}),
            ({"n": {"$lte": 2}}, {"one", "two"}),
            ({"n": {"$gt": 1, "$lt": 3}}, {"two"}),
            ({"n": {"$lt": float("inf")}}, {"one", "two", "three"}),
            ({"n": {"$lt": 10**400}}, {"one", "two", "three"}),
            ({"n": {"$eq": float("nan")}}, set()),
            ({"nowhere": {"$gt": 0}}, set()),
            ({"who": {"$gt": "b"}}, {"two"}),
            ({"tags": {"$gt": ["x"]}}, set()),
        ],
    )
    def test_a_filter_keeps_what_fits(
        self, filled: Calls, wanted: dict[str, Any], expected: set[str]
    ) -> None:
        assert _keys(filled.search(("docs",), filter=wanted)) == expected

    def test_an_unknown_operator_is_refused(self, filled: Calls) -> None:
        with pytest.raises(ValueError, match="Unsupported operator"):
            filled.search(("docs",), filter={"n": {"$near": 1}})

    def test_without_an_index_a_query_ranks_nothing(self, filled: Calls) -> None:
        found = filled.search(("docs",), query="ada")
        assert _keys(found) == {"one", "two", "three"}
        assert {item.score for item in found} == {None}


class MeaningContract(StoreCase):
    """A store with an index ranks by nearness."""

    INDEX: dict[str, Any] = {"dims": 26, "embed": letters, "fields": ["text"]}  # noqa: RUF012 - a table

    @pytest.fixture
    def indexed(self, opened: OpenStore) -> Calls:
        """A store that is searched by the field ``text``."""
        return opened(index=self.INDEX)

    def test_the_nearest_is_first_and_says_how_near_it_is(self, indexed: Calls) -> None:
        for key in ("abc", "xyz", "abz"):
            indexed.put(("n",), key, {"text": key})
        found = indexed.search(("n",), query="abc")
        assert [item.key for item in found] == ["abc", "abz", "xyz"]
        assert [item.score for item in found] == pytest.approx([1, 2 / 3, 0], abs=1e-5)

    def test_filters_and_namespaces_hold_for_ranked_searches(self, indexed: Calls) -> None:
        indexed.put(("n",), "near", {"text": "aaa", "ok": False})
        indexed.put(("n", "m"), "far", {"text": "aab", "ok": True})
        indexed.put(("o",), "elsewhere", {"text": "aaa", "ok": True})
        assert [item.key for item in indexed.search(("n",), query="a", filter={"ok": True})] == ["far"]
        assert [item.key for item in indexed.search(("n",), query="a")] == ["near", "far"]

    def test_pages_of_a_ranked_search_follow_each_other(self, indexed: Calls) -> None:
        texts = ["a" * number + "b" for number in range(12, 0, -1)]
        indexed.batch([PutOp(("n",), text, {"text": text}) for text in texts])
        pages = [indexed.search(("n",), query="a", limit=5, offset=offset) for offset in (0, 5, 10)]
        assert [item.key for page in pages for item in page] == texts

    def test_a_replaced_value_is_found_by_its_new_text_only(self, indexed: Calls) -> None:
        indexed.put(("n",), "k", {"text": "aaa"})
        indexed.put(("n",), "k", {"text": "zzz"})
        (found,) = indexed.search(("n",), query="a")
        assert found.score == pytest.approx(0, abs=1e-5)
        indexed.put(("n",), "k", {"text": "aaa"}, index=False)
        assert [item.score for item in indexed.search(("n",), query="z") if item.score is not None] == []
        indexed.delete(("n",), "k")
        assert indexed.search(("n",), query="a") == []

    def test_a_put_can_say_what_is_searched(self, indexed: Calls) -> None:
        value = {"text": "aaa", "notes": [{"of": "bbb"}, {"of": "ccc"}]}
        indexed.put(("n",), "notes", value, index=["notes[*].of"])
        indexed.put(("n",), "plain", value)
        best = {query: indexed.search(("n",), query=query)[0] for query in ("b", "c", "a")}
        assert {query: item.key for query, item in best.items()} == {"b": "notes", "c": "notes", "a": "plain"}
        assert all(item.score == pytest.approx(1, abs=1e-5) for item in best.values())

    def test_the_same_text_in_two_items_is_found_twice(self, indexed: Calls) -> None:
        indexed.batch([PutOp(("n",), key, {"text": "same"}) for key in ("one", "two")])
        assert _keys(indexed.search(("n",), query="same")) == {"one", "two"}

    def test_without_fields_the_whole_value_is_searched(self, opened: OpenStore) -> None:
        store = opened(index={"dims": 26, "embed": letters})
        store.put(("n",), "q", {"q": "qqq"})
        store.put(("n",), "z", {"z": "zzz"})
        assert store.search(("n",), query="z")[0].key == "z"

    def test_an_index_needs_something_that_makes_vectors(self, opened: OpenStore) -> None:
        with pytest.raises(ValueError, match="embed must be provided"):
            opened(index={"dims": 26})

    def test_a_function_that_forgets_a_vector_is_found_out(self, opened: OpenStore) -> None:
        store = opened(index={"dims": 26, "embed": lambda texts: letters(texts)[:-1], "fields": ["text"]})
        with pytest.raises(ValueError, match="Number of embeddings"):
            store.put(("n",), "k", {"text": "abc"})
        assert store.get(("n",), "k") is None
