"""What decoding gives where it cannot, or will not, give the original: Opaque and RecordedError."""

from __future__ import annotations

from typing import Any, final

__all__ = ("Opaque", "RecordedError")


@final
class Opaque:
    """A stored instance of a class that is not registered here: its name and its fields.

    For programs that show other programs' data. Encodes to the bytes it was decoded from.

    Attributes:
        type_name: ``module:qualified name`` of the class.
        fields: What is stored of it: a dict by field name, or for other kinds of classes what they are
            made of.
    """

    __slots__ = ("_code", "_payload", "fields", "type_name")

    type_name: str
    fields: Any
    _code: int
    _payload: bytes

    def __init__(self, type_name: str, fields: Any, code: int, payload: bytes) -> None:
        for name, value in zip(Opaque.__slots__, (code, payload, fields, type_name), strict=True):
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"Opaque is frozen; {name!r} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"Opaque is frozen; {name!r} cannot be deleted")

    @property
    def raw(self) -> tuple[int, bytes]:
        """The stored kind and payload."""
        return self._code, self._payload

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Opaque) and self.raw == other.raw

    def __hash__(self) -> int:
        return hash(self.raw)

    def __repr__(self) -> str:
        return f"Opaque({self.type_name!r}, {self.fields!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (Opaque, (self.type_name, self.fields, self._code, self._payload))


@final
class RecordedError(Exception):
    """An exception as it was recorded: a description; the original's class is never needed to read it.

    ``repr`` and ``str`` are those of the original.

    Attributes:
        type_name: ``module:qualified name`` of the original's class.
        message: The original's ``str``.
        shown: The original's ``repr``.
    """

    def __init__(self, type_name: str, message: str, shown: str) -> None:
        super().__init__(type_name, message, shown)
        self.type_name = type_name
        self.message = message
        self.shown = shown

    def __str__(self) -> str:
        return self.message

    def __repr__(self) -> str:
        return self.shown

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RecordedError) and self.args == other.args

    def __hash__(self) -> int:
        return hash(self.args)
