"""What git ignores, read from .gitignore files, .git/info/exclude and the index; git itself is not needed.

Rules are asked from the top of a tree downwards: whoever walks does not enter an ignored folder, as
git does not. A path that is in git's index is never ignored. A person's own global ignore file is
left out on purpose: the same folder must look the same on every machine. Reads files, writes none.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from pathlib import Path
from re import Pattern
from typing import NamedTuple

from pathspec.patterns.gitignore.base import GitIgnorePatternError
from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

from dashflow.planner.regularfile import read_regular

_MAX_RULES_BYTES = 1_000_000
_MAX_INDEX_BYTES = 512_000_000
_FOLDER_ABOVE = "ps_d"


class Rule(NamedTuple):
    """One line of a .gitignore: its expression, whether it ignores or takes back, what it is held against."""

    regex: Pattern[str]
    ignores: bool
    by_name: bool
    folders_only: bool

    def matches(self, path: str, name: str, is_dir: bool) -> bool:
        """Whether the rule is about this very path, not only about a folder above it."""
        if self.folders_only and not is_dir:
            return False
        found = self.regex.search(name if self.by_name else path)
        # the mark is set where only a folder above the path matched
        return found is not None and not found.groupdict().get(_FOLDER_ABOVE)


class Layer(NamedTuple):
    """The rules of one file; ``base`` is its folder relative to the repository, ``""`` or ending in ``/``."""

    base: str
    rules: tuple[Rule, ...]


def parse_rules(text: str) -> tuple[Rule, ...]:
    """The rules of a .gitignore's text, last one first: the last match decides. Bad lines match nothing."""
    rules: list[Rule] = []
    for line in text.removeprefix("\ufeff").split("\n"):
        body = line.removesuffix("\r")
        body = body if body.endswith("\\ ") else body.rstrip(" ")
        folders_only = body.endswith("/")
        body = body.removesuffix("/") if folders_only else body
        try:
            pattern = GitIgnoreSpecPattern(body)
        except (GitIgnorePatternError, ValueError):
            continue  # git too takes a malformed pattern as one that matches nothing
        if pattern.include is not None and pattern.regex is not None:
            by_name = "/" not in body.removeprefix("!")
            rules.append(Rule(pattern.regex, pattern.include, by_name, folders_only))
    return tuple(reversed(rules))


def read_layer(file: Path, base: str) -> Layer | None:
    """The layer of one ignore file; None when it is missing, unreadable, no plain file, or without rules."""
    data = read_regular(file, _MAX_RULES_BYTES)
    if not isinstance(data, bytes):
        return None
    rules = parse_rules(os.fsdecode(data))
    return Layer(base, rules) if rules else None


def ignored(layers: Iterable[Layer], path: str, name: str, is_dir: bool) -> bool:
    """Whether ``path`` (relative to the repository) is ignored; ``layers`` come strongest first."""
    for layer in layers:
        inside = path[len(layer.base) :]
        for rule in layer.rules:
            if rule.matches(inside, name, is_dir):
                return rule.ignores
    return False


