"""Events near the border of validity: valid examples of every schema, each changed a little, by a seed."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

from eventlib.schema import Registry

JUNK: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    1.5,
    2.0,
    "",
    "x",
    " ",
    [],
    {},
    [None],
    {"a": 1},
    "null",
    "1",
    10**15,
    1e300,
)
TIMES = (
    "2026-10-03T08:15:60Z", "2026-10-03T08:15:30", "2026-10-03 08:15:30Z", "2026-10-03t08:15:30z", "2026-10-03T08:15:30.1234567890Z",
    "2026-10-03T08:15:30.123456789Z", "2026-02-29T00:00:00Z", "2024-02-29T00:00:00Z", "2026-10-03T24:00:00Z", "2026-10-03T08:15:30+24:00",
    "2026-10-03T08:15:30+23:59", "2026-10-03T08:15:30Z\n", "٢٠٢٦-10-03T08:15:30Z", "1969-12-31T23:59:59Z", "1970-01-01T00:00:00Z",
    "2999-12-31T23:59:59-00:00", "3000-01-01T00:00:00Z", "2026-10-03T08:15:30.Z", "2026-10-03T08:15Z", "2026-13-03T08:15:30Z",
    "2026-10-03T08:15:30+0100", "2026-10-03T23:59:60Z", "2026-06-31T00:00:00Z", "2026-10-03T08:15:30Z ", "0000-00-00T00:00:00Z",
)  # fmt: skip
VERSIONS = (
    "1-0-0",
    "1-0-1",
    "01-0-0",
    "1-0",
    "1-0-0\n",
    "0-0-0",
    "1-0-0-0",
    "1_0_0",
    "\u0661-0-0",
    "1-0-9999999",
    "2-0-0",
)
LETTERS = ("a", "Z", "é", "😀", "e\u0301", "\u0000", "\n", "\u2028", "中")


def bases(known: Registry) -> Iterator[dict[str, Any]]:
    """Every example of every event, in each envelope that suits it."""
    about, impersonal = known.envelope["examples"]
    for name, versions in known.schemas.items():
        for version, schema in versions.items():
            for example in schema["examples"]:
                for envelope in (about, impersonal):
                    stated = {
                        "event_name": name,
                        "schema_version": "-".join(map(str, version)),
                        "properties": example,
                    }
                    event = {**envelope, **stated}
                    if known.judge(event) is None:
                        yield event


def _resolve(schema: Any, root: dict[str, Any]) -> dict[str, Any]:
    while isinstance(schema, dict) and "$ref" in schema:
        schema = {
            **root["$defs"][schema["$ref"].rsplit("/", 1)[-1]],
            **{k: v for k, v in schema.items() if k != "$ref"},
        }
    return schema if isinstance(schema, dict) else {}


def _junk(chance: random.Random) -> Any:
    return copy.deepcopy(chance.choice(JUNK))


def _near(schema: dict[str, Any], chance: random.Random) -> Any:
    """A value at a limit of its schema, one step inside or outside."""
    kinds = [schema["type"]] if isinstance(schema.get("type"), str) else list(schema.get("type", ["enum"]))
    kind = chance.choice(kinds)
    if "enum" in schema:
        value = chance.choice(schema["enum"])
        twists = (
            str.upper,
            str.capitalize,
            lambda text: text + "\n",
            lambda text: f" {text}",
            lambda text: text[:-1],
            str,
        )
        return chance.choice(twists)(value) if isinstance(value, str) and chance.random() < 0.6 else value
    if "format" in schema:
        return chance.choice(TIMES)
    if kind == "string":
        size = max(
            0,
            chance.choice([schema.get("minLength", 0), schema.get("maxLength", 20)])
            + chance.choice([-1, 0, 0, 1]),
        )
        return chance.choice(LETTERS) * min(size, 9000)
    if kind in {"integer", "number"}:
        limit = chance.choice(
            [schema.get("minimum", 0), schema.get("maximum", 1), schema.get("exclusiveMinimum", 0)]
        )
        return chance.choice(
            [limit, limit - 1, limit + 1, limit + 0.5, limit - 0.5, float(limit), -limit, limit * 10]
        )
    if kind == "array":
        size = chance.choice(
            [0, 1, schema.get("minItems", 1), schema.get("maxItems", 3) + chance.choice([0, 1])]
        )
        return [_junk(chance) if chance.random() < 0.3 else 1] * min(size, 1100)
    return _junk(chance)


def _places(value: Any, schema: Any, root: dict[str, Any]) -> Iterator[tuple[Any, Any, dict[str, Any]]]:
    """Yield (container, key, subschema) of everything that stands in a value, or could."""
    schema = _resolve(schema, root)
    if isinstance(value, dict):
        for key in {**schema.get("properties", {}), **value}:
            below = _resolve(
                schema.get("properties", {}).get(key, schema.get("additionalProperties", {})), root
            )
            yield value, key, below
            if key in value:
                yield from _places(value[key], below, root)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield value, number, _resolve(schema.get("items", {}), root)
            yield from _places(item, schema.get("items", {}), root)


def _drop(container: Any, key: Any) -> None:
    if isinstance(container, list):
        container.pop(key)
    elif container:
        container.pop(key if key in container else next(iter(container)))


def _change(event: dict[str, Any], known: Registry, schema: dict[str, Any], chance: random.Random) -> None:
    """Change one place of the event, in place."""
    places = [place for place in _places(event, known.envelope, known.envelope) if place[1] != "event_name"]
    if isinstance(event.get("properties"), dict) and chance.random() < 0.6:
        places = list(_places(event["properties"], schema, schema)) or places
    container, key, below = chance.choice(places)
    action = chance.random()
    if action < 0.15:
        _drop(container, key)
    elif action < 0.2 and isinstance(container, dict):
        container[
            chance.choice(["colour", str(key).upper(), f"{key} ", "", "é", "__proto__", f"{key}\n"])
        ] = _junk(chance)
    elif action < 0.25 and isinstance(container, list):
        container.append(copy.deepcopy(container[key]))
    elif action < 0.4:
        container[key] = _junk(chance)
    elif action < 0.5 and isinstance(container, dict) and isinstance(container.get(key), str):
        text = container[key]
        container[key] = chance.choice(
            [
                f"{text}\n",
                f" {text}",
                text[:-1],
                text.swapcase(),
                text + chance.choice(LETTERS),
                text.replace("-", "\u2013"),
            ]
        )
    elif key == "schema_version":
        container[key] = chance.choice(VERSIONS)
    else:
        container[key] = _near(below, chance)


def near_the_border(known: Registry, count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield `count` events, each an example with up to three changes; about one in eight has none."""
    chance = random.Random(seed)
    examples = list(bases(known))
    for number in range(count):
        event = copy.deepcopy(examples[number % len(examples)])
        schema = known.properties_schema(event["event_name"], event["schema_version"])
        for _ in range(chance.choice([0, 1, 1, 1, 1, 2, 2, 3])):
            _change(event, known, schema, chance)
        yield event
