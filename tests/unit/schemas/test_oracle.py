"""S1.2: the verdict is the JSON Schema's, as `jsonschema` with formats on reads it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # published without type information
import pytest

import eventlib as el
from eventlib.schema import Registry, registry
from tests.border import near_the_border
from tests.unit.schemas.test_schemas import FORMATS

COUNT = 10_000


def oracle(known: Registry, name: str, version: str) -> Any:
    own = {**known.properties_schema(name, version), "$id": f"urn:oracle:{name}"}
    whole = {"allOf": [known.envelope, {"properties": {"properties": own}}]}
    return jsonschema.Draft202012Validator(whole, format_checker=FORMATS)


@pytest.mark.slow
def test_verdict_near_the_border_is_the_one_of_jsonschema():
    known = registry()
    others: dict[tuple[str, str], Any] = {}
    valid: Counter[str] = Counter()
    for event in near_the_border(known, COUNT, seed=1):
        name, version = event.get("event_name", "page_view"), event.get("schema_version")
        mine = known.judge(event)
        if isinstance(version, str) and mine is not None and mine.code == "unknown_version":
            continue  # no schema judges it
        stated = version if isinstance(version, str) else "1-0-0"
        theirs = others.setdefault((name, stated), None) or oracle(known, name, stated)
        others[name, stated] = theirs
        assert (mine is None) == theirs.is_valid(event), (mine, event)
        assert (mine is None) == (not el.validate(event)), event
        valid[name] += mine is None
    assert set(valid) == set(known.schemas)
    assert 0.2 < valid.total() / COUNT < 0.8, valid  # on both sides of the border
