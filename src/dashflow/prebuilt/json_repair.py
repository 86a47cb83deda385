"""Read JSON out of what a model wrote, however it wrote it: fences, prose, single quotes, cut off.

Pure text in, values out; knows no model and no schema. What is valid JSON is read as JSON says; the rest
by a lenient parser that notes what it had to repair. A repair that may have lost something is told apart.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dashflow._util.sentinel import MISSING

__all__ = ("Reading", "readings")

MOST_DEPTH = 200
"""Nesting beyond this is no answer, and a recursive parser must stop somewhere."""

_CLOSERS = {
    '"': '"',
    "'": "'",
    "`": "`",
    "\u201c": "\u201d\u201c",
    "\u201d": "\u201d",
    "\u2018": "\u2019",
    "\u2019": "\u2019",
}
_ESCAPES = {
    '"': '"',
    "\\": "\\",
    "/": "/",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "'": "'",
    "`": "`",
}
_WORDS = {
    "true": True, "false": False, "null": None, "True": True, "False": False, "None": None,
    "TRUE": True, "FALSE": False, "NULL": None, "undefined": None, "nil": None,
}  # fmt: skip
_NO_NUMBER = re.compile(r"[+-]?(nan|inf(inity)?)", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?(\d[\d_]*\.?\d*|\.\d+)([eE][+-]?\d+)?")
_HEX = re.compile(r"[+-]?0[xX][0-9a-fA-F]+")
_BARE = re.compile(r"[^\s,:;=\[\]{}()\"'\u201c\u201d`]+")
_KEY_NEXT = re.compile(
    r"""\s*(["'\u201c\u2018`][^"'\u201d\u2019`\n]*["'\u201d\u2019`]|[A-Za-z_$][\w$-]*)\s*[:=]"""
)
_MEANT = re.compile(rf"\}}\s*,{_KEY_NEXT.pattern}")
"""A brace that closes a list: the object around it goes on."""
_VALUE_NEXT = re.compile(
    r"""\s*(["'\u201c\u2018`\[{]|[+-]?[\d.]|(?:true|false|null|True|False|None|NaN)\b)"""
)
_FENCE = re.compile(r"(?:```|~~~)[ \t]*[\w+-]*[ \t]*\r?\n?(.*?)(?:```|~~~|\Z)", re.DOTALL)
_THOUGHT = re.compile(r"<(think|thinking|reasoning)>.*?(?:</\1>|\Z)", re.DOTALL | re.IGNORECASE)
_ODD = str.maketrans("", "", "\ufeff\u200b\u200c\u200d\u2060")


@dataclass(frozen=True)
class Reading:
    """One way to read a text.

    Attributes:
        value: The value: only what JSON knows.
        repairs: What had to be repaired, in words.
        lossy: Whether something may be missing or made up: the text was cut off, or left parts out.
    """

    value: Any
    repairs: tuple[str, ...] = ()
    lossy: bool = False


def readings(text: str) -> Iterator[Reading]:
    """Every way to read ``text`` as a JSON value, the most faithful first."""
    whole = _strict(text)
    if whole is not MISSING:
        yield Reading(whole)
        yield from _inside(whole, ())
    plain = text.translate(_ODD)
    thoughtless = _THOUGHT.sub("", plain)
    notes = () if plain == text else ("invisible characters",)
    if thoughtless.strip() and thoughtless != plain:
        plain, notes = thoughtless, (*notes, "reasoning before the answer")
    for match in _FENCE.finditer(plain):
        yield from _spans(match[1], (*notes, "code fence"))
    yield from _spans(plain, notes)
    scalar = _strict(plain.strip().strip("`").strip())
    if scalar is MISSING:
        scalar = _WORDS.get(plain.strip().rstrip("."), MISSING)
    if whole is MISSING and scalar is not MISSING:
        yield Reading(scalar, (*notes, "words around the value"))


def _strict(text: str) -> Any:
    """``text`` as JSON, or MISSING. Python's reader takes NaN; JSON does not."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return MISSING


def _refuse(word: str) -> Any:
    raise ValueError(word)


def _inside(value: Any, notes: tuple[str, ...]) -> Iterator[Reading]:
    """JSON that was put into a JSON text once more."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        yield from _spans(value, (*notes, "encoded twice"))


def _spans(text: str, notes: tuple[str, ...]) -> Iterator[Reading]:
    """The objects and lists in ``text``, one after the other; what is inside of one is part of it."""
    position = 0
    values: list[Any] = []
    while (start := _opening(text, position)) is not None:
        around = () if not text[:start].strip() else ("words around the value",)
        try:
            parser = Parser(text, start)
            value = parser.value(0)
        except _TooDeepError:
            return
        except ValueError:
            position = start + 1
            continue
        position = max(parser.position, start + 1)
        if not around and text[position:].strip():
            around = ("words around the value",)
        values.append(value)
        yield Reading(value, (*notes, *around, *parser.repairs), parser.lossy)
        yield from _inside(value, notes)
    if len(values) > 1:
        yield Reading(values, (*notes, "several values, one after the other"))
    elif not values and text.strip()[:1] in _CLOSERS and text.strip()[:1] != "`":
        parser = Parser(text, text.index(text.strip()[:1]))
        word = parser.value(0)
        yield Reading(word, (*notes, *parser.repairs), parser.lossy)
        yield from _inside(word, notes)


def _opening(text: str, start: int) -> int | None:
    found = [place for place in (text.find("{", start), text.find("[", start)) if place >= 0]
    return min(found, default=None)


class _TooDeepError(ValueError):
    """Brackets without end: looking for a value inside of them would take forever."""


class Parser:
    """Reads one value leniently.

    Attributes:
        position: Where it is in the text; after ``value``, behind the value.
        repairs: What it repaired.
        lossy: Whether something may be missing.
    """

    def __init__(self, text: str, position: int) -> None:
        self.text = text
        self.position = position
        self.repairs: dict[str, None] = {}
        self.lossy = False

    def value(self, depth: int) -> Any:
        """The value that begins here.

        Raises:
            ValueError: None does, or it is nested too deep.
        """
        if depth > MOST_DEPTH:
            raise _TooDeepError(f"nested deeper than {MOST_DEPTH}")
        self._blank()
        here = self._here()
        if here == "{":
            return self._object(depth)
        if here in ("[", "("):
            return self._list(depth, here)
        if here in _CLOSERS:
            return self._joined()
        return self._word()

    # -- containers ---------------------------------------------------------------------------

    def _object(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        self.position += 1
        while True:
            self._between("}", trailing=bool(found))
            here = self._here()
            if here == "}":
                self.position += 1
                return found
            if not here or here in "])":
                self._cut(here)
                return found
            if self._skipped():
                continue
            key = self._key()
            self._colon()
            if not self._here():
                self._cut("")
                return found
            if self._here() in ",;}":
                self._lose("missing value")
                found[key] = None
            else:
                found[key] = self.value(depth + 1)

    def _colon(self) -> None:
        self._blank()
        for sign in (":", "=>", "="):
            if self.text.startswith(sign, self.position):
                self.position += len(sign)
                if sign != ":":
                    self._note(f"'{sign}' for ':'")
                break
        else:
            self._note("missing colon")
        self._blank()

    def _list(self, depth: int, opening: str) -> list[Any]:
        closing = {"[": "]", "(": ")"}[opening]
        if opening == "(":
            self._note("parentheses for brackets")
        found: list[Any] = []
        self.position += 1
        while True:
            self._between(closing, trailing=bool(found))
            here = self._here()
            if here == closing:
                self.position += 1
                return found
            if not here or here in "}])":
                self._cut(here)
                if _MEANT.match(self.text, self.position):
                    self.position += 1
                return found
            if not self._skipped():
                found.append(self.value(depth + 1))

    def _between(self, closing: str, trailing: bool) -> None:
        """Separators before the next member: one comma is right, but not before the end."""
        commas = 0
        while True:
            self._blank()
            here = self._here()
            if not here or here not in ",;":
                break
            if here == ";":
                self._note("';' for ','")
            commas += 1
            self.position += 1
        here = self._here()
        if here == closing and commas:
            self._note("trailing comma")
        elif commas > 1 or (commas and not trailing):
            self._note("extra comma")
        elif not commas and trailing and here and here not in "}])":
            self._note("missing comma")

    def _skipped(self) -> bool:
        """Pass over dots that stand for members left out."""
        for dots in ("...", "\u2026"):
            if self.text.startswith(dots, self.position):
                self.position += len(dots)
                self._lose("members left out")
                return True
        return False

    def _cut(self, here: str) -> None:
        """The end is missing: of the text, or because another bracket closes here."""
        if here:
            self._note("wrong closing bracket")
        else:
            self._lose("cut off")

    def _key(self) -> str:
        if self._here() in _CLOSERS:
            return self._string(key=True)
        match = _BARE.match(self.text, self.position)
        if match is None:
            raise ValueError(f"no key at {self.position}")
        self._note("unquoted key")
        self.position = match.end()
        return match[0]

    # -- texts ----------------------------------------------------------------------------------

    def _joined(self) -> str:
        """A text; several that are joined with ``+`` are one."""
        whole = self._string(key=False)
        while True:
            back = self.position
            self._blank()
            if self._here() != "+":
                self.position = back
                return whole
            self.position += 1
            self._blank()
            if self._here() not in _CLOSERS:
                self.position = back
                return whole
            self._note("joined texts")
            whole += self._string(key=False)

    def _string(self, *, key: bool) -> str:
        text, opening = self.text, self._here()
        if opening != '"':
            self._note("other quotes")
        triple = text.startswith(opening * 3, self.position)
        ends = (opening * 3,) if triple else tuple(_CLOSERS[opening])
        if triple:
            self._note("triple quotes")
        self.position += len(ends[0])
        out: list[str] = []
        while self.position < len(text):
            here = text[self.position]
            if here == "\\":
                out.append(self._escape())
                continue
            end = next((end for end in ends if text.startswith(end, self.position)), None)
            if end is not None and (triple or self._ends(self.position + len(end), key)):
                self.position += len(end)
                return _paired("".join(out))
            if end is not None:
                self._note("quote inside a text")
            elif here in "\n\r\t":
                self._note("line break inside a text")
            out.append(here)
            self.position += 1
        self._lose("cut off")
        return _paired("".join(out))

    def _ends(self, after: int, key: bool) -> bool:
        """Whether a quote before ``after`` closes the text, or belongs to it."""
        rest = self.text[after : after + 200].lstrip()
        if not rest:
            return True
        if key:
            return rest[0] in ":=" or not re.match(r"[^\n\"']*[\"']\s*:", rest)
        if rest[0] in "}])+;:":
            return True
        if rest[0] == ",":
            following = rest[1:].lstrip(" \t\r\n,")
            if not following or following[0] in "}])./#" or _KEY_NEXT.match(following):
                return True
            return _VALUE_NEXT.match(following) is not None
        if rest.startswith(("//", "/*", "#", "```")):
            return True
        # No comma: the next member, or a text that quotes something.
        gap = self.text[after : after + 200]
        blank = gap[: len(gap) - len(gap.lstrip())]
        return "\n" in blank or bool(blank and rest[0] in _CLOSERS) or _KEY_NEXT.match(rest) is not None

    def _escape(self) -> str:
        text, at = self.text, self.position + 1
        if at >= len(text):
            self.position = at
            return ""
        letter = text[at]
        for mark, digits in (("u", 4), ("x", 2)):
            if letter == mark and re.fullmatch(rf"[0-9a-fA-F]{{{digits}}}", text[at + 1 : at + 1 + digits]):
                if mark == "x":
                    self._note("escape that JSON does not have")
                self.position = at + 1 + digits
                return chr(int(text[at + 1 : self.position], 16))
        self.position = at + 1
        if letter in "'`\n":
            self._note("escape that JSON does not have")
            return "" if letter == "\n" else letter
        if letter in _ESCAPES:
            return _ESCAPES[letter]
        self._note("escape that JSON does not have")
        return "\\" + letter

    # -- words and numbers --------------------------------------------------------------------

    def _word(self) -> Any:
        text, start = self.text, self.position
        if (match := _HEX.match(text, start)) and self._delimited(match.end()):
            self.position = match.end()
            self._note("number that JSON does not have")
            return int(match[0], 16)
        if (match := _NUMBER.match(text, start)) and self._delimited(match.end()):
            self.position = match.end()
            return self._number(match[0])
        if (match := _NO_NUMBER.match(text, start)) and self._delimited(match.end()):
            self.position = match.end()
            self._lose("no number")
            return None
        match = _BARE.match(text, start)
        if match is None:
            raise ValueError(f"no value at {start}")
        if match[0] in _WORDS:
            self.position = match.end()
            if match[0] not in ("true", "false", "null"):
                self._note("word of another language")
            return _WORDS[match[0]]
        if self._here(len(match[0])) == "(":  # Decimal("1.5"), datetime(...): what it was made of
            self.position = match.end()
            inner = self._list(1, "(")
            self._lose("call for a value")
            return inner[0] if len(inner) == 1 else inner
        end = re.compile(r"[,}\]\n;]|\Z").search(text, start)
        assert end is not None
        self.position = max(end.start(), match.end())
        word = text[start : self.position].strip()
        if self.position >= len(text):
            self._lose("cut off")
            return next((value for name, value in _WORDS.items() if name.startswith(word)), word)
        self._note("unquoted text")
        return word

    def _number(self, written: str) -> int | float:
        plain = written.replace("_", "").lstrip("+")
        try:
            value: int | float = json.loads(plain)
        except ValueError:
            value = float(plain) if any(mark in plain for mark in ".eE") else int(plain)
        if not isinstance(value, int) and value in (float("inf"), float("-inf")):
            raise ValueError(f"{written} is too large a number")
        if plain != written or str(value) != plain:
            try:
                json.loads(written)
            except ValueError:
                self._note("number that JSON does not have")
        return value

    def _delimited(self, end: int) -> bool:
        """Whether a word that ends here is not the beginning of a longer one."""
        return end >= len(self.text) or self.text[end] in " \t\r\n,:;]})/#"

    # -- small steps ----------------------------------------------------------------------------

    def _here(self, ahead: int = 0) -> str:
        place = self.position + ahead
        return self.text[place] if place < len(self.text) else ""

    def _blank(self) -> None:
        """Pass over white space and comments."""
        text = self.text
        while self.position < len(text):
            if text[self.position].isspace():
                self.position += 1
                continue
            if text.startswith("/*", self.position):
                end = text.find("*/", self.position + 2)
                self.position = len(text) if end < 0 else end + 2
            elif text.startswith("//", self.position) or text[self.position] == "#":
                end = text.find("\n", self.position)
                self.position = len(text) if end < 0 else end
            else:
                return
            self._note("comment")

    def _note(self, repair: str) -> None:
        self.repairs[repair] = None

    def _lose(self, repair: str) -> None:
        self._note(repair)
        self.lossy = True


def _paired(text: str) -> str:
    """Two halves of a character that JSON escapes as two, as one; half a character has no place in a text."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
