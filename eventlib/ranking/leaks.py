"""A canary for features that know what came after the cut (S8.4).

What a feature says of a content beyond its predicted relevance may go with what the ranker missed. If the feature was
known before the cut, it goes with what was missed before the cut as much as with what was missed after it. A feature
that was filled in later from later clicks, such as a popularity that a content system writes back into its metadata,
goes with the chance of the later clicks alone, since that is what it was made of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from scipy.stats import norm

from eventlib.ranking.features import CONTENT_FEATURES

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Leak", "find_leaks", "missed"]

LEAST_EXAMINED: Final = 10.0
"""Examined shows that a content needs on either side of the cut."""
LEAST_CONTENTS: Final = 12
"""Contents below which a correlation says nothing."""
FALSE_ALARMS: Final = 0.01
"""Chance that a log without a leak is refused for one, over all features together."""

FEATURES: Final = tuple(feature.name for feature in CONTENT_FEATURES if feature.name != "topic_match")


@dataclass(frozen=True, slots=True)
class Leak:
    """A feature that goes with later clicks only: its correlations with what the ranker missed before and after."""

    feature: str
    before: float
    after: float


def missed(
    content: pd.Series[str],
    clicked: NDArray[np.float64],
    theta: NDArray[np.float64],
    relevance: NDArray[np.float64],
) -> pd.DataFrame:
    """Return by content what the ranker missed: clicks over examined shows less its relevance.

    Parameters
    ----------
    content, clicked, theta, relevance
        One entry per show: content id, 0 or 1, exposure of its place, what the ranker says of it.

    Returns
    -------
    DataFrame
        `missed, relevance, examined`, index content id.
    """
    columns = {"clicks": clicked, "expected": theta * relevance, "examined": theta}
    sums = pd.DataFrame(columns).groupby(content.to_numpy(), sort=True).sum()
    return pd.DataFrame(
        {
            "missed": (sums["clicks"] - sums["expected"]) / sums["examined"],
            "relevance": sums["expected"] / sums["examined"],
            "examined": sums["examined"],
        }
    )


def find_leaks(features: pd.DataFrame, before: pd.DataFrame, after: pd.DataFrame) -> tuple[Leak, ...]:
    """Return the features that know what came after the cut, the surest first.

    Parameters
    ----------
    features
        One column per feature of `FEATURES`, index content id.
    before, after
        As `missed` returns them, `before` by relevance from other people than the clicks.

    Returns
    -------
    tuple of Leak
        Empty where nothing leaks, and where there are too few contents to tell.
    """
    both = before.index.intersection(after.index).intersection(features.index)
    enough = (before.loc[both, "examined"] >= LEAST_EXAMINED) & (
        after.loc[both, "examined"] >= LEAST_EXAMINED
    )
    both = both[enough.to_numpy()]
    if len(both) < LEAST_CONTENTS:
        return ()
    before, after = before.loc[both], after.loc[both]
    found = []
    varied = [
        name for name in features.columns if features.loc[both, name].min() < features.loc[both, name].max()
    ]
    for name in varied:
        value = features.loc[both, name].rank().to_numpy(np.float64)
        early, late = (_beyond(value, part) for part in (before, after))
        z = (np.arctanh(late) - np.arctanh(early)) / np.sqrt(2 / (len(both) - 4))
        found.append((z, Leak(name, float(early), float(late))))
    limit = norm.isf(FALSE_ALARMS / max(len(varied), 1))
    return tuple(leak for z, leak in sorted(found, key=lambda pair: -pair[0]) if z > limit)


def _beyond(value: NDArray[np.float64], part: pd.DataFrame) -> float:
    """Correlate a feature with what was missed, both beyond what predicted relevance says of them."""
    design = np.column_stack([np.ones(len(part)), part["relevance"]])
    columns = np.column_stack([value, part["missed"].rank()])
    left = columns - design @ np.linalg.lstsq(design, columns, rcond=None)[0]
    spread = np.sqrt((left**2).sum(axis=0).prod())
    return float(np.clip(left[:, 0] @ left[:, 1] / spread, -0.999, 0.999)) if spread > 0 else 0.0
