"""Values against JSON Schemas."""

import pytest

from dashflow.prebuilt.json_schema import JsonSchema

pytestmark = pytest.mark.feature("RUN-12")

TREE = {
    "$defs": {
        "node": {"type": "object", "properties": {"v": {"type": "integer"}, "next": {"$ref": "#/$defs/node"}}}
    },
    "$ref": "#/$defs/node",
}


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "integer"}, [1, -3, 2.0], [True, 1.5, "1", None]),
        ({"type": ["string", "null"]}, ["", None], [0, []]),
        ({"type": "string", "nullable": True}, ["x", None], [1]),
        ({"enum": [1, "a", None]}, [1, "a", None], [True, "b"]),
        ({"const": {"a": [1]}}, [{"a": [1]}], [{"a": [True]}, {}]),
        ({"minimum": 1, "exclusiveMaximum": 3}, [1, 2.9, "text"], [0, 3]),
        ({"maximum": 1, "exclusiveMinimum": -1}, [1, 0], [2, -1]),
        ({"multipleOf": 0.1}, [0.3, 1, 0], [0.25]),
        (
            {"type": "string", "minLength": 2, "maxLength": 3, "pattern": "^a"},
            ["ab", "abc"],
            ["a", "abcd", "bb"],
        ),
        ({"items": {"type": "integer"}, "minItems": 1, "maxItems": 2}, [[1], [1, 2]], [[], [1, 2, 3], ["a"]]),
        ({"prefixItems": [{"type": "string"}], "items": False}, [["a"], []], [["a", 1], [1]]),
        ({"uniqueItems": True}, [[1, True, 2]], [[1, 1.0], [{"a": 1}, {"a": 1}]]),
        ({"contains": {"type": "string"}, "maxContains": 1}, [["a", 1]], [[1], ["a", "b"]]),
        ({"properties": {"a": {"type": "string"}}, "required": ["a"]}, [{"a": "x", "b": 1}], [{}, {"a": 1}]),
        ({"properties": {"a": True}, "additionalProperties": False}, [{"a": 1}, {}], [{"b": 1}]),
        (
            {"patternProperties": {"^x": {"type": "integer"}}, "additionalProperties": {"type": "string"}},
            [{"x1": 1, "y": "s"}],
            [{"x1": "s"}, {"y": 1}],
        ),
        (
            {"propertyNames": {"maxLength": 2}, "minProperties": 1, "maxProperties": 1},
            [{"ab": 1}],
            [{}, {"abc": 1}],
        ),
        ({"dependentRequired": {"a": ["b"]}}, [{"a": 1, "b": 1}, {"b": 1}], [{"a": 1}]),
        ({"allOf": [{"minimum": 1}, {"maximum": 2}]}, [1, 2], [0, 3]),
        ({"anyOf": [{"type": "string"}, {"minimum": 5}]}, ["a", 5], [4]),
        ({"oneOf": [{"type": "integer"}, {"minimum": 5}]}, [1, 5.5], [7, 1.5]),
        ({"not": {"type": "string"}}, [1], ["a"]),
        (
            {
                "if": {"properties": {"k": {"const": 1}}},
                "then": {"required": ["x"]},
                "else": {"required": ["y"]},
            },
            [{"k": 1, "x": 0}, {"k": 2, "y": 0}],
            [{"k": 1, "y": 0}, {"k": 2}],
        ),
        (TREE, [{"v": 1, "next": {"v": 2, "next": {}}}], [{"v": 1, "next": {"v": "2"}}, 3]),
        ({"properties": {"a": False}}, [{}], [{"a": 1}]),
    ],
)
def test_keywords(schema, good, bad):
    checked = JsonSchema(schema)
    for value in good:
        assert checked.problems(value) == []
    for value in bad:
        assert checked.problems(value), value


def test_problems_name_the_place():
    schema = JsonSchema({"properties": {"people": {"items": {"required": ["name"]}}}})
    assert schema.problems({"people": [{"name": "Ada"}, {}]}) == [
        "answer.people[1]: the key 'name' is missing"
    ]


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"unevaluatedProperties": False}, "cannot be checked"),
        ({"type": "text"}, "unknown type"),
        ({"$ref": "https://example.org/s"}, "leads out of the schema"),
        ({"items": {"$ref": "#/$defs/none"}}, "leads nowhere"),
        ({"properties": {"a": 3}}, "#/properties/a"),
    ],
)
def test_a_schema_that_cannot_be_checked_whole_is_refused(schema, words):
    with pytest.raises(ValueError, match=words):
        JsonSchema(schema)
