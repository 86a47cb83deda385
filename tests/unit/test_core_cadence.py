"""When savers show a delta channel's whole value: after so many updates or steps, and when it is replaced."""

import pytest

from dashflow.core.cadence import LIMIT, counted, is_whole, joined, overwritten
from dashflow.types import Overwrite

pytestmark = pytest.mark.feature("CHAN-004")


def test_updates_and_steps_are_counted_until_the_value_is_shown():
    counters = joined({}, {"a": 3, "b": 2})
    shown = []
    for changed in ({"a"}, {"a", "b"}, {"b"}, {"a"}, set()):
        counters = counted(counters, changed, ())
        shown.append({name for name, (_, _, steps) in counters.items() if not steps})
    assert shown == [set(), set(), {"b"}, {"a"}, set()]
    assert counters == {"a": (3, 0, 1), "b": (2, 0, 2)}


def test_a_channel_that_is_not_updated_is_shown_in_the_end():
    assert counted({"a": (100, 1, LIMIT - 2)}, (), ()) == {"a": (100, 1, LIMIT - 1)}
    assert counted({"a": (100, 1, LIMIT - 1)}, (), ()) == {"a": (100, 0, 0)}


def test_a_replaced_value_is_shown():
    replaced = overwritten([("a", [1]), ("b", Overwrite([2])), ("c", {"__overwrite__": 3})])
    assert replaced == {"b", "c"}
    assert counted({"a": (9, 1, 1), "b": (9, 1, 1)}, {"a", "b"}, replaced) == {"a": (9, 2, 2), "b": (9, 0, 0)}


def test_a_run_that_keeps_only_its_end_starts_anew_after_it():
    counters = counted({"a": (2, 1, 1), "b": (9, 1, 1)}, {"a"}, {"b"}, once=True)
    assert counters == {"a": (2, 2, 2), "b": (9, 9, 2)}
    assert all(map(is_whole, counters.values()))
    assert joined(counters, {"a": 2, "b": 9}) == {"a": (2, 0, 0), "b": (9, 0, 0)}


def test_another_graph_has_other_delta_channels():
    assert joined({"a": (9, 1, 2), "b": (9, 1, 1)}, {"a": 5, "c": 7}) == {"a": (5, 1, 2), "c": (7, 0, 0)}
