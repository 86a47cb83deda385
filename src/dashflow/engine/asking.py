"""Asking: a task's question, and whether an answer that is there was given to just this question.

Keeps LangGraph's ids: an answer is found by the task's namespace and the number of the question in it. What
it is bound to beside that is the function that asks and a fingerprint of what it asks.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any, Final

from dashflow._util.ids import interrupt_id
from dashflow._util.scope import STEP_BRANCH
from dashflow._util.sentinel import MISSING
from dashflow.core.events import Question
from dashflow.core.fold import ThreadState
from dashflow.engine.fingerprint import fingerprint
from dashflow.errors import GraphInterrupt, NodeCancelledError
from dashflow.types.interrupts import Interrupt, Terms, response_json_schema, validate_response
from dashflow.warnings import ChangedQuestionWarning, UnrecordedEffectWarning

Scope = Any
"""The scope of the task (``dashflow.engine.task.Scope``)."""

_UNKNOWN: Final = "?"
"""Stands for the site where only the value of a question is known."""

_BESIDE: Final = "@"
"""Between the name of a function and that of the one of several things beside each other that it asks for."""

_PLAIN: Final = Terms()


def ask(scope: Scope, value: Any, response_schema: Any, terms: Terms | None) -> Any:
    """The answer to the task's next question.

    Raises:
        GraphInterrupt: There is none yet, or it was given to another question.
        NodeCancelledError: The time of the task is over.
        pydantic.ValidationError: It does not fit ``response_schema``.
    """
    if scope.closed:
        raise NodeCancelledError(scope.task.name, f"Node {scope.task.name!r} asked after its time was over")
    terms = terms or _PLAIN
    answers, key = scope.run.answers, scope.task.key
    owner, branch = STEP_BRANCH.get()
    if branch and owner is scope and not answers.by_order:
        terms = terms._replace(site=f"{terms.site}{_BESIDE}{branch}")
        number = _number_beside(scope, branch)
    else:
        number, scope.asked = scope.asked, scope.asked + 1
    question = _question(scope, value, terms, number)
    asked = Interrupt(value, question.id, response_schema=response_json_schema(response_schema))
    answer = answers.find(question.id, key)
    if answer is MISSING:
        answers.note(question)
        _warn_of_effects(scope)
        raise GraphInterrupt((asked,))
    if what := _other(question, answers.binding(question.id), terms):
        answers.note(question)
        answers.refuse(asked, key, changed=True)
        warnings.warn(ChangedQuestionWarning(scope.task.name, question.id, what), stacklevel=_outside())
        raise GraphInterrupt((asked,))
    try:
        return validate_response(response_schema, answer)
    except Exception:  # the question stays open, whatever becomes of the error
        answers.note(question)
        answers.refuse(asked, key)
        raise


def bindings_of(state: ThreadState) -> dict[str, list[Any]]:
    """What answers to open questions are bound to in savers of others, which store their values only."""
    return {
        question.id: [_UNKNOWN, fingerprint(question.value), 0]
        for asked in state.questions.values()
        for question in asked
    }


def _number_beside(scope: Scope, branch: str) -> int:
    """Number of the next question of one of several things that a task does beside each other: that which it
    had before, whichever comes first this time, or a new one."""
    answers, namespace = scope.run.answers, scope.namespace
    before: list[int] = []
    known = 0
    while binding := answers.binding(interrupt_id(namespace, known)):
        if binding[0].endswith(f"{_BESIDE}{branch}"):
            before.append(known)
        known += 1
    asked = answers.numbers((namespace, branch, scope.attempt), 0)
    number: int = (
        before[asked] if asked < len(before) else answers.numbers((namespace, "", scope.attempt), known)
    )
    scope.asked = max(scope.asked, number + 1)
    return number


def _question(scope: Scope, value: Any, terms: Terms, number: int) -> Question:
    """The question as events tell it, but for its value and schema."""
    namespace = scope.namespace
    identifier, first = interrupt_id(namespace, number), interrupt_id(namespace)
    bound_to = value if terms.bound_to is MISSING else terms.bound_to
    payload = "" if bound_to is None and terms.bound_to is None else fingerprint(bound_to)
    expires = 0
    if terms.expires is not None:
        now = scope.run.host.now()
        site, same, end = [*scope.run.answers.binding(identifier), "", "", 0][:3]
        running = end > now and (site, same) == (terms.site, payload)
        expires = end if running else now + int(terms.expires * 1e9)
    default = [] if terms.default is MISSING else [terms.default]
    return Question(
        identifier, None, None, first if first != identifier else "", terms.site, payload, expires, default
    )


def _other(question: Question, bound: Any, terms: Terms) -> str:
    """What makes this another question than the one that was answered; "" if nothing does."""
    if not bound:
        return ""
    site, payload, _ = bound
    if site == _UNKNOWN and terms.bound_to is not MISSING:
        return ""
    if payload and question.payload and payload != question.payload:
        return "what it asks"
    if site and question.site and site not in (_UNKNOWN, question.site):
        return f"the place that asks, {question.site},"
    return ""


def _warn_of_effects(scope: Scope) -> None:
    """Say so where the task did something that is not recorded, as far as that is known."""
    done = [f"step {name!r}, which failed" for name in scope.steps.failed] if scope.steps else []
    done.extend(scope.noticed or ())
    for what in dict.fromkeys(done):
        warnings.warn(UnrecordedEffectWarning(scope.task.name, what), stacklevel=_outside())


def _outside() -> int:
    """Stack level of whoever called into DashFlow, as seen by ``warnings.warn`` in the caller of this."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("dashflow."):
        frame, level = frame.f_back, level + 1
    return level
