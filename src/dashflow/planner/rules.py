"""The rule planner: a goal in plain words becomes tasks without any model.

Clauses come from ``language``, their tasks from ``meaning``; here is how tasks follow each other, what a
goal implies without saying it, and what it forbids.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Final

import msgspec

from dashflow.planner.core.task import Task, TaskKind
from dashflow.planner.language import Clause, parse
from dashflow.planner.lexicon import ACTS, PRONOUNS, REPORTS, Act
from dashflow.planner.meaning import (
    FOUND_AT_MOST,
    REPORT,
    Draft,
    drafts,
    imperative,
    is_generic_audit,
    left_out,
    question,
    without_markers,
)
from dashflow.planner.planning import PlanningRequest, Proposal

MAX_CLAUSES: Final = 300
"""Parts of a goal that are planned; a plan longer than that is no longer a goal in words."""

_CHANGES: Final = frozenset({TaskKind.REFACTOR, TaskKind.IMPLEMENTATION})
_EFFECTS: Final = frozenset({TaskKind.REFACTOR, TaskKind.IMPLEMENTATION, TaskKind.TOOL_CALL})
"""Kinds that change something: two of them side by side could meet at the same file."""
_FINDS: Final = frozenset({TaskKind.ANALYSIS, TaskKind.RETRIEVAL, TaskKind.UNIT_TEST})
_LOOKS: Final = frozenset({TaskKind.ANALYSIS, TaskKind.RETRIEVAL})


class RulePlanner:
    """Plans by rules. Deterministic, offline, quick."""

    def plan(self, request: PlanningRequest) -> Proposal:
        """See ``Planning.plan``; always proposes at least a search for the goal's words and a report."""
        return _Plan(request).proposal()


