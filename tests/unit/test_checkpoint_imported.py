"""Imported checkpoints: numbers for versions, what old layouts become, and what a fold makes of imports."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashflow.checkpoint.imported import numbering
from dashflow.checkpoint.imported_layout import upcast
from dashflow.checkpoint.thread import stream_of, thread_of
from dashflow.core.events import (
    CheckpointImported,
    CheckpointsForgotten,
    Content,
    ValuesImported,
    WritesImported,
)
from dashflow.core.fold import EMPTY, ThreadState, fold

pytestmark = pytest.mark.feature("PERSIST-006")

labels = st.one_of(
    st.sets(st.integers(0, 50)),
    st.sets(st.floats(0, 50, allow_nan=False)),
    st.sets(st.builds(lambda n, f: f"{n:032}.{f:016}", st.integers(0, 20), st.floats(0, 1))),
    st.sets(st.text("abc")),
    st.sets(st.text("0123.", min_size=1)),
)


@given(labels)
def test_numbers_keep_the_order_of_versions(versions):
    number = numbering(versions)
    assert number.keys() == versions
    assert len(set(number.values())) == len(versions)
    ordered = sorted(versions)
    assert sorted(versions, key=number.__getitem__) == ordered


def test_numbers_are_the_versions_own_where_they_can_be():
    assert numbering([f"{3:032}.{0.5:016}", f"{7:032}.{0.25:016}"]) == {
        f"{3:032}.{0.5:016}": 3,
        f"{7:032}.{0.25:016}": 7,
    }
    assert numbering([1, 1.5]) == {1: 1, 1.5: 2}
    assert set(numbering([1, "00002.0"]).values()) == {1, 2}


@given(st.text(), st.text())
def test_a_stream_belongs_to_one_thread_and_namespace(thread, ns):
    assert thread_of(stream_of(thread, ns)) == (thread, ns)


def test_threads_and_namespaces_are_not_mixed_up():
    assert (
        len({stream_of("a|b", "c"), stream_of("a", "b|c"), stream_of("a%7Cb", "c"), stream_of("a|b|c")}) == 4
    )


# -- old layouts --------------------------------------------------------------------------------


def old(**fields):
    return ThreadState(checkpoint=1, layout=2, **fields)


def test_channels_of_edges_become_those_of_nodes():
    state = old(
        values={"start:a": "x", "branch:a:choose:b": "y", "kept": 1},
        versions={"start:a": 2, "branch:a:choose:b": 3, "branch:to:b": 1, "kept": 1, "start:gone": 1},
        seen={"a": {"start:a": 2}, "b": {"branch:to:b": 1}, "__interrupt__": {"branch:a:choose:b": 3}},
    )
    now = upcast(state, {"a", "b"}, {})
    assert now.values == {"branch:to:a": "x", "branch:to:b": "y", "kept": 1}
    assert now.versions == {"branch:to:a": 2, "branch:to:b": 3, "kept": 1, "start:gone": 1}
    assert now.seen["a"] == {"branch:to:a": 2}
    assert now.seen["b"] == {"branch:to:b": 1}
    assert now.seen["__interrupt__"] == {"branch:to:b": 3}


def test_channels_of_nodes_wake_those_that_follow():
    state = old(values={"a": "a"}, versions={"a": 2}, seen={"b": {"a": 2}})
    now = upcast(state, {"a", "b", "c"}, {"a": ["b", "c"]})
    assert now.values == {"branch:to:b": "a", "branch:to:c": "a"}
    assert now.versions == {"branch:to:b": 2, "branch:to:c": 2}
    assert now.seen == {"b": {"branch:to:b": 2}}


def test_present_layouts_are_left_alone():
    state = ThreadState(checkpoint=1, layout=3, versions={"start:a": 1})
    assert upcast(state, {"a"}, {}) is state


# -- folding ------------------------------------------------------------------------------------


def imported(identifier, *, latest=True, **values):
    content = Content(
        at=7,
        step=3,
        source="loop",
        meta={"step": 3},
        values=values,
        versions=dict.fromkeys(values, 1),
        seen={},
        updated=frozenset(),
        labels={},
    )
    return CheckpointImported(identifier, ["", b""], ["", b""], "before", latest, content=content)


def folded(*events, state=EMPTY):
    for event in events:
        state = fold(state, event, state.version + 1, 1)
    return state


def test_the_latest_import_is_where_the_thread_is():
    state = folded(imported("5", a=1), imported("3", latest=False, a=0))
    assert (state.version, state.checkpoint, state.id, state.parent_id) == (2, 1, "5", "before")
    assert (state.values, state.step, state.at) == ({"a": 1}, 3, 7)


def test_writes_wait_for_their_checkpoint():
    first = WritesImported("5", "task", [], "path", [[0, "a", 1], [-1, "__error__", "e"]])
    again = WritesImported("5", "task", [], "path", [[0, "a", 2], [-1, "__error__", "f"]])
    state = folded(first, imported("5", a=1), again, ValuesImported([]))
    assert state.loose["5"]["path", "task"] == [[0, "a", 1], [-1, "__error__", "f"]]
    assert state.version == 4


def test_what_is_forgotten_is_gone():
    state = folded(imported("5", a=1), CheckpointsForgotten(all=True, base=0))
    assert state == ThreadState(version=2)
    assert folded(imported("5", a=1), CheckpointsForgotten(["4"])).id == "5"


def test_an_import_that_was_not_read_is_refused():
    with pytest.raises(ValueError, match="not read"):
        folded(CheckpointImported("5", ["", b""], ["", b""]))
