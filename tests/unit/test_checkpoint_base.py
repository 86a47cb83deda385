"""What savers are made of: the base class's promises, and the small functions on checkpoints."""

import logging

import pytest

from dashflow.channels import EphemeralValue, LastValue
from dashflow.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    CheckpointTuple,
    copy_checkpoint,
    create_checkpoint,
    empty_checkpoint,
    get_checkpoint_id,
    get_checkpoint_metadata,
    get_serializable_checkpoint_metadata,
    writes_sort_key,
)
from dashflow.checkpoint.base.id import uuid6
from dashflow.checkpoint.serde.jsonplus import JsonPlusSerializer

pytestmark = pytest.mark.feature("PERSIST-006")

CONFIG = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("get", (CONFIG,)),
        ("get_tuple", (CONFIG,)),
        ("list", (CONFIG,)),
        ("put", (CONFIG, {}, {}, {})),
        ("put_writes", (CONFIG, [], "task")),
        ("delete_thread", ("t",)),
        ("delete_for_runs", (["r"],)),
        ("copy_thread", ("a", "b")),
        ("prune", (["t"],)),
    ],
)
async def test_what_a_saver_does_not_do_is_said(method, arguments):
    saver = BaseCheckpointSaver()
    with pytest.raises(NotImplementedError):
        getattr(saver, method)(*arguments)
    found = getattr(saver, f"a{method}")(*arguments)
    with pytest.raises(NotImplementedError):
        await (anext(found) if method == "list" else found)


def test_versions_count_up():
    saver = BaseCheckpointSaver()
    assert [saver.get_next_version(v, None) for v in (None, 1, 1.5)] == [1, 2, 2.5]
    with pytest.raises(NotImplementedError):
        saver.get_next_version("1", None)
    assert saver.config_specs == []


def test_a_serialiser_of_another_sort_decides_by_itself(caplog):
    class Own:
        def dumps_typed(self, obj):
            return "own", b""

        def loads_typed(self, data):
            return None

    saver = BaseCheckpointSaver(serde=Own())
    caplog.set_level(logging.WARNING, logger="dashflow.checkpoint.base")
    assert saver.with_allowlist([("m", "n")]) is saver
    assert "does not support msgpack allowlist" in caplog.text


def test_an_allowlist_makes_a_copy():
    saver = BaseCheckpointSaver(serde=JsonPlusSerializer(allowed_msgpack_modules=None))
    wider = saver.with_allowlist([("m", "n")])
    assert wider is not saver
    assert wider.serde is not saver.serde
    assert wider.with_allowlist([("m", "n")]) is wider


class Chain(BaseCheckpointSaver[str]):
    """Three checkpoints; the first stores the channel, each has writes."""

    def get_tuple(self, config):
        number = int(config["configurable"]["checkpoint_id"])
        before = {"configurable": {"checkpoint_id": str(number - 1)}} if number else None
        checkpoint = {"channel_values": {"a": "seed"} if number == 1 else {}}
        writes = [("task", "a", f"w{number}"), ("task", "b", number), ("task", "a", f"x{number}")]
        return CheckpointTuple(config, checkpoint, {}, before, writes)

    async def aget_tuple(self, config):
        return self.get_tuple(config)


async def test_a_channels_history_goes_back_to_its_stored_value():
    config = {"configurable": {"checkpoint_id": "3"}}
    saver = Chain()
    found = saver.get_delta_channel_history(config=config, channels=["a", "b"])
    assert found["a"]["seed"] == "seed"
    assert [value for _, _, value in found["a"]["writes"]] == ["w1", "x1", "w2", "x2"]
    assert "seed" not in found["b"]
    assert [value for _, _, value in found["b"]["writes"]] == [0, 1, 2]
    assert await saver.aget_delta_channel_history(config=config, channels=["a", "b"]) == found
    assert saver.get_delta_channel_history(config=config, channels=[]) == {}


def test_ids_sort_by_time_and_carry_a_number():
    ids = [uuid6(clock_seq=step) for step in (-2, 5, 3, None)]
    assert [str(one) for one in ids] == sorted(str(one) for one in ids)
    assert [one.version for one in ids] == [6] * 4
    assert ids[1].clock_seq == 5
    assert uuid6(node=7).node == 7


def test_checkpoints_are_made_and_copied():
    first = empty_checkpoint()
    assert (first["v"], first["channel_values"], first["pending_sends"]) == (2, {}, [])
    first["channel_versions"] = {"a": 1, "b": 1}
    channels = {"a": LastValue(int), "b": EphemeralValue(int), "never written": LastValue(int)}
    channels["a"].update([5])
    second = create_checkpoint(first, channels, 3, id="chosen")
    assert second["channel_values"] == {"a": 5}
    assert second["id"] == "chosen"
    assert create_checkpoint(second, None, 4)["channel_values"] is second["channel_values"]
    copied = copy_checkpoint(second)
    copied["channel_values"]["a"] = 6
    copied["channel_versions"]["a"] = 2
    assert second["channel_values"] == {"a": 5}
    assert second["channel_versions"]["a"] == 1


def test_metadata_takes_what_the_caller_said():
    config = {
        "configurable": {"thread_id": "t", "checkpoint_id": "c", "user": "u\x00", "__secret": 1, "list": []},
        "metadata": {"run_id": "r", "step": 99, "langgraph_step": 1, "ratio": 0.5},
    }
    metadata = {"source": "loop", "step": 1, "writes": {"a": 1}, "text": "a\x00b"}
    found = {**metadata, "text": "ab", "user": "u", "run_id": "r", "ratio": 0.5}
    assert get_checkpoint_metadata(config, metadata) == found
    del found["writes"]
    assert get_serializable_checkpoint_metadata(config, metadata) == found
    assert get_checkpoint_id(config) == "c"


def test_writes_sort_by_path_then_task_then_index():
    keys = [writes_sort_key("b", "1", 0), writes_sort_key("a", "2", 1), writes_sort_key("a", "2", -1)]
    assert sorted(keys) == keys[::-1]
    assert WRITES_IDX_MAP == {"__error__": -1, "__scheduled__": -2, "__interrupt__": -3, "__resume__": -4}
