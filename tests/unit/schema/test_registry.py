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


def test_an_event_of_nobody_is_told_so():
    found = Registry().judge(event(anonymous_id=None))
    assert found is not None
    assert found.message == "it names nobody: neither an anonymous_id nor a user_id is there"


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


def test_unplanned_names_of_one_source_do_not_open_the_door_to_another():
    known, unplanned = Registry(), event(event_name="brand_filter", properties={"anything": 1})
    assert known.judge(unplanned, unplanned=True) is None
    refused = known.judge(unplanned)
    assert refused is not None
    assert refused.code == "unknown_event"
    assert known.judge(unplanned, unplanned=True) is None


def test_a_stream_of_invented_versions_is_judged_without_remembering_each():
    known = Registry()
    assert all(known.judge(event(schema_version=f"1-0-{number}")) is None for number in range(1, 12_000))
    assert len(known._known) == 10_000


@pytest.mark.parametrize(
    ("stated", "judged_by"),
    [("1-0-0", "1-0-2"), ("1-0-1", "1-0-2"), ("1-0-2", "1-0-2"), ("1-0-9", "1-0-3"), ("1-1-0", "2-0-0")],
)
def test_what_supersedes_judges(folder: Path, stated: str, judged_by: str):
    edit(folder, "1-0-1", supersedes=["1-0-0"])
    edit(folder, "1-0-2", supersedes="1-0-1", title="newer")
    edit(folder, "1-0-3")
    edit(folder, "2-0-0", supersedes=["1-1-0"], required=["observation"])
    known = Registry(folder)
    assert known.judged_by("page_view", stated) == judged_by
    short = event(schema_version=stated, properties={"observation": "owned"})
    assert (known.judge(short) is None) == (judged_by == "2-0-0")
    assert known.superseded() == {"page_view": {"1-0-0": "1-0-2", "1-0-1": "1-0-2", "1-1-0": "2-0-0"}}


@pytest.mark.parametrize("stated", ["1-0-1", "2-0-0", "first", 3])
def test_superseding_oneself_or_the_future_is_refused(folder: Path, stated: object):
    edit(folder, "1-0-1", supersedes=[stated])
    with pytest.raises(BadCallError, match="it can supersede lower versions"):
        Registry(folder)


def test_what_a_revision_or_a_model_may_do(folder: Path):
    edit(folder, "1-1-0", required=["observation", "page_view_id", "content_id", "title"])
    edit(folder, "2-0-0", properties={}, required=[])
    known = Registry(folder)
    assert known.versions()["page_view"] == "2-0-0"
    assert known.judge(event()) is None
    refused = known.judge(event(schema_version="1-1-0"))
    assert refused is not None
    assert refused.code == "schema_required"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("latest", b"{}", "is not named by SchemaVer"),
        ("1-0", b"{}", "is not named by SchemaVer"),
        ("01-0-0", b"{}", "is not named by SchemaVer"),
        ("1-0-01", b"{}", "is not named by SchemaVer"),
        ("1-0-1", b"{", "cannot read the schema"),
        ("1-0-1", b"[]", "a JSON object is needed"),
        ("2-0-0", b'{"$ref": "#/$defs/none"}', "cannot be used"),
        ("2-0-0", b'{"pattern": "(a{1000}){1000}"}', "cannot be used"),
        ("2-0-0", b'{"minLength": -1}', "not a valid JSON Schema"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(folder: Path, name: str, content: bytes, said: str):
    (folder / "events" / "page_view" / f"{name}.json").write_bytes(content)
    with pytest.raises(BadCallError, match=said) as caught:
        Registry(folder)
    assert f"{name}.json" in str(caught.value)


def test_definitions_of_a_schema_without_an_id_are_its_own(folder: Path):
    (folder / "events" / "page_view" / "2-0-0.json").write_bytes(
        b'{"$defs": {"date_time": {"type": "integer"}}, "properties": {"at": {"$ref": "#/$defs/date_time"}}}'
    )
    known = Registry(folder)
    assert known.judge(event(schema_version="2-0-0", properties={"at": 3})) is None
    assert known.judge(event(schema_version="2-0-0", properties={"at": "2026-10-01T12:00:00Z"})) is not None


def test_keys_that_no_schema_knows_are_not_named_in_a_path():
    broken = event(consent={"google": {"ann@site.org": 5}})
    assert [violation.json_path for violation in Registry().violations(broken)] == ["$.consent.google.*"]


def test_folder_without_schemas_is_refused(tmp_path: Path):
    with pytest.raises(BadCallError, match="holds no schemas"):
        Registry(tmp_path)
