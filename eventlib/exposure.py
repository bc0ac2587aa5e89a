"""How likely a position is examined, from natural rank swaps within pages (S7.2, S8.2).

A click needs a look and an interest: under the position-based model P(click) = e(slot, rank) * g(key), where
a key is one content version for one prompt in one month, so that g can be taken as constant. Given a key's
total, its clicks are multinomial with weights n(key, p) * e(p), where n counts shows: g drops out, whatever
it is, and a key informs e exactly if it was shown at two positions and clicked at one. That conditional
likelihood (a Poisson model with a free effect per key) is concave in log e; its information matrix gives the
standard errors.

Sources: Joachims, Swaminathan and Schnabel (2017), the position-based model; Agarwal et al. (2019),
intervention harvesting and the AllPairs estimator; Hausman, Hall and Griliches (1984), the conditional
Poisson likelihood.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse.csgraph import connected_components
from scipy.special import expit, log_expit
from scipy.stats import norm

from eventlib.errors import BadCallError
from eventlib.shown import shown_citations

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "CURVE",
    "Exposure",
    "Swaps",
    "all_pairs",
    "conditional_fit",
    "estimate_exposure",
    "harvest_swaps",
    "shown_citations",
]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

KEY: Final = ("prompt_id", "content_id", "content_version", "month")
MAX_LOG_SE: Final = 0.10
_USED_SHARE: Final = 0.01  # a rank below one percent of the shows does not decide whether a curve is usable
_MAX_PAIRED: Final = 30  # AllPairs has a parameter per pair of positions
CURVE: Final = {
    "slot": "object",
    "rank": "int64",
    "exposure": "float64",
    "log_se": "float64",
    "lower": "float64",
    "upper": "float64",
    "all_pairs": "float64",
    "clicks": "int64",
    "shows": "int64",
    "swap_clicks": "int64",
    "people": "int64",
    "status": "object",
}
"""Columns of `Exposure.frame` and their dtypes."""


@dataclass(frozen=True, slots=True)
class Swaps:
    """Shows and clicks per key and position: the sufficient statistics, and the rows that they came from.

    Attributes
    ----------
    positions
        `slot` and `rank` of each column of the matrices; the reference (rank 1 of the main slot) comes first.
    key, position, clicked
        One entry per row of the frame they were harvested from: codes (int64) and 0/1 (float64).
    """

    positions: pd.DataFrame
    key: Ints
    position: Ints
    clicked: Floats

    def matrices(self, weights: Floats | None = None) -> tuple[Floats, Floats]:
        """Return (shows, clicks), each keys by positions, with a weight per row if given (a bootstrap's)."""
        width = max(len(self.positions), 1)
        height = int(self.key.max()) + 1 if len(self.key) else 0
        cell = self.key * width + self.position
        ones = np.ones(len(cell)) if weights is None else weights
        shows = np.bincount(cell, ones, height * width).reshape(height, width)
        clicks = np.bincount(cell, ones * self.clicked, height * width).reshape(height, width)
        return shows.astype(np.float64), clicks.astype(np.float64)

    def informing(self) -> tuple[NDArray[np.bool_], Swaps]:
        """Return which rows are of keys seen at two positions or more, and these alone, their keys numbered anew.

        No other row tells anything of exposure. Where nearly every prompt is asked once, they are nearly all, and a
        matrix of them would take gigabytes.
        """
        width = max(len(self.positions), 1)
        places = np.bincount(np.unique(self.key * width + self.position) // width)
        kept: NDArray[np.bool_] = places[self.key] > 1 if len(self.key) else np.zeros(0, dtype=bool)
        key = np.unique(self.key[kept], return_inverse=True)[1].astype(np.int64)
        return kept, Swaps(self.positions, key, self.position[kept], self.clicked[kept])


@dataclass(frozen=True, slots=True)
class Exposure:
    """The examination curve of one engine, and whether it can be relied on.

    Attributes
    ----------
    frame
        One row per slot and rank: `slot, rank, exposure` (rank 1 of the main slot = 1), `log_se`, `lower`,
        `upper` (interval of `level`), `all_pairs` (comparison), `clicks, shows` (all), `swap_clicks` (those
        that inform), `people` (who saw it there), `status` (reference | estimated | imprecise | not connected).
    covariance
        Of log exposure, in the order of `frame`; NaN where a position is not connected.
    connected
        Every used position is joined to the reference by swaps: a score may be built on it.
    usable
        Also, no used position's `log_se` is over the limit (S8.2): a ranker may be trained on it.
    reasons
        In words, why not.
    """

    engine: str
    frame: pd.DataFrame
    covariance: Floats
    connected: bool
    usable: bool
    reasons: tuple[str, ...] = ()
    keys: int = 0
    level: float = 0.90
    positions: dict[tuple[str, int], float] = field(default_factory=dict)

    def at(self, slots: Sequence[str], ranks: Sequence[int]) -> Floats:
        """Return the exposure of each (slot, rank); NaN where it is unknown.

        >>> Exposure("x", pd.DataFrame(), np.empty((0, 0)), True, True, positions={("inline", 1): 1.0}).at(
        ...     ["inline", "inline"], [1, 2]
        ... )
        array([ 1., nan])
        """
        pairs = zip(slots, ranks, strict=True)
        return np.array(
            [self.positions.get((slot, int(rank)), np.nan) for slot, rank in pairs], dtype=np.float64
        )


def conditional_fit(
    shows: Floats, clicks: Floats, start: Floats | None = None, ridge: float = 0.0, steps: int = 50
) -> tuple[Floats, Floats]:
    """Maximise the conditional likelihood of clicks given each key's total, by Newton's method.

    Parameters
    ----------
    shows, clicks
        Keys by positions, float64. Column 0 is the reference, whose log exposure is 0. All columns must be
        connected by swaps, else the maximum lies at infinity (`ridge` keeps it finite).
    start
        Log exposures to start from (positions); also what `ridge` draws towards.
    ridge
        Precision of a normal prior around `start`; 0 for maximum likelihood.

    Returns
    -------
    log_exposure, information
        Float64 of positions, and positions - 1 squared (without the reference).
    """
    totals = clicks.sum(axis=1)
    informs = (totals > 0) & ((shows > 0).sum(axis=1) > 1)
    shows, clicks, totals = shows[informs], clicks[informs], totals[informs]
    log_exposure = np.zeros(shows.shape[1]) if start is None else np.asarray(start, dtype=np.float64).copy()
    anchor, observed = log_exposure.copy(), clicks.sum(axis=0)
    information = np.eye(max(len(log_exposure) - 1, 0)) * ridge
    for _ in range(steps):
        expected = shows * np.exp(log_exposure)
        share = expected / expected.sum(axis=1, keepdims=True)
        mass = share * totals[:, None]
        gradient = (observed - mass.sum(axis=0) - ridge * (log_exposure - anchor))[1:]
        information = (np.diag(mass.sum(axis=0)) - mass.T @ share)[1:, 1:] + np.eye(len(gradient)) * ridge
        step = np.linalg.solve(information, gradient) if len(gradient) else gradient
        step = np.clip(step, -1.0, 1.0)  # far from the maximum the quadratic overshoots
        log_exposure[1:] += step
        if not len(step) or np.abs(step).max() < 1e-9:
            break
    return log_exposure, information


def all_pairs(shows: Floats, clicks: Floats) -> Floats:
    """Estimate relative exposures by AllPairs (Agarwal et al. 2019), for comparison; NaN where it cannot.

    For each pair of positions, keys shown at both give click and no-click mass at either, weighted by one
    over the shows; these are fitted by p(position) * r(pair), r shared by both positions of a pair.
    """
    width = shows.shape[1]
    if not 2 <= width <= _MAX_PAIRED:
        return np.full(width, np.nan)
    rate = np.divide(clicks, shows, out=np.zeros_like(clicks), where=shows > 0)
    both = (shows > 0).astype(np.float64)
    clicked = rate.T @ both  # [p, q]: click mass at p over keys also shown at q
    passed = (both - rate).T @ both
    np.fill_diagonal(clicked, 0.0)
    np.fill_diagonal(passed, 0.0)
    upper = np.triu_indices(width, 1)
    pair = np.zeros((width, width), dtype=np.int64)
    pair[upper] = np.arange(len(upper[0]))
    pair = pair + pair.T

    def loss(theta: Floats) -> tuple[float, Floats]:
        exposed, interest = theta[:width, None], theta[width:][pair]
        log_p = np.minimum(log_expit(exposed) + log_expit(interest), -1e-12)
        odds = np.exp(log_p) / -np.expm1(log_p)
        slope = clicked - passed * odds  # derivative by log p
        gradient = np.zeros_like(theta)
        gradient[:width] = (slope * expit(-exposed)).sum(axis=1)
        gradient[width:] = np.bincount(pair.ravel(), (slope * expit(-interest)).ravel(), len(upper[0]))
        value = (clicked * log_p + passed * np.log(-np.expm1(log_p))).sum()
        # a light pull to the middle: without it pairs that were never clicked drift off without end
        return float(-value + 1e-4 * (theta @ theta)), -gradient + 2e-4 * theta

    fitted = minimize(loss, np.zeros(width + len(upper[0])), jac=True, method="L-BFGS-B")
    exposed = np.exp(log_expit(fitted.x[:width]))
    relative: Floats = exposed / exposed[0]
    return np.where(clicked.sum(axis=1) > 0, relative, np.nan)


def harvest_swaps(rows: pd.DataFrame, key: Sequence[str] = KEY) -> Swaps:
    """Code the rows of `shown_citations` (one engine) by key and position, the reference position first."""
    if missing := {*key, "slot", "rank", "clicked"} - set(rows.columns):
        raise BadCallError.missing_columns("harvest_swaps", missing, rows.columns)
    if not len(rows):
        none = np.empty(0, dtype=np.int64)
        return Swaps(pd.DataFrame({"slot": [], "rank": []}), none, none, np.empty(0))
    codes = rows.groupby(list(key), sort=False, dropna=False).ngroup().to_numpy()
    clicks = rows.groupby("slot", sort=True)["clicked"].agg(["sum", "size"])
    main = clicks.sort_values(["sum", "size"], ascending=False, kind="stable").index[0]
    positions = rows[["slot", "rank"]].drop_duplicates()
    positions = positions.assign(_main=positions["slot"] != main).sort_values(["_main", "slot", "rank"])
    index = pd.MultiIndex.from_frame(positions[["slot", "rank"]])
    position = index.get_indexer(pd.MultiIndex.from_frame(rows[["slot", "rank"]]))
    return Swaps(
        positions[["slot", "rank"]].reset_index(drop=True),
        codes.astype(np.int64),
        position.astype(np.int64),
        rows["clicked"].to_numpy(dtype=np.float64),
    )


def _joined(shows: Floats, clicks: Floats) -> NDArray[np.bool_]:
    """Tell which positions the reference reaches by swaps, and is reached from.

    The maximum is finite exactly within a strongly connected part of the graph "clicked here, also shown
    there": a position that never won a click against the others has no finite log exposure.
    """
    informs = (shows > 0).sum(axis=1) > 1
    wins = (clicks[informs] > 0).astype(np.float64).T @ (shows[informs] > 0).astype(np.float64)
    _, part = connected_components(wins > 0, directed=True, connection="strong")
    joined: NDArray[np.bool_] = part == part[0]
    return joined


def estimate_exposure(
    rows: pd.DataFrame,
    *,
    engine: str | None = None,
    key: Sequence[str] = KEY,
    max_log_se: float = MAX_LOG_SE,
    level: float = 0.90,
) -> Exposure:
    """Estimate the exposure of each slot and rank of one engine, normalised to rank 1 = 1.

    Parameters
    ----------
    rows
        As `shown_citations` returns them.
    engine
        The engine to estimate; may be left out where the rows hold only one.
    key
        Columns within which interest is taken as constant.
    max_log_se
        A used position (at least 1 % of the shows) with a larger error of log exposure makes the curve
        unusable for ranking (S8.2).
    level
        Of the intervals.

    Returns
    -------
    Exposure
        Never an exception for lack of data: `connected`, `usable` and `reasons` say what it is good for.
    """
    engines = sorted(rows["engine"].unique()) if "engine" in rows else []
    if engine is not None and engines:
        rows = rows[(rows["engine"] == engine).to_numpy(dtype=bool)]
    elif len(engines) > 1:
        raise BadCallError(
            f"estimate_exposure takes one engine at a time; the rows hold {', '.join(engines)}"
        )
    name = engine or (engines[0] if engines else "none")
    swaps = harvest_swaps(rows, key)
    if not len(rows):
        empty = pd.DataFrame({column: pd.Series(dtype=kind) for column, kind in CURVE.items()})
        return Exposure(
            name, empty, np.empty((0, 0)), connected=False, usable=False, reasons=("no citation was shown",)
        )
    seen_by = rows["person_id"] if "person_id" in rows else pd.Series(np.arange(len(rows)))
    return _estimate(name, swaps, pd.Series(seen_by.to_numpy()), max_log_se, level)


def _estimate(name: str, swaps: Swaps, seen_by: pd.Series[Any], max_log_se: float, level: float) -> Exposure:
    shows, clicks = swaps.informing()[1].matrices()
    joined = _joined(shows, clicks)
    width = len(joined)
    log_exposure, covariance = np.full(width, np.nan), np.full((width, width), np.nan)
    fitted, information = conditional_fit(shows[:, joined], clicks[:, joined])
    log_exposure[joined] = fitted
    covariance[np.ix_(joined, joined)] = 0.0
    rest = np.flatnonzero(joined)[1:]
    covariance[np.ix_(rest, rest)] = np.linalg.inv(information)
    pairs = np.full(width, np.nan)
    pairs[joined] = all_pairs(shows[:, joined], clicks[:, joined])
    frame = _frame(swaps.positions, log_exposure, np.sqrt(np.diag(covariance)), level, max_log_se)
    frame["all_pairs"] = pairs
    frame["clicks"] = np.bincount(swaps.position, swaps.clicked, width).astype(int)
    frame["shows"] = np.bincount(swaps.position, minlength=width)
    frame["swap_clicks"] = clicks.sum(axis=0).astype(int)
    people = seen_by.groupby(swaps.position).nunique()
    frame["people"] = people.reindex(range(width), fill_value=0).to_numpy(dtype=np.int64)
    reasons, connected = _reasons(frame, max_log_se)
    known = frame[frame["exposure"].notna()]
    return Exposure(
        engine=name,
        frame=frame[list(CURVE)],
        covariance=covariance,
        connected=connected,
        usable=not reasons,
        reasons=tuple(reasons),
        keys=int((clicks.sum(axis=1) > 0).sum()),
        level=level,
        positions=dict(zip(zip(known["slot"], known["rank"], strict=True), known["exposure"], strict=True)),
    )


def _frame(
    positions: pd.DataFrame, log_exposure: Floats, error: Floats, level: float, limit: float
) -> pd.DataFrame:
    half = norm.ppf(0.5 + level / 2) * error
    unknown = np.isnan(log_exposure)
    reference = np.arange(len(error)) == 0
    status = np.select(
        [unknown, reference, error > limit], ["not connected", "reference", "imprecise"], default="estimated"
    )
    return positions.assign(
        exposure=np.exp(log_exposure),
        log_se=error,
        lower=np.exp(log_exposure - half),
        upper=np.exp(log_exposure + half),
        status=status,
    )


def _reasons(frame: pd.DataFrame, limit: float) -> tuple[list[str], bool]:
    used = frame[frame["shows"] >= _USED_SHARE * frame["shows"].sum()]
    reasons = []
    if frame["rank"].iloc[0] != 1 or len(used) < 2:
        reasons.append("there is only one position, or none of rank 1, to compare with")
    apart = used[used["status"] == "not connected"]
    if len(apart):
        named = [f"{slot} {rank}" for slot, rank in zip(apart["slot"], apart["rank"], strict=True)]
        where = ", ".join(named) if len(named) < 6 else f"{len(named)} of them from {named[0]} to {named[-1]}"
        reasons.append(f"no clicked swaps connect these positions to rank 1: {where}")
    connected = not reasons
    worst = used["log_se"].max()
    if worst > limit:
        reasons.append(f"the error of log exposure reaches {worst:.2f}, over {limit:.2f}")
    return reasons, connected
