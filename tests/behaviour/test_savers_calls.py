"""Savers as LangGraph's programs call them: put, found again, listed, forgotten, copied; on any store."""

import asyncio
import sqlite3
from contextlib import contextmanager

import pytest
from pydantic import BaseModel

from dashflow.checkpoint.base import create_checkpoint, empty_checkpoint
from dashflow.checkpoint.memory import InMemorySaver, MemorySaver
from dashflow.checkpoint.saver import LogSaver
from dashflow.checkpoint.serde.jsonplus import JsonPlusSerializer
from dashflow.checkpoint.sqlite import SqliteSaver
from dashflow.checkpoint.sqlite.aio import AsyncSqliteSaver
from dashflow.errors import OwnershipConflictError
from dashflow.log.base import Append
from dashflow.log.postgres import PostgresLog

pytestmark = pytest.mark.feature("PERSIST-006")


class Pet(BaseModel):
    name: str


class Called:
    """A saver, called the way its kind is called."""

    def __init__(self, saver, asynchronous):
        self.saver = saver
        self._asynchronous = asynchronous

    def __getattr__(self, name):
        if not self._asynchronous:
            found = getattr(self.saver, name)
            return (lambda *a, **k: [*found(*a, **k)]) if name == "list" else found
        method = getattr(self.saver, f"a{name}")

        async def listed(*args, **named):
            return [one async for one in method(*args, **named)]

        call = listed if name == "list" else method
        return lambda *args, **named: asyncio.run(call(*args, **named))


@contextmanager
def opened(kind, path):
    if kind.startswith("memory"):
        yield InMemorySaver()
        return
    if kind == "postgres":
        saver = LogSaver(PostgresLog(path))
    else:
        saver = AsyncSqliteSaver(path) if kind.endswith("async") else SqliteSaver(path)
    yield saver
    saver.log.close()


@pytest.fixture(params=["memory", "memory async", "sqlite", "sqlite async", "postgres"])
def saver(request, tmp_path):
    postgres = request.getfixturevalue("postgres").log if request.param == "postgres" else None
    with opened(request.param, postgres or tmp_path / "threads.db") as saver:
        yield Called(saver, request.param.endswith("async"))


def config(thread="t", ns="", checkpoint=None):
    named = {"checkpoint_id": checkpoint} if checkpoint else {}
    return {"configurable": {"thread_id": thread, "checkpoint_ns": ns, **named}}


def put(saver, number, *, thread="t", ns="", parent=None, metadata=None, values=None, changed=None):
    checkpoint = empty_checkpoint()
    checkpoint["id"] = f"id-{number}"
    checkpoint["channel_values"] = dict(values or {})
    checkpoint["channel_versions"] = dict.fromkeys(checkpoint["channel_values"], number)
    versions = checkpoint["channel_versions"] if changed is None else changed
    return saver.put(config(thread, ns, parent), checkpoint, metadata or {"step": number}, versions)


def ids(found):
    return [one.config["configurable"]["checkpoint_id"] for one in found]


# -- one checkpoint -----------------------------------------------------------------------------


def test_what_is_put_is_found(saver):
    checkpoint = empty_checkpoint()
    checkpoint["channel_values"] = {"a": [1, {"b": (2,)}], "pet": Pet(name="rex")}
    checkpoint["channel_versions"] = {"a": 1, "pet": "0002.5"}
    checkpoint["versions_seen"] = {"node": {"a": 1}}
    metadata = {"source": "loop", "step": 4, "parents": {"": "x"}, "score": None}
    where = saver.put(
        {**config(checkpoint="before"), "metadata": {"run_id": "r"}},
        checkpoint,
        metadata,
        checkpoint["channel_versions"],
    )
    assert where == config(checkpoint=checkpoint["id"])
    found = saver.get_tuple(where)
    assert found.checkpoint == {
        **checkpoint,
        "channel_values": {"a": [1, {"b": [2]}], "pet": Pet(name="rex")},
    }
    assert found.metadata == {**metadata, "run_id": "r"}
    assert found.parent_config == config(checkpoint="before")
    assert found.pending_writes == []
    assert saver.get_tuple(config()) == found
    assert saver.get(config()) == found.checkpoint


