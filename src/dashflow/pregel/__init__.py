"""Pregel: the face of a compiled graph. Thin methods, sync and async side by side, over engine flows."""

from dashflow.pregel.main import Pregel

__all__ = ("Pregel",)
