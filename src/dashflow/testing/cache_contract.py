"""The caches' contract as tests: subclass ``CacheContract``, say how to open your cache.

::

    class TestMyCache(CacheContract):
        @contextmanager
        def open_cache(self, place: Path) -> Iterator[MyCache]:
            yield MyCache(place / "cached")

With ``is_async = True`` the async methods are tested; ``open_cache`` stays a plain context manager.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dashflow.testing.store_case import Calls

__all__ = ("CacheContract",)

A, B = ("graph", "node"), ("graph", "other")


@dataclass
class Point:
    """A value with a class, that this process stores and so may have back."""

    x: int


class CacheContract:
    """What is cached is found, as long as it was to be kept.

    Attributes:
        is_async: Whether the async methods are tested.
    """

    is_async = False

    def open_cache(self, place: Path) -> Any:
        """Open the cache at ``place``, an empty folder at first; again: as another process would.

        Returns:
            A context manager.
        """
        raise NotImplementedError

    @pytest.fixture
    def cache(self, tmp_path: Path) -> Iterator[Any]:
        """The test's cache."""
        with ExitStack() as stack:
            cache = stack.enter_context(self.open_cache(tmp_path))
            yield Calls(cache, stack.enter_context(asyncio.Runner())) if self.is_async else cache

    def test_what_was_set_is_got_and_what_was_not_is_left_out(self, cache: Any) -> None:
        cache.set({(A, "1"): ({"v": [1, None]}, None), (A, "2"): (None, None), (B, "1"): (Point(3), 60)})
        asked = [(A, "1"), (A, "2"), (A, "3"), (B, "1"), (B, "2"), (("graph",), "1")]
        assert cache.get(asked) == {(A, "1"): {"v": [1, None]}, (A, "2"): None, (B, "1"): Point(3)}
        assert cache.get([]) == {}

    def test_setting_nothing_does_nothing(self, cache: Any) -> None:
        cache.set({})
        assert cache.get([(A, "1")]) == {}

    def test_a_later_value_replaces_an_earlier(self, cache: Any) -> None:
        cache.set({(A, "1"): (1, 60)})
        cache.set({(A, "1"): (2, None)})
        assert cache.get([(A, "1")]) == {(A, "1"): 2}

    def test_what_is_got_belongs_to_whoever_got_it(self, cache: Any) -> None:
        value = [1]
        cache.set({(A, "1"): (value, None)})
        value.append(2)
        cache.get([(A, "1")])[A, "1"].append(3)
        assert cache.get([(A, "1")]) == {(A, "1"): [1]}

    def test_a_value_whose_time_is_over_is_not_found(self, cache: Any) -> None:
        cache.set({(A, "over"): (1, 0), (A, "kept"): (2, 3600)})
        assert cache.get([(A, "over"), (A, "kept")]) == {(A, "kept"): 2}
        cache.set({(A, "kept"): (2, -1)})
        assert cache.get([(A, "kept")]) == {}
        cache.set({(A, "over"): (3, None)})
        assert cache.get([(A, "over")]) == {(A, "over"): 3}

    def test_a_namespace_is_cleared_and_no_other(self, cache: Any) -> None:
        below = (*A, "below")
        cache.set({(place, "1"): (1, None) for place in (A, B, below, ())})
        cache.clear([A, ("nothing", "here")])
        assert set(cache.get([(A, "1"), (B, "1"), (below, "1"), ((), "1")])) == {
            (B, "1"),
            (below, "1"),
            ((), "1"),
        }
        cache.clear([()])
        assert set(cache.get([(B, "1"), (below, "1"), ((), "1")])) == {(B, "1"), (below, "1")}
        cache.clear()
        assert cache.get([(B, "1"), (below, "1")]) == {}

    def test_no_two_places_are_the_same(self, cache: Any) -> None:
        places = [
            (("a", "b"), "c"),
            (("a,b",), "c"),
            (("a\\,b",), "c"),
            (("a:b",), "c"),
            (("a",), "b:c"),
            (("a*",), "c"),
            (("a",), "c"),
            ((), "a:b:c"),
        ]
        cache.set({place: (number, None) for number, place in enumerate(places)})
        assert cache.get(places) == {place: number for number, place in enumerate(places)}
        cache.clear([("a*",)])
        assert len(cache.get(places)) == len(places) - 1

    def test_many_threads_use_it_at_once(self, cache: Any) -> None:
        if self.is_async:
            cache = cache.store  # the synchronous methods, as threads beside an event loop call them
        failed: list[BaseException] = []

        def work(number: int) -> None:
            try:
                for count in range(20):
                    key = (A, f"{number}-{count}")
                    cache.set({key: (count, None)})
                    assert cache.get([key]) == {key: count}
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
        assert len(cache.get([(A, f"{number}-{count}") for number in range(6) for count in range(20)])) == 120
