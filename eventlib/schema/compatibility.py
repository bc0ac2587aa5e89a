"""What an ADDITION may not do: refuse an event that the version before it took (S1.3).

A REVISION or a MODEL may. Inclusion of one schema in another is undecided in general, so that the comparison is one of
keywords: what it cannot show to be wider counts as narrower.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import inf
from typing import Any, Final

import orjson

__all__ = ["narrowings"]

Schema = Mapping[str, Any]

_NOTES: Final = (
    "$schema $id $comment $defs $anchor $dynamicAnchor $vocabulary title description default deprecated readOnly "
    "writeOnly examples supersedes contentEncoding contentMediaType contentSchema"
)
_ANNOTATIONS: Final = frozenset(_NOTES.split())
_FLOORS: Final = {
    **dict.fromkeys(("minLength", "minItems", "minProperties"), 0),
    **dict.fromkeys(("minimum", "exclusiveMinimum"), -inf),
    "minContains": 1,
}
_CEILINGS: Final = ("maxLength", "maxItems", "maxProperties", "maxContains", "maximum", "exclusiveMaximum")
_DEEPER: Final = ("items", "additionalProperties", "propertyNames")
_COMPARED: Final = frozenset(
    {
        *_FLOORS,
        *_CEILINGS,
        *_DEEPER,
        "type",
        "enum",
        "const",
        "required",
        "properties",
        "allOf",
        "anyOf",
        "$ref",
    }
)
_TYPES: Final = {
    "null": type(None),
    "boolean": bool,
    "integer": int,
    "number": float,
    "string": str,
    "array": list,
    "object": dict,
}


def _text(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _resolved(schema: object, root: Schema) -> Schema:
    """Return a subschema with its local reference put in place; what stands beside the reference stays."""
    if not isinstance(schema, Mapping):
        return {} if schema is not False else {"not": {}}
    steps = 0
    while isinstance(reference := schema.get("$ref"), str) and steps < 32:
        target: Any = root
        for part in reference.removeprefix("#").strip("/").split("/"):
            key = part.replace("~1", "/").replace("~0", "~")
            target = target.get(key, {}) if isinstance(target, Mapping) and part else target
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        clash = isinstance(target, Mapping) and any(
            key in target and key not in _ANNOTATIONS and target[key] != beside[key] for key in beside
        )
        if clash or not isinstance(target, Mapping):
            return schema
        schema, steps = {**target, **beside}, steps + 1
    return schema


def _types(schema: Schema) -> frozenset[str]:
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if "type" in schema:
        stated = schema["type"]
        types = frozenset({stated} if isinstance(stated, str) else stated)
    elif values is not None:
        types = frozenset(
            name for name, kind in _TYPES.items() if any(type(value) is kind for value in values)
        )
    else:
        types = frozenset(_TYPES)
    return types | {"integer"} if "number" in types else types


def _values(schema: Schema) -> set[bytes] | None:
    stated = [schema["enum"]] if "enum" in schema else []
    stated += [[schema["const"]]] if "const" in schema else []
    return set.intersection(*({_text(value) for value in values} for values in stated)) if stated else None


class _Comparison:
    """Two roots compared, each pair of subschemas once."""

    def __init__(self, before: Schema, after: Schema) -> None:
        self.roots = before, after
        self.same_definitions = _text(before.get("$defs")) == _text(after.get("$defs"))
        self.seen: set[tuple[int, int]] = set()

    def compare(self, before: object, after: object, path: str) -> Iterator[str]:
        if before is False or after is True:
            return  # nothing was taken, or everything is
        pair = (id(before), id(after))
        if pair in self.seen:
            return  # a schema that refers to itself
        self.seen.add(pair)
        old, new = _resolved(before, self.roots[0]), _resolved(after, self.roots[1])
        if self.same_definitions and _text(old) == _text(new):
            return
        yield from self.values(old, new, path)
        yield from self.limits(old, new, path)
        yield from self.keys(old, new, path)
        yield from self.choices(old, new, path)
        yield from self.others(old, new, path)

    @staticmethod
    def values(old: Schema, new: Schema, path: str) -> Iterator[str]:
        if lost := _types(old) - _types(new):
            yield f"{path}: no longer takes the type {', '.join(sorted(lost))}"
        taken, takes = _values(old), _values(new)
        if takes is not None and (taken is None or taken - takes):
            yield f"{path}: takes fewer values (enum or const)"

    @staticmethod
    def limits(old: Schema, new: Schema, path: str) -> Iterator[str]:
        narrower = [name for name, none in _FLOORS.items() if new.get(name, none) > old.get(name, none)]
        narrower += [name for name in _CEILINGS if new.get(name, inf) < old.get(name, inf)]
        for keyword in narrower:
            yield f"{path}: {keyword} is narrower"

    def keys(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        required = sorted(set(new.get("required", ())) - set(old.get("required", ())))
        if required:
            yield f"{path}: requires new fields: {', '.join(required)}"
        before, after = old.get("properties", {}), new.get("properties", {})
        removed = sorted(set(before) - set(after))
        if removed:
            yield f"{path}: removes properties: {', '.join(removed)}"
        for name in before.keys() & after.keys():
            yield from self.compare(before[name], after[name], f"{path}.{name}")
            if _marks(before[name]) and not _marks(after[name]):
                yield f"{path}.{name}: is no longer marked x-identifier, so that it would be saved as it is"
        others = old.get("additionalProperties", True)
        for name in sorted(after.keys() - before.keys()) if others is not False else ():
            yield from self.compare(others, after[name], f"{path}.{name} (any was taken under this name)")
        for keyword in _DEEPER:
            if keyword in new:
                yield from self.compare(old.get(keyword, True), new[keyword], f"{path}.{keyword}")

    def text(self, value: object, root: int) -> bytes:
        """Return a value's text; what refers to definitions that changed equals nothing of the other root."""
        text = _text(value)
        return text if self.same_definitions or b'"$ref"' not in text else text + b"%d" % root

    def texts(self, schema: Schema, keyword: str, root: int) -> set[bytes]:
        return {self.text(item, root) for item in schema.get(keyword, ())}

    def choices(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        if self.texts(new, "allOf", 1) - self.texts(old, "allOf", 0):
            yield f"{path}: allOf demands more"
        if "anyOf" in new and (
            "anyOf" not in old or self.texts(old, "anyOf", 0) - self.texts(new, "anyOf", 1)
        ):
            yield f"{path}: anyOf leaves fewer ways"
        if "$ref" in new and (old.get("$ref") != new["$ref"] or not self.same_definitions):
            yield f"{path}: $ref refers elsewhere"

    def others(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        for keyword in sorted(set(new) - _COMPARED - _ANNOTATIONS):
            same = keyword in old and self.text(old[keyword], 0) == self.text(new[keyword], 1)
            if not (same or keyword.startswith("x-")):
                yield f"{path}: {keyword} is new or changed, and may take less"
        for keyword in sorted({"if", "then", "else"} & (set(old) - set(new))):
            yield f"{path}: {keyword} is gone, which changes what the others demand"


def _marks(schema: object) -> bool:
    return isinstance(schema, Mapping) and bool(schema.get("x-identifier"))


def narrowings(before: Schema, after: Schema) -> list[str]:
    """Return how `after` may refuse what `before` took, one text per place; empty where it takes all of it.

    Parameters
    ----------
    before, after
        Linted schemas, of the older and the newer version.

    Examples
    --------
    >>> narrowings({"properties": {"n": {"maximum": 9}}}, {"properties": {"n": {"maximum": 8}}, "required": ["n"]})
    ['$: requires new fields: n', '$.n: maximum is narrower']
    >>> narrowings({"enum": ["a"]}, {"enum": ["a", "b"]})
    []
    """
    return list(_Comparison(before, after).compare(before, after, "$"))