def test_the_latest_is_that_of_the_greatest_id(saver):
    for number in (5, 3, 7, 6):
        put(saver, number, values={"a": number})
    assert saver.get_tuple(config()).checkpoint["id"] == "id-7"
    assert saver.get_tuple(config(checkpoint="id-3")).checkpoint["channel_values"] == {"a": 3}


def test_what_is_put_again_replaces(saver):
    put(saver, 1, values={"a": 1})
    put(saver, 1, values={"a": 2})
    assert [one.checkpoint["channel_values"] for one in saver.list(config())] == [{"a": 2}]


def test_what_is_handed_out_belongs_to_the_caller(saver):
    put(saver, 1, values={"a": [1]})
    saver.get_tuple(config()).checkpoint["channel_values"]["a"].append(2)
    assert saver.get_tuple(config()).checkpoint["channel_values"] == {"a": [1]}


def test_unknown_places_are_empty(saver):
    assert saver.get_tuple(config("nobody")) is None
    put(saver, 1)
    assert saver.get_tuple(config(checkpoint="id-2")) is None
    assert saver.get_tuple(config(ns="inner")) is None
    assert saver.get(config("nobody")) is None


def test_versions_count_up(saver):
    version = None
    seen = []
    for _ in range(12):
        version = saver.saver.get_next_version(version, None)
        seen.append(version)
    assert seen == sorted(seen)
    assert int(seen[-1].split(".")[0]) == 12
    assert saver.saver.get_next_version(3, None).startswith(f"{4:032}.")


# -- lists --------------------------------------------------------------------------------------


def test_lists_are_newest_first_and_can_be_narrowed(saver):
    for number in range(1, 6):
        put(saver, number, metadata={"step": number, "source": "loop" if number % 2 else "input"})
    assert ids(saver.list(config())) == ["id-5", "id-4", "id-3", "id-2", "id-1"]
    assert ids(saver.list(config(), limit=2)) == ["id-5", "id-4"]
    assert ids(saver.list(config(), limit=0)) == []
    assert ids(saver.list(config(), before=config(checkpoint="id-3"))) == ["id-2", "id-1"]
    assert ids(saver.list(config(), filter={"source": "loop"}, limit=2)) == ["id-5", "id-3"]
    assert ids(saver.list(config(), filter={"source": "loop", "step": 2})) == []
    assert ids(saver.list(config(checkpoint="id-4"))) == ["id-4"]


def test_a_list_without_a_config_has_all_threads(saver):
    put(saver, 1, thread="one")
    put(saver, 3, thread="two")
    put(saver, 2, thread="one", ns="inner")
    assert ids(saver.list(None)) == ["id-3", "id-2", "id-1"]
    assert ids(saver.list({"configurable": {"thread_id": "one"}})) == ["id-2", "id-1"]
    assert ids(saver.list(config("one"))) == ["id-1"]
    assert ids(saver.list(config("one", "inner"))) == ["id-2"]
    assert ids(saver.list(None, limit=1, before=config(checkpoint="id-3"))) == ["id-2"]


def test_filters_reach_into_metadata(saver):
    put(saver, 1, metadata={"access-level": "public", "user": {"1st": "ok"}, "a.b": 1})
    for wanted in ({"access-level": "public"}, {"user.1st": "ok"}, {"a.b": 1}, {"missing": None}):
        assert len(saver.list(None, filter=wanted)) == 1
    assert saver.list(None, filter={"user.1st.more": "ok"}) == []


@pytest.mark.parametrize("key", ["x') OR '1'='1", "'; DROP TABLE checkpoints; --", "a b", "", "a\n"])
@pytest.mark.guarantee("keys-are-data")
def test_filter_keys_are_names_and_nothing_else(saver, key):
    put(saver, 1)
    with pytest.raises(ValueError, match="Invalid filter key"):
        saver.list(None, filter={key: 1})


