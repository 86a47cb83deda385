"""One worker process: measures one package (or the floor), one sample per request.

``python -m benchmarks.worker PACKAGE FOLDER``; requests come as JSON lines on stdin, ``{"work": name,
"given": {...}}``, and answers go to stdout, ``{"figures": {...}}`` or ``{"error": "..."}``. Whatever the
measured package prints goes to stderr. Uses only what is installed beside it, so that it runs in the
environment of either package.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any


def main(package: str, folder: Path) -> None:
    """Answer requests until stdin ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    first: Any
    if package == "floor":
        from benchmarks import floor as works

        first = works.Folder(folder)
    else:
        from benchmarks import workloads as works  # type: ignore[no-redef]

        first = works.Library(package, folder)  # type: ignore[attr-defined]
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer: dict[str, Any] = {"figures": works.WORK[request["work"]](first, **request["given"])}
        except Exception as error:  # told to the driver, which shows it in the table
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
