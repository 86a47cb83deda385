"""Which files count: always left out, left out on request, and folders laid out to do harm."""

import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashflow.errors import WorkspaceError
from dashflow.planner.findings import storable
from dashflow.planner.regularfile import Unread, read_regular
from dashflow.planner.sourcetree import NEVER, SourceTree, parse_exclusions

pytestmark = pytest.mark.feature("EXEC-01")

WORDS = st.text(
    st.characters(exclude_characters=",\n\r\"'`\\/ ", exclude_categories=["Cs", "Z", "Cc"]), min_size=1
)
FOLDERS = st.lists(
    WORDS.filter(lambda word: word.strip(".!").lower() not in {"", "none", "no", "nothing"}), min_size=1
)


def lay_out(folder: Path, *files: str) -> Path:
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x\n")
    return folder


def paths(tree: SourceTree) -> list[str]:
    return [file.path for file in tree.files()]


@pytest.mark.parametrize(
    "answer", ["none", "None", " NONE ", "no", "No.", "nothing", "nothing!", "", "  ", "'none'"]
)
def test_none_is_no_folder(answer):
    assert parse_exclusions(answer) == ()


@given(FOLDERS)
def test_folders_are_read_as_they_were_named(names):
    names = list(dict.fromkeys(names))
    assert parse_exclusions(", ".join(names)) == tuple(names)
    assert parse_exclusions(" ,".join(f'"./{name}//"' for name in names)) == tuple(names)


@given(st.text())
def test_any_answer_can_be_read_and_acted_on(tmp_path_factory, answer):
    folders = parse_exclusions(answer)
    assert all(name and name.strip() and "," not in name for name in folders)
    folder = tmp_path_factory.mktemp("any")
    assert paths(SourceTree(lay_out(folder, "a.py"), exclude=folders)) == ["a.py"]


def test_some_answers_as_people_write_them():
    assert parse_exclusions("legacy, tests/old/ ,./docs,legacy") == ("legacy", "tests/old", "docs")
    assert parse_exclusions("`legacy`,\n'old code'") == ("legacy", "old code")
    assert parse_exclusions("./none") == ("none",)
    assert parse_exclusions("src\\gen") == ("src/gen",)


def test_a_name_counts_anywhere_and_a_path_from_the_top(tmp_path):
    lay_out(
        tmp_path,
        "old/a.py",
        "src/old/b.py",
        "src/new/old/c.py",
        "src/gen/d.py",
        "lib/src/gen/e.py",
        "older/f.py",
    )
    tree = SourceTree(tmp_path, exclude=["old", "src/gen"])
    assert paths(tree) == ["lib/src/gen/e.py", "older/f.py"]
    assert tree.left_out == ["old", "src/gen", "src/new/old", "src/old"]
    assert tree.notes() == []


def test_what_cannot_be_left_out_is_noted_and_is_no_error(tmp_path):
    lay_out(tmp_path, "src/a.py")
    names = ["absent", "src/absent", "src/a.py", "../elsewhere", ".", "/etc", "__pycache__"]
    (tmp_path / "__pycache__").mkdir()
    tree = SourceTree(tmp_path, exclude=names)
    assert paths(tree) == ["src/a.py"]
    assert tree.notes() == [
        "'../elsewhere' leads out of the folder looked at; nothing left out there.",
        "'/etc' is not in the folder looked at; nothing left out there.",
        "The whole folder cannot be left out; that part of the answer was ignored.",
        "There is no folder 'absent' to leave out.",
        "'src/a.py' is a file, not a folder; it was not left out.",
        "There is no folder 'src/absent' to leave out.",
    ]


def test_an_absolute_path_into_the_folder_counts(tmp_path):
    lay_out(tmp_path, "src/a.py", "old/b.py")
    assert paths(SourceTree(tmp_path, exclude=[str(tmp_path / "old")])) == ["src/a.py"]


@pytest.mark.parametrize("name", sorted(NEVER))
def test_never_looked_at(tmp_path, name):
    lay_out(tmp_path, "a.py", f"{name}/b.py", f"deep/{name}/c.py")
    assert paths(SourceTree(tmp_path)) == ["a.py"]


@pytest.mark.parametrize("mark", ["pyvenv.cfg", "conda-meta/history", "bin/activate", "Scripts/activate"])
def test_environments_are_known_by_what_is_in_them(tmp_path, mark):
    lay_out(tmp_path, "a.py", f"env-of-mine/{mark}", "env-of-mine/lib/b.py", "environment/c.py")
    assert paths(SourceTree(tmp_path)) == ["a.py", "environment/c.py"]


def test_the_output_is_left_out_wherever_it_is(tmp_path):
    lay_out(tmp_path, "a.py", "result/report.md", "result/b.py", "report.md", "report.json", "sub/report.md")
    assert paths(SourceTree(tmp_path, out=tmp_path / "result")) == [
        "a.py",
        "report.json",
        "report.md",
        "sub/report.md",
    ]
    assert "report.md" not in paths(SourceTree(tmp_path, out=tmp_path))
    assert "sub/report.md" in paths(SourceTree(tmp_path, out=tmp_path))
    assert paths(SourceTree(tmp_path / "sub", out=tmp_path)) == ["report.md"]


def test_the_order_is_the_same_everywhere(tmp_path):
    lay_out(tmp_path, "b.py", "a/z.py", "a/b/c.py", "B.py", "a.py", "ä.py")
    assert paths(SourceTree(tmp_path)) == ["B.py", "a/b/c.py", "a/z.py", "a.py", "b.py", "ä.py"]


