"""What learns relevance from features: trees by squared loss, of scikit-learn or of LightGBM, behind one interface (S8.3).

Both are boosted alike (60 trees of 8 leaves, 32 bins, 20 rows per leaf), on float32 and on one thread: cells are
few, threads would wait for each other longer than they work, and sums in another order are other trees.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import ThreadpoolController

from eventlib.errors import BadCallError

if TYPE_CHECKING:
    import lightgbm

__all__ = ["LEARNERS", "BoosterRegressor", "HistRegressor", "Regressor", "check_learner", "fit_regressor"]

TREES: Final = 60
SHRINKAGE: Final = 0.1
LEAVES: Final = 8
ROWS_PER_LEAF: Final = 20
L2: Final = 1.0
BINS: Final = 32
"""Weighted bins are costly, and histories are not known any finer."""


class Regressor(Protocol):
    """A fitted regressor."""

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return a float64 per row of `x`, shape (rows, features) without NaN."""


@dataclass(frozen=True, slots=True)
class HistRegressor:
    """Trees of scikit-learn."""

    model: HistGradientBoostingRegressor

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the sum of the trees, shape (rows,)."""
        with _one_thread():
            found: NDArray[np.float64] = self.model.predict(x)
        return found


@dataclass(frozen=True, slots=True)
class BoosterRegressor:
    """Trees of LightGBM."""

    model: lightgbm.Booster

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the sum of the trees, shape (rows,)."""
        return np.asarray(self.model.predict(x, num_threads=1), dtype=np.float64)


@cache
def _threads() -> ThreadpoolController:
    return ThreadpoolController()  # finding the libraries takes longer than a fit: once


def _one_thread() -> AbstractContextManager[Any]:
    limited: AbstractContextManager[Any] = _threads().limit(limits=1, user_api="openmp")
    return limited


def _hist(
    seed: int,
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    w: NDArray[np.float64],
    monotone: Sequence[int] | None,
) -> HistRegressor:
    model = HistGradientBoostingRegressor(
        learning_rate=SHRINKAGE,
        max_iter=TREES,
        max_bins=BINS,
        max_leaf_nodes=LEAVES,
        min_samples_leaf=ROWS_PER_LEAF,
        l2_regularization=L2,
        monotonic_cst=monotone,
        early_stopping=False,
        random_state=seed,
    )
    with _one_thread():
        return HistRegressor(model.fit(x, y, sample_weight=w))


def _lightgbm(
    seed: int,
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    w: NDArray[np.float64],
    monotone: Sequence[int] | None,
) -> BoosterRegressor:
    library = _import_lightgbm()
    parameters = {
        "objective": "regression",
        "learning_rate": SHRINKAGE,
        "max_bin": BINS,
        "num_leaves": LEAVES,
        "min_data_in_leaf": ROWS_PER_LEAF,
        "lambda_l2": L2,
        "monotone_constraints": None if monotone is None else list(monotone),
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,  # else the faster layout is found by trying, and sums follow the layout
        "num_threads": 1,
        "verbosity": -1,
    }
    data = library.Dataset(x, y, weight=w, params=parameters)
    return BoosterRegressor(library.train(parameters, data, TREES))


def _import_lightgbm() -> ModuleType:
    try:
        import lightgbm  # noqa: PLC0415  # an extra, asked for by name
    except ImportError as error:
        raise BadCallError(
            "the learner 'lightgbm' needs the library of that name: install eventlib[lightgbm], or take 'hist'"
        ) from error
    return lightgbm


_Fit = Callable[
    [int, NDArray[np.float32], NDArray[np.float32], NDArray[np.float64], Sequence[int] | None], Regressor
]
LEARNERS: Final[dict[str, _Fit]] = {"hist": _hist, "lightgbm": _lightgbm}
"""How each learner is fitted, by the name that options give it."""


def check_learner(name: str) -> None:
    """Refuse a learner that does not exist or is not installed.

    Raises
    ------
    BadCallError
        Naming the learners there are, or the extra to install.

    Examples
    --------
    >>> check_learner("histt")
    Traceback (most recent call last):
    eventlib.errors.BadCallError: unknown learner 'histt'. Did you mean 'hist'? Available: hist, lightgbm.
    """
    if name not in LEARNERS:
        raise BadCallError.unknown("learner", name, LEARNERS)
    if name == "lightgbm":
        _import_lightgbm()


def fit_regressor(
    learner: str,
    seed: int,
    x: NDArray[np.float32],
    y: NDArray[np.float64],
    w: NDArray[np.float64],
    monotone: Sequence[int] | None = None,
) -> Regressor:
    """Fit trees by weighted squared loss; the same arguments give the same trees.

    Parameters
    ----------
    learner
        A key of `LEARNERS`.
    seed
        Of what the learner draws.
    x
        Features, float32 without NaN, shape (rows, features).
    y, w
        Labels and weights, shape (rows,); only the ratios of weights count.
    monotone
        Per feature 1 where more of it may only raise the output, -1 where only lower, 0 where either.

    Raises
    ------
    BadCallError
        As `check_learner`.
    """
    check_learner(learner)
    return LEARNERS[learner](seed, x, y.astype(np.float32), w / w.mean(), monotone)
