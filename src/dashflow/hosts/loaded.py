"""Classes and functions by the names under which this program has them already. Imports nothing."""

from __future__ import annotations

import sys
from typing import Any

from dashflow.log.codec import Registry


def named(module: Any, qualified: str) -> Any:
    """What a module has under a qualified name; None for nothing."""
    found = module
    for part in qualified.split("."):
        found = getattr(found, part, None)
    return found


class LoadedClasses(Registry):
    """Allows the classes of all modules that are loaded.

    For what a process of this very program sends through a pipe, and for nothing that was stored.
    """

    __slots__ = ()

    def find(self, name: str) -> type | None:
        """See ``Registry.find``."""
        module, _, qualified = name.partition(":")
        kind = named(sys.modules.get(module), qualified)
        return kind if isinstance(kind, type) else super().find(name)
