"""The public serialiser and hostile data: nothing is imported, called or run because data says so."""

import json
import os
import pickle
import sys

import ormsgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage
from pydantic import BaseModel

from dashflow.checkpoint.serde import _msgpack, notices
from dashflow.checkpoint.serde.event_hooks import emit_serde_event, register_serde_event_listener
from dashflow.checkpoint.serde.jsonplus import JsonPlusSerializer

pytestmark = pytest.mark.feature("NEW-11")


class Pet(BaseModel):
    name: str


def extension(code, *parts):
    return ormsgpack.packb(ormsgpack.Ext(code, ormsgpack.packb(parts)))


@pytest.fixture(autouse=True)
def nothing_was_said():
    for said in (notices.unregistered, notices.blocked, notices.unrevivable):
        said.clear()


@pytest.fixture
def heard():
    events = []
    unregister = register_serde_event_listener(events.append)
    yield events
    unregister()


@pytest.mark.parametrize("allowed", [True, None, [("builtins", "set")]])
@pytest.mark.parametrize("code", [0, 1, 2, 4, 5])
@pytest.mark.guarantee("data-only")
def test_a_class_that_only_data_names_is_not_even_imported(
    tmp_path, monkeypatch, allowed, code, heard, caplog
):
    trap = tmp_path / "trapped_module.py"
    trap.write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    serde = JsonPlusSerializer(allowed_msgpack_modules=allowed)
    payload = {"a": 1} if code in (2, 4, 5) else ["a"]
    data = extension(code, "trapped_module", "Thing", payload, "method")
    assert serde.loads_typed(("msgpack", data)) == payload
    assert "trapped_module" not in sys.modules
    assert heard == [{"kind": "msgpack_blocked", "module": "trapped_module", "name": "Thing"}]
    assert "Blocked deserialization of trapped_module.Thing" in caplog.text


@pytest.mark.guarantee("data-only")
def test_functions_are_not_called(tmp_path):
    marker = tmp_path / "marker"
    serde = JsonPlusSerializer()
    assert (
        serde.loads_typed(("msgpack", extension(0, "os", "system", f"touch {marker}"))) == f"touch {marker}"
    )
    assert serde.loads_typed(("msgpack", extension(1, "os", "mkdir", [str(marker)]))) == [str(marker)]
    assert not marker.exists()


def test_methods_are_not_called(tmp_path, heard, caplog):
    secret = tmp_path / "secret"
    secret.write_text("s")
    data = extension(3, "pathlib", "Path", str(secret), "read_text")
    assert JsonPlusSerializer().loads_typed(("msgpack", data)) == str(secret)
    assert heard[0]["kind"] == "msgpack_method_blocked"
    assert heard[0]["method"] == "read_text"
    assert "Blocked deserialization of method call pathlib.Path.read_text" in caplog.text


def test_what_this_process_stored_comes_back_and_is_named_once(heard, caplog):
    serde = JsonPlusSerializer()
    stored = serde.dumps_typed(Pet(name="rex"))
    assert [serde.loads_typed(stored) for _ in range(2)] == [Pet(name="rex")] * 2
    assert caplog.text.count("unregistered type") == 1
    assert [event["kind"] for event in heard] == ["msgpack_unregistered_allowed"] * 2


def test_strict_serialisers_give_data_for_it(caplog):
    serde = JsonPlusSerializer(allowed_msgpack_modules=None)
    assert serde.loads_typed(serde.dumps_typed(Pet(name="rex"))) == {"name": "rex"}
    assert "Blocked" in caplog.text


def test_the_switch_is_read_when_a_serialiser_is_made(monkeypatch):
    monkeypatch.setattr(_msgpack, "STRICT_MSGPACK_ENABLED", True)
    serde = JsonPlusSerializer()
    monkeypatch.setattr(_msgpack, "STRICT_MSGPACK_ENABLED", False)
    assert serde.loads_typed(serde.dumps_typed(Pet(name="rex"))) == {"name": "rex"}


def test_a_wider_allowlist_leaves_the_first_as_it_was():
    strict = JsonPlusSerializer(allowed_msgpack_modules=None)
    wider = strict.with_msgpack_allowlist([Pet])
    stored = strict.dumps_typed(Pet(name="rex"))
    assert wider.loads_typed(stored) == Pet(name="rex")
    assert strict.loads_typed(stored) == {"name": "rex"}
    assert strict.with_msgpack_allowlist(()) is strict
    assert wider.with_msgpack_allowlist([Pet]) is wider
    usual = JsonPlusSerializer()
    assert usual.with_msgpack_allowlist([Pet]) is usual


