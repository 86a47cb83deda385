"""The event log's contract, ninth part: views, that grow in step with the position they have seen."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from dashflow.errors import LogClosedError, VersionConflictError
from dashflow.log.base import Append, EventLog, Snapshot
from dashflow.testing.log_case import LogCase, Open, in_threads, new_events

KEYS = ["", "A", "a", "a%", "a_b", "aa", "ab", "b", "z", "ä", "é\u0301", "\uffff", "\U0001f600", "\U0010ffff"]
"""In key order: that of code points, whatever a database takes for the alphabet."""


class ViewContract(LogCase):
    """What every backend must do with views."""

    def test_a_view_that_is_not_there(self, log: EventLog) -> None:
        assert log.view_position("v") == 0
        assert log.view("v") == {}
        log.drop_view("v")

    def test_changes_and_position_in_one_commit(self, log: EventLog, opened: Open) -> None:
        log.project("v", 5, {"a": b"1", "b": b"2", "c": b""}, expected=0)
        log.project("v", 9, {"a": b"3", "b": None, "d": b"4", "never": None}, expected=5)
        for source in (log, opened()):
            assert source.view_position("v") == 9
            assert source.view("v") == {"a": b"3", "c": b"", "d": b"4"}
            assert source.view_position("w") == 0
            assert source.view("w") == {}

    def test_a_view_may_look_on_without_changing(self, log: EventLog) -> None:
        log.project("v", 5, {}, expected=0)
        log.project("v", 7, {}, expected=5)
        log.project("v", 7, {"a": b"1"}, expected=7)
        assert (log.view_position("v"), log.view("v")) == (7, {"a": b"1"})

    @pytest.mark.parametrize("expected", [0, 4, 6])
    def test_at_another_position_nothing_changes(self, log: EventLog, expected: int) -> None:
        log.project("v", 5, {"a": b"1"}, expected=0)
        with pytest.raises(VersionConflictError) as caught:
            log.project("v", 9, {"a": b"2", "b": b"3"}, expected=expected)
        assert caught.value.data == {"stream": "v", "expected": expected, "actual": 5}
        with pytest.raises(VersionConflictError):
            log.project("new", 9, {"a": b"2"}, expected=3)
        assert (log.view_position("v"), log.view("v")) == (5, {"a": b"1"})
        assert (log.view_position("new"), log.view("new")) == (0, {})

    def test_keys_are_in_the_order_of_code_points(self, log: EventLog) -> None:
        assert sorted(KEYS) == KEYS
        log.project("v", 1, {key: key.encode() for key in reversed(KEYS)}, expected=0)
        found = log.view("v")
        assert list(found) == KEYS
        assert all(value == key.encode() for key, value in found.items())

    @pytest.mark.parametrize("prefix", ["", *KEYS[1:], "none", "a_", "\U0010ffff\U0010ffff"])
    def test_by_prefix_and_in_pages(self, log: EventLog, prefix: str) -> None:
        log.project("other", 1, {"a": b"x", "aaa": b"x"}, expected=0)
        log.project("v", 1, dict.fromkeys(KEYS, b"x"), expected=0)
        expected = [key for key in KEYS if key.startswith(prefix)]
        assert list(log.view("v", prefix=prefix)) == expected
        for after in KEYS:
            rest = [key for key in expected if key > after]
            assert list(log.view("v", prefix=prefix, after=after or "")) == (rest if after else expected)
            assert (
                list(log.view("v", prefix=prefix, after=after, limit=2)) == (rest if after else expected)[:2]
            )
        assert log.view("v", prefix=prefix, limit=0) == {}

    def test_large_values(self, log: EventLog) -> None:
        data = b"value " * 100_000
        log.project("v", 1, {"a": data, "b": b"small"}, expected=0)
        assert log.view("v") == {"a": data, "b": b"small"}

    def test_a_dropped_view_begins_again(self, log: EventLog, opened: Open) -> None:
        other = opened()
        log.project("v", 5, {"a": b"1"}, expected=0)
        log.project("vv", 6, {"a": b"2"}, expected=0)
        other.drop_view("v")
        assert (log.view_position("v"), log.view("v")) == (0, {})
        with pytest.raises(VersionConflictError):
            log.project("v", 9, {}, expected=5)
        log.project("v", 3, {"b": b"3"}, expected=0)
        assert (other.view_position("v"), other.view("v")) == (3, {"b": b"3"})
        assert (other.view_position("vv"), other.view("vv")) == (6, {"a": b"2"})

    def test_views_are_no_events(self, log: EventLog) -> None:
        last = log.append(Append("run-1", new_events(1)))
        log.project("run-1", 1, {"a": b"1"}, expected=0)
        assert log.version("run-1") == len(log.read_all()) == len(log.streams()) == 1
        assert log.append(Append("run-1", new_events(1), expected=1)).position > last.position

    def test_of_many_who_keep_a_view_each_step_is_made_once(self, log: EventLog, opened: Open) -> None:
        other = opened()

        def work(source: EventLog) -> int:
            made = 0
            for _ in range(20):
                at = source.view_position("v")
                try:
                    source.project("v", at + 1, {f"{at:03}": b"x"}, expected=at)
                    made += 1
                except VersionConflictError:
                    continue
            return made

        steps = sum(in_threads([partial(work, source) for source in (log, other, log, other)]))
        assert log.view_position("v") == len(log.view("v")) == steps >= 20

    def test_a_closed_log_says_so(self, log: EventLog) -> None:
        log.close()
        uses: list[Callable[[], object]] = [
            log.abandoned,
            lambda: log.blob(b"key"),
            lambda: log.keep_snapshot("run-1", Snapshot(1, b"")),
            lambda: log.snapshot("run-1"),
            lambda: log.project("v", 1, {}, expected=0),
            lambda: log.view_position("v"),
            lambda: log.view("v"),
            lambda: log.drop_view("v"),
        ]
        for use in uses:
            with pytest.raises(LogClosedError):
                use()
