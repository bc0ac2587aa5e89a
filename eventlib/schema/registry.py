"""The schema registry: SchemaVer files, linted when loaded, compiled once per (event name, version) (S1.2-S1.4)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
import orjson

from eventlib.errors import BadCallError
from eventlib.model import Violation
from eventlib.resources import schemas_dir

__all__ = ["Registry", "registry"]

ENVELOPE_VERSION: Final = "1-0-0"
_SCHEMAVER = re.compile(r"([1-9][0-9]{0,5})-([0-9]{1,6})-([0-9]{1,6})", re.ASCII)
_MASK: Final = "the value"

Schema = dict[str, Any]
Version = tuple[int, int, int]


def _parse_version(text: object) -> Version | None:
    match = _SCHEMAVER.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    model, revision, addition = map(int, match.groups())
    return model, revision, addition


def _read(path: Path) -> Schema:
    try:
        schema: Schema = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise BadCallError(f"cannot read the schema {path}: {error}") from error
    return schema


def _references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _lint(path: Path, schema: Schema) -> None:
    """Refuse a schema that is not one, or that would have to be fetched (S1.3)."""
    try:
        jsonschema_rs.meta.validate(schema)
    except jsonschema_rs.ValidationError as error:
        raise BadCallError(f"{path} is not a valid JSON Schema (draft 2020-12): {error.message}") from error
    remote = [reference for reference in _references(schema) if not reference.startswith("#")]
    if remote:
        raise BadCallError(
            f"{path} refers to {remote[0]!r}; schemas are never fetched, refer within the file by '#/…'"
        )


def _check_additions(name: str, versions: Mapping[Version, Schema]) -> None:
    """Refuse an ADDITION that asks for more than the version before it: it would break its own promise (S1.3)."""
    ordered = sorted(versions)
    for before, after in pairwise(ordered):
        added = set(versions[after].get("required", ())) - set(versions[before].get("required", ()))
        if before[:2] == after[:2] and added:
            raise BadCallError(
                f"schema {name} {'-'.join(map(str, after))} is an ADDITION but requires new fields: "
                f"{', '.join(sorted(added))}. Raise its REVISION or MODEL instead."
            )


def _pointer(parts: object) -> str:
    return "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)  # type: ignore[attr-defined]  # the library's list of str and int


def _keyword(error: jsonschema_rs.ValidationError) -> str:
    path = list(error.schema_path)
    return str(path[-1]) if path else "schema"


def _said(error: jsonschema_rs.ValidationError) -> str:
    if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.AdditionalProperties):
        return "keys that the schema does not know are not allowed"  # their names may be data
    return error.message


class Registry:
    """All known schemas of one folder (`envelope/`, `events/<name>/<version>.json`).

    Parameters
    ----------
    folder
        Where the schemas are; the shipped ones by default.

    Raises
    ------
    BadCallError
        If the folder or one of its schemas cannot be used (S1.3).

    Examples
    --------
    >>> Registry().judge({"event_name": "page_veiw", "schema_version": "1-0-0"}).code
    'unknown_event'
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or schemas_dir()
        if not (self.folder / "events").is_dir():
            raise BadCallError(
                f"{self.folder} holds no schemas: it needs envelope/ and events/<event_name>/<version>.json"
            )
        envelope_path = self.folder / "envelope" / f"{ENVELOPE_VERSION}.json"
        self.envelope = _read(envelope_path)
        _lint(envelope_path, self.envelope)
        self.schemas = {
            path.name: self._load(path)
            for path in sorted((self.folder / "events").iterdir())
            if path.is_dir()
        }
        self._validators: dict[tuple[str, str], jsonschema_rs.Validator] = {}
        self._envelope_validator = self._compile(self.envelope)

    def _load(self, folder: Path) -> dict[Version, Schema]:
        versions: dict[Version, Schema] = {}
        for path in sorted(folder.glob("*.json")):
            version = _parse_version(path.stem)
            if version is None:
                raise BadCallError(
                    f"{path} is not named by SchemaVer: MODEL-REVISION-ADDITION.json, such as 1-0-0.json"
                )
            versions[version] = _read(path)
            _lint(path, versions[version])
        _check_additions(folder.name, versions)
        return versions

    @staticmethod
    def _compile(schema: Schema) -> jsonschema_rs.Validator:
        return jsonschema_rs.Draft202012Validator(schema, validate_formats=True, mask=_MASK, offline=True)

    def versions(self) -> dict[str, str]:
        """Return the newest known version of each event name, as text."""
        return {name: "-".join(map(str, max(known))) for name, known in self.schemas.items() if known}

    def properties_schema(self, event_name: str, schema_version: str | None = None) -> Schema:
        """Return the schema of `properties` that judges this event name and version (the newest by default)."""
        known = self.schemas.get(event_name)
        if not known:
            raise BadCallError.unknown("event name", event_name, self.schemas)
        resolved = self._resolve(event_name, schema_version) if schema_version else max(known)
        if isinstance(resolved, Violation):
            raise BadCallError.unknown(
                f"version of {event_name}", str(schema_version), ["-".join(map(str, v)) for v in known]
            )
        return known[resolved]

    def _resolve(self, name: str, version: object) -> Version | Violation:
        known = self.schemas.get(name)
        if not known:
            return Violation("unknown_event", "$.event_name", "no schema has this event name")
        wanted = _parse_version(version)
        if wanted is None:
            return Violation("unknown_version", "$.schema_version", "not a SchemaVer MODEL-REVISION-ADDITION")
        same = [candidate for candidate in known if candidate[:2] == wanted[:2]]
        if not same:
            return Violation("unknown_version", "$.schema_version", "no schema has this MODEL-REVISION")
        return wanted if wanted in known else max(same)

    def _validator(self, name: str, version: str) -> jsonschema_rs.Validator | Violation:
        resolved = self._resolve(name, version)
        if isinstance(resolved, Violation):
            return resolved
        properties = dict(self.schemas[name][resolved])
        # each part keeps its own `$id`, so that '#/$defs' inside it means its own definitions
        return self._compile({"allOf": [self.envelope, {"properties": {"properties": properties}}]})

    def judge(self, event: Mapping[str, Any], *, unplanned: bool = False) -> Violation | None:
        """Return why the event is refused, or None where it is valid (S1.2).

        Parameters
        ----------
        event
            One event as decoded JSON.
        unplanned
            Judge event names that no schema knows by the envelope alone, instead of refusing them.
        """
        name, version = event.get("event_name"), event.get("schema_version")
        if not isinstance(name, str) or not isinstance(version, str):
            return self._first(self._envelope_validator, event)
        validator = self._validators.get((name, version))
        if validator is None:
            found = self._validator(name, version)
            if isinstance(found, Violation):
                if not (unplanned and found.code == "unknown_event"):
                    return found
                found = self._envelope_validator
            if len(self._validators) < 10_000:  # a stream of invented versions must not fill the memory
                self._validators[name, version] = found
            validator = found
        return None if validator.is_valid(event) else self._first(validator, event)

    @staticmethod
    def _first(validator: jsonschema_rs.Validator, event: Mapping[str, Any]) -> Violation | None:
        found = [(_pointer(e.instance_path), _keyword(e), _said(e)) for e in validator.iter_errors(event)]
        if not found:
            return None
        path, keyword, message = min(found)
        return Violation(f"schema_{keyword}", path, message[:300], len(found))

    def violations(self, event: Mapping[str, Any]) -> list[Violation]:
        """Return every violation of one event, in the order of (path, keyword); empty where it is valid."""
        first = self.judge(event)
        if first is None:
            return []
        validator = self._validators.get((str(event.get("event_name")), str(event.get("schema_version"))))
        if validator is None:
            return [first]
        found = sorted(
            (_pointer(e.instance_path), _keyword(e), _said(e)) for e in validator.iter_errors(event)
        )
        return [Violation(f"schema_{keyword}", path, message[:300]) for path, keyword, message in found]


@cache
def registry(folder: Path | None = None) -> Registry:
    """Return the registry of a folder, loaded once per process."""
    return Registry(folder)
