"""Recorded histories, replayed by every build: the same states, and the same way through the graph."""

import json

import pytest

from dashflow.checkpoint.saver import LogSaver
from dashflow.testing.replay import assert_replays, replay_log
from tests.histories.digests import digest_of
from tests.histories.others import OTHERS
from tests.histories.programs import PROGRAMS
from tests.histories.record import FOLDER, KEPT, brought, recorded, told_of

pytestmark = [pytest.mark.feature("NEW-04"), pytest.mark.feature("DBG-01")]

DIGESTS = json.loads(KEPT.read_text(encoding="utf-8"))
EVERY = pytest.mark.parametrize("name", sorted(DIGESTS))
THREADS = pytest.mark.parametrize("name", sorted(PROGRAMS))


def test_every_history_is_kept_and_there_are_enough():
    assert {path.stem for path in FOLDER.iterdir()} == set(DIGESTS) == {*PROGRAMS, *OTHERS}
    assert len(DIGESTS) >= 50


@EVERY
@pytest.mark.guarantee("old-histories")
@pytest.mark.feature("SCHEMA-005")
def test_an_old_history_comes_to_the_same_states(name):
    assert told_of(name, brought(name)) == DIGESTS[name]


@THREADS
@pytest.mark.guarantee("old-histories")
def test_an_old_history_goes_the_same_way(name):
    log = brought(name)
    (told,) = [one for one in replay_log(PROGRAMS[name].compile(LogSaver(log)), log) if one.thread_id == "t"]
    assert (told.verdict, told.divergence, told.reason) == ("same", None, "")


@THREADS
def test_the_program_still_comes_to_the_same(name):
    graph = PROGRAMS[name].compile
    old, new = brought(name), recorded(name)
    assert digest_of(old, graph(LogSaver(old)), ids=False) == digest_of(new, graph(LogSaver(new)), ids=False)


def test_a_changed_program_is_told_apart():
    with pytest.raises(AssertionError, match="n1"):
        assert_replays(PROGRAMS["chain-1"].compile(None), str(FOLDER / "chain-3.jsonl"))
