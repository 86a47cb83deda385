"""Ids: the same as LangGraph's where stored data or tests know them, and sortable where time makes them."""

import uuid

from hypothesis import given
from hypothesis import strategies as st

from dashflow._util.ids import digest, hex_to_uuid, interrupt_id, path_text, task_id, uuid6, uuid7


def test_task_ids_depend_on_every_part():
    base = task_id(b"checkpoint", "ns", "1", "node", b"x")
    assert uuid.UUID(base)
    assert base == hex_to_uuid(digest(b"checkpointns1nodex"))
    assert task_id(b"checkpoint", "ns", "2", "node", b"x") != base


@given(
    st.lists(st.integers(0, 99), min_size=1, max_size=3), st.lists(st.integers(0, 99), min_size=1, max_size=3)
)
def test_paths_as_text_sort_as_paths_of_one_length_do(one, other):
    size = min(len(one), len(other))
    first, second = tuple(one[:size]), tuple(other[:size])
    assert (path_text(first) < path_text(second)) is (first < second)


def test_a_path_as_text():
    assert path_text(("__pregel_push", ("__pregel_pull", "a"), 3)) == (
        "~__pregel_push, ~__pregel_pull, a, 0000000003"
    )


def test_each_question_of_a_task_has_its_own_id():
    ids = [interrupt_id("node:task", answered) for answered in range(4)]
    assert ids[0] == digest("node:task")
    assert len(set(ids)) == 4


@given(st.integers(0, 2**60), st.integers(0, 2**60), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_version_7_ids_sort_by_time(one, other, entropy, more):
    first, second = uuid7(one, entropy), uuid7(other, more)
    assert uuid.UUID(bytes=first).version == 7
    assert uuid.UUID(bytes=first).variant == uuid.RFC_4122
    if other // 1_000_000 > one // 1_000_000:
        assert first < second


@given(st.integers(0, 2**55), st.integers(1, 2**20), st.integers(0, 2**14 - 1), st.integers(0, 2**48 - 1))
def test_version_6_ids_sort_by_time_and_carry_what_they_were_given(ticks, later, sequence, node):
    first, second = uuid6(ticks, sequence, node), uuid6(ticks + later, 0, 0)
    parsed = uuid.UUID(first)
    assert (parsed.version, parsed.variant) == (6, uuid.RFC_4122)
    assert (parsed.node, parsed.int >> 48 & 0x3FFF) == (node, sequence)
    assert first < second