ALIKE = [
    "t1",
    "t12",
    "t1-2",
    "t1/2",
    "t1|2",
    "t1:2",
    "t_",
    "t%",
    "T1",
    "t1 ",
    "t",
    "t1'",
    't1"--',
    "%",
    "-",
    "run-t1",
]


@pytest.mark.feature("SEC-11")
@pytest.mark.parametrize("gone", ["t1", "t%", "t_", "t", "-"])
@pytest.mark.guarantee("keys-are-data")
def test_threads_whose_names_begin_alike_see_nothing_of_each_other(saver, gone):
    """Names of tenants are parts of threads' names: none is another one's, or stands for one."""
    for number, thread in enumerate(ALIKE):
        put(saver, number, thread=thread)
        put(saver, number + 100, thread=thread, ns=f"{gone}|x")
    for number, thread in enumerate(ALIKE):
        everything = saver.list({"configurable": {"thread_id": thread}})
        assert sorted(ids(everything)) == sorted([f"id-{number}", f"id-{number + 100}"])
    saver.delete_thread(gone)
    assert sorted({one.config["configurable"]["thread_id"] for one in saver.list(None)}) == sorted(
        {*ALIKE} - {gone}
    )
    assert saver.get_tuple(config(gone)) is saver.get_tuple(config(gone, f"{gone}|x")) is None


# -- writes -------------------------------------------------------------------------------------


def test_writes_come_back_in_the_order_of_paths(saver):
    where = put(saver, 1)
    saver.put_writes(where, [("a", 1), ("b", 2)], "task-1", "~path, z")
    saver.put_writes(where, [("a", 3)], "task-2", "~path, a")
    saver.put_writes(where, [("a", 4)], "task-0")
    assert saver.get_tuple(where).pending_writes == [
        ("task-0", "a", 4),
        ("task-2", "a", 3),
        ("task-1", "a", 1),
        ("task-1", "b", 2),
    ]
    put(saver, 2, parent="id-1")
    assert saver.get_tuple(config()).pending_writes == []


def test_only_special_writes_are_replaced(saver):
    where = put(saver, 1)
    for value in (1, 2):
        saver.put_writes(where, [("a", value), ("__error__", value), ("__resume__", [value])], "task")
    assert dict(write[1:] for write in saver.get_tuple(where).pending_writes) == {
        "a": 1,
        "__error__": 2,
        "__resume__": [2],
    }


def test_writes_may_come_before_their_checkpoint(saver):
    saver.put_writes(config(checkpoint="id-1"), [("a", 1)], "task")
    assert saver.get_tuple(config()) is None
    assert saver.list(config()) == []
    put(saver, 1)
    assert saver.get_tuple(config()).pending_writes == [("task", "a", 1)]


# -- whole threads ------------------------------------------------------------------------------


def test_a_deleted_thread_is_gone_and_can_begin_anew(saver):
    for ns in ("", "inner"):
        where = put(saver, 1, ns=ns, values={"a": 1})
        saver.put_writes(where, [("a", 1)], "task")
    put(saver, 1, thread="other")
    saver.delete_thread("t")
    assert ids(saver.list(None)) == ["id-1"]
    assert saver.get_tuple(config()) is None
    assert saver.get_tuple(config(ns="inner")) is None
    put(saver, 1, values={"b": 1})
    found = saver.get_tuple(config())
    assert (found.checkpoint["channel_values"], found.pending_writes) == ({"b": 1}, [])
    saver.delete_thread("nobody")


