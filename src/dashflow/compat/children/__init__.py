"""Lets Python processes that a program starts inherit the alias. Changes this process's environment only."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

KEEP = "DASHFLOW_COMPAT_KEEP"
"""Environment variable: what is kept, separated by commas."""


def inherit(keep: Iterable[str]) -> None:
    """Put the ``sitecustomize`` beside this file first on the path of child processes."""
    earlier = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), *([earlier] if earlier else [])])
    os.environ[KEEP] = ",".join(keep)
