"""Where output goes: results to standard output, all else to standard error, each as JSON or for people.

Rich is imported when something is shown for people, not before. Knows views and streams; nothing of
runs. Nobody reading (a closed pipe, a terminal that went away) is no error: what is shown is a copy of
the log, and a run must not end because of it.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any, TextIO

from dashflow.cli.options import Settings


def clean(text: str) -> str:
    """``text`` without what a terminal would obey: control characters become a visible mark.

    Goals, file names and test output come from outside; none may move the cursor or set a title.
    """
    return "".join(_CONTROL.get(ord(letter), letter) for letter in text)


_CONTROL = {code: "�" for code in (*range(32), 127, *range(128, 160)) if code not in (9, 10)}


class Stream:
    """A standard stream that goes silent instead of failing when nobody reads it any more."""

    def __init__(self, file: TextIO) -> None:
        self.file = file
        self.gone = False
        if hasattr(file, "reconfigure"):
            # A file name that is no text, or a terminal that knows no check mark, must not end a run.
            file.reconfigure(errors="backslashreplace")

    @property
    def terminal(self) -> bool:
        """Whether a person's terminal is at the other end."""
        try:
            return self.file.isatty()
        except ValueError:  # closed by whoever started us
            return False

    @property
    def coloured(self) -> bool:
        """Whether colours are wanted here: a terminal that knows them, and no NO_COLOR."""
        return self.terminal and not os.environ.get("NO_COLOR") and self.animated

    @property
    def animated(self) -> bool:
        """Whether lines may be drawn again: a terminal that can move its cursor."""
        return self.terminal and os.environ.get("TERM", "") not in ("", "dumb", "unknown")

    @property
    def unicode(self) -> bool:
        """Whether the glyphs beyond ASCII can be written."""
        return (self.file.encoding or "").lower().replace("-", "").startswith("utf")

    def write(self, text: str) -> int:
        """Write and flush; from the first failure on, nothing happens."""
        if not self.gone:
            try:
                self.file.write(text)
                self.file.flush()
            except (OSError, ValueError):
                self.gone = True
                _detach(self.file)
        return len(text)

    def flush(self) -> None:
        """Nothing is held back here; for those who expect a file."""

    def isatty(self) -> bool:
        """As ``terminal``; for those who expect a file."""
        return self.terminal

    def fileno(self) -> int:
        """The descriptor below; for those who measure the terminal."""
        return self.file.fileno()

    @property
    def encoding(self) -> str:
        """How text becomes bytes; for those who expect a file."""
        return self.file.encoding


def _detach(file: TextIO) -> None:
    """Point the descriptor at nothing, so that the interpreter's last flush does not complain."""
    try:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, file.fileno())
        os.close(nothing)
    except (OSError, ValueError):
        return  # the stream has no descriptor: there is nothing left that could be flushed


class Output:
    """Standard output and error of one command.

    Attributes:
        out: For results.
        err: For everything else.
    """

    def __init__(self, settings: Settings) -> None:
        self.json = settings.json
        self.out = Stream(sys.stdout)
        self.err = Stream(sys.stderr)

    def show(self, view: Any, form: str = "") -> bool:
        """Show a view on standard output.

        Args:
            view: One of ``views``.
            form: How people see it, where there are several ways (``tree``, ``line``); JSON is one
                object on several lines, except ``line``: one line each.

        Returns:
            False when nobody reads standard output any more.
        """
        if self.json:
            self.out.write(_json_text(view, None if form == "line" else 2))
        else:
            from dashflow.cli.render import render

            self.out.write(self.text(render(view, form, self.out.unicode), self.out))
        return not self.out.gone

    def say(self, text: str) -> None:
        """A plain line on standard error."""
        self.err.write(clean(text) + "\n")

    def text(self, renderable: Any, stream: Stream) -> str:
        """What a rich renderable looks like on ``stream``, without trailing blanks."""
        from dashflow.cli.render import console_for

        console = console_for(stream)
        with console.capture() as captured:
            console.print(renderable)
        return "".join(line.rstrip(" ") + "\n" for line in captured.get().splitlines())


def _json_text(view: Any, indent: int | None) -> str:
    from msgspec import to_builtins

    plain = to_builtins(view)
    # ASCII only: whatever the stream's encoding is, and whatever bytes were in a file's name, it is JSON.
    return json.dumps(plain, indent=indent, ensure_ascii=True) + "\n"


def report_error(code: str, message: str, settings: Settings, *, cause: BaseException | None = None) -> None:
    """Tell of an error: one line on standard error, red where there is colour, and JSON if asked for.

    Args:
        code: The error's stable code.
        message: What happened, where, and what to do.
        settings: Whether JSON or tracebacks are wanted.
        cause: The error itself, for the traceback.
    """
    err = Stream(sys.stderr)
    if settings.debug and cause is not None:
        err.write("".join(traceback.format_exception(cause)))
    line = clean(" ".join(message.split()))
    start, end = ("\x1b[31m", "\x1b[0m") if err.coloured else ("", "")
    err.write(f"{start}Error: {line}{end}\n")
    if settings.json:
        Stream(sys.stdout).write(json.dumps({"error": {"code": code, "message": message}}) + "\n")


def flush(streams: Sequence[TextIO]) -> None:
    """Write out what is still held back; a reader that went away is no error."""
    for stream in streams:
        try:
            stream.flush()
        except (OSError, ValueError):
            _detach(stream)
