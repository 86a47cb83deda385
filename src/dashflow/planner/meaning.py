"""What one clause of a goal asks for: a verb and its object become drafts of tasks.

Knows words and kinds of tasks; how tasks follow each other is in ``rules``.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

import msgspec

from dashflow.planner.core.task import Attachment, TaskKind
from dashflow.planner.language import Clause, Token, spell
from dashflow.planner.lexicon import (
    ACTS,
    CALLABLES,
    CODE_WORDS,
    COMPLEX,
    DEFAULT_MARKERS,
    FILLERS,
    FOLDERS,
    IMPORTS,
    LEAVING_OUT,
    LENGTH,
    MARKERS,
    NEGATIONS,
    PRONOUNS,
    REPORTS,
    TESTS,
    VERB_FOLLOWERS,
    Act,
)

MAX_LINES: Final = 60
MAX_COMPLEXITY: Final = 10
TEST_SECONDS: Final = 600
FOUND_AT_MOST: Final = 20

_SECONDS: Final = {"second": 1, "seconds": 1, "s": 1, "minute": 60, "minutes": 60, "min": 60, "hour": 3600}
_QUERY_NOISE: Final = FILLERS | frozenset(
    str.split(
        "the a an all any every each for where which that in of uses use using usages is are occurrences "
        "places place code up out"
    )
)
_QUESTION_WORDS: Final = frozenset(str.split("what how where which why who when is are does do has have"))
_TELLING: Final = frozenset({"explain", "describe", "collect", "outline", "list", "group", "compare"})
"""What a report does with findings."""
_KINDS: Final = {
    Act.REFACTOR: TaskKind.REFACTOR,
    Act.CHANGE: TaskKind.IMPLEMENTATION,
    Act.WRITE: TaskKind.IMPLEMENTATION,
    Act.PROCESS: TaskKind.PROCESSING,
    Act.REPORT: TaskKind.PROCESSING,
    Act.TEST: TaskKind.PROCESSING,
    Act.TOOL: TaskKind.TOOL_CALL,
    Act.RUN: TaskKind.TOOL_CALL,
}


class Draft(msgspec.Struct, frozen=True):
    """A task that has no place in a plan yet."""

    kind: TaskKind
    description: str
    params: dict[str, Any] = {}
    attachments: tuple[Attachment, ...] = ()

    @property
    def is_report(self) -> bool:
        """Whether this is the report on what the other tasks found."""
        return self.params.get("format") == "report"

    @property
    def sort(self) -> tuple[str, str]:
        """What kind of work this is, without its limits: what "do not run the tests" takes out."""
        checks = self.params.get("checks") or [{}]
        return (self.kind.value, checks[0].get("check", ""))

    @property
    def same_as(self) -> tuple[str, ...]:
        """Drafts of which this is equal are one task."""
        worded = self.kind is TaskKind.CLARIFICATION or not self.params or self.params.get("format") == "free"
        said = self.description.lower() if worded else ""
        numbers = {key: self.params[key] for key in sorted(self.params) if key != "timeout_seconds"}
        return (self.kind.value, repr(numbers), said)


REPORT: Final = Draft(TaskKind.PROCESSING, "Write a report on what was found", {"format": "report"})


def drafts(clause: Clause, previous: Clause | None = None) -> list[Draft]:
    """The tasks that a clause asks for; empty when it asks for none that is known.

    ``previous`` is what "it" and "them" refer to.
    """
    act = ACTS.get(clause.verb)
    words = set(clause.words)
    if act is Act.ASK or (clause.verb == "confirm" and words & {"with", "me", "us"} and len(words) <= 4):
        return [_clarification(clause, words)]
    if act is Act.RUN and previous is not None and words & PRONOUNS:
        words |= TESTS & set(previous.words)
    if _is_test_run(clause, act, words):
        return [_test_run(clause)]
    found = checks(clause)
    if act in (Act.REFACTOR, Act.CHANGE) and found:
        return [*found, _work(clause, _KINDS[act])]
    if found and act is not Act.WRITE:
        return found
    return [REPORT] if _is_report(clause, act, words) else _other(clause, act, words)


def _other(clause: Clause, act: Act | None, words: set[str]) -> list[Draft]:
    """What a clause asks for that names no check, test run or report."""
    if act is Act.AUDIT and (words & (CODE_WORDS | PRONOUNS) or len(clause.words) == 1):
        return _audit()
    if act in (Act.FIND, Act.AUDIT) or (
        act is None and clause.words[0:1] and clause.words[0] in _QUESTION_WORDS
    ):
        return [_query(clause)]
    if act is Act.OMIT:
        return []
    if act is not None:
        return [_work(clause, _KINDS[act])]
    return [_work(clause, TaskKind.PROCESSING)] if _is_imperative(clause) else []


def is_generic_audit(clause: Clause) -> bool:
    """Whether the clause asks for an audit without saying of what."""
    return ACTS.get(clause.verb) is Act.AUDIT and not checks(clause)


def without_markers(draft: Draft, unwanted: list[Draft]) -> Draft | None:
    """A search for comment markers without those of ``unwanted``; None if nothing is left of it."""
    names = [name for one in unwanted for name in _marker_names(one)]
    left = tuple(name for name in _marker_names(draft) if name not in names)
    return _markers(left) if left else None


def _marker_names(draft: Draft) -> list[str]:
    return [name for check in draft.params.get("checks", ()) for name in check.get("markers", ())]


def left_out(clause: Clause) -> tuple[str, ...]:
    """Names of folders that the clause says to leave out; empty if it says no such thing."""
    if ACTS.get(clause.verb) is not Act.OMIT or set(clause.words) & TESTS - {"test", "tests"}:
        return ()
    named = [token for token in clause.tokens if token.kind in ("path", "quoted")]
    if not named and set(clause.words) & FOLDERS:
        noise = FILLERS | FOLDERS | LEAVING_OUT | VERB_FOLLOWERS | {clause.verb}
        named = [token for token in clause.tokens if token.kind == "word" and token.low not in noise]
    return tuple(dict.fromkeys(token.text.strip("/") for token in named))


def checks(clause: Clause) -> list[Draft]:
    """The analyses that a clause names, each with its limits, in the clause's order."""
    found: list[Draft] = []
    markers = [token.text for token in clause.tokens if _is_marker(token)]
    seen_markers = False
    callables = False
    for segment in _segments(clause.tokens):
        words = {token.low for token in segment}
        callables = callables or bool(words & CALLABLES)
        if words & COMPLEX:
            found.append(_complexity(segment))
        elif callables and words & LENGTH:
            found.append(_long_functions(segment))
        elif words & IMPORTS:
            found.append(_analysis("imports", "List what each module imports"))
        elif not seen_markers and any(_is_marker(token) for token in segment):
            seen_markers = True
            found.append(_markers(tuple(dict.fromkeys(mark.upper().rstrip("S") for mark in markers))))
    named = attachments(clause)
    return [msgspec.structs.replace(draft, attachments=named) for draft in found] if named else found


