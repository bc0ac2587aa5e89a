"""Observed over expected, shrunk and with honest intervals (S7.6).

Each cell has a count O and what an average page would have had, E. O / phi is taken as Poisson with mean
theta * E / phi, theta as Gamma distributed over cells; the Gamma's shape and mean are integrated over a grid,
weighted by the marginal likelihood, so that the uncertainty of the prior is in the interval. The dispersion
phi says how much more (or less) than a Poisson count the data vary; it comes from resampling clusters, never
from a formula.

Sources: DuMouchel (1999), gamma-Poisson shrinkage of observed over expected; Efron and Tibshirani (1993), the
cluster bootstrap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, logsumexp

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["cluster_weights", "dispersion", "posterior_draws"]

Floats: TypeAlias = NDArray[np.float64]

_SHAPES: Final = np.geomspace(0.3, 300, 24)
_MEANS: Final = np.exp(np.linspace(-0.7, 0.7, 15))
_BLOCK: Final = 25
_LEAST_PHI: Final = 0.1
_OWN_FROM: Final = (
    50.0  # expected counts from which a cell's own variance is better known than the fitted line
)


def cluster_weights(rng: np.random.Generator, clusters: int, replicates: int) -> Iterator[Floats]:
    """Yield blocks of bootstrap weights, replicates by clusters: how often each cluster was drawn."""
    for start in range(0, replicates, _BLOCK):
        size = min(_BLOCK, replicates - start)
        yield rng.multinomial(clusters, np.full(clusters, 1 / clusters), size).astype(np.float64)


def dispersion(observed: Floats, expected: Floats, residuals: Floats) -> Floats:
    """Return phi per cell: bootstrap variance over Poisson variance, as phi0 + phi1 * E fitted over cells.

    Parameters
    ----------
    observed, expected
        Counts per cell, float64.
    residuals
        Replicates by cells: O* - theta * E* of each bootstrap replicate, with theta held.

    Returns
    -------
    numpy.ndarray of float64
        At least 0.1; a cell's own ratio where its expected count is 50 or more.
    """
    poisson = shrunk_ratio(observed, expected) * expected
    seen = poisson > 0
    if not seen.any():
        return np.ones(len(observed))
    ratio = np.divide(residuals.var(axis=0, ddof=1), poisson, out=np.ones(len(observed)), where=seen)
    weight = np.where(seen, np.minimum(poisson, _OWN_FROM), 0.0)  # small cells tell little of phi
    centred = expected - np.average(expected, weights=weight)
    spread = float(weight @ centred**2)
    # error of the exposure grows with E; a falling line would be noise
    slope = max(float(weight @ (centred * ratio)) / spread, 0.0) if spread > 0 else 0.0
    line = np.average(ratio, weights=weight) + slope * centred
    phi: Floats = np.maximum(np.where(expected >= _OWN_FROM, ratio, line), _LEAST_PHI)
    return phi


def shrunk_ratio(observed: Floats, expected: Floats, prior: float = 5.0) -> Floats:
    """Return (O + prior) / (E + prior): a steady first guess of theta."""
    ratio: Floats = (observed + prior) / (expected + prior)
    return ratio


def posterior_draws(
    observed: Floats, expected: Floats, phi: Floats, draws: int, rng: np.random.Generator
) -> Floats:
    """Return joint draws of theta, shape (draws, cells); all cells of a draw share one prior.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> theta = posterior_draws(np.array([300.0, 1.0]), np.array([100.0, 1.0]), np.ones(2), 4000, rng)
    >>> 2.7 < theta[:, 0].mean() < 3.1  # much evidence: near 3
    True
    """
    count, scale = observed / phi, expected / phi
    shape, mean = (axis.ravel() for axis in np.meshgrid(_SHAPES, _MEANS, indexing="ij"))
    rate = shape / mean
    marginal = (
        gammaln(shape[:, None] + count)
        - gammaln(shape)[:, None]
        + (shape * np.log(rate))[:, None]
        - (shape[:, None] + count) * np.log(rate[:, None] + scale)
    ).sum(axis=1)
    weight = np.exp(marginal - logsumexp(marginal))
    prior = rng.choice(len(weight), draws, p=weight / weight.sum())
    theta: Floats = rng.gamma(shape[prior, None] + count, 1.0) / (rate[prior, None] + scale)
    return np.maximum(theta, 1e-300)
