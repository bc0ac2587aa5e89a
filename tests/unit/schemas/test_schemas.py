"""The shipped schemas: complete, linted, and the same verdict from two independent validators."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # published without type information
import jsonschema_rs
import orjson
import pytest
import yaml

from eventlib.model import EVENT_NAMES, GEO_EVENT_NAMES, PURPOSES
from eventlib.resources import schemas_dir
from eventlib.schema import Registry

PATHS = sorted(
    [
        *schemas_dir().glob("envelope/*.json"),
        *schemas_dir().glob("events/*/*.json"),
        *schemas_dir().glob("policy/*.json"),
    ]
)
FORMATS = jsonschema.Draft202012Validator.FORMAT_CHECKER
UNITS = {"_ms": "ms", "_pct": "percent", "_days": "days", "_chars": "characters", "bytes_sent": "bytes"}

every_schema = pytest.mark.parametrize("path", PATHS, ids=lambda path: f"{path.parent.name}-{path.stem}")


def read(path: Path) -> dict[str, Any]:
    schema: dict[str, Any] = orjson.loads(path.read_bytes())
    return schema


def described(schema: dict[str, Any], at: str = "$") -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield (where, name, subschema) of every property that a schema declares, however deep."""
    for name, sub in schema.get("properties", {}).items():
        yield f"{at}.{name}", name, sub
        yield from described(sub, f"{at}.{name}")
    for keyword in ("items", "additionalProperties"):
        if isinstance(schema.get(keyword), dict):
            yield from described(schema[keyword], f"{at}[]")


def errors_of_both(schema: dict[str, Any], instance: Any) -> tuple[int, int]:
    python = jsonschema.Draft202012Validator(schema, format_checker=FORMATS)
    rust = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
    return len(list(python.iter_errors(instance))), len(list(rust.iter_errors(instance)))


def test_every_event_of_the_vocabulary_has_a_schema():
    assert {path.parent.name for path in PATHS if path.parent.parent.name == "events"} == set(EVENT_NAMES)


@every_schema
def test_schema_is_one_and_says_what_it_is(path: Path):
    schema = read(path)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema_rs.meta.validate(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"].startswith("urn:eventlib:schema:")
    assert schema["title"]
    assert schema["description"].endswith(".")
    assert schema["type"] == "object"
    assert schema["additionalProperties"] is False


@every_schema
def test_every_property_is_described_and_bounded(path: Path):
    for where, name, sub in described(read(path)):
        if "$ref" in sub and set(sub) == {"$ref"}:
            continue
        assert sub.get("description"), where
        kinds = sub.get("type", [])
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if "string" in kinds and "format" not in sub and "enum" not in sub and path.parent.name != "policy":
            assert "maxLength" in sub, where
        if {"integer", "number"} & set(kinds):
            assert {"minimum", "exclusiveMinimum"} & set(sub), where
            assert "maximum" in sub, where
        for suffix, unit in UNITS.items():
            if name.endswith(suffix) and "boolean" not in kinds:
                assert sub.get("x-unit") == unit, where


@every_schema
def test_examples_are_valid_for_both_validators(path: Path):
    schema = read(path)
    assert schema["examples"]
    for example in schema["examples"]:
        assert errors_of_both(schema, example) == (0, 0), example


@every_schema
def test_an_unknown_key_is_refused_by_both(path: Path):
    schema = read(path)
    mistyped = {**schema["examples"][0], "answerId": "an-1"}
    assert all(errors_of_both(schema, mistyped))


@pytest.mark.parametrize("name", GEO_EVENT_NAMES)
def test_geo_events_require_their_observation(name: str):
    schema = Registry().properties_schema(name)
    assert "observation" in schema["required"]
    assert schema["properties"]["observation"]["enum"] == ["owned", "probe", "platform_report"]


def test_identifiers_in_properties_are_marked():
    link = Registry().properties_schema("identity_link")
    assert link["properties"]["identifiers"]["items"]["properties"]["value"]["x-identifier"] is True


def test_positions_are_one_based_and_sentences_zero_based():
    show = Registry().properties_schema("citation_show")["properties"]
    assert show["position"]["minimum"] == 1
    assert show["sentence_index"]["minimum"] == 0


def test_default_policy_is_valid_and_its_events_exist():
    schema = read(schemas_dir() / "policy" / "policy.schema.json")
    policy = yaml.safe_load((schemas_dir() / "policy" / "default.yaml").read_text(encoding="utf-8"))
    assert errors_of_both(schema, policy) == (0, 0)
    assert {*policy["impersonal"]["always"], *policy["impersonal"]["unless_owned"]} <= set(EVENT_NAMES)
    assert set(policy["signals"]["tcf"]) == set(PURPOSES)


def test_policy_can_never_name_another_basis_for_advertising():
    schema = read(schemas_dir() / "policy" / "policy.schema.json")
    policy = schema["examples"][0]
    basis = {**policy["other_basis"][0], "purposes": ["advertising"]}
    assert all(errors_of_both(schema, {**policy, "other_basis": [basis]}))
    nameless = {key: value for key, value in policy["other_basis"][0].items() if key != "owner"}
    assert all(errors_of_both(schema, {**policy, "other_basis": [nameless]}))
