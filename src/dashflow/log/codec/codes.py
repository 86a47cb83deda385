"""Numbers of the stored kinds. They are in every log: never change one, never use one again.

A value that msgpack has no type for is an extension: a number and a payload. The payload of a raw kind is
bytes; of any other kind it is a list, encoded like every value.
"""

from __future__ import annotations

from typing import Final

# Raw: the payload says it all.
BIG_INT: Final = 1
TEXT: Final = 2
UUID: Final = 3
DECIMAL: Final = 4
COMPLEX: Final = 5

# Raw: the payload is the key of a text or of bytes that are kept beside the event.
BLOB_TEXT: Final = 6
BLOB_BYTES: Final = 7

# Items: the payload's items are the value's.
TUPLE: Final = 16
SET: Final = 17
FROZENSET: Final = 18

# Pairs: the payload is key, value, key, value.
MAP: Final = 24
ORDERED_DICT: Final = 25
COUNTER: Final = 26

# Parts: the payload's items are what the value is made of.
DEQUE: Final = 32
DEFAULT_DICT: Final = 33
RANGE: Final = 34
FRACTION: Final = 35
DATETIME: Final = 36
DATE: Final = 37
TIME: Final = 38
TIMEDELTA: Final = 39
TIMEZONE: Final = 40
ZONE_INFO: Final = 41
PATH: Final = 42
IP: Final = 43
PATTERN: Final = 44
ERROR: Final = 45
NDARRAY: Final = 46
NUMPY_SCALAR: Final = 47

# Parts of the graph's vocabulary.
SEND: Final = 64
INTERRUPT: Final = 65
COMMAND: Final = 66
OVERWRITE: Final = 67
MISSING: Final = 68

# Named: parts whose first item names a class, the second has its fields.
ENUM: Final = 80
NAMED_TUPLE: Final = 81
DATACLASS: Final = 82
STRUCT: Final = 83
PYDANTIC: Final = 84
PYDANTIC_V1: Final = 85
SUBCLASS: Final = 86
LANGCHAIN: Final = 96
PYDANTIC_VALUE: Final = 97

RAW: Final = range(1, 16)
BLOBS: Final = range(BLOB_TEXT, BLOB_BYTES + 1)
PAIRS: Final = range(24, 32)
ITEMS: Final = range(16, 24)
NAMED: Final = range(80, 112)


class UnfitError(Exception):
    """A value cannot be stored, or a payload is no value; the text says why, its caller adds where."""


class UnknownClassError(UnfitError):
    """Stored data names a class that nobody registered."""
