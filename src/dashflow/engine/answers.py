"""Answers: what was answered in a run so far, and who took it. Knows questions by their ids only.

A graph inside a task asks the run around it for what it does not know itself: people answer the outermost
graph.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dashflow._util.sentinel import MISSING
from dashflow.core.events import Question
from dashflow.types.interrupts import Interrupt


class Answers:
    """The answers that tasks of one run find.

    Args:
        outer: Those of the run around; None for the outermost.
        outer_key: Key of the task there that this run is inside of.
    """

    def __init__(self, outer: Answers | None = None, outer_key: str = "") -> None:
        self._outer = outer
        self._outer_key = outer_key
        self._given: dict[str, Any] = {}
        self._spare: list[Any] = []
        self._taken: dict[str, dict[str, Any]] = {}
        self._firsts: dict[str, str] = {}
        self._refused: dict[str, list[Interrupt[Any]]] = {}

    def give(self, answers: Mapping[str, Any], spare: Sequence[Any]) -> None:
        """Take in answers by question id, and what is meant for whoever asks first."""
        self._given = dict(answers)
        self._spare = list(spare)

    def clear(self) -> None:
        """The step is complete: no task of it will ask again."""
        if self._given or self._spare:
            self._given, self._spare = {}, []

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

    def note_first(self, question: str, first: str) -> None:
        """Remember the id of the first question of the task that asks ``question``."""
        if question != first:
            self._firsts[question] = first
            if self._outer is not None:
                self._outer.note_first(question, first)

    def refuse(self, question: Interrupt[Any], first: str, key: str) -> None:
        """The answer to this question did not fit: forget it, the question is open again."""
        self.note_first(question.id, first)
        self._given.pop(question.id, None)
        self._refused.setdefault(key, []).append(question)
        if self._outer is not None:
            self._outer.refuse(question, first, self._outer_key)

    def taken(self, key: str) -> dict[str, Any]:
        """What a task took that was not addressed to it, by question id; told once."""
        return self._taken.pop(key, {})

    def refused(self, key: str) -> list[Interrupt[Any]]:
        """The questions of a task whose answer did not fit; told once."""
        return self._refused.pop(key, [])

    def questions(self, interrupts: Sequence[Interrupt[Any]]) -> list[Question]:
        """Interrupts as events tell them."""
        return [Question(i.id, i.value, i.response_schema, self._firsts.get(i.id, "")) for i in interrupts]