def test_runs_are_forgotten_and_the_thread_goes_on_from_what_is_left(saver):
    for number, run in enumerate(["a", "b", "a", "c"], start=1):
        put(saver, number, metadata={"run_id": run})
        put(saver, number, ns="inner", metadata={"run_id": run})
    saver.delete_for_runs(["c", "a", "unknown"])
    for ns in ("", "inner"):
        assert ids(saver.list(config(ns=ns))) == ["id-2"]
        assert saver.get_tuple(config(ns=ns)).checkpoint["id"] == "id-2"
    saver.delete_for_runs([])
    saver.delete_for_runs(["b"])
    assert saver.list(None) == []


def test_old_checkpoints_are_pruned(saver):
    for thread in ("one", "two", "three"):
        for number in (1, 2, 3):
            put(saver, number, thread=thread)
            put(saver, number, thread=thread, ns="inner")
    saver.prune(["one"])
    saver.prune(["two"], strategy="delete")
    assert {t: len(saver.list({"configurable": {"thread_id": t}})) for t in ("one", "two", "three")} == {
        "one": 2,
        "two": 0,
        "three": 6,
    }
    assert saver.get_tuple(config("one")).checkpoint["id"] == "id-3"
    with pytest.raises(ValueError, match="Unknown strategy"):
        saver.prune(["one"], strategy="some")


def test_a_copy_has_everything_and_is_on_its_own(saver):
    put(saver, 1, values={"a": 1})
    where = put(saver, 2, parent="id-1", values={"a": 1, "b": 2}, metadata={"step": 2, "run_id": "r"})
    saver.put_writes(where, [("a", 3), ("__interrupt__", "why")], "task", "path")
    put(saver, 1, ns="inner")
    saver.copy_thread("t", "copy")

    def told(thread):
        return [
            (one.checkpoint, one.metadata, one.pending_writes, one.parent_config is not None)
            for one in saver.list({"configurable": {"thread_id": thread}})
        ]

    assert told("copy") == told("t")
    put(saver, 3, thread="copy")
    saver.delete_thread("t")
    assert ids(saver.list(config("copy"))) == ["id-3", "id-2", "id-1"]
    saver.copy_thread("nobody", "else")
    assert saver.list(config("else")) == []


def test_threads_with_strange_names_stay_apart(saver):
    names = [
        ("a|b", ""),
        ("a", "b"),
        ("a", "b|c"),
        ("a|b", "c"),
        ("a%7Cb", ""),
        ("sub-a", ""),
        ("ü 'x'", "ns:1"),
    ]
    for number, (thread, ns) in enumerate(names):
        put(saver, number, thread=thread, ns=ns)
    for number, (thread, ns) in enumerate(names):
        assert ids(saver.list(config(thread, ns))) == [f"id-{number}"]
    saver.delete_thread("a")
    assert len(saver.list(None)) == len(names) - 2


# -- channels that keep their writes ------------------------------------------------------------


def test_a_channels_history_is_found_past_what_was_pruned(saver):
    put(saver, 1, values={"a": "seed"})
    for number in (2, 3):
        where = put(saver, number, parent=f"id-{number - 1}")
        saver.put_writes(config(checkpoint=f"id-{number - 1}"), [("a", number - 1), ("b", 0)], "task")
        saver.put_writes(where, [("a", "pending")] if number == 3 else [], "later")
    whole = saver.get_delta_channel_history(config=config(checkpoint="id-3"), channels=["a", "b"])
    assert whole["a"] == {"writes": [("task", "a", 1), ("task", "a", 2)], "seed": "seed"}
    assert whole["b"] == {"writes": [("task", "b", 0), ("task", "b", 0)]}
    saver.prune(["t"])
    found = saver.get_delta_channel_history(config=config(), channels=["a"])
    assert found["a"]["seed"] == "seed"


