"""Do something as soon as a module is loaded, without loading it.

How DashFlow's classes join LangChain's (``Runnable.register``) when a program imports LangChain, in whatever
order it does that. One finder in ``sys.meta_path`` waits for the modules somebody asked for, and goes away
with the last of them. May not import anything of DashFlow or LangChain.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from threading import RLock
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

__all__ = ("when_loaded",)

Action = Callable[[ModuleType], object]


class _Reporting:
    """The module's own loader, followed by the actions that wait for the module."""

    def __init__(self, inner: Any, actions: Sequence[Action]) -> None:
        self._inner = inner
        self._actions = actions

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """As the module's own loader does."""
        module: ModuleType | None = self._inner.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Run the module, with its own loader back in place, and act."""
        assert module.__spec__ is not None
        module.__spec__.loader = module.__loader__ = self._inner
        self._inner.exec_module(module)
        for action in self._actions:
            action(module)


class _Waiting:
    """Finds nothing by itself; marks the modules that are waited for when others find them."""

    def __init__(self) -> None:
        self.lock = RLock()
        self.actions: dict[str, list[Action]] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of a module that is waited for, with a loader that tells; None for all others."""
        if fullname not in self.actions:
            return None
        from importlib.util import find_spec

        with self.lock:
            actions = self.actions.pop(fullname, [])
            if not self.actions and self in sys.meta_path:
                sys.meta_path.remove(self)
        spec = find_spec(fullname)  # of the other finders: this one no longer waits for it
        if spec is not None and spec.loader is not None:
            spec.loader = _Reporting(spec.loader, actions)  # type: ignore[assignment]  # one in all but name
        return spec


_waiting = _Waiting()


def when_loaded(name: str, action: Action) -> None:
    """Call ``action`` with the module of that name: now, if it is loaded, else right after it was.

    Args:
        name: The module's full name.
        action: What to do; called once.
    """
    if name in sys.modules:
        from importlib import import_module

        action(import_module(name))  # waits, should another thread be loading it at this moment
        return
    with _waiting.lock:
        _waiting.actions.setdefault(name, []).append(action)
        if _waiting not in sys.meta_path:
            sys.meta_path.insert(0, _waiting)
