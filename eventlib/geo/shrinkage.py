"""Observed over expected, shrunk and with honest intervals (S7.6).

Each cell has a count O and what an average page would have had, E. Each stage happens or does not, so a cell
is O of n = E / base trials, where base is the stage's overall rate, and theta = chance / base. The logit of
the chance is normal over cells; its mean, spread and slope by log E are integrated over a grid weighted by
the marginal likelihood, so that the uncertainty of the prior is in the interval. The slope is there because
better pages are seen more: shrinking rarely seen pages to the mean of all flatters them. Counts are divided
by a dispersion: how much more (or less) than binomial they vary, which comes from resampling clusters, never
from a formula.

docs/decisions/0040 says why this is not a Gamma prior. Sources: DuMouchel (1999), shrinkage of observed over
expected; McCullagh and Nelder (1989), quasi-likelihood; Efron and Tibshirani (1993), the cluster bootstrap.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.special import expit, log_expit, logit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Posterior", "cluster_weights", "dispersion", "join_stages", "posterior_draws", "shrunk_ratio"]

Floats: TypeAlias = NDArray[np.float64]

_BLOCK: Final = 25
_LEAST: Final = 0.2
_OWN_FROM: Final = (
    50.0  # expected counts from which a cell's own variance is better known than the fitted line
)
_HIGHEST_RATE: Final = 0.98
_GRID: Final = 161
_SPREADS: Final = np.geomspace(0.03, 2.0, 12)
_MEANS: Final = np.linspace(-0.8, 0.8, 13)
_SLOPES: Final = np.linspace(-0.3, 0.9, 9)


def cluster_weights(rng: np.random.Generator, clusters: int, replicates: int) -> Iterator[Floats]:
    """Yield blocks of bootstrap weights, replicates by clusters: how often each cluster was drawn."""
    for start in range(0, replicates, _BLOCK):
        size = min(_BLOCK, replicates - start)
        yield rng.multinomial(clusters, np.full(clusters, 1 / clusters), size).astype(np.float64)


def shrunk_ratio(observed: Floats, expected: Floats, prior: float = 5.0) -> Floats:
    """Return (O + prior) / (E + prior): a steady first guess of theta."""
    ratio: Floats = (observed + prior) / (expected + prior)
    return ratio


def dispersion(observed: Floats, expected: Floats, base: float, residuals: Floats) -> Floats:
    """Return each cell's bootstrap variance over its binomial variance, as a line in E fitted over cells.

    Parameters
    ----------
    observed, expected
        Counts per cell, float64.
    base
        The stage's overall rate.
    residuals
        Replicates by cells: O* - theta * E* of each bootstrap replicate, with theta held.

    Returns
    -------
    numpy.ndarray of float64
        At least 0.2; a cell's own ratio where its expected count is 50 or more.
    """
    theta = shrunk_ratio(observed, expected)
    binomial = theta * expected * (1 - np.minimum(base * theta, _HIGHEST_RATE))
    if not binomial.any():
        return np.ones(len(observed))
    known = binomial > 0
    ratio = np.divide(residuals.var(axis=0, ddof=1), binomial, out=np.ones(len(observed)), where=known)
    weight = np.sqrt(np.minimum(binomial, _OWN_FROM))  # small cells tell little
    # an error of the exposure adds in proportion to E, and never takes away
    terms = np.column_stack([np.ones(len(expected)), expected / expected.max()])
    line = terms @ nnls(terms * weight[:, None], ratio * weight)[0]
    fitted: Floats = np.maximum(np.where(expected >= _OWN_FROM, ratio, line), _LEAST)
    return fitted


@dataclass(frozen=True, slots=True)
class Posterior:
    """Draws of one stage, and what its prior had to do with them.

    Attributes
    ----------
    theta
        Draws by cells.
    kept
        Per cell, the share of its prior variance that the data have removed: 0 knows nothing, 1 everything.
    pull
        Per cell, how many prior standard deviations the data moved it from where its prior stood.
    """

    theta: Floats
    kept: Floats
    pull: Floats


def posterior_draws(
    observed: Floats, expected: Floats, spread: Floats, base: float, *, draws: int, rng: np.random.Generator
) -> Posterior:
    """Draw theta of every cell.

    Parameters
    ----------
    observed, expected, base
        As in `dispersion`.
    spread
        The dispersion of each cell.

    Examples
    --------
    >>> rng, counts = np.random.default_rng(0), (np.array([300.0, 1.0]), np.array([100.0, 1.0]))
    >>> theta = posterior_draws(*counts, np.ones(2), 0.1, draws=4000, rng=rng).theta
    >>> bool(2.5 < theta[:, 0].mean() < 3.1)  # much evidence: near 3
    True
    """
    base = min(max(base, 1e-4), _HIGHEST_RATE)
    grid = logit(base) + np.linspace(-4.0, 4.0, _GRID)
    trials = np.maximum(expected / base, observed)
    evidence = observed[:, None] * log_expit(grid) + (trials - observed)[:, None] * log_expit(-grid)
    evidence = evidence / spread[:, None]
    evidence = np.exp(evidence - evidence.max(axis=1, keepdims=True))  # cells by grid
    size = np.log(expected + 0.5)
    size = size - np.average(size, weights=expected + 1e-9)
    size = size / max(float(np.sqrt(np.average(size**2, weights=expected + 1e-9))), 1e-6)
    sd, mean, slope = (axis.ravel() for axis in np.meshgrid(_SPREADS, _MEANS, _SLOPES, indexing="ij"))
    centre = logit(base) + mean[:, None] + slope[:, None] * size  # priors by cells
    fit = np.array(
        [_marginal(evidence, grid, middle, width) for middle, width in zip(centre, sd, strict=True)]
    )
    weight = (
        np.exp(fit - fit.max()) * sd
    )  # flat in the spread, not in its log: a spread of nothing is not favoured
    weight = weight / weight.sum()
    priors, often = np.unique(rng.choice(len(weight), draws, p=weight), return_counts=True)
    parts = [
        _sample(evidence * _normal(grid, centre[p], sd[p]), grid, n, rng)
        for p, n in zip(priors, often, strict=True)
    ]
    chance = np.concatenate(parts)
    prior_sd = float(np.sqrt(weight @ sd**2))
    kept = np.clip(1 - chance.var(axis=0) / prior_sd**2, 0.0, 1.0)
    pull = (chance.mean(axis=0) - weight @ centre) / prior_sd
    return Posterior(rng.permutation(expit(chance)) / base, kept, pull)


def _sample(density: Floats, grid: Floats, count: int, rng: np.random.Generator) -> Floats:
    """Draw from each cell's density on the grid, evenly within its steps."""
    below = np.cumsum(density, axis=1)
    wanted = rng.random((count, len(density))) * below[:, -1]
    at = np.stack(
        [np.searchsorted(edges, column) for edges, column in zip(below, wanted.T, strict=True)], axis=1
    )
    drawn: Floats = grid[np.minimum(at, len(grid) - 1)] + (grid[1] - grid[0]) * (rng.random(at.shape) - 0.5)
    return drawn


