"""The schema registry: SchemaVer files, linted when loaded, compiled once per (event name, version) (S1.2-S1.4)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
import orjson

from eventlib.errors import BadCallError
from eventlib.model import Violation
from eventlib.resources import schemas_dir
from eventlib.schema.compatibility import narrowings
from eventlib.schema.lint import check_metaschema, lint
from eventlib.schema.plain import as_read

__all__ = ["Registry", "registry"]

_SCHEMAVER = re.compile(r"([1-9][0-9]{0,5})-([0-9]{1,6})-([0-9]{1,6})", re.ASCII)
_MASK: Final = "the value"
_REMEMBERED: Final = 10_000  # a stream of invented versions must not fill the memory
_KINDS: Final = jsonschema_rs.ValidationErrorKind
_KEYS: Final = (_KINDS.AdditionalProperties, _KINDS.UnevaluatedProperties, _KINDS.PropertyNames)

Schema = dict[str, Any]
Version = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class _Judge:
    """One compiled schema, and the property names that a message may say."""

    validator: jsonschema_rs.Validator
    names: frozenset[str]
    version: Version | None = None


def _parse_version(text: object) -> Version | None:
    match = _SCHEMAVER.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    model, revision, addition = map(int, match.groups())
    return model, revision, addition


def _text(version: Version) -> str:
    return "-".join(map(str, version))


def _read(path: Path) -> Schema:
    try:
        schema: Schema = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise BadCallError(f"cannot read the schema {path}: {error}") from error
    lint(path, schema)
    return schema


def _check_additions(name: str, versions: Mapping[Version, Schema]) -> None:
    """Refuse an ADDITION that takes less than the version before it: it would break its own promise (S1.3)."""
    for _, same in groupby(sorted(versions), key=lambda version: version[:2]):
        for before, after in pairwise(same):
            found = narrowings(versions[before], versions[after])
            if found:
                raise BadCallError(
                    f"schema {name} {_text(after)} is an ADDITION but takes less than {_text(before)}: "
                    f"{'; '.join(found[:5])}. Raise its REVISION or MODEL instead."
                )


def _superseded(name: str, versions: Mapping[Version, Schema]) -> dict[Version, Version]:
    """Return which version judges in place of which, by what the schemas state; of two the higher, and so on."""
    by: dict[Version, Version] = {}
    for version in sorted(versions):
        stated = versions[version].get("supersedes", [])
        for text in [stated] if isinstance(stated, str) else stated:
            older = _parse_version(text)
            if older is None or older >= version:
                raise BadCallError(
                    f"schema {name} {_text(version)} supersedes {text!r}; it can supersede lower versions, such as 1-0-0"
                )
            by[older] = version
    return by


def _names(schema: object) -> frozenset[str]:
    """Return every key that a schema declares, however deep."""
    if isinstance(schema, list):
        return frozenset().union(*map(_names, schema))
    if not isinstance(schema, dict):
        return frozenset()
    declared = schema.get("properties")
    own = frozenset(declared) if isinstance(declared, dict) else frozenset()
    return own.union(*map(_names, schema.values()))


def _pointer(parts: list[str | int], names: frozenset[str]) -> str:
    said = (f"[{part}]" if isinstance(part, int) else f".{part if part in names else '*'}" for part in parts)
    return "$" + "".join(said)  # a key that no schema knows may be data


def _keyword(error: jsonschema_rs.ValidationError) -> str:
    path = list(error.schema_path)
    return str(path[-1]) if path else "schema"


def _said(error: jsonschema_rs.ValidationError) -> str:
    if isinstance(error.kind, _KEYS):
        return "keys that the schema does not know are not allowed"  # their names may be data
    if (
        isinstance(error.kind, _KINDS.AnyOf) and not error.instance_path
    ):  # of the envelope, which has one such choice
        return "it names nobody: neither an anonymous_id nor a user_id is there"
    return error.message


class Registry:
    """All known schemas of one folder (`envelope/`, `events/<name>/<version>.json`).

    Safe to share between threads: once made it only remembers.

    Parameters
    ----------
    folder
        Where the schemas are; the shipped ones by default.
    checked
        Whether another process has checked the folder against the metaschema by `jsonschema`, as tests do for the
        shipped one.

    Raises
    ------
    BadCallError
        If the folder or one of its schemas cannot be used (S1.3).

    Examples
    --------
    >>> Registry().judge({"event_name": "page_veiw", "schema_version": "1-0-0"}).code
    'unknown_event'
    """

    def __init__(self, folder: Path | None = None, *, checked: bool = False) -> None:
        self.folder = folder or schemas_dir()
        self._checked = checked or folder is None
        if not (self.folder / "events").is_dir():
            raise BadCallError(
                f"{self.folder} holds no schemas: it needs envelope/ and events/<event_name>/<version>.json"
            )
        self.envelope, compiled = self._newest_envelope()
        self._envelope = _Judge(compiled, _names(self.envelope))
        self.schemas: dict[str, dict[Version, Schema]] = {}
        self._superseded: dict[str, dict[Version, Version]] = {}
        self._judges: dict[tuple[str, Version], _Judge] = {}
        self._known: dict[tuple[str, str], _Judge | Violation] = {}
        self._wholes: dict[tuple[str, Version], tuple[Path, Schema]] = {}
        self._open: dict[tuple[str, Version], _Judge] = {}
        for path in sorted((self.folder / "events").iterdir()):
            if path.is_dir():
                self._load(path)

    def _read(self, path: Path) -> Schema:
        schema = _read(path)
        if not self._checked:
            check_metaschema(path, schema)
        return schema

    def _newest_envelope(self) -> tuple[Schema, jsonschema_rs.Validator]:
        """Read every version of the envelope; the newest judges, since each takes what those before it took."""
        folder = self.folder / "envelope"
        paths = {version: path for path in folder.glob("*.json") if (version := _parse_version(path.stem))}
        if not paths:
            raise BadCallError(f"{self.folder} holds no schema of the envelope, such as envelope/1-0-0.json")
        versions = {version: self._read(path) for version, path in paths.items()}
        _check_additions("envelope", versions)
        newest = max(versions)
        return versions[newest], self._compile(paths[newest], versions[newest])

    def _load(self, folder: Path) -> None:
        name = folder.name
        versions: dict[Version, Schema] = {}
        for path in sorted(folder.glob("*.json")):
            version = _parse_version(path.stem)
            if version is None or _text(version) != path.stem:
                raise BadCallError(
                    f"{path} is not named by SchemaVer: MODEL-REVISION-ADDITION.json, such as 1-0-0.json"
                )
            schema = versions[version] = self._read(path)
            # each part has a name of its own, so that '#/$defs' inside it means its own definitions
            own = {**schema, "$id": f"urn:eventlib:judge:{len(self._judges)}"}
            whole = {"allOf": [self.envelope, {"properties": {"properties": own}}]}
            names = self._envelope.names | _names(schema)
            self._judges[name, version] = _Judge(self._compile(path, whole), names, version)
            self._wholes[name, version] = (path, whole)
        _check_additions(name, versions)
        self.schemas[name] = versions
        self._superseded[name] = _superseded(name, versions)

    @staticmethod
    def _compile(path: Path, schema: Schema) -> jsonschema_rs.Validator:
        try:
            return jsonschema_rs.Draft202012Validator(
                schema,
                validate_formats=True,
                mask=_MASK,
                offline=True,
                pattern_options=jsonschema_rs.RegexOptions(),  # linear in time
            )
        except (ValueError, jsonschema_rs.ReferencingError) as error:
            raise BadCallError(f"{path} cannot be used: {error}") from error

    def versions(self) -> dict[str, str]:
        """Return the newest known version of each event name, as text."""
        return {name: _text(max(known)) for name, known in self.schemas.items() if known}

    def superseded(self) -> dict[str, dict[str, str]]:
        """Return, by event name, which version's events are judged by which other, as schemas state by `supersedes`."""
        return {
            name: {_text(old): _text(self._follow(name, old)) for old in sorted(by)}
            for name, by in self._superseded.items()
            if by
        }

    def properties_schema(self, event_name: str, schema_version: str | None = None) -> Schema:
        """Return the schema of `properties` that judges this event name and version (the newest by default)."""
        known = self.schemas.get(event_name)
        if not known:
            raise BadCallError.unknown("event name", event_name, self.schemas)
        resolved = self._resolve(event_name, schema_version) if schema_version else max(known)
        if isinstance(resolved, Violation):
            raise BadCallError.unknown(
                f"version of {event_name}", str(schema_version), [_text(version) for version in known]
            )
        return known[resolved]

    def judged_by(self, event_name: str, schema_version: str) -> str | None:
        """Return the version that judges events of a stated one (S1.4); None where none does."""
        resolved = self._resolve(event_name, schema_version)
        return None if isinstance(resolved, Violation) else _text(resolved)

    def _follow(self, name: str, version: Version) -> Version:
        by = self._superseded[name]
        while version in by:
            version = by[version]
        return version

    def _resolve(self, name: str, version: object) -> Version | Violation:
        """Return the version that judges (S1.4): the stated, the newest of its MODEL-REVISION, or what supersedes it."""
        known = self.schemas.get(name)
        if not known:
            return Violation("unknown_event", "$.event_name", "no schema has this event name")
        wanted = _parse_version(version)
        if wanted is None:
            return Violation("unknown_version", "$.schema_version", "not a SchemaVer MODEL-REVISION-ADDITION")
        followed = self._follow(name, wanted)
        if followed in known:
            return followed
        same = [candidate for candidate in known if candidate[:2] == wanted[:2]]
        if not same:
            return Violation("unknown_version", "$.schema_version", "no schema has this MODEL-REVISION")
        return self._follow(name, max(same))

    def _judge_of(self, event: Mapping[str, Any], *, unplanned: bool = False) -> _Judge | Violation:
        name, version = event.get("event_name"), event.get("schema_version")
        if type(name) is not str or type(version) is not str:
            return self._envelope
        found = self._known.get((name, version))
        if found is None:
            resolved = self._resolve(name, version)
            found = resolved if isinstance(resolved, Violation) else self._judges[name, resolved]
            if len(self._known) < _REMEMBERED:
                self._known[name, version] = found
        if unplanned and isinstance(found, Violation) and found.code == "unknown_event":
            return self._envelope
        return found

    def _opened(self, name: str, judge: _Judge) -> _Judge:
        """Return the judge that lets an event have properties of its own beside the schema's."""
        if judge is self._envelope or judge.version is None:
            return judge
        key = name, judge.version
        if key not in self._open:
            path, whole = self._wholes[key]
            envelope, part = whole["allOf"]
            own = {
                key: value
                for key, value in part["properties"]["properties"].items()
                if key != "additionalProperties"
            }
            opened = {
                "allOf": [envelope, {"properties": {"properties": {**own, "$id": f"{own['$id']}:open"}}}]
            }
            self._open[key] = _Judge(self._compile(path, opened), judge.names, judge.version)
        return self._open[key]

    def judge(
        self, event: Mapping[str, Any], *, unplanned: bool = False, own: bool = False
    ) -> Violation | None:
        """Return why the event is refused, or None where it is valid (S1.2): its first error, and how many there are.

        Parameters
        ----------
        event
            One event as decoded JSON.
        unplanned
            Judge event names that no schema knows by the envelope alone, instead of refusing them.
        own
            Let events have properties beside those of their schema, as those of other trackers do.
        """
        judge = self._judge_of(event, unplanned=unplanned)
        if isinstance(judge, Violation):
            return judge
        if own:
            judge = self._opened(str(event.get("event_name")), judge)
        if judge.validator.is_valid(event):
            return None
        found = self._errors(judge, event)
        path, keyword, message = found[0]
        return Violation(f"schema_{keyword}", path, message, len(found))

    @staticmethod
    def _errors(judge: _Judge, event: Mapping[str, Any]) -> list[tuple[str, str, str]]:
        return sorted(
            (_pointer(error.instance_path, judge.names), _keyword(error), _said(error)[:300])
            for error in judge.validator.iter_errors(event)
        )

    def violations(self, event: Mapping[Any, Any]) -> list[Violation]:
        """Return every violation of one event, in the order of (path, keyword); empty where it is valid.

        The verdict is the one that the event's line in a log would get. Nothing is raised, whatever the mapping holds.
        """
        read = as_read(event, self._envelope.names)
        if isinstance(read, Violation):
            return [read]
        judge = self._judge_of(read)
        if isinstance(judge, Violation):
            return [judge]
        if judge.validator.is_valid(read):
            return []
        return [
            Violation(f"schema_{keyword}", path, said) for path, keyword, said in self._errors(judge, read)
        ]


@cache
def registry(folder: Path | None = None, *, checked: bool = False) -> Registry:
    """Return the registry of a folder, loaded once per process."""
    return Registry(folder, checked=checked)
