"""The rules of a graph's state, made of its schemas. Nothing is made where no schema has a rule.

May not import pydantic: a model is known by its fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from dashflow.graph.schema import Schema, is_model, is_struct


def has_rules(schemas: Mapping[Any, Schema]) -> bool:
    """Whether any of the schemas may have a rule; cheap, and true too often rather than too seldom."""
    return any(
        is_model(kind) or any(_annotated(hint) for hint in schema.hints.values())
        for kind, schema in schemas.items()
    )


def _annotated(hint: Any) -> bool:
    """Whether a type may say more than its name: by ``Annotated``, or by the fields of a class."""
    metadata = getattr(hint, "__metadata__", None)
    if metadata is not None:
        return any(map(_is_rule, metadata)) or _annotated(hint.__origin__)
    if args := get_args(hint):
        return any(map(_annotated, args))
    return isinstance(hint, type) and hint.__module__ != "builtins"


def _is_rule(thing: Any) -> bool:
    return type(thing).__module__.partition(".")[0] in ("annotated_types", "msgspec", "pydantic")


def rules_of(builder: Any, updates: Any, *, strict: bool) -> Any:
    """What the schemas of a ``StateGraph`` ask of values; None: nothing.

    Args:
        builder: The graph.
        updates: What an input writes.
        strict: Whether values must also be of their types.
    """
    from dashflow.core.validation import Rules  # graphs without rules need not load it

    state = builder.schemas[builder.state_schema]
    checks = checks_of(state, strict=strict)
    for schema in builder.schemas.values():  # of keys that only nodes share
        if schema is not state and schema.type is not builder.input_schema:
            found = checks_of(schema, strict=strict)
            checks.update({key: check for key, check in found.items() if key not in state.channels})
    alone = {}
    if builder.input_schema is not builder.state_schema:
        alone = checks_of(builder.schemas[builder.input_schema], strict=strict)
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
