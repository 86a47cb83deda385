"""Hosts act for the flows: sync, asyncio, simulated. The only threads, tasks and clocks beside the log's."""
