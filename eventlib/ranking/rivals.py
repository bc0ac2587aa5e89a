"""Other click models beside the one that judges: who predicts held-out people's clicks best (S8.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from eventlib.cells import SMALL_CELL
from eventlib.ranking.checks import perplexity
from eventlib.ranking.clicks import PositionBasedModel, SimplifiedDBN, UserBrowsingModel
from eventlib.ranking.evaluation import Z90
from eventlib.ranking.evidence import items

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from eventlib.ranking.pipeline import Judged, Ranking

__all__ = ["click_models"]

PRIOR_SHOWS: Final = 10.0
"""Shows at the mean that each item, and each place, starts from: a thin log must not promise certainty."""

COLUMNS: Final = ("model", "perplexity", "gain", "lower", "upper", "says")

_SAYS: Final = {
    "click rate by rank": "pages do not differ",
    "position-based (PBM)": "place and page, whatever else was clicked",
    "user browsing (UBM)": "also how far above the last click was",
    "dynamic Bayesian (SDBN)": "people read from the top and stop when satisfied",
}


def click_models(found: Ranking) -> pd.DataFrame:
    """Compare click models, fitted before the cut, on held-out answers.

    Returns
    -------
    DataFrame
        `model, perplexity` (conditional on the clicks above, 1 is certain, 2 a coin), `gain` over the click rate by
        rank in thousandths of a nat per show with a 90 % interval by person, `says` what the model takes clicks for; best
        first. Empty where nothing was trained, or under ten people are held out.
    """
    judged = found.judged
    if judged is None or judged.draws.weights.shape[1] < SMALL_CELL:
        return pd.DataFrame(columns=list(COLUMNS))
    before, after = _lists(judged.learned), _lists(judged.held.frame)
    rates = before.groupby("place")["clicked"].mean()
    rank_only = after["place"].map(rates).to_numpy(np.float64)
    names = list(_SAYS)
    predicted = {names[0]: rank_only} | dict(zip(names[1:], _predictions(before, after), strict=True))
    rows = [_row(judged, name, chances, rank_only) for name, chances in predicted.items()]
    return pd.DataFrame(rows, columns=list(COLUMNS)).sort_values(
        "perplexity", kind="stable", ignore_index=True
    )


def _lists(frame: pd.DataFrame) -> pd.DataFrame:
    """Return shows as the click models take them; places of different slots are lists of their own.

    So is what stands at a rank that the list has already: a list has each rank once.
    """
    again = frame.groupby(["answer_id", "slot", "rank"], sort=False).cumcount().astype(str)
    return pd.DataFrame(
        {
            "session": frame["answer_id"] + "\x1f" + frame["slot"] + "\x1f" + again,
            "item": items(frame),
            "rank": frame["rank"],
            "place": frame["place"],
            "clicked": frame["clicked"].astype(bool),
        }
    )


def _predictions(before: pd.DataFrame, after: pd.DataFrame) -> list[NDArray[np.float64]]:
    models = (
        PositionBasedModel(prior_shows=PRIOR_SHOWS, prior_place_shows=PRIOR_SHOWS),
        UserBrowsingModel(prior_shows=PRIOR_SHOWS, prior_place_shows=PRIOR_SHOWS),
        SimplifiedDBN(prior_shows=PRIOR_SHOWS),
    )
    return [model.fit(before).predict_conditional(after) for model in models]


def _row(
    judged: Judged, name: str, chances: NDArray[np.float64], rank_only: NDArray[np.float64]
) -> tuple[object, ...]:
    held = judged.held
    found = perplexity(chances, rank_only, held.clicked, held.person, judged.draws.weights)
    bounds = (found.gain, found.gain - Z90 * found.gain_sd, found.gain + Z90 * found.gain_sd)
    return (name, found.model, *(1000 * bound for bound in bounds), _SAYS[name])
