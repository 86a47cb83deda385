"""Comments of Python files that hold given words. Pure.

The tokenizer of the standard library is exact but slow, and most files have few comments of interest.
So one expression reads strings and comments; only where it cannot be sure, because an f-string may
hold strings and comments of its own, the tokenizer decides.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from re import Pattern

from dashflow.planner.executors.comments import Comment

# Every alternative begins with a plain character, which lets the search skip to the next candidate.
# Unclosed strings run to the end of the line, or of the text, so that nothing is read twice.
_TOKEN = re.compile(
    r'''"""(?:[^"\\]|\\(?s:.)|"(?!""))*(?:"{3}|\Z)|"(?:[^"\\\n]|\\(?s:.))*"?'''
    r"""|'''(?:[^'\\]|\\(?s:.)|'(?!''))*(?:'{3}|\Z)|'(?:[^'\\\n]|\\(?s:.))*'?"""
    r"""|\#[^\n]*+"""
)
_FORMATTED = re.compile(r"(?<!\w)[rRbB]?[fFtT][rR]?$")


def marked_comments(text: str, words: Pattern[str]) -> list[Comment]:
    """Comments in which ``words`` is found; of broken code, what can be told."""
    if words.search(text) is None:
        return []
    quick = _quickly(text, words)
    return list(_exactly(text, words)) if quick is None else quick


def _quickly(text: str, words: Pattern[str]) -> list[Comment] | None:
    """The comments, or None where an f-string makes them unsure."""
    found: list[Comment] = []
    line, counted, doubtful = 1, 0, -1
    for token in _TOKEN.finditer(text):
        start = token.start()
        if text[start] != "#":
            if _FORMATTED.search(text, max(start - 3, 0), start):
                if words.search(token[0]):
                    return None
                doubtful = token.end()  # where it ends may be wrong, but hardly by more than its line
        elif words.search(token[0]):
            line += text.count("\n", counted, start)
            counted = start
            if doubtful >= 0 and "\n" not in text[doubtful:start]:
                return None
            found.append(Comment(line, token[0].lstrip("#").strip()))
    return found


def _exactly(text: str, words: Pattern[str]) -> Iterator[Comment]:
    """The comments by the tokenizer; of broken code those before the place where it breaks."""
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT and words.search(token.string):
                yield Comment(token.start[0], token.string.lstrip("#").strip())
    except (tokenize.TokenError, SyntaxError):
        return  # the syntax error is a finding of its own, made where the tree is built
