"""The tree that the architecture tests look at, read once. Knows files, not what they mean."""

import ast
import subprocess
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Source:
    """One Python file: where it is, its text, its syntax tree."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @property
    def module(self) -> str:
        """Dotted name; only for files under src."""
        parts = self.path.relative_to(ROOT / "src").with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, filename=self.name)


@cache
def source(path: Path) -> Source:
    """The file at ``path``; the same object every time, so that it is parsed once."""
    return Source(path)


@dataclass(frozen=True)
class Tree:
    """The repository as git would commit it: tracked files and new ones that are not ignored."""

    root: Path

    @cached_property
    def files(self) -> list[Path]:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=self.root,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        paths = (self.root / name for name in sorted(set(listed.split("\0")) - {""}))
        return [path for path in paths if path.is_file()]

    def python(self, *folders: str) -> list[Source]:
        """Python files under the given folders."""
        roots = [self.root / folder for folder in folders]
        return [
            source(path)
            for path in self.files
            if path.suffix == ".py" and any(path.is_relative_to(folder) for folder in roots)
        ]

    def pages(self) -> list[Path]:
        """Markdown pages, generated ones included."""
        return [path for path in self.files if path.suffix == ".md" and "examples" not in path.parts]


@pytest.fixture(scope="session")
def tree() -> Tree:
    return Tree(ROOT)
