"""The part of the stores' contract about items that end. For stores that take ``ttl`` and have a clock."""

from __future__ import annotations

import pytest

from dashflow.testing.store_case import Calls, OpenStore, StoreCase


class LifeContract(StoreCase):
    """Items end when they are told to, if anybody sweeps or the store omits them."""

    def test_an_item_lives_as_long_as_its_put_or_the_store_says(self, opened: OpenStore) -> None:
        store = opened(ttl={"default_ttl": 10})
        store.at(0)
        store.put(("n",), "default", {})
        store.put(("n",), "short", {}, ttl=5)
        store.put(("n",), "forever", {}, ttl=None)
        assert store.sweep_ttl() == 0
        store.at(6)
        assert store.sweep_ttl() == 1
        assert store.get(("n",), "short") is None
        store.at(11)
        assert store.sweep_ttl() == 1
        assert [item.key for item in store.search(())] == ["forever"]
        assert store.sweep_ttl() == 0

    def test_without_a_word_about_it_an_item_lives_for_ever(self, opened: OpenStore) -> None:
        store = opened(ttl={})
        store.at(0)
        store.put(("n",), "k", {})
        store.at(1e6)
        assert store.sweep_ttl() == 0

    def test_what_is_over_is_seen_until_it_is_swept(self, opened: OpenStore) -> None:
        store = opened(ttl={"default_ttl": 10})
        store.at(0)
        store.put(("n",), "k", {"v": 1})
        store.at(11)
        assert store.get(("n",), "k").value == {"v": 1}
        assert len(store.search(())) == 1

    def test_what_is_over_is_not_seen_if_the_store_omits_it(self, opened: OpenStore) -> None:
        store = opened(ttl={"default_ttl": 10, "omit_expired": True, "refresh_on_read": True})
        store.at(0)
        store.put(("n",), "k", {"v": 1})
        store.put(("m",), "k", {"v": 1}, ttl=None)
        store.at(11)
        assert store.get(("n",), "k") is None
        assert [item.namespace for item in store.search(())] == [("m",)]
        assert store.list_namespaces() == [("m",)]
        assert store.sweep_ttl() == 1

    @pytest.mark.parametrize("read", ["get", "search"])
    def test_a_read_begins_the_life_anew(self, opened: OpenStore, read: str) -> None:
        store = opened(ttl={"default_ttl": 10, "refresh_on_read": True})
        store.at(0)
        store.put(("n",), "k", {})
        store.put(("m",), "unread", {})
        store.at(8)
        _read(store, read, None)
        store.at(16)
        assert store.sweep_ttl() == 1
        _read(store, read, False)
        store.at(19)
        assert store.sweep_ttl() == 1

    @pytest.mark.parametrize("read", ["get", "search"])
    def test_a_read_begins_nothing_anew_unless_the_store_was_told(self, opened: OpenStore, read: str) -> None:
        store = opened(ttl={"default_ttl": 10})
        store.at(0)
        store.put(("n",), "k", {})
        store.at(8)
        _read(store, read, True)
        store.at(11)
        assert store.sweep_ttl() == 1

    def test_a_put_begins_the_life_anew(self, opened: OpenStore) -> None:
        store = opened(ttl={"default_ttl": 10})
        store.at(0)
        store.put(("n",), "k", {})
        store.at(8)
        store.put(("n",), "k", {})
        store.at(12)
        assert store.sweep_ttl() == 0

    def test_an_item_without_an_end_stays_without(self, opened: OpenStore) -> None:
        store = opened(ttl={"default_ttl": 10, "refresh_on_read": True})
        store.at(0)
        store.put(("n",), "k", {}, ttl=None)
        store.get(("n",), "k")
        store.at(1e6)
        assert store.sweep_ttl() == 0


def _read(store: Calls, how: str, refresh: bool | None) -> None:
    if how == "get":
        assert store.get(("n",), "k", refresh_ttl=refresh) is not None
    else:
        assert len(store.search(("n",), refresh_ttl=refresh)) == 1
