"""A goal's text as tokens and clauses: sentences, what is joined to what, what comes before what.

Plain grammar by rules, in time linear in the text. Knows words (``lexicon``), not tasks.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from dashflow.planner.lexicon import (
    FILLERS,
    FINALLY,
    LEMMAS,
    NEGATIONS,
    NO_VERB_FOLLOWERS,
    NOUNS_TOO,
    RATHER_VERBS,
    SUBORDINATES,
    THEN,
    VERB_FOLLOWERS,
)

# Possessive quantifiers and classes that exclude their own end: nothing is ever scanned twice.
# Groups repeat plainly: CPython before 3.11.5 matches possessive groups wrongly (gh-106052).
_TOKEN: Final = re.compile(
    r"""
      (?P<quoted>"[^"\n]*+"|“[^“”\n]*+”|`[^`\n]*+`|(?<!\w)'[^'\n]*+'(?!\w))
    | (?P<url>https?://[^\s<>"'`]++)
    | (?P<path>(?:~|\.{1,2})?(?:/[\w.*+-]++)+/?|[\w.+-]++(?:/[\w.*+-]++)+/?|[\w.-]++/(?=\s|$|[,;]))
    | (?P<file>[\w-]++(?:\.[\w-]++)*\.(?:py|pyi|md|rst|txt|json|toml|ya?ml|cfg|ini|csv|xml|html?|css|js|ts|tsx
               |sql|sh|rs|go|java|c|h|cpp|ipynb|pdf|log|db|env|lock))(?![\w.]\w)(?!\w)
    | (?P<number>\d++(?:[.,:]\d++)*)(?!\w|[.,:]\d)
    | (?P<word>\w++(?:['\u2019.-]\w++)*)
    | (?P<mark>\n|[.!?;:,()])
    """,
    re.VERBOSE,
)
_ITEM: Final = re.compile(r"^[ \t]*+(?:[-*•]|(\d{1,3})[.)])[ \t]++", re.MULTILINE)
_INLINE: Final = re.compile(r"(?:(?<=\s)|^)(\d{1,3})[.)]\s++(?=[A-Z])")
_TRAILING: Final = ".,;:!?)]}'\""


class Token(msgspec.Struct, frozen=True):
    """A word or the like. ``kind``: word, number, quoted, url, path or mark; ``low`` is lower case."""

    kind: str
    text: str
    low: str


class Clause(msgspec.Struct, frozen=True):
    """One thing asked for.

    Attributes:
        tokens: From its verb on; without one if it has none.
        verb: Base form of its verb, or empty.
        then: Whether it comes after what was said before it.
        last: Whether it comes after everything else.
        negated: Whether it must not be done.
        heading: Whether it only announces what follows (it ended with a colon).
        relation: ``before``, ``after`` or ``when`` if it qualifies clause ``of``; else empty.
        of: Index of the clause it qualifies, or -1.
        sentence: Number of its sentence.
    """

    tokens: tuple[Token, ...]
    verb: str = ""
    then: bool = False
    last: bool = False
    negated: bool = False
    heading: bool = False
    relation: str = ""
    of: int = -1
    sentence: int = 0

    @property
    def words(self) -> list[str]:
        """Lower-case words and numbers, in order."""
        return [token.low for token in self.tokens if token.kind in ("word", "number")]

    @property
    def text(self) -> str:
        """The clause in words, spaced normally."""
        return spell(self.tokens)


def tokenize(text: str) -> list[Token]:
    """The text's tokens. What is neither a word nor a known mark is left out."""
    tokens: list[Token] = []
    for found in _TOKEN.finditer(text):
        kind, part = found.lastgroup or "", found.group()
        if kind == "quoted":
            tokens.append(Token("quoted", part[1:-1], part[1:-1].lower()))
        elif kind == "url":
            stripped = part.rstrip(_TRAILING)
            tokens.append(Token("url", stripped, stripped))
            tokens += [Token("mark", mark, mark) for mark in part[len(stripped) :] if mark in ".,;:!?"]
        elif kind in ("path", "file"):
            tokens += _path(part)
        else:
            tokens.append(Token(kind, part, part.lower().replace("\u2019", "'")))
    return tokens


def _path(part: str) -> list[Token]:
    """A path, or several words with a slash between them (``TODO/FIXME``, ``and/or``)."""
    stripped = part.rstrip(".") if part.rstrip("./") else part
    ending = [Token("mark", ".", ".")] * (len(part) > len(stripped))
    pieces = stripped.split("/")
    if len(pieces) == 2 and all(piece.isalpha() for piece in pieces):
        words = all(piece.isupper() for piece in pieces) or set(pieces) & {"and", "or"}
        if words:
            return [Token("word", piece, piece.lower()) for piece in pieces] + ending
    return [Token("path", stripped, stripped.lower()), *ending]


def spell(tokens: tuple[Token, ...] | list[Token]) -> str:
    """The tokens as text again."""
    text = ""
    for token in tokens:
        part = f'"{token.text}"' if token.kind == "quoted" else token.text
        glued = not text or token.kind == "mark"
        text += part if glued else f" {part}"
    return " ".join(text.split()).strip(" ,;:")


def parse(text: str) -> list[Clause]:
    """The clauses of a text, in its order."""
    clauses: list[Clause] = []
    for number, (tokens, ordered) in enumerate(_sentences(text)):
        begin = len(clauses)
        for part in _split(tokens):
            _append(clauses, part, number)
        if ordered and begin and len(clauses) > begin:
            clauses[begin] = msgspec.structs.replace(clauses[begin], then=True)
    return clauses


def _sentences(text: str) -> list[tuple[list[Token], bool]]:
    """Sentences, each with whether it is a later item of a numbered list."""
    found: list[tuple[list[Token], bool]] = []
    for line, ordered in _items(text):
        sentence: list[Token] = []
        first = True
        for token in tokenize(line):
            if token.kind == "mark" and token.text in ".!?;":
                found.append((sentence, ordered and first))
                sentence, first = [], False
            elif token.text != "\n":
                sentence.append(token)
        found.append((sentence, ordered and first))
    return [(sentence, ordered) for sentence, ordered in found if sentence]


def _items(text: str) -> list[tuple[str, bool]]:
    """The text cut where list items begin; True for numbered items from the second on."""
    cuts = [(match.start(), match.end(), match.group(1)) for match in _ITEM.finditer(text)]
    if len(cuts) < 2:
        cuts = _inline(text)
    parts: list[tuple[str, bool]] = []
    start, ordered, numbered = 0, False, 0
    for begin, end, number in cuts:
        parts.append((text[start:begin], ordered))
        numbered += number is not None
        start, ordered = end, number is not None and numbered > 1
    parts.append((text[start:], ordered))
    return [(part, is_ordered) for part, is_ordered in parts if part.strip()]


def _inline(text: str) -> list[tuple[int, int, str | None]]:
    """Where items of a list within a line begin: numbers that count 1, 2, ... ("over 60. Run" is none)."""
    cuts: list[tuple[int, int, str | None]] = []
    for match in _INLINE.finditer(text):
        if int(match.group(1)) == len(cuts) + 1:
            cuts.append((match.start(), match.end(), match.group(1)))
    return cuts if len(cuts) > 1 else []


class _Part(msgspec.Struct):
    """Tokens on their way to a clause."""

    tokens: list[Token]
    relation: str = ""
    heading: bool = False
    leads: bool = False


def _split(tokens: list[Token]) -> list[_Part]:
    """Cut a sentence where a new verb phrase begins; objects that are joined stay together."""
    parts: list[_Part] = [_Part([])]
    depth = 0
    for place, token in enumerate(tokens):
        current = parts[-1]
        if token.text == "(":
            depth += 1
        elif token.text == ")":
            depth = max(0, depth - 1)
        elif depth:
            current.tokens.append(token)
        elif token.text == ":":
            current.heading = True
            parts.append(_Part([]))
        elif token.text == "," and current.relation and current.leads:
            parts.append(_Part([]))  # the main clause after a leading "when ...,"
        elif _subordinates(tokens, place, current):
            parts.append(_Part([], relation=token.low, leads=not _has_verb(current.tokens)))
            if token.low == "without":
                parts[-1].tokens.append(token)
        elif _joins(token) and not _only_fillers(current.tokens) and _opens(tokens, place):
            parts.append(_Part([token]))
        else:
            current.tokens.append(token)
    return [part for part in parts if part.tokens]


def _subordinates(tokens: list[Token], place: int, current: _Part) -> bool:
    """Whether a clause that qualifies another begins here ("check if it runs" is one clause)."""
    if tokens[place].low not in SUBORDINATES or not _opens(tokens, place + 1, loosely=True):
        return False
    asks = tokens[place].low in ("if", "when") and bool(current.tokens)
    return not (asks and current.tokens[-1].low in LEMMAS)


def _append(clauses: list[Clause], part: _Part, sentence: int) -> None:
    """Make the part into a clause, and tie it to the one it qualifies."""
    then = last = negated = False
    tokens = list(part.tokens)
    verb = ""
    while tokens:
        word = tokens[0].low
        if word in THEN or (word == "after" and len(tokens) > 1 and tokens[1].low in ("that", "this")):
            then = True
            del tokens[: 2 if word == "after" else 1]
        elif word in FINALLY or [token.low for token in tokens[:3]] == ["at", "the", "end"]:
            last = True
            del tokens[: 1 if word in FINALLY else 3]
        elif word in NEGATIONS:
            negated = True
            del tokens[0]
        elif word in FILLERS or tokens[0].kind == "mark" or _is_do_not(tokens):
            del tokens[0]
        else:
            verb = LEMMAS.get(word, "") if tokens[0].kind == "word" else ""
            break
    if not tokens:
        return
    relation = {"once": "after", "when": "when", "if": "when", "until": "", "while": "", "unless": ""}.get(
        part.relation, "" if part.relation == "without" else part.relation
    )
    of = -1
    if relation:
        same = [
            at for at, clause in enumerate(clauses) if clause.sentence == sentence and not clause.relation
        ]
        of = len(clauses) + 1 if part.leads or not same else same[-1]
    clauses.append(Clause(tuple(tokens), verb, then, last, negated, part.heading, relation, of, sentence))


def _is_do_not(tokens: list[Token]) -> bool:
    return tokens[0].low == "do" and len(tokens) > 1 and tokens[1].low in NEGATIONS


def _opens(tokens: list[Token], place: int, *, loosely: bool = False) -> bool:
    """Whether a verb phrase begins at ``place``; ``loosely`` also a phrase with a verb further on."""
    for at in range(place, min(place + 6, len(tokens))):
        token = tokens[at]
        following = tokens[at + 1] if at + 1 < len(tokens) else None
        if token.kind == "mark" and token.text != ",":
            return False
        if token.low in FILLERS | THEN | FINALLY | NEGATIONS or token.low in ("do", ","):
            continue
        if token.low in SUBORDINATES and not loosely:
            return _opens(tokens, at + 1, loosely=True)
        if _is_verb(token, following):
            return True
        if not loosely:
            return False
    return loosely and _mentions_work(tokens[place : place + 6])


def _is_verb(token: Token, following: Token | None) -> bool:
    if token.kind != "word" or token.low not in LEMMAS:
        return False
    if token.low not in NOUNS_TOO:
        return token.low == LEMMAS[token.low] or token.low.endswith("ing")
    if following is None or following.text in ",:":
        return True
    if token.low in RATHER_VERBS and following.kind == "word":
        return following.low not in NO_VERB_FOLLOWERS
    return following.low in VERB_FOLLOWERS or following.kind in ("quoted", "path", "url")


def _has_verb(tokens: list[Token]) -> bool:
    return any(
        _is_verb(token, tokens[at + 1] if at + 1 < len(tokens) else None) for at, token in enumerate(tokens)
    )


def _joins(token: Token) -> bool:
    return token.text == "," or token.low in ("and", "but", "or") or token.low in THEN | FINALLY


def _only_fillers(tokens: list[Token]) -> bool:
    return all(token.low in FILLERS | THEN | FINALLY or token.kind == "mark" for token in tokens)


def _mentions_work(tokens: list[Token]) -> bool:
    return any(token.low in {"test", "tests", "report", "that", "this"} for token in tokens)
