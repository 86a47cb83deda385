"""Processes that are made to fail: started, killed, waited for; and what they had done by then."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.environment import ROOT

PATIENCE = 600
"""Seconds after which a process is given up."""


@dataclass
class Victims:
    """Starts processes of one package.

    Attributes:
        package: ``dashflow`` or ``langgraph``.
        python: Its interpreter.
        environment: Its variables.
        folder: Where its files go.
    """

    package: str
    python: str
    environment: Mapping[str, str]
    folder: Path
    _number: int = field(default=0)

    def file(self) -> str:
        """A database that was not used before."""
        self._number += 1
        folder = self.folder / f"{self.package}-{self._number}"
        folder.mkdir(parents=True)
        return str(folder / "threads.db")

    def start(
        self, program: str, act: str, file: str, thread: str = "t", *more: str
    ) -> subprocess.Popen[str]:
        """A process that does one act."""
        return subprocess.Popen(
            [
                self.python,
                "-m",
                "benchmarks.reliability.programs",
                self.package,
                program,
                act,
                file,
                thread,
                *more,
            ],
            cwd=ROOT,
            env=dict(self.environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def do(self, program: str, act: str, file: str, thread: str = "t", *more: str) -> dict[str, Any]:
        """Have an act done to its end: ``result`` or ``error`` and ``text``."""
        return outcome(self.start(program, act, file, thread, *more))

    def module(self, name: str, *arguments: str) -> dict[str, Any]:
        """What a module of this tree prints as JSON in the package's environment.

        Raises:
            RuntimeError: It failed; with what it said.
        """
        paths = [str(ROOT / "src")] * (self.package == "dashflow")
        done = subprocess.run(
            [self.python, "-m", name, *arguments],
            cwd=ROOT,
            env={**self.environment, "PYTHONPATH": os.pathsep.join([*paths, str(ROOT)])},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{name} for {self.package}: {done.stderr[-2000:]}")
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found


def outcome(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What an act came to."""
    said, problem = process.communicate(timeout=PATIENCE)
    lines = [line for line in said.splitlines() if line.startswith("{")]
    if lines:
        found: dict[str, Any] = json.loads(lines[-1])
        return found
    return {"error": f"exit {process.returncode}", "text": (problem.strip().splitlines() or [""])[-1]}


def kill(process: subprocess.Popen[str]) -> bool:
    """Kill a process as nothing can be caught; whether it was still alive."""
    alive = process.poll() is None
    if alive:
        process.send_signal(signal.SIGKILL)
    process.communicate()
    return alive


def effects(file: str) -> Counter[str]:
    """How often each effect happened."""
    try:
        lines = Path(f"{file}.effects").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        lines = []
    return Counter(lines)


def reruns(file: str) -> int:
    """How often a node ran again whose end was an effect already."""
    ended: set[str] = set()
    count = 0
    for line in Path(f"{file}.effects").read_text(encoding="utf-8").splitlines():
        word, _, name = line.partition(" ")
        count += word == "start" and name in ended
        if word == "end":
            ended.add(name)
    return count
