"""What the parts of the stores' contract share: how a test opens its store and calls it, sync or async."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack
from datetime import UTC, datetime, timedelta
from inspect import isawaitable
from pathlib import Path
from typing import Any, Final

import pytest

__all__ = ("Calls", "OpenStore", "StoreCase", "letters")

_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz"
_BEGAN: Final = datetime(2026, 1, 1, tzinfo=UTC)


def letters(texts: Sequence[str]) -> list[list[float]]:
    """Embeddings whose neighbours a reader can work out: how often each letter is in a text."""
    return [[float(Counter(text.lower())[letter]) for letter in _ALPHABET] for text in texts]


class Calls:
    """A store's methods, or a cache's, under their synchronous names, whichever of the two a test is to call.

    Args:
        store: The store, or the cache.
        runner: Runs the async methods; None: the synchronous ones are called.
    """

    def __init__(self, store: Any, runner: asyncio.Runner | None) -> None:
        self.store = store
        self._runner = runner

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if self._runner is not None and hasattr(self.store, f"a{name}"):
            name = f"a{name}"
        method = getattr(self.store, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            if self._runner is None:
                return method(*args, **kwargs)

            async def called() -> Any:
                result = method(*args, **kwargs)
                return await result if isawaitable(result) else result

            return self._runner.run(called())

        return call

    def at(self, minutes: float) -> None:
        """Let it be so many minutes after the test began, for the store."""
        self.store.clock = lambda: _BEGAN + timedelta(minutes=minutes)


OpenStore = Callable[..., Calls]


class StoreCase:
    """A class of tests that gets its stores from ``open_store``.

    Attributes:
        is_async: Whether the async methods are tested; ``open_store`` is then an async context manager.
    """

    is_async = False

    def open_store(self, place: Path, **options: Any) -> Any:
        """Open the store at ``place``, an empty folder at first, with ``index`` and ``ttl`` as given.

        Returns:
            A context manager.
        """
        raise NotImplementedError

    @pytest.fixture
    def opened(self, tmp_path: Path) -> Iterator[OpenStore]:
        """Opens the test's store, as often as called; all are closed at the end."""
        if not self.is_async:
            with ExitStack() as stack:
                yield lambda **options: Calls(stack.enter_context(self.open_store(tmp_path, **options)), None)
            return
        with asyncio.Runner() as runner:
            later = AsyncExitStack()

            def opening(**options: Any) -> Calls:
                entering = later.enter_async_context(self.open_store(tmp_path, **options))
                return Calls(runner.run(_awaited(entering)), runner)

            try:
                yield opening
            finally:
                runner.run(later.aclose())

    @pytest.fixture
    def store(self, opened: OpenStore) -> Calls:
        """A store without index and ttl."""
        return opened()


async def _awaited(entering: Any) -> Any:
    return await entering
