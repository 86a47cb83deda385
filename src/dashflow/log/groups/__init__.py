"""Consumer groups: competing consumers with acknowledgement, redelivery, dead letters and order per key."""

from dashflow.log.groups.consumer import Consumer
from dashflow.log.groups.core.state import DeadLetter
from dashflow.log.groups.group import ConsumerGroup, GroupStatus
from dashflow.log.groups.message import Message

__all__ = ("Consumer", "ConsumerGroup", "DeadLetter", "GroupStatus", "Message")
