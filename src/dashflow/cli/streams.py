"""The standard streams as the command line needs them: they know what they can show.

Nobody reading (a closed pipe, a terminal that went away) is no error: what is shown is a copy of the
log, and a run must not end because of it. Imports nothing of DashFlow.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from typing import TextIO


def clean(text: str) -> str:
    """``text`` without what a terminal would obey: control characters become a visible mark.

    Goals, file names and test output come from outside; none may move the cursor or set a title.
    """
    return "".join(_CONTROL.get(ord(letter), letter) for letter in text)


_CONTROL = {code: "�" for code in (*range(32), 127, *range(128, 160)) if code not in (9, 10)}


_NOBODY = (None, errno.EPIPE, errno.EIO, errno.EBADF)
"""How it shows that nobody reads: a pipe without a reader, a terminal that is gone, a closed stream."""


class Stream:
    """A standard stream that goes silent instead of failing when nobody reads it any more.

    Args:
        file: The stream below.
        lossless: Whether to raise ``OSError`` where somebody reads but gets less than all (a full disk).

    Attributes:
        gone: Whether writing has failed; nothing is written any more then.
    """

    def __init__(self, file: TextIO, *, lossless: bool = False) -> None:
        self.file = file
        self.gone = False
        self._lossless = lossless
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
            except (OSError, ValueError) as error:
                self.gone = True
                _detach(self.file)
                if self._lossless and getattr(error, "errno", None) not in _NOBODY:
                    raise
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


def flush(streams: Sequence[TextIO]) -> None:
    """Write out what is still held back; a reader that went away is no error."""
    for stream in streams:
        try:
            stream.flush()
        except (OSError, ValueError):
            _detach(stream)
