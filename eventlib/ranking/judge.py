"""Judging a champion by the numbered gates (S8.6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from eventlib.exposure import MAX_LOG_SE, harvest_swaps
from eventlib.ranking.checks import (
    TRUST_TREND,
    Calibration,
    Perplexity,
    Trend,
    calibration,
    perplexity,
    trend,
)
from eventlib.ranking.clicks import PositionBasedModel, count_cells
from eventlib.ranking.evaluation import LOGGING, HeldOut, Replicates, place_names
from eventlib.ranking.gates import Gate, State

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from eventlib.exposure import Exposure

__all__ = [
    "DEBIASED",
    "NAIVE",
    "SHUFFLED",
    "Evidence",
    "champion",
    "connection",
    "gates",
    "gather",
    "unasked",
]

DEBIASED: Final = "debiased"
NAIVE: Final = "naive"
SHUFFLED: Final = "shuffled_labels"
"""Canary: trained on clicks shuffled within their place; it must show no lift (S8.4)."""

LEAST_EFFECTIVE: Final = 500
LEAST_MOVED: Final = 0.05
LEAST_SHARE: Final = 0.5
"""Places in use must hold this share of the shows, or the ranker would be judged on a corner of the log."""
SLOPE: Final = (0.9, 1.1)
TOTAL: Final = 0.05
ENOUGH_POWER: Final = 0.8
THIN_ITEM: Final = 10.0
"""Examined shows at the mean that the click model adds to each item."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What held-out people say about the champion and the click model that judges it.

    Attributes
    ----------
    predicted : ndarray of float64, shape (held-out shows,)
        Exposure * calibrated relevance of the champion.
    """

    predicted: NDArray[np.float64]
    calibration: Calibration
    trend: Trend
    perplexity: Perplexity


def champion(differences: pd.DataFrame) -> str:
    """Name the champion: debiased replaces naive only if the lower bound of its gain over naive is above 0 (G1)."""
    return DEBIASED if _difference(differences, DEBIASED, NAIVE)["lower95"] > 0 else NAIVE


def _difference(differences: pd.DataFrame, policy: str, over: str) -> dict[str, float]:
    row = differences[(differences["policy"] == policy) & (differences["over"] == over)].iloc[0]
    return {name: float(row[name]) for name in ("difference", "sd", "lower95", "share")}


def _items(frame: pd.DataFrame) -> pd.Series[str]:
    return frame["content_id"] + "\x1f" + frame["prompt_id"]


def gather(
    held: HeldOut,
    draws: Replicates,
    learned: pd.DataFrame,
    theta: NDArray[np.float64],
    relevance: NDArray[np.float64],
) -> Evidence:
    """Check the champion's relevance and the click model on held-out people.

    Parameters
    ----------
    held, draws
        Held-out shows and their replicates.
    learned
        Shows before the cut at places in use, with `place` and `prompt_cluster`: the click model is fitted on them.
    theta
        Exposure per place before the cut.
    relevance
        The champion's, per held-out show.
    """
    predicted = np.clip(theta[held.place] * relevance, 1e-6, 1 - 1e-6)
    before = learned.assign(item=_items(learned))
    model = PositionBasedModel(dict(zip(held.places, theta.tolist(), strict=True)), prior_shows=THIN_ITEM)
    judge = model.fit(count_cells(before)).predict_proba(_items(held.frame), held.frame["place"])
    swaps = harvest_swaps(held.frame)
    order = [held.places.index(name) for name in place_names(swaps.positions)]
    rates = before.groupby("place")["clicked"].mean().reindex(held.places).to_numpy(np.float64)
    return Evidence(
        predicted,
        calibration(predicted, held.clicked, held.person, draws.weights),
        trend(swaps, np.log(held.exposure)[order], relevance, held.person),
        perplexity(judge, rates[held.place], held.clicked, held.person, draws.weights),
    )


def gates(
    champion_name: str, policies: pd.DataFrame, differences: pd.DataFrame, evidence: Evidence, connected: Gate
) -> tuple[Gate, ...]:
    """Judge a champion: G1 to G6 in order."""
    return (
        _lift(champion_name, differences),
        _judge_model(evidence.trend),
        _evidence(champion_name, policies),
        connected,
        _perplexity(evidence.perplexity),
        _calibration(evidence.calibration),
    )


def unasked(connected: Gate) -> tuple[Gate, ...]:
    """Return the gates where exposure already refused: the others stand on it and could not be asked."""
    asks = {
        "G1": "champion over logging policy",
        "G2": "click model that judges",
        "G3": "enough evidence",
        "G5": "click model over rank alone",
        "G6": "calibration",
    }
    reason = "not asked: without the exposure of two places nothing can be trained or judged"
    rest = [Gate(gate, what, "not_applicable", None, "", reason) for gate, what in asks.items()]
    return tuple(sorted([*rest, connected], key=lambda gate: gate.gate))


def _lift(name: str, differences: pd.DataFrame) -> Gate:
    gain = _difference(differences, name, LOGGING)
    canary = _difference(differences, SHUFFLED, LOGGING)
    state: State = "passed" if gain["lower95"] > 0 >= canary["lower95"] else "failed"
    reason = (
        f"the champion, {name}, changes clicks per answer by {gain['share']:+.1%} of the logging policy's "
        f"({gain['difference']:+.4f} ± {1.96 * gain['sd']:.4f}); a ranker of shuffled labels by {canary['share']:+.1%}"
    )
    if canary["lower95"] > 0:
        reason += ", which is a lift where none can be: the evaluation is not to be trusted"
    return Gate("G1", "champion over logging policy", state, gain["lower95"], "lower bound above 0", reason)


def _judge_model(found: Trend) -> Gate:
    measured = f"trend {found.estimate:+.2f} ± {1.96 * found.sd:.2f} by place and attractiveness together"
    asks, threshold = "click model that judges", "no trend, with power .8 against ±.3"
    if found.found:
        return Gate(
            "G2",
            asks,
            "failed",
            found.estimate,
            threshold,
            f"{measured}: clicks are not exposure * relevance",
        )
    if found.power < ENOUGH_POWER:
        reason = f"{measured}; the chance of finding a trend of {TRUST_TREND} was only {found.power:.0%}"
        return Gate("G2", asks, "not_applicable", found.estimate, threshold, f"{reason}, so this says little")
    return Gate(
        "G2",
        asks,
        "passed",
        found.estimate,
        threshold,
        f"{measured}, found with chance {found.power:.0%} if it were {TRUST_TREND}",
    )


def _evidence(name: str, policies: pd.DataFrame) -> Gate:
    row = policies[policies["policy"] == name].iloc[0]
    size, moved = float(row["effective_clicks"]), float(row["moved_answers"])
    state: State = "passed" if size >= LEAST_EFFECTIVE and moved >= LEAST_MOVED else "failed"
    reason = (
        f"{size:,.0f} effective clicks in held-out answers, {moved:.0%} of which would be ordered otherwise"
    )
    return Gate("G3", "enough evidence", state, size, "at least 500, and 5 % of answers changed", reason)


def connection(exposure: Exposure, places: list[str], share: float, held: HeldOut | None) -> Gate:
    """Judge whether swaps connect the places in use, with an error of log exposure within the limit (G4, S8.2)."""
    asks, threshold = "exposure of the places in use", "error of log exposure at most .10, half of the shows"
    frame = exposure.frame
    worst = (
        float(frame.loc[(frame["log_se"] <= MAX_LOG_SE).to_numpy(), "log_se"].max()) if len(places) else None
    )
    if len(places) < 2 or share < LEAST_SHARE:
        least = frame.loc[(frame["log_se"] > MAX_LOG_SE).to_numpy(), "log_se"].min()
        why = "; ".join(exposure.reasons) or "no second place is known well enough"
        reason = f"only {len(places)} places with {share:.0%} of the shows can be used: {why}"
        return Gate("G4", asks, "failed", float(least), threshold, reason)
    if held is None or not held.connected:
        return Gate(
            "G4", asks, "failed", worst, threshold, "clicked swaps do not connect the places after the cut"
        )
    left_out = (
        f"; {1 - share:.0%} of the shows stand at places known too poorly, which are left out"
        if share < 1
        else ""
    )
    reason = f"{len(places)} places are connected by swaps, with errors up to {worst:.3f}{left_out}"
    return Gate("G4", asks, "passed", worst, threshold, reason)


def _perplexity(found: Perplexity) -> Gate:
    state: State = "passed" if found.gain >= 0 else "failed"
    reason = (
        f"perplexity {found.model:.4f} against {found.rank_only:.4f}; "
        f"gain {found.gain:+.4f} ± {1.96 * found.gain_sd:.4f} nats per show, paired by person"
    )
    return Gate("G5", "click model over rank alone", state, found.gain, "no worse", reason)


def _calibration(found: Calibration) -> Gate:
    inside = SLOPE[0] <= found.slope <= SLOPE[1] and abs(found.total) <= TOTAL
    reason = (
        f"held-out clicks follow exposure * relevance with slope {found.slope:.3f} ± {1.96 * found.slope_sd:.3f}, "
        f"total off by {found.total:+.1%} ± {1.96 * found.total_sd:.1%}"
    )
    return Gate(
        "G6",
        "calibration",
        "passed" if inside else "failed",
        found.slope,
        "slope .9 to 1.1, total within 5 %",
        reason,
    )
