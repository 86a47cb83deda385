"""What a doctor finds in a log, in words that say what to do. Vocabulary only."""

from __future__ import annotations

import msgspec

DAMAGE = "damage"
NOTE = "note"


class Finding(msgspec.Struct, frozen=True):
    """Something about a log that somebody should know.

    Attributes:
        code: ``pages``, ``index``, ``stream``, ``word``, ``snapshot``, ``view``, ``blob``, ``event``,
            ``history``, ``newer``, ``wal``, ``orphan`` or ``abandoned``.
        severity: ``damage``, or ``note`` for what harms nobody.
        problem: What it is.
        advice: What to do about it.
        stream: Which it is in; "" for the whole log.
        version: Of the event; 0 for none.
        repairs: Whether ``repair`` does something about it.
        good: Of a thread: the last version that can be read and folded; -1 where that does not apply.
    """

    code: str
    severity: str
    problem: str
    advice: str
    stream: str = ""
    version: int = 0
    repairs: bool = False
    good: int = -1


class Diagnosis(msgspec.Struct):
    """All that was found.

    Attributes:
        where: The log, without a password.
        streams: How many streams were looked at.
        events: How many events they have.
        findings: What was found, damage first.
    """

    where: str
    streams: int = 0
    events: int = 0
    findings: list[Finding] = []

    @property
    def damage(self) -> list[Finding]:
        """What is wrong."""
        return [finding for finding in self.findings if finding.severity == DAMAGE]

    @property
    def sound(self) -> bool:
        """Whether nothing is."""
        return not self.damage


class Repaired(msgspec.Struct):
    """What a repair did.

    Attributes:
        before: What was found.
        after: What is left.
        done: What was done, in words, in order.
        backup: The file that has the log as it was; "" where there is none.
    """

    before: Diagnosis
    after: Diagnosis
    done: list[str]
    backup: str