def join_stages(posteriors: Sequence[Posterior], rng: np.random.Generator) -> list[Floats]:
    """Return the stages' draws of theta, reordered within each cell so that stages err together.

    A page that is better than its numbers show is so at several stages: where data are few, errors of the
    stages go together, and independent draws would make the product's interval too narrow. The correlation of
    the stages' truths is estimated by moments over cells; a cell's draws get as much of it as its data have
    left open.
    """
    pairs = list(combinations(range(len(posteriors)), 2))
    top = sum(float(posteriors[a].pull @ posteriors[b].pull) for a, b in pairs)
    bottom = sum(float(posteriors[a].kept @ posteriors[b].kept) for a, b in pairs)
    together = float(np.clip(top / bottom, 0.0, 0.95)) if bottom > 0 else 0.0
    shape = posteriors[0].theta.shape
    common = rng.normal(size=shape)
    joined = []
    for one in posteriors:
        share = together * (1 - one.kept)
        order = np.sqrt(share) * common + np.sqrt(1 - share) * rng.normal(size=shape)
        rank = np.argsort(np.argsort(order, axis=0), axis=0)
        joined.append(np.take_along_axis(np.sort(one.theta, axis=0), rank, axis=0))
    return joined


def _normal(grid: Floats, mean: Floats, sd: float) -> Floats:
    density: Floats = np.exp(-0.5 * ((grid - mean[:, None]) / sd) ** 2)
    return density


def _marginal(evidence: Floats, grid: Floats, mean: Floats, sd: float) -> float:
    prior = _normal(grid, mean, sd)
    within = (evidence * prior).sum(axis=1) / np.maximum(prior.sum(axis=1), 1e-300)
    return float(np.log(np.maximum(within, 1e-300)).sum())
