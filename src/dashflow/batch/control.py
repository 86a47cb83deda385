"""What can be asked of a batch beside running it: how it stands, its results, a pause, a cancel, a retry.

Writes as nobody in particular: whoever works on the batch sees it at its next append or look.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable

from dashflow.batch.archive import Archive, DeadLetter, ItemResult, Unknown
from dashflow.batch.core import codec
from dashflow.batch.core.commands import Cancel, Pause, Requeue
from dashflow.batch.core.items import ItemState
from dashflow.batch.core.state import BatchState
from dashflow.batch.journal import Journal
from dashflow.batch.parts import Progress, progress_of
from dashflow.engine.ports import Host
from dashflow.errors import BatchStateError
from dashflow.log.base import EventLog
from dashflow.log.codec import Registry
from dashflow.log.owner import owner_of


class BatchControl:
    """A batch of a log as anybody may ask about it. Every method raises ``UnknownBatchError``."""

    def __init__(
        self, host: Host, log: EventLog, name: str, registry: Registry, unknown: Unknown = "raise"
    ) -> None:
        self._host = host
        self._log = log
        self._name = name
        self._archive = Archive(host, log, name, registry, unknown)

    async def state(self) -> BatchState:
        """The batch as the log has it."""
        return (await self._journal()).state

    async def progress(self) -> Progress:
        """How the batch stands, and who works on it."""
        return progress_of(await self.state(), owner=await self.owner())

    async def owner(self) -> str:
        """Who alive works on the batch; empty for nobody."""
        return await self._host.read(lambda: owner_of(self._log, codec.stream_of(self._name)))

    async def pause(self, reason: str) -> None:
        """Let no further item begin. Raises ``BatchStateError`` for a batch at its end."""
        journal = await self._journal()
        await journal.commit(Pause(now=self._host.now(), reason=reason))

    async def cancel(self, reason: str) -> None:
        """End the batch for good. Raises ``BatchStateError`` for a batch at its end."""
        journal = await self._journal()
        await journal.commit(Cancel(now=self._host.now(), reason=reason))

    async def requeue(self, keys: Iterable[str] | None) -> int:
        """Requeue dead letters, all or those with these keys; how many.

        Raises:
            BatchStateError: The batch is cancelled, or a key is that of no dead letter.
        """
        journal = await self._journal()
        before = journal.state.failed
        if keys is None:
            await journal.commit(Requeue(now=self._host.now()))
            return before
        items = await self._items(journal.state, set(keys))
        await journal.commit(Requeue(now=self._host.now(), items=tuple(items)))
        return len(items)

    async def results(self) -> AsyncGenerator[ItemResult, None]:
        """The results, in the order of the items."""
        async for result in self._archive.results(await self.state()):
            yield result

    async def failures(self) -> AsyncGenerator[DeadLetter, None]:
        """The dead letters, in the order of the items."""
        async for failure in self._archive.failures(await self.state()):
            yield failure

    async def _items(self, state: BatchState, keys: set[str]) -> list[int]:
        found = {}
        for item in state.items.find(ItemState.FAILED):
            key = await self._archive.key(state, item)
            if key in keys:
                found[key] = item
        if missing := sorted(keys - found.keys()):
            raise BatchStateError(
                self._name, state.status.value, f"{missing[0]!r} is the key of no dead letter."
            )
        return sorted(found.values())

    async def _journal(self) -> Journal:
        journal = Journal(self._host, self._log, self._name, self._archive)
        await journal.load()
        return journal
