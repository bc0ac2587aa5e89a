"""S1.3: which schemas may judge, and what is said of the others."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventlib.errors import BadCallError
from eventlib.resources import schemas_dir
from eventlib.schema.lint import TIME_PATTERN, check_metaschema, lint
from eventlib.schema.patterns import why_not_portable
from tests.unit.schemas.test_schemas import FORMATS, PATHS, errors_of_both, read

HERE = Path("1-0-0.json")
TIME = {"type": "string", "format": "date-time", "pattern": TIME_PATTERN, "not": {"pattern": "[^0-9TZ:.+-]"}}


@pytest.mark.parametrize(
    "path", [p for p in PATHS if p.parent.name != "policy"], ids=lambda p: f"{p.parent.name}-{p.stem}"
)
def test_shipped_schemas_pass(path: Path):
    lint(path, read(path))
    check_metaschema(path, read(path))


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ([], "a JSON object is needed"),
        ({"type": "objekt"}, "not a valid JSON Schema"),
        ({"properties": {"a": {"requierd": ["b"]}}}, r"at \$\.properties\.a: 'requierd' is no keyword"),
        ({"definitions": {}}, "'definitions' is no keyword"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "is written for"),
        ({"items": {"$ref": "other.json"}}, "never fetched"),
        ({"anyOf": [{"$ref": "urn:elsewhere#/a"}]}, "never fetched"),
        ({"format": "email"}, "the format 'email' is read differently"),
        ({"format": "date-time"}, "a date-time needs"),
        ({"format": "datetime"}, "the format 'datetime'"),
        ({**TIME, "not": {}}, "ends with \\$"),
        ({"pattern": "^[a-z]+$"}, "ends with \\$"),
        ({"pattern": "^(a|b$)"}, "ends with \\$"),
        ({"pattern": "^a$", "not": {"pattern": "[^a\\n]"}}, "ends with \\$"),
        (
            {"$defs": {"i": {"x-identifier": True}}, "items": {"$ref": "#/$defs/i"}},
            "x-identifier stands behind",
        ),
        ({"properties": {"a": {"anyOf": [{"x-identifier": True}]}}}, "x-identifier stands behind"),
        ({"patternProperties": {"^a$": {}}}, "propertyNames"),
        ({"patternProperties": {"\\d": {}}}, "is not portable"),
    ],
)
def test_what_is_wrong_is_said_and_where(schema: Any, said: str):
    with pytest.raises(BadCallError, match=said):
        lint(HERE, schema)


@pytest.mark.parametrize(
    "schema",
    [
        TIME,
        {
            "format": "date",
            "x-note": {"requierd": 1},
            "examples": [{"$ref": "other.json"}],
            "enum": [{"pattern": "\\d"}],
        },
        {"properties": {"$ref": {"type": "string"}, "pattern": {}, "format": {"const": "email"}}},
        {"properties": {"a": {"items": {"properties": {"b": {"x-identifier": True}}}}}},
        {"pattern": "^[a-z]+$", "not": {"pattern": "[^a-z]"}},
        {"pattern": "^[a-z]+$", "not": {"pattern": "\\n"}},
        {"$defs": {"a": {"type": "null"}}, "items": {"$ref": "#/$defs/a"}, "supersedes": ["1-0-0"]},
    ],
)
def test_what_is_right_passes(schema: Any):
    lint(HERE, schema)


@pytest.mark.parametrize(
    "pattern",
    [
        r"\d", r"\w+", r"\s", r"\bword", r"\p{L}", "é", "a.b", "(?=a)", "(?!a)b", "(?P<n>a)", "(?i)a", r"(a)\1", "a+?", "a*+", "a{2}{3}",
        "a{,3}", "a{3,2}", "a{1001}", "a{", "[a", "[]a]", "[a&&b]", "[[:alpha:]]", "[a[b]]", "[z-a]", "[+--]", "(a", "a)", "*a", "a$b",
        "a^b", "\\", "^+", "x" * 1001, "(" * 2000 + ")" * 2000,
    ],
)  # fmt: skip
def test_patterns_that_engines_read_differently_are_not_taken(pattern: str):
    assert why_not_portable(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "^G[1-9]$",
        "[^0-9-]",
        r"^[a-z0-9_]+(:[A-Za-z0-9_.-]+)?$",
        r"^(?:a|b|)\.c{2,}\/x{1,3}$",
        r"[\]\[^]",
        "a b!",
        TIME_PATTERN,
        "",
    ],
)
def test_portable_patterns_are_taken(pattern: str):
    assert why_not_portable(pattern) is None


_pattern = st.lists(
    st.sampled_from(
        ["^", "$", "a", "b", "|", "(", ")", "(?:", "[a-b]", "[^a]", "[^ab\\n]", "*", "+", "?", "{2}", "{1,}", "{0,2}", "\\n", "\\.", "-",
         " ", "[-a]", "[a-]", "[\\]]", "{", "}", "[", "]", "\\", ".", "[&&]", "\\d"]
    ),
    max_size=8,
).map("".join)  # fmt: skip
_text = st.text(alphabet="ab.-\n {}[]\\&\u0660é", max_size=6)


@settings(max_examples=300, deadline=None)
@given(pattern=_pattern.filter(lambda p: why_not_portable(p) is None and "$" not in p), text=_text)
def test_python_and_rust_agree_on_portable_patterns(pattern: str, text: str):
    rust = jsonschema_rs.Draft202012Validator(
        {"pattern": pattern}, pattern_options=jsonschema_rs.RegexOptions()
    )
    assert rust.is_valid(text) == bool(re.search(pattern, text))


@settings(max_examples=200, deadline=None)
@given(
    st.text(alphabet="0123456789-Tt٣ ", max_size=11)
    | st.dates().map(str)
    | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\n?")
)
def test_both_validators_agree_on_dates(text: str):
    assert "date" in FORMATS.checkers
    python, rust = errors_of_both({"format": "date"}, text)
    assert bool(python) == bool(rust)


def test_the_envelope_writes_times_as_the_lint_asks():
    envelope = read(schemas_dir() / "envelope" / "1-0-0.json")
    assert envelope["$defs"]["date_time"]["pattern"] == TIME_PATTERN
