"""S1.2 to S1.4: which version judges, what it says, and which schemas are refused at load."""

from __future__ import annotations

import shutil
from pathlib import Path

import orjson
import pytest

from eventlib.errors import BadCallError
from eventlib.resources import schemas_dir
from eventlib.schema import Registry
from tests.factory import event


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(schemas_dir(), tmp_path / "schemas"))


def edit(folder: Path, version: str, **changes: object) -> None:
    source = folder / "events" / "page_view" / "1-0-0.json"
    schema = {**orjson.loads(source.read_bytes()), **changes}
    source.with_name(f"{version}.json").write_bytes(orjson.dumps(schema))


def test_valid_event_has_no_violation():
    assert Registry().judge(event()) is None


@pytest.mark.parametrize(
    ("changes", "code", "path"),
    [
        ({"event_name": "page_veiw"}, "unknown_event", "$.event_name"),
        ({"schema_version": "2-0-0"}, "unknown_version", "$.schema_version"),
        ({"schema_version": "1-1-0"}, "unknown_version", "$.schema_version"),
        ({"occurred_at": "2026-10-01T23:59:60Z"}, "schema_pattern", "$.occurred_at"),
        ({"occurred_at": "2026-10-01 12:00:00Z"}, "schema_format", "$.occurred_at"),
        ({"anonymous_id": None}, "schema_anyOf", "$"),
        ({"colour": "red"}, "schema_additionalProperties", "$"),
        ({"properties": {"observation": "owned", "content_id": "c"}}, "schema_required", "$.properties"),
        (
            {"properties": {"observation": "seen", "page_view_id": "v", "content_id": "c"}},
            "schema_enum",
            "$.properties.observation",
        ),
    ],
)
def test_first_violation_by_path_and_keyword(changes: dict[str, object], code: str, path: str):
    found = Registry().judge({**event(), **changes})
    assert found is not None
    assert (found.code, found.json_path) == (code, path)


def test_messages_hold_no_values():
    secret = "ann@site.org"
    broken = {**event(sequence=secret, channel=secret), secret: 1}
    assert all(
        secret not in violation.message + violation.json_path for violation in Registry().violations(broken)
    )
    assert len(Registry().violations(broken)) == 3


def test_unknown_addition_is_judged_by_the_newest_known(folder: Path):
    edit(folder, "1-0-1", title="newer")
    known = Registry(folder)
    assert known.judge(event(schema_version="1-0-7")) is None
    assert known.properties_schema("page_view", "1-0-7")["title"] == "newer"


def test_addition_that_requires_more_is_refused(folder: Path):
    edit(folder, "1-0-1", required=["observation", "page_view_id", "content_id", "title"])
    with pytest.raises(
        BadCallError, match=r"1-0-1 is an ADDITION but takes less than 1-0-0: \$: requires new fields: title"
    ):
        Registry(folder)


def test_remote_reference_is_refused(folder: Path):
    edit(folder, "1-0-1", properties={"a": {"$ref": "urn:elsewhere"}})
    with pytest.raises(BadCallError, match="never fetched"):
        Registry(folder)


def test_file_that_is_no_schema_is_refused(folder: Path):
    edit(folder, "1-0-1", type="objekt")
    with pytest.raises(BadCallError, match="not a valid JSON Schema"):
        Registry(folder)


def test_unplanned_name_passes_the_envelope_alone_where_allowed():
    unplanned = event(event_name="brand_filter", properties={"anything": 1})
    assert Registry().judge(unplanned, unplanned=True) is None
    refused = Registry().judge({**unplanned, "source": ""}, unplanned=True)
    assert refused is not None
    assert refused.json_path == "$.source"
