"""Encryption around a serialiser: tags, the way back, and data that is not encrypted."""

import sys

import pytest

from dashflow.checkpoint.base import BaseCheckpointSaver
from dashflow.checkpoint.serde.encrypted import EncryptedSerializer
from dashflow.checkpoint.serde.jsonplus import JsonPlusSerializer

pytestmark = pytest.mark.feature("PERSIST-006")


class Mirror:
    """A cipher that turns bytes around and notices nothing."""

    def encrypt(self, plaintext):
        return "mirror", plaintext[::-1]

    def decrypt(self, ciphername, ciphertext):
        assert ciphername == "mirror"
        return ciphertext[::-1]


def test_the_tag_names_the_cipher():
    serde = EncryptedSerializer(Mirror())
    tag, data = serde.dumps_typed({"a": 1})
    assert tag == "msgpack+mirror"
    assert data == JsonPlusSerializer().dumps_typed({"a": 1})[1][::-1]
    assert serde.loads_typed((tag, data)) == {"a": 1}
    assert serde.loads_typed(serde.dumps_typed(b"x")) == b"x"


def test_plain_data_is_read_unless_that_is_forbidden():
    stored = JsonPlusSerializer().dumps_typed([1])
    assert EncryptedSerializer(Mirror()).loads_typed(stored) == [1]
    with pytest.raises(ValueError, match="not encrypted"):
        EncryptedSerializer(Mirror(), require_encryption=True).loads_typed(stored)


def test_an_allowlist_reaches_the_serialiser_inside():
    saver = BaseCheckpointSaver(
        serde=EncryptedSerializer(
            Mirror(), JsonPlusSerializer(allowed_msgpack_modules=None), require_encryption=True
        )
    )
    wider = saver.with_allowlist([("some.module", "Thing")])
    assert wider is not saver
    assert wider.serde.cipher is saver.serde.cipher
    assert wider.serde.require_encryption
    assert wider.with_allowlist([("some.module", "Thing")]) is wider


def test_a_key_must_be_given(monkeypatch):
    pytest.importorskip("Crypto")
    monkeypatch.delenv("LANGGRAPH_AES_KEY", raising=False)
    with pytest.raises(ValueError, match="LANGGRAPH_AES_KEY environment variable is not set"):
        EncryptedSerializer.from_pycryptodome_aes()
    monkeypatch.setenv("LANGGRAPH_AES_KEY", "short")
    with pytest.raises(ValueError, match="16, 24, or 32"):
        EncryptedSerializer.from_pycryptodome_aes()


def test_aes_notices_changes():
    pytest.importorskip("Crypto")
    serde = EncryptedSerializer.from_pycryptodome_aes(key=b"1" * 16)
    tag, data = serde.dumps_typed({"secret": "word"})
    assert tag == "msgpack+aes"
    assert b"word" not in data
    assert serde.loads_typed((tag, data)) == {"secret": "word"}
    with pytest.raises(ValueError, match="MAC"):
        serde.loads_typed((tag, data[:-1] + bytes([data[-1] ^ 1])))
    with pytest.raises(ValueError, match="Unsupported cipher"):
        serde.loads_typed(("msgpack+des", data))


def test_a_missing_package_is_named(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "Crypto"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "Crypto", None)
    with pytest.raises(ImportError, match="pip install pycryptodome"):
        EncryptedSerializer.from_pycryptodome_aes(key=b"1" * 16)
