"""Terms: who may approve, how many must, and what happens as time goes by. Plain data and its checks.

Groups are data of the request: who belongs to one is what the request says, whatever a directory says later.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Final, Literal

import msgspec

from dashflow.errors import UsageError

GROUP: Final = "@"
"""How the name of a group begins; people's names do not."""

EVERYBODY: Final = "@all"
"""All who are asked; in ``Terms.veto`` only."""

SECOND: Final = 1_000_000_000
LONGEST: Final = 100 * 366 * 24 * 3600.0
"""Seconds; nothing is asked for longer than a hundred years."""


class Verdict(StrEnum):
    """What somebody says to a request."""

    APPROVE = "approve"
    REJECT = "reject"
    ABSTAIN = "abstain"
    """Neither: counts for nothing, and under the quorum ``all`` nobody waits for it."""


class OnExpiry(StrEnum):
    """What a request comes to that was not decided in time."""

    REJECT = "reject"
    APPROVE = "approve"
    ERROR = "error"
    """Neither: it has expired, and who waits for it gets ``ApprovalExpiredError``."""


Quorum = int | Literal["all", "any"]
"""How many people have to approve: a number, ``any`` (one), or ``all`` (all who do not abstain)."""


class Escalation(msgspec.Struct, frozen=True, omit_defaults=True):
    """A change of who is asked, when nobody has decided for some time.

    Attributes:
        after: Seconds since the request.
        approvers: People and groups who are asked from then on, too.
        quorum: How many have to approve from then on; None: as before.
        instead: Whether those who were asked before are asked no more. Their votes do not count then.
    """

    after: float
    approvers: tuple[str, ...] = ()
    quorum: Quorum | None = None
    instead: bool = False


class Terms(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who may approve, how many must, and what happens as time goes by.

    Attributes:
        approvers: People by their names, groups as ``@name``.
        groups: Who belongs to each group that is named here, by its name without ``@``.
        quorum: How many people have to approve.
        veto: People and groups of whom one rejection is enough; ``("@all",)``: everybody's is. Else a
            request is rejected as soon as too few are left who could still approve.
        expires_after: Seconds after which it is decided by ``on_expiry``; None: it waits for ever.
        on_expiry: What it comes to then.
        remind_every: Seconds between reminders to those who have not voted; None: there are none.
        escalations: Steps, in the order of their times.
    """

    approvers: tuple[str, ...]
    groups: dict[str, tuple[str, ...]] = {}
    quorum: Quorum = 1
    veto: tuple[str, ...] = ()
    expires_after: float | None = None
    on_expiry: OnExpiry = OnExpiry.REJECT
    remind_every: float | None = None
    escalations: tuple[Escalation, ...] = ()

    def people(self, names: Iterable[str]) -> tuple[str, ...]:
        """The people that these names of people and groups stand for, each once, sorted."""
        return tuple(sorted({*_people(names, self.groups)}))

    def check(self) -> None:
        """Whether a request can be asked on these terms.

        Raises:
            UsageError: Nobody is asked, a group is not told, a number cannot be.
        """
        self._check_names()
        people = {*self.people(self.approvers)}
        if not people:
            raise UsageError("Nobody could approve this. Name at least one approver.")
        _check_quorum(self.quorum, len(people))
        for what, seconds in (("expires_after", self.expires_after), ("remind_every", self.remind_every)):
            if seconds is not None:
                _check_seconds(what, seconds)
        last = 0.0
        for step in self.escalations:
            _check_seconds("Escalation.after", step.after)
            if step.after < last:
                raise UsageError("Escalations stand in the order of their times; put the earlier one first.")
            last = step.after
            people = {*self.people(step.approvers)} | (set() if step.instead else people)
            if not people:
                raise UsageError(f"After the escalation at {step.after:g} s nobody could approve this.")
            _check_quorum(self.quorum if step.quorum is None else step.quorum, len(people))

    def _check_names(self) -> None:
        named = [*self.approvers, *self.veto, *(one for step in self.escalations for one in step.approvers)]
        for name in named:
            group = name.removeprefix(GROUP)
            if name.startswith(GROUP) and group not in self.groups and name != EVERYBODY:
                raise UsageError(f"Who is {name}? Give groups={{{group!r}: (...)}}.")
        if EVERYBODY in self.approvers or EVERYBODY.removeprefix(GROUP) in self.groups:
            raise UsageError(f"{EVERYBODY} means everybody who is asked; it can stand in veto only.")
        for name in [*named, *(one for members in self.groups.values() for one in members)]:
            if not name.removeprefix(GROUP).strip():
                raise UsageError("An approver without a name was given.")
        for group, members in self.groups.items():
            if any(member.startswith(GROUP) for member in members):
                raise UsageError(f"Group {group!r} has a group as a member; name its people.")


def needed(quorum: Quorum, people: int, abstained: int) -> int:
    """How many have to approve, of so many people of whom so many abstained; at least 1."""
    if quorum == "all":
        return max(1, people - abstained)
    return 1 if quorum == "any" else max(1, quorum)


def _people(names: Iterable[str], groups: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    for name in names:
        if name.startswith(GROUP):
            yield from groups.get(name.removeprefix(GROUP), ())
        else:
            yield name


def _check_quorum(quorum: Quorum, people: int) -> None:
    if quorum in ("all", "any"):
        return
    if isinstance(quorum, bool) or not isinstance(quorum, int) or not 1 <= quorum <= people:
        raise UsageError(
            f"A quorum of {quorum!r} cannot be reached by {people} people. Give a number from 1 to {people}, "
            "'any' or 'all'."
        )


def _check_seconds(what: str, seconds: float) -> None:
    if not 0 < seconds <= LONGEST:
        raise UsageError(f"{what} is {seconds!r}; give seconds, more than 0.")
