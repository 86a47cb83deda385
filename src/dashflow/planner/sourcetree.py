"""The folder looked at: which of its files count, and which are left out. Opens no file but ignore files.

Left out always: version control, virtual environments, caches, DashFlow's own folders, the run's
output, and what git ignores. Left out on request: the folders of an answer, each a path relative to
the folder or the name of folders anywhere in it. Links are not followed, neither to files nor to
folders, so nothing outside is looked at and no file twice.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from dashflow.errors import WorkspaceError
from dashflow.planner.findings import one_line, storable
from dashflow.planner.gitignore import Layer, Repository, ignored, read_layer
from dashflow.planner.regularfile import Unread, describe, read_regular

NEVER = frozenset(
    {".git", ".hg", ".svn", ".bzr", "CVS", ".venv", "site-packages", "node_modules", "bower_components"}
    | {"__pycache__", "__pypackages__", ".tox", ".nox", ".eggs", ".direnv", ".ipynb_checkpoints"}
    | {".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis", ".pytype", ".import_linter_cache"}
    | {".dashflow", "dashflow-out"}
)
"""Names of folders (or of a ``.git`` file) that are never part of the work."""

REPORT_FILES = ("report.md", "report.json")
"""What a run writes; left out when the output folder is the very folder looked at."""

_NONE_WORDS = frozenset({"", "none", "no", "nothing"})
_ENVIRONMENT_MARKS = ("pyvenv.cfg", "conda-meta", "bin/activate_this.py", "bin/activate", "Scripts/activate")


class SourceFile(msgspec.Struct, frozen=True):
    """A plain file that belongs to the work.

    Attributes:
        path: Relative to the folder, ``/`` between parts, always valid Unicode: for people and results.
        location: Absolute, as the system knows it: for opening.
        size: Bytes, when it was listed.
    """

    path: str
    location: str
    size: int

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """What follows the name's last dot, lower case, with the dot; empty without one."""
        stem, dot, ending = self.name.rpartition(".")
        return f".{ending.lower()}" if dot and stem else ""

    def read(self, limit: int) -> bytes | Unread:
        """The content, if it is at most ``limit`` bytes; otherwise why not."""
        return read_regular(self.location, limit)


class Problem(NamedTuple):
    """A path that could not be looked at, and why, in words that continue "the file ..."."""

    path: str
    why: str


def parse_exclusions(answer: str) -> tuple[str, ...]:
    """Folders named in an answer: comma-separated; ``none``, ``no``, ``nothing`` or no word for none.

    Quotes, surrounding blanks, a leading ``./`` and slashes at the end are dropped, repetitions too.
    A folder that is really called ``none`` is written ``./none``.
    """
    if answer.strip().strip(".!\"'`").strip().lower() in _NONE_WORDS:
        return ()
    names: dict[str, None] = {}
    for part in re.split(r"[,\n]", answer):
        name = part.strip().strip("\"'`").strip().replace("\\", "/")
        name = re.sub(r"/{2,}", "/", name)
        while name.startswith("./"):
            name = name[2:]
        name = name if name == "/" else name.rstrip("/")
        if name:
            names[storable(name)] = None
    return tuple(names)


class _Frame(NamedTuple):
    """One folder on the way down: its entries still to visit and the rules that hold in it."""

    path: str
    entries: Iterator[os.DirEntry[str]]
    layers: tuple[Layer, ...]
    only_tracked: bool


