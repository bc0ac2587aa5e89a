"""What a schema must be before it may judge anything (S1.3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import jsonschema_rs

from eventlib.errors import BadCallError
from eventlib.schema.patterns import matches_end, why_not_portable

__all__ = ["TIME_PATTERN", "check_metaschema", "lint"]

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
TIME_PATTERN: Final = (
    "^(19[7-9][0-9]|2[0-9]{3})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
    "(\\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
)
"""Times with T and Z or an offset, at most nine digits, no leap second; beside `format: date-time`."""

_MAPS: Final = ("properties", "patternProperties", "$defs", "dependentSchemas")
_LISTS: Final = ("allOf", "anyOf", "oneOf", "prefixItems")
_SINGLE_WORDS: Final = (
    "items additionalProperties not if then else contains propertyNames unevaluatedItems unevaluatedProperties "
    "contentSchema"
)
_SINGLE: Final = tuple(_SINGLE_WORDS.split())
_OTHER_WORDS: Final = (
    "type enum const multipleOf maximum exclusiveMaximum minimum exclusiveMinimum maxLength minLength pattern "
    "maxItems minItems uniqueItems maxContains minContains maxProperties minProperties required dependentRequired "
    "format contentEncoding contentMediaType title description default deprecated readOnly writeOnly examples "
    "$schema $id $ref $comment $anchor supersedes"
)
_KEYWORDS: Final = frozenset({*_MAPS, *_LISTS, *_SINGLE, *_OTHER_WORDS.split()})
_FORMATS: Final = ("date", "date-time")

Schema = Mapping[str, Any]


def _subschemas(schema: object, path: str = "$") -> Iterator[tuple[str, Schema]]:
    if not isinstance(schema, Mapping):
        return
    yield path, schema
    for keyword in _MAPS:
        for name, sub in schema.get(keyword, {}).items():
            yield from _subschemas(sub, f"{path}.{keyword}.{name}")
    for keyword in _LISTS:
        for number, sub in enumerate(schema.get(keyword, ())):
            yield from _subschemas(sub, f"{path}.{keyword}[{number}]")
    for keyword in _SINGLE:
        yield from _subschemas(schema.get(keyword), f"{path}.{keyword}")


def _keywords(schema: Schema) -> Iterator[str]:
    for keyword in sorted(set(schema) - _KEYWORDS):
        if not keyword.startswith("x-"):
            yield f"{keyword!r} is no keyword used here and would assert nothing; as a note it is x-{keyword}"


def _reference(schema: Schema) -> Iterator[str]:
    reference = schema.get("$ref", "#")
    if not reference.startswith("#"):
        yield f"refers to {reference!r}; schemas are never fetched, refer within the file by '#/…'"
    declared = schema.get("$schema", DRAFT)
    if declared.rstrip("#") != DRAFT:
        yield f"is written for {declared!r}; schemas are judged by {DRAFT}"


def _patterns(schema: Schema) -> Iterator[str]:
    named = schema.get("patternProperties", {})
    stated = [schema["pattern"]] if "pattern" in schema else []
    for pattern in [*stated, *named]:
        if why := why_not_portable(pattern):
            yield f"the pattern {pattern!r} is not taken: {why}"
            return
    for pattern in stated:
        if matches_end(pattern) and not _shuts_out_line_end(schema.get("not")):
            yield (
                f"the pattern {pattern!r} ends with $, after which Python lets a line end stand and Rust does not; "
                'add "not": {"type": "string", "pattern": "[^…]"} with all characters that the value may have'
            )
    if any(map(matches_end, named)):
        yield "patternProperties with $ let a line end stand in Python; use propertyNames with a pattern and a not"


def _shuts_out_line_end(refused: object) -> bool:
    pattern = refused.get("pattern") if isinstance(refused, Mapping) else None
    if not isinstance(pattern, str):
        return False
    one_class = pattern.startswith("[^") and pattern.endswith("]") and "]" not in pattern[2:-1]
    return pattern == "\\n" or (one_class and "\\n" not in pattern and "\n" not in pattern)


def _formats(schema: Schema) -> Iterator[str]:
    stated = schema.get("format")
    if stated is not None and stated not in _FORMATS:
        yield f"the format {stated!r} is read differently by different validators; known: {', '.join(_FORMATS)}. Write a pattern"
    if stated == "date-time" and schema.get("pattern") != TIME_PATTERN:
        yield f'a date-time needs "pattern": "{TIME_PATTERN}" beside it, since formats alone take leap seconds, spaces or no zone'.replace(
            "\\", "\\\\"
        )


def _found_marks(schema: object) -> int:
    """Count the identifiers that are found when properties are written: under properties and items alone."""
    if not isinstance(schema, Mapping):
        return 0
    below = [*schema.get("properties", {}).values(), schema.get("items")]
    return (schema.get("x-identifier") is True) + sum(map(_found_marks, below))


def lint(path: Path, schema: object) -> None:
    """Refuse a schema that is not one, that engines would read differently, or that would have to be fetched.

    Parameters
    ----------
    path
        Where it was read from, for the message.
    schema
        The decoded file.

    Raises
    ------
    BadCallError
        At the first thing that is wrong, saying where and what to write instead.
    """
    if not isinstance(schema, dict):
        raise BadCallError(f"{path} is no schema of an event: a JSON object is needed")
    try:
        jsonschema_rs.meta.validate(schema)
    except (jsonschema_rs.ValidationError, ValueError) as error:
        said = getattr(error, "message", str(error))
        raise BadCallError(f"{path} is not a valid JSON Schema (draft 2020-12): {said}") from error
    for where, sub in _subschemas(schema):
        for rule in (_keywords, _reference, _patterns, _formats):
            for finding in rule(sub):
                raise BadCallError(f"{path}: at {where}: {finding}.")
    if sum(sub.get("x-identifier") is True for _, sub in _subschemas(schema)) > _found_marks(schema):
        raise BadCallError(
            f"{path}: an x-identifier stands behind a $ref or a choice, where it would not be found and the identifier be "
            "saved as it is; mark it under properties or items."
        )


def check_metaschema(path: Path, schema: dict[str, Any]) -> None:
    """Check a schema against the metaschema by a second validator, `jsonschema`.

    It takes a second to import, which the shipped schemas need not wait for: they are checked by the tests.

    Raises
    ------
    BadCallError
        If it is not valid.
    """
    import jsonschema  # type: ignore[import-untyped]  # noqa: PLC0415  # as above; published without type information

    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise BadCallError(
            f"{path} is not a valid JSON Schema (draft 2020-12), at {error.json_path}: {error.message}"
        ) from error
