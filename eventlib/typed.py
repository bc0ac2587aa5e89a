"""An event's properties as typed columns, by its own schema."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import orjson
import pyarrow as pa
import pyarrow.json as pj

from eventlib.errors import BadCallError
from eventlib.model import EVENT_COLUMNS
from eventlib.schema import registry

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["properties"]

_TYPES: Final = {"string": pa.string(), "integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_()}


def _arrow_type(schema: Mapping[str, Any]) -> pa.DataType:
    kinds = schema.get("type", "string")
    kind = kinds if isinstance(kinds, str) else next((k for k in kinds if k != "null"), "string")
    if kind == "array":
        return pa.list_(_arrow_type(schema.get("items", {})))
    if kind == "object" and schema.get("properties"):
        return pa.struct([pa.field(name, _arrow_type(child)) for name, child in schema["properties"].items()])
    return _TYPES.get(kind, pa.string())


def _table(texts: list[str], columns: pa.Schema | None) -> pa.Table:
    """Parse JSON texts; where Arrow's reader is stricter than the schema (3.0 for an integer), by Python."""
    options = (
        None
        if columns is None
        else pj.ParseOptions(explicit_schema=columns, unexpected_field_behavior="ignore")
    )
    try:
        read = pj.ReadOptions(block_size=max(1 << 20, 8 * max(map(len, texts))))
        return pj.read_json(io.BytesIO("\n".join(texts).encode()), read_options=read, parse_options=options)
    except pa.ArrowInvalid:
        rows = [orjson.loads(text) for text in texts]
        return (
            pa.Table.from_pylist(rows, schema=columns) if columns is not None else pa.Table.from_pylist(rows)
        )


def properties(events: pd.DataFrame, event_name: str) -> pd.DataFrame:
    """Return one event's rows with a typed column per property.

    Parameters
    ----------
    events
        A prepared dataset's events.
    event_name
        Which event; one without a schema gets the columns that its rows have.

    Returns
    -------
    pandas.DataFrame
        The envelope's columns without `properties`, then one column per property of the event's newest schema, null
        where the event does not have it. A property whose name an envelope column has is `property_<name>`.

    Raises
    ------
    BadCallError
        If no schema and no row has this event name, or the frame is not one of events.
    """
    import pandas as pd  # noqa: PLC0415  # only those who hold a frame come here

    if "event_name" not in events or "properties" not in events:
        raise BadCallError.missing_columns(
            "properties", {"event_name", "properties"} - set(events), map(str, events)
        )
    rows = events[events["event_name"] == event_name]
    known = registry().schemas.get(event_name)
    if not known and rows.empty:
        raise BadCallError.unknown(
            "event name", event_name, [*registry().schemas, *events["event_name"].dropna().unique()]
        )
    described = registry().properties_schema(event_name).get("properties", {}) if known else {}
    columns = (
        pa.schema([pa.field(name, _arrow_type(child)) for name, child in described.items()])
        if known
        else None
    )
    envelope = rows.drop(columns="properties")
    texts = rows["properties"].tolist()
    parsed = _table(texts, columns) if texts else (columns or pa.schema([])).empty_table()
    names = [f"property_{name}" if name in EVENT_COLUMNS.names else name for name in parsed.column_names]
    typed = parsed.rename_columns(names).to_pandas(types_mapper=pd.ArrowDtype)
    typed.index = envelope.index
    joined: pd.DataFrame = pd.concat([envelope, typed], axis="columns")
    return joined