# -- each kind ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sqlite", "sqlite async"])
def test_files_keep_what_was_put(tmp_path, kind):
    path = tmp_path / "threads.db"
    with opened(kind, path) as saver:
        where = put(saver, 1, values={"a": [1], "big": "x" * 100})
        put(saver, 2, parent="id-1", values={"a": [1, 2], "big": "x" * 100})
        saver.put_writes(where, [("a", 1)], "task")
        saver.put_writes(config("waiting", checkpoint="id-9"), [("a", 1)], "task")
    with opened(kind, path) as saver:
        assert ids([*saver.list(config())]) == ["id-2", "id-1"]
        assert saver.get(config())["channel_values"] == {"a": [1, 2], "big": "x" * 100}
        assert saver.get_tuple(where).pending_writes == [("task", "a", 1)]
        put(saver, 9, thread="waiting")
        assert saver.get_tuple(config("waiting")).pending_writes == [("task", "a", 1)]


def test_a_value_that_does_not_change_is_kept_once(tmp_path):
    with opened("sqlite", tmp_path / "threads.db") as saver:
        for number in range(10, 30):
            put(saver, number, values={"big": "x" * 10_000, "n": number})
        size = sum(len(record.data) for record in saver.log.read("run-t"))
        assert size < 30_000
        found = [one.checkpoint["channel_values"] for one in saver.list(config())]
    assert found == [{"big": "x" * 10_000, "n": number} for number in reversed(range(10, 30))]


def test_only_changed_channels_are_kept_in_memory():
    saver = InMemorySaver()
    put(saver, 1, values={"a": 1, "b": 1})
    second = create_checkpoint(saver.get(config()), None, 2, id="id-2")
    second["channel_values"] = {"a": 2, "b": "not told of"}
    second["channel_versions"] = {"a": 2, "b": 1, "gone": 1}
    saver.put(config(checkpoint="id-1"), second, {}, {"a": 2, "gone": 1})
    assert saver.get(config())["channel_values"] == {"a": 2, "b": 1}


async def test_the_synchronous_saver_says_which_one_is_for_asyncio():
    with SqliteSaver.from_conn_string(":memory:") as saver:
        for call in (
            saver.aget(config()),
            saver.aget_tuple(config()),
            saver.aput(config(), empty_checkpoint(), {}, {}),
            saver.aput_writes(config(), [], "task"),
            saver.adelete_thread("t"),
        ):
            with pytest.raises(NotImplementedError, match="AsyncSqliteSaver"):
                await call
        with pytest.raises(NotImplementedError, match="AsyncSqliteSaver"):
            async for _ in saver.alist(config()):
                pass


async def test_savers_are_context_managers(tmp_path):
    saver = MemorySaver()
    async with saver as same:
        assert same is saver
    with saver as same:
        assert same is saver
    path = str(tmp_path / "threads.db")
    async with AsyncSqliteSaver.from_conn_string(path) as kept:
        await kept.setup()
        await kept.aput(config(), empty_checkpoint(), {}, {})
    connection = sqlite3.connect(path, check_same_thread=False)
    again = SqliteSaver(connection)
    again.setup()
    assert again.get(config()) is not None
    again.close()
    connection.close()


def test_a_connection_of_another_sort_is_refused():
    with pytest.raises(TypeError, match="path or a connection of aiosqlite"):
        AsyncSqliteSaver(object())


def test_nobody_writes_into_a_thread_while_it_runs(saver):
    log = saver.saver.log
    owner = f"{log.instance}/run"
    log.append(Append("run-t", owner=owner, claim=True))
    for call in (
        lambda: put(saver, 1),
        lambda: saver.put_writes(config(checkpoint="id-1"), [("a", 1)], "task"),
    ):
        with pytest.raises(OwnershipConflictError):
            call()
    put(saver, 1, thread="other")


def test_classes_that_were_allowed_come_back_only_there():
    saver = InMemorySaver(serde=JsonPlusSerializer(allowed_msgpack_modules=None))
    wider = saver.with_allowlist([(Pet.__module__, "Pet")])
    put(wider, 1, values={"pet": Pet(name="rex")})
    assert wider.get(config())["channel_values"] == {"pet": Pet(name="rex")}
    assert saver.get(config())["channel_values"] == {"pet": {"name": "rex"}}
    saver.registry.register(Pet)
    assert saver.get(config())["channel_values"] == {"pet": Pet(name="rex")}
