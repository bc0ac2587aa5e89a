"""How people move: funnels, transitions, steps, time to convert; intervals count people, not clicks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.special import ndtri

from eventlib.geo.cells import SMALL_CELL, hide_small_cells, merge_small_bands, small_cells
from eventlib.intervals import wilson

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

__all__ = [
    "arrivals",
    "funnel",
    "funnel_by_arrival",
    "group_sizes",
    "human_events",
    "last_share",
    "refusals",
    "step_matrix",
    "time_to_convert",
    "transitions",
]

_Z90: Final = float(ndtri(0.95))


def human_events(events: pd.DataFrame, *, steps_only: bool = True) -> pd.DataFrame:
    """Return the events that may be analysed as behaviour: allowed for analytics, by people, not by agents.

    Parameters
    ----------
    events
        A prepared dataset's events.
    steps_only
        Leave out heartbeats and consent bookkeeping, which are no steps of a journey.
    """
    kept = events["allow_analytics"].astype(bool) & events["agent"].isna() & events["anonymous_id"].notna()
    if steps_only:
        kept &= ~events["event_name"].isin(
            ["page_engage", "consent_update", "citation_show", "identity_link"]
        )
    return events[kept]


def _unit(events: pd.DataFrame, by: str) -> pd.Series[str]:
    """Return who is counted: the person where known, else the device; never nobody."""
    return events[by].fillna(events["anonymous_id"]) if by in events else events["anonymous_id"]


def _first_times(events: pd.DataFrame, steps: Sequence[str], by: str) -> pd.DataFrame:
    """Return when each unit reached each step: a later step counts only after the one before it."""
    frame = pd.DataFrame(
        {
            "unit": _unit(events, by).to_numpy(),
            "name": events["event_name"].to_numpy(),
            "time": pd.DatetimeIndex(events["event_time"]),
        }
    )
    reached: pd.Series[pd.Timestamp] | None = None
    columns = {}
    for step in steps:
        rows = frame[frame["name"] == step]
        if reached is not None:
            known = rows[rows["unit"].isin(reached.index)]
            rows = known[known["time"].to_numpy() >= reached.reindex(known["unit"]).to_numpy()]
        reached = rows.groupby("unit")["time"].min()
        columns[step] = reached
    return pd.DataFrame(columns, columns=list(steps))


def funnel(events: pd.DataFrame, steps: Sequence[str], by: str = "person_id") -> pd.DataFrame:
    """Return how many people reach each step in this order.

    Parameters
    ----------
    events
        From `human_events`.
    steps
        Event names, first to last.
    by
        `person_id` counts people, `anonymous_id` devices.

    Returns
    -------
    pandas.DataFrame
        `step`, `people`, `share` of the first step with `lower`, `upper` (90 % Wilson, by people),
        `from_previous`. A step that under 10 people reached is null.

    Examples
    --------
    >>> import pandas as pd
    >>> times = pd.to_datetime(["2026-10-01", "2026-10-02"] * 12, utc=True)
    >>> people = [f"p-{i // 2}" for i in range(24)]
    >>> log = pd.DataFrame({"event_name": ["page_view", "conversion_complete"] * 12, "event_time": times,
    ...     "person_id": people, "anonymous_id": people})
    >>> funnel(log, ["page_view", "conversion_complete"])["people"].tolist()
    [12, 12]
    """
    reached = _first_times(events, steps, by).notna().sum()
    counts = pd.array([int(reached[step]) for step in steps], dtype="Int64")
    frame = pd.DataFrame({"step": list(steps), "people": counts})
    return _shares(frame)


def _shares(frame: pd.DataFrame) -> pd.DataFrame:
    counts = frame["people"].to_numpy(dtype=float)
    first = counts[0] if len(counts) else 0.0
    frame["share"] = counts / first if first else np.nan
    frame["lower"], frame["upper"] = wilson(counts, np.full(len(counts), first))
    frame.loc[:0, ["lower", "upper"]] = frame.loc[
        :0, "share"
    ]  # all of those at the first step, by definition
    before = np.r_[first, counts[:-1]]
    frame["from_previous"] = np.divide(counts, before, out=np.full(len(counts), np.nan), where=before > 0)
    return _without(frame, counts < SMALL_CELL)


def _without(frame: pd.DataFrame, small: npt.NDArray[np.bool_]) -> pd.DataFrame:
    """Empty the cells of a funnel that may not be shown."""
    frame.loc[small, ["share", "lower", "upper", "from_previous"]] = np.nan
    frame.loc[small, "people"] = pd.NA
    return frame


def arrivals(events: pd.DataFrame, by: str = "person_id") -> pd.DataFrame:
    """Return how each person arrived: by an AI answer if any of their events carries an AI engine.

    Clicks in AI overviews look like organic search (S6), so that `other` holds some of them.

    Returns
    -------
    pandas.DataFrame
        `unit`, `arrival` (`AI answer` or `other`).
    """
    engine = events["ai_engine"].notna() & (events["ai_engine"] != "site_assistant")
    by_unit = engine.astype(bool).groupby(_unit(events, by).to_numpy()).any()
    return pd.DataFrame({"unit": by_unit.index, "arrival": np.where(by_unit, "AI answer", "other")})


def funnel_by_arrival(events: pd.DataFrame, steps: Sequence[str]) -> pd.DataFrame:
    """Return the funnel of AI-referred and other visitors, counted once as people and once as devices.

    Counted by devices, one person with two devices is two visitors, of whom one never converts.

    Returns
    -------
    pandas.DataFrame
        `counted_by`, `arrival`, then the columns of `funnel`. A step that under 10 people of one arrival reached is
        null for the other too: all visitors less one is the other.
    """
    frames = []
    for noun, by in (("people", "person_id"), ("devices", "anonymous_id")):
        how = arrivals(events, by).set_index("unit")["arrival"]
        arrival = _unit(events, by).map(how)
        for name in ("AI answer", "other"):
            part = events[(arrival == name).to_numpy(dtype=bool, na_value=False)]
            frames.append(funnel(part, steps, by).assign(counted_by=noun, arrival=name))
    columns = ["counted_by", "arrival", "step", "people", "share", "lower", "upper", "from_previous"]
    frame = pd.concat(frames, ignore_index=True)[columns]
    hidden = frame["people"].isna().groupby([frame["counted_by"], frame["step"]]).transform("any")
    return _without(frame, hidden.to_numpy(dtype=bool))


def last_share(compared: pd.DataFrame, arrival: str) -> tuple[float | None, float | None, float | None]:
    """Return the last step's share of people with its bounds, from `funnel_by_arrival`; Nones if small."""
    rows = compared[(compared["counted_by"] == "people") & (compared["arrival"] == arrival)]
    if rows.empty or pd.isna(rows["share"].iloc[-1]):
        return None, None, None
    share, lower, upper = (float(rows[name].iloc[-1]) for name in ("share", "lower", "upper"))
    return share, lower, upper


