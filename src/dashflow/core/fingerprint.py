"""What a graph looks like, as text, and the digest of it: how a run says with which graph it began. Pure.

Only what decides whether a thread can go on is in it: names and kinds of nodes, edges, channels with their
types and reducers, the version. Code of nodes is not: the same names with other code are the same graph.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, get_args, get_origin

import msgspec

from dashflow._util.ids import digest
from dashflow._util.reserved import BRANCH_TO, TASKS
from dashflow.channels.last_value import LastValueAfterFinish
from dashflow.constants import START

if TYPE_CHECKING:
    from dashflow.channels.base import BaseChannel
    from dashflow.types.migrations import Release

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
JOIN = "join:"
"""Begins the name of a channel in which an edge from several nodes waits for them."""


class ChannelShape(msgspec.Struct, frozen=True, omit_defaults=True):
    """A channel: its class, the type of its value, its reducer; "" for what there is not."""

    kind: str
    type: str = ""
    reducer: str = ""


class GraphFingerprint(msgspec.Struct, frozen=True, omit_defaults=True):
    """A graph's shape.

    Attributes:
        version: As its author calls it.
        nodes: Per node what it is: ``code``, or ``graph`` and the digests of the graphs in it; and ``last``
            when it waits for the end of the run.
        edges: Per node those that its edges lead to; several that are waited for are joined by ``+``. A ``?``
            stands for what only a function knows.
        channels: By name; without those that only say where a run goes.
    """

    version: str
    nodes: dict[str, str]
    edges: dict[str, list[str]]
    channels: dict[str, ChannelShape]

    @property
    def text(self) -> str:
        """The shape as JSON, the same for the same shape."""
        return msgspec.json.encode(self, order="deterministic").decode()


class Shaped(Protocol):
    """What a shape is made of: a ``dashflow.core.plan.GraphPlan``."""

    release: Release
    nodes: dict[str, Any]
    channels: dict[str, BaseChannel[Any, Any, Any]]


def parsed(text: str) -> GraphFingerprint | None:
    """The shape that was recorded; None for what cannot be read as one."""
    try:
        return msgspec.json.decode(text, type=GraphFingerprint)
    except msgspec.DecodeError:
        return None


def fingerprint_of(plan: Shaped) -> GraphFingerprint:
    """The shape of a graph."""
    nodes = {name: _kind(plan, node) for name, node in sorted(plan.nodes.items()) if name != START}
    edges = {name: to for name, node in sorted(plan.nodes.items()) if (to := _edges(node))}
    channels = {name: shape_of(one) for name, one in sorted(plan.channels.items()) if not is_control(name)}
    return GraphFingerprint(plan.release.version, nodes, edges, channels)


def digest_of(text: str) -> str:
    """16 hex digits that stand for a shape."""
    return digest(text)[:16]


def is_control(channel: str) -> bool:
    """Whether a channel holds nothing of the state: it says where a run goes, or takes its input."""
    return channel.startswith((BRANCH_TO, JOIN)) or channel in (TASKS, START)


def _kind(plan: Shaped, node: Any) -> str:
    graphs = getattr(node.source, "subgraphs", None) or ()
    prints = [getattr(getattr(one, "plan", None), "print", "") for one in graphs]
    waits = isinstance(plan.channels.get(f"{BRANCH_TO}{node.name}"), LastValueAfterFinish)
    return " ".join((*(("graph", *prints) if graphs else ("code",)), *(("last",) if waits else ())))


def _edges(node: Any) -> list[str]:
    known = getattr(node.body, "ways", None)
    if known is None:
        return sorted(trigger for trigger in node.triggers if not trigger.startswith(BRANCH_TO))
    ways = known()
    fixed = sorted({_end(channel) for channel, _ in ways.fixed})
    if ways.targets is None:
        return [*fixed, "?"]
    return [*fixed, *sorted(f"?{one}" for one in ways.targets)]


def _end(channel: str) -> str:
    if channel.startswith(JOIN):
        starts, _, end = channel.removeprefix(JOIN).rpartition(":")
        return f"{starts}>{end}"
    return channel.removeprefix(BRANCH_TO)


def shape_of(channel: BaseChannel[Any, Any, Any]) -> ChannelShape:
    """What a channel is."""
    reducer = getattr(channel, "operator", None) or getattr(channel, "reducer", None)
    kind = type(channel)
    name = kind.__qualname__ if kind.__module__.startswith("dashflow.channels") else _name(kind)
    return ChannelShape(
        name, type_text(getattr(channel, "typ", None)), _name(reducer) if reducer is not None else ""
    )


def _name(thing: Any) -> str:
    name = getattr(thing, "__qualname__", None) or type(thing).__qualname__
    module = getattr(thing, "__module__", None) or ""
    return name if module in ("builtins", "") else f"{module}.{name}"


def type_text(hint: Any) -> str:
    """A type as text that is the same in every process; what ``Annotated`` adds is left out."""
    if hasattr(hint, "__metadata__"):
        return type_text(hint.__origin__)
    origin = get_origin(hint)
    if origin is not None:
        parts = ", ".join(
            type_text(part) if isinstance(part, type) or get_origin(part) is not None else _text(part)
            for part in get_args(hint)
        )
        return f"{_name(origin)}[{parts}]"
    return _name(hint) if isinstance(hint, type) else _text(hint)


def _text(thing: Any) -> str:
    return "" if thing is None else _ADDRESS.sub("", repr(thing)).removeprefix("typing.")


def changes(was: GraphFingerprint, now: GraphFingerprint) -> list[str]:
    """What differs between two shapes, for people."""
    told = [] if was.version == now.version else [f"version {was.version!r} is {now.version!r}"]
    for what, before, after in (
        ("node", was.nodes, now.nodes),
        ("edges of", was.edges, now.edges),
        ("key", was.channels, now.channels),
    ):
        told += _compared(what, before, after)
    return told


def _compared(what: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    gone = [f"{what} {name!r} is gone" for name in before if name not in after]
    new = [f"{what} {name!r} is new" for name in after if name not in before]
    other = [f"{what} {name!r} changed" for name in after if name in before and before[name] != after[name]]
    return gone + new + other
