"""What is committed fits any machine: no paths, secrets or products of one of them."""

import re

import pytest

pytestmark = pytest.mark.feature("CI-01")

# Put together from pieces, so that this file does not find itself.
MACHINE_PATHS = re.compile(
    "|".join(
        [
            "/" + r"(?:work|home/\w+|root|Users/\w+)/\w",
            re.escape("../") + "shared",
            "/tmp/" + r"(?:lg|house|bash_jobs)",
            r"\b[A-Z]:\\\\?Users",
        ]
    )
)
SECRETS = re.compile(
    "|".join(["-----BEGIN [A-Z ]*PRIVATE" + " KEY", r"\bsk-[A-Za-z0-9]{20}", r"\bgh[ps]_[A-Za-z0-9]{30}"])
)


def texts(tree):
    for path in tree.files:
        try:
            yield path.relative_to(tree.root).as_posix(), path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


@pytest.mark.parametrize("pattern", [MACHINE_PATHS, SECRETS], ids=["machine paths", "secrets"])
def test_nothing_tracked_belongs_to_one_machine(tree, pattern):
    found = [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in texts(tree)
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]
    assert found == []


def test_no_product_of_a_run_is_tracked(tree):
    products = re.compile(
        r"\.(pyc|db|db-wal|db-shm|log|whl|tar\.gz)$|(^|/)(\.coverage|dashflow-out|site|dist)(/|$)"
    )
    assert [path for path in tree.files if products.search(path.relative_to(tree.root).as_posix())] == []
