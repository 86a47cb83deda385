"""Full-text search over real folders: what is found, in which order, and queries made to do harm."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dashflow.planner.core.task import Task, TaskKind
from dashflow.planner.executors.base import Completed, Execution, Failed
from dashflow.planner.executors.retrieval import RetrievalExecutor, parse_query

pytestmark = pytest.mark.feature("EXEC-01")


def execution(folder: Path | None, **more: object) -> Execution:
    params = {name: more.pop(name) for name in ("query", "top") if name in more}
    task = Task("t1", "the words of the task", TaskKind.RETRIEVAL, params=params)
    given = {
        "run": "r1",
        "task": task,
        "folder": folder,
        "out": Path("/nonexistent/out"),
        "inputs": {},
        "tasks": {"t1": task},
        "goal": "look",
        "idempotency_key": "r1/t1",
        "progress": lambda text: None,
        "cancelled": lambda: False,
    }
    return Execution(**{**given, **more})


def search(folder: Path, query: str, **more: object) -> list[tuple[str, int, str]]:
    outcome = RetrievalExecutor().execute(execution(folder, query=query, **more))
    assert isinstance(outcome, Completed), outcome
    assert all(
        (one["kind"], one["name"]) == ("match", " ".join(query.split())) for one in outcome.result["findings"]
    )
    return [(one["path"], one["line"], one["value"]) for one in outcome.result["findings"]]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    filler = "\n".join(f"line {number} of other things" for number in range(70))
    files = {
        "billing.py": f'"""Makes invoices."""\n{filler}\ndef invoice_number(day):\n    pass\n{filler}\n',
        "stock.py": f"{filler}\ndef book(movement):\n    # an invoice takes pieces out of the stock\n",
        "docs/guide.md": "# Guide\n\nHow invoices get their number.\nÜbergrößen café\n",
        "old/invoice.py": "invoice invoice invoice number\n",
        "picture.png": "invoice\0number",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_finds_the_line_best_first(shop):
    found = search(shop, "invoice number")
    assert found[0][0] == "old/invoice.py"
    assert ("billing.py", 72, "def invoice_number(day):") in found
    assert ("docs/guide.md", 3, "How invoices get their number.") in found
    assert not any(path == "picture.png" for path, _, _ in found)


def test_phrases_must_be_there_words_only_weigh(shop):
    assert [place[:2] for place in search(shop, '"out of the stock"')] == [("stock.py", 72)]
    assert [place[:2] for place in search(shop, '"takes pieces" guide number')] == [("stock.py", 72)]
    assert search(shop, '"pieces takes"') == []


def test_word_forms_and_accents_do_not_matter(shop):
    assert search(shop, "ubergrossen")[:1] == search(shop, "Übergrössen")[:1]
    assert [place[:2] for place in search(shop, "CAFE")] == [("docs/guide.md", 4)]
    assert ("billing.py", 1, '"""Makes invoices."""') in search(shop, "making")


def test_at_most_as_many_as_asked_for(shop):
    assert len(search(shop, "invoice line", top=2)) == 2
    assert len(search(shop, "invoice line", top=100)) > 4


def test_what_is_left_out_is_not_searched(shop):
    answered = {"t0": {"topic": "exclude", "exclude": ["old", "gone"]}}
    outcome = RetrievalExecutor().execute(execution(shop, query="invoice", inputs=answered))
    assert isinstance(outcome, Completed)
    assert not any(one["path"].startswith("old/") for one in outcome.result["findings"])
    assert outcome.result["notes"] == ["There is no folder 'gone' to leave out."]


def test_the_same_search_finds_the_same(shop):
    assert search(shop, "line of other things", top=7) == search(shop, "line of other things", top=7)


def test_the_task_s_words_are_the_query_when_there_is_none(shop):
    (shop / "w.txt").write_text("words of a task\n")
    outcome = RetrievalExecutor().execute(execution(shop))
    assert isinstance(outcome, Completed)
    assert outcome.result["findings"][0]["path"] == "w.txt"


HOSTILE = [
    'invoice" OR "1"="1',
    "invoice AND",
    "NEAR(invoice number, 2",
    "invoice*",
    "body : invoice",
    "-invoice",
    "^invoice",
    "invoice; DROP TABLE place; --",
    "invoice\0number",
    '"""invoice"""',
    "NOT invoice",
    "invoice " * 5000,
    '"' + "invoice " * 500 + '"',
]


@pytest.mark.parametrize("query", HOSTILE)
def test_operators_in_a_query_are_words(shop, query):
    outcome = RetrievalExecutor().execute(execution(shop, query=query))
    assert isinstance(outcome, Completed)
    assert outcome.result["files"] == 4


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.text() | st.text('"*^:()-+ANDORTabc ', max_size=30))
def test_any_query_can_be_searched_for(tmp_path, query):
    (tmp_path / "a.txt").write_text("abc AND OR T\n")
    assert isinstance(RetrievalExecutor().execute(execution(tmp_path, query=query)), Completed)
    words = {word for phrase in parse_query(query).phrases for word in phrase.split()} | set(
        parse_query(query).words
    )
    assert all(word.isalnum() or not word.isascii() for word in words)


@pytest.mark.parametrize("query", ["?!", '""', "___"])
def test_without_words_nothing_is_searched_and_that_is_said(shop, query):
    outcome = RetrievalExecutor().execute(execution(shop, query=query))
    assert isinstance(outcome, Completed)
    assert outcome.result["findings"] == []
    assert "has no words" in outcome.result["notes"][0]


def test_common_words_count_only_without_others():
    assert parse_query("where is the invoice").words == ("invoice",)
    assert parse_query("what is it").words == ("what", "is", "it")
    assert parse_query('"what is it"').phrases == ("what is it",)


def test_without_full_text_search_in_sqlite_it_says_what_to_do(shop):
    outcome = RetrievalExecutor(module="fts_absent").execute(execution(shop, query="invoice"))
    assert isinstance(outcome, Failed)
    assert "no such module" in outcome.error
    assert "FTS5" in outcome.error


@pytest.mark.parametrize(
    ("name", "value"), [("query", 7), ("top", 0), ("top", "many"), ("top", True), ("top", 10**9)]
)
def test_wrong_params_fail_and_say_so(shop, name, value):
    outcome = RetrievalExecutor().execute(execution(shop, **{"query": "invoice", name: value}))
    assert isinstance(outcome, Failed)
    assert name in outcome.error


def test_a_cancel_is_heard_and_a_missing_folder_told(shop):
    assert isinstance(RetrievalExecutor().execute(execution(shop, query="a", cancelled=lambda: True)), Failed)
    assert isinstance(RetrievalExecutor().execute(execution(None, query="a")), Failed)


def test_the_index_leaves_nothing_in_the_folder(shop):
    before = sorted(shop.rglob("*"))
    search(shop, "invoice")
    assert sorted(shop.rglob("*")) == before