class Repository:
    """The git repository around a folder, or the lack of one (then the folder's own .gitignore files count).

    Attributes:
        prefix: The folder relative to the repository, ``""`` or ending in ``/``.
        layers: Rules from above the folder, strongest first.
    """

    def __init__(self, folder: Path) -> None:
        root = next((above for above in (folder, *folder.parents) if _is_git(above / ".git")), None)
        self._git = _git_folder(root / ".git") if root else None
        self.prefix = ""
        self.layers: tuple[Layer, ...] = ()
        self._tracked: tuple[frozenset[str], frozenset[str]] | None = None
        if root is None or self._git is None:
            return
        if root != folder:
            self.prefix = folder.relative_to(root).as_posix() + "/"
        layers = self._outer_layers(root)
        if self._hides_folder(layers):
            # somebody asked for a folder that git ignores: then what ignores it does not count
            self._git = None
            self.prefix = ""
            return
        self.layers = layers

    def _outer_layers(self, root: Path) -> tuple[Layer, ...]:
        found: list[Layer | None] = []
        if self._git is not None:
            found.append(read_layer(_common_folder(self._git) / "info" / "exclude", ""))
        parts = self.prefix.rstrip("/").split("/") if self.prefix else []
        for depth in range(len(parts)):  # the folder's own file is read by who walks it
            base = "".join(f"{part}/" for part in parts[:depth])
            found.append(read_layer(root / base / ".gitignore", base))
        return tuple(layer for layer in reversed(found) if layer)

    def _hides_folder(self, layers: tuple[Layer, ...]) -> bool:
        parts = self.prefix.rstrip("/").split("/") if self.prefix else []
        paths = ["/".join(parts[: depth + 1]) for depth in range(len(parts))]
        return any(ignored(layers, path, path.rpartition("/")[2], is_dir=True) for path in paths)

    def tracks(self, path: str, is_dir: bool) -> bool:
        """Whether git's index has this file, or a file inside this folder; relative to the repository."""
        if self._tracked is None:
            self._tracked = _tracked(self._git) if self._git else (frozenset(), frozenset())
        files, folders = self._tracked
        return path in (folders if is_dir else files)


def _is_git(path: Path) -> bool:
    return (path / "HEAD").exists() or path.is_file()


def _git_folder(path: Path) -> Path | None:
    """The repository's own folder: ``.git``, or what a ``.git`` file of a worktree or submodule points to."""
    if path.is_dir():
        return path
    data = read_regular(path, 4096)
    if not isinstance(data, bytes) or not data.startswith(b"gitdir:"):
        return None
    return path.parent / os.fsdecode(data[len(b"gitdir:") :].strip())


def _common_folder(git: Path) -> Path:
    """Where a worktree keeps what it shares with its main repository."""
    data = read_regular(git / "commondir", 4096)
    return git / os.fsdecode(data.strip()) if isinstance(data, bytes) else git


def _tracked(git: Path) -> tuple[frozenset[str], frozenset[str]]:
    """Files in the index and all folders above them; both empty when there is no index that we can read."""
    data = read_regular(git / "index", _MAX_INDEX_BYTES)
    config = read_regular(_common_folder(git) / "config", _MAX_RULES_BYTES)
    hash_bytes = 32 if isinstance(config, bytes) and b"sha256" in config.lower() else 20
    if not isinstance(data, bytes):
        return frozenset(), frozenset()
    try:
        files = index_paths(data, hash_bytes)
    except (ValueError, IndexError, struct.error):
        return frozenset(), frozenset()  # an index of a future layout: rules alone decide
    folders: set[str] = set()
    for path in files:
        above = path.rpartition("/")[0]
        while above and above not in folders:
            folders.add(above)
            above = above.rpartition("/")[0]
    return frozenset(files), frozenset(folders)


def index_paths(data: bytes, hash_bytes: int = 20) -> list[str]:
    """Paths in a git index of version 2, 3 or 4.

    Raises:
        ValueError, IndexError, struct.error: it is no index, or of another version, or cut short.
    """
    magic, version, count = struct.unpack_from(">4sII", data)
    if magic != b"DIRC" or version not in (2, 3, 4):
        raise ValueError(f"no git index of a known version: {magic!r} {version}")
    paths: list[str] = []
    position, previous = 12, b""
    fixed = 40 + hash_bytes  # ctime, mtime, dev, ino, mode, uid, gid, size; then the object's hash
    for _ in range(count):
        start = position
        (flags,) = struct.unpack_from(">H", data, position + fixed)
        position += fixed + (4 if flags & 0x4000 else 2)
        if version == 4:
            keep, position = _varint(data, position)
            previous = previous[: len(previous) - keep]
        else:
            previous = b""
        end = data.index(b"\0", position)
        previous += data[position:end]
        position = end + 1 if version == 4 else start + (end - start + 8) // 8 * 8
        paths.append(os.fsdecode(previous))
    return paths


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """A number in git's offset encoding, and the position after it."""
    byte = data[position]
    value = byte & 0x7F
    while byte & 0x80:
        position += 1
        byte = data[position]
        value = ((value + 1) << 7) | (byte & 0x7F)
    return value, position + 1
