"""Identifiers as events hold them, and as the graphs know them: without blanks at the ends, in one Unicode form (S4.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from eventlib.arrow import read_parquet
from eventlib.identifiers import normalise
from eventlib.narrow import name_plainly
from eventlib.prepared import Prepared, event_files
from eventlib.pseudonyms import Pseudonymiser

__all__ = ["aliases", "link_texts", "plain_names_of"]

_COLUMNS = ("anonymous_id", "user_id")


def aliases(prepared: Prepared) -> dict[str, str]:
    """Return the normal form of the devices and users that events hold in another.

    Of a dataset without state that writes pseudonyms nothing is known.
    """
    if prepared.run["parameters"]["plain_identifiers"]:
        found = {value: normalise(name, value) for name in _COLUMNS for value in _distinct(prepared, name)}
        return {value: normal for value, normal in found.items() if value != normal}
    file = prepared.folder / "state" / "identifiers.parquet"
    if not file.is_file():
        return {}
    table = read_parquet(file, columns=["digest", "node"])
    other = table.filter(pc.not_equal(table["digest"], table["node"]))
    rows = zip(other["digest"].to_pylist(), other["node"].to_pylist(), strict=True)
    return {digest: node for digest, node in rows if digest != node[1:]}  # junk is its own digest, marked


def _distinct(prepared: Prepared, name: str) -> Iterator[str]:
    for file in event_files(prepared.folder):
        column = read_parquet(file, columns=[name])[name]
        yield from pc.unique(pc.drop_null(column)).to_pylist()


def link_texts(properties: Iterable[str | None]) -> Iterator[str]:
    """Yield the identifiers of `identity_link` events' properties as the border writes them: JSON lists of [namespace, value]."""
    for text in properties:
        items = orjson.loads(text or "{}").get("identifiers") or ()
        yield orjson.dumps([[i["namespace"], i["value"]] for i in items if i.get("value")]).decode()


def plain_names_of(tables: Iterable[pa.Table], pseudonym: Pseudonymiser) -> dict[str, str]:
    """Return pseudonym to identifier of all that events of a plain dataset name.

    Parameters
    ----------
    tables
        `anonymous_id, user_id, event_name, properties`.
    pseudonym
        That of the dataset.
    """
    found: dict[str, str] = {}
    for table in tables:
        ids = {
            (name, value) for name in _COLUMNS for value in pc.unique(pc.drop_null(table[name])).to_pylist()
        }
        links = table.filter(pc.equal(table["event_name"], "identity_link"))["properties"].to_pylist()
        found |= name_plainly(ids, link_texts(links), pseudonym)
    return found
