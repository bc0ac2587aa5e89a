"""Is a click exposure times relevance? What would contradict the model that judges, looked for in the clicks (S8.6, G2).

Within a key (one content version, prompt and month) the position-based model leaves nothing but the place to tell
where the clicks fall. Three other things are asked, each as a coefficient beside the effects of places:

- trust: the odds of two places depend on how attractive the key is. People who click what stands on top because it
  stands there make the odds of unattractive keys steeper: negative.
- distance: of those who clicked above, who clicked further above is less, or more, likely to click here, as in the
  user browsing model.
- above: who clicked above clicks less here, as in cascade models, where people stop when they have found it. People
  who click much make it positive, which is no contradiction: that is their mood, and places share it.

Sources: Agarwal, Wang, Li, Bendersky and Najork (2019), addressing trust bias; Dupret and Piwowarski (2008), the user
browsing model; Craswell, Zoeter, Taylor and Ramsey (2008), the cascade; Hausman, Hall and Griliches (1984), the
conditional Poisson likelihood.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from eventlib.exposure.likelihood import meat

if TYPE_CHECKING:
    from eventlib.exposure import Swaps

__all__ = [
    "MATERIAL",
    "TRUST_TREND",
    "ClickChecks",
    "Trend",
    "browsing_trends",
    "clicks_above",
    "trust_trend",
]

Floats: TypeAlias = NDArray[np.float64]
Codes: TypeAlias = NDArray[np.intp]

TRUST_TREND: Final = 0.3
"""A click model with trust bias .2 at rank 1 (falling as 1/rank) shows about this trend where it is called none."""

CERTAIN: Final = float(norm.isf(0.05 / 2 / 3))
"""Standard deviations from which a trend is certain: three are asked, and one false alarm in twenty is for all together."""

MATERIAL: Final = 0.1
"""A trend that is certain but smaller moves the value of an order by less than its own error; it is told, not refused."""

_MOST_ABOVE: Final = 3


@dataclass(frozen=True, slots=True)
class Trend:
    """A coefficient that is 0 if the position-based model holds.

    Attributes
    ----------
    estimate, sd
        Both NaN where nothing in the log could tell.
    power
        Chance of finding a trend of .3.
    """

    estimate: float
    sd: float
    power: float

    @classmethod
    def of(cls, estimate: float, sd: float) -> Trend:
        """Return a trend with its power; a trend without information has none."""
        if not np.isfinite(sd) or sd <= 0:
            return cls(np.nan, np.nan, 0.0)
        power = norm.cdf(TRUST_TREND / sd - CERTAIN) + norm.cdf(-TRUST_TREND / sd - CERTAIN)
        return cls(estimate, sd, float(power))

    @property
    def certain(self) -> bool:
        """It is not 0, with 95 % certainty over all that is asked."""
        return bool(abs(self.estimate) > CERTAIN * self.sd)

    @property
    def found(self) -> bool:
        """It is certain, and large enough to matter."""
        return self.certain and abs(self.estimate) > MATERIAL


@dataclass(frozen=True, slots=True)
class ClickChecks:
    """What was looked for, and how sure it is."""

    trust: Trend
    distance: Trend
    above: Trend

    @property
    def contradictions(self) -> dict[str, Trend]:
        """Name what contradicts the position-based model; empty if nothing does."""
        asked = {
            "place and attractiveness together": (self.trust, self.trust.found),
            "the distance of the last click": (self.distance, self.distance.found),
            "clicks above": (self.above, self.above.found and self.above.estimate < 0),
        }
        return {name: trend for name, (trend, found) in asked.items() if found}


def trust_trend(
    swaps: Swaps, log_exposure: Floats, log_relevance: Floats, person: Codes, part: Codes
) -> Trend:
    """Ask whether the odds of two places depend on how attractive the key is.

    Parameters
    ----------
    swaps
        Shows by key and place.
    log_exposure
        Of each place of `swaps`.
    log_relevance
        Of each show, as known from other people.
    person
        Codes of people, one per show, by whom errors are clustered.
    part
        What share of the log each show belongs to: within a part, the relevance of a key comes from other people than
        its clicks. Keys are compared within parts only, or a click would stand on both sides.
    """
    code = np.unique(swaps.key * (part.max(initial=0) + 1) + part, return_inverse=True)[1]
    z = np.bincount(code, log_relevance) / np.bincount(code)
    rows = _Rows.read(code, swaps.position, swaps.clicked, person)
    totals = np.bincount(code, swaps.clicked)
    z = z - (z * totals).sum() / max(totals.sum(), 1.0)
    column = z[code] * log_exposure[swaps.position]
    return _coefficients(rows, column[rows.kept, None], len(log_exposure))[0]


def clicks_above(frame: pd.DataFrame) -> pd.DataFrame:
    """Return what was clicked above each show: `above` (clicks, at most 3) and `distance` to the last (NaN if none).

    Parameters
    ----------
    frame
        Impressions; "above" is a lower rank of the same answer and slot. What shares a rank has the same above it.
    """
    ordered = frame.reset_index(drop=True).sort_values(["answer_id", "slot", "rank"], kind="stable")
    lists = ordered.groupby(["answer_id", "slot"], sort=False)
    above = lists["clicked"].cumsum() - ordered["clicked"]
    last = ordered["rank"].where(ordered["clicked"].astype(bool)).groupby(
        [ordered["answer_id"], ordered["slot"]], sort=False
    )  # fmt: skip
    distance = (
        ordered["rank"] - last.ffill().groupby([ordered["answer_id"], ordered["slot"]], sort=False).shift()
    )
    found = pd.DataFrame({"above": above.clip(upper=_MOST_ABOVE), "distance": distance})
    return _as_first_of_rank(found, ordered).sort_index()


def _as_first_of_rank(found: pd.DataFrame, ordered: pd.DataFrame) -> pd.DataFrame:
    """Give shows at the same rank of a list what the first of them has: nobody is above themselves."""
    again = ordered.duplicated(["answer_id", "slot", "rank"]).to_numpy(dtype=bool)
    first = np.maximum.accumulate(np.where(again, 0, np.arange(len(ordered))))
    return found.iloc[first].set_axis(found.index)


def browsing_trends(swaps: Swaps, above: pd.DataFrame, person: Codes) -> tuple[Trend, Trend]:
    """Ask whether clicks above make a click here more or less likely, and how far above they were.

    Parameters
    ----------
    swaps, person
        As `trust_trend` takes them.
    above
        As `clicks_above` returns it, one row per show.

    Returns
    -------
    distance, above : Trend
        Per log rank of distance to the last click, and per click above.
    """
    rows = _Rows.read(swaps.key, swaps.position, swaps.clicked, person)
    number = above["above"].to_numpy(np.float64)
    distance = np.log(above["distance"].to_numpy(np.float64))
    # where it is the same for all who clicked as much above, it says nothing
    cell = swaps.position * (_MOST_ABOVE + 1) + number.astype(np.intp)
    known = number > 0
    counts = np.maximum(np.bincount(cell, known), 1)
    centred = np.where(
        known, distance - (np.bincount(cell, np.where(known, distance, 0.0)) / counts)[cell], 0.0
    )
    columns = np.stack([centred, number], axis=1)
    further, more = _coefficients(rows, columns[rows.kept], len(swaps.positions))
    return further, more


@dataclass(frozen=True, slots=True)
class _Rows:
    """The shows that inform: of keys shown twice or more and clicked, sorted by key."""

    kept: Codes
    starts: Codes
    key: Codes
    position: Codes
    clicked: Floats
    person: Codes

    @classmethod
    def read(cls, key: Codes, position: Codes, clicked: Floats, person: Codes) -> _Rows:
        shows, clicks = np.bincount(key), np.bincount(key, clicked)
        kept = np.flatnonzero(((shows > 1) & (clicks > 0))[key])
        kept = kept[np.argsort(key[kept], kind="stable")]
        _, starts, codes = np.unique(key[kept], return_index=True, return_inverse=True)
        return cls(kept, starts, codes, position[kept], clicked[kept], person[kept])

    def sums(self, values: Floats) -> Floats:
        """Sum rows by key."""
        return np.asarray(np.add.reduceat(values, self.starts, axis=0))


def _coefficients(rows: _Rows, columns: Floats, places: int, steps: int = 30) -> list[Trend]:
    """Fit effects of places and of columns within keys; return the columns' coefficients.

    Errors are by person, from what each show was clicked more than expected: a click is 0 or 1, so that the errors of
    the Poisson likelihood would be too wide. A key's own attractiveness was fitted to its shows, which makes what is
    left over too small by (n - 1) / n.
    """
    width = columns.shape[1]
    if not len(rows.kept):
        return [Trend.of(np.nan, np.nan)] * width
    x = np.concatenate([np.eye(places)[rows.position][:, 1:], columns], axis=1)
    shown = np.ptp(x, axis=0) > 0
    x, beta = x[:, shown], np.zeros(int(shown.sum()))
    shows, clicks = rows.sums(np.ones(len(x))), rows.sums(rows.clicked)
    for _ in range(steps):
        weight = np.exp(x @ beta)
        expected = weight * (clicks / rows.sums(weight))[rows.key]
        mean = rows.sums(x * expected[:, None]) / clicks[:, None]
        centred = x - mean[rows.key]
        information = (centred * expected[:, None]).T @ centred + 1e-9 * np.eye(len(beta))
        step = np.linalg.solve(information, (rows.clicked - expected) @ centred)
        beta = beta + np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-9:
            break
    left = (rows.clicked - expected) * np.sqrt(shows / (shows - 1))[rows.key]
    codes = np.unique(rows.person, return_inverse=True)[1]
    scores = np.stack([np.bincount(codes, left * column) for column in centred.T], axis=1)
    bread = np.linalg.inv(information)
    errors = np.sqrt(np.diag(bread @ meat(scores) @ bread))
    found = np.full((2, len(shown)), np.nan)
    found[:, shown] = beta, errors
    return [Trend.of(float(b), float(sd)) for b, sd in found[:, -width:].T]
