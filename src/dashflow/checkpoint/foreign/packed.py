"""Serialised checkpoints taken apart without being revived: every value keeps the bytes that it had.

So values of classes that nobody here knows are carried over unharmed. Pure; imports and runs nothing that
the data names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

import ormsgpack

from dashflow._util.reserved import TASKS
from dashflow.checkpoint.imported import EMPTY_TAG, Typed
from dashflow.checkpoint.serde import wire
from dashflow.checkpoint.serde.base import SerializerProtocol
from dashflow.checkpoint.serde.encrypted import EncryptedSerializer
from dashflow.checkpoint.serde.jsonplus import JsonPlusSerializer

_PLAIN = frozenset({"null", "bytes", "bytearray", EMPTY_TAG})

Apart = tuple[dict[str, Any], dict[str, Typed]]
"""A checkpoint without its values, and its values by channel."""


class UnreadableError(Exception):
    """Stored bytes that cannot be brought over.

    Args:
        code: As in ``Skipped``.
        why: In words.
    """

    def __init__(self, code: str, why: str) -> None:
        super().__init__(why)
        self.code = code
        self.why = why


class Packing:
    """How a saver's serialiser packs: opens what it may, closes as it would.

    Args:
        serde: The serialiser of the saver that takes the threads in.
    """

    def __init__(self, serde: SerializerProtocol) -> None:
        self._serde = serde
        self._cipher = serde.cipher if isinstance(serde, EncryptedSerializer) else None
        inner = serde.serde if isinstance(serde, EncryptedSerializer) else serde
        self._pickles = isinstance(inner, JsonPlusSerializer) and inner.pickle_fallback
        self._inner = inner

    def opened(self, tag: str | None, data: Any) -> Typed:
        """The value without encryption, known to be sound.

        Raises:
            UnreadableError: It is encrypted, a pickle, damaged, or of a kind that nobody knows.
        """
        name, encrypted, cipher = (tag or "json").partition("+")
        content = _as_bytes(data)
        if encrypted:
            content = self._decrypted(cipher, content)
        if name == "pickle":
            self._check_pickle(content)
        elif name in ("msgpack", "json"):
            _check(name, content)
        elif name not in _PLAIN:
            raise UnreadableError("unknown", f"is stored as {name!r}, which this version does not know")
        return name, content

    def _decrypted(self, cipher: str, content: bytes) -> bytes:
        if self._cipher is None:
            raise UnreadableError(
                "encrypted",
                f"is encrypted ({cipher}); import from Python into a saver with the same EncryptedSerializer",
            )
        try:
            return self._cipher.decrypt(cipher, content)
        except Exception as problem:  # whatever the cipher's package raises
            raise UnreadableError("encrypted", f"cannot be decrypted with this key: {problem}") from problem

    def _check_pickle(self, content: bytes) -> None:
        if not self._pickles:
            raise UnreadableError(
                "pickle",
                "is a pickle, which is a program and is not run; to allow tables, arrays and classes "
                "of yours, import from Python into a saver with JsonPlusSerializer(pickle_fallback=True, "
                "allowed_msgpack_modules=[...])",
            )
        try:
            self._inner.loads_typed(("pickle", content))
        except Exception as problem:  # a pickle may fail in any way
            raise UnreadableError("pickle", f"is a pickle that is not allowed: {problem}") from problem

    def closed(self, typed: Typed) -> Typed:
        """The value as the saver keeps it: encrypted, if it encrypts."""
        if self._cipher is None or typed[0] == EMPTY_TAG:
            return typed
        name, secret = self._cipher.encrypt(typed[1])
        return f"{typed[0]}+{name}", secret

    def packed(self, plain: Any) -> Typed:
        """Plain data, serialised and open."""
        return self._inner.dumps_typed(plain)

    def apart(self, typed: Typed) -> Apart:
        """A serialised checkpoint without its values, and these by channel.

        Raises:
            UnreadableError: It is no checkpoint.
        """
        tag, data = typed
        if tag == "msgpack":
            told, values = _apart_msgpack(data)
        elif tag == "json":
            told, values = _apart_json(data)
        elif tag == "pickle":
            told = dict(self._inner.loads_typed(typed))
            given = told.pop("channel_values", None) or {}
            values = {channel: self.packed(value) for channel, value in given.items()}
        else:
            raise UnreadableError("damaged", f"is no checkpoint but {tag!r}")
        if not isinstance(told.get("id"), str) or not isinstance(told.get("channel_versions", {}), dict):
            raise UnreadableError("damaged", "is no checkpoint: it has no id, or no versions of channels")
        return told, values


def mark_of(typed: Typed) -> bytes:
    """What tells a value from others."""
    return blake2b(typed[1], digest_size=16, key=typed[0].encode()[:64]).digest()


def told_bytes(told: Mapping[str, Any]) -> Typed:
    """A checkpoint without its values, with all that is in it as it was."""
    return "msgpack", ormsgpack.packb(told, option=wire.PACKING)


def with_sends(told: dict[str, Any], values: dict[str, Typed], sends: Sequence[Typed]) -> None:
    """Move an old checkpoint's packets to where today's layout has them: a channel.

    Until layout 3 they were among the writes of the checkpoint before.
    """
    versions = told.setdefault("channel_versions", {})
    if sends and versions:
        told.pop("pending_sends", None)
        values[TASKS] = _joined(sends)
        versions[TASKS] = max(versions.values())


def _as_bytes(data: Any) -> bytes:
    if data is None:
        return b""
    return data.encode() if isinstance(data, str) else bytes(data)


def _check(tag: str, content: bytes) -> None:
    """Whether all of it can be read, level by level: hostile nesting takes no stack."""
    try:
        if tag == "json":
            json.loads(content)
            return
        level = [content]
        for _ in range(wire.MAX_DEPTH):
            deeper: list[bytes] = []

            def keep(code: int, payload: bytes, into: list[bytes] = deeper) -> int:
                into.append(payload)
                return len(into)

            for data in level:
                ormsgpack.unpackb(data, ext_hook=keep, option=wire.UNPACKING)
            if not deeper:
                return
            level = deeper
    except (ValueError, RecursionError) as problem:
        raise UnreadableError("damaged", f"is damaged: {problem}") from problem
    raise UnreadableError("damaged", f"is nested more than {wire.MAX_DEPTH} values deep")


# -- msgpack: by its bytes ------------------------------------------------------------------------

_FIXED = {0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8} | {
    0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17
}  # fmt: skip
"""Bytes after the first one."""

_COUNTED = {0xC4: (1, 0), 0xC5: (2, 0), 0xC6: (4, 0), 0xD9: (1, 0), 0xDA: (2, 0), 0xDB: (4, 0)} | {
    0xC7: (1, 1), 0xC8: (2, 1), 0xC9: (4, 1)
}  # fmt: skip
"""Bytes that say how many follow, and how many more than that."""

_HOLDING = {0xDC: (2, 1), 0xDD: (4, 1), 0xDE: (2, 2), 0xDF: (4, 2)}
"""Bytes that say how many items follow, and how many values an item is."""


def _number(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "big")


def _end(data: bytes, at: int) -> int:
    """Where the value ends that begins at ``at``; the data is known to be sound."""
    left = 1
    while left:
        left -= 1
        first = data[at]
        at += 1
        if first < 0x80 or first >= 0xE0 or 0xC0 <= first <= 0xC3:
            continue
        if first < 0x90:
            left += 2 * (first & 0x0F)
        elif first < 0xA0:
            left += first & 0x0F
        elif first < 0xC0:
            at += first & 0x1F
        elif first in _FIXED:
            at += _FIXED[first]
        elif first in _COUNTED:
            size, more = _COUNTED[first]
            at += size + _number(data, at, size) + more
        else:
            size, values = _HOLDING[first]
            left += values * _number(data, at, size)
            at += size
    return at


def _pairs(data: bytes, at: int) -> list[tuple[Any, int, int]]:
    """A map's keys, and from where to where its values are.

    Raises:
        UnreadableError: There is no map.
    """
    first = data[at] if at < len(data) else 0
    if first & 0xF0 == 0x80:
        count, at = first & 0x0F, at + 1
    elif first in (0xDE, 0xDF):
        size = _HOLDING[first][0]
        count, at = _number(data, at + 1, size), at + 1 + size
    else:
        raise UnreadableError("damaged", "is no checkpoint: it is not made of named parts")
    found = []
    for _ in range(count):
        start = _end(data, at)
        stop = _end(data, start)
        found.append((ormsgpack.unpackb(data[at:start]), start, stop))
        at = stop
    return found


def _apart_msgpack(data: bytes) -> Apart:
    told: dict[str, Any] = {}
    values: dict[str, Typed] = {}
    for key, start, stop in _pairs(data, 0):
        if key == "channel_values":
            for channel, first, end in _pairs(data, start):
                values[channel] = ("msgpack", data[first:end])
        else:
            told[key] = ormsgpack.unpackb(data[start:stop], ext_hook=ormsgpack.Ext, option=wire.UNPACKING)
    return told, values


def _apart_json(data: bytes) -> Apart:
    told = json.loads(data)
    if not isinstance(told, dict):
        raise UnreadableError("damaged", "is no checkpoint: it is not made of named parts")
    values = {name: _json(value) for name, value in (told.pop("channel_values", None) or {}).items()}
    sends = [_json(sent) for sent in told.pop("pending_sends", None) or ()]
    with_sends(told, values, sends)
    return told, values


def _json(value: Any) -> Typed:
    return "json", json.dumps(value, ensure_ascii=False).encode()


def _joined(parts: Sequence[Typed]) -> Typed:
    """A list of serialised values, each with the bytes that it had."""
    kinds = {tag for tag, _ in parts}
    if kinds == {"json"}:
        return "json", b"[" + b",".join(data for _, data in parts) + b"]"
    if kinds != {"msgpack"}:
        raise UnreadableError("unknown", f"has packets of several kinds: {', '.join(sorted(kinds))}")
    head = bytes([0x90 | len(parts)]) if len(parts) < 16 else b"\xdd" + len(parts).to_bytes(4, "big")
    return "msgpack", head + b"".join(data for _, data in parts)
