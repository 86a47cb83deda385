"""Rules for every source file that a linter has no word for."""

import ast
import io
import re
import tokenize

import pytest

pytestmark = pytest.mark.feature("CI-01")

# Names that say nothing about what is inside, so that anything ends up there.
# LangGraph's own modules of such names are kept where programs import them from.
PUBLIC = {f"src/dashflow/utils/{name}.py" for name in ("__init__", "config", "runnable")}
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "misc", "stuff"}

MARKER = re.compile(r"#\W*(TODO|FIXME|XXX|HACK)\b")


def test_every_file_says_what_it_is_for(tree):
    silent = [
        source.name
        for source in tree.python("src", "scripts", "tests", "benchmarks")
        if not ast.get_docstring(source.tree)
    ]
    assert silent == []


def test_no_file_has_a_name_that_says_nothing(tree):
    empty = [
        source.name
        for source in tree.python("src", "scripts", "tests", "benchmarks")
        if EMPTY_NAMES & {source.path.stem, source.path.parent.name} and source.name not in PUBLIC
    ]
    assert empty == []


def test_no_error_is_swallowed_without_a_word(tree):
    swallowed = [
        f"{source.name}:{handler.lineno}"
        for source in tree.python("src", "scripts")
        for handler in ast.walk(source.tree)
        if isinstance(handler, ast.ExceptHandler)
        and all(
            isinstance(statement, ast.Pass)
            or (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
            for statement in handler.body
        )
    ]
    assert swallowed == []


def test_no_comment_postpones_work(tree):
    postponed = [
        f"{source.name}:{token.start[0]}"
        for source in tree.python("src", "scripts")
        for token in tokenize.generate_tokens(io.StringIO(source.text).readline)
        if token.type == tokenize.COMMENT and MARKER.match(token.string)
    ]
    assert postponed == []


def test_tests_do_not_wait_for_the_clock(tree):
    sleeping = [
        f"{source.name}:{call.lineno}"
        for source in tree.python("tests")
        for call in ast.walk(source.tree)
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "time.sleep"
    ]
    assert sleeping == []


def test_no_group_is_repeated_possessively(tree):
    """CPython before 3.11.5 matches ``(?:...)*+`` wrongly (gh-106052)."""
    found = [source.name for source in tree.python("src") if re.search(r"\)(\*\+|\+\+|\?\+)", source.text)]
    assert found == []
