"""Threads out of databases that LangGraph's savers wrote, into an event log.

The tables are read with plain SQL; LangGraph is not needed, and nothing stored is ever unpickled or imported.
"""

from dashflow.checkpoint.foreign.moving import import_langgraph
from dashflow.checkpoint.foreign.report import ImportReport, Skipped

__all__ = ("ImportReport", "Skipped", "import_langgraph")
