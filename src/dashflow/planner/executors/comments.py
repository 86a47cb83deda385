"""Comments of source files in languages other than Python, line by line. Pure; strings are no comments.

One expression for each family of languages knows strings and comments well enough to tell them apart.
It is no parser: a quote in a JavaScript regular expression can hide the rest of its line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from re import Pattern
from typing import Final, NamedTuple

MAX_BYTES: Final = 2_000_000
"""Larger files in languages other than Python are not searched: they are bundles and data."""


class Comment(NamedTuple):
    """One line of a comment: its line number from 1, and its text without the signs around it."""

    line: int
    text: str


# A lone backslash pair is an alternative of its own, so that an unclosed quote before many escaped
# ones is looked at once, not once for each: the search stays linear on any text.
_ESCAPED = r"\\."
_DOUBLE = r'"(?:\\.|[^"\\\n])*"'
_SINGLE = r"'(?:\\.|[^'\\\n])*'"
_BACKTICK = r"`(?:\\.|[^`\\])*`?"
_SLASHES = r"(?P<line>//[^\n]*)"
_BLOCK = r"(?P<block>/\*(?s:.*?)(?:\*/|\Z))"
_HASH = r"(?:^|(?<=[\s;]))(?P<line>\#[^\n]*)"


def _family(*parts: str) -> Pattern[str]:
    return re.compile("|".join(parts), re.MULTILINE)


_C = _family(_ESCAPED, _DOUBLE, _SINGLE, _SLASHES, _BLOCK)
_SCRIPT = _family(_ESCAPED, _DOUBLE, _SINGLE, _BACKTICK, _SLASHES, _BLOCK)
_RUST = _family(_ESCAPED, r'"(?:\\(?s:.)|[^"\\])*"?', r"'(?:\\.[^'\n]{0,8}|[^'\\\n])'", _SLASHES, _BLOCK)
_PHP = _family(_ESCAPED, _DOUBLE, _SINGLE, r"(?P<line>(?://|\#(?!\[))[^\n]*)", _BLOCK)
_SHELL = _family(_ESCAPED, _DOUBLE, r"(?<!\w)'[^'\n]*+'", _HASH)
_TOML = _family(r'"""(?s:.*?)(?:"""|\Z)', r"'''(?s:.*?)(?:'''|\Z)", _ESCAPED, _DOUBLE, r"'[^'\n]*+'", _HASH)
_CSS = _family(_ESCAPED, _DOUBLE, _SINGLE, _BLOCK)
_SQL = _family(r'"[^"\n]*+"', r"'(?s:[^'])*'?", r"(?P<line>--[^\n]*)", _BLOCK)
_LUA = _family(_ESCAPED, _DOUBLE, _SINGLE, r"(?P<block>--\[\[(?s:.*?)(?:\]\]|\Z))", r"(?P<line>--[^\n]*)")
_MARKUP = re.compile(r"(?P<block><!--(?s:.*?)(?:-->|\Z))")
_INI = _family(r"^[ \t]*(?P<line>[#;][^\n]*)")

_BY_SUFFIX: Final[dict[str, Pattern[str]]] = {
    suffix: family
    for suffixes, family in (
        (".c .h .cc .cpp .cxx .hh .hpp .hxx .m .mm .java .cs .scala .proto .dart .groovy .gradle", _C),
        (".js .jsx .mjs .cjs .ts .tsx .mts .cts .go .kt .kts .swift", _SCRIPT),
        (".rs", _RUST),
        (".php", _PHP),
        (".sh .bash .zsh .ksh .fish .yaml .yml .rb .pl .pm .r .jl .ex .exs .tf .cmake .mk .ps1", _SHELL),
        (".toml", _TOML),
        (".css .scss .less", _CSS),
        (".sql", _SQL),
        (".lua", _LUA),
        (".html .htm .xml .svg .vue .md .markdown", _MARKUP),
        (".ini .cfg .conf", _INI),
    )
    for suffix in suffixes.split()
}
_BY_NAME: Final[dict[str, Pattern[str]]] = dict.fromkeys(
    ("Makefile", "GNUmakefile", "Dockerfile", "Jenkinsfile", "CMakeLists.txt", "Rakefile", "Gemfile"), _SHELL
)
_OPENING = re.compile(r"<!--|/\*+[!/]?|//+[!/]?|--\[\[|--+|\#+|;+|\*(?!/)")


def knows(name: str, suffix: str) -> bool:
    """Whether comments of such a file can be found here."""
    return suffix in _BY_SUFFIX or name in _BY_NAME


def comments(text: str, name: str, suffix: str) -> Iterator[Comment]:
    """Comments of a file in another language, each of a comment's lines for itself."""
    family = _BY_NAME.get(name) or _BY_SUFFIX[suffix]
    line, position = 1, 0
    for found in family.finditer(text):
        kind = found.lastgroup
        if kind is None:
            continue
        start = found.start(kind)
        line += text.count("\n", position, start)
        position = start
        for offset, part in enumerate(found.group(kind).split("\n")):
            if bare := _bare(part):
                yield Comment(line + offset, bare)


def _bare(line: str) -> str:
    """A comment's line without the signs that open, continue or close it."""
    text = line.strip()
    opening = _OPENING.match(text)
    text = text[opening.end() :] if opening else text
    for closing in ("-->", "*/", "]]"):
        text = text.removesuffix(closing)
    return text.rstrip("*").strip()
