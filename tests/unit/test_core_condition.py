"""Conditions as text: what they say of a state, and what is refused."""

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashflow.core.condition import LONGEST, condition
from dashflow.errors import UsageError

pytestmark = pytest.mark.feature("HIL-002")

STATE = {
    "amount": 150,
    "status": "open",
    "done": False,
    "tags": ["a", "b"],
    "order": {"lines": [{"price": 2.5}], "to": SimpleNamespace(name="Ada", call=lambda: 1)},
}


@pytest.mark.parametrize(
    "text",
    [
        "amount > 100",
        "100 < amount <= 150",
        "amount > 100 and status == 'open'",
        "amount < 100 or not done",
        "status in ['open', 'late']",
        "'a' in tags and 'c' not in tags",
        "len(tags) == 2 and len(missing) == 0",
        "order.lines[0].price == 2.5",
        "order['lines'][-1]['price'] > -1",
        "order.to.name == 'Ada'",
        "missing is None and missing == null",
        "done == false and done is False",
        "tags",
        "  (amount != 1) ",
    ],
)
def test_a_condition_that_holds(text: str) -> None:
    assert condition(text)(STATE) is True
    assert condition(f"not ({text.strip()})")(STATE) is False


@pytest.mark.parametrize(
    "text",
    [
        "amount > 'x'",  # cannot be compared
        "5 in amount",
        "missing > 1",
        "tags[7] == 'a'",
        "order.lines.price == 2.5",
        "amount[0] == 1",
        "order.to.call",  # functions are no part of a state
        "0",
    ],
)
def test_what_is_not_there_or_cannot_be_compared_does_not_hold(text: str) -> None:
    assert condition(text)(STATE) is False


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is no condition"),
        ("amount >", "is no condition"),
        ("__import__('os').system('true')", "the only function is len"),
        ("order.to.call()", "the only function is len"),
        ("order.__class__", "'__class__' is private"),
        ("[x for x in tags]", "ListComp is not known here"),
        ("lambda: 1", "Lambda is not known here"),
        ("amount := 3", "is no condition"),
        ("a = 1", "is no condition"),
        ("amount + 1 > 2", "BinOp is not known here"),
        ("f'{amount}'", "JoinedStr is not known here"),
        ("tags[0:1] == 1", "Slice is not known here"),
        ("-amount < 1", "this sign is not known"),
        ("b'x' == 1", "only texts, numbers"),
        ("(" * 300 + "1" + ")" * 300, "is no condition"),
        ("a" * (LONGEST + 1), f"at most {LONGEST} characters"),
        ("a\0b", "is no condition"),
    ],
)
def test_anything_else_is_refused_and_nothing_is_run(text: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem.replace("(", r"\(")):
        condition(text)


@given(text=st.text(max_size=80), state=st.dictionaries(st.text(max_size=3), st.integers()))
def test_any_text_is_refused_or_gives_a_test(text: str, state: dict[str, Any]) -> None:
    try:
        test = condition(text)
    except UsageError:
        return
    assert test(state) in (True, False)
