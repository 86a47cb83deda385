"""Records the histories of the catalogue that are not kept yet: ``python -m tests.histories.record``.

One that is kept is never recorded again: it is what a released build wrote. ``kept.json`` has what each
came to.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from dashflow._util.ids import digest
from dashflow.checkpoint.saver import LogSaver
from dashflow.hosts.simulated import SimulatedHost
from dashflow.log.codec import encode
from dashflow.log.memory import MemoryLog
from dashflow.log.portable import ExportFile, bring, write_file
from tests.histories.digests import digest_of
from tests.histories.others import OTHERS
from tests.histories.programs import PROGRAMS

FOLDER = Path(__file__).parent / "kept"
KEPT = Path(__file__).parent / "kept.json"


def recorded(name: str) -> MemoryLog:
    """The log of a program, run now."""
    log = MemoryLog()
    if name in OTHERS:
        OTHERS[name].make(log)
        return log
    program = PROGRAMS[name]
    graph = program.compile(LogSaver(log)).with_host(SimulatedHost(seed=len(name)))
    program.drive(graph)
    return log


def brought(name: str) -> MemoryLog:
    """The log of a history that is kept."""
    log = MemoryLog()
    bring(ExportFile(str(FOLDER / f"{name}.jsonl")), log)
    return log


def told_of(name: str, log: MemoryLog) -> str:
    """The digest of what a program's log holds."""
    if name in OTHERS:
        return digest(encode(OTHERS[name].told(log)))
    return digest_of(log, PROGRAMS[name].compile(LogSaver(log)))


def main() -> None:
    """Record what is missing."""
    kept: dict[str, Any] = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}
    FOLDER.mkdir(exist_ok=True)
    for name in (*PROGRAMS, *OTHERS):
        if name in kept:
            continue
        log = recorded(name)
        write_file(log, str(FOLDER / f"{name}.jsonl"))
        kept[name] = told_of(name, log)
        sys.stderr.write(f"{name}\n")
    KEPT.write_text(json.dumps(dict(sorted(kept.items())), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
