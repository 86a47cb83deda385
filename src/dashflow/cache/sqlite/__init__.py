"""SqliteCache: cached values in a SQLite file that several threads and processes may use."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from dashflow._util.database import connect, transaction
from dashflow.cache.base import BaseCache, FullKey, Namespace, ValueT
from dashflow.checkpoint.serde.base import SerializerProtocol

__all__ = ("SqliteCache",)

# LangGraph's layout: its cache can open the file, and we its files.
_TABLE: Final = """
    CREATE TABLE IF NOT EXISTS cache (
        ns TEXT,
        key TEXT,
        expiry REAL,  -- seconds since the Unix epoch
        encoding TEXT NOT NULL,
        val BLOB NOT NULL,
        PRIMARY KEY (ns, key)
    )
"""

_KNOWN: Final = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'cache'"
_GET: Final = "SELECT expiry, encoding, val FROM cache WHERE ns = ? AND key = ?"
_FORGET_OLD: Final = "DELETE FROM cache WHERE ns = ? AND key = ? AND expiry <= ?"
_SET: Final = "INSERT OR REPLACE INTO cache (ns, key, expiry, encoding, val) VALUES (?, ?, ?, ?, ?)"
_CLEAR: Final = "DELETE FROM cache WHERE ns = ?"
_CLEAR_ALL: Final = "DELETE FROM cache"


class SqliteCache(BaseCache[ValueT]):
    """Values in a file.

    Args:
        path: Of the file, or ``":memory:"``.
        serde: Makes bytes of values and reads them.

    Attributes:
        clock: What time it is, in seconds since the Unix epoch.

    Raises:
        sqlite3.Error: The file cannot be opened, or is no SQLite database.
    """

    def __init__(self, *, path: str, serde: SerializerProtocol | None = None) -> None:
        super().__init__(serde=serde)
        self.clock: Callable[[], float] = time.time
        self._lock = threading.RLock()
        self._conn = connect(path)
        # What a crash of the machine takes is computed again.
        self._conn.execute("PRAGMA synchronous=NORMAL")
        with transaction(self._conn, write=False) as cursor:
            known = cursor.execute(_KNOWN).fetchone()
        if known is None:
            with transaction(self._conn, write=True) as cursor:
                cursor.execute(_TABLE)

    def get(self, keys: Sequence[FullKey]) -> dict[FullKey, ValueT]:
        """The values of those keys that are cached and not too old."""
        now = self.clock()
        found: dict[FullKey, tuple[str, bytes]] = {}
        old: list[tuple[str, str, float]] = []
        with self._lock:
            with transaction(self._conn, write=False) as cursor:
                for namespace, key in keys:
                    row = cursor.execute(_GET, (_text(namespace), key)).fetchone()
                    if row is None:
                        continue
                    end, tag, content = row
                    if end is None or now < end:
                        found[tuple(namespace), key] = (tag, content)
                    else:
                        old.append((_text(namespace), key, now))
            if old:
                with transaction(self._conn, write=True) as cursor:
                    cursor.executemany(_FORGET_OLD, old)
        return {key: self.serde.loads_typed(entry) for key, entry in found.items()}

    async def aget(self, keys: Sequence[FullKey]) -> dict[FullKey, ValueT]:
        """``get``, for asyncio: in a thread."""
        return await asyncio.to_thread(self.get, keys)

    def set(self, mapping: Mapping[FullKey, tuple[ValueT, int | None]]) -> None:
        """Cache values, by key each with its seconds; all or none."""
        now = self.clock()
        rows = [
            (_text(namespace), key, None if ttl is None else now + ttl, *self.serde.dumps_typed(value))
            for (namespace, key), (value, ttl) in mapping.items()
        ]
        with self._lock, transaction(self._conn, write=True) as cursor:
            cursor.executemany(_SET, rows)

    async def aset(self, mapping: Mapping[FullKey, tuple[ValueT, int | None]]) -> None:
        """``set``, for asyncio: in a thread."""
        await asyncio.to_thread(self.set, mapping)

    def clear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        """Forget what is in these namespaces; None: everything."""
        with self._lock, transaction(self._conn, write=True) as cursor:
            if namespaces is None:
                cursor.execute(_CLEAR_ALL)
            else:
                cursor.executemany(_CLEAR, [(_text(namespace),) for namespace in namespaces])

    async def aclear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        """``clear``, for asyncio: in a thread."""
        await asyncio.to_thread(self.clear, namespaces)

    def close(self) -> None:
        """Close the file; nothing can be asked any more."""
        with self._lock:
            self._conn.close()

    def __del__(self) -> None:
        connection = getattr(self, "_conn", None)
        if connection is not None:
            connection.close()


def _text(namespace: Namespace) -> str:
    """A namespace as one text, for no two the same: LangGraph's commas, those in labels marked."""
    return ",".join(label.replace("\\", "\\\\").replace(",", "\\,") for label in namespace)
