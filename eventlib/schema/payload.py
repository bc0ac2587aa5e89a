"""What the payload costs and what of it says nothing: what to stop sending (S1.7)."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import orjson

from eventlib.resources import notebooks_dir
from eventlib.schema.registry import registry

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    import pandas as pd

__all__ = ["days_covered", "names_read", "near_unique", "payload_frame", "to_stop"]

_READERS: Final = (
    "consent",
    "identity",
    "geo",
    "ranking",
    "signals",
    "exposure",
    "journeys.py",
    "sessions.py",
    "shown.py",
)
_SAMPLE: Final = 200_000
_KINDS: Final = {b'"': "text", b"[": "list", b"{": "object", b"t": "flag", b"f": "flag"}
_NEAR_UNIQUE: Final = 0.95
_SHORT_ID: Final = 24
"""Bytes of 128 random bits as base64 text, quotes included."""
_MONTH_DAYS: Final = 30
_PERSONAL: Final = frozenset(
    {
        "ip",
        "ip_address",
        "client_ip",
        "email",
        "phone",
        "name",
        "first_name",
        "last_name",
        "address",
        "birthday",
    }
)
"""Names that say whose data a property holds."""
_COLUMNS: Final = [
    "event_name",
    "property",
    "kind",
    "events",
    "bytes",
    "null_share",
    "top_share",
    "distinct_share",
    "is_read",
]


def _notebook_code(path: Path) -> str:
    cells = orjson.loads(path.read_bytes())["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


@cache
def names_read() -> frozenset[str]:
    """Return the text constants of the code and notebooks that analyse events; other properties are read by none."""
    package = Path(__file__).resolve().parent.parent
    readers = [package / name for name in _READERS]
    files = [file for path in readers for file in ([path] if path.suffix else path.rglob("*.py"))]
    sources = [file.read_text(encoding="utf-8") for file in files if file.is_file()]
    sources += [_notebook_code(path) for path in sorted(notebooks_dir().glob("*.ipynb"))]
    nodes = [node for text in sources for node in ast.walk(ast.parse(text))]
    return frozenset(
        node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


@dataclass(slots=True)
class _Tally:
    """What one property of one event held."""

    size: int = 0
    present: int = 0
    seen: Counter[bytes] = field(default_factory=Counter)

    @property
    def kind(self) -> str:
        """What its values are, by the first that is not null."""
        first = next(iter(self.seen), b"n")[:1]
        return _KINDS.get(first, "number") if self.seen else "null"


def _tally(texts: Iterable[tuple[str, str]]) -> tuple[dict[tuple[str, str], _Tally], Counter[str]]:
    tallies: dict[tuple[str, str], _Tally] = defaultdict(_Tally)
    events: Counter[str] = Counter()
    for name, text in texts:
        events[name] += 1
        for key, value in orjson.loads(text).items():
            raw = orjson.dumps(value)
            tally = tallies[name, key]
            tally.size += len(raw) + len(key) + 4  # quotes, colon and comma travel too
            if value is not None:
                tally.present += 1
                tally.seen[raw] += 1
    return tallies, events


def payload_frame(events: pd.DataFrame, sample: int = _SAMPLE) -> pd.DataFrame:
    """Return what each property of each event costs and says, largest first.

    Parameters
    ----------
    events
        A prepared dataset's events.
    sample
        At most about so many events are read, every n-th one, and counts scaled up.

    Returns
    -------
    pandas.DataFrame
        `event_name`, `property`, `kind` (text, number, flag, list, object, null), `events` (that could carry it),
        `bytes` (JSON of all events, uncompressed, name and punctuation included), `null_share`
        (null or absent), `top_share` (most frequent value among those present), `distinct_share` (distinct
        values among those present), `is_read` (some analysis of ours reads it).
    """
    import pandas as pd  # noqa: PLC0415 - the schema package itself needs no frames

    step = max(1, -(-len(events) // sample))
    part = events.iloc[::step]
    tallies, volumes = _tally(zip(part["event_name"], part["properties"].fillna("{}"), strict=True))
    rows = []
    for (name, key), tally in tallies.items():
        top = max(tally.seen.values(), default=0)
        present = max(tally.present, 1)
        shares = (1 - tally.present / volumes[name], top / present, len(tally.seen) / present)
        rows.append(
            (name, key, tally.kind, volumes[name] * step, tally.size * step, *shares, key in names_read())
        )
    frame = pd.DataFrame(rows, columns=_COLUMNS)
    return frame.sort_values(
        ["bytes", "event_name", "property"], ascending=[False, True, True], ignore_index=True
    )


def days_covered(times: pd.Series[Any]) -> float:
    """Return how many days a log covers, at least one: what divides volume into a rate."""
    known = times.dropna()
    return max((known.max() - known.min()).total_seconds() / 86_400, 1.0) if len(known) else 1.0


def _schema(event_name: str) -> dict[str, Any] | None:
    known = registry()
    return known.properties_schema(event_name) if event_name in known.versions() else None


def _is_bound(row: Any, keep: frozenset[str]) -> bool:
    """Say whether its sender cannot stop it: its schema requires it, or events are joined by it."""
    name = str(row.property)
    required = (_schema(row.event_name) or {}).get("required", ())
    return name in required or name in keep or name.endswith(("_id", "_ids"))


def _advice(row: Any) -> tuple[str, str]:
    schema = _schema(row.event_name)
    if row.null_share == 1:
        return "stop", "always null"
    if row.top_share == 1 and row.events >= 20 and row.null_share == 0:
        said = "always the same value"
        return ("ask", f"{said}, though an analysis reads it") if row.is_read else ("stop", said)
    if row.is_read:
        return "", ""
    if schema is None or row.property not in schema.get("properties", {}):
        personal = "; personal data, stop it first" if str(row.property).lower() in _PERSONAL else ""
        return "stop", f"in no schema and read by no analysis{personal}"
    return "ask", "planned, but read by no analysis"


def _costs(found: pd.DataFrame, total: int, days: float) -> pd.DataFrame:
    """Add the share of all property bytes and the bytes of a month at the log's rate."""
    per_month = (found["bytes"] / days * _MONTH_DAYS).round().astype("int64")
    return found.assign(bytes_share=found["bytes"] / max(total, 1), bytes_month=per_month)


