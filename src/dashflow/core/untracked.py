"""Writes without what is never stored: values of ``UntrackedValue`` channels, also inside of
packets. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from dashflow._util.reserved import TASKS
from dashflow.types.commands import Send


def storable(writes: Sequence[tuple[str, Any]], untracked: Collection[str]) -> list[tuple[str, Any]]:
    """What of ``writes`` may be stored.

    Args:
        writes: (channel, value), in order.
        untracked: Names of the channels that are never stored.
    """
    return [
        (chan, storable_packet(value, untracked) if chan == TASKS else value)
        for chan, value in writes
        if chan not in untracked
    ]


def storable_packet(packet: Any, untracked: Collection[str]) -> Any:
    """A packet without values of these channels in what it carries."""
    if (
        isinstance(packet, Send)
        and isinstance(packet.arg, dict)
        and not packet.arg.keys().isdisjoint(untracked)
    ):
        arg = {key: value for key, value in packet.arg.items() if key not in untracked}
        return Send(packet.node, arg, timeout=packet.timeout)
    return packet
