"""Self-describing JSON: data that names its schema, as Snowplow's events and contexts do, and the columns made of it.

`{"schema": "iglu:vendor/name/jsonschema/1-0-0", "data": …}` is how it is sent; in warehouses and in the JSON of the analytics
SDKs it is a column, `contexts_vendor_name_1` or `unstruct_event_vendor_name_1`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final, NamedTuple

__all__ = ["LONGEST", "Entity", "Schema", "column_of", "described", "several", "snake"]


class Schema(NamedTuple):
    """What data is; of a column's, only the first number of the version is known."""

    vendor: str
    name: str
    version: str


class Entity(NamedTuple):
    """Data and what it is."""

    schema: Schema
    data: Any


_URI: Final = re.compile(
    r"iglu:([A-Za-z0-9_.-]{1,128})/([A-Za-z0-9_-]{1,128})/[A-Za-z0-9_-]{1,64}/([1-9][0-9]{0,5}(?:-[0-9]{1,6}){2})"
)
_COLUMN: Final = re.compile(
    r"(?:contexts|unstruct_event)_([a-z0-9]+)_(.+?)_([1-9][0-9]{0,5})(?:_[0-9]+_[0-9]+)?", re.ASCII
)
LONGEST: Final = 512
"""Of what is looked into; what was read is remembered."""

_CAPITAL: Final = re.compile(r"([^A-Z_])([A-Z])")
_VENDORS: Final = (
    "com_snowplowanalytics_snowplow_ecommerce",
    "com_snowplowanalytics_snowplow_media",
    "com_snowplowanalytics_snowplow",
    "com_snowplowanalytics_mobile",
    "com_google_analytics_enhanced_ecommerce",
    "com_google_analytics",
    "com_google_ga4",
    "com_google_tag_manager_server_side",
    "com_iab_snowplow",
    "dev_amp_snowplow",
    "org_ietf",
    "org_w3",
    "nl_basjes",
)
"""Vendors as columns have them, where they are known; the longer first."""


@lru_cache(4096)
def schema_of(uri: str) -> Schema | None:
    """Read the address of a schema.

    Examples
    --------
    >>> schema_of("iglu:com.acme/button-press/jsonschema/1-0-2")
    Schema(vendor='com.acme', name='button-press', version='1-0-2')
    >>> schema_of("com.acme/button-press")
    """
    found = _URI.fullmatch(uri) if len(uri) < LONGEST else None
    return Schema(*found.groups()) if found else None


@lru_cache(4096)
def column_of(column: str) -> Schema | None:
    """Read the name of a column; of a vendor that is not known, its first two words are taken for it.

    Examples
    --------
    >>> column_of("contexts_com_snowplowanalytics_snowplow_web_page_1")
    Schema(vendor='com.snowplowanalytics.snowplow', name='web_page', version='1')
    >>> column_of("unstruct_event_com_acme_button_press_1_0_2")
    Schema(vendor='com.acme', name='button_press', version='1')
    >>> column_of("contexts_open")
    """
    found = _COLUMN.fullmatch(column) if len(column) < LONGEST else None
    if not found:
        return None
    first, rest, version = found.groups()
    stem = f"{first}_{rest}"
    vendor = next((known for known in _VENDORS if stem.startswith(known + "_")), None)
    vendor = vendor or "_".join(stem.split("_")[:2])
    name = stem[len(vendor) + 1 :]
    return Schema(vendor.replace("_", "."), name, version) if name else None


@lru_cache(4096)
def snake(name: str) -> str:
    """Return a schema's name as columns have it.

    Examples
    --------
    >>> snake("addToCart"), snake("button-press")
    ('add_to_cart', 'button_press')
    """
    return _CAPITAL.sub(r"\1_\2", name).replace("-", "_").replace(".", "_").lower()


def described(value: object) -> Entity | None:
    """Return what describes itself, None of anything else."""
    if type(value) is not dict or "data" not in value or type(uri := value.get("schema")) is not str:
        return None
    schema = schema_of(uri) if len(uri) <= LONGEST else None
    return Entity(schema, value["data"]) if schema else None


def several(value: object) -> tuple[list[Entity], list[Any]]:
    """Return the members of a list that describes itself, or of a plain one, and what there does not describe itself."""
    held = value.get("data") if type(value) is dict else value
    found: list[Entity] = []
    others: list[Any] = []
    for member in held if type(held) is list else [value]:
        if entity := described(member):
            found.append(entity)
        else:
            others.append(member)
    return found, others
