"""Benchmarks: DashFlow beside LangGraph and beside hand-written loops. Run with ``python -m benchmarks``.

Nothing here is imported by the package or by its tests.
"""
