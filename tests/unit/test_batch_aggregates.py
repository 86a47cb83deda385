"""Aggregates of results: exact where they say so, near where they say how near, the same in any order."""

import math
import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashflow.batch import Count, GroupBy, Reduce, Stats, Summary
from dashflow.batch.quantiles import Quantiles
from dashflow.errors import UsageError

pytestmark = pytest.mark.feature("BATCH-003")

numbers = st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=200)


def folded(aggregate, results):
    accumulator = aggregate.start()
    for result in results:
        accumulator = aggregate.add(accumulator, result)
    return aggregate.value(accumulator)


@given(numbers, st.sampled_from([0, 5, 50, 90, 99, 100]))
def test_percentiles_are_as_near_as_promised(values, percent):
    quantiles = Quantiles(0.01)
    for value in values:
        quantiles.add(value)
    exact = sorted(values)[math.floor(percent / 100 * (len(values) - 1))]
    assert quantiles.at(percent) == pytest.approx(exact, rel=0.0101, abs=1e-300)


def test_percentiles_of_nothing_are_refused():
    with pytest.raises(ValueError, match="no numbers"):
        Quantiles().at(50)


def test_memory_grows_with_magnitudes_and_not_with_numbers():
    quantiles = Quantiles(0.01)
    for number in range(1, 100_000):
        quantiles.add(number)
    assert len(quantiles._positive) < 600
    assert quantiles.at(50) == pytest.approx(50_000, rel=0.01)


@given(numbers, st.randoms(use_true_random=False))
def test_statistics_are_the_same_in_any_order_and_exact(values, chance):
    once = folded(Stats(), values)
    chance.shuffle(values)
    assert folded(Stats(), values) == once
    assert once.count == len(values)
    assert (once.min, once.max) == (min(values), max(values))
    assert once.sum == float(sum(map(Fraction, values)))


def test_statistics_of_nothing():
    assert folded(Stats(), []) == Summary()


@pytest.mark.parametrize("wrong", [{"accuracy": 0}, {"accuracy": 1}, {"percentiles": [101]}])
def test_statistics_that_cannot_be_are_refused(wrong):
    with pytest.raises(UsageError):
        Stats(**wrong)


def test_what_is_no_number_is_refused():
    with pytest.raises(ValueError, match="no number"):
        folded(Stats(), [math.nan])


def test_reduce_begins_anew_with_its_initial_value():
    reduce = Reduce(lambda seen, one: [*seen, one], [])
    assert folded(reduce, "ab") == ["a", "b"]
    changing = Reduce(lambda seen, one: seen.append(one) or seen, [])
    assert folded(changing, "ab") == ["a", "b"]
    assert folded(changing, "c") == ["c"]


def test_a_partial_value_stays_as_it_was():
    changing = Reduce(lambda seen, one: seen.append(one) or seen, [])
    accumulator = changing.add(changing.start(), 1)
    partial = changing.value(accumulator)
    changing.add(accumulator, 2)
    assert partial == [1]


def test_groups_hold_any_aggregate():
    sales = [{"to": "a", "sum": 1}, {"to": "b", "sum": 5}, {"to": "a", "sum": 2}]
    assert folded(GroupBy(lambda r: r["to"]), sales) == {"a": 2, "b": 1}
    by_customer = GroupBy(lambda r: r["to"], Stats(lambda r: r["sum"], percentiles=[50]))
    assert {group: of.sum for group, of in folded(by_customer, sales).items()} == {"a": 3, "b": 5}
    nested = GroupBy(lambda r: r["to"], GroupBy(lambda r: r["sum"] > 1, Count()))
    assert folded(nested, sales) == {"a": {False: 1, True: 1}, "b": {True: 1}}
    assert GroupBy(len, Reduce(max, 0, ordered=True)).ordered


def test_count_counts_what_it_is_told_to():
    assert folded(Count(), range(5)) == 5
    assert folded(Count(lambda one: one % 2), range(5)) == 2


def test_percentiles_of_many_magnitudes():
    chance = random.Random(1)
    values = [chance.lognormvariate(0, 2) for _ in range(20_000)]
    summary = folded(Stats(percentiles=[50, 99]), values)
    exact = sorted(values)
    assert summary.percentiles[50] == pytest.approx(exact[9_999], rel=0.0101)
    assert summary.percentiles[99] == pytest.approx(exact[19_799], rel=0.0101)
