"""Where output goes: results to standard output, all else to standard error, each as JSON or for people.

Rich is imported when something is shown for people, not before. Knows views and streams; nothing of
runs.
"""

from __future__ import annotations

import json
import sys
import traceback
from typing import Any

from dashflow.cli.options import Settings
from dashflow.cli.streams import Stream, clean


class Output:
    """Standard output and error of one command.

    Attributes:
        out: For results.
        err: For everything else.
    """

    def __init__(self, settings: Settings) -> None:
        self.json = settings.json
        self.out = Stream(sys.stdout, lossless=True)
        self.err = Stream(sys.stderr)

    def show(self, view: Any, form: str = "") -> bool:
        """Show a view on standard output.

        Args:
            view: One of ``views``.
            form: How people see it, where there are several ways (``tree``, ``line``, ``log``: a line
                that names its stream); JSON is one object on several lines, except for lines: one each.

        Returns:
            False when nobody reads standard output any more.

        Raises:
            OSError: standard output could not take all of it.
        """
        if self.json:
            self.out.write(_json_text(view, None if form in ("line", "log") else 2))
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
        return "\n".join(line.rstrip(" ") for line in captured.get().split("\n"))


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
