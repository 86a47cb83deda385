"""Flows, written once as ``async def`` over the ports in ``dashflow.engine.ports``."""
