"""One worker process: measures one package (or the floor), one sample per request.

``python -m benchmarks.worker PACKAGE FOLDER``; requests come as JSON lines on stdin, ``{"work": name,
"given": {...}}``, and answers go to stdout, ``{"figures": {...}}`` (without any figure when the package has
nothing that does this work) or ``{"error": "..."}``. Whatever the measured package prints goes to stderr.
Uses only what is installed beside it, so that it runs in the environment of either package.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import scaling, workloads
from benchmarks.package import Library
from benchmarks.places import Places


def main(package: str, folder: Path) -> None:
    """Answer requests until stdin ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    first: Any = Places(package, folder) if package == "floor" else Library(package, folder)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            work = _work(package, request["work"])
            answer: dict[str, Any] = {"figures": work(first, **request["given"]) if work else {}}
        except Exception as error:  # told to the driver, which shows it in the table
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


def _work(package: str, name: str) -> Callable[..., Any] | None:
    """The function that does a work with a package; None when it has none.

    Raises:
        KeyError: DashFlow has none: there is no such work.
    """
    if package == "floor":
        from benchmarks import floor

        return floor.WORK.get(name)
    found = workloads.WORK.get(name) or scaling.WORK.get(name)
    if found is None and package == "dashflow":
        # Not before they are asked for: they load much more.
        from benchmarks import approval_workloads, log_workloads

        return {**log_workloads.WORK, **approval_workloads.WORK}[name]
    return found


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
