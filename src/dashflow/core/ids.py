"""Checkpoint ids: computed from a checkpoint's place in its stream, never drawn, never stored."""

from __future__ import annotations

import uuid
from functools import lru_cache

from xxhash import xxh3_64_intdigest

from dashflow._util.ids import uuid6

_VERSION_BITS = 40
_VERSION_MASK = (1 << _VERSION_BITS) - 1


@lru_cache(maxsize=4096)
def checkpoint_id(stream: str, version: int, at: int) -> str:
    """The id of the checkpoint that the stream's event ``version`` made at time ``at`` (nanoseconds).

    An UUIDv6, so ids of a thread sort by time, then by version; the stream's name salts it.
    """
    salt = xxh3_64_intdigest(stream.encode())
    return uuid6(at // 100, salt, (salt >> 14 & 0xFF) << _VERSION_BITS | version & _VERSION_MASK)


def checkpoint_version(identifier: str) -> int | None:
    """The stream version that a checkpoint id speaks of; None when it is no id of ours."""
    try:
        value = uuid.UUID(identifier)
    except ValueError:
        return None
    return value.int & _VERSION_MASK if value.version == 6 else None
