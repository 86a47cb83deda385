"""New versions of channels that nobody wrote: for snapshots that a saver stores only under a new version.

Whoever had seen the old version is taken to have seen the new one. Under ``SNAPSHOT_BUMPS`` among what nodes
have seen stands, as in LangGraph, for each such node which version that is, and which it really read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dashflow._util.reserved import NS_END, NS_SEP, SNAPSHOT_BUMPS
from dashflow.core.superstep import Live


def bump(live: Live, channels: Iterable[str], triggered_by: Mapping[str, Iterable[str]]) -> None:
    """Give channels a new version that wakes nobody.

    Args:
        live: Where they are; its versions and what was seen change.
        channels: Their names.
        triggered_by: Nodes by the channel that wakes them: those of a channel without a version must not
            take its first one for news.
    """
    names = list(channels)
    if not names:
        return
    live.top += 1
    marks = dict(live.seen.pop(SNAPSHOT_BUMPS, {}))
    for chan in names:
        old = live.versions.get(chan)
        live.versions[chan] = live.top
        if old is None:
            for node in triggered_by.get(chan, ()):
                live.seen.setdefault(node, {})
        for node, known in live.seen.items():
            if known.get(chan) != old:
                continue
            advanced, read = f"{node}{NS_SEP}{chan}", f"{node}{NS_END}{chan}"
            if old is not None and marks.get(advanced) != old:
                marks[read] = old
            marks[advanced] = live.top
            known[chan] = live.top
    if marks:
        live.seen[SNAPSHOT_BUMPS] = marks


def really_seen(seen: Mapping[str, Mapping[str, int]]) -> Mapping[str, Mapping[str, int]]:
    """What nodes have read, without what ``bump`` made of it."""
    marks = seen.get(SNAPSHOT_BUMPS)
    if not marks:
        return seen
    found: dict[str, dict[str, int]] = {}
    for node, known in seen.items():
        if node == SNAPSHOT_BUMPS:
            continue
        found[node] = {}
        for chan, version in known.items():
            if marks.get(f"{node}{NS_SEP}{chan}") != version:
                found[node][chan] = version
            elif (read := marks.get(f"{node}{NS_END}{chan}")) is not None:
                found[node][chan] = read
    return found
