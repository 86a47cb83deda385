"""The finder that answers every ``import langgraph...`` with DashFlow. Knows modules, not what is in them.

A module of DashFlow appears under two names, as one object: ``sys.modules["langgraph.graph"] is
sys.modules["dashflow.graph"]``. Four kinds of names are told apart, in this order:

- the folders that distributions share (``langgraph``, ``langgraph.checkpoint``, ...) stay namespace packages;
- what DashFlow has at the same path is that module;
- private paths in the table are modules whose names come, when asked for, from public places of DashFlow;
- the rest of LangGraph's own distributions is refused by name. What other distributions put below the shared
  folders is none of ours: the ordinary finders load it, and its own imports come back here.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.metadata import Distribution, DistributionFinder
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from dashflow.compat.names import API, PRIVATE, REPLACED, SHARED
from dashflow.errors import AliasMissingError

ROOT = "langgraph"
OURS = "dashflow"


def _ours(below: str) -> ModuleSpec | None:
    """DashFlow's module of this name, if there is one; its parents are imported for that, it is not."""
    name = f"{OURS}.{below}"
    try:
        return find_spec(name)
    except ModuleNotFoundError as missing:
        if missing.name is None or not name.startswith(f"{missing.name}."):
            raise
        return None


class _Alias(Loader):
    """Gives a module of DashFlow a second name."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._own: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = import_module(self._target)
        own = module.__spec__
        # Two names may be given to one module at the same moment; its own spec is below both.
        while own is not None and isinstance(own.loader, _Alias):
            own = own.loader._own
        self._own = own
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Undo the import system's one change: it gave the module the alias's spec."""
        module.__spec__ = self._own


class _Table(Loader):
    """A private module of LangGraph: each name is looked up at its public place when somebody asks."""

    def __init__(self, path: str) -> None:
        self._path = path

    def exec_module(self, module: ModuleType) -> None:
        places = PRIVATE[self._path]
        asked = f"{ROOT}.{self._path}"

        def __getattr__(name: str) -> Any:
            place = places.get(name) or (None if name.startswith("__") else places.get("*"))
            if place is None:
                raise AttributeError(f"module {asked!r} has no attribute {name!r}")
            target = f"{OURS}.{place}"
            value = getattr(import_module(target), name, module) if _ours(place) else module
            if value is module:
                raise AliasMissingError(f"{asked}.{name}", f"{target}.{name}")
            return value

        module.__doc__ = f"Names of {asked}, from public places of DashFlow."
        vars(module)["__getattr__"] = __getattr__


class _Refusal(Loader):
    """A module of LangGraph that has no counterpart."""

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        raise AliasMissingError(name, OURS + name.removeprefix(ROOT))


class _StandIn(Distribution):
    """What ``importlib.metadata`` says about a distribution that DashFlow stands in for."""

    def __init__(self, name: str) -> None:
        self._name = name

    def read_text(self, filename: str) -> str | None:
        if filename != "METADATA":
            return None
        return f"Metadata-Version: 2.1\nName: {self._name}\nVersion: {API[self._name]}\n"

    def locate_file(self, path: Any) -> Path:
        return Path(__file__).parents[1].joinpath(path)


class AliasFinder(MetaPathFinder):
    """Answers for ``langgraph`` and everything below it; stands first on ``sys.meta_path``.

    Args:
        keep: Subpackages, as ``langgraph.checkpoint.sqlite``, that stay those of an installed distribution
            although DashFlow has its own.
    """

    def __init__(self, keep: Iterable[str] = ()) -> None:
        self.keep = frozenset(keep)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != ROOT and not fullname.startswith(f"{ROOT}."):
            return None
        below = fullname[len(ROOT) + 1 :]
        if below in SHARED:
            return self._shared(fullname, path)
        if any(fullname == kept or fullname.startswith(f"{kept}.") for kept in self.keep):
            return None
        # The version is LangGraph's, not ours: it says which calls are answered.
        ours = _ours(below) if below != "version" else None
        if ours is not None:
            spec = ModuleSpec(fullname, _Alias(ours.name))
            spec.submodule_search_locations = ours.submodule_search_locations
            return spec
        if below in PRIVATE:
            return ModuleSpec(fullname, _Table(below))
        parent, _, _ = below.rpartition(".")
        if below in REPLACED or (parent not in SHARED and _ours(parent)):
            return ModuleSpec(fullname, _Refusal())
        return None

    def _shared(self, fullname: str, path: Sequence[str] | None) -> ModuleSpec:
        """A namespace package over the installed folders of that name, if there are any."""
        spec = ModuleSpec(fullname, None, is_package=True)
        for finder in sys.meta_path:
            found = None if finder is self else finder.find_spec(fullname, path)
            if found is not None:
                spec.submodule_search_locations = found.submodule_search_locations or []
                break
        return spec

    def find_distributions(self, context: DistributionFinder.Context | None = None) -> Iterable[Distribution]:
        """The stand-in, for who asks by name; lists of everything installed stay as they are."""
        name = re.sub(r"[-_.]+", "-", (context and context.name) or "").lower()
        return [_StandIn(name)] if name in API else []
