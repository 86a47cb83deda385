"""Questions to people: ``interrupt()``, what it raises to callers, and checks of the answers.

Knows nothing of runs: the task's scope has the answers. Pydantic is imported only for a schema that is
no dict.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any, Generic, NamedTuple, final, overload
from warnings import warn

from typing_extensions import TypeVar, deprecated

from dashflow._util.ids import digest, interrupt_id
from dashflow._util.scope import require_scope
from dashflow._util.sentinel import MISSING
from dashflow.errors import INVALID_RESUME, GraphInterrupt
from dashflow.warnings import LangGraphDeprecatedSinceV10

__all__ = ("Interrupt", "interrupt", "response_json_schema", "validate_response")

ResponseT = TypeVar("ResponseT", default=Any)

_DEFAULT_ID = "placeholder-id"


@final
@dataclass(init=False, slots=True)
class Interrupt(Generic[ResponseT]):
    """A question that a task waits for the answer of.

    Attributes:
        value: What was asked: any value that can be stored.
        id: Names the question; ``Command(resume={id: answer})`` answers it.
        response_schema: JSON Schema of the answer, when the node gave a schema.
    """

    value: Any
    id: str
    response_schema: type[ResponseT] | dict[str, Any] | None = None

    def __init__(
        self,
        value: Any,
        id: str = _DEFAULT_ID,  # noqa: A002
        *,
        response_schema: type[ResponseT] | dict[str, Any] | None = None,
        **legacy: Any,
    ) -> None:
        """``legacy`` takes what old releases stored (``ns``, ``when``, ``resumable``) and uses ``ns``."""
        self.value = value
        self.response_schema = response_schema
        ns = legacy.get("ns", MISSING)
        if id == _DEFAULT_ID and isinstance(ns, Sequence):
            self.id = digest("|".join(ns))
        else:
            self.id = id

    @classmethod
    def from_ns(
        cls,
        value: Any,
        ns: str,
        *,
        response_schema: type[ResponseT] | dict[str, Any] | None = None,
    ) -> Interrupt[ResponseT]:
        """The first question of the task whose checkpoint namespace is ``ns``."""
        return cls(value, interrupt_id(ns), response_schema=response_schema)

    @property
    @deprecated("`interrupt_id` is deprecated. Use `id` instead.", category=None)
    def interrupt_id(self) -> str:
        """The id, by its old name."""
        warn(
            "`interrupt_id` is deprecated. Use `id` instead.",
            LangGraphDeprecatedSinceV10,
            stacklevel=2,
        )
        return self.id


class Terms(NamedTuple):
    """What a question says beside its value.

    Attributes:
        site: Name of the function that asks.
        bound_to: What an answer is bound to; MISSING: the value.
        expires: Seconds to answer; None: for ever.
        default: The answer when these are over; MISSING: none.
    """

    site: str = ""
    bound_to: Any = MISSING
    expires: float | None = None
    default: Any = MISSING


@overload
def interrupt(
    value: Any,
    *,
    response_schema: type[ResponseT],
    bound_to: Any = ...,
    expires: float | timedelta | None = None,
    default: Any = ...,
) -> ResponseT: ...


@overload
def interrupt(
    value: Any,
    *,
    response_schema: dict[str, Any] | None = None,
    bound_to: Any = ...,
    expires: float | timedelta | None = None,
    default: Any = ...,
) -> Any: ...


def interrupt(
    value: Any,
    *,
    response_schema: dict[str, Any] | type | None = None,
    bound_to: Any = MISSING,
    expires: float | timedelta | None = None,
    default: Any = MISSING,
) -> Any:
    """Ask whoever runs the graph, and return the answer.

    The first time, the run stops here and its caller gets ``value``; it needs a checkpointer to wait.
    ``graph.invoke(Command(resume=answer), config)`` goes on: the node runs again from its top, and this
    call returns ``answer``. The n-th call in a node gets the n-th answer given to that task.

    An answer counts for what was asked. When the node runs again and asks something else, or another function
    asks, the answer is not used: the question is asked again, with the same id.

    Args:
        value: What to ask; shown to the caller and stored.
        response_schema: What the answer must look like. A dict is JSON Schema, shown and not checked.
            A pydantic model, TypedDict or dataclass is shown as JSON Schema, and the answer is
            validated against it and returned as that type.
        bound_to: What an answer is bound to, instead of ``value``: any data. None: nothing.
        expires: Seconds, or a time span, for an answer. One that is given later is refused with
            ``InterruptExpiredError``; the question can be asked again by ``graph.invoke(None, config)``.
        default: The answer when that time is over, used by whoever goes on with the thread then.

    Raises:
        GraphInterrupt: There is no answer yet; let it pass.
        pydantic.ValidationError: The answer does not fit ``response_schema``. Nothing was recorded, so
            the question can be answered again; ``dashflow.errors.is_invalid_resume`` recognises it.
        RuntimeError: No graph runs this code.
        ValueError: A ``default`` without ``expires``.

    Warns:
        ChangedQuestionWarning: There is an answer, but to another question.
        UnrecordedEffectWarning: The node did something that it will do again when it is answered.
    """
    if default is not MISSING and expires is None:
        raise ValueError("interrupt(default=...) needs expires=...: when is the default to be used?")
    seconds = expires.total_seconds() if isinstance(expires, timedelta) else expires
    terms = Terms(_caller(), bound_to, seconds, default)
    return require_scope("interrupt()").interrupt(value, response_schema, terms)


def _caller() -> str:
    """Name of the function that calls ``interrupt``, in all versions of Python the same."""
    return _INLINED.sub("", sys._getframe(2).f_code.co_qualname)


_INLINED = re.compile(r"(\.<locals>\.<(listcomp|setcomp|dictcomp|genexpr)>)+$")
"""What some versions of Python make a function of its own."""


def response_json_schema(response_schema: Any) -> dict[str, Any] | None:
    """The JSON Schema to show for ``response_schema``: None, a dict as it is, or that of a type."""
    if response_schema is None or isinstance(response_schema, dict):
        return response_schema
    schema: dict[str, Any] = _adapter(response_schema).json_schema()
    return schema


def validate_response(response_schema: Any, answer: Any) -> Any:
    """``answer`` as the type that ``response_schema`` names; unchanged for None and for JSON Schema.

    Raises:
        pydantic.ValidationError: It does not fit; marked, so that ``is_invalid_resume`` tells.
    """
    if response_schema is None or isinstance(response_schema, dict):
        return answer
    from pydantic import ValidationError

    try:
        return _adapter(response_schema).validate_python(answer)
    except ValidationError as error:
        setattr(error, INVALID_RESUME, True)
        raise


@lru_cache(maxsize=256)
def _adapter(response_schema: Any) -> Any:
    """Pydantic's adapter of a type; building one takes milliseconds."""
    from pydantic import TypeAdapter

    return TypeAdapter(response_schema)


@deprecated("NodeInterrupt is deprecated. Please use `dashflow.types.interrupt` instead.", category=None)
class NodeInterrupt(GraphInterrupt):
    """Raised by a node to stop and ask: the form before ``interrupt()``. Lives in ``dashflow.errors``."""

    __module__ = "dashflow.errors"

    def __init__(self, value: Any, id: str | None = None) -> None:  # noqa: A002
        warn(
            "NodeInterrupt is deprecated. Please use `dashflow.types.interrupt` instead.",
            LangGraphDeprecatedSinceV10,
            stacklevel=2,
        )
        super().__init__([Interrupt(value) if id is None else Interrupt(value, id)])
