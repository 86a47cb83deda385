"""Expiry: questions whose time is over, and what becomes of answers to them. Pure but for a warning."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from dashflow.core.events import Question
from dashflow.core.fold import ThreadState
from dashflow.errors import InterruptExpiredError
from dashflow.warnings import LateAnswerWarning


def pending_questions(state: ThreadState) -> list[Question]:
    """The open questions, each once: a called task asks for its caller."""
    asked = [q for key, questions in state.questions.items() if key not in state.done for q in questions]
    return [*{question.id: question for question in asked}.values()]


def in_time(
    state: ThreadState, answers: Mapping[str, Any], answer: Sequence[Any], now: int, thread: str
) -> tuple[dict[str, Any], list[Any]]:
    """The answers that count: those that came in time, and the defaults of questions whose time is over.

    Args:
        state: The thread.
        answers: By question id.
        answer: [value] for whoever asks first.
        now: Nanoseconds since the Unix epoch.
        thread: Its id.

    Raises:
        InterruptExpiredError: An answer to a question whose time is over, without a default.

    Warns:
        LateAnswerWarning: The same with a default, which is used.
    """
    over = [question for question in pending_questions(state) if 0 < question.expires <= now]
    late = [question for question in over if question.id in answers and not question.default]
    if late:
        expired = min(question.expires for question in late) / 1e9
        raise InterruptExpiredError(thread, [question.id for question in late], expired)
    counting = dict(answers)
    for question in over:
        if not question.default:
            continue
        if question.id in answers:
            warnings.warn(LateAnswerWarning(thread, question.id), stacklevel=2)
        counting[question.id] = question.default[0]
    return counting, list(answer)
