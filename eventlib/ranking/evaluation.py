"""What a ranker would have earned on held-out answers: inverse propensity scoring over places (S8.5).

A policy puts the citations of each answer in another order. Under the position-based model a click at place `o`
would have come at place `n` with `e(n) / e(o)` of its probability, so that

    value = sum over clicks of e(new place) / e(shown place), per answer,

is unbiased for the clicks per answer that the policy would have had, whatever the relevance. Weights are not
clipped. The error is the standard deviation over replicates that resample people and refit exposure on the held-out
fold; bounds are estimate ± z * sd, since percentiles under-cover and fixed exposures are overconfident.

Source: Joachims, Swaminathan and Schnabel, WSDM 2017; Li et al., Offline evaluation of ranking policies with click
models, KDD 2018 (the item-position estimator).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from scipy import sparse

from eventlib.cells import distinct_clusters
from eventlib.exposure import conditional_fit, estimate_exposure, harvest_swaps

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

__all__ = [
    "LOGGING",
    "UNIFORM",
    "HeldOut",
    "Replicates",
    "compare_policies",
    "draw_people",
    "effective_size",
    "exposure_refits",
    "held_out",
    "moved_clicks",
    "new_places",
    "place_names",
    "replicate",
    "shift_values",
]

LOGGING: Final = "logging"
"""The policy that wrote the log: its value is the clicks per answer as they were."""

UNIFORM: Final = "random"
"""Any order of an answer's citations, all alike likely: what is better than this knows something."""

Z90: Final = 1.6448536269514722
Z95: Final = 1.959963984540054


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Held-out shows of one engine as codes, one entry per show.

    Attributes
    ----------
    frame : DataFrame
        The impressions, with `place` and `prompt_cluster`.
    answer, person, place : ndarray of intp
        Codes; `place` indexes `exposure`.
    clicked : ndarray of float64
    exposure : ndarray of float64, shape (places,)
        Exposure of each place, fitted on these shows; NaN where swaps do not connect it.
    places : list of str
        Name of each place.
    """

    frame: pd.DataFrame
    answer: NDArray[np.intp]
    person: NDArray[np.intp]
    place: NDArray[np.intp]
    clicked: NDArray[np.float64]
    exposure: NDArray[np.float64]
    places: list[str]

    @property
    def connected(self) -> bool:
        """Every place in use has an exposure: policies can be compared."""
        return bool(len(self.frame)) and bool(np.isfinite(self.exposure).all())

    @property
    def people(self) -> int:
        """Number of people."""
        return int(self.person.max(initial=-1)) + 1

    @property
    def answers_of_person(self) -> NDArray[np.float64]:
        """Number of answers that each person saw, shape (people,)."""
        return distinct_clusters(self.person, self.answer, self.people).astype(np.float64)


@dataclass(frozen=True, slots=True)
class Replicates:
    """Bootstrap replicates over people, each with its own exposure.

    Attributes
    ----------
    weights : ndarray of float64, shape (replicates, people)
        How often each person was drawn.
    exposure : ndarray of float64, shape (replicates, places)
    """

    weights: NDArray[np.float64]
    exposure: NDArray[np.float64]


def place_names(frame: pd.DataFrame) -> pd.Series[str]:
    """Name the place of each show: `inline 2`."""
    return frame["slot"].astype(str) + " " + frame["rank"].astype(str)


def held_out(frame: pd.DataFrame, places: list[str]) -> HeldOut:
    """Code held-out shows, and fit exposure on them alone.

    Parameters
    ----------
    frame
        Impressions at `places` only, with `place` and `prompt_cluster`.
    places
        Names of the places in use, the reference first.
    """
    curve = estimate_exposure(frame).frame
    found = curve.set_index(place_names(curve))["exposure"].reindex(places).to_numpy(np.float64)
    return HeldOut(
        frame=frame,
        answer=pd.factorize(frame["answer_id"], sort=True)[0],
        person=pd.factorize(frame["person"])[0],
        place=pd.Index(places).get_indexer(pd.Index(frame["place"])),
        clicked=frame["clicked"].to_numpy(np.float64),
        exposure=found / found[0],
        places=places,
    )


_RIDGE: Final = 1e-6
"""Keeps a replicate finite that happened to draw nobody who clicked at a place; too weak to move any other."""


def exposure_refits(
    frame: pd.DataFrame, places: list[str], person: NDArray[np.intp], full: NDArray[np.float64] | None = None
) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """Return a function from how often each person was drawn to the exposure of each place, the first 1.

    Parameters
    ----------
    frame
        Impressions at `places` only.
    person
        Code of each show's person.
    full
        Exposure of each place to start from; all alike if None.
    """
    informs, swaps = harvest_swaps(frame).informing()
    order = [list(place_names(swaps.positions)).index(name) for name in places]
    who, start = person[informs], np.zeros(len(order))
    if full is not None:
        start[order] = np.log(full)
        start -= start[0]

    def refit(drawn: NDArray[np.float64]) -> NDArray[np.float64]:
        fitted, _ = conditional_fit(*swaps.matrices(drawn[who]), start=start, ridge=_RIDGE)
        exposure: NDArray[np.float64] = np.exp(fitted[order] - fitted[order[0]])
        return exposure

    return refit


def draw_people(people: int, replicates: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw people with replacement; return how often each was drawn, shape (replicates, people)."""
    drawn = rng.multinomial(people, np.full(people, 1 / people), size=replicates)
    return drawn.astype(np.float64)


