"""What git ignores: the same answer as git's own, on random trees and rules, and from its index."""

import os
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dashflow.planner.gitignore import index_paths, parse_rules
from dashflow.planner.sourcetree import SourceTree

pytestmark = pytest.mark.feature("EXEC-01")

NAMES = st.sampled_from(["a", "b", "ab", "a.py", "b.txt", "build", "a b", "[x]", "#c", "!d"])
PIECES = st.sampled_from(
    ["a", "b", "ab", "*", "**", "*.py", "?", "a*", "[ab]", "[!a]", "build", "a b", r"\#c", r"\!d", r"\[x]"]
)
RULES = st.builds(
    lambda negated, rooted, pieces, folder: negated + rooted + "/".join(pieces) + folder,
    st.sampled_from(["", "", "", "!"]),
    st.sampled_from(["", "", "/"]),
    st.lists(PIECES, min_size=1, max_size=3),
    st.sampled_from(["", "", "/"]),
)
FILES = st.lists(st.lists(NAMES, min_size=1, max_size=4).map("/".join), min_size=1, max_size=12, unique=True)


def git(folder: Path, *arguments: str) -> str:
    """git without anybody's settings."""
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}
    command = ["git", "-c", "core.excludesFile=", "-c", "init.defaultBranch=main", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=True)
    return os.fsdecode(done.stdout)


def git_files(folder: Path) -> list[str]:
    listed = git(folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    return sorted(set(listed.split("\0")) - {""})


def our_files(folder: Path) -> list[str]:
    return sorted(file.path for file in SourceTree(folder).files())


def lay_out(folder: Path, files: list[str]) -> None:
    for name in files:
        path = folder / name
        if any(above.is_file() for above in path.parents) or path.is_dir():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    files=FILES, rules=st.lists(RULES, max_size=5), inner=st.lists(RULES, max_size=3), number=st.integers()
)
def test_ignores_what_git_ignores(tmp_path_factory, files, rules, inner, number):
    folder = tmp_path_factory.mktemp("repository")
    lay_out(folder, files)
    git(folder, "init", "-q")
    (folder / ".gitignore").write_text("\n".join(rules) + "\n")
    folders = sorted(path for path in folder.rglob("*") if path.is_dir() and ".git" not in path.parts)
    if folders and inner:
        (folders[number % len(folders)] / ".gitignore").write_text("\n".join(inner) + "\n")
    assert our_files(folder) == git_files(folder)


def test_rules_of_the_repository_hold_in_a_folder_of_it(tmp_path):
    git(tmp_path, "init", "-q")
    lay_out(tmp_path, ["app/a.py", "app/out/b.py", "app/keep/c.log", "app/d.log", "app/private/e.py"])
    (tmp_path / ".gitignore").write_text("*.log\n/app/out/\n")
    (tmp_path / "app" / ".gitignore").write_text("!keep/*.log\n")
    (tmp_path / ".git" / "info" / "exclude").write_text("private\n")
    assert our_files(tmp_path / "app") == [".gitignore", "a.py", "keep/c.log"]


def test_a_folder_that_git_ignores_can_be_looked_at_by_name(tmp_path):
    git(tmp_path, "init", "-q")
    lay_out(tmp_path, ["scratch/a.py", "scratch/deep/b.py", "scratch/deep/c.tmp"])
    (tmp_path / ".gitignore").write_text("scratch/\n*.tmp\n")
    (tmp_path / "scratch" / ".gitignore").write_text("*.tmp\n")
    assert our_files(tmp_path / "scratch") == [".gitignore", "a.py", "deep/b.py"]


def test_without_a_repository_ignore_files_count_all_the_same(tmp_path):
    lay_out(tmp_path, ["a.py", "b.tmp", "lib/c.tmp", "lib/d.py", "lib/e/f.py"])
    (tmp_path / ".gitignore").write_text("*.tmp\n")
    (tmp_path / "lib" / ".gitignore").write_text("\ufeff/e\n!c.tmp\n")
    assert our_files(tmp_path) == [".gitignore", "a.py", "lib/.gitignore", "lib/c.tmp", "lib/d.py"]


@pytest.mark.parametrize("version", [2, 4])
def test_what_is_in_the_index_is_not_ignored(tmp_path, version):
    git(tmp_path, "init", "-q")
    (tmp_path / ".gitignore").write_text("gen/\n*.log\n")
    lay_out(
        tmp_path, ["gen/kept.py", "gen/not.py", "gen/deep/kept.py", "gen/other/not.py", "kept.log", "not.log"]
    )
    (tmp_path / "gen" / ("long" * 50)).mkdir()
    (tmp_path / "gen" / ("long" * 50) / "käse.py").write_text("")
    git(tmp_path, "add", "-f", "gen/kept.py", "gen/deep", "kept.log", "gen/" + "long" * 50)
    git(tmp_path, "update-index", f"--index-version={version}")
    listed = git(tmp_path, "ls-files", "-z", "--cached").split("\0")[:-1]
    assert index_paths((tmp_path / ".git" / "index").read_bytes()) == listed
    assert our_files(tmp_path) == git_files(tmp_path)


def test_reads_an_index_with_extended_flags(tmp_path):
    git(tmp_path, "init", "-q")
    lay_out(tmp_path, ["a.py", "b/c.py", "d.py"])
    git(tmp_path, "add", "a.py")
    git(tmp_path, "add", "--intent-to-add", "b/c.py", "d.py")
    data = (tmp_path / ".git" / "index").read_bytes()
    assert data[4:8] == b"\0\0\0\3"
    assert index_paths(data) == ["a.py", "b/c.py", "d.py"]


def test_a_worktree_follows_its_main_repository(tmp_path):
    main, tree = tmp_path / "main", tmp_path / "tree"
    main.mkdir()
    git(main, "init", "-q")
    lay_out(main, ["a.py"])
    git(main, "add", "a.py")
    git(main, "-c", "user.name=n", "-c", "user.email=e", "commit", "-qm", "first")
    git(main, "worktree", "add", "-q", str(tree))
    (main / ".git" / "info" / "exclude").write_text("*.log\n")
    lay_out(tree, ["b.log", "c.py"])
    assert our_files(tree) == ["a.py", "c.py"]


@given(st.binary(max_size=300))
def test_a_damaged_index_is_refused_not_believed(data):
    with pytest.raises((ValueError, IndexError, struct.error)):
        index_paths(b"DIRC\0\0\0\2\0\0\0\7" + data)


def test_a_damaged_index_leaves_the_rules(tmp_path):
    git(tmp_path, "init", "-q")
    lay_out(tmp_path, ["a.py", "b.log"])
    (tmp_path / ".gitignore").write_text("*.log\n")
    (tmp_path / ".git" / "index").write_bytes(b"DIRC\0\0\0\2\0\0\0\7 cut short")
    assert our_files(tmp_path) == [".gitignore", "a.py"]


@given(st.lists(st.text(max_size=20), max_size=6))
def test_any_text_is_a_list_of_rules(lines):
    for rule in parse_rules("\n".join(lines)):
        rule.matches("a/b.py", "b.py", is_dir=False)
        rule.matches("a/b", "b", is_dir=True)


def test_an_ignore_file_that_is_a_link_or_a_pipe_is_not_read(tmp_path):
    outside = tmp_path / "outside"
    outside.write_text("*.py\n")
    folder = tmp_path / "folder"
    lay_out(folder, ["a.py", "in/b.py"])
    (folder / ".gitignore").symlink_to(outside)
    os.mkfifo(folder / "in" / ".gitignore")
    assert our_files(folder) == ["a.py", "in/b.py"]