# -- single kinds -----------------------------------------------------------------------------


def _clarification(clause: Clause, words: set[str]) -> Draft:
    if words & FOLDERS and words & LEAVING_OUT:
        return Draft(TaskKind.CLARIFICATION, "Ask which folders to leave out", {"topic": "exclude"})
    tokens = list(clause.tokens[1:])
    while tokens and tokens[0].low in ("me", "us", "the", "user", "with"):
        del tokens[0]
    asked = spell(tokens)
    if tokens and tokens[0].low in ("for", "about"):
        asked = f"what is {spell(tokens[1:])}"
    return question(asked or "may this go on")


def question(asked: str) -> Draft:
    """A question to a person, in the goal's words."""
    text = f"{_sentence(asked)}?"
    return Draft(TaskKind.CLARIFICATION, f"Ask: {text}", {"topic": "free", "question": text})


def _is_test_run(clause: Clause, act: Act | None, words: set[str]) -> bool:
    if act is Act.TEST:
        return bool(words & (TESTS | CODE_WORDS | PRONOUNS)) and not words & CALLABLES
    if not words & TESTS:
        return False
    if act not in (Act.RUN, Act.FIND, Act.AUDIT, None):
        return False
    if act is Act.RUN or words & {"pass", "passes", "passed", "succeed", "green", "fail", "failing"}:
        return True
    return act is None and len(words - FILLERS - VERB_FOLLOWERS) <= 2


def _test_run(clause: Clause) -> Draft:
    params: dict[str, Any] = {"timeout_seconds": TEST_SECONDS}
    words = clause.words
    for number, unit in pairwise(words):
        if number.isdigit() and unit in _SECONDS:
            params["timeout_seconds"] = int(number) * _SECONDS[unit]
    return Draft(TaskKind.UNIT_TEST, "Run the tests", params, attachments(clause))


def _is_report(clause: Clause, act: Act | None, words: set[str]) -> bool:
    if clause.verb in _TELLING and words & PRONOUNS:
        return True
    if act not in (Act.REPORT, Act.WRITE, Act.FIND, None):
        return False
    if attachments(clause) and act is Act.REPORT:
        return False
    if words & REPORTS:
        return act is not Act.FIND
    return act is Act.REPORT and not words - FILLERS - VERB_FOLLOWERS - {clause.verb, "back", "everything"}


