"""Values as threads keep them: whatever is done to them as bytes, they are the values that they would be."""

import copy
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage

from dashflow.checkpoint import kept
from dashflow.checkpoint.kept import Classes, Stored, from_stored
from dashflow.checkpoint.snapshots import from_snapshot, to_snapshot
from dashflow.core.delta import patch
from dashflow.core.fold import ThreadState
from dashflow.core.kept import Values, tail_of
from dashflow.log.codec import Registry, decode, encode

pytestmark = pytest.mark.feature("NEW-02")

CLASSES = Classes(Registry(), "raise")
ITEMS = st.one_of(
    st.none(),
    st.integers(),
    st.text(max_size=3),
    st.tuples(st.integers()),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
    st.text(max_size=3).map(HumanMessage),
)
LISTS = st.lists(ITEMS, max_size=6)


def stored(value: Any) -> Stored:
    """A value that was folded from an event: whole, or as bytes, or packed."""
    one = kept.kept(value, CLASSES)
    assert isinstance(one, Stored)
    return one


def splice(draw: Any, length: int) -> list[Any]:
    """A splice that fits a list, mostly at its end."""
    start = draw(st.one_of(st.just(length), st.integers(0, length)))
    return [start, draw(st.integers(0, length - start)), draw(LISTS)]


@given(st.data())
def test_lists_change_as_bytes_as_they_do_as_values(data):
    value: Any = data.draw(LISTS)
    one, owned = stored(list(value)), stored(list(value))
    if data.draw(st.booleans()):
        one = from_stored(one.data(), CLASSES, frame=False)
    for _ in range(data.draw(st.integers(0, 6))):
        op = ["l", splice(data.draw, len(value))]
        before, then = one, value
        value, one, owned = patch(value, op), one.patched(op), owned.patched(op, owned=True)
        assert before.value() == then  # whoever has the earlier state still has it
        if data.draw(st.booleans()):  # somebody looks
            assert one.value() == value
    assert one.value() == value == owned.value()
    assert encode(one.value()) == encode(value) == one.data()
    if value:
        count = data.draw(st.integers(1, len(value)))
        assert one.tail(count) == value[-count:]


@given(
    st.dictionaries(st.one_of(st.text(max_size=2), st.integers()), ITEMS, max_size=4),
    st.dictionaries(st.one_of(st.text(max_size=2), st.integers()), ITEMS, max_size=4),
)
def test_dicts_change_as_they_do_as_values(before, change):
    op = ["d", change, [*before][:1]]
    wanted = patch(before, op)
    for one in (stored(dict(before)), from_stored(encode(before), CLASSES, frame=False)):
        assert [*one.patched(op).value().items()] == [*wanted.items()]
        assert one.value() == before


@given(st.sets(st.integers(), max_size=6), st.sets(st.integers(), max_size=3))
def test_sets_change_as_they_do_as_values(before, come):
    op = ["s", [*come], [*before][:2]]
    one = from_stored(encode(before), CLASSES, frame=False)
    assert one.patched(op).value() == patch(before, op)


@pytest.mark.parametrize("op", [["l", [9, 1, []]], ["d", {}, []], ["?"]])
def test_a_change_that_does_not_fit_is_an_error(op):
    with pytest.raises(ValueError, match="fit"):
        from_stored(encode([1, 2]), CLASSES, frame=False).patched(op)


def test_a_list_that_grows_is_kept_in_few_pieces():
    one = stored([])
    one.data()
    for number in range(1000):
        one = one.patched(["l", [number, 0, [number]]])
    assert one.value() == [*range(1000)]
    assert len(one._form.pieces) <= 12  # type: ignore[union-attr]  # what this is about


def test_everybody_has_values_of_his_own():
    one = stored([HumanMessage("a"), {"b": [1]}])
    mine, yours = one.value(), one.value()
    mine[0].content, mine[1]["b"][0] = "x", 2
    mine.append(3)
    assert yours == one.value() == [HumanMessage("a"), {"b": [1]}]


def test_values_are_a_dict_whose_items_are_made_once():
    values = Values({"n": 1, "list": stored([1]), "none": None})
    made = values["list"]
    assert values["list"] is made is values.get("list") is dict(values)["list"] is {**values}["list"]
    assert [made, 1] == [values.get("list"), values.get("n")]
    assert values.get("none", 3) is None
    assert values.get("absent", 3) == 3
    assert values == {"n": 1, "list": [1], "none": None}
    assert values == {"n": 1, "list": [1], "none": None}
    assert values != {"n": 1}
    assert [*values] == ["n", "list", "none"]
    assert [*values.items()] == [("n", 1), ("list", [1]), ("none", None)]
    assert [*values.values()] == [1, [1], None]
    assert repr(values) == "{'n': 1, 'list': [1], 'none': None}"
    assert (values | {"n": 2})["n"] == 2
    assert copy.deepcopy(values) == values
    assert values.copy()["list"] is not made
    assert tail_of(values, "list", 1) == tail_of({"list": [1]}, "list", 1) == [1]
    with pytest.raises(KeyError):
        values["absent"]


@given(
    st.dictionaries(st.sampled_from("abcd"), st.one_of(LISTS, ITEMS, st.sets(st.integers()))), st.booleans()
)
def test_a_state_comes_back_from_its_snapshot(values, whole):
    parts = {name: kept.kept(value, CLASSES) for name, value in values.items()}
    state = ThreadState(
        version=7,
        values=values if whole else Values(parts),
        wrote={"a": [["a"], ["b", 2]]},
        done={"t": [("a", 1)]},
    )
    found = from_snapshot(to_snapshot(state, CLASSES), CLASSES)
    assert found is not None
    assert [*found.values.items()] == [*values.items()]
    assert found.wrote == state.wrote
    assert found.done == state.done


def test_large_values_are_packed_in_a_snapshot_and_unpacked_when_somebody_looks():
    talk = [{"role": "user", "content": f"{number} and so on and on"} for number in range(5000)]
    state = ThreadState(version=1, values=Values({"talk": stored(talk)}))
    snapshot = to_snapshot(state, CLASSES)
    assert len(snapshot.data) < len(encode(talk)) / 3
    found = from_snapshot(snapshot, CLASSES)
    assert found is not None
    part = found.values.part("talk")  # type: ignore[attr-defined]  # Values
    assert len(part._form.data) < len(encode(talk)) / 3
    assert found.values["talk"] == talk
    assert to_snapshot(found, CLASSES).data == snapshot.data


@pytest.mark.parametrize(
    "data", [b"", b"\x90", encode({"kept": 1}), encode({"values": {}, "kept": [[1], {}, {}]})]
)
def test_a_damaged_snapshot_is_none(data):
    good = to_snapshot(ThreadState(version=1), CLASSES)
    assert from_snapshot(type(good)(1, data, good.schema), CLASSES) is None
    assert from_snapshot(type(good)(1, good.data, 1), CLASSES) is None


def test_threads_that_look_at_once_each_get_the_value():
    one = stored([AIMessage(str(number)) for number in range(200)]).patched(
        ["l", [200, 0, [HumanMessage("z")]]]
    )
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(one.value())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert all(value == found[0] for value in found)
    assert len({id(value) for value in found}) == 8


def test_what_is_kept_of_a_value_is_what_its_encoding_is():
    value = {"set": {1, 2}, "message": HumanMessage("a"), "list": [(1,), 2**80, "\ud800"]}
    one = from_stored(encode(value), CLASSES, frame=False)
    assert decode(one.data()) == value == one.value()
