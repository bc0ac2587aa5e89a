"""The contexts of a Snowplow event: each under the name of its schema, whatever it was wrapped in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from eventlib.sources.base import Event, Repairs
from eventlib.sources.self_describing import Entity, column_of, several, snake
from eventlib.sources.snowplow_consent import Signals

__all__ = ["gathered"]

_WRAPPED: Final = ("contexts", "derived_contexts", "co", "cx")
_SNOWPLOW: Final = "com.snowplowanalytics.snowplow"
_IETF: Final = "org.ietf"
_DEVICE: Final = ("userId", "user_id")
_ALL: Final = "(all)"


def gathered(flat: Event, split: Iterable[str], said: Signals, repairs: Repairs) -> Event:
    """Take the contexts out of a record; one that is there several times becomes a list.

    Parameters
    ----------
    flat
        The record; gets the page view's id, and keeps what does not describe itself.
    split
        Names of its columns that are of one schema each.
    said
        Gets the device's id of a session, and what headers and cookies say of consent.
    repairs
        Where repairs are counted.
    """
    held: dict[str, list[Any]] = {}
    owners: dict[str, str] = {}
    for entity in _entities(flat, split, repairs):
        data = _opened(entity, flat, said, repairs)
        if data is None:
            continue
        vendor, name, _ = entity.schema
        name = snake(name)
        if owners.setdefault(name, vendor) != vendor:
            name = f"{snake(vendor)}_{name}"
        held.setdefault(name, []).append(data)
    return {name: many[0] if len(many) == 1 else many for name, many in held.items()}


def _entities(flat: Event, split: Iterable[str], repairs: Repairs) -> Iterator[Entity]:
    for place in _WRAPPED:
        value = flat.pop(place, None)
        if value is None:
            continue
        found, others = several(value)
        yield from found
        if others:
            flat[f"snowplow_{place}"] = others
            repairs.add(_ALL, place, "does not name its schema: kept as it is")
    for place in split:
        if place.startswith("contexts_") and (schema := column_of(place)):
            value = flat.pop(place)
            if type(value) is list and len(value) == 1 and type(value[0]) is list:
                value = value[0]  # a list in a list, as tables that were put together have it
            yield from (Entity(schema, data) for data in (value if type(value) is list else [value]))


def _opened(entity: Entity, flat: Event, said: Signals, repairs: Repairs) -> Any:
    """Return what a context keeps once what has a place elsewhere is taken out; None where nothing is left."""
    vendor, name, _ = entity.schema
    if vendor == _IETF and name in {"http_header", "http_cookie"}:
        said.sent(name, entity.data)
        repairs.add(_ALL, name, "may say who somebody is: read for consent, not kept")
        return None
    if type(entity.data) is not dict:
        return entity.data
    data = entity.data
    if None in data.values():
        data = {key: value for key, value in data.items() if value is not None}
    if vendor == _SNOWPLOW and name == "web_page" and isinstance(data.get("id"), str):
        flat["page_view_id"] = data.pop("id")
    if vendor == _SNOWPLOW and name == "client_session":
        for key in _DEVICE:
            said.device = data.pop(key, None) or said.device
    return data or None
