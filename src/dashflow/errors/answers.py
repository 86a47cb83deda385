"""Errors of models' answers."""

from __future__ import annotations

from dashflow.errors.base import DashFlowError


class StructuredOutputError(DashFlowError):
    """A model gave no JSON of the asked schema, also after repair and asking again.

    Attributes:
        raw: The last answer, as the model wrote it.
        problems: What was wrong with each answer, first to last.
    """

    code = "STRUCTURED_OUTPUT"

    def __init__(self, schema: str, raw: str, problems: tuple[str, ...]) -> None:
        times = "once" if len(problems) == 1 else f"{len(problems)} times"
        super().__init__(
            f"The model was asked {times} for JSON of the schema {schema!r} and gave none: {problems[-1]}. "
            "Its last answer is in `raw`. Allow more attempts, take another model or a simpler schema.",
            schema=schema,
            raw=raw,
            problems=problems,
        )
        self.raw = raw
        self.problems = problems