def _pairs(events: pd.DataFrame) -> pd.DataFrame:
    """Return each step and the next one within a session; repeats of the same step are one."""
    frame = pd.DataFrame(
        {
            "session": events["session_id"].to_numpy(),
            "unit": _unit(events, "person_id").to_numpy(),
            "source": events["event_name"].to_numpy(),
        }
    ).dropna(subset=["session"])
    repeated = (frame["session"] == frame.groupby("session")["session"].shift()) & (
        frame["source"] == frame.groupby("session")["source"].shift()
    )
    frame = frame[~repeated.fillna(value=False).astype(bool)]
    frame["target"] = frame.groupby("session")["source"].shift(-1).fillna("(end)")
    return frame


def _bootstrap(
    counts: sparse.csr_matrix, owner: npt.NDArray[np.int64], draws: int, seed: int
) -> npt.NDArray[np.float64]:
    """Return share draws: people drawn with replacement, each edge over the total of its source."""
    rng = np.random.default_rng(seed)
    people = counts.shape[0]
    shares = np.full((draws, counts.shape[1]), np.nan)
    for draw in range(draws):
        totals = counts.T @ rng.multinomial(people, np.full(people, 1 / people))
        of_source = np.bincount(owner, weights=totals)[owner]
        np.divide(totals, of_source, out=shares[draw], where=of_source > 0)
    return shares


