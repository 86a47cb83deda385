"""How data is kept so that damage shows, and smaller where it is of some size: marks, and zstd frames.

For every backend. A backend keeps a whole number, the mark, beside the bytes that it keeps: the CRC-32 of
the data as it was given, mixed with a checksum of the place that it belongs to, plus ``BOUND`` for that, and
plus ``PACKED`` when a frame is kept instead of the data. So the right data in the wrong place is damage too,
as when an index leads to another row; and one comparison tells all of it. Marks without ``BOUND`` are from
before there were places. zstd is loaded when there is something to pack, and never by a log of small events.
"""

from __future__ import annotations

from threading import local
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

if TYPE_CHECKING:
    import zstandard

PACK_FROM: Final = 4096
"""Bytes from which on packing is tried: below, it costs 3 to 7 µs to save less than a page of a database."""

PACKED: Final = 1 << 32
"""What a mark has more than a checksum when a frame is kept."""

BOUND: Final = 1 << 33
"""What a mark has more when its checksum is mixed with that of a place."""

CHECKSUM: Final = PACKED - 1
"""The bits of a mark that are a checksum."""

_LEVEL: Final = 3
_WORTH: Final = 8
"""A frame is kept when it saves at least one part in so many."""

_ALWAYS: Final = 64 * 1024 * 1024
_RATIO: Final = 250
"""A frame may unpack to ``_ALWAYS`` bytes, or to so many times its own size; a larger one is a bomb."""

_LONG: Final = 1024 * 1024
_SAMPLE: Final = 16 * 1024

_tools = local()


def stored(data: bytes, place: int) -> tuple[int, bytes]:
    """The mark and the bytes to keep for ``data``: a frame when that is worth it, or ``data`` itself.

    Args:
        data: What is to be kept.
        place: Checksum (CRC-32) of what it belongs to.
    """
    mark = crc32(data) ^ place | BOUND
    frame = packed(data)
    return (mark, data) if frame is None else (mark | PACKED, frame)


def restored(mark: int, kept: bytes, place: int) -> bytes:
    """The data that ``stored`` was given.

    Raises:
        ValueError: It is not what was kept there. Nothing large was made of it.
        TypeError: What is there are no bytes, or no number.
    """
    data = unpacked(kept) if mark & PACKED else kept
    expected = crc32(data) ^ place | BOUND if mark & BOUND else crc32(data)
    if expected != mark & ~PACKED:
        raise ValueError("its data does not match its checksum")
    return data


def packed(data: bytes) -> bytes | None:
    """A frame that holds ``data``; None when it would save little, or could not be told from a bomb."""
    if len(data) < PACK_FROM or (len(data) >= _LONG and _is_dense(data)):
        return None
    frame = _compressor().compress(data)
    if len(frame) > len(data) - len(data) // _WORTH or len(data) > _limit(frame):
        return None
    return frame


def _is_dense(data: bytes) -> bool:
    """Whether long data is packed already, or random, as far as a few samples tell."""
    compress, step = _compressor().compress, len(data) // 8
    samples = (data[start : start + _SAMPLE] for start in range(step // 2, len(data) - _SAMPLE, step))
    return all(len(compress(sample)) > len(sample) - len(sample) // _WORTH for sample in samples)


def unpacked(frame: bytes) -> bytes:
    """What a frame holds.

    Raises:
        ValueError: It is no whole frame, or would need more memory than one of ours does.
    """
    import zstandard

    try:
        # The size that the frame claims is what would be set aside for it.
        size = zstandard.frame_content_size(frame)
        if not 0 <= size <= _limit(frame):
            raise ValueError(f"its packed data claims a size of {size} bytes")
        data: bytes = _decompressor().decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise ValueError(f"its packed data cannot be unpacked ({error})") from error
    return data


def _limit(frame: bytes) -> int:
    return max(_ALWAYS, _RATIO * len(frame))


def _compressor() -> zstandard.ZstdCompressor:
    """This thread's own: one may not be used by two at a time."""
    found: Any = getattr(_tools, "compressor", None)
    if found is None:
        import zstandard  # 14 ms that a log of small events need not wait for

        found = _tools.compressor = zstandard.ZstdCompressor(level=_LEVEL)
    return found  # type: ignore[no-any-return]


def _decompressor() -> zstandard.ZstdDecompressor:
    found: Any = getattr(_tools, "decompressor", None)
    if found is None:
        import zstandard

        found = _tools.decompressor = zstandard.ZstdDecompressor()
    return found  # type: ignore[no-any-return]
