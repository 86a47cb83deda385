"""``TracePolicy`` on LangChain's callbacks: tracers are told what the policy shows, other handlers what is
true.

Streams and listeners work with a node's real input and output; only what is recorded is changed.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Awaitable, Callable
from typing import Any

Tell = Callable[..., Awaitable[Any]]
"""Calls a method of a callback manager, and waits for it where it can be waited for."""


async def start(tell: Tell, manager: Any, value: Any, shown: Any, *, name: str) -> Any:
    """Tell of the start of a node's run; returns its run manager.

    Args:
        tell: See ``Tell``.
        manager: The callback manager.
        value: The node's input.
        shown: What traces show of it.
        name: The node.
    """
    if shown is value:
        return await tell(manager.on_chain_start, None, value, name=name, run_id=None)
    others, tracers = _split(manager)
    run = await tell(others.on_chain_start, None, value, name=name, run_id=None)
    await tell(tracers.on_chain_start, None, shown, name=name, run_id=run.run_id)
    run.handlers = manager.handlers
    return run


async def end(tell: Tell, run: Any, value: Any, shown: Any) -> None:
    """Tell of the end of a node's run, with its output and what traces show of it."""
    if shown is value:
        await tell(run.on_chain_end, value)
        return
    others, tracers = _split(run)
    await tell(tracers.on_chain_end, shown)  # first: whatever stops us now, no trace is left open
    await tell(others.on_chain_end, value)


def _split(manager: Any) -> tuple[Any, Any]:
    """Two copies of a manager: with the handlers that are no tracers, and with those that are."""
    from langchain_core.tracers.base import BaseTracer

    streaming = getattr(sys.modules.get("langchain_core.tracers._streaming"), "_StreamingCallbackHandler", ())
    others, tracers = copy.copy(manager), copy.copy(manager)
    found = [
        one for one in manager.handlers if isinstance(one, BaseTracer) and not isinstance(one, streaming)
    ]
    tracers.handlers = found
    others.handlers = [one for one in manager.handlers if one not in found]
    return others, tracers
