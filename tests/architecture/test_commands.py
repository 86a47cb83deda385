"""The commands around the code do what they say when the machine is not as they would like it."""

import os
import runpy
import subprocess
import sys

import pytest

pytestmark = pytest.mark.feature("CI-01")


def test_an_interpreter_that_is_too_old_is_refused_with_advice(tree, tmp_path):
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2" && exit 0\nexit 1\n')
    old.chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", tree.root / "scripts" / "find-python"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert "Python 3.11 or newer" in done.stderr
    assert "python3 is Python 3.9.2" in done.stderr


def test_the_first_usable_interpreter_is_taken(tree, tmp_path):
    (tmp_path / "python3").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "python3").chmod(0o755)
    (tmp_path / "python3.12").symlink_to(sys.executable)
    done = subprocess.run(
        ["/bin/sh", tree.root / "scripts" / "find-python"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{tmp_path}/python3.12\n"


def test_a_closed_network_does_not_make_the_audit_red_and_is_said(tree, tmp_path):
    package = tmp_path / "lib" / "python3.11" / "site-packages" / "click-8.1.0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: click\nVersion: 8.1.0\n")
    closed = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9")
    done = subprocess.run(
        [sys.executable, tree.root / "scripts" / "audit.py", tmp_path],
        env={**os.environ, **closed, "NO_PROXY": "", "no_proxy": "", "PIP_AUDIT_TIMEOUT": "5"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "NOT DONE" in done.stdout


def test_a_known_vulnerability_makes_the_audit_red(tree, capsys):
    verdict = runpy.run_path(str(tree.root / "scripts" / "audit.py"))["verdict"]
    sound = {"name": "click", "version": "8.1.0", "vulns": []}
    finding = {"id": "PYSEC-2026-1", "fix_versions": ["2.0"]}
    assert verdict([sound]) == 0
    assert verdict([sound, {"name": "weak", "version": "1.0", "vulns": [finding]}]) == 1
    assert "weak 1.0: PYSEC-2026-1, fixed in 2.0" in capsys.readouterr().out


def test_an_index_without_vulnerability_data_is_said(tree, capsys):
    verdict = runpy.run_path(str(tree.root / "scripts" / "audit.py"))["verdict"]
    assert verdict([{"name": "click", "skip_reason": "not found"}]) == 0
    assert "NOT DONE" in capsys.readouterr().out


def test_help_lists_every_command(tree):
    done = subprocess.run(["make", "help"], cwd=tree.root, capture_output=True, text=True, check=True)
    for name in ("demo", "test", "check", "soak", "bench", "features", "docs", "clean"):
        assert f"make {name} " in done.stdout
