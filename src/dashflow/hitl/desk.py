"""The desk: what can be asked of approvals, as flows over the host port. Decides nothing; ``core`` does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from dashflow.engine.ports import Host
from dashflow.errors import UsageError
from dashflow.hitl.core import codec
from dashflow.hitl.core.commands import Ask, Command, Tick
from dashflow.hitl.core.events import Event, Origin
from dashflow.hitl.core.state import ApprovalState
from dashflow.hitl.core.terms import Terms
from dashflow.hitl.core.timers import upcoming
from dashflow.hitl.journal import Journal
from dashflow.log.base import EventLog, Record


class Desk:
    """The approvals of one log.

    Args:
        host: The world.
        log: Where they are.
    """

    def __init__(self, host: Host, log: EventLog) -> None:
        self._host = host
        self._log = log

    async def ask(
        self, approval: str, subject: str, payload: Any, terms: Terms, by: str, origin: Origin
    ) -> ApprovalState:
        """Ask; see ``Approvals.ask``."""
        approval = approval or self._new_id()
        journal = Journal(self._host, self._log, approval)
        await journal.load(known=False)
        now = self._host.now()
        ask = Ask(
            now=now,
            approval=approval,
            subject=subject,
            payload=codec.plain(payload),
            hash=codec.hash_of(subject, payload),
            terms=_checked(terms),
            asked_by=by,
            origin=origin,
        )
        await journal.commit(Tick(now=now), ask)
        return journal.state

    async def tell(self, approval: str, command: Callable[[int], Command]) -> ApprovalState:
        """Tell an approval something. What was due before is recorded first, whatever becomes of it.

        Args:
            approval: Its id.
            command: Makes the command, given the time.
        """
        journal = Journal(self._host, self._log, approval)
        await journal.load()
        now = self._host.now()
        await _catch_up(journal, now)
        await journal.commit(command(now))
        return journal.state

    async def state(self, approval: str) -> ApprovalState:
        """How an approval stands."""
        journal = Journal(self._host, self._log, approval)
        await journal.load()
        return journal.state

    async def tick(self, approval: str) -> list[Event]:
        """Record what is due; what that was."""
        journal = Journal(self._host, self._log, approval)
        await journal.load()
        return await _catch_up(journal, self._host.now())

    async def history(self, approval: str) -> list[tuple[Record, Event]]:
        """Everything that happened, oldest first."""
        await self.state(approval)
        records = await self._host.read(lambda: self._log.read(codec.stream_of(approval)))
        return [(record, codec.decode(record)) for record in records]

    def _new_id(self) -> str:
        """A short id that sorts by time: seconds, and 24 random bits."""
        return f"a-{self._host.now() // 1_000_000_000:x}-{self._host.entropy() & 0xFFFFFF:06x}"


async def _catch_up(journal: Journal, now: int) -> list[Event]:
    due = upcoming(journal.state)
    return [] if due is None or due.at > now else await journal.commit(Tick(now=now))


def _checked(terms: Terms) -> Terms:
    """The terms as a later reader will have them.

    Raises:
        UsageError: A value of another type than declared.
    """
    try:
        return msgspec.convert(msgspec.to_builtins(terms), Terms)
    except (msgspec.MsgspecError, TypeError) as error:
        raise UsageError(f"Terms that cannot be recorded: {error}") from error
