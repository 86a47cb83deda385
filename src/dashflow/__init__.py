"""DashFlow: durable AI-agent workflows on one append-only event log.

Two halves share the log: a graph runtime with LangGraph's API (``dashflow.graph``) and an
event-sourced planner (``dashflow.planner``). Importing this package loads neither; it may import
nothing but the version.
"""

from dashflow.version import __version__

__all__ = ["__version__"]