def to_stop(
    payload: pd.DataFrame,
    days: float = 1.0,
    *,
    derived: Mapping[str, Collection[str]] = MappingProxyType({}),
    keep: Iterable[str] = ("observation",),
) -> pd.DataFrame:
    """Return what could be stopped, each with the reason and what it saves, surest and heaviest first (S1.7).

    No candidates are properties that the newest schema of their event requires, ids that join events (`*_id`),
    and what the adapter of the log's format put there.

    Parameters
    ----------
    payload
        From `payload_frame`.
    days
        How many days the log covers, as `days_covered` gives it.
    derived
        What an adapter makes, by event name, as `sources.made_by_adapters` gives it.
    keep
        Properties that are needed even where they are constant; `observation` says what must never be pooled.

    Returns
    -------
    pandas.DataFrame
        `advice` (`stop`, or `ask` where a schema plans it or an analysis reads it: its owner decides), `event_name`,
        `property`, `reason`, `bytes`, `bytes_share` (of all property bytes), `bytes_month`, `null_share`.
    """
    kept = frozenset(keep)
    rows: list[Any] = list(payload.itertuples())
    said = [
        ("", "") if _is_bound(row, kept) or row.property in derived.get(row.event_name, ()) else _advice(row)
        for row in rows
    ]
    marked = payload.assign(advice=[advice for advice, _ in said], reason=[reason for _, reason in said])
    found = _costs(marked[marked["advice"] != ""], int(payload["bytes"].sum()), days)
    ordered = found.sort_values(["advice", "bytes"], ascending=[False, False], kind="stable")
    return ordered[
        ["advice", "event_name", "property", "reason", "bytes", "bytes_share", "bytes_month", "null_share"]
    ].reset_index(drop=True)


def near_unique(
    payload: pd.DataFrame,
    days: float = 1.0,
    *,
    derived: Mapping[str, Collection[str]] = MappingProxyType({}),
    least: int = 100,
) -> pd.DataFrame:
    """Return texts that hardly ever repeat: what compresses worst and costs most, by bytes.

    Parameters
    ----------
    payload, days, derived
        As in `to_stop`.
    least
        Fewer values say nothing.

    Returns
    -------
    pandas.DataFrame
        `event_name`, `property`, `role` (`join key`: needed, could be shorter; `text`: is it needed whole?),
        `mean_bytes` (of a value), `bytes`, `bytes_share`, `bytes_month`, `could_save` (bytes of a month: an id of 22
        characters instead; a text not sent).
    """
    pairs = zip(payload.index, payload["event_name"], payload["property"], strict=True)
    sent = payload.loc[[at for at, event_name, name in pairs if name not in derived.get(event_name, ())]]
    values = sent["events"] * (1 - sent["null_share"])
    is_costly = (sent["distinct_share"] >= _NEAR_UNIQUE) & (sent["kind"] == "text") & (values >= least)
    found = _costs(sent[is_costly], int(payload["bytes"].sum()), days)
    frame = found.assign(
        role=["join key" if name.endswith(("_id", "_ids")) else "text" for name in found["property"]],
        mean_bytes=found["bytes"] / values[found.index] - found["property"].str.len() - 4,
    )
    excess = (1 - _SHORT_ID / frame["mean_bytes"]).clip(lower=0)
    saved = (frame["bytes_month"] * excess.where(frame["role"] == "join key", 1.0)).round().astype("int64")
    columns = ["event_name", "property", "role", "mean_bytes", "bytes", "bytes_share", "bytes_month"]
    return frame.assign(could_save=saved)[[*columns, "could_save"]].reset_index(drop=True)
