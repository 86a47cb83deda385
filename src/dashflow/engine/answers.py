"""Answers: what was answered in a run so far, and who took it. Knows questions by their ids only.

A graph inside a task asks the run around it for what it does not know itself: people answer the outermost
graph.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any

from msgspec.structs import replace

from dashflow._util.sentinel import MISSING
from dashflow.core.bindings import FIRST
from dashflow.core.events import Question
from dashflow.types.interrupts import Interrupt


class Answers:
    """The answers that tasks of one run find.

    Attributes:
        by_order: Whether a task's questions are known by their order only: savers of others do not store
            which of several things that a task does beside each other asked.

    Args:
        outer: Those of the run around; None for the outermost.
        outer_key: Key of the task there that this run is inside of.
    """

    def __init__(self, outer: Answers | None = None, outer_key: str = "") -> None:
        self.by_order = False
        self._outer = outer
        self._outer_key = outer_key
        self._given: dict[str, Any] = {}
        self._spare: list[Any] = []
        self._taken: dict[str, dict[str, Any]] = {}
        self._notes: dict[str, Question] = {}
        self._bound: Mapping[str, Sequence[Any]] = {}
        self._refused: dict[str, list[Interrupt[Any]]] = {}
        self._changed: set[str] = set()
        self._numbers: dict[Any, Iterator[int]] = {}

    def give(
        self,
        answers: Mapping[str, Any],
        spare: Sequence[Any],
        bound: Mapping[str, Sequence[Any]] | None = None,
    ) -> None:
        """Take in answers by question id, what is meant for whoever asks first, and what answers are bound
        to (``ThreadState.bound``)."""
        self._given = dict(answers)
        self._spare = list(spare)
        self._bound = bound or {}

    def clear(self) -> None:
        """The step is complete: no task of it will ask again."""
        if self._given or self._spare:
            self._given, self._spare = {}, []
        if self._numbers:
            self._numbers = {}

    def find(self, question: str, key: str) -> Any:
        """The answer to a question that the task ``key`` asks; MISSING when there is none yet."""
        if question in self._given:
            return self._given[question]
        if self._outer is not None:
            found = self._outer.find(question, self._outer_key)
        else:
            try:  # tasks on several threads may ask at once; one of them gets it
                found = self._spare.pop()
            except IndexError:
                found = MISSING
        if found is not MISSING:
            if self._outer is None and FIRST in self._bound:
                self._bound = {**self._bound, question: self._bound[FIRST]}
            self._given[question] = found
            self._taken.setdefault(key, {})[question] = found
        return found

    def known(self, questions: Sequence[str]) -> list[Any]:
        """The answers to a task's questions, up to the first that has none."""
        found = []
        for question in questions:
            if question not in self._given:
                break
            found.append(self._given[question])
        return found

    def binding(self, question: str) -> Sequence[Any]:
        """What the answer to a question is bound to: site, payload, end of its time; empty if unknown."""
        if question in self._bound or self._outer is None:
            return self._bound.get(question, ())
        return self._outer.binding(question)

    def numbers(self, of: Hashable, first: int) -> int:
        """The next number of a series that begins with ``first``; may be asked for by several threads."""
        return next(self._numbers.setdefault(of, count(first)))

    def note(self, question: Question) -> None:
        """Remember what an interrupt does not tell of the question that it carries."""
        self._notes[question.id] = question
        if self._outer is not None:
            self._outer.note(question)

    def refuse(self, question: Interrupt[Any], key: str, *, changed: bool = False) -> None:
        """The answer to this question did not fit, or was given to another one (``changed``): forget it, the
        question is open again."""
        self._given.pop(question.id, None)
        self._refused.setdefault(key, []).append(question)
        if changed:
            self._changed.add(question.id)
        if self._outer is not None:
            self._outer.refuse(question, self._outer_key, changed=changed)

    def changed(self, questions: Sequence[str]) -> list[str]:
        """Those of these questions whose answers were given to others; told once."""
        found = [question for question in questions if question in self._changed]
        self._changed.difference_update(found)
        return found

    def taken(self, key: str) -> dict[str, Any]:
        """What a task took that was not addressed to it, by question id; told once."""
        return self._taken.pop(key, {})

    def refused(self, key: str) -> list[Interrupt[Any]]:
        """The questions of a task whose answer did not fit; told once."""
        return self._refused.pop(key, [])

    def questions(self, interrupts: Sequence[Interrupt[Any]]) -> list[Question]:
        """Interrupts as events tell them."""
        return [self._question(one) for one in interrupts]

    def _question(self, one: Interrupt[Any]) -> Question:
        noted = self._notes.get(one.id)
        if noted is None:
            return Question(one.id, one.value, one.response_schema)
        return replace(noted, value=one.value, schema=one.response_schema)
