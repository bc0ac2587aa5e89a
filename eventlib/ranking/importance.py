"""What the ranker leans on: how much worse held-out clicks are explained without a feature or a group (S8.7).

Source: Breiman, Random forests, 2001; Fisher, Rudin and Dominici, All models are wrong, but many are useful,
2019 (permutation importance of any model).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eventlib.errors import BadCallError
from eventlib.ranking.explain import GROUPS, group_columns, group_names
from eventlib.ranking.features import FEATURES, code_cells

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventlib.ranking.pipeline import Judged, Ranking

__all__ = ["SHUFFLES", "importance"]

Floats: TypeAlias = NDArray[np.float64]

SHUFFLES: Final = 20


def importance(ranking: Ranking, by: str = "feature") -> pd.DataFrame:
    """Return how much worse held-out clicks are explained when features are shuffled among the cells.

    Values move from cell to cell, never from show to show: all shows of a content version for a prompt get the same.
    Columns of a group move together, so that what they say alike is lost with them; single features that say the
    same share their weight, and each alone may seem to matter little.

    Parameters
    ----------
    ranking
        As `train_ranking` returns it.
    by
        `feature`, one at a time, or `group`.

    Returns
    -------
    DataFrame
        `feature, group, loss, lower, upper`, or `group, features, loss, lower, upper`: nats per thousand shows, mean
        and 5 % to 95 % of twenty shuffles, most first.

    Raises
    ------
    BadCallError
        `by` is neither.
    """
    if by not in ("feature", "group"):
        raise BadCallError.unknown("way to shuffle", by, ("feature", "group"))
    groups = group_columns()
    blocks = list(groups.values()) if by == "group" else [[column] for column in range(len(FEATURES))]
    named = (
        _name_groups(groups)
        if by == "group"
        else pd.DataFrame(group_names().items(), columns=["feature", "group"])
    )
    if ranking.judged is None:
        return named.head(0).assign(**{name: pd.Series(dtype=float) for name in ("loss", "lower", "upper")})
    rng = np.random.default_rng(ranking.options.seed + 3)
    losses = _losses(ranking.judged, blocks, rng)
    low, high = np.quantile(losses, [0.05, 0.95], axis=1)
    frame = named.assign(loss=losses.mean(axis=1), lower=low, upper=high)
    return frame.sort_values("loss", ascending=False, kind="stable", ignore_index=True)


def _name_groups(groups: dict[str, list[int]]) -> pd.DataFrame:
    features = [", ".join(FEATURES[column].name for column in columns) for columns in groups.values()]
    return pd.DataFrame({"group": [GROUPS[group][0] for group in groups], "features": features})


def _losses(judged: Judged, blocks: Sequence[Sequence[int]], rng: np.random.Generator) -> Floats:
    """Return the loss per block of columns and shuffle; cells are scored, shows are judged."""
    held, ranker = judged.held, judged.ranker
    cells, where = code_cells(held.frame)
    design = ranker.design(cells, judged.contents)
    theta = judged.theta[held.place]

    def likelihood(matrix: NDArray[np.float32]) -> float:
        p = np.clip(theta * ranker.predict(matrix)[where], 1e-6, 1 - 1e-6)
        return float(np.where(held.clicked > 0, np.log(p), np.log1p(-p)).mean())

    whole = likelihood(design)
    losses = np.zeros((len(blocks), SHUFFLES))
    for row, columns in enumerate(blocks):
        for shuffle in range(SHUFFLES):
            shuffled = design.copy()
            shuffled[:, columns] = design[rng.permutation(len(design))][:, columns]
            losses[row, shuffle] = 1000 * (whole - likelihood(shuffled))
    return losses
