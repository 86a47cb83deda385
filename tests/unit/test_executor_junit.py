"""What pytest's result file tells, and files that only pretend to be one."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dashflow.planner.executors.junit import read_junit
from dashflow.planner.executors.tally import Clean, Tally

pytestmark = pytest.mark.feature("EXEC-01")


@pytest.fixture
def clean(tmp_path: Path) -> Clean:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_a.py").write_text("")
    return Clean(tmp_path, tmp_path / "scratch")


def read(tmp_path: Path, clean: Clean, text: str | bytes) -> Tally | str:
    file = tmp_path / "results.xml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_junit(file, clean)


FILE = 'file="tests/test_a.py"'
CASE = '<testcase classname="tests.test_a.TestA" name="test_x[a::b]" ' + FILE + ' line="4">{}</testcase>'


def test_a_failure_has_its_place_its_name_and_its_first_line(tmp_path, clean):
    text = "tests/test_a.py:9: in test_x\n    check()\nlib.py:2: in check\nE   AssertionError: no"
    failure = f'<failure message="AssertionError: no&#10;more">{text}</failure>'
    tally = read(tmp_path, clean, f"<testsuites><testsuite>{CASE.format(failure)}</testsuite></testsuites>")
    assert isinstance(tally, Tally)
    (one,) = tally.problems
    assert (one.kind, one.path, one.line) == ("test_failure", "tests/test_a.py", 9)
    assert (one.name, one.value) == ("tests/test_a.py::TestA::test_x[a::b]", "AssertionError: no")
    assert (tally.tests, tally.skipped) == (1, 0)


def test_without_a_trace_the_test_begins_where_it_is_said_to(tmp_path, clean):
    case = CASE.format('<failure message="XPASS(strict)"/>')
    tally = read(tmp_path, clean, f"<a>{case}</a>")
    assert isinstance(tally, Tally)
    assert tally.problems[0].line == 5


def test_what_could_not_be_collected_is_no_test(tmp_path, clean):
    text = (
        "ImportError while importing\ntests/test_a.py:3: in x\nE   ModuleNotFoundError: No module named 'y'"
    )
    case = f'<testcase classname="" name="tests.test_a" {FILE}><error message="collection failure">'
    tally = read(tmp_path, clean, f"<a>{case}{text}</error></testcase></a>")
    assert isinstance(tally, Tally)
    (one,) = tally.problems
    assert (tally.tests, one.kind, one.line, one.name) == (0, "test_error", 3, "tests/test_a.py")
    assert one.value == "ModuleNotFoundError: No module named 'y'"


def test_a_test_that_fails_and_breaks_is_one_test(tmp_path, clean):
    both = CASE.format('<failure message="a"/>') + CASE.format('<error message="failed on teardown"/>')
    skipped = f'<testcase classname="tests.test_a" name="test_s" {FILE}><skipped message="m"/></testcase>'
    tally = read(tmp_path, clean, f"<a>{both}{skipped}</a>")
    assert isinstance(tally, Tally)
    assert (tally.tests, tally.skipped, tally.count("test_failure"), tally.count("test_error")) == (
        2,
        1,
        1,
        1,
    )


BOMB = '<!DOCTYPE a [<!ENTITY b "bbbbbbbb"><!ENTITY c "&b;&b;&b;&b;">]><a>&c;</a>'
OUTSIDE = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a><failure message="x">&b;</failure></a>'


@pytest.mark.parametrize("text", [BOMB, OUTSIDE, "", "<a>", "no xml", b"\xff\xfe\x00", "<a>&unknown;</a>"])
def test_what_pytest_does_not_write_is_refused(tmp_path, clean, text):
    told = read(tmp_path, clean, text)
    assert isinstance(told, str)
    assert "root:" not in told


def test_a_file_that_is_absent_or_no_file_is_told(tmp_path, clean):
    assert "No such file" in str(read_junit(tmp_path / "absent.xml", clean))
    (tmp_path / "link.xml").symlink_to("/etc/passwd")
    assert "cannot be read" in str(read_junit(tmp_path / "link.xml", clean))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30),
    st.text("0123456789-x²", max_size=20),
)
def test_any_attributes_are_taken(tmp_path, clean, name, line):
    quoted = name.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    case = f'<testcase classname="{quoted}" name="{quoted}" file="{quoted}" line="{line}">'
    assert isinstance(read(tmp_path, clean, f'<a>{case}<error message="{quoted}"/></testcase></a>'), Tally)


def test_a_huge_trace_is_cut_and_its_end_kept(tmp_path, clean):
    trace = "x" * 3_000_000 + "\ntests/test_a.py:77: in test_x"
    case = CASE.format(f'<failure message="m">{trace}</failure>')
    tally = read(tmp_path, clean, f"<a>{case}</a>")
    assert isinstance(tally, Tally)
    assert tally.problems[0].line == 77


def test_what_differs_from_run_to_run_is_taken_out(tmp_path):
    clean = Clean(tmp_path, Path("/tmp/dashflow-tests-1"))
    assert (
        clean.text("<A object at 0x7f12ab> in /tmp/dashflow-tests-1/base/x0/f.txt") == "<A object> in <tmp>"
    )
    assert clean.text(f"no file {tmp_path}/data/a.csv") == "no file data/a.csv"
    assert clean.text("'/tmp/other-77/x', 0x7f00deadbeef != 255") == "'<tmp>', 0x… != 255"
    assert clean.text("\n\n  first  \nsecond") == "first"
    assert clean.text("") == ""
