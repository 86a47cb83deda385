"""The folders of a request, checked before it is recorded: what to look at, where to write.

Reads the file system; knows nothing of runs or of the log.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

from dashflow.errors import WorkspaceError
from dashflow.planner.sourcetree import SourceTree

_SAMPLE = 1024


def goal_folder(name: str) -> str:
    """The absolute path of a folder with something to look at.

    Raises:
        WorkspaceError: it is missing, no folder, unreadable, or holds no code or text.
    """
    path = _absolute(name, "Name an existing folder with --on.")
    try:
        found = os.stat(path)
    except FileNotFoundError:
        _refuse(path, "does not exist", "Name an existing folder with --on.")
    except (OSError, ValueError) as error:
        _refuse(path, f"cannot be looked at: {_reason(error)}", "Check its name and permissions.")
    if not os.path.isdir(path):
        _refuse(path, f"is no folder ({found.st_size} bytes)", "Name the folder that it is in.")
    try:
        os.scandir(path).close()
    except OSError as error:
        _refuse(path, f"cannot be read: {_reason(error)}", "Change its permissions, or name another.")
    if not _has_text(path):
        _refuse(path, "has no code and no text in it", "Name a folder with files to look at.")
    return path


def output_folder(name: str) -> str:
    """The absolute path of a folder that exists or can be made. Makes nothing.

    Raises:
        WorkspaceError: something else has that name, or it cannot be written.
    """
    path = _absolute(name, "Name another folder with --out.")
    above = path
    while not os.path.lexists(above) and os.path.dirname(above) != above:
        above = os.path.dirname(above)
    if not os.path.isdir(above):
        _refuse(above, "is in the way of the output: it is no folder", "Name another with --out.")
    if not os.access(above, os.W_OK | os.X_OK):
        _refuse(above, "cannot be written", "Name another folder with --out.")
    return path


def _absolute(name: str, remedy: str) -> str:
    try:
        name.encode("utf-8")
        return os.path.abspath(os.path.expanduser(name))
    except ValueError as error:
        _refuse(ascii(name), f"has a name that cannot be recorded: {_reason(error)}", remedy)


def _has_text(path: str) -> bool:
    """Whether any file that would be looked at is text; stops at the first."""
    return any(_is_text(file.location) for file in SourceTree(Path(path)).files())


def _is_text(file: str) -> bool:
    try:
        with open(file, "rb") as opened:
            start = opened.read(_SAMPLE)
    except OSError:
        return False  # unreadable: nothing to look at in it
    return bool(start.strip()) and b"\0" not in start


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _refuse(path: str, problem: str, remedy: str) -> NoReturn:
    raise WorkspaceError(path, problem, remedy)
