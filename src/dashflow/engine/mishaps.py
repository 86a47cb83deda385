"""What errors that a replay meets mean for threads in flight: each becomes a difference. Calls nothing."""

from __future__ import annotations

from dashflow._util.reserved import TASKS
from dashflow._util.sentinel import MISSING
from dashflow.core.plan import GraphPlan
from dashflow.core.replay import Difference, gone
from dashflow.core.superstep import Live
from dashflow.errors import GraphBubbleUp, GraphInterrupt


def refused(plan: GraphPlan, live: Live, error: Exception) -> Difference:
    """Tasks could not be made: packets are for a node that is gone, or a schema refuses the state."""
    sent = live.value_of(TASKS)
    for packet in () if sent is MISSING else sent:
        node = str(getattr(packet, "node", packet))
        if node not in plan.nodes:
            return Difference("node", node, f"work was sent to {node!r}", "no such node", gone(node))
    meaning = "Threads in flight fail here: what they hold does not fit what a node's schema asks for."
    return Difference("state", "", "the state was read", _text(error), meaning)


def unappliable(names: str, error: Exception) -> Difference:
    """What tasks wrote could not be applied."""
    meaning = "Threads that come to this step fail: the channels do not take what its nodes write."
    return Difference("writes", names, "the writes were applied", _text(error), meaning)


def unfit(error: Exception) -> Difference:
    """A channel does not take the value it held."""
    meaning = "Threads in flight cannot be gone on with: a channel does not take the value it held."
    return Difference("channel", "", "the channels held it", _text(error), meaning)


def unknown_class(error: Exception) -> Difference:
    """A value's class is not known."""
    meaning = "Threads in flight cannot be read, so they cannot go on: keep the class, or register one."
    return Difference("class", "", "a value of that class", str(error), meaning)


def raised(name: str, error: Exception) -> Difference:
    """A task that came to its end raises, or asks."""
    if isinstance(error, GraphInterrupt):
        asked = [one.value for one in (error.args[0] if error.args else ())]
        meaning = f"Node {name!r} asks something that it did not ask: threads wait there for an answer."
        return Difference("error", name, "it came to its end", {"asks": asked}, meaning)
    if isinstance(error, GraphBubbleUp):
        meaning = f"Node {name!r} leaves the graph where it did not."
        return Difference("error", name, "it came to its end", type(error).__name__, meaning)
    meaning = f"Node {name!r} fails where it did not: threads that come to it stop there."
    return Difference("error", name, "it came to its end", _text(error), meaning)


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
