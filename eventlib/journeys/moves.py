"""What follows what, and where journeys are at each step, by person or by device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pandas as pd
from scipy import sparse

from eventlib.cells import hide_small_cells, small_cells
from eventlib.journeys.visits import codes, paths_of, unit_of
from eventlib.small_cells import SMALL_CELL, protect

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["END", "START", "journey_steps", "occupied", "step_matrix", "transitions"]

START: Final = "(start)"
END: Final = "(end)"
_COLUMNS: Final = ["path", "unit", "person", "source", "target"]


def journey_steps(
    events: pd.DataFrame,
    by: str = "person_id",
    *,
    paths: str = "session",
    collapse_repeats: bool = True,
    start: bool = False,
) -> pd.DataFrame:
    """Return each step of each journey and the next one; this counts everybody, and is not to be shown as it is.

    Parameters
    ----------
    events
        From `human_events`, in total order.
    by
        `person_id` or `anonymous_id`.
    paths
        What a journey is: `session`, `visit` or `stream`, as in `transitions`.
    collapse_repeats
        The same event several times in a row is one step.
    start
        A step `(start)` comes before the first.

    Returns
    -------
    pandas.DataFrame
        `path`, `unit`, `person` (numbers), `source`, `target` (`(end)` after the last); journey by journey, in order.
    """
    path = paths_of(events, by, paths)
    frame = pd.DataFrame(
        {
            "path": path,
            "unit": codes(unit_of(events, by)),
            "person": codes(unit_of(events, "person_id")),
            "source": events["event_name"].to_numpy(dtype=object),
        }
    )
    frame = frame[path >= 0].sort_values("path", kind="stable", ignore_index=True)
    same = (frame["path"] == frame["path"].shift()).to_numpy(dtype=bool)
    if collapse_repeats:
        repeated = same & (frame["source"] == frame["source"].shift()).to_numpy(dtype=bool)
        frame, same = frame[~repeated].reset_index(drop=True), same[~repeated]
    if start:
        begins = frame[~same].assign(source=START)
        begins.index = begins.index - 0.5
        frame = pd.concat([frame, begins]).sort_index().reset_index(drop=True)
    goes_on = (frame["path"] == frame["path"].shift(-1)).to_numpy(dtype=bool)
    frame["target"] = np.where(goes_on, frame["source"].shift(-1), END)
    return frame[_COLUMNS]


def edges_of(steps: pd.DataFrame) -> pd.DataFrame:
    """Return `source`, `target`, `moves`, `units`, `people` of every move, those of few people too."""
    edges = steps.groupby(["source", "target"]).agg(
        moves=("unit", "size"), units=("unit", "nunique"), people=("person", "nunique")
    )
    return edges.reset_index()


def transitions(
    events: pd.DataFrame,
    draws: int = 200,
    seed: int = 0,
    *,
    by: str = "person_id",
    paths: Literal["session", "visit", "stream"] = "session",
    collapse_repeats: bool = True,
    start: bool = False,
) -> pd.DataFrame:
    """Return what follows what within a journey.

    Parameters
    ----------
    events
        From `human_events`, in total order.
    draws, seed
        Bootstrap by person: moves of one person are not independent.
    by
        `person_id` counts people, `anonymous_id` devices.
    paths
        What a journey is. `session`: a device's session, whoever is counted. `visit`: a person's, which goes on where they
        turn to another device within 30 minutes; of a device, its session. `stream`: all that they ever did.
    collapse_repeats
        The same event several times in a row is one step; otherwise it follows itself.
    start
        Count the first step of each journey as a move from `(start)`.

    Returns
    -------
    pandas.DataFrame
        `source`, `target` (`(end)` ends the journey), `moves`, `people` (by devices: `devices` too), `share` of moves
        from `source`, with `lower`, `upper` (90 %). Edges that under 10 people took are left out, and the next rarest of
        their source; with `start`, of their target too, since what comes in is then what goes out.

    Examples
    --------
    >>> log = pd.DataFrame({"event_name": ["page_view", "page_exit"] * 12, "person_id": [f"p-{i // 2}" for i in range(24)],
    ...     "anonymous_id": "a", "session_id": [f"s-{i // 2}" for i in range(24)]})
    >>> transitions(log)[["source", "target", "moves"]].to_numpy().tolist()
    [['page_exit', '(end)', 12], ['page_view', 'page_exit', 12]]
    """
    pairs = journey_steps(events, by, paths=paths, collapse_repeats=collapse_repeats, start=start)
    counted = ["people"] if by == "person_id" else ["devices", "people"]
    columns = ["source", "target", "moves", *counted, "share", "lower", "upper"]
    if pairs.empty:
        return pd.DataFrame(columns=columns)
    edges = edges_of(pairs).rename(columns={"units": "devices"})
    edge = pd.Series(edges.index, index=pd.MultiIndex.from_frame(edges[["source", "target"]]))
    column = edge.reindex(pd.MultiIndex.from_frame(pairs[["source", "target"]])).to_numpy()
    person = pd.factorize(pairs["person"])[0]
    counts = sparse.csr_matrix((np.ones(len(pairs)), (person, column)), shape=(person.max() + 1, len(edges)))
    shares = _bootstrap(counts, codes(edges["source"]), draws, seed)
    edges["share"] = edges["moves"] / edges.groupby("source")["moves"].transform("sum")
    edges["lower"], edges["upper"] = np.nanquantile(shares, [0.05, 0.95], axis=0)
    kept = _both_ways(edges) if start else hide_small_cells(edges, "people", within=["source"])[0]
    return kept.sort_values("moves", ascending=False, ignore_index=True)[columns]


def _both_ways(edges: pd.DataFrame) -> pd.DataFrame:
    """Leave out small moves, and enough beside them that neither what goes out of an event nor what comes in tells them."""
    keys = list(zip(edges["source"], edges["target"], strict=True))
    moves, people = edges["moves"].tolist(), edges["people"].tolist()
    shown = protect(dict(zip(keys, zip(moves, people, strict=True), strict=True)))
    return edges[[key in shown for key in keys]].reset_index(drop=True)


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


def occupied(pairs: pd.DataFrame, steps: int) -> pd.DataFrame:
    """Return `path`, `person`, `source`, `step`: where each journey is at each of its first steps, `(end)` once over.

    `new` marks the first step at which a journey is over.
    """
    step = (pairs.groupby("path").cumcount() + 1).to_numpy()
    placed = pairs[["path", "person", "source"]].assign(step=step, new=False)
    last = placed.drop_duplicates("path", keep="last")
    over = []
    for at in range(2, steps + 1):
        ended = last[last["step"] < at]
        over.append(ended.assign(source=END, new=(ended["step"] == at - 1).to_numpy(), step=at))
    return pd.concat([placed[placed["step"] <= steps], *over], ignore_index=True)


def few_ended(placed: pd.DataFrame) -> set[int]:
    """Return the steps at which too few people's journeys ended since the last step that is shown to tell of it."""
    hidden, waiting = set(), set[Any]()
    ended = placed[placed["new"].astype(bool)]
    for step in range(2, max([1, *placed["step"]]) + 1):
        waiting |= set(ended.loc[ended["step"] == step, "person"])
        if 0 < len(waiting) < SMALL_CELL:
            hidden.add(step)
        else:
            waiting = set()
    return hidden