class _Plan:
    """One goal on its way to a plan: drafts by number, and which comes before which."""

    def __init__(self, request: PlanningRequest) -> None:
        self.request = request
        said = parse(request.goal)
        self.clauses = said[:MAX_CLAUSES]
        self.qualified = {clause.of: clause for clause in reversed(self.clauses) if clause.relation}
        self.drafts: list[Draft] = []
        self.numbers: dict[tuple[str, ...], int] = {}
        self.before: list[dict[int, None]] = []
        self.waits_for: list[int] = []  # as bits: what each waits for, at once or by way of others
        self.groups: dict[int, list[int]] = {}
        self.notes: list[str] = []
        if len(said) > MAX_CLAUSES:
            self.notes.append(f"The goal is very long: only its first {MAX_CLAUSES} parts were planned")

    def proposal(self) -> Proposal:
        """The tasks, numbered in an order in which each comes after what it waits for."""
        self._collect()
        self._forbid()
        self._imply()
        self._order_as_said()
        self._order_by_sense()
        self._order_questions()
        return Proposal(self._tasks(), "rules", tuple(dict.fromkeys(self.notes)))

    # -- what is asked for ---------------------------------------------------------------------

    def _collect(self) -> None:
        explicit = any(
            draft.kind is TaskKind.ANALYSIS
            for clause in self.clauses
            if not is_generic_audit(clause) and not clause.negated
            for draft in drafts(clause)
        )
        for number, clause in enumerate(self.clauses):
            if clause.negated or left_out(clause):
                continue
            if clause.heading and number + 1 < len(self.clauses) and not _is_work(clause):
                continue
            if is_generic_audit(clause) and explicit:
                continue
            found = self._meant(number)
            if found:
                self.groups[number] = [self._add(draft) for draft in found]
            elif ACTS.get(clause.verb) is not Act.OMIT:
                self.notes.append(f"Not understood, so left out: {clause.text!r}")

    def _meant(self, number: int) -> list[Draft]:
        """The drafts of a clause, seen beside the others."""
        clause = self.clauses[number]
        later = self.qualified.get(number)
        if (
            ACTS.get(clause.verb) is Act.ASK
            and len(clause.words) <= 2
            and later
            and later.relation == "before"
        ):
            return [question(f"{imperative(later)}: may this be done")]
        return drafts(clause, self.clauses[number - 1] if number else None)

    def _add(self, draft: Draft) -> int:
        number = self.numbers.setdefault(draft.same_as, len(self.drafts))
        if number == len(self.drafts):
            self.drafts.append(draft)
            self.before.append({})
            self.waits_for.append(0)
        return number

    def _forbid(self) -> None:
        """Take out what the goal says not to do, and note which folders it leaves out."""
        excluded: list[str] = []
        for clause in self.clauses:
            folders = left_out(clause)
            if folders and not clause.negated:
                excluded += folders
                continue
            omitted = ACTS.get(clause.verb) is Act.OMIT
            if clause.negated != omitted:
                meant = msgspec.structs.replace(clause, verb="run") if omitted else clause
                self._take_out(meant)
        if excluded:
            names = list(dict.fromkeys(excluded))
            self.drafts = [
                msgspec.structs.replace(draft, params={**draft.params, "exclude": names})
                if draft.kind in _LOOKS
                else draft
                for draft in self.drafts
            ]

    def _take_out(self, clause: Clause) -> None:
        named = drafts(clause)
        unwanted = {draft.sort for draft in named}
        if set(clause.words) & {"report", "summary", "reports"}:
            unwanted = {REPORT.sort}
        gone = set()
        for number, draft in enumerate(self.drafts):
            if draft.sort in unwanted:
                left = without_markers(draft, named)
                self.drafts[number] = draft if left is None else left
                gone |= {number} if left is None else set()
        self.notes.append(f"Not done, as asked: {clause.text!r}")
        self.groups = {
            at: [number for number in group if number not in gone] for at, group in self.groups.items()
        }
        self._forbidden_report = self._forbidden_report or REPORT.sort in unwanted

    _forbidden_report = False

    def _imply(self) -> None:
        """Add what the goal needs but does not say: something to do, and a report of what is found."""
        wanted = [self.drafts[number] for number in self._used()]
        if not any(draft.kind is not TaskKind.CLARIFICATION for draft in wanted):
            words = " ".join(self.request.goal.split())
            search = Draft(
                TaskKind.RETRIEVAL,
                f"Search for what is asked: {words[:80]}",
                {"query": words, "top": FOUND_AT_MOST},
            )
            self.groups[len(self.clauses)] = [self._add(search)]
            self.notes.append("No step was understood, so the goal's words are searched for")
            wanted.append(search)
        finds = any(draft.kind in _FINDS for draft in wanted)
        if finds and not self._forbidden_report and not any(draft.is_report for draft in wanted):
            self.groups[len(self.clauses) + 1] = [self._add(REPORT)]

    def _used(self) -> list[int]:
        return sorted({number for group in self.groups.values() for number in group})

    # -- what comes before what ----------------------------------------------------------------

    def _order_as_said(self) -> None:
        """Then, finally, before, after, when."""
        earlier: list[int] = []
        current: list[int] = []
        for at, group in self.groups.items():
            clause = self.clauses[at] if at < len(self.clauses) else None
            if clause is not None and clause.relation:
                main = self.groups.get(clause.of, [])
                if clause.relation == "before":
                    self._sequence(main, group)
                else:
                    self._sequence(group, main)
                if clause.relation == "when":
                    self._require(group)
                continue
            if clause is not None and clause.then and current:
                earlier, current = current, []
            self._sequence(earlier, group)
            current = current + [number for number in group if number not in current]
        for at, group in self.groups.items():
            if at < len(self.clauses) and self.clauses[at].last:
                self._sequence([number for number in self._used() if number not in group], group)

    def _require(self, group: Iterable[int]) -> None:
        """A test run that something else waits for "when it passes" must pass to count as done."""
        for number in group:
            draft = self.drafts[number]
            if draft.kind is TaskKind.UNIT_TEST:
                self.drafts[number] = msgspec.structs.replace(
                    draft, params={**draft.params, "must_pass": True}
                )

    def _order_by_sense(self) -> None:
        """Changes come after what they refer to and one after the other, as they are said; test runs after
        changes; "it" after what it names."""
        said = [at for at in self.groups if at < len(self.clauses)]
        effects = [n for at in said for n in self.groups[at] if self.drafts[n].kind in _EFFECTS]
        for before, after in pairwise(dict.fromkeys(effects)):
            self._sequence([before], [after])
        for place, at in enumerate(said):
            group = self.groups[at]
            looks = [number for number in group if self.drafts[number].kind in _LOOKS]
            self._sequence(looks, [n for n in group if self.drafts[n].kind in _CHANGES])
            kinds = {self.drafts[number].kind for number in group}
            earlier = [number for other in said[:place] for number in self.groups[other]]
            if TaskKind.UNIT_TEST in kinds:
                self._sequence([n for n in earlier if self.drafts[n].kind in _CHANGES], group)
            words = set(self.clauses[at].words)
            if TaskKind.TOOL_CALL in kinds and words & REPORTS:  # "send the summary"
                self._sequence([n for n in self._used() if self.drafts[n].is_report], group)
            refers = words & PRONOUNS
            if refers and not kinds <= _FINDS | {TaskKind.CLARIFICATION} and place:
                self._sequence(self.groups[said[place - 1]], group)

    def _order_questions(self) -> None:
        """Questions come one after the other, and before all work unless the goal says when to ask."""
        asked: list[int] = []
        for at, group in self.groups.items():
            for number in group:
                if self.drafts[number].kind is not TaskKind.CLARIFICATION:
                    continue
                self._sequence(asked[-1:], [number])
                asked.append(number)
                if not self._has_its_moment(at):
                    self._sequence([number], self._used())

    def _has_its_moment(self, at: int) -> bool:
        """Whether the goal says when clause ``at`` has its turn."""
        clause = self.clauses[at]
        return clause.then or clause.last or bool(clause.relation) or at in self.qualified

    def _sequence(self, first: Iterable[int], second: Iterable[int]) -> None:
        """Let each of ``second`` wait for each of ``first``, except where that would close a circle."""
        earlier = list(first)
        for after in second:
            for before in earlier:
                if before != after and not self.waits_for[before] >> after & 1:
                    self.before[after][before] = None
                    self._wait(after, self.waits_for[before] | 1 << before)

    def _wait(self, number: int, others: int) -> None:
        """Let ``number``, and all that waits for it, wait for ``others`` (as bits) too."""
        if others & ~self.waits_for[number]:
            self.waits_for[number] |= others
            for other, waits in enumerate(self.waits_for):
                if waits >> number & 1:
                    self.waits_for[other] |= others

    # -- the plan ------------------------------------------------------------------------------

    def _tasks(self) -> tuple[Task, ...]:
        left = self._used()
        reports = [number for number in left if self.drafts[number].is_report]
        for report in reports:
            self._sequence([n for n in left if n not in reports], [report])
        left.sort(key=lambda n: (self.drafts[n].kind is not TaskKind.CLARIFICATION, n))
        order: list[int] = []
        pending = set(left)
        while left:
            free = next(n for n in left if pending.isdisjoint(self.before[n]))
            left.remove(free)
            pending.remove(free)
            order.append(free)
        names = {number: f"t{place}" for place, number in enumerate(order, 1)}
        return tuple(self._task(number, names) for number in order)

    def _task(self, number: int, names: dict[int, str]) -> Task:
        draft = self.drafts[number]
        waits = sorted(
            (one for one in self.before[number] if one in names), key=lambda one: int(names[one][1:])
        )
        if draft.is_report:
            # Also of a plan that went wrong in part there must be a report.
            work = [one for one in waits if self.drafts[one].kind is not TaskKind.CLARIFICATION]
            hard, optional = [], work or waits
        else:
            hard, optional = waits, []
        return Task(
            id=names[number],
            description=draft.description,
            kind=draft.kind,
            params=draft.params,
            attachments=draft.attachments,
            dependencies=tuple(names[one] for one in hard),
            optional_dependencies=tuple(names[one] for one in optional),
        )


def _is_work(clause: Clause) -> bool:
    """Whether a heading asks for work itself ("Run the tests: ...") and does not only announce some."""
    return ACTS.get(clause.verb) not in (None, Act.AUDIT, Act.FIND)
