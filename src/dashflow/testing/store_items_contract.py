"""The part of the stores' contract about items: put, get, delete, batches, and namespaces."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import pytest

from dashflow.store.base import (
    GetOp,
    InvalidNamespaceError,
    Item,
    ListNamespacesOp,
    MatchCondition,
    PutOp,
    SearchOp,
)
from dashflow.testing.store_case import Calls, StoreCase

_BAD_LABELS: list[Any] = [("a", "b.c"), ("a", ""), ("a", "b\0c"), ("a", 3)]


class ItemsContract(StoreCase):
    """What is put is got, and nothing else."""

    def test_what_was_put_is_got(self, store: Calls) -> None:
        value = {"text": "こんにちは", "list": [1, 2.5, None, True], "inside": {"deep": "yes"}}
        store.put(("users", "ada"), "prefs", value)
        item = store.get(("users", "ada"), "prefs")
        assert isinstance(item, Item)
        assert (item.namespace, item.key, item.value) == (("users", "ada"), "prefs", value)
        assert item.created_at <= item.updated_at

    def test_what_was_not_put_is_none_and_leaves_no_trace(self, store: Calls) -> None:
        store.put(("users",), "ada", {"v": 1})
        assert store.get(("users",), "bob") is None
        assert store.get(("nowhere",), "ada") is None
        assert store.list_namespaces() == [("users",)]

    def test_a_later_put_replaces_the_value_and_keeps_the_time_of_the_first(self, store: Calls) -> None:
        store.put(("n",), "k", {"v": 1, "old": True})
        before = store.get(("n",), "k")
        store.put(("n",), "k", {"v": 2})
        after = store.get(("n",), "k")
        assert after.value == {"v": 2}
        assert after.created_at == before.created_at
        assert after.updated_at >= before.updated_at

    def test_a_deleted_item_is_gone_and_so_is_its_namespace(self, store: Calls) -> None:
        store.put(("n",), "k", {"v": 1})
        store.delete(("n",), "k")
        store.delete(("n",), "never")
        assert store.get(("n",), "k") is None
        assert store.search(()) == []
        assert store.list_namespaces() == []

    def test_any_mapping_can_be_put_and_comes_as_a_dict(self, store: Calls) -> None:
        store.put(("n",), "k", MappingProxyType({"v": 1}))
        value = store.get(("n",), "k").value
        assert type(value) is dict
        assert value == {"v": 1}

    def test_the_same_key_in_two_namespaces_is_two_items(self, store: Calls) -> None:
        store.put(("a",), "k", {"v": 1})
        store.put(("a", "b"), "k", {"v": 2})
        assert store.get(("a",), "k").value == {"v": 1}
        assert store.get(("a", "b"), "k").value == {"v": 2}

    @pytest.mark.parametrize("namespace", [(), ("langgraph",), ("langgraph", "a"), *_BAD_LABELS])
    def test_nothing_is_put_into_an_invalid_namespace(self, store: Calls, namespace: Any) -> None:
        with pytest.raises(InvalidNamespaceError):
            store.put(namespace, "k", {"v": 1})
        assert store.search(()) == []

    @pytest.mark.parametrize("namespace", _BAD_LABELS)
    def test_nothing_is_asked_of_an_invalid_namespace(self, store: Calls, namespace: Any) -> None:
        asking: list[Callable[[], Any]] = [
            lambda: store.get(namespace, "k"),
            lambda: store.delete(namespace, "k"),
            lambda: store.search(namespace),
            lambda: store.list_namespaces(prefix=namespace),
            lambda: store.list_namespaces(suffix=namespace),
        ]
        for ask in asking:
            with pytest.raises(InvalidNamespaceError):
                ask()

    def test_the_reserved_root_can_be_read_and_written_by_operations(self, store: Calls) -> None:
        store.batch([PutOp(("langgraph", "x"), "k", {"v": 1})])
        assert store.get(("langgraph", "x"), "k").value == {"v": 1}
        store.delete(("langgraph", "x"), "k")
        assert store.get(("langgraph", "x"), "k") is None

    def test_results_of_a_batch_are_in_the_order_of_its_operations(self, store: Calls) -> None:
        store.put(("n", "a"), "1", {"v": 1})
        got, put, found, listed, missing = store.batch(
            [
                GetOp(("n", "a"), "1"),
                PutOp(("n", "b"), "2", {"v": 2}),
                SearchOp(("n",)),
                ListNamespacesOp((MatchCondition("prefix", ("n",)),)),
                GetOp(("n", "a"), "2"),
            ]
        )
        assert got.value == {"v": 1}
        assert (put, missing) == (None, None)
        assert [item.key for item in found] == ["1"]
        assert listed == [("n", "a")]
        assert store.get(("n", "b"), "2").value == {"v": 2}

    def test_of_two_puts_in_a_batch_the_last_counts(self, store: Calls) -> None:
        store.batch([PutOp(("n",), "k", {"v": 1}), PutOp(("n",), "k", None), PutOp(("n",), "k", {"v": 3})])
        assert store.get(("n",), "k").value == {"v": 3}
        store.batch([PutOp(("n",), "k", {"v": 4}), PutOp(("n",), "k", None)])
        assert store.get(("n",), "k") is None

    def test_something_that_is_no_operation_is_refused_and_nothing_done(self, store: Calls) -> None:
        with pytest.raises(ValueError, match="Unknown operation type"):
            store.batch([PutOp(("n",), "k", {"v": 1}), ("n", "k")])
        assert store.get(("n",), "k") is None


class NamespacesContract(StoreCase):
    """Namespaces are listed by their labels."""

    PLACES = (
        ("a", "b", "c"),
        ("a", "b", "d", "e"),
        ("a", "b", "d", "i"),
        ("a", "c", "f"),
        ("ab", "f"),
        ("b", "a", "f"),
    )

    @pytest.fixture
    def placed(self, store: Calls) -> Calls:
        """A store with an item in each of ``PLACES``."""
        store.batch([PutOp(place, "k", {"v": 1}) for place in reversed(self.PLACES)])
        return store

    @pytest.mark.parametrize(
        ("conditions", "expected"),
        [
            ({}, PLACES),
            ({"prefix": ("a",)}, PLACES[:4]),
            ({"prefix": ("a", "b")}, PLACES[:3]),
            ({"prefix": ("a", "*", "d")}, PLACES[1:3]),
            ({"suffix": ("f",)}, PLACES[3:]),
            ({"suffix": ("a", "*")}, PLACES[5:]),
            ({"prefix": ("a",), "suffix": ("f",)}, PLACES[3:4]),
            ({"prefix": ("*", "*", "*", "*", "*")}, ()),
            ({"prefix": ("A",)}, ()),
            ({"max_depth": 1}, (("a",), ("ab",), ("b",))),
            ({"max_depth": 3, "prefix": ("a",)}, (("a", "b", "c"), ("a", "b", "d"), ("a", "c", "f"))),
            ({"max_depth": 2, "limit": 2, "offset": 1}, (("a", "c"), ("ab", "f"))),
            ({"limit": 2}, PLACES[:2]),
            ({"offset": 4}, PLACES[4:]),
            ({"suffix": ("f",), "limit": 1, "offset": 1}, PLACES[4:5]),
        ],
    )
    def test_namespaces_are_listed(
        self, placed: Calls, conditions: dict[str, Any], expected: tuple[Any, ...]
    ) -> None:
        assert placed.list_namespaces(**conditions) == list(expected)

    def test_the_most_is_a_hundred_unless_said(self, store: Calls) -> None:
        store.batch([PutOp((f"n{number:03}",), "k", {}) for number in range(120)])
        assert len(store.list_namespaces()) == 100
        assert len(store.list_namespaces(limit=200)) == 120

    @pytest.mark.parametrize("label", ["a*", "a?", "a[b]", "a_b", "a%b", "a+", "A", "a'b", "a\n", "a/b"])
    def test_labels_mean_nothing_but_themselves(self, store: Calls, label: str) -> None:
        others = ("ax", "aXb", "aa", "a", "ab")
        store.batch([PutOp((name, "in"), "k", {}) for name in (label, *others)])
        assert store.list_namespaces(prefix=(label,)) == [(label, "in")]
        assert store.list_namespaces(prefix=(label, "*")) == [(label, "in")]
        assert [item.namespace for item in store.search((label,))] == [(label, "in")]
