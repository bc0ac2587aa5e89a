"""What to do, in the words of those who can do it: one item per mend, what loses data first."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import pandas as pd

from eventlib.quality.producers import NOT_KNOWN
from eventlib.quality.verdict import percent, size
from eventlib.schema import registry

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

__all__ = ["KINDS", "Task", "mends", "to_do"]

Producers: TypeAlias = "Mapping[str, tuple[str, ...]]"

LOST, WRONG, COST = "data lost", "data wrong", "cost"
KINDS: Final[Mapping[str, str]] = {
    LOST: "Loses data: these lines are in no figure",
    WRONG: "Makes data wrong or leaves it out",
    COST: "Costs, and says nothing",
}
"""Kinds of mends, the gravest first, and what a table of them is called."""


class Task(NamedTuple):
    """One mend, for whoever owns the producer."""

    kind: str
    producer: str
    event_name: str
    place: str
    what: str
    lines: int
    since: str = ""
    example: str = ""


_NAMELESS: Final = "lines whose event cannot be told"
_BROKEN: Final[Mapping[str, str]] = {
    "blank_line": "empty lines: the writer ends a record twice",
    "broken_json": "lines that are not JSON: records are cut or mixed; write each whole, by one writer",
    "broken_utf8": "bytes that are not UTF-8: encode the record before it is written",
    "duplicate_key": "an object has one key twice: which value holds is left to chance; send it once",
    "integer_too_large": "integers beyond 2^53 lose digits on the way: send them as text",
    "line_too_long": "lines over 1 MiB: leave out or cut what makes them long",
    "lone_surrogate": "half a character: cut texts between characters, not within",
    "not_an_object": "JSON that is no object: one event per line, not a list",
    "not_finite": "NaN or infinity: leave out a number that is not known",
    "too_late": "over 3 days late: flush the queue when the network is back, and drop what is older",
    "future_time": "over 23 hours ahead of their arrival: send `sent_at`, so that the clock can be corrected",
}


def _rows(frame: pd.DataFrame) -> Iterator[Any]:
    """Yield rows as named tuples of whatever the columns hold."""
    yield from frame.itertuples()


def _names(names: Sequence[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _sender(event_names: Iterable[str], producers: Producers) -> str:
    """Return the producers of these events, those known first."""
    names = list(event_names)
    known = sorted({sender for name in names for sender in producers.get(name, ())})
    if not known:
        return NOT_KNOWN
    others = " and others" if len(known) > 2 or any(name not in producers for name in names) else ""
    return ", ".join(known[:2]) + others


def _newest(event_names: Sequence[str]) -> str:
    known = {registry().versions()[name] for name in event_names if name in registry().versions()}
    return f" or send {known.pop()}" if len(known) == 1 else ""


def _defect(row: Any, renames: Mapping[str, str]) -> str:
    """Return what is wrong and how to mend it; messages never quote values (S1.2)."""
    if row.code == "unknown_event":
        if not isinstance(row.name, str):
            return "event names that are no names (capitals, blanks, signs): use object_action in snake_case"
        rename = f", or rename it to {renames[row.name]}" if row.name in renames else ""
        return f"{row.name} has no schema: plan it{rename}, or stop sending it"
    if row.code == "unknown_version":
        return f"no schema has version {_names(row.versions)}: publish it first{_newest(row.events)}"
    if str(row.code).startswith("schema_"):
        return f"breaks its schema: {str(row.message)[:140]}"
    return _BROKEN.get(str(row.code), str(row.message)[:140])


def _made(row: Any, derived: Mapping[str, Collection[str]]) -> str:
    """Say so where what the schema misses is not sent but made."""
    named = set(re.findall(r'"(\w+)"', str(row.message)))
    made = sorted(named & {name for event_name in row.events for name in derived.get(event_name, ())})
    return f" (our adapter makes {', '.join(made)}: the record lacks what it is made from)" if made else ""


def _rejected(
    defects: pd.DataFrame,
    producers: Producers,
    names: pd.DataFrame,
    derived: Mapping[str, Collection[str]],
) -> Iterator[Task]:
    better = names[(names["kind"] == "event") & (names["suggestion"] != "")]
    renames = dict(zip(better["name"], better["suggestion"], strict=True))
    for row in _rows(defects):
        sender = _sender(row.events, producers)
        events, what = _names(row.events) or _NAMELESS, _defect(row, renames) + _made(row, derived)
        since = ", ".join(text for text in (row.spread, row.trend) if text)
        yield Task(LOST, sender, events, str(row.json_path), what, int(row.rows), since, row.first)


def _named(names: pd.DataFrame, producers: Producers, kept: Mapping[str, int]) -> Iterator[Task]:
    for row in _rows(names.drop_duplicates(["kind", "name"])):
        rename = f": rename it to {row.suggestion}" if row.suggestion else ""
        if row.kind == "property":
            what = f"the property's name {row.finding}{rename}"
            yield Task(
                WRONG, NOT_KNOWN, "every event", f"$.properties.{row.name}", what, int(row.events or 0)
            )
        elif row.name in kept:  # one that was rejected for it has its item already
            what = f"the name {row.finding}{rename}"
            yield Task(WRONG, _sender([row.name], producers), row.name, "event_name", what, kept[row.name])


def _hidden(coverage: pd.DataFrame, least: float) -> Iterator[Task]:
    for row in _rows(coverage):
        if row.hidden_share >= least:
            bounds = f"90 % interval {percent(row.lower)} to {percent(row.upper)}"
            what = (
                f"the client did not report {percent(row.hidden_share)} of what the server saw ({bounds}): count by the "
                "server, and take the same share as missing from what only the client sends"
            )
            yield Task(WRONG, "client", row.event_name, "channel", what, int(row.server_only))


def _retold(over: pd.DataFrame, producers: Producers, least: float) -> Iterator[Task]:
    for row in _rows(over):
        sender = _sender([row.event_name], producers)
        if row.nothing_share >= least and row.adds_nothing:
            what = (
                f"{percent(row.nothing_share)} repeat what the device has just said ({row.burst_events:,} in bursts, "
                f"{row.idle_beats:,} idle beats): send once, and beat only when a total grows"
            )
            yield Task(COST, sender, row.event_name, "volume", what, int(row.adds_nothing))


def _unused(over: pd.DataFrame, producers: Producers) -> Iterator[Task]:
    unused = over[~over["is_used"].astype(bool)].sort_values("events", ascending=False, kind="stable")
    senders = [_sender([name], producers) for name in unused["event_name"]]
    for sender, part in unused.groupby(senders, sort=True):
        share, bytes_share = float(part["events_share"].sum()), float(part["bytes_share"].sum())
        volume = f"{percent(share)} of the events, {percent(bytes_share)} of the payload"
        what = f"no analysis of ours uses them ({volume}): ask who does, or stop"
        yield Task(
            COST, str(sender), _names(list(part["event_name"]), 5), "event", what, int(part["events"].sum())
        )


def _unsaid(stop: pd.DataFrame, producers: Producers) -> Iterator[Task]:
    surely = stop[stop["advice"] == "stop"]
    for (name, reason), part in surely.groupby(["property", "reason"], sort=False):
        sender = _sender(part["event_name"], producers)
        saved = f"{size(float(part['bytes_month'].sum()))} a month, {percent(float(part['bytes_share'].sum()))} of the payload"
        what, events = f"stop sending it: {reason} (saves {saved})", _names(list(part["event_name"]))
        yield Task(COST, sender, events, f"$.properties.{name}", what, int(part["lines"].sum()))


def to_do(
    defects: pd.DataFrame,
    names: pd.DataFrame,
    coverage: pd.DataFrame,
    stop: pd.DataFrame,
    over: pd.DataFrame,
    producers: Producers,
    *,
    derived: Mapping[str, Collection[str]] = MappingProxyType({}),
    least_hidden: float = 0.05,
    least_retold: float = 0.01,
) -> pd.DataFrame:
    """Return what to mend, what loses data first, then what is wrong in it, then what it costs; most lines first.

    Parameters
    ----------
    defects
        From `rejected.defects`.
    names
        From `naming.naming_frame`, with the events that carry each property.
    coverage
        From `coverage.channel_coverage`.
    stop
        From `payload.to_stop`.
    over
        From `overtracking.over_tracking`.
    producers
        Which producers send each event name, from `producers.producers_of`.
    derived
        What an adapter makes, by event name, as `sources.made_by_adapters` gives it.
    least_hidden, least_retold
        Shares below which nothing is asked for.

    Returns
    -------
    pandas.DataFrame
        `kind` (data lost, data wrong, cost), `producer`, `event_name`, `place`, `what`, `lines`, `since` (where in
        the log), `example` (file:line of the first).
    """
    kept = dict(zip(over["event_name"], over["events"], strict=True))
    stopped = stop.assign(lines=[kept.get(name, 0) for name in stop["event_name"]])
    tasks = [
        *_rejected(defects, producers, names, derived),
        *_named(names, producers, kept),
        *_hidden(coverage, least_hidden),
        *_retold(over, producers, least_retold),
        *_unused(over, producers),
        *_unsaid(stopped, producers),
    ]
    tasks.sort(key=lambda task: (list(KINDS).index(task.kind), -task.lines))
    return pd.DataFrame(tasks, columns=list(Task._fields))


def mends(tasks: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Return the tasks of one kind as a table to read, columns that would stand empty left out.

    Returns
    -------
    pandas.DataFrame
        `what`, `where` (events, and the place in them), `producer`, `lines`, `since`, `look_at` (file:line).
    """
    part = tasks[tasks["kind"] == kind]
    places = [f" at {place}" if place.startswith("$.") else "" for place in part["place"]]
    frame = pd.DataFrame(
        {
            "what": part["what"],
            "where": [f"{events}{place}" for events, place in zip(part["event_name"], places, strict=True)],
            "producer": part["producer"],
            "lines": part["lines"],
            "since": part["since"],
            "look_at": part["example"],
        }
    )
    said = [name for name in frame if name not in ("since", "look_at") or (frame[name] != "").any()]
    return frame[said].reset_index(drop=True)