@pytest.mark.parametrize("depth", [99, 101, 5_000])
def test_deep_nesting_is_read_or_refused_but_harms_nothing(depth):
    data = ormsgpack.packb(1)
    for _ in range(depth):
        data = ormsgpack.packb(ormsgpack.Ext(7, data))
    serde = JsonPlusSerializer(allowed_msgpack_modules=None)
    if depth < 100:
        value = serde.loads_typed(("msgpack", data))
        for _ in range(depth):
            value = value.value
        assert value == 1
    else:
        with pytest.raises(ValueError, match="nested"):
            serde.loads_typed(("msgpack", data))


@given(st.binary(max_size=60), st.integers(0, 9))
def test_any_bytes_are_read_or_refused(data, code):
    serde = JsonPlusSerializer(allowed_msgpack_modules=None)
    for content in (data, ormsgpack.packb(ormsgpack.Ext(code, data))):
        try:
            serde.loads_typed(("msgpack", content))
        except ValueError:
            continue


def test_unknown_tags_are_refused():
    serde = JsonPlusSerializer()
    for tag in ("pickle", "yaml", "msgpack+aes"):
        with pytest.raises(NotImplementedError, match="Unknown serialization type"):
            serde.loads_typed((tag, b""))


# -- pickles ------------------------------------------------------------------------------------


class Gadget:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_a_pickle_runs_nothing(tmp_path):
    serde = JsonPlusSerializer(pickle_fallback=True)
    marker = str(tmp_path / "marker")
    with pytest.raises(pickle.UnpicklingError, match="mkdir"):
        serde.loads_typed(("pickle", pickle.dumps(Gadget(marker))))
    assert not os.path.exists(marker)


@pytest.mark.parametrize("name", ["eval", "exec", "getattr", "__import__", "open"])
def test_a_pickle_gets_no_builtin_function(name):
    data = b"\x80\x04c" + f"builtins\n{name}\n".encode() + b"."
    with pytest.raises(pickle.UnpicklingError, match=name):
        JsonPlusSerializer(pickle_fallback=True).loads_typed(("pickle", data))


def test_what_msgpack_cannot_say_is_pickled_only_when_asked():
    value = {"range": range(3), "big": 2**70}
    with pytest.raises(TypeError):
        JsonPlusSerializer().dumps_typed(value)
    serde = JsonPlusSerializer(pickle_fallback=True)
    stored = serde.dumps_typed(value)
    assert stored[0] == "pickle"
    assert serde.loads_typed(stored) == value


# -- old JSON -----------------------------------------------------------------------------------


def envelope(*path, **more):
    return {"lc": 2, "type": "constructor", "id": list(path), **more}


def read(value, **options):
    return JsonPlusSerializer(**options).loads_typed(("json", json.dumps(value).encode()))


def test_old_messages_are_read():
    human = envelope("langchain_core", "messages", "human", "HumanMessage", kwargs={"content": "hello"})
    first = {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "AIMessage"]}
    assert read([human]) == [HumanMessage("hello")]
    assert read({**first, "kwargs": {"content": "hi"}}) == AIMessage("hi")


def test_old_json_imports_nothing(caplog):
    value = envelope("pprint", "pprint", kwargs={"object": "x"})
    for allowed in (None, True, [("other", "Thing")]):
        assert read(value, allowed_json_modules=allowed) == value
    assert "Refused to deserialize pprint.pprint" in caplog.text


def test_old_json_gives_what_the_program_allows():
    value = envelope(*Pet.__module__.split("."), "Pet", kwargs={"name": "rex"}, method="parse_raw")
    assert read(value, allowed_json_modules=[(Pet.__module__, "Pet")]) == Pet(name="rex")


def test_old_json_reads_no_secret_from_the_environment(monkeypatch):
    monkeypatch.setenv("A_SECRET", "value")
    assert "value" not in repr(read({"lc": 1, "type": "secret", "id": ["A_SECRET"]}))


def test_old_json_that_no_constructor_takes_gives_none(caplog):
    value = envelope("langchain_core", "messages", "ai", "AIMessage", kwargs={"content": 1, "type": "x"})
    assert read(value) is None
    assert "Failed to revive" in caplog.text


# -- listeners ----------------------------------------------------------------------------------


def test_a_listener_that_fails_keeps_nobody_else_from_hearing(heard, caplog):
    def failing(event):
        raise RuntimeError

    unregister = register_serde_event_listener(failing)
    heard_last = []
    unregister_last = register_serde_event_listener(heard_last.append)
    emit_serde_event({"kind": "msgpack_blocked", "module": "m", "name": "n"})
    unregister()
    unregister()
    unregister_last()
    emit_serde_event({"kind": "msgpack_blocked", "module": "m", "name": "n"})
    assert (len(heard), len(heard_last)) == (2, 1)
    assert "Serde listener failed" in caplog.text
