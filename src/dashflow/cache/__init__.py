"""Caches: results of nodes that were computed before, by namespace and key. LangGraph's interface."""
