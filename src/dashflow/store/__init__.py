"""Stores: long-term memory beside the threads, kept by namespace and key. LangGraph's interface."""
