"""What answers are bound to: by question id, [site, payload, expires], see ``Question``.

Under the id ``FIRST`` it is that of an answer for whichever task asks first. And keys of effects: to the
input, fork or edit that led to them. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from dashflow.core.events import Question

Bindings = dict[str, list[Any]]

FIRST: Final = ""


def bindings(questions: Iterable[Question]) -> Bindings:
    """What answers to these questions are bound to; those of older programs to nothing."""
    return {q.id: [q.site, q.payload, q.expires] for q in questions if q.site or q.expires}


def loosened(bound: Mapping[str, list[Any]], answers: Iterable[str]) -> Bindings:
    """The bindings when these answers come together with an update: whoever gives them has changed what is
    asked."""
    given = set(answers)
    return {key: [one[0], "", one[2]] if key in given else one for key, one in bound.items()}


def of_first(questions: Mapping[str, list[Question]]) -> Bindings:
    """The binding of an answer for whoever asks first, given where these questions are open: people saw the
    one that is there."""
    seen = {question.id: question for asked in questions.values() for question in asked}
    known = [*bindings(seen.values()).values()]
    return {FIRST: known[0]} if len(seen) == len(known) == 1 else {}


def root_name(version: int, at: int) -> str:
    """What names an input, fork or edit by its version and time; see ``ThreadState.root``."""
    return f"{version:x}.{at:x}"
