"""What ``crashpoints`` found: per crash point what was repeated and what was lost, as data and as text."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import msgspec


class CrashPoint(msgspec.Struct, frozen=True):
    """Where the process died.

    Attributes:
        number: The n-th commit, or the n-th time a chaos point was passed; from 1.
        how: ``before`` the commit, ``after`` it, ``lost``: before it, and with it what was handed over before
            and was not durable yet; ``at`` a chaos point.
        what: The events of the commit, or the chaos point.
        chaos: The chaos point; "" for a commit.
    """

    number: int
    how: str
    what: str
    chaos: str = ""

    def __str__(self) -> str:
        if self.chaos:
            return f"at {self.chaos} number {self.number}"
        tail = ", what was handed over lost" if self.how == "lost" else ""
        side = "before" if self.how == "lost" else self.how
        return f"{side} commit {self.number} ({self.what}){tail}"


class Outcome(msgspec.Struct, frozen=True):
    """How a run ended that died at ``point`` (None: nowhere) and was finished by another process.

    Attributes:
        point: Where.
        crashed: Whether it got there.
        values: The final state.
        next: The nodes that were still due: what the graph waits for.
        effects: How often each effect happened, over all processes.
        nodes: How often each node began.
        steps: How often what each step calls was called.
        failure: The error that ended it; "" for none.
    """

    point: CrashPoint | None
    crashed: bool
    values: Any
    next: tuple[str, ...]
    effects: dict[str, int]
    nodes: dict[str, int]
    failure: str = ""
    steps: dict[str, int] = {}


class CrashReport(msgspec.Struct, frozen=True):
    """The uncrashed run, and one outcome per crash point. ``print`` it."""

    graph: str
    durability: str
    calm: Outcome
    outcomes: tuple[Outcome, ...]

    @property
    def effects(self) -> dict[str, int]:
        """How often each effect happened where nothing died."""
        return self.calm.effects

    @property
    def repeated(self) -> dict[str, list[CrashPoint]]:
        """By effect, the crash points after which it happened more often than without a crash."""
        return self._compared(lambda outcome: outcome.effects, 1)

    @property
    def repeated_nodes(self) -> dict[str, list[CrashPoint]]:
        """By node, the crash points after which it began more often."""
        return self._compared(lambda outcome: outcome.nodes, 1)

    @property
    def repeated_steps(self) -> dict[str, list[CrashPoint]]:
        """By step (``dashflow.func.step``), the crash points after which it called more often."""
        return self._compared(lambda outcome: outcome.steps, 1)

    @property
    def lost_effects(self) -> dict[str, list[CrashPoint]]:
        """By effect, the crash points after which it happened less often."""
        return self._compared(lambda outcome: outcome.effects, -1)

    @property
    def losses(self) -> list[str]:
        """Everything that was lost, a sentence each."""
        found = []
        for outcome in self.outcomes:
            if outcome.failure:
                found.append(f"{outcome.point}: the run failed with {outcome.failure}")
            elif outcome.next != self.calm.next:
                found.append(f"{outcome.point}: it stopped before {outcome.next}, not {self.calm.next}")
            elif outcome.values != self.calm.values:
                found.append(f"{outcome.point}: {_difference(self.calm.values, outcome.values)}")
        for name, points in self.lost_effects.items():
            found += [f"{point}: effect {name!r} is missing" for point in points]
        return found

    def _compared(self, counts: Any, sign: int) -> dict[str, list[CrashPoint]]:
        usual: Mapping[str, int] = counts(self.calm)
        found: dict[str, list[CrashPoint]] = {}
        for outcome in self.outcomes:
            there = counts(outcome)
            for name in {**usual, **there}:
                if sign * (there.get(name, 0) - usual.get(name, 0)) > 0 and outcome.point is not None:
                    found.setdefault(name, []).append(outcome.point)
        return found

    def assert_no_loss(self) -> None:
        """Every crash was survived with the same final state and with no effect missing.

        Raises:
            AssertionError: Says where not, and what was different.
        """
        if self.losses:
            raise AssertionError(_listed(f"{len(self.losses)} crash points lose something", self.losses))

    def assert_no_repeats(self, effects: Collection[str] | None = None) -> None:
        """No effect (of these) happened more often than without a crash.

        Raises:
            AssertionError: Says which did, and after which crash.
        """
        found = [
            f"{name}: {len(points)} of {len(self.outcomes)} crash points, first {points[0]}"
            for name, points in self.repeated.items()
            if effects is None or name in effects or name.partition("[")[0] in effects
        ]
        if found:
            raise AssertionError(_listed("effects are repeated", found))

    def __str__(self) -> str:
        total = len(self.outcomes)
        lines = [
            f"{self.graph}: {total} crash points, durability {self.durability}: "
            + (f"{len(self.losses)} losses" if self.losses else "nothing lost")
        ]
        lines += [f"  LOST {one}" for one in self.losses]
        for title, usual, repeated in (
            ("effect", self.calm.effects, self.repeated),
            ("step", self.calm.steps, self.repeated_steps),
            ("node", self.calm.nodes, self.repeated_nodes),
        ):
            for name, times in sorted(usual.items()):
                points = repeated.get(name, [])
                again = f"repeated after {len(points)} of {total} crashes" if points else "never repeated"
                lines.append(f"  {title} {name}: {_times(times)}; {again}")
                lines += [f"      {point}" for point in points[:_SHOWN]]
                lines += [f"      and {len(points) - _SHOWN} more"] if len(points) > _SHOWN else []
        return "\n".join(lines)


_SHOWN = 4


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _listed(title: str, lines: list[str]) -> str:
    shown = [f"  {line}" for line in lines[:10]]
    return "\n".join([f"{title}:", *shown, *([f"  and {len(lines) - 10} more"] if len(lines) > 10 else [])])


def _difference(expected: Any, found: Any) -> str:
    if isinstance(expected, dict) and isinstance(found, dict):
        keys = [key for key in {**expected, **found} if expected.get(key) != found.get(key)]
        return "; ".join(f"{key!r} is {found.get(key)!r}, not {expected.get(key)!r}" for key in keys)
    return f"the state is {found!r}, not {expected!r}"
