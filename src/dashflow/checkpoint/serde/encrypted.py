"""EncryptedSerializer: what a serialiser writes, encrypted. The cipher comes from outside."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from dashflow.checkpoint.serde.base import CipherProtocol, SerializerProtocol
from dashflow.checkpoint.serde.jsonplus import JsonPlusSerializer

__all__ = ("EncryptedSerializer",)


class EncryptedSerializer(SerializerProtocol):
    """Encrypts after serialising; the cipher's name is added to the tag.

    Args:
        cipher: Encrypts and decrypts; it must notice changed data.
        serde: Serialises.
        require_encryption: Refuse stored data that is not encrypted. By default it is read, so that
            encryption can be switched on for a database that exists; once everything in it is encrypted,
            whoever can write to the database should not be able to pass plain data off.
    """

    def __init__(
        self,
        cipher: CipherProtocol,
        serde: SerializerProtocol | None = None,
        *,
        require_encryption: bool = False,
    ) -> None:
        self.cipher = cipher
        self.serde = JsonPlusSerializer() if serde is None else serde
        self.require_encryption = require_encryption

    def with_serde(self, serde: SerializerProtocol) -> EncryptedSerializer:
        """The same cipher around another serialiser; itself when it is the same one."""
        if serde is self.serde:
            return self
        return EncryptedSerializer(self.cipher, serde, require_encryption=self.require_encryption)

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """``obj`` as (``tag+cipher``, encrypted bytes)."""
        tag, content = self.serde.dumps_typed(obj)
        name, secret = self.cipher.encrypt(content)
        return f"{tag}+{name}", secret

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """What ``dumps_typed`` made ``data`` of.

        Raises:
            ValueError: The data was changed or encrypted with another key; or it is not encrypted and
                must be.
        """
        tag, content = data
        inner, encrypted, name = tag.partition("+")
        if not encrypted:
            if self.require_encryption:
                raise ValueError(f"Stored data of type {tag!r} is not encrypted, and must be")
            return self.serde.loads_typed(data)
        return self.serde.loads_typed((inner, self.cipher.decrypt(name, content)))

    @classmethod
    def from_pycryptodome_aes(
        cls,
        serde: SerializerProtocol | None = None,
        *,
        require_encryption: bool = False,
        **kwargs: Any,
    ) -> EncryptedSerializer:
        """A serialiser that encrypts with AES.

        Args:
            serde: Serialises.
            require_encryption: See the class.
            kwargs: ``key``, else it is taken from the environment's ``LANGGRAPH_AES_KEY``: 16, 24 or 32
                bytes; ``mode``, one that notices changes (default EAX); and what else ``AES.new`` takes.

        Raises:
            ImportError: The package pycryptodome is not installed.
            ValueError: There is no key, or it has the wrong length.
        """
        try:
            aes = import_module("Crypto.Cipher.AES")
        except ImportError:
            raise ImportError(
                "Pycryptodome is not installed. Please install it with `pip install pycryptodome`."
            ) from None
        key = kwargs.pop("key") if "key" in kwargs else _key_of_environment()
        if kwargs.get("mode") is None:
            kwargs["mode"] = aes.MODE_EAX
        return cls(_Aes(aes, key, kwargs), serde, require_encryption=require_encryption)


def _key_of_environment() -> bytes:
    text = os.getenv("LANGGRAPH_AES_KEY")
    if text is None:
        raise ValueError("LANGGRAPH_AES_KEY environment variable is not set.")
    key = text.encode()
    if len(key) not in (16, 24, 32):
        raise ValueError("LANGGRAPH_AES_KEY must be 16, 24, or 32 bytes long.")
    return key


_NONCE = _TAG = 16
"""Bytes before the encrypted ones."""


class _Aes:
    """AES of pycryptodome: nonce, tag, encrypted bytes."""

    def __init__(self, aes: Any, key: bytes, options: dict[str, Any]) -> None:
        self._aes = aes
        self._key = key
        self._options = options

    def encrypt(self, plaintext: bytes) -> tuple[str, bytes]:
        cipher = self._aes.new(self._key, **self._options)
        content, tag = cipher.encrypt_and_digest(plaintext)
        return "aes", cipher.nonce + tag + content

    def decrypt(self, ciphername: str, ciphertext: bytes) -> bytes:
        if ciphername != "aes":
            raise ValueError(f"Unsupported cipher: {ciphername}")
        nonce, tag = ciphertext[:_NONCE], ciphertext[_NONCE : _NONCE + _TAG]
        cipher = self._aes.new(self._key, **self._options, nonce=nonce)
        plain: bytes = cipher.decrypt_and_verify(ciphertext[_NONCE + _TAG :], tag)
        return plain
