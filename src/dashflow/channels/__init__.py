"""Channels, as users import them."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dashflow.channels.any_value import AnyValue
from dashflow.channels.base import BaseChannel
from dashflow.channels.binop import BinaryOperatorAggregate
from dashflow.channels.delta import DeltaChannel
from dashflow.channels.ephemeral_value import EphemeralValue
from dashflow.channels.last_value import LastValue, LastValueAfterFinish
from dashflow.channels.named_barrier_value import NamedBarrierValue, NamedBarrierValueAfterFinish
from dashflow.channels.topic import Topic
from dashflow.channels.untracked_value import UntrackedValue

if TYPE_CHECKING:
    from dashflow.channels.computed import Computed
    from dashflow.channels.mapped import Mapped
    from dashflow.channels.nested import Namespaced, Nested

__all__ = (
    "AnyValue",
    "BaseChannel",
    "BinaryOperatorAggregate",
    "Computed",
    "DeltaChannel",
    "EphemeralValue",
    "LastValue",
    "LastValueAfterFinish",
    "Mapped",
    "NamedBarrierValue",
    "NamedBarrierValueAfterFinish",
    "Namespaced",
    "Nested",
    "Topic",
    "UntrackedValue",
)

_COMPOSED = {"Computed": "computed", "Mapped": "mapped", "Namespaced": "nested", "Nested": "nested"}


def __getattr__(name: str) -> Any:
    """Load what few graphs use when it is asked for."""
    if name in _COMPOSED:
        return getattr(import_module(f"dashflow.channels.{_COMPOSED[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
