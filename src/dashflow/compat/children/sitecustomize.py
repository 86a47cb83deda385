"""Installs the alias when a child process of ``python -m dashflow.compat`` starts, before its program does.

Python imports a module of this name at its start. The environment's own one, which this one hides, runs too.
"""

import os
import sys
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec

_here = os.path.dirname(os.path.abspath(__file__))

# Another interpreter may have been started, one without DashFlow: nothing to alias there.
if find_spec("dashflow") is not None:
    from dashflow.compat import install
    from dashflow.compat.children import KEEP

    install(keep=[name for name in os.environ.get(KEEP, "").split(",") if name])

_hidden = PathFinder.find_spec("sitecustomize", [path for path in sys.path if path != _here])
if _hidden is not None and _hidden.loader is not None:
    _hidden.loader.exec_module(module_from_spec(_hidden))
