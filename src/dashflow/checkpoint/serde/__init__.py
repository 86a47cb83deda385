"""Serialisers of savers, stores and caches: LangGraph's formats and protocols, read safely.

The event log has a codec of its own (``dashflow.log.codec``). What is here is for values that come and go
in LangGraph's form: checkpoints put into a saver by hand, savers that others wrote, and their databases.
"""
