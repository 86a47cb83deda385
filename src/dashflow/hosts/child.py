"""The inside of a node's own process: calls functions by name until its parent is gone.

Values cross the pipe as bytes of the codec, both ways. What to call is named by the parent's program, never
by stored data.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import os
import threading
import traceback
from multiprocessing import connection, parent_process
from typing import Any

from dashflow.errors import ValueCodecError
from dashflow.hosts.loaded import LoadedClasses, named
from dashflow.log.codec import decode, encode, type_name


def serve(pipe: Any) -> None:
    """Answer what comes through the pipe: a module and a qualified name, then the value to call it with."""
    threading.Thread(target=_end_with_parent, name="dashflow-lifeline", daemon=True).start()
    while True:
        try:
            name, given = pipe.recv_bytes(), pipe.recv_bytes()
        except EOFError:
            return
        pipe.send_bytes(_answer(name.decode(), given))


def _end_with_parent() -> None:
    """Whoever could use the result is dead."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _answer(name: str, given: bytes) -> bytes:
    """``["done", result]``, or ``["failed", class, arguments, attributes, text, traceback]``."""
    try:
        module, _, qualified = name.partition(":")
        function = named(importlib.import_module(module), qualified)
        result = function(decode(given, LoadedClasses()))
        if inspect.isawaitable(result):
            result = asyncio.run(_awaited(result))
        return encode(["done", result])
    except Exception as error:  # all of it is for the parent to hear
        return _failure(error)


async def _awaited(work: Any) -> Any:
    return await work


def _failure(error: Exception) -> bytes:
    kind, text = type_name(type(error)), str(error)
    trace = "".join(traceback.format_exception(error))
    try:
        return encode(["failed", kind, list(error.args), error.__dict__, text, trace])
    except ValueCodecError:
        return encode(["failed", kind, None, None, text, trace])