class SourceTree:
    """One look at a folder. ``files`` may be asked again and walks again; the rest tells of the last walk.

    Attributes:
        folder: Absolute, links resolved.
        problems: Folders that could not be listed and entries that are no files, in order.
        left_out: Folders left out because they were named or git ignores them, relative, in order.
    """

    def __init__(self, folder: Path, out: Path | None = None, exclude: Sequence[str] = ()) -> None:
        """Nothing is walked yet.

        Raises:
            WorkspaceError: ``folder`` does not exist, is no folder, or cannot be listed.
        """
        self.folder = _checked(folder)
        self.problems: list[Problem] = []
        self.left_out: list[str] = []
        self._repository = Repository(self.folder)
        self._out = _inside(self.folder, out.resolve()) if out else None
        self._notes: list[str] = []
        self._paths: set[str] = set()
        self._names: set[str] = set()
        self._seen: set[str] = set()
        for name in exclude:
            self._name_exclusion(name)

    def _name_exclusion(self, name: str) -> None:
        inside = name
        if name.startswith("/") or re.match(r"[A-Za-z]:/", name):
            relative = _inside(self.folder, Path(os.path.realpath(name)))
            if relative is None:
                self._notes.append(f"{_shown(name)} is not in the folder looked at; nothing left out there.")
                return
            inside = relative
        if inside in ("", "."):
            self._notes.append("The whole folder cannot be left out; that part of the answer was ignored.")
        elif ".." in inside.split("/"):
            self._notes.append(f"{_shown(name)} leads out of the folder looked at; nothing left out there.")
        elif "/" in inside:
            self._paths.add(inside)
        else:
            self._names.add(inside)

    def files(self) -> Iterator[SourceFile]:
        """The files that count, folder by folder, names in code point order. Holds one branch in memory."""
        self.problems, self.left_out, self._seen = [], [], set()
        stack = [self._enter("", str(self.folder), self._repository.layers, only_tracked=False)]
        while stack:
            frame = stack[-1]
            entry = next(frame.entries, None)
            if entry is None:
                stack.pop()
                continue
            path = f"{frame.path}{entry.name}"
            try:
                if entry.is_symlink():
                    continue
                if entry.is_dir(follow_symlinks=False):
                    below = self._folder(frame, entry, path)
                    if below is not None:
                        stack.append(below)
                elif self._wanted(frame, entry, path):
                    size = entry.stat(follow_symlinks=False).st_size
                    yield SourceFile(storable(path), entry.path, size)
            except OSError as error:  # it went away, or its folder may be listed but not searched
                self.problems.append(Problem(storable(path), describe(error)))

    def _enter(self, path: str, location: str, layers: tuple[Layer, ...], only_tracked: bool) -> _Frame:
        """Begin a folder; ``path`` is relative and empty or ends in ``/``."""
        entries: list[os.DirEntry[str]] = []
        try:
            with os.scandir(location) as found:
                entries.extend(found)
        except OSError as error:
            self.problems.append(Problem(storable(path.rstrip("/")) or ".", describe(error)))
        entries.sort(key=lambda entry: entry.name)
        if any(entry.name == ".gitignore" for entry in entries):
            layer = read_layer(Path(location) / ".gitignore", self._repository.prefix + path)
            layers = (layer, *layers) if layer else layers
        return _Frame(path, iter(entries), layers, only_tracked)

    def _folder(self, frame: _Frame, entry: os.DirEntry[str], path: str) -> _Frame | None:
        """The folder's frame, or None when it is left out."""
        shown = storable(path)
        named = {shown} & self._paths | {storable(entry.name), shown} & self._names
        if named:
            self._seen |= named
            self.left_out.append(shown)
            return None
        if entry.name in NEVER or path == self._out or _is_environment(entry.path):
            return None
        only_tracked = frame.only_tracked or self._ignored(frame, entry, path, is_dir=True)
        if only_tracked and not self._repository.tracks(self._repository.prefix + path, is_dir=True):
            self.left_out.append(shown)
            return None
        return self._enter(f"{path}/", entry.path, frame.layers, only_tracked)

    def _wanted(self, frame: _Frame, entry: os.DirEntry[str], path: str) -> bool:
        """Whether an entry that is no folder counts."""
        if entry.name in NEVER or (self._out == "." and path in REPORT_FILES):
            return False
        hidden = frame.only_tracked or self._ignored(frame, entry, path, is_dir=False)
        if hidden and not self._repository.tracks(self._repository.prefix + path, is_dir=False):
            return False
        if not entry.is_file(follow_symlinks=False):
            self.problems.append(Problem(storable(path), "is not a regular file"))
            return False
        return True

    def _ignored(self, frame: _Frame, entry: os.DirEntry[str], path: str, is_dir: bool) -> bool:
        return ignored(frame.layers, self._repository.prefix + path, entry.name, is_dir)

    def notes(self) -> list[str]:
        """What an answer named that could not be left out; complete once ``files`` has come to its end."""
        missing = sorted((self._paths | self._names) - self._seen)
        told = [note for name in missing if (note := self._missing(name))]
        return sorted(set(self._notes)) + told

    def _missing(self, name: str) -> str:
        place = os.path.join(self.folder, name)
        if os.path.isdir(place):
            return ""  # left out anyway: a cache, ignored by git, or below another folder left out
        if os.path.exists(place):
            return f"{_shown(name)} is a file, not a folder; it was not left out."
        return f"There is no folder {_shown(name)} to leave out."

    def top_folders(self) -> list[str]:
        """Names of the folders right below the folder that are not left out anyway, sorted."""
        frame = self._enter("", str(self.folder), self._repository.layers, only_tracked=False)
        return [
            storable(entry.name)
            for entry in frame.entries
            if entry.is_dir(follow_symlinks=False) and self._folder(frame, entry, entry.name)
        ]


def _checked(folder: Path) -> Path:
    """The folder, absolute and without links.

    Raises:
        WorkspaceError: it does not exist, is no folder, or cannot be listed.
    """
    shown = storable(str(folder))
    try:
        place = folder.resolve(strict=True)
        with os.scandir(place):
            return place
    except FileNotFoundError:
        raise WorkspaceError(shown, "does not exist", "Name an existing folder with --on.") from None
    except NotADirectoryError:
        raise WorkspaceError(shown, "is no folder", "Name the folder that it is in.") from None
    except (OSError, RuntimeError, ValueError) as error:
        remedy = "Change its permissions, or name another folder with --on."
        raise WorkspaceError(shown, describe(error), remedy) from error


def _inside(folder: Path, place: Path) -> str | None:
    """``place`` relative to ``folder`` (``.`` for itself), None when it is not inside."""
    return place.relative_to(folder).as_posix() if place.is_relative_to(folder) else None


def _is_environment(location: str) -> bool:
    """Whether a folder is a Python environment, whatever it is called."""
    return any(os.path.lexists(os.path.join(location, mark)) for mark in _ENVIRONMENT_MARKS)


def _shown(name: str) -> str:
    return f"'{one_line(name, 120)}'"
