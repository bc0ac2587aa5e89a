"""The champion's value where places were drawn at random: without a click model, against the model's answer (S8.6).

Where the tracker logs the probability of each place (`propensity`), a citation that happens to stand where the
champion would have put it counts for one over that probability. That supposes only that a citation's clicks do not
hang on what stands around it. The position-based model says what the same answers would have earned from every
citation, not just from those that matched; if it is right, both agree.

Source: Horvitz and Thompson (1952); Li, Chen, Kleban and Gupta (2015), counterfactual estimation for search engines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from eventlib.exposure import placed_at_random
from eventlib.ranking.evaluation import Z95, moved_clicks, new_places, shift_values

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from eventlib.ranking.evaluation import HeldOut, Replicates

__all__ = ["Slice", "randomised_slice"]


@dataclass(frozen=True, slots=True)
class Slice:
    """Clicks per answer of the champion on randomised answers.

    Attributes
    ----------
    answers
        Held-out answers all of whose places were drawn at random.
    matched
        By citations that stand where the champion would put them, whatever the click model.
    modelled
        By the position-based model on the same answers.
    sd
        Of their difference, over people.
    gain
        What the model says the champion gains on them.
    """

    answers: int
    matched: float
    modelled: float
    sd: float
    gain: float

    @property
    def asked(self) -> bool:
        """It would be found, with a chance of .8, if all of the gain were the model's mistake."""
        return self.sd > 0 and abs(self.gain) >= (Z95 + 0.8416) * self.sd

    @property
    def agrees(self) -> bool:
        """The 95 % interval of the difference holds 0."""
        return abs(self.matched - self.modelled) <= Z95 * self.sd


def randomised_slice(data: HeldOut, draws: Replicates, relevance: NDArray[np.float64]) -> Slice | None:
    """Compare both values on the held-out answers whose places were all drawn at random; None if there are none."""
    drawn = placed_at_random(data.frame)
    whole = np.ones(int(data.answer.max(initial=-1)) + 1, dtype=np.bool_)
    np.logical_and.at(whole, data.answer, drawn)
    rows = whole[data.answer]
    if not rows.any():
        return None
    propensity = data.frame["propensity"].to_numpy(np.float64)
    moved = new_places(data, relevance)
    people = draws.weights.shape[1]
    weight = np.where(rows & (moved == data.place), data.clicked / np.where(drawn, propensity, 1.0), 0.0)
    matched = np.bincount(data.person, weight, people)
    first = rows & ~data.frame["answer_id"].duplicated().to_numpy()
    answers = np.bincount(data.person[first], minlength=people).astype(np.float64)
    model, models = shift_values(data, draws, moved_clicks(data, moved, rows))
    counts = np.maximum(draws.weights @ answers, 1.0)
    differences = (draws.weights @ matched - models) / counts
    n = answers.sum()
    return Slice(
        int(n),
        float(matched.sum() / n),
        model / n,
        float(differences.std(ddof=1)),
        (model - float(data.clicked[rows].sum())) / n,
    )
