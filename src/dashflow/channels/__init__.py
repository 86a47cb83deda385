"""Channels, as users import them."""

from dashflow.channels.any_value import AnyValue
from dashflow.channels.base import BaseChannel
from dashflow.channels.binop import BinaryOperatorAggregate
from dashflow.channels.delta import DeltaChannel
from dashflow.channels.ephemeral_value import EphemeralValue
from dashflow.channels.last_value import LastValue, LastValueAfterFinish
from dashflow.channels.named_barrier_value import NamedBarrierValue, NamedBarrierValueAfterFinish
from dashflow.channels.topic import Topic
from dashflow.channels.untracked_value import UntrackedValue

__all__ = (
    "AnyValue",
    "BaseChannel",
    "BinaryOperatorAggregate",
    "DeltaChannel",
    "EphemeralValue",
    "LastValue",
    "LastValueAfterFinish",
    "NamedBarrierValue",
    "NamedBarrierValueAfterFinish",
    "Topic",
    "UntrackedValue",
)
