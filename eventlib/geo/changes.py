"""What changed: the last days of a log against all before, page by page (S7.7).

Both sides are scored by the same rules, each from its own events, so that they err apart; the change of a page
is told only where it is beyond what both intervals allow and where the false discovery rate over all pages
stays within a tenth. Both sides are drawn towards their own average, which makes changes look smaller, never
larger.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from eventlib.errors import BadCallError
from eventlib.geo.engagement import score_engine
from eventlib.geo.pooling import benjamini_hochberg

if TYPE_CHECKING:
    from eventlib.geo.engagement import Score
    from eventlib.geo.observed import Observed

__all__ = ["CHANGES", "score_changes"]

_DAY_US: Final = 86_400_000_000
_FALSE_DISCOVERIES: Final = 0.10
CHANGES: Final = (
    "content_id", "before", "since", "change", "lower", "upper", "p", "q", "word", "people_before", "people_since",
)  # fmt: skip
"""Columns of `score_changes`."""


def score_changes(observed: Observed | None, days: int, **options: Any) -> tuple[pd.DataFrame, str]:
    """Set the score of the last days against the score of all days before.

    Parameters
    ----------
    observed
        One engine, as `observed_stages` returns it; None where nothing was scored.
    days
        How many days at the end of the log are the new ones, at least 1.
    **options
        As `score_engine` takes them: `draws, replicates, seed, small_cell`.

    Returns
    -------
    changes, reason
        Pages that both sides show, largest change first, as `CHANGES` names the columns: `before` and `since`
        are scores (1 = average page), `change` their ratio with its 90 % interval, `q` the false discovery
        rate at which it would be told, `word` rose | fell | as before, as far as can be told. And why there
        is none, or which stages are left out since one side did not see them, in words, or "".

    Raises
    ------
    BadCallError
        If `days` is under 1.
    """
    if days < 1:
        raise BadCallError(f"days is {days}; it counts days at the end of the log, so give 1 or more")
    if observed is None or not observed.stages:
        return _none(), "nothing was scored"
    cut = observed.end_us - days * _DAY_US + 1
    if cut <= observed.start_us:
        return _none(), f"the log is no longer than {days} days"
    pairs = [
        (stage.within(observed.start_us, cut), stage.within(cut, observed.last_us + 1))
        for stage in observed.stages
    ]
    both = [pair for pair in pairs if all(part.observed.any() for part in pair)]
    left_out = [first.name for first, _ in pairs if first.name not in {kept.name for kept, _ in both}]
    if not both:
        return _none(), "no stage was seen on both sides"
    sides = [
        score_engine(observed.engine, kept, observation=observed.observation, **options)
        for kept in zip(*both, strict=True)
    ]
    for side, words in zip(sides, ("before", "since"), strict=True):
        if not len(side.frame):
            return (
                _none(),
                f"{words}: {side.reasons[-1] if side.reasons else 'under 10 people on every page'}",
            )
    return _compare(*sides), f"without {' and '.join(left_out)}, not seen on both sides" if left_out else ""


def _none() -> pd.DataFrame:
    return pd.DataFrame(columns=list(CHANGES))


def _compare(before: Score, since: Score) -> pd.DataFrame:
    joined = before.frame.merge(since.frame, on="content_id", suffixes=("_before", "_since"))
    ratio = (joined["theta_since"] / joined["theta_before"]).to_numpy(dtype=np.float64)
    change = np.log(ratio)
    width = norm.ppf(0.5 + before.level / 2)
    first, second = (_error(joined, side, width) for side in ("before", "since"))
    error = np.hypot(first, second)
    p = 2 * norm.sf(np.abs(change / error))
    q = benjamini_hochberg(p)
    table = pd.DataFrame(
        {
            "content_id": joined["content_id"], "before": joined["theta_before"], "since": joined["theta_since"],
            "change": ratio, "lower": np.exp(change - width * error), "upper": np.exp(change + width * error),
            "p": p, "q": q,
            "word": np.select(
                [q > _FALSE_DISCOVERIES, change > 0], ["as before, as far as can be told", "rose"], default="fell"
            ),
            "people_before": joined["people_before"], "people_since": joined["people_since"],
        }
    )  # fmt: skip
    order = np.argsort(-np.abs(change / error), kind="stable")
    return table.iloc[order].reset_index(drop=True)[list(CHANGES)]


def _error(joined: pd.DataFrame, side: str, width: float) -> NDArray[np.float64]:
    """Return the standard deviation of a side's log score, from its interval."""
    ratio = (joined[f"upper_{side}"] / joined[f"lower_{side}"]).to_numpy(dtype=np.float64)
    error: NDArray[np.float64] = np.log(ratio) / (2 * width)
    return error
