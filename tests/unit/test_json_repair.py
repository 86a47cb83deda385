"""Reading JSON out of what models write."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashflow.prebuilt.json_repair import readings

pytestmark = pytest.mark.feature("RUN-12")

WANTED = {"name": "Ada", "tags": ["a", "b"], "age": 36, "ok": True, "note": None}

SAME_VALUE = {
    "valid": '{"name": "Ada", "tags": ["a", "b"], "age": 36, "ok": true, "note": null}',
    "code fence": '```json\n{"name": "Ada", "tags": ["a", "b"], "age": 36, "ok": true, "note": null}\n```',
    "unlabelled fence": '```\n{"name": "Ada", "tags": ["a", "b"], "age": 36, "ok": true, "note": null}```',
    "unclosed fence": '```json\n{"name": "Ada", "tags": ["a", "b"], "age": 36, "ok": true, "note": null}',
    "prose around": 'Here:\n{"name": "Ada", "tags": ["a", "b"], "age": 36, "ok": true, "note": null}\nOk?',
    "trailing commas": '{"name": "Ada", "tags": ["a", "b",], "age": 36, "ok": true, "note": null,}',
    "missing commas": '{"name": "Ada"\n "tags": ["a" "b"]\n "age": 36\n "ok": true "note": null}',
    "single quotes": "{'name': 'Ada', 'tags': ['a', 'b'], 'age': 36, 'ok': true, 'note': null}",
    "typographic quotes": "{“name”: “Ada”, “tags”: [“a”, “b”], “age”: 36, “ok”: true, “note”: null}",
    "unquoted keys": '{name: "Ada", tags: ["a", "b"], age: 36, ok: true, note: null}',
    "line comments": '{"name": "Ada", //\n"tags": ["a", "b"], #\n"age": 36, "ok": true, "note": null}',
    "block comments": '{"name": "Ada", /* who */ "tags": ["a", "b"], "age": 36, "ok": true, "note": null}',
    "python literals": "{'name': 'Ada', 'tags': ('a', 'b'), 'age': 36, 'ok': True, 'note': None}",
    "javascript": 'const answer = {name: `Ada`, tags: ["a", "b"], age: +36, ok: true, note: undefined};',
    "numbers": '{"name": "Ada", "tags": ["a", "b"], "age": 0x24, "ok": true, "note": null}',
    "leading zeros": '{"name": "Ada", "tags": ["a", "b"], "age": 036, "ok": true, "note": null}',
    "semicolons": '{"name": "Ada"; "tags": ["a"; "b"]; "age": 36; "ok": true; "note": null}',
    "equals": '{name = "Ada", tags => ["a", "b"], age: 36, ok: true, note: null}',
    "missing colon": '{"name" "Ada", "tags" ["a", "b"], "age" 36, "ok": true, "note": null}',
    "joined texts": '{"name": "A" + "da", "tags": ["a", "b"], "age": 36, "ok": true, "note": null}',
    "byte order mark": '\ufeff{"name": "Ada", "tags": ["a", "b"], "age": 36, "ok": true, "note": null}',
    "reasoning first": '<think>{"name": "Bob"}?</think>'
    '{"name": "Ada", "tags": ["a", "b"], "age": 36, "ok": true, "note": null}',
    "encoded twice": json.dumps(json.dumps(WANTED)),
    "unquoted text": '{"name": Ada, "tags": [a, b], "age": 36, "ok": true, "note": null}',
    "wrong closing bracket": '{"name": "Ada", "tags": ["a", "b"}, "age": 36, "ok": true, "note": null}',
    "extra commas": '{,"name": "Ada",, "tags": ["a",, "b"], "age": 36, "ok": true, "note": null}',
    "a call": 'answer({"name": "Ada", "tags": ["a", "b"], "age": 36, "ok": true, "note": null})',
    "triple quotes": '{"name": """Ada""", "tags": ["a", "b"], "age": 36, "ok": true, "note": null}',
}


@pytest.mark.parametrize("kind", SAME_VALUE)
def test_malformed_answers_are_read_as_they_were_meant(kind):
    found = [reading for reading in readings(SAME_VALUE[kind]) if reading.value == WANTED]
    assert found, list(readings(SAME_VALUE[kind]))
    assert not found[0].lossy
    assert bool(found[0].repairs) is (kind != "valid")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": "he said "hi" to me", "b": 1}', {"a": 'he said "hi" to me', "b": 1}),
        ('{"a": "he said "hi", and left", "b": 1}', {"a": 'he said "hi", and left', "b": 1}),
        ('{"a": "line one\nline two"}', {"a": "line one\nline two"}),
        (r'{"path": "C:\Windows\system"}', {"path": "C:\\Windows\\system"}),
        (r"{'a': 'it\'s'}", {"a": "it's"}),
        ("{'a': 'it's fine', 'b': 2}", {"a": "it's fine", "b": 2}),
        (r'{"a": "\x41é😀"}', {"a": "Aé😀"}),
        ('{"a": .5, "b": 5., "c": 1_000}', {"a": 0.5, "b": 5.0, "c": 1000}),
        ('{"a": "x, y: z"}', {"a": "x, y: z"}),
        ('{"url": "https://x.y/#z"}, {"url": "b"}', {"url": "https://x.y/#z"}),
    ],
)
def test_texts_and_numbers(text, value):
    first = next(iter(readings(text)))
    assert first.value == value
    assert not first.lossy


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"name": "Ada", "tags": ["a", "b', {"name": "Ada", "tags": ["a", "b"]}),
        ('{"name": "Ada", "tags": [', {"name": "Ada", "tags": []}),
        ('{"name": "Ada", "ta', {"name": "Ada"}),
        ('{"name": "Ada", "age":', {"name": "Ada"}),
        ('{"name": "Ada", "ok": tr', {"name": "Ada", "ok": True}),
        ('{"name": "Ada", "tags": ["a", ...]}', {"name": "Ada", "tags": ["a"]}),
        ('{"name": "Ada", "age": NaN}', {"name": "Ada", "age": None}),
        ('{"name": "Ada", "age": -Infinity}', {"name": "Ada", "age": None}),
        ('{"name": "Ada", "age": }', {"name": "Ada", "age": None}),
        ('{"price": Decimal("1.5")}', {"price": "1.5"}),
    ],
)
def test_what_may_have_lost_something_is_told_apart(text, value):
    found = next(iter(readings(text)))
    assert found.value == value
    assert found.lossy
    assert found.repairs


def test_several_values_are_offered_one_by_one_and_together():
    values = [reading.value for reading in readings('{"a": 1}\n{"a": 2}\n')]
    assert values == [{"a": 1}, {"a": 2}, [{"a": 1}, {"a": 2}]]


@pytest.mark.parametrize("text", ["", "I cannot do that.", "]", ":", "```json\n```"])
def test_no_value_is_made_up_from_words(text):
    assert list(readings(text)) == []


def test_a_brace_alone_may_have_lost_what_was_in_it():
    assert [(reading.value, reading.lossy) for reading in readings("{")] == [({}, True)]


@pytest.mark.parametrize(
    ("text", "value"), [("42", 42), ("`42`", 42), ("True", True), ('"x"', "x"), ("'x'", "x")]
)
def test_values_that_are_no_object(text, value):
    assert next(iter(readings(text))).value == value


@pytest.mark.parametrize("depth", [5_000, 100_000])
def test_nesting_without_end_is_no_value_and_no_crash(depth):
    assert list(readings("[" * depth)) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_valid_json_is_taken_as_it_is(value):
    assert next(iter(readings(json.dumps(value)))).value == value


@given(st.dictionaries(st.text("abc xyz", min_size=1), JSON, min_size=1, max_size=4))
def test_valid_json_in_prose_is_found(value):
    text = f"The answer follows.\n{json.dumps(value, indent=1, ensure_ascii=False)}\nThat is all."
    assert any(reading.value == value and not reading.lossy for reading in readings(text))


@given(st.text(alphabet="{}[]()\",:'\\`/*#ab1.-=+ \n…", max_size=60))
def test_any_text_is_read_to_an_end(text):
    for reading in readings(text):
        json.dumps(reading.value, allow_nan=False)
