"""Where a running tool's partial output goes: one context variable.

Whoever streams tool calls sets it around a tool; what tools are handed reads it. This file knows neither.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

__all__ = ("TOOL_OUTPUT",)

TOOL_OUTPUT: ContextVar[Callable[[Any], None] | None] = ContextVar("dashflow_tool_output", default=None)
"""Takes a piece of the output of the tool call that runs here; None when nobody listens."""
