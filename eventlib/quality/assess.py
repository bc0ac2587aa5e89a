"""All that notebook 01 shows, computed once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from eventlib.cells import SMALL_CELL
from eventlib.quality.account import meaning
from eventlib.quality.coverage import channel_coverage, hidden, reported_actions
from eventlib.quality.loss import lost, sequence_gaps
from eventlib.quality.overtracking import over_tracking
from eventlib.quality.producers import producers_of
from eventlib.quality.rejected import defects
from eventlib.quality.tasks import to_do
from eventlib.quality.timing import clock_offsets, clock_summary
from eventlib.quality.verdict import ACT, Finding, Limit, limits, percent, size, verdicts
from eventlib.schema.naming import naming_frame
from eventlib.schema.payload import days_covered, near_unique, payload_frame, to_stop
from eventlib.sources import made_by_adapters

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from eventlib.ledger import Ledger
    from eventlib.prepared import Prepared

__all__ = ["Assessment", "assess"]


@dataclass(frozen=True)
class Assessment:
    """What was found in one prepared dataset.

    Attributes
    ----------
    verdicts
        One row per area, from `verdict.verdicts`.
    tasks
        What to mend, from `tasks.to_do`.
    cost
        From `payload.payload_frame`, with `sent_by` (tracker, or our adapter).
    stop, unique
        From `payload.to_stop` and `payload.near_unique`.
    over
        From `overtracking.over_tracking`.
    names
        From `naming.naming_frame`.
    actions, coverage
        From `coverage.reported_actions` and `coverage.channel_coverage`.
    gaps
        From `loss.sequence_gaps`.
    offsets
        From `timing.clock_offsets`.
    days
        How many days the log covers.
    """

    verdicts: pd.DataFrame
    tasks: pd.DataFrame
    cost: pd.DataFrame
    stop: pd.DataFrame
    unique: pd.DataFrame
    over: pd.DataFrame
    names: pd.DataFrame
    actions: pd.DataFrame
    coverage: pd.DataFrame
    gaps: pd.DataFrame
    offsets: pd.DataFrame
    days: float

    def stoppable(self) -> float | None:
        """Return the share of all property bytes that could stop without asking anybody; None without any."""
        surely = self.stop[self.stop["advice"] == "stop"]
        return float(surely["bytes_share"].sum()) if len(self.cost) else None


def _accounting(data: Prepared) -> Finding:
    ledger = data.ledger
    late = sum(ledger.removed("lateness").values())
    off = abs(len(data.events) - ledger.rows_out)
    off += abs(len(data.quarantine) - sum(ledger.rejected.values()) - late)
    said = (
        "each kept, rejected or removed under a reason" if not off else f"{off:,} of them not accounted for"
    )
    share = off / ledger.rows_in if ledger.rows_in else None
    return Finding("accounting", share, f"{ledger.rows_in:,} lines in, {said}")


def _schema(ledger: Ledger) -> Finding:
    rejected, records = sum(ledger.rejected.values()), ledger.rows_in - ledger.skipped
    share = ledger.rejected_share
    if share is None:
        return Finding("schema", None, "no record to judge")
    most = max(ledger.rejected.items(), key=lambda item: item[1], default=None)
    often = f"; most often: {meaning(most[0])} ({most[1]:,})" if most else ""
    return Finding("schema", share, f"{rejected:,} of {records:,} records rejected, {percent(share)}{often}")


def _clocks(offsets: pd.DataFrame) -> Finding:
    found = clock_summary(offsets)
    if found["devices"] < SMALL_CELL:
        return Finding("clocks", None, f"under {SMALL_CELL} devices whose clock can be judged")
    share, events = found["off"] / found["devices"], found["corrected"] / found["events"]
    off, jumped = (
        f"{n:,}" if n >= SMALL_CELL else f"under {SMALL_CELL}" for n in (found["off"], found["jumped"])
    )
    said = f"{off} of {found['devices']:,} devices off by a minute or more, {jumped} jumped"
    return Finding("clocks", share, f"{said}; times of {percent(events)} of their events moved")


def _removed(area: str, ledger: Ledger, also: int, words: str) -> Finding:
    """Return the share of the rows that a stage took in which it removed, and `also` so many that it marked."""
    entry = next((entry for entry in ledger if entry.stage == area), None)
    if entry is None or not entry.rows_in:
        return Finding(area, None, "no event came so far")
    removed = sum(entry.removed.values())
    share = (removed + also) / entry.rows_in
    said = words.format(removed=f"{removed:,}", also=f"{also:,}")
    return Finding(area, share, f"{said} of {entry.rows_in:,} events, {percent(share)}")


def _naming(names: pd.DataFrame, events: int) -> Finding:
    of_events = names[names["kind"] == "event"].drop_duplicates("name")
    concerned, properties = int(of_events["events"].sum()), names.loc[names["kind"] == "property", "name"]
    if not events:
        return Finding("names", None, "no event to name")
    said = f"{len(of_events):,} event names to mend, carried by {percent(concerned / events)} of the events"
    return Finding("names", concerned / events, f"{said}; {properties.nunique():,} property names")


def _payload(cost: pd.DataFrame, stop: pd.DataFrame, days: float) -> Finding:
    if cost.empty:
        return Finding("payload", None, "no property was sent")
    share = {name: float(part["bytes_share"].sum()) for name, part in stop.groupby("advice")}
    month = size(int(cost["bytes"].sum()) / days * 30)
    surely, perhaps = share.get("stop", 0.0), share.get("ask", 0.0)
    said = f"{percent(surely)} of {month} a month could stop, {percent(perhaps)} more if its owner agrees"
    return Finding("payload", surely, said)


def _over(over: pd.DataFrame) -> Finding:
    events, nothing = int(over["events"].sum()), int(over["adds_nothing"].sum())
    if not events:
        return Finding("over-tracking", None, "no event was kept")
    unused = float(over.loc[~over["is_used"].astype(bool), "events_share"].sum())
    said = f"{nothing:,} events, {percent(nothing / events)}, repeat what was just said; {percent(unused)} are used by no analysis"
    return Finding("over-tracking", nothing / events, said)


def _coverage(coverage: pd.DataFrame) -> Finding:
    share, lower, upper = hidden(coverage)
    if share is None or lower is None or upper is None:
        return Finding(
            "coverage", None, f"no action of {SMALL_CELL} or more people that client and server both report"
        )
    bounds = f"90 % interval {percent(lower)} to {percent(upper)}"
    return Finding("coverage", share, f"the client hides {percent(share)} of what the server saw, {bounds}")


def _loss(gaps: pd.DataFrame, ledger: Ledger, limit: Limit) -> Finding:
    found = lost(gaps, ledger)
    if found is None:
        return Finding("loss", None, "no producer of 10 or more devices counts its events")
    withheld = sum(ledger.removed("consent").values())
    cause = f"lost, or some of the {withheld:,} withheld" if withheld else "lost before the log"
    said = f"{percent(found.missing)} of the events' numbers are missing, {percent(found.excess)} more than was refused: {cause}"
    # what consent may explain is worth a look at most
    share = found.least if limit.judge(found.least) == ACT else min(found.excess, limit.look)
    return Finding("loss", share, said)


def assess(
    data: Prepared, burst_ms: int = 1000, tolerance: str = "10min", changed_limits: Sequence[str] = ()
) -> Assessment:
    """Find out how far a prepared dataset can be trusted, and what to do about it.

    Parameters
    ----------
    data
        What `eventlib.load` gives.
    burst_ms
        As in `overtracking.over_tracking`.
    tolerance
        As in `coverage.channel_coverage`.
    changed_limits
        As in `verdict.limits`.

    Raises
    ------
    BadCallError
        If `tolerance` or one of the limits cannot be read.
    """
    held_against, events, quarantine = limits(changed_limits), data.events, data.quarantine
    cost, days = payload_frame(events), days_covered(events["received_at"])
    sent = events[["source", "event_name"]].drop_duplicates().itertuples(index=False, name=None)
    derived = made_by_adapters(sent)
    stop, unique = to_stop(cost, days, derived=derived), near_unique(cost, days, derived=derived)
    over, names = over_tracking(events, burst_ms), _names(data, cost, derived)
    actions, offsets, gaps = reported_actions(events), clock_offsets(events), sequence_gaps(events)
    coverage = channel_coverage(actions, tolerance)
    found: list[Any] = [
        _accounting(data),
        _schema(data.ledger),
        _clocks(offsets),
        _removed("duplicates", data.ledger, 0, "{removed} copies"),
        _removed(
            "lateness",
            data.ledger,
            int(events["is_late"].sum()),
            "{removed} too late or ahead and {also} late",
        ),
        _naming(names, len(events) + len(quarantine)),
        _payload(cost, stop, days),
        _over(over),
        _coverage(coverage),
        _loss(gaps, data.ledger, held_against["loss"]),
    ]
    tasks = to_do(
        defects(quarantine, data.run.get("inputs", ())),
        names, coverage, stop, over, producers_of(events),
        derived=derived, least_hidden=held_against["coverage"].look, least_retold=held_against["over-tracking"].look,
    )  # fmt: skip
    pairs = zip(cost["event_name"], cost["property"], strict=True)
    made = [name in derived.get(event_name, ()) for event_name, name in pairs]
    cost = cost.assign(sent_by=["our adapter" if is_made else "tracker" for is_made in made])
    return Assessment(
        verdicts(found, held_against),
        tasks,
        cost,
        stop,
        unique,
        over,
        names,
        actions,
        coverage,
        gaps,
        offsets,
        days,
    )


def _names(data: Prepared, cost: pd.DataFrame, derived: Mapping[str, Collection[str]]) -> pd.DataFrame:
    """Lint the names that trackers chose, with the events that carry each."""
    pairs = zip(cost.index, cost["event_name"], cost["property"], strict=True)
    sent = cost.loc[[at for at, event_name, name in pairs if name not in derived.get(event_name, ())]]
    carried = (sent["events"] * (1 - sent["null_share"])).groupby(sent["property"]).sum().round()
    names = naming_frame(data.events, data.quarantine, sorted(carried.index))
    volumes = [
        carried.get(name) if kind == "property" else None
        for kind, name in zip(names["kind"], names["name"], strict=True)
    ]
    names["events"] = names["events"].fillna(pd.Series(volumes, index=names.index, dtype="Int64"))
    return names
