"""What every view is drawn with: the glyph and the word of a state, and text of others on one line."""

from __future__ import annotations

from rich.text import Text

from dashflow.cli.streams import clean

_MARKS: dict[str, tuple[str, str, str]] = {
    "completed": ("✓", "+", "green"),
    "finished": ("✓", "+", "green"),
    "running": ("●", ">", "cyan"),
    "planning": ("●", ">", "cyan"),
    "ready": ("○", "o", ""),
    "planned": ("·", ".", "dim"),
    "needs_clarification": ("?", "?", "yellow"),
    "needs_approval": ("?", "?", "yellow"),
    "waiting": ("?", "?", "yellow"),
    "paused": ("?", "?", "yellow"),
    "stopped": ("⏸", "=", "yellow"),
    "failed": ("✗", "x", "red"),
    "blocked": ("⊘", "/", "red"),
    "cancelling": ("⊘", "/", "yellow"),
    "cancelled": ("⊘", "/", "dim"),
}
"""By state: a glyph, the same in ASCII, and a colour."""

_WORDS = {
    "needs_clarification": "asks",
    "needs_approval": "waits for approval",
    "waiting": "waiting for an answer",
}
"""States that people know under another name."""


def mark(state: str, unicode: bool) -> Text:
    """The glyph of a state in its colour."""
    glyph, ascii_glyph, style = _MARKS.get(state, ("·", ".", ""))
    return Text(glyph if unicode else ascii_glyph, style)


def word(state: str) -> str:
    """What people call a state."""
    return _WORDS.get(state, state.replace("_", " "))


def plain(text: str, style: str = "") -> Text:
    """Text on one line; the words of others may go over several."""
    return Text(clean(" ".join(text.split())), style)
