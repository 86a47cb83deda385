"""What a serialiser is to a saver, and what a cipher is to a serialiser: protocols only."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

__all__ = (
    "CipherProtocol",
    "SerializerCompat",
    "SerializerProtocol",
    "UntypedSerializerProtocol",
    "maybe_add_typed_methods",
)


class UntypedSerializerProtocol(Protocol):
    """A serialiser of the oldest sort: bytes only, as the modules ``pickle`` and ``json`` offer it."""

    def dumps(self, obj: Any) -> bytes:
        """``obj`` as bytes."""
        ...

    def loads(self, data: bytes) -> Any:
        """What ``dumps`` made ``data`` of."""
        ...


@runtime_checkable
class SerializerProtocol(Protocol):
    """A serialiser: a value becomes a tag that names the format, and bytes."""

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """``obj`` as (tag, bytes)."""
        ...

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """What ``dumps_typed`` made ``data`` of."""
        ...


class SerializerCompat(SerializerProtocol):
    """Gives an untyped serialiser the methods of a typed one; the tag is the value's class, for show."""

    def __init__(self, serde: UntypedSerializerProtocol) -> None:
        self.serde = serde

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """``obj`` as (its class's name, bytes)."""
        return type(obj).__name__, self.serde.dumps(obj)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """The value; the tag is not needed."""
        return self.serde.loads(data[1])


def maybe_add_typed_methods(serde: SerializerProtocol | UntypedSerializerProtocol) -> SerializerProtocol:
    """``serde`` itself when it is a typed serialiser, else wrapped into one."""
    return serde if isinstance(serde, SerializerProtocol) else SerializerCompat(serde)


class CipherProtocol(Protocol):
    """A cipher with its key. ``decrypt`` must fail for data that was changed."""

    def encrypt(self, plaintext: bytes) -> tuple[str, bytes]:
        """The cipher's name, and the encrypted bytes."""
        ...

    def decrypt(self, ciphername: str, ciphertext: bytes) -> bytes:
        """The bytes that ``encrypt`` of the cipher of that name was given."""
        ...
