"""Which exposure to use, and whether two agree (S8.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd
from scipy.stats import chi2, f, ncx2

from eventlib.errors import BadCallError
from eventlib.exposure.curve import LEVEL, MAX_LOG_SE, Exposure
from eventlib.exposure.given import given_exposure
from eventlib.exposure.harvested import estimate_exposure
from eventlib.exposure.randomised import estimate_randomised, placed_at_random
from eventlib.exposure.swaps import KEY, Floats, one_engine

__all__ = ["Agreement", "agreement", "find_exposure"]

_DIFFERENCE: Final = 0.10
_ALPHA: Final = 0.05


def find_exposure(
    rows: pd.DataFrame,
    given: pd.DataFrame | None = None,
    *,
    engine: str | None = None,
    key: Sequence[str] = KEY,
    max_log_se: float = MAX_LOG_SE,
    level: float = LEVEL,
) -> Exposure:
    """Return the exposure to use: given if given, else randomised if precise enough, else harvested.

    Parameters
    ----------
    rows
        As `shown_citations` returns them, with `propensity` where positions were randomised.
    given
        A curve from elsewhere, as `given_exposure` takes it.
    engine, key, max_log_se, level
        As for `estimate_exposure`.

    Returns
    -------
    Exposure
        With the other curve in `beside`, None if there is none. Where the randomised curve is chosen, the harvested
        one is that of the other shows, so that the two are of different clicks; where it is not, its shows are
        swaps like any other.
    """
    name, rows = one_engine(rows, engine, "find_exposure")
    random = placed_at_random(rows)

    def harvest(part: pd.DataFrame) -> Exposure:
        return estimate_exposure(part, engine=name, key=key, max_log_se=max_log_se, level=level)

    drawn = None
    if random.any():
        drawn = estimate_randomised(rows, engine=name, max_log_se=max_log_se, level=level)
    precise = drawn is not None and drawn.usable
    if given is not None:
        chosen = given_exposure(given, name, rows=rows, max_log_se=max_log_se, level=level)
        return replace(chosen, beside=drawn if precise else harvest(rows))
    if drawn is not None and precise:
        return replace(drawn, beside=harvest(rows[~random]))
    return replace(harvest(rows), beside=drawn)


@dataclass(frozen=True, slots=True)
class Agreement:
    """A Wald test of whether two curves are one.

    Attributes
    ----------
    chi2, df, p
        Statistic, degrees of freedom and probability of one as large if the curves were one.
    power
        Chance of p under .05 if every position of one were 10 % above the other's, relative to rank 1.
    """

    chi2: float
    df: int
    p: float
    power: float


def agreement(a: Exposure, b: Exposure) -> Agreement:
    """Test whether two curves of one engine differ by more than their errors.

    The difference of log exposures at the positions that both know is weighed by the sum of their covariances. A curve
    given without errors is taken as exact. Curves estimated from the same clicks are taken as independent, which
    makes the test less likely to tell them apart. With n people behind the fewer, p is by Hotelling's T² (n less df
    degrees of freedom), which is chi-square in large logs.

    Parameters
    ----------
    a, b
        Relative to the same reference.

    Raises
    ------
    BadCallError
        They have different references, no other position in common, or neither has errors.
    """
    ours, theirs = (_known(curve) for curve in (a, b))
    if not (len(ours) and len(theirs)) or ours.index[0] != theirs.index[0]:
        raise BadCallError("these exposures cannot be compared: they are not relative to the same position")
    common = ours.index.intersection(theirs.index, sort=False)[1:]
    if not len(common):
        raise BadCallError("these exposures cannot be compared: they have only rank 1 in common")
    known = [_covariance(curve, side.loc[common]) for curve, side in ((a, ours), (b, theirs))]
    errors = [one for one in known if one is not None]
    if not errors:
        raise BadCallError("these exposures cannot be compared: neither has errors")
    total = np.sum(errors, axis=0)
    apart = np.log(ours.loc[common, "exposure"] / theirs.loc[common, "exposure"]).to_numpy(dtype=np.float64)
    inverse, df = np.linalg.pinv(total, hermitian=True), int(np.linalg.matrix_rank(total, hermitian=True))
    if not df:
        raise BadCallError("these exposures cannot be compared: both are given as exact")
    found = float(apart @ inverse @ apart)
    people = min((curve.clusters for curve in (a, b) if curve.clusters), default=0)
    if 0 < people <= df:
        raise BadCallError(
            f"these exposures cannot be compared: {people} people are too few for {df} positions"
        )
    p = f.sf(found * (people - df) / (df * (people - 1)), df, people - df) if people else chi2.sf(found, df)
    shift = np.full(len(common), np.log1p(_DIFFERENCE))
    power = float(ncx2.sf(chi2.isf(_ALPHA, df), df, shift @ inverse @ shift))
    return Agreement(found, df, float(p), power)


def _known(curve: Exposure) -> pd.DataFrame:
    """Return `exposure` and `row` of the positions that have one, by slot and rank, the reference first."""
    frame = curve.frame.assign(row=np.arange(len(curve.frame))).set_index(["slot", "rank"])
    return frame.loc[frame["exposure"].notna(), ["exposure", "row"]]


def _covariance(curve: Exposure, known: pd.DataFrame) -> Floats | None:
    rows = known["row"].to_numpy()
    part: Floats = curve.covariance[np.ix_(rows, rows)]
    return None if np.isnan(part).any() else part