def replicate(data: HeldOut, replicates: int, seed: int) -> Replicates:
    """Draw people with replacement and refit exposure for each draw, from the full fit's values."""
    weights = draw_people(data.people, replicates, np.random.default_rng(seed))
    refit = exposure_refits(data.frame, data.places, data.person, data.exposure)
    return Replicates(weights, np.stack([refit(weight) for weight in weights]))


def new_places(data: HeldOut, score: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return where each show would stand if every answer were ordered by score, best first.

    The places of an answer stay, in order of rank; equal scores are ordered by content id, never by where they stood.
    """
    rank = data.frame["rank"].to_numpy()
    by_rank = np.lexsort((rank, data.answer))
    content = pd.factorize(data.frame["content_id"], sort=True)[0]
    by_score = np.lexsort((content, -score, data.answer))
    moved = np.empty_like(data.place)
    moved[by_score] = data.place[by_rank]
    return moved


def moved_clicks(
    data: HeldOut, moved: NDArray[np.intp], rows: NDArray[np.bool_] | None = None
) -> sparse.csr_array:
    """Sum clicks by person and (shown, new) place, shape (people, places²): all that any exposure needs."""
    counted = np.flatnonzero((data.clicked > 0) if rows is None else rows & (data.clicked > 0))
    return _by_pair(data, counted, moved[counted], np.ones(len(counted)))


def _uniform_sums(data: HeldOut) -> sparse.csr_array:
    """Sum clicks likewise, each spread evenly over the places of its answer."""
    shown = sparse.csr_array((np.ones(len(data.answer)), (data.answer, data.place)))
    counted = np.flatnonzero(data.clicked > 0)
    spread = shown[data.answer[counted]].tocoo()
    size = shown.sum(axis=1)[data.answer[counted]]
    return _by_pair(data, counted[spread.row], spread.col, spread.data / size[spread.row])


def _by_pair(
    data: HeldOut, show: NDArray[np.intp], new: NDArray[np.intp], weight: NDArray[np.float64]
) -> sparse.csr_array:
    pair = data.place[show] * len(data.places) + new
    shape = (data.people, len(data.places) ** 2)
    return sparse.csr_array((data.clicked[show] * weight, (data.person[show], pair)), shape=shape)


def shift_values(
    data: HeldOut, draws: Replicates, sums: sparse.csr_array
) -> tuple[float, NDArray[np.float64]]:
    """Return the clicks that an order would have had, by the ratio of exposures, and the same in each replicate.

    Parameters
    ----------
    sums
        Clicks by person and (shown, new) place.
    """
    value = float(sums.sum(axis=0) @ _ratios(data.exposure[None])[0])
    return value, ((draws.weights @ sums) * _ratios(draws.exposure)).sum(axis=1)


def _ratios(exposure: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return e(new) / e(shown) for every pair of places, shape (replicates, places²)."""
    ratio = exposure[:, None, :] / exposure[:, :, None]
    pairs: NDArray[np.float64] = ratio.reshape(len(exposure), -1)
    return pairs


def effective_size(weights: NDArray[np.float64]) -> float:
    """Return Kish's effective sample size, `(sum w)² / sum w²`.

    >>> effective_size(np.array([1.0, 1.0, 1.0, 1.0])), effective_size(np.array([1.0, 0.0]))
    (4.0, 1.0)
    """
    square = float((weights**2).sum())
    return float(weights.sum()) ** 2 / square if square else 0.0


def compare_policies(
    data: HeldOut, scores: Mapping[str, NDArray[np.float64]], draws: Replicates
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Estimate the value of each policy and every difference between two of them.

    Parameters
    ----------
    data
        Held-out shows.
    scores
        Policy → score per show; higher stands first.
    draws
        Replicates of the same people.

    Returns
    -------
    policies : DataFrame
        `policy, value, lower, upper, effective_clicks, moved_answers`: clicks per answer with 90 % interval, Kish's
        size over the clicks that carry the weights, share of answers whose weights differ from 1.
    differences : DataFrame
        `policy, over, difference, sd, lower, upper, lower95, share`: value less the other's value; `lower`, `upper`
        bound 90 %, `lower95` is estimate - 1.96 sd (S8.5), `share` the difference over the logging policy's value.
    """
    answers = data.answers_of_person
    counts = draws.weights @ answers
    values, replicates, rows = {}, {}, []
    for name, moved in _orders(data, scores).items():
        sums = _uniform_sums(data) if moved is None else moved_clicks(data, moved)
        value, drawn = shift_values(data, draws, sums)
        values[name], replicates[name] = value / answers.sum(), drawn / counts
        sd = float(replicates[name].std(ddof=1))
        bounds = {"value": values[name], "lower": values[name] - Z90 * sd, "upper": values[name] + Z90 * sd}
        rows.append({"policy": name} | bounds | _evidence(data, moved))
    return pd.DataFrame(rows), _differences(values, replicates)


def _orders(data: HeldOut, scores: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.intp] | None]:
    """Return new places by policy; None for any order alike."""
    ordered = {name: new_places(data, score) for name, score in scores.items()}
    return {LOGGING: data.place, UNIFORM: None} | ordered


def _evidence(data: HeldOut, moved: NDArray[np.intp] | None) -> dict[str, float]:
    """Return Kish's size over the clicks that carry weights, and the share of answers that are ordered otherwise."""
    if moved is None:
        return {"effective_clicks": np.nan, "moved_answers": np.nan}
    ratio = data.exposure[moved] / data.exposure[data.place]
    changed = np.unique(data.answer[moved != data.place])
    return {
        "effective_clicks": effective_size(ratio[data.clicked > 0]),
        "moved_answers": len(changed) / len(np.unique(data.answer)),
    }


def _differences(values: Mapping[str, float], replicates: Mapping[str, NDArray[np.float64]]) -> pd.DataFrame:
    rows = []
    for name in values:
        for over in values:
            if name == over:
                continue
            difference = values[name] - values[over]
            sd = float((replicates[name] - replicates[over]).std(ddof=1))
            rows.append(
                {
                    "policy": name,
                    "over": over,
                    "difference": difference,
                    "sd": sd,
                    "lower": difference - Z90 * sd,
                    "upper": difference + Z90 * sd,
                    "lower95": difference - Z95 * sd,
                    "share": difference / max(values[LOGGING], 1e-12),
                }
            )
    return pd.DataFrame(rows)
