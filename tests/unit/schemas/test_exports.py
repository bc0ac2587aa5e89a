"""Schemas of what is exported: complete, named by their place, and true of their own examples."""

from __future__ import annotations

from pathlib import Path

import jsonschema_rs
import orjson
import pytest

from eventlib.resources import schemas_dir
from tests.unit.schemas.test_schemas import described

PATHS = sorted(schemas_dir().glob("exports/*/*.json"))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_an_export_schema_says_what_it_is(path: Path):
    schema = orjson.loads(path.read_bytes())
    assert schema["$id"] == f"urn:eventlib:schema:exports:{path.parent.name}:{path.stem}"
    assert schema["title"]
    assert all(sub.get("description") for _, _, sub in described(schema))
    jsonschema_rs.meta.validate(schema)
    validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
    examples = schema.get("examples", [])
    assert examples or path.parent.name == "manifest"
    assert all(validator.is_valid(example) for example in examples)
