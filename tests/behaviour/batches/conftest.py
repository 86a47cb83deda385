"""Worlds that batches run in: every host, with logs in memory and in a file."""

import asyncio
import functools
from pathlib import Path

import pytest

from dashflow.batch import Batch
from dashflow.hosts.simulated import SimulatedHost
from dashflow.log.base import EventLog
from dashflow.log.memory import MemoryLog
from dashflow.log.sqlite import SqliteLog

HOSTS = ("sync", "asyncio", "simulated")
LOGS = ("memory", "sqlite")


class World:
    """One host with one log."""

    def __init__(self, host: str, log: str, folder: Path) -> None:
        self.kind = host
        self._path = folder / "log.db"
        self._seed = 0
        self._log = log
        self.log: EventLog = MemoryLog() if log == "memory" else SqliteLog(self._path)
        self._runner = asyncio.Runner() if host == "asyncio" else None

    def reopen(self) -> None:
        """Forget everything but what was stored."""
        if isinstance(self.log, MemoryLog):
            store = self.log.store
            self.log.close()
            self.log = MemoryLog(store)
        else:
            self.log.close()
            self.log = SqliteLog(self._path)

    def close(self) -> None:
        self.log.close()
        if self._runner is not None:
            self._runner.close()

    def batch(self, work, items=None, name="b", **options):
        """A batch of this world; under asyncio its function is a coroutine function."""
        if self._runner is not None and callable(work) and not hasattr(work, "invoke"):
            work = self.coroutine(work)
        return Batch(work, items, name=name, log=self.log, host=self.host(), **options)

    def host(self):
        """A host for the next batch; a simulated one has a seed of its own, as processes have."""
        self._seed += 1
        return SimulatedHost(self._seed) if self.kind == "simulated" else None

    def coroutine(self, function):
        async def call(value):
            return function(value)

        return functools.wraps(function)(call)

    def run(self, batch):
        if self._runner is None:
            return batch.run()
        return self._runner.run(batch.arun())

    def stream(self, batch):
        if self._runner is None:
            return list(batch.stream())

        async def read():
            return [part async for part in batch.astream()]

        return self._runner.run(read())

    def results(self, batch):
        if self._runner is None:
            return [result.value for result in batch.results()]

        async def read():
            return [result.value async for result in batch.aresults()]

        return self._runner.run(read())

    def dead(self, batch):
        if self._runner is None:
            return list(batch.dead_letters())

        async def read():
            return [letter async for letter in batch.adead_letters()]

        return self._runner.run(read())

    def ask(self, batch, what, *arguments):
        """A method of the batch, or its twin."""
        if self._runner is None:
            return getattr(batch, what)(*arguments)
        return self._runner.run(getattr(batch, "a" + what)(*arguments))


@pytest.fixture(params=[(host, log) for host in HOSTS for log in LOGS], ids="-".join)
def world(request, tmp_path):
    made = World(*request.param, tmp_path)
    yield made
    made.close()