def test_links_are_not_followed(tmp_path):
    outside = lay_out(tmp_path / "outside", "secret.py")
    folder = lay_out(tmp_path / "folder", "a.py", "sub/b.py")
    (folder / "loop").symlink_to(folder)
    (folder / "sub" / "up").symlink_to("..")
    (folder / "out").symlink_to(outside)
    (folder / "again.py").symlink_to(folder / "a.py")
    (folder / "gone.py").symlink_to(folder / "nowhere")
    assert paths(SourceTree(folder)) == ["a.py", "sub/b.py"]
    (tmp_path / "by-link").symlink_to(folder)
    assert paths(SourceTree(tmp_path / "by-link")) == ["a.py", "sub/b.py"]


def test_what_is_no_file_is_told_and_never_opened(tmp_path):
    lay_out(tmp_path, "a.py")
    os.mkfifo(tmp_path / "pipe.py")
    with socket.socket(socket.AF_UNIX) as listening:
        there = os.getcwd()
        os.chdir(tmp_path)  # a socket's name must be short
        try:
            listening.bind("socket.py")
        finally:
            os.chdir(there)
        tree = SourceTree(tmp_path)
        assert paths(tree) == ["a.py"]
    assert [(problem.path, problem.why) for problem in tree.problems] == [
        ("pipe.py", "is not a regular file"),
        ("socket.py", "is not a regular file"),
    ]


def test_names_that_are_no_text_are_spelt_out(tmp_path):
    try:
        (Path(os.fsdecode(os.fsencode(tmp_path) + b"/b\xff\xfe.py"))).write_text("x")
    except OSError:
        pytest.skip("this file system refuses names that are no text")
    (file,) = SourceTree(tmp_path).files()
    assert file.path == "b\\xff\\xfe.py"
    assert file.read(10) == b"x"


@given(st.text(st.characters()))
def test_any_text_can_be_stored(text):
    assert storable(text).encode("utf-8").decode("utf-8") == storable(text)
    if not any("\ud800" <= char <= "\udfff" for char in text):
        assert storable(text) == text


@contextmanager
def very_deep(folder: Path, depth: int) -> Iterator[None]:
    """Folders in folders, far beyond what one path may be long; gone afterwards: nobody else can do it."""
    where = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("deep", dir_fd=where)
        below = os.open("deep", os.O_RDONLY, dir_fd=where)
        os.close(where)
        where = below
    try:
        yield
    finally:
        for _ in range(depth):
            above = os.open("..", os.O_RDONLY, dir_fd=where)
            os.close(where)
            os.rmdir("deep", dir_fd=above)
            where = above
        os.close(where)


def test_a_very_deep_folder_is_no_trouble(tmp_path):
    lay_out(tmp_path, "z.py")
    with very_deep(tmp_path, 1200):
        tree = SourceTree(tmp_path)
        assert paths(tree) == ["z.py"]
        assert len(tree.problems) == 1
        assert "cannot be read" in tree.problems[0].why


@contextmanager
def unprivileged() -> Iterator[Path]:
    """A folder, and no right to read what is locked in it: root could read everything."""
    root = os.geteuid() == 0
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        folder.chmod(0o777)
        if root:
            os.seteuid(65534)
        try:
            yield folder
        finally:
            for path in folder.iterdir():
                path.chmod(0o700)
            if root:
                os.seteuid(0)


def test_what_may_not_be_read_is_told():
    with unprivileged() as folder:
        lay_out(folder, "a.py", "listed/b.py", "locked/c.py", "z.py")
        (folder / "locked").chmod(0)
        (folder / "listed").chmod(0o444)
        (folder / "z.py").chmod(0)
        tree = SourceTree(folder)
        files = list(tree.files())
        assert [file.path for file in files] == ["a.py", "z.py"]
        assert files[1].read(10) == Unread("cannot be read: Permission denied")
        assert [problem.path for problem in tree.problems] == ["listed/b.py", "locked"]
        (folder / "locked").chmod(0)
        with pytest.raises(WorkspaceError, match="cannot be read: Permission denied"):
            SourceTree(folder / "locked")


def test_a_folder_that_cannot_be_looked_at_is_a_typed_error(tmp_path):
    lay_out(tmp_path, "a.py")
    with pytest.raises(WorkspaceError, match="does not exist"):
        SourceTree(tmp_path / "absent")
    with pytest.raises(WorkspaceError, match="is no folder"):
        SourceTree(tmp_path / "a.py")
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    with pytest.raises(WorkspaceError):
        SourceTree(tmp_path / "one")
    with pytest.raises(WorkspaceError):
        SourceTree(Path("nul\0l"))


def test_top_folders_for_a_question(tmp_path):
    lay_out(tmp_path, "b/x.py", "a/x.py", ".git/HEAD", "gone/x", "venv/pyvenv.cfg", "out/x", "c.py")
    (tmp_path / ".gitignore").write_text("gone/\n")
    assert SourceTree(tmp_path, out=tmp_path / "out").top_folders() == ["a", "b"]


def test_a_large_file_is_refused_by_its_size_also_when_it_lies_about_it(tmp_path):
    with (tmp_path / "big.py").open("wb") as file:
        file.truncate(50_000_000)
    (file,) = SourceTree(tmp_path).files()
    refused = file.read(1_000_000)
    assert not isinstance(refused, bytes)
    assert refused.why == "is too large to be read: 50,000,000 bytes, more than 1,000,000"
    if sys.platform == "linux":
        assert not isinstance(read_regular("/proc/self/smaps", 10), bytes)  # says that it is empty
