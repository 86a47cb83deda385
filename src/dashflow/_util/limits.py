"""Limits that LangGraph takes from the environment, under its names. Read once."""

from __future__ import annotations

from os import environ

DELTA_MAX_SUPERSTEPS = int(environ.get("LANGGRAPH_DELTA_MAX_SUPERSTEPS_SINCE_SNAPSHOT", "5000"))
"""After so many supersteps a delta channel is stored whole, however few wrote to it."""
