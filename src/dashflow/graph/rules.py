"""The rules of a graph's state, made of its schemas. Nothing is made where no schema has a rule.

May not import pydantic: a model is known by its fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dashflow.graph.schema import Schema, is_model, is_struct


def has_rules(schemas: Mapping[Any, Schema]) -> bool:
    """Whether any of the schemas may have a rule; cheap, and true too often rather than too seldom."""
    return any(
        is_model(kind) or any(_annotated(hint) for hint in schema.hints.values())
        for kind, schema in schemas.items()
    )


def _annotated(hint: Any) -> bool:
    """Whether there is more in a type than its name: something that ``Annotated`` or its fields may say."""
    return not (isinstance(hint, type) and hint.__module__ == "builtins") and hint is not Any


def rules_of(builder: Any, updates: Any, *, strict: bool) -> Any:
    """What the schemas of a ``StateGraph`` ask of values; None: nothing.

    Args:
        builder: The graph.
        updates: What an input writes.
        strict: Whether values must also be of their types.
    """
    from dashflow.core.validation import Rules  # graphs without rules need not load it

    given = checks_of(builder.schemas[builder.input_schema], strict=strict)
    checks: dict[str, Any] = {}
    for kind, schema in builder.schemas.items():
        if kind is not builder.input_schema or kind is builder.state_schema:
            for key, check in checks_of(schema, strict=strict).items():
                checks.setdefault(key, check)
    alone = {} if builder.input_schema is builder.state_schema else given
    if not checks and not alone:
        return None
    taken: Schema = builder.schemas[builder.input_schema]
    native = taken.coerce if is_model(taken.type) or is_struct(taken.type) else None
    return Rules(checks, alone, "__start__", updates, native)


def checks_of(schema: Schema, *, strict: bool = False) -> dict[str, Any]:
    """The checks of a schema's keys."""
    from dashflow.core.constraints import check_of, model_checks  # as above

    if is_model(schema.type):
        found = model_checks(schema.type, strict=False)
        return {key: check for key, check in found.items() if key in schema.channels}
    checks = {key: check_of(hint, strict=strict) for key, hint in schema.hints.items()}
    return {key: check for key, check in checks.items() if check is not None}
