"""Ids and digests as pure arithmetic: time and randomness come in as arguments, never from the machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha1
from typing import Any

from xxhash import xxh3_128_hexdigest

__all__ = (
    "digest",
    "former_task_id",
    "hex_to_uuid",
    "interrupt_id",
    "old_task_id",
    "path_text",
    "task_id",
    "uuid6",
    "uuid7",
)

_GREGORIAN_100NS = 0x01B21DD213814000
"""Ticks of 100 ns between 1582-10-15, where UUID time starts, and the Unix epoch."""

_VARIANT = 0x8000 << 48
_NS_SEP = "|"


def digest(data: str | bytes) -> str:
    """The XXH3-128 digest of ``data`` (text as UTF-8), 32 hex digits."""
    return xxh3_128_hexdigest(data.encode() if isinstance(data, str) else data)


def hex_to_uuid(digits: str) -> str:
    """32 hex digits with a UUID's dashes."""
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:32]}"


def task_id(checkpoint_id: bytes, *parts: str | bytes) -> str:
    """The id of a task: a digest of the checkpoint it starts from and of what names it there."""
    joined = b"".join([part.encode() if isinstance(part, str) else part for part in parts])
    return hex_to_uuid(xxh3_128_hexdigest(checkpoint_id + joined))


def old_task_id(checkpoint_id: bytes, *parts: str | bytes) -> str:
    """The id of a task of the step after a checkpoint of layout 1, whose digest was another one."""
    joined = b"".join([part.encode() if isinstance(part, str) else part for part in parts])
    return hex_to_uuid(sha1(checkpoint_id + joined, usedforsecurity=False).hexdigest())


def former_task_id(
    former: Mapping[str, str], identify: Callable[..., str], checkpoint_id: bytes, *parts: str | bytes
) -> str:
    """The id of a task whose node, or what wakes it, had another name when its step began.

    Args:
        former: Those names, by the new ones.
        identify: Makes the id.
        checkpoint_id: As in ``task_id``.
        parts: As in ``task_id``: namespace, step, node, kind, triggers in their order.
    """
    outer, step, node, kind, *triggers = [one.decode() if isinstance(one, bytes) else one for one in parts]
    around, mark, last = outer.rpartition(_NS_SEP)
    named = [former.get(one, one) for one in triggers]
    return identify(
        checkpoint_id,
        f"{around}{mark}{former.get(last, last)}",
        step,
        former.get(node, node),
        kind,
        *(sorted(named) if named != triggers else named),
    )


def path_text(path: Any) -> str:
    """A task's path as text that sorts as the path does: numbers are padded to ten digits."""
    if isinstance(path, (tuple, list)):
        return "~" + ", ".join([path_text(part) for part in path])
    if isinstance(path, int):
        return f"{path:010d}"
    return str(path)


def interrupt_id(ns: str, answered: int = 0) -> str:
    """The id of the question that a task in namespace ``ns`` asks after ``answered`` answers.

    The first question's id is the digest of the namespace alone, as every LangGraph release has it;
    the later ones' add their number, which no namespace segment can be mistaken for.
    """
    return digest(f"{ns}{_NS_SEP}{answered}" if answered else ns)


def uuid7(nanoseconds: int, entropy: int) -> bytes:
    """A version 7 UUID: milliseconds of ``nanoseconds`` since the Unix epoch, then sub-millisecond time
    (12 bits) and 62 bits of ``entropy``. Sorts by time."""
    milliseconds, rest = divmod(nanoseconds, 1_000_000)
    value = (milliseconds & 0xFFFFFFFFFFFF) << 80
    value |= 0x7 << 76
    value |= ((rest << 12) // 1_000_000) << 64
    value |= _VARIANT | (entropy & 0x3FFFFFFFFFFFFFFF)
    return value.to_bytes(16, "big")


def uuid6(ticks: int, clock_seq: int, node: int) -> str:
    """A version 6 UUID as text, from time in ticks of 100 ns since the Unix epoch. Sorts by time.

    Args:
        ticks: Must grow from call to call where the order of ids matters.
        clock_seq: 14 bits: random, or a number to carry in the id.
        node: 48 random bits.
    """
    stamp = ticks + _GREGORIAN_100NS
    value = ((stamp >> 12) & 0xFFFFFFFFFFFF) << 80
    value |= 0x6 << 76
    value |= (stamp & 0x0FFF) << 64
    value |= _VARIANT | ((clock_seq & 0x3FFF) << 48) | (node & 0xFFFFFFFFFFFF)
    return hex_to_uuid(f"{value:032x}")
