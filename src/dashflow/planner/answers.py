"""A model's answer as plain data: whatever it wrapped its plan in, a list of mappings comes out.

Reads JSON (fenced, in prose, with trailing commas, cut off, in Python's spelling), XML-like tags, and
numbered lists. In time linear in the answer. Judges nothing: ``repair`` does.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from dashflow.errors import PlanAnswerError

MAX_CHARACTERS: Final = 400_000

_FENCE: Final = re.compile(r"```[ \t]*+\w*+[ \t]*+\r?\n")
_COMMENT: Final = re.compile(r"^[ \t]*+(?://|#)[^\n]*+$", re.MULTILINE)
_LINE: Final = re.compile(
    r"^[ \t]*+(?:\*\*)?(?:(?:step|task|node)[ \t]++)?(\d{1,3})[.):](?:\*\*)?[ \t]*+(\S[^\n]*+)$",
    re.MULTILINE | re.IGNORECASE,
)
_EDGE: Final = re.compile(r"\(\s*+(\w{1,40})\s*+,\s*+(\w{1,40})\s*+\)")
_ATTRIBUTE: Final = re.compile(r"([\w-]++)\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)')")
_KIND_IN_LINE: Final = re.compile(r"^[\[(]([\w -]{2,30})[\])][ \t:]*+")
_WAITS_IN_LINE: Final = re.compile(
    r"[\[(]?\b(?:depends on|dependencies|depends|after|requires|needs)\b[ \t]*+:?[ \t]*+"
    r"(?:(?:steps?|tasks?|nodes?)[ \t]++)?\[?[#a-z]?(\d{1,3}(?:[ \t]*+(?:,|and|&)[ \t]*+[#a-z]?\d{1,3})*)"
    r"\]?[\])]?",
    re.IGNORECASE,
)
_NUMBER: Final = re.compile(r"\d{1,3}")
_LISTS: Final = ("tasks", "plan", "steps", "nodes", "subtasks", "task_list")


def plain_tasks(answer: str) -> list[Any]:
    """The entries of the plan in a model's answer, as plain data, not checked yet.

    Raises:
        PlanAnswerError: there is nothing in it that looks like a plan.
    """
    if not answer.strip():
        raise PlanAnswerError("it is empty", answer)
    if len(answer) > MAX_CHARACTERS:
        raise PlanAnswerError(f"it has {len(answer)} characters", answer[:1000])
    for text in _candidates(answer):
        found = _from_json(text)
        if found:
            return found
    found = _from_tags(answer) or _from_lines(answer)
    if found:
        return found
    raise PlanAnswerError("it holds no JSON, no tags and no numbered list of tasks", answer)


# -- JSON -------------------------------------------------------------------------------------


def _candidates(answer: str) -> Iterator[str]:
    """Parts of the answer that may be JSON, the likelier ones first."""
    yield answer.strip()
    pieces = _FENCE.split(answer)
    for piece in pieces[1:]:
        yield piece.partition("```")[0].strip()
    for opening in "{[":
        start = answer.find(opening)
        if start >= 0:
            yield answer[start:]
    start = answer.find("[{")
    if start >= 0:
        yield answer[start:]


def _from_json(text: str) -> list[Any]:
    """The list of tasks in a text that begins as JSON; empty if it is none."""
    if not text.startswith(("{", "[")):
        return []
    whole = _balanced(text)
    for attempt in (whole, _mended(whole)):
        try:
            return _listed(msgspec.json.decode(attempt))
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            continue
    try:
        return _listed(ast.literal_eval(_mended(whole)))
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return []


def _listed(value: Any) -> list[Any]:
    """The task list somewhere at the top of decoded data."""
    for _ in range(3):
        if isinstance(value, list):
            return value
        if not isinstance(value, dict):
            return []
        inner = next((value[name] for name in _LISTS if name in value), None)
        if inner is None:
            return _by_id(value)
        value = inner
    return value if isinstance(value, list) else []


def _by_id(value: dict[Any, Any]) -> list[Any]:
    """A mapping from id to task; or one task by itself."""
    if any(key in value for key in ("description", "kind")):
        return [value]
    if value and all(isinstance(inner, dict) for inner in value.values()):
        return [{"id": name, **inner} for name, inner in value.items()]
    return []


def _balanced(text: str) -> str:
    """The text up to the bracket that closes its first one; if it was cut off, with what is missing."""
    expected: list[str] = []
    quoted = escaped = False
    for at, character in enumerate(text):
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = quoted
        elif character == '"':
            quoted = not quoted
        elif quoted:
            continue
        elif character in "{[":
            expected.append("}" if character == "{" else "]")
        elif character in "}]":
            if expected and expected[-1] == character:
                expected.pop()
            if not expected:
                return text[: at + 1]
    return text.rstrip().rstrip(",:") + '"' * quoted + "".join(reversed(expected))


def _mended(text: str) -> str:
    """The text without comment lines and without commas before a closing bracket."""
    text = _COMMENT.sub("", text)
    kept: list[str] = []
    quoted = escaped = False
    comma = -1
    for character in text:
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = quoted
        elif character == '"':
            quoted = not quoted
        if not quoted and character in "}]" and comma >= 0:
            del kept[comma]
        if quoted or not (character.isspace() or character == ","):
            comma = -1
        elif character == ",":
            comma = len(kept)
        kept.append(character)
    return "".join(kept)


# -- tags -------------------------------------------------------------------------------------


def _from_tags(answer: str) -> list[Any]:
    """Tasks written as ``<task id="t1" kind="analysis">words</task>``, or with a tag for each field."""
    found: list[Any] = []
    lower = answer.lower()
    at = lower.find("<task")
    while at >= 0:
        head_end = lower.find(">", at)
        if head_end < 0:
            break
        following = lower.find("<task", head_end)
        body_end = lower.find("</task>", head_end, following if following >= 0 else len(lower))
        if lower[at + 5 : at + 6] in (" ", ">", "\n", "\t", "/"):
            end = next(place for place in (body_end, following, len(answer)) if place >= 0)
            body = answer[head_end + 1 : end]
            entry = _tagged(answer[at + 5 : head_end], body)
            if entry:
                found.append(entry)
        at = following
    return found


def _tagged(head: str, body: str) -> dict[str, str]:
    entry = {name.lower(): a or b for name, a, b in _ATTRIBUTE.findall(head)}
    rest: list[str] = []
    while body:
        before, opening, after = body.partition("<")
        rest.append(before)
        name, _, inner = after.partition(">")
        value, closing, remaining = inner.partition(f"</{name}>")
        if not opening or not closing or not name.replace("_", "").isalnum():
            rest += [opening, after] if opening else []
            break
        entry[name.lower()] = value.strip()
        body = remaining
    words = " ".join("".join(rest).split())
    if words:
        entry.setdefault("description", words)
    return entry


# -- lists ------------------------------------------------------------------------------------


def _from_lines(answer: str) -> list[Any]:
    """Tasks written as a numbered list; what each waits for is said in its line or as pairs below."""
    entries: dict[str, dict[str, Any]] = {}
    for number, text in _LINE.findall(answer):
        if number not in entries and not _EDGE.match(text):
            entries[number] = _line(number, text.replace("**", ""))
    if len(entries) < 2:
        return []
    for first, second in _EDGE.findall(answer):
        if first in entries and second in entries:
            entries[second]["dependencies"].append(first)
    return list(entries.values())


def _line(number: str, text: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"id": number, "dependencies": []}
    kind = _KIND_IN_LINE.match(text)
    if kind:
        entry["kind"] = kind.group(1)
        text = text[kind.end() :]
    waits = _WAITS_IN_LINE.search(text)
    if waits:
        entry["dependencies"] = _NUMBER.findall(waits.group(1))
        text = (text[: waits.start()] + text[waits.end() :]).strip(" .;,-")
    entry["description"] = " ".join(text.split())
    return entry
