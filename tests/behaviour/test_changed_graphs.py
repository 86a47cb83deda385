"""Threads in flight across a change of their graph: a table of kinds, and none is silently wrong."""

from contextlib import nullcontext

import pytest

from dashflow.errors import IncompatibleGraphError
from dashflow.types import Migration
from dashflow.warnings import ChangedQuestionWarning
from tests.behaviour.changes import CONFIG, ROWS, first_part, is_right, package, second_part

pytestmark = [pytest.mark.feature("NEW-12"), pytest.mark.feature("SCHEMA-005")]

G = package("dashflow")
EVERY = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name.replace(" ", "-"))


def records(saver):
    return [(record.stream, record.type, record.data) for record in saver.log.read_all()]


def test_the_table_has_what_it_promises():
    assert len(ROWS) >= 30
    assert len({row.name for row in ROWS}) == len(ROWS)


@EVERY
@pytest.mark.guarantee("changed-graphs")
def test_a_change_without_a_word_is_right_or_refused(row):
    saver = G.InMemorySaver()
    first_part(G, row, saver)
    before = records(saver)
    if row.outcome == "continues":
        assert is_right(row, second_part(G, row, saver))
        started = [record for record in saver.log.read_all() if record.type == "RunStarted"]
        assert (
            b"shape" in started[-1].data
            or row.before(G).compile().plan.print == row.after(G).compile().plan.print
        )
        return
    if row.outcome == "asks anew":
        with pytest.warns(ChangedQuestionWarning):
            assert is_right(row, second_part(G, row, saver))
        (asked,) = row.after(G).compile(checkpointer=saver).get_state(CONFIG).interrupts
        assert asked.value == "Delete everything?"  # which nobody has answered
        return
    with pytest.raises(IncompatibleGraphError) as caught:
        second_part(G, row, saver)
    assert {one.kind for one in caught.value.obstacles} == {row.outcome.removeprefix("refused: ")}
    assert records(saver) == before  # nothing was done
    graph = row.before(G).compile(checkpointer=saver)  # and the version that it knows goes on with it
    answer = G.Command(resume="yes") if row.stop == "asks" else None
    with pytest.raises(ValueError, match="not today") if row.stop == "failed" else nullcontext():
        graph.invoke(answer, CONFIG)
    assert (graph.get_state(CONFIG).next == ()) == (row.stop != "failed")


DECLARED = [row for row in ROWS if row.declared is not None]


@pytest.mark.guarantee("changed-graphs")
@pytest.mark.parametrize("row", DECLARED, ids=lambda row: row.name.replace(" ", "-"))
def test_a_declared_change_goes_on(row):
    saver = G.InMemorySaver()
    first_part(G, row, saver)
    assert is_right(row, second_part(G, row, saver, **row.declared(Migration)))
