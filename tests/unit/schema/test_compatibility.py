"""S1.3: what an ADDITION may not do, and what it may."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventlib.schema.compatibility import narrowings

CLOSED = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"a": {"type": "string", "maxLength": 5}},
}


def closed(**changes: Any) -> dict[str, Any]:
    return {**CLOSED, **changes}


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (closed(required=["a"]), "$: requires new fields: a"),
        (closed(properties={}), "$: removes properties: a"),
        (closed(properties={"a": {"type": "integer"}}), "$.a: no longer takes the type string"),
        (closed(properties={"a": {"type": "string", "maxLength": 4}}), "$.a: maxLength is narrower"),
        (
            closed(properties={"a": {"type": "string", "maxLength": 5, "minLength": 1}}),
            "$.a: minLength is narrower",
        ),
        (
            closed(properties={"a": {"type": "string", "maxLength": 5, "enum": ["x"]}}),
            "$.a: takes fewer values (enum or const)",
        ),
        (
            closed(properties={"a": {"type": "string", "maxLength": 5, "pattern": "^a"}}),
            "$.a: pattern is new or changed, and may take less",
        ),
        (
            closed(properties={"a": {"type": "string", "maxLength": 5, "format": "date"}}),
            "$.a: format is new or changed, and may take less",
        ),
        (closed(allOf=[{"minProperties": 1}]), "$: allOf demands more"),
        (closed(anyOf=[{"required": ["a"]}]), "$: anyOf leaves fewer ways"),
        (closed(minProperties=1), "$: minProperties is narrower"),
        (closed(properties={"a": False}), "$.a: not is new or changed, and may take less"),
    ],
)
def test_taking_less_is_named(after: dict[str, Any], said: str):
    assert said in narrowings(CLOSED, after)


@pytest.mark.parametrize(
    "after",
    [
        CLOSED,
        closed(title="other", **{"x-note": 1}, supersedes=["1-0-0"]),
        closed(properties={**CLOSED["properties"], "b": {"type": "integer"}}),  # type: ignore[dict-item]  # a mapping
        closed(properties={"a": {"type": ["string", "null"], "maxLength": 6}}),
        closed(properties={"a": True}),
        closed(additionalProperties=True),
        {"$ref": "#/$defs/whole", "$defs": {"whole": CLOSED}},
    ],
)
def test_taking_more_is_no_breach(after: dict[str, Any]):
    assert narrowings(CLOSED, after) == []


def test_open_objects_took_any_value_under_a_name_that_is_new():
    found = narrowings({"type": "object"}, {"type": "object", "properties": {"b": {"type": "integer"}}})
    assert found
    assert "$.b (any was taken under this name)" in found[0]
    assert narrowings({"type": "object"}, {"type": "object", "properties": {"b": True}}) == []


def test_definitions_are_looked_into():
    def of(limit: int) -> dict[str, Any]:
        return {
            "properties": {"a": {"$ref": "#/$defs/n"}},
            "anyOf": [{"$ref": "#/$defs/n"}],
            "$defs": {"n": {"maximum": limit}},
        }

    assert narrowings(of(5), of(5)) == []
    assert narrowings(of(5), of(4)) == ["$.a: maximum is narrower", "$: anyOf leaves fewer ways"]


def test_schemas_that_refer_to_themselves_end():
    tree = {
        "$defs": {"t": {"properties": {"left": {"$ref": "#/$defs/t"}}, "maxProperties": 3}},
        "$ref": "#/$defs/t",
    }
    smaller = {
        "$defs": {"t": {"properties": {"left": {"$ref": "#/$defs/t"}}, "maxProperties": 2}},
        "$ref": "#/$defs/t",
    }
    assert narrowings(tree, tree) == []
    assert "$: maxProperties is narrower" in narrowings(tree, smaller)


def test_an_identifier_stays_marked():
    marked, plain = (
        {"properties": {"a": {"type": "string", **mark}}} for mark in ({"x-identifier": True}, {})
    )
    assert "no longer marked x-identifier" in narrowings(marked, plain)[0]


_value = st.none() | st.booleans() | st.integers(-2, 4) | st.sampled_from(["", "a", "ab"]) | st.just(1.5)
_instance = st.recursive(
    _value,
    lambda sub: st.lists(sub, max_size=3) | st.dictionaries(st.sampled_from("abc"), sub, max_size=3),
    max_leaves=5,
)
_types = st.lists(
    st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"]),
    min_size=1,
    unique=True,
)
_leaf = st.fixed_dictionaries(
    {},
    optional={
        "type": _types,
        "enum": st.lists(_value, min_size=1, max_size=3),
        "const": _value,
        "minimum": st.integers(-2, 3),
        "exclusiveMaximum": st.integers(-2, 3),
        "minLength": st.integers(0, 2),
        "maxItems": st.integers(0, 2),
        "required": st.lists(st.sampled_from("abc"), unique=True, max_size=2),
        "pattern": st.sampled_from(["^a", "b"]),
        "uniqueItems": st.booleans(),
    },
)
_schema = st.recursive(
    st.booleans() | _leaf,
    lambda sub: st.builds(
        lambda leaf, more: {**leaf, **more},
        _leaf,
        st.fixed_dictionaries(
            {},
            optional={
                "properties": st.dictionaries(st.sampled_from("abc"), sub, max_size=3),
                "additionalProperties": sub,
                "items": sub,
                "anyOf": st.lists(sub, min_size=1, max_size=2),
                "allOf": st.lists(sub, min_size=1, max_size=2),
                "not": sub,
                "contains": sub,
                "minContains": st.integers(0, 2),
            },
        ),
    ),
    max_leaves=4,
).filter(lambda schema: isinstance(schema, dict))


def test_an_enum_beside_a_const_takes_what_both_take():
    assert narrowings({"const": None}, {"const": None, "enum": [1.5]})
    assert not narrowings({"const": 1, "enum": [1, 2]}, {"enum": [1]})


@settings(max_examples=300, deadline=None)
@given(
    before=_schema,
    change=_schema,
    drop=st.sets(st.sampled_from(["type", "enum", "properties", "not", "items", "contains", "minimum"])),
    value=_instance,
)
def test_what_the_older_takes_the_newer_takes_where_nothing_is_named(
    before: Any, change: Any, drop: set[str], value: Any
):
    after = {key: item for key, item in {**before, **change}.items() if key not in drop}
    if not narrowings(before, after):
        older, newer = (jsonschema_rs.Draft202012Validator(schema) for schema in (before, after))
        assert newer.is_valid(value) or not older.is_valid(value)
