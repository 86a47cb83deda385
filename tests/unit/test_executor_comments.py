"""Comments: in Python what the tokenizer says, elsewhere what each language calls one; never in strings."""

import io
import re
import sys
import sysconfig
import tokenize
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dashflow.planner.executors.comments import Comment, comments, knows
from dashflow.planner.executors.pycomments import marked_comments

pytestmark = pytest.mark.feature("EXEC-01")

WORD = re.compile(r"(?<!\w)TODO(?!\w)")
PIECES = [
    "x = 1",
    "TODO",
    "# TODO",
    "#",
    "'",
    '"',
    "'''",
    '"""',
    "\\",
    "\n",
    " ",
    "f",
    "r'",
    'rb"',
    "(",
    ")",
    "a = ''",
]
PIECES += ["f'{x} TODO'", 'f"""', "{", "}", "# TODO it's", "'# TODO'", "\n\n", "    ", ";"]


def by_tokenizer(text: str) -> list[Comment]:
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    found = [token for token in tokens if token.type == tokenize.COMMENT and WORD.search(token.string)]
    return [Comment(token.start[0], token.string.lstrip("#").strip()) for token in found]


@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_python_comments_are_what_the_tokenizer_says(text):
    try:
        compile(text, "text", "exec")
        exact = by_tokenizer(text)
    except (SyntaxError, ValueError, tokenize.TokenError, Warning):
        assume(False)
    assert marked_comments(text, WORD) == exact


def test_the_same_on_real_files():
    """A part of the standard library, with a word that many comments have."""
    word = re.compile(r"(?<!\w)(?:the|XXX|TODO)(?!\w)")
    seen = 0
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("[a-i]*.py")):
        text = path.read_text(encoding="utf-8").replace("\r\n", "\n")
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        exact = [token for token in tokens if token.type == tokenize.COMMENT and word.search(token.string)]
        found = marked_comments(text, word)
        assert [one.line for one in found] == [token.start[0] for token in exact], path
        seen += len(found)
    assert seen > 200


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("# TODO a\nx = '# TODO b'  # TODO c\n", [1, 2]),
        ("x = '''\n# TODO a\n'''\n# TODO b\n", [4]),
        ("x = 'a\\\n# TODO a'  # TODO b\n", [2]),
        ("x = r'\\'  # TODO: no comment\n", []),
        ("x = b'' # TODOS TODO_ xTODO todo\n", []),
        ("x = f'{1}'  # TODO\n", [1]),
        ('x = f"{a!r:>{b}} # TODO"\n# TODO\n', [2]),
        ("def f(:\n    # TODO still found\n", [2]),
    ],
)
def test_in_python(text, lines):
    assert [one.line for one in marked_comments(text, WORD)] == lines


@pytest.mark.skipif(
    sys.version_info < (3, 12), reason="f-strings hold no comments and equal quotes before 3.12"
)
def test_inside_f_strings_of_later_versions():
    assert marked_comments('x = f"{d["# TODO"]}"\n', WORD) == []
    assert [one.line for one in marked_comments('x = f"""{\n1 # TODO\n}"""\n', WORD)] == [2]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (
            "a.js",
            "s = '// TODO'; // TODO a\n/* TODO b\n * TODO c\n */ `// TODO ${x}`",
            [(1, "TODO a"), (2, "TODO b"), (3, "TODO c")],
        ),
        ("a.ts", 'const u = "http://x/TODO"; /** TODO d **/', [(1, "TODO d")]),
        ("a.go", "x := `\n// TODO\n` // TODO a", [(3, "TODO a")]),
        (
            "a.rs",
            "fn f<'a>(x: &'a str) {} // TODO a\nlet c = '\"'; // TODO b",
            [(1, "TODO a"), (2, "TODO b")],
        ),
        (
            "a.c",
            '#define TODO 1\nchar *s = "/* TODO */"; /* TODO a */ char c = \'"\'; // TODO b',
            [(2, "TODO a"), (2, "TODO b")],
        ),
        ("a.sh", "echo '# TODO' \"# TODO\" a#TODO # TODO a\n#TODO b", [(1, "TODO a"), (2, "TODO b")]),
        ("a.yaml", "a: b#TODO\nc: don't # TODO a\nd: '# TODO'", [(2, "TODO a")]),
        ("a.toml", 'a = """\n# TODO\n""" # TODO a\nb = \'# TODO\'', [(3, "TODO a")]),
        ("a.html", "<p>TODO</p>\n<!-- TODO a\n TODO b -->", [(2, "TODO a"), (3, "TODO b")]),
        ("a.md", "TODO\n\n<!-- TODO a -->", [(3, "TODO a")]),
        ("a.sql", "select '-- TODO' -- TODO a\n/* TODO b */", [(1, "TODO a"), (2, "TODO b")]),
        ("a.lua", "s = '-- TODO' -- TODO a\n--[[ TODO b\n]]", [(1, "TODO a"), (2, "TODO b")]),
        ("a.css", "a { content: '/* TODO */' } /* TODO a */", [(1, "TODO a")]),
        ("a.php", "<?php #[Attribute]\n$a = '# TODO'; # TODO a", [(2, "TODO a")]),
        ("a.ini", "a = b # TODO\n; TODO a", [(2, "TODO a")]),
        ("Makefile", "all: # TODO a\n\techo", [(1, "TODO a")]),
        ("Dockerfile", "# TODO a\nRUN x", [(1, "TODO a")]),
    ],
)
def test_in_other_languages(name, text, expected):
    suffix = Path(name).suffix
    assert knows(name, suffix)
    found = [tuple(one) for one in comments(text, name, suffix)]
    assert [one for one in found if WORD.search(one[1])] == expected


SUFFIXES = [".js", ".rs", ".c", ".sh", ".toml", ".html", ".sql", ".lua", ".css", ".php", ".ini"]


@given(st.text("\"'`/*#-<!>[]\\ \na", max_size=80), st.sampled_from(SUFFIXES))
def test_any_text_can_be_searched(text, suffix):
    lines = text.count("\n") + 1
    assert all(1 <= one.line <= lines and one.text.strip() for one in comments(text, f"a{suffix}", suffix))


@pytest.mark.parametrize(
    "piece", ['\\"', "/*", "'", "`", "<!--", "'\\", "#", " ", "--[[", '"""', "f'{", "# x '"]
)
def test_time_grows_with_the_text_and_not_with_its_square(piece):
    """So many repetitions that anything but linear would not come to its end here."""
    text = '"' + piece * 100_000
    for suffix in SUFFIXES:
        for _ in comments(text, f"a{suffix}", suffix):
            continue
    marked_comments("TODO" + text, WORD)