def transitions(events: pd.DataFrame, draws: int = 200, seed: int = 0) -> pd.DataFrame:
    """Return what follows what within a session.

    Parameters
    ----------
    events
        From `human_events`, in total order.
    draws, seed
        Bootstrap by person: moves of one person are not independent.

    Returns
    -------
    pandas.DataFrame
        `source`, `target` (`(end)` ends the session), `moves`, `people`, `share` of moves from `source`, with
        `lower`, `upper` (90 %); edges that under 10 people took are left out, and the next rarest of their source.
    """
    pairs = _pairs(events)
    columns = ["source", "target", "moves", "people", "share", "lower", "upper"]
    if pairs.empty:
        return pd.DataFrame(columns=columns)
    edges = (
        pairs.groupby(["source", "target"])
        .agg(moves=("unit", "size"), people=("unit", "nunique"))
        .reset_index()
    )
    edge = edges.reset_index().set_index(["source", "target"])["index"]
    column = edge.reindex(pd.MultiIndex.from_frame(pairs[["source", "target"]])).to_numpy()
    unit, units = pd.factorize(pairs["unit"])
    counts = sparse.csr_matrix((np.ones(len(pairs)), (unit, column)), shape=(len(units), len(edges)))
    owner = pd.factorize(edges["source"])[0].astype(np.int64)
    shares = _bootstrap(counts, owner, draws, seed)
    edges["share"] = edges["moves"] / edges.groupby("source")["moves"].transform("sum")
    edges["lower"], edges["upper"] = np.nanquantile(shares, [0.05, 0.95], axis=0)
    kept, _ = hide_small_cells(edges, "people", within=["source"])
    return kept.sort_values("moves", ascending=False, ignore_index=True)[columns]


def step_matrix(events: pd.DataFrame, steps: int = 8) -> pd.DataFrame:
    """Return where sessions are at each of their first steps.

    Returns
    -------
    pandas.DataFrame
        One row per event (and `(end)`, sessions that are over), one column per step `1…steps`: shares of all
        sessions. Cells of under 10 people are null, and the next smallest of their step with them; events without any
        other are left out.
    """
    pairs = _pairs(events)
    columns = list(range(1, steps + 1))
    if pairs.empty:
        return pd.DataFrame(columns=["event_name", *columns])
    pairs["step"] = pairs.groupby("session").cumcount() + 1
    early = pd.concat([pairs[pairs["step"] <= steps], _ended(pairs, steps)], ignore_index=True)
    cells = (
        early.groupby(["source", "step"])
        .agg(people=("unit", "nunique"), n=("session", "nunique"))
        .reset_index()
    )
    cells["share"] = cells["n"] / pairs["session"].nunique()
    small = small_cells(cells["people"].to_numpy(), cells["step"].to_numpy())
    wide = (
        cells.pivot_table(index="source", columns="step", values="share").reindex(columns=columns).fillna(0.0)
    )
    for source, step in cells.loc[small, ["source", "step"]].itertuples(index=False):
        wide.loc[source, step] = np.nan
    shown = wide[wide.gt(0).any(axis=1)].rename_axis("event_name").rename_axis(None, axis=1)
    return shown.loc[sorted(shown.index, key=lambda name: (name == "(end)", name))].reset_index()


def _ended(pairs: pd.DataFrame, steps: int) -> pd.DataFrame:
    """Return a row per session and step after its last."""
    ends = pairs.groupby("session").agg(unit=("unit", "first"), step=("step", "max")).reset_index()
    after = [ends[ends["step"] < step].assign(step=step, source="(end)") for step in range(2, steps + 1)]
    return pd.concat(after, ignore_index=True) if after else ends.head(0)


