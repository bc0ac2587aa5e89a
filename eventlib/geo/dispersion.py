"""How much counts vary beyond (or below) chance, from resampling clusters (S7.6).

Counts of one page come in clusters: a person's clicks are alike, and so are answers to one prompt on one day.
The variance of O - theta E is taken over cluster-bootstrap replicates, each of which refits the exposure that
E rests on, and set against the binomial variance.

Sources: Efron and Tibshirani (1993), the cluster bootstrap; McCullagh and Nelder (1989), quasi-likelihood.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.sparse import csr_array

from eventlib.cells import distinct_clusters
from eventlib.exposure import conditional_fit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from eventlib.geo.stages import Stage

__all__ = ["CellCounts", "cluster_weights", "dispersion", "shrunk_ratio"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

_BLOCK: Final = 25
_LEAST: Final = 0.2
_OWN_FROM: Final = 50.0
"""Expected counts from which a cell's own variance is better known than the line fitted over cells."""
_HIGHEST_RATE: Final = 0.98
_PRIOR: Final = 5.0  # expected counts of an average page added to a first guess
_REFIT_STEPS: Final = 3  # from the estimate, Newton needs no more


def cluster_weights(rng: np.random.Generator, clusters: int, replicates: int) -> Iterator[Floats]:
    """Yield blocks of bootstrap weights, replicates by clusters: how often each cluster was drawn."""
    for start in range(0, replicates, _BLOCK):
        size = min(_BLOCK, replicates - start)
        yield rng.multinomial(clusters, np.full(clusters, 1 / clusters), size).astype(np.float64)


def shrunk_ratio(observed: Floats, expected: Floats, prior: float = _PRIOR) -> Floats:
    """Return (O + prior) / (E + prior): a steady first guess of theta."""
    ratio: Floats = (observed + prior) / (expected + prior)
    return ratio


def _binomial(theta: Floats, expected: Floats, base: float) -> Floats:
    variance: Floats = theta * expected * (1 - np.minimum(base * theta, _HIGHEST_RATE))
    return variance


def dispersion(
    observed: Floats, expected: Floats, base: float, residuals: Floats, clusters: Floats | None = None
) -> Floats:
    """Return each cell's bootstrap variance over its binomial variance, as a line in E fitted over cells.

    Parameters
    ----------
    observed, expected
        Counts per cell, float64.
    base
        The stage's overall rate.
    residuals
        Replicates by cells: O* - theta * E* of each bootstrap replicate, with theta held.
    clusters
        Clusters per cell. Theta was fitted to their counts, so that residuals are a little too small; with
        their number that is made good.

    Returns
    -------
    numpy.ndarray of float64
        At least 0.2; a cell's own ratio where its expected count is 50 or more.
    """
    binomial = _binomial(shrunk_ratio(observed, expected), expected, base)
    if not binomial.any():
        return np.ones(len(observed))
    known = binomial > 0
    ratio = np.divide(residuals.var(axis=0, ddof=1), binomial, out=np.ones(len(observed)), where=known)
    if clusters is not None:
        ratio /= 1 - expected / (expected + _PRIOR) / np.maximum(clusters, 2.0)
    weight = np.sqrt(np.minimum(binomial, _OWN_FROM))  # small cells tell little
    # an error of the exposure adds in proportion to E, and never takes away
    terms = np.column_stack([np.ones(len(expected)), expected / expected.max()])
    line = terms @ nnls(terms * weight[:, None], ratio * weight)[0]
    fitted: Floats = np.maximum(np.where(expected >= _OWN_FROM, ratio, line), _LEAST)
    return fitted


