"""Small builders over ``StateGraph`` and ``MessagesState``: conversations of several agents, routes by
message, long histories. Everything they return is an ordinary graph, node or path function."""

from dashflow.patterns.broadcast import broadcast
from dashflow.patterns.condition import (
    Condition,
    answers_tool,
    calls_tool,
    contains,
    from_name,
    has_metadata,
    is_type,
    when,
    when_state,
)
from dashflow.patterns.debate import debate
from dashflow.patterns.history import delete, summarise_node, trim, trim_node
from dashflow.patterns.hub import ConversationState
from dashflow.patterns.pages import History, Hit, Page
from dashflow.patterns.routing import route_messages
from dashflow.patterns.speaker import as_seen_by, speaker
from dashflow.patterns.supervisor import choice_of, supervise
from dashflow.patterns.swarm import SwarmState, handoff_tool, swarm
from dashflow.patterns.transforms import drop, keep, last, redact, rewrite, seen_through, transform_node
from dashflow.patterns.turns import take_turns

__all__ = (
    "Condition",
    "ConversationState",
    "History",
    "Hit",
    "Page",
    "SwarmState",
    "answers_tool",
    "as_seen_by",
    "broadcast",
    "calls_tool",
    "choice_of",
    "contains",
    "debate",
    "delete",
    "drop",
    "from_name",
    "handoff_tool",
    "has_metadata",
    "is_type",
    "keep",
    "last",
    "redact",
    "rewrite",
    "route_messages",
    "seen_through",
    "speaker",
    "summarise_node",
    "supervise",
    "swarm",
    "take_turns",
    "transform_node",
    "trim",
    "trim_node",
    "when",
    "when_state",
)