def time_to_convert(events: pd.DataFrame, goal: str = "conversion_complete") -> pd.DataFrame:
    """Return the share of people who have converted by a time after their first event, by arrival.

    Kaplan and Meier's estimate: who has not converted yet is censored at the end of the log. Interval by
    Greenwood's formula on the log(-log) scale.

    Returns
    -------
    pandas.DataFrame
        `arrival`, `days`, `share`, `lower`, `upper` (90 %), `at_risk`; empty where under 10 people converted. The curve
        is known at each tenth conversion: a step of it would be one person's time.
    """
    unit = pd.Series(_unit(events, "person_id").to_numpy())
    time = pd.Series(pd.DatetimeIndex(events["event_time"]))
    is_goal = pd.Series((events["event_name"] == goal).to_numpy(dtype=bool, na_value=False))
    first = time.groupby(unit).min()
    converted = time[is_goal].groupby(unit[is_goal]).min().reindex(first.index)
    waited = (converted.fillna(time.max()) - first).dt.total_seconds() / 86400
    how = arrivals(events).set_index("unit")["arrival"].reindex(first.index)
    frames = []
    for arrival in ("AI answer", "other"):
        mine = (how == arrival).to_numpy(dtype=bool)
        if int(converted[mine].notna().sum()) >= SMALL_CELL:
            curve = _kaplan_meier(
                waited[mine].to_numpy(dtype=np.float64), converted[mine].notna().to_numpy(dtype=bool)
            )
            frames.append(curve.assign(arrival=arrival))
    columns = ["arrival", "days", "share", "lower", "upper", "at_risk"]
    return pd.concat(frames, ignore_index=True)[columns] if frames else pd.DataFrame(columns=columns)


def _kaplan_meier(waited: npt.NDArray[np.floating[Any]], happened: npt.NDArray[np.bool_]) -> pd.DataFrame:
    times, events = np.unique(waited[happened], return_counts=True)
    at_risk = np.array([(waited >= time).sum() for time in times])
    survival = np.cumprod(1 - events / at_risk)
    rest = np.maximum(at_risk - events, 1)
    greenwood = np.sqrt(np.cumsum(events / (at_risk * rest)))
    log = np.log(np.clip(survival, 1e-12, 1 - 1e-12))
    spread = np.exp(_Z90 * greenwood / np.abs(log))
    bounds = (1 - survival ** (1 / spread), 1 - survival**spread)
    curve = pd.DataFrame(
        {"days": times, "share": 1 - survival, "lower": bounds[0], "upper": bounds[1], "at_risk": at_risk}
    )
    tens = np.cumsum(events) // SMALL_CELL
    return curve[np.diff(tens, prepend=0) > 0].reset_index(drop=True)


def group_sizes(people: pd.DataFrame) -> pd.DataFrame:
    """Return how many people have how many identifiers.

    Returns
    -------
    pandas.DataFrame
        `identifiers` (1, 2, 3, 4, 5 to 9, 10 or more; bands of under 10 people are merged), `people`, `share`.
    """
    sizes = people.groupby("person_id").size() if len(people) else pd.Series(dtype="int64")
    bands = [(1, 1), (2, 2), (3, 3), (4, 4), (5, 9), (10, None)]
    band = np.searchsorted([low for low, _ in bands], sizes.to_numpy(), side="right").astype(np.int64) - 1
    merged = merge_small_bands(band, sizes.index.to_numpy(), bands)
    counts = [int(mine.sum()) for _, mine in merged]
    share = np.array(counts, dtype=np.float64) / max(len(sizes), 1)
    return pd.DataFrame({"identifiers": [name for name, _ in merged], "people": counts, "share": share})


def refusals(refused_merges: pd.DataFrame) -> pd.DataFrame:
    """Return the merges that were refused, by the rule that refused them.

    Returns
    -------
    pandas.DataFrame
        `rule`, `pairs`, `events` (the evidence behind them), most pairs first; rules that concern under 10 identifiers
        are one row with the next rarest, if that is enough.
    """
    columns = ["rule", "pairs", "events"]
    ids = _refused_ids(refused_merges).groupby("rule")["id"].nunique()
    small = ids.index[small_cells(ids.to_numpy())]
    rule = refused_merges["rule"].astype("object")
    rule = rule.where(~rule.isin(list(small)), "rare rules together")
    pooled = refused_merges.assign(rule=rule)
    enough = _refused_ids(pooled).groupby("rule")["id"].nunique() >= SMALL_CELL
    counts = pooled.groupby("rule").agg(pairs=("rule", "size"), events=("events", "sum"))
    shown = counts[enough.reindex(counts.index, fill_value=False)].reset_index()
    return shown.sort_values("pairs", ascending=False, kind="stable", ignore_index=True)[columns]


def _refused_ids(refused_merges: pd.DataFrame) -> pd.DataFrame:
    """Return the identifiers that each rule concerns, both sides of each pair."""
    sides = [refused_merges[["rule", f"{side}_identifier"]] for side in ("left", "right")]
    return pd.concat([side.set_axis(["rule", "id"], axis=1) for side in sides], ignore_index=True)
