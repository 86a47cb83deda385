"""Runs programs that were written for LangGraph, unchanged: ``import langgraph`` gives DashFlow.

``python -m dashflow.compat program.py`` runs a program that way; ``install()`` does it inside one. May import
nothing of DashFlow but errors: what is aliased is loaded when somebody imports it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from dashflow.compat.finder import ROOT, AliasFinder
from dashflow.compat.names import REPLACED, SHARED
from dashflow.errors import AliasInstallError

__all__ = ("install", "uninstall")


def _finder() -> AliasFinder | None:
    return next((finder for finder in sys.meta_path if isinstance(finder, AliasFinder)), None)


def _loaded() -> list[str]:
    return sorted(name for name in sys.modules if name == ROOT or name.startswith(f"{ROOT}."))


def _check_kept(name: str) -> None:
    """Only what has a distribution of its own can be left to it."""
    parts = name.split(".")
    parent, below = ".".join(parts[1:-1]), ".".join(parts[1:])
    if parts[0] != ROOT or not below or below in SHARED or below in REPLACED or parent not in SHARED:
        raise AliasInstallError(
            f"{name!r} cannot be kept: only subpackages with a distribution of their own can be, such as "
            "langgraph.checkpoint.sqlite. Leave it out.",
            modules=[name],
        )


def install(*, keep: Iterable[str] = ()) -> None:
    """Make every import of ``langgraph`` in this process give DashFlow, in third-party packages too.

    A real LangGraph that is installed beside DashFlow stays where it is and is not loaded. Subpackages that
    other distributions put below ``langgraph`` and DashFlow does not have, such as
    ``langgraph.checkpoint.postgres``, load as usual, on top of DashFlow's base classes. Calling it again
    changes nothing.

    Args:
        keep: Subpackages that stay those of an installed distribution although DashFlow has its own:
            ``["langgraph.checkpoint.sqlite"]`` reads and writes LangGraph's SQLite files, with its saver.

    Raises:
        AliasInstallError: Modules of the real LangGraph are loaded already (namespace packages, which hold
            nothing, do not count), ``keep`` names what cannot be kept, or differs from an earlier call.
    """
    kept = frozenset(keep)
    for name in kept:
        _check_kept(name)
    present = _finder()
    if present is not None:
        if kept - present.keep:
            raise AliasInstallError(
                f"The alias is installed already, without keep={sorted(kept - present.keep)}. Say it in the "
                "first install().",
                modules=sorted(kept),
            )
        return
    used = [name for name in _loaded() if getattr(sys.modules[name], "__file__", None) is not None]
    if used:
        raise AliasInstallError(
            f"The real LangGraph is in use in this process ({', '.join(used[:3])}"
            f"{f' and {len(used) - 3} more' if len(used) > 3 else ''}): classes of both would meet. Call "
            "dashflow.compat.install() before the first import of langgraph or of a package built on it, or "
            "start the program with `python -m dashflow.compat`.",
            modules=used,
        )
    sys.meta_path.insert(0, AliasFinder(kept))


def uninstall() -> None:
    """Take the alias away again; for tests.

    Later imports find what is installed. Modules that were imported before keep what they hold.
    """
    present = _finder()
    if present is None:
        return
    sys.meta_path.remove(present)
    for name in _loaded():
        del sys.modules[name]
