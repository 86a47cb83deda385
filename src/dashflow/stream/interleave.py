"""Read several channels as one, in the order in which things were pushed. May not know runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from dashflow.stream.stream_channel import StreamChannel

__all__ = ("interleave",)


def interleave(
    channels: Mapping[str, Any], pump: Callable[[], Callable[[], bool] | None]
) -> Iterator[tuple[str, Any]]:
    """``(name, item)`` of all channels by arrival; become their reader until the iterator ends.

    Args:
        channels: What to read, by name.
        pump: Gives what makes the run go on, if there is something.

    Raises:
        TypeError: One is no channel, or belongs to an async run.
        RuntimeError: One has a reader.
        What a channel failed with, after all items that came before.
    """
    claimed: dict[str, StreamChannel[Any]] = {}
    try:
        for name, channel in channels.items():
            if not isinstance(channel, StreamChannel):
                raise TypeError(
                    "interleave() requires StreamChannel projections, "
                    f"got {type(channel).__name__} for {name!r}"
                )
            channel._claim(asynchronous=False, fan="tee")
            claimed[name] = channel
        live = dict(claimed)
        while live:
            waiting = [name for name, channel in live.items() if channel._items]
            if waiting:
                name = min(waiting, key=lambda each: live[each]._items[0][0])
                yield name, live[name]._items.popleft()[1]
                continue
            live = {name: channel for name, channel in live.items() if not channel._ended()}
            more = pump()
            if live and (more is None or not more()) and all(channel._dry() for channel in live.values()):
                return
    finally:
        for channel in claimed.values():
            channel._subscribed = False