@dataclass(slots=True)
class CellCounts:
    """A stage's counts per cell, and their bootstrap replicates as they come in.

    Attributes
    ----------
    cell, cluster
        Codes of each row of the stage, int64.
    observed, expected
        Sums per cell.
    """

    stage: Stage
    cell: Ints
    cluster: Ints
    observed: Floats
    expected: Floats
    residuals: list[Floats] = field(default_factory=list)

    @classmethod
    def of(cls, stage: Stage, cell: Ints, cluster: Ints, cells: int) -> CellCounts:
        """Sum a stage's rows by cell."""
        observed, expected = (
            np.bincount(cell, part, cells).astype(np.float64) for part in (stage.observed, stage.expected)
        )
        return cls(stage, cell, cluster, observed, expected)

    def spread(self, blocks: Sequence[Floats]) -> Floats:
        """Return the dispersion of each cell's counts over the bootstrap's replicates."""
        self._replicate(blocks)
        found = dispersion(
            self.observed, self.expected, self.stage.base, np.concatenate(self.residuals), self.clusters()
        )
        return self.stage.inflation * found

    def model_error(self) -> Floats:
        """Return the sd of the log of each cell's expectation that no data remove: less over more prompts."""
        stage = self.stage
        if stage.prompt is None or not stage.model_error:
            return np.full(len(self.observed), stage.model_error)
        prompt, names = pd.factorize(stage.prompt)
        pair, keys = pd.factorize(self.cell * len(names) + prompt)
        weight = np.bincount(pair, stage.expected, len(keys))
        squares = np.bincount(keys // len(names), weight**2, len(self.observed))
        share = np.divide(squares, self.expected**2, out=np.ones(len(squares)), where=self.expected > 0)
        error: Floats = stage.model_error * np.sqrt(share)
        return error

    def clusters(self) -> Floats:
        """Return how many clusters have rows of each cell."""
        return distinct_clusters(self.cell, self.cluster, len(self.observed)).astype(np.float64)

    def _sums(self, column: Ints, values: Floats, width: int, clusters: int) -> csr_array:
        """Clusters by columns, summed: a replicate's totals are then one product with its weights."""
        return csr_array((values, (self.cluster, column)), shape=(clusters, width))

    def _replicate(self, blocks: Sequence[Floats]) -> None:
        """Fill in O* - theta E* of every replicate; each refits the exposure and the overall rate."""
        size, clusters = len(self.observed), blocks[0].shape[1]
        theta = shrunk_ratio(self.observed, self.expected)
        observed = self._sums(self.cell, self.stage.observed, size, clusters)
        hope = (self._fixed if self.stage.swaps is None else self._refitted)(size, clusters)
        for weights in blocks:
            seen, hoped = weights @ observed, hope(weights)
            hoped *= seen.sum(axis=1, keepdims=True) / np.maximum(hoped.sum(axis=1, keepdims=True), 1e-12)
            self.residuals.append(seen - theta * hoped)

    def _fixed(self, size: int, clusters: int) -> Callable[[Floats], Floats]:
        """Return a function from replicate weights to expected counts that only reweights them."""
        expected = self._sums(self.cell, self.stage.expected, size, clusters)
        return lambda weights: weights @ expected

    def _refitted(self, size: int, clusters: int) -> Callable[[Floats], Floats]:
        """Return a function from replicate weights to expected counts at the exposure refitted to them."""
        stage, swaps = self.stage, self.stage.swaps
        assert swaps is not None
        places = len(swaps.positions)
        kept, informing = swaps.informing()
        at = informing.key * places + informing.position
        width = (int(informing.key.max(initial=0)) + 1) * places
        shows, clicks = (
            csr_array((values, (self.cluster[kept], at)), shape=(clusters, width))
            for values in (np.ones(len(at)), informing.clicked)
        )
        counted = np.ones(len(swaps.key)) if stage.weight is None else stage.weight
        placed = self._sums(self.cell * places + swaps.position, counted, size * places, clusters)

        def hope(weights: Floats) -> Floats:
            curves = _refit(weights @ shows, weights @ clicks, places, stage.log_exposure)
            placings = (weights @ placed).reshape(len(weights), size, places)
            expected: Floats = np.einsum("rcp,rp->rc", placings, curves)
            return expected

        return hope


def _refit(shows: Floats, clicks: Floats, places: int, start: Floats | None) -> Floats:
    curves = [
        conditional_fit(n.reshape(-1, places), c.reshape(-1, places), start, ridge=0.1, steps=_REFIT_STEPS)[0]
        for n, c in zip(shows, clicks, strict=True)
    ]
    return np.exp(np.array(curves))
