"""Finding a graph that somebody named as ``MODULE:NAME``, or as ``FILE.py:NAME``."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from types import ModuleType
from typing import Any

from dashflow.errors import UsageError
from dashflow.graph import StateGraph
from dashflow.pregel.main import Pregel


def load_graph(name: str) -> Pregel[Any, Any, Any, Any]:
    """The compiled graph of that name; the folder where the command runs is looked into, too.

    Raises:
        UsageError: There is no such module or name, or it is no graph.
    """
    where, separator, what = name.rpartition(":")
    if not separator or not where or not what:
        raise UsageError(f"{name!r} names no graph. Write MODULE:NAME, such as my_app.agents:graph.")
    found: Any = _module(where)
    for part in what.split("."):
        if not hasattr(found, part):
            raise UsageError(f"There is no {part!r} in {where!r}, which {name!r} asks for.")
        found = getattr(found, part)
    if isinstance(found, StateGraph):
        found = found.compile()
    if not isinstance(found, Pregel):
        raise UsageError(f"{name!r} is a {type(found).__name__}, not a graph.")
    return found


def _module(where: str) -> ModuleType:
    folder = os.getcwd()
    if folder not in sys.path:
        sys.path.insert(0, folder)
    if where.endswith(".py"):
        return _file(where)
    try:
        return importlib.import_module(where)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{where}.".startswith(f"{error.name}."):
            raise  # it is there, and needs something that is not
        raise UsageError(f"There is no module {where!r} here or in the environment.") from error


def _file(path: str) -> ModuleType:
    if not os.path.isfile(path):
        raise UsageError(f"There is no file {path!r}.")
    name = os.path.splitext(os.path.basename(path))[0]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
