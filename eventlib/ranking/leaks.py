"""A canary for features that know what came after the cut (S8.4).

What a feature says of a content beyond its predicted relevance may go with what the ranker missed. If the feature was
known before the cut, it goes with what was missed before the cut as much as with what was missed after it. A feature
that was filled in later from later clicks, such as a popularity that a content system writes back into its metadata,
goes with the chance of the later clicks alone, since that is what it was made of.

And no feature that was known before can go with later clicks more closely than pages differ: part of what they earned
was chance. One that does was made of them. This sees a plain copy among few pages, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from scipy.stats import t

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

_CLOSEST: Final = 0.9999
"""Correlations are cut here: nearer to 1 rounding decides."""

FEATURES: Final = tuple(feature.name for feature in CONTENT_FEATURES if feature.name != "topic_match")


@dataclass(frozen=True, slots=True)
class Leak:
    """A feature that goes with later clicks only.

    Attributes
    ----------
    before, after
        What it says, from its lowest to its highest, of the relevance that the ranker missed; or, of a `copy`, the largest
        correlation with later clicks that a feature could have, and its own.
    """

    feature: str
    before: float
    after: float
    copy: bool = False

    @property
    def words(self) -> str:
        """Say what the feature does that none may."""
        if self.copy:
            return (
                f"{self.feature} knows what came after the cut: it goes with later clicks by {self.after:.4f}, and no feature "
                f"known before could by more than {self.before:.2f}"
            )
        return (
            f"{self.feature} knows what came after the cut: from its lowest to its highest, the relevance that the ranker "
            f"missed rises by {self.after:.2f} after the cut, and by {self.before:.2f} before it"
        )


def missed(
    content: pd.Series[str],
    clicked: NDArray[np.float64],
    theta: NDArray[np.float64],
    relevance: NDArray[np.float64],
    fold: NDArray[np.intp] | None = None,
) -> pd.DataFrame:
    """Return what the ranker missed: clicks over examined shows less its relevance.

    Parameters
    ----------
    content, clicked, theta, relevance
        One entry per show: content id, 0 or 1, exposure of its place, what the ranker says of it.
    fold
        Whose clicks they are, where each fold has a ranker of its own: what one fold's people clicked by chance is known
        to the others' rankers, so that folds must not be put together.

    Returns
    -------
    DataFrame
        `missed, relevance, examined, shows, clicks`, index content id, a row per content and fold.
    """
    columns = {
        "clicks": clicked,
        "expected": theta * relevance,
        "examined": theta,
        "shows": np.ones(len(clicked)),
    }
    folds = np.zeros(len(clicked), dtype=np.intp) if fold is None else fold
    sums = pd.DataFrame(columns).groupby([content.to_numpy(), folds], sort=True).sum().droplevel(1)
    return pd.DataFrame(
        {
            "missed": (sums["clicks"] - sums["expected"]) / sums["examined"],
            "relevance": sums["expected"] / sums["examined"],
            "examined": sums["examined"],
            "shows": sums["shows"],
            "clicks": sums["clicks"],
        }
    )


def find_leaks(features: pd.DataFrame, before: pd.DataFrame, after: pd.DataFrame) -> tuple[Leak, ...]:
    """Return the features that know what came after the cut, the surest first.

    Parameters
    ----------
    features
        One column per feature of `FEATURES`, index content id.
    before, after
        As `missed` returns them, `before` by fold, by relevance from other people than the clicks.

    Returns
    -------
    tuple of Leak
        Empty where nothing leaks, and where there are too few contents to tell.
    """
    both = _often_seen(before).intersection(_often_seen(after)).intersection(features.index)
    if len(both) < LEAST_CONTENTS:
        return ()
    before, after = before[before.index.isin(both)], after.loc[both]
    varied = [
        name for name in features.columns if features.loc[both, name].min() < features.loc[both, name].max()
    ]
    found = []
    for name in varied:
        value = features.loc[both, name].rank(pct=True)
        (early, early_sd), (late, late_sd) = (_beyond(value, part) for part in (before, after))
        blended = (float((late - early) / np.hypot(early_sd, late_sd)), Leak(name, early, late))
        copied = _copied(name, features.loc[both, name].to_numpy(np.float64), after)
        found.append(max(copied, blended, key=itemgetter(0)))  # in this order: what has no error is no number
    limit = t.isf(FALSE_ALARMS / max(2 * len(varied), 1), len(both) - 3)
    return tuple(leak for z, leak in sorted(found, key=itemgetter(0), reverse=True) if z > limit)


def _often_seen(part: pd.DataFrame) -> pd.Index:
    examined = part.groupby(level=0)["examined"].sum()
    return examined.index[examined >= LEAST_EXAMINED]


def _copied(name: str, value: NDArray[np.float64], after: pd.DataFrame) -> tuple[float, Leak]:
    """Compare a feature's correlation with later clicks with the largest that one known before could have.

    That is the root of the share of their variance that is no chance, with two standard errors to be safe.
    """
    clicks, shows, examined = (
        after[column].to_numpy(np.float64) for column in ("clicks", "shows", "examined")
    )
    rate, relevance = clicks / shows, np.minimum(clicks / examined, 1.0)
    told = (
        (rate, rate * (1 - rate) / shows),
        (relevance, relevance * (1 - relevance) / examined),
        (clicks, clicks * (1 - rate)),
    )
    worst = (-np.inf, Leak(name, 0.0, 0.0, copy=True))
    for target, chance in told:
        if np.ptp(target) == 0:
            continue
        lasting = max(1 - float(chance.mean() / target.var(ddof=1)), 0.0)
        error = (1 - lasting) * np.sqrt(2 / (len(target) - 1))
        most = min(np.sqrt(lasting + 2 * error), _CLOSEST)
        own = float(np.clip(np.corrcoef(value, target)[0, 1], -_CLOSEST, _CLOSEST))
        z = float((np.arctanh(own) - np.arctanh(most)) * np.sqrt(len(target) - 3))
        worst = max(worst, (z, Leak(name, float(most), own, copy=True)), key=itemgetter(0))
    return worst


def _beyond(value: pd.Series[float], part: pd.DataFrame) -> tuple[float, float]:
    """Regress what was missed on a feature beside predicted relevance; return the slope and its error by content."""
    x = np.column_stack([np.ones(len(part)), part["relevance"], value.reindex(part.index)])
    weight = part["examined"].to_numpy(np.float64)
    bread = np.linalg.pinv((x * weight[:, None]).T @ x, hermitian=True)
    slopes = bread @ (x * weight[:, None]).T @ part["missed"].to_numpy(np.float64)
    left = part["missed"].to_numpy(np.float64) - x @ slopes
    content = np.unique(part.index, return_inverse=True)[1]
    scores = np.stack([np.bincount(content, weight * left * column) for column in x.T], axis=1)
    contents = len(scores)
    error = bread @ (scores.T @ scores) @ bread * contents / max(contents - x.shape[1], 1)
    return float(slopes[-1]), float(np.sqrt(error[-1, -1]))