def _audit() -> list[Draft]:
    return [
        _long(MAX_LINES),
        _complex(MAX_COMPLEXITY),
        _analysis("imports", "List what each module imports"),
        _markers(DEFAULT_MARKERS),
    ]


def _query(clause: Clause) -> Draft:
    quoted = [token.text for token in clause.tokens if token.kind == "quoted"]
    words = [
        token.text
        for token in clause.tokens[1 if clause.verb else 0 :]
        if token.kind != "mark" and token.low not in _QUERY_NOISE
    ]
    query = " ".join(quoted or words or [clause.text])
    return Draft(
        TaskKind.RETRIEVAL,
        _sentence(clause.text),
        {"query": query, "top": FOUND_AT_MOST},
        attachments(clause),
    )


def _work(clause: Clause, kind: TaskKind) -> Draft:
    params = {"format": "free"} if kind is TaskKind.PROCESSING else {}
    return Draft(kind, _sentence(imperative(clause)), params, attachments(clause))


def imperative(clause: Clause) -> str:
    """The clause in words, its verb in the base form ("rewriting it" -> "rewrite it")."""
    return " ".join([clause.verb, spell(clause.tokens[1:])]).strip() if clause.verb else clause.text


def _is_imperative(clause: Clause) -> bool:
    """An unknown first word before a determiner is most likely a verb ("benchmark the parser")."""
    words = clause.words
    known = FILLERS | VERB_FOLLOWERS | PRONOUNS | NEGATIONS
    determiners = {"the", "a", "an", "all", "every", "each", "this", "these", "my", "our", "it", "them"}
    return len(words) > 1 and words[0] not in known and words[1] in determiners and not clause.heading


# -- checks and their limits ------------------------------------------------------------------


def _analysis(check: str, description: str, **limits: Any) -> Draft:
    return Draft(TaskKind.ANALYSIS, description, {"checks": [{"check": check, **limits}]})


def _long(limit: int) -> Draft:
    return _analysis("long_functions", f"Find functions longer than {limit} lines", max_lines=limit)


def _complex(limit: int) -> Draft:
    return _analysis("complexity", f"Find functions with a complexity above {limit}", max_complexity=limit)


def _long_functions(segment: list[Token]) -> Draft:
    return _long(_limit(segment, MAX_LINES))


def _complexity(segment: list[Token]) -> Draft:
    return _complex(_limit(segment, MAX_COMPLEXITY))


def _markers(names: tuple[str, ...]) -> Draft:
    text = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    return _analysis("markers", f"Find {text} comments", markers=list(names))


def _limit(segment: list[Token], default: int) -> int:
    """The greatest value that is still fine: "longer than 60" is 60, "at least 60" is 59."""
    words = [token.low for token in segment]
    for at, token in enumerate(segment):
        if token.kind == "number" and token.text.replace(",", "").isdigit():
            number = int(token.text.replace(",", ""))
            before, after = words[max(0, at - 2) : at], words[at + 1 : at + 4]
            inclusive = "least" in before or after[:2] == ["or", "more"] or after[1:3] == ["or", "more"]
            return max(0, number - inclusive)
    return default


def _segments(tokens: tuple[Token, ...]) -> list[list[Token]]:
    """The parts of an object that are joined by "and", "or" or commas ("60 lines or more" is one)."""
    segments: list[list[Token]] = [[]]
    for at, token in enumerate(tokens):
        more = (
            token.low == "or" and at + 1 < len(tokens) and tokens[at + 1].low in ("more", "longer", "above")
        )
        if not more and (token.low in ("and", "or", "plus") or token.text == ","):
            segments.append([])
        else:
            segments[-1].append(token)
    return segments


def _is_marker(token: Token) -> bool:
    if token.kind != "word":
        return False
    if token.text.rstrip("s") in MARKERS:
        return True
    return token.low in ("todo", "todos", "fixme", "fixmes")


def attachments(clause: Clause) -> tuple[Attachment, ...]:
    """Files, folders, addresses and quoted texts that a clause refers to, each once."""
    found: dict[Attachment, None] = {}
    for token in clause.tokens:
        if token.kind == "url":
            found[Attachment("url", token.text)] = None
        elif token.kind == "path":
            name = token.text.rstrip("/").rpartition("/")[2]
            is_file = "." in name.strip(".") and not token.text.endswith("/")
            found[Attachment("file" if is_file else "folder", token.text)] = None
        elif token.kind == "quoted" and token.text.strip():
            found[Attachment("text", token.text)] = None
    return tuple(found)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
