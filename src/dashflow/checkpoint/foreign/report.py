"""What an import came to: counts, and what was left out and why. Plain data."""

from __future__ import annotations

import msgspec

KEPT = 1000
"""So many left-out things are told one by one; of more only the number."""


class Skipped(msgspec.Struct, frozen=True):
    """Something that was not brought over.

    Attributes:
        what: ``thread``, ``checkpoint``, ``value``, ``writes`` or ``items``.
        code: ``pickle``, ``encrypted``, ``damaged``, ``unknown``, ``orphan``, ``continued``, ``in_use`` or
            ``not_asked``.
        why: The same in words, and what to do.
        thread: Which thread's; "" for what belongs to none.
        ns: The namespace in it.
        checkpoint: The checkpoint's id.
        name: The channel, or the task's id.
    """

    what: str
    code: str
    why: str
    thread: str = ""
    ns: str = ""
    checkpoint: str = ""
    name: str = ""


class ImportReport(msgspec.Struct):
    """Counts of an import; those of the log are 0 in a dry run that found nothing new.

    Attributes:
        source: Where from, without a password.
        kind: ``sqlite``, ``postgres`` or ``postgres-shallow``.
        dry_run: Whether nothing was recorded.
        threads: Threads that were looked at.
        namespaces: Namespaces of these: one for the thread, one for each graph inside it.
        checkpoints: Checkpoints brought over now.
        writes: Writes of tasks brought over now.
        present: Checkpoints that had been brought over before.
        size: Bytes of values brought over now; a value that several checkpoints share counts once.
        items: Items of a store brought over now.
        items_present: Items that the store has as new as the source.
        skipped: What was left out, the first thousand.
        left_out: How much that is in all.
    """

    source: str
    kind: str = ""
    dry_run: bool = False
    threads: int = 0
    namespaces: int = 0
    checkpoints: int = 0
    writes: int = 0
    present: int = 0
    size: int = 0
    items: int = 0
    items_present: int = 0
    skipped: list[Skipped] = []
    left_out: int = 0

    def leave_out(self, skipped: Skipped) -> None:
        """Note something that is not brought over."""
        self.left_out += 1
        if len(self.skipped) < KEPT:
            self.skipped.append(skipped)
