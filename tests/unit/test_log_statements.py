"""The SQL files: named statements, all of them valid, and the reads find their rows by an index."""

import sqlite3
from collections.abc import Iterator

import pytest

from dashflow.log.base import LOG_FORMAT
from dashflow.log.sqlite.statements import migrations, queries, schema, statements_of
from dashflow.log.statements import parse

pytestmark = pytest.mark.feature("LOG-01")


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    connection.executescript(schema())
    yield connection
    connection.close()


def test_parse() -> None:
    text = "-- about the file\n\n-- name: one\n-- why\nSELECT 1,\n  2;\n\n-- name: two\nSELECT 3;\n"
    assert parse(text) == {"one": "SELECT 1,\n  2", "two": "SELECT 3"}


@pytest.mark.parametrize("name", sorted(queries()))
def test_every_statement_is_valid(database: sqlite3.Connection, name: str) -> None:
    statement = queries()[name]
    database.execute("EXPLAIN " + statement, [None] * statement.count("?"))


@pytest.mark.parametrize(
    "name",
    [
        *("head", "stream_by_name", "stream_by_id", "word_by_text", "word_by_id", "version_of_event"),
        *("ids_from", "hidden_stream", "read_stream", "read_all", "version_at"),
        *(
            "streams_by_name",
            "words_by_text",
            "last_stream",
            "last_word",
            "renew_lease",
            "give_up",
        ),
        *("read_correlated", "read_types", "read_stream_filtered", "blob", "blob_number"),
        *("snapshots", "keep_snapshot", "view_by_name", "entries", "remove_entry"),
        *("forget_events", "forget_word", "forgettable_blobs", "forget_needs", "forget_blob"),
        *("forget_snapshots", "remove_entries"),
    ],
)
def test_no_statement_of_the_hot_paths_scans_a_table(database: sqlite3.Connection, name: str) -> None:
    statement = queries()[name]
    plan = database.execute("EXPLAIN QUERY PLAN " + statement, [0] * statement.count("?")).fetchall()
    steps = [row[3] for row in plan]
    assert steps
    # "SCAN CONSTANT ROW" reads nothing; `head` takes the last entry of the tree ("SEARCH"); `json_each` goes
    # through the list that the statement was given.
    harmless = ("SCAN CONSTANT ROW", "SCAN json_each")
    assert not [step for step in steps if step.startswith("SCAN") and not step.startswith(harmless)], steps
    assert not [step for step in steps if "TEMP B-TREE" in step], steps


def test_the_view_for_people(database: sqlite3.Connection) -> None:
    database.execute("INSERT INTO streams (name, category) VALUES ('run-1', 'run')")
    database.execute("INSERT INTO words (text) VALUES ('Opened')")
    database.execute(
        "INSERT INTO events VALUES (1, 1, 1, 1, 1, x'01', 0, x'', 1700000000000000000, 0, 0, 0, x'')"
    )
    rows = database.execute("SELECT stream, type, correlation_id, at FROM log").fetchall()
    assert rows == [("run-1", "Opened", "", "2023-11-14T22:13:20.000Z")]


def test_what_belongs_together_is_found_by_its_index(database: sqlite3.Connection) -> None:
    for name in ("read_correlated", "forget_word"):
        statement = queries()[name]
        plan = database.execute("EXPLAIN QUERY PLAN " + statement, [0] * statement.count("?")).fetchall()
        assert any("events_by_correlation (correlation_id=?" in row[3] for row in plan), plan


def test_every_format_has_a_way_here() -> None:
    assert len(migrations(1)) == LOG_FORMAT - 1
    assert migrations(LOG_FORMAT) == []
    assert statements_of("-- Why,\n-- and more.\n\n-- Not this.\nA;\nB\n-- in two\nC;\n") == (
        "Why, and more.",
        ["A", "B\nC"],
    )
