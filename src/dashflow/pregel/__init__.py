"""Pregel: the face of a compiled graph. Thin methods, sync and async side by side, over engine flows."""

from dashflow.pregel.main import Pregel
from dashflow.pregel.node import NodeBuilder

__all__ = ("NodeBuilder", "Pregel")