def step_matrix(
    events: pd.DataFrame,
    steps: int = 8,
    *,
    by: str = "person_id",
    paths: Literal["session", "visit", "stream"] = "session",
    collapse_repeats: bool = True,
) -> pd.DataFrame:
    """Return where journeys are at each of their first steps.

    Parameters
    ----------
    events, by, paths, collapse_repeats
        As in `transitions`.
    steps
        How many steps.

    Returns
    -------
    pandas.DataFrame
        One row per event (and `(end)`, journeys that are over), one column per step `1…steps`: shares of all
        journeys. Cells of under 10 people are null, and the next smallest of their step with them; so is `(end)` where
        under 10 people's journeys ended since the step before. Events without any other cell are left out.
    """
    pairs = journey_steps(events, by, paths=paths, collapse_repeats=collapse_repeats)
    columns = list(range(1, steps + 1))
    if pairs.empty:
        return pd.DataFrame(columns=["event_name", *columns])
    placed = occupied(pairs, steps)
    cells = placed.groupby(["source", "step"]).agg(people=("person", "nunique"), n=("path", "nunique"))
    cells = cells.reset_index()
    cells["share"] = cells["n"] / pairs["path"].nunique()
    told = cells["people"].where(~((cells["source"] == END) & cells["step"].isin(few_ended(placed))), 1)
    small = small_cells(told.to_numpy(), cells["step"].to_numpy())
    wide = cells.pivot_table(index="source", columns="step", values="share").reindex(columns=columns)
    wide = wide.fillna(0.0)
    for source, step in cells.loc[small, ["source", "step"]].itertuples(index=False):
        wide.loc[source, step] = np.nan
    shown = wide[wide.gt(0).any(axis=1)].rename_axis("event_name").rename_axis(None, axis=1)
    return shown.loc[sorted(shown.index, key=lambda name: (name == END, name))].reset_index()
