"""Fingerprint: what a value is, in a few bytes: to tell later whether another one is the same. Pure."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from dashflow.errors import ValueCodecError
from dashflow.log.codec import encode


def fingerprint(value: Any) -> str:
    """64 hex digits that stand for ``value``; "" when it cannot be stored and so not be compared later.

    Equal values have equal ones in every process; the order of a dict's keys does not count.
    """
    try:
        return sha256(encode(_ordered(value))).hexdigest()
    except ValueCodecError:
        return ""


def _ordered(value: Any) -> Any:
    """The value with the items of its plain dicts in an order that depends on nothing but them."""
    kind = type(value)
    if kind is dict:
        items = [(_ordered(key), _ordered(item)) for key, item in value.items()]
        return {"dict": sorted(items, key=lambda item: encode(item[0]))}
    if kind is list:
        return [_ordered(item) for item in value]
    if kind is tuple:
        return tuple(_ordered(item) for item in value)
    return value
