"""Judging a champion by the numbered gates (S8.6)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np

from eventlib.exposure import MAX_LOG_SE
from eventlib.ranking.checks import Calibration, Perplexity
from eventlib.ranking.click_checks import CERTAIN, TRUST_TREND, ClickChecks
from eventlib.ranking.evaluation import LOGGING, UNIFORM, Z95, HeldOut
from eventlib.ranking.gates import Gate, State

if TYPE_CHECKING:
    import pandas as pd

    from eventlib.exposure import Exposure
    from eventlib.ranking.evidence import Evidence
    from eventlib.ranking.leaks import Leak
    from eventlib.ranking.randomised import Slice

__all__ = [
    "DEBIASED",
    "NAIVE",
    "PREVIOUS",
    "SHUFFLED",
    "champion",
    "connection",
    "difference",
    "gates",
    "one_canary",
    "unasked",
]

DEBIASED: Final = "debiased"
NAIVE: Final = "naive"
SHUFFLED: Final = "shuffled_labels"
"""Canary: trained on clicks shuffled within their place; it must show no lift (S8.4).

There are several of them, `shuffled_labels`, `shuffled_labels 2`, ...: among few pages one may stand right by luck, and
truly earn more; on average they cannot.
"""

LEAST_EFFECTIVE: Final = 500
LEAST_MOVED: Final = 0.05
LEAST_SHARE: Final = 0.5
"""Places in use must hold this share of the shows, or the ranker would be judged on a corner of the log."""
SLOPE: Final = (0.9, 1.1)
TOTAL: Final = 0.05
ENOUGH_POWER: Final = 0.8
PREVIOUS: Final = "previous"
"""What the last bundle says; the champion may not be worse than it by more than this share of the value (G1)."""
NOT_WORSE: Final = -0.01


def champion(differences: pd.DataFrame) -> str:
    """Name the champion: debiased replaces naive only if the lower bound of its gain over naive is above 0 (G1)."""
    return DEBIASED if difference(differences, DEBIASED, NAIVE)["lower95"] > 0 else NAIVE


def difference(differences: pd.DataFrame, policy: str, over: str) -> dict[str, float]:
    """Return `difference, sd, lower95, share` of one policy over another."""
    row = differences[(differences["policy"] == policy) & (differences["over"] == over)].iloc[0]
    return {name: float(row[name]) for name in ("difference", "sd", "lower95", "share")}


def gates(
    champion_name: str, policies: pd.DataFrame, differences: pd.DataFrame, evidence: Evidence, connected: Gate
) -> tuple[Gate, ...]:
    """Judge a champion: G1 to G6 in order."""
    return (
        _lift(champion_name, differences, evidence.leaks),
        _judge_model(evidence),
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


def _lift(name: str, differences: pd.DataFrame, leaks: tuple[Leak, ...]) -> Gate:
    gain = difference(differences, name, LOGGING)
    doubts = [*_canaries(differences, leaks), *_worse_than_before(name, differences)]
    state: State = "passed" if gain["lower95"] > 0 and not doubts else "failed"
    reason = (
        f"the champion, {name}, changes clicks per answer by {gain['share']:+.1%} of the logging policy's "
        f"({gain['difference']:+.4f} ± {1.96 * gain['sd']:.4f})"
    )
    threshold = "lower bound above 0, canaries silent, no more than 1 % under the last bundle"
    return Gate(
        "G1", "champion over logging policy", state, gain["lower95"], threshold, "; ".join([reason, *doubts])
    )


def _canaries(differences: pd.DataFrame, leaks: tuple[Leak, ...]) -> list[str]:
    """Say which canary sang: then the evaluation is not to be trusted, whatever it says."""
    lifts = [_shuffled_lift(differences, over) for over in (LOGGING, UNIFORM)]
    doubts = []
    # where the log's own order is worse than chance, any other is a lift
    if all(lift["lower95"] > 0 for lift in lifts):
        doubts.append(
            f"rankers of shuffled labels show a lift of {lifts[0]['share']:+.1%} where none can be, so that the "
            "evaluation is not to be trusted"
        )
    return [*doubts, *(leak.words for leak in leaks)]


def _shuffled_lift(differences: pd.DataFrame, over: str) -> dict[str, float]:
    """Return the mean lift of the shuffled rankers; its error holds what they differ among themselves."""
    rows = differences[differences["policy"].str.startswith(SHUFFLED) & (differences["over"] == over)]
    between = float(rows["difference"].var(ddof=1)) / len(rows) if len(rows) > 1 else 0.0
    sd = np.sqrt((rows["sd"] ** 2).mean() + between)
    return {"share": float(rows["share"].mean()), "lower95": float(rows["difference"].mean() - Z95 * sd)}


def one_canary(frame: pd.DataFrame) -> pd.DataFrame:
    """Put the rankers of shuffled labels into one row, their mean, in the order of the frame."""
    names = frame["policy"].str.replace(rf"^{SHUFFLED} \d+$", SHUFFLED, regex=True)
    return frame.assign(policy=names).groupby("policy", sort=False).mean(numeric_only=True).reset_index()


def _worse_than_before(name: str, differences: pd.DataFrame) -> list[str]:
    if PREVIOUS not in set(differences["policy"]):
        return []
    change = difference(differences, name, PREVIOUS)
    if change["share"] >= NOT_WORSE:
        return []
    return [f"the last bundle's order would earn {-change['share']:.1%} more on the same answers"]


def _judge_model(evidence: Evidence) -> Gate:
    """Judge the click model: a randomised slice that agrees is enough, else nothing may contradict it."""
    asks, threshold = (
        "click model that judges",
        "a randomised slice agrees, or no trend over .1, with power .8 against .3",
    )
    trust, slice_ = evidence.checks.trust, evidence.slice
    contradictions = evidence.checks.contradictions
    told = _trend_words(evidence.checks)
    gate = partial(Gate, "G2", asks, threshold=threshold)
    if slice_ is not None and slice_.asked:
        told = f"{_slice_words(slice_)}; {told}"
        return gate("passed" if slice_.agrees else "failed", slice_.matched - slice_.modelled, reason=told)
    if contradictions:
        worst = max(contradictions.values(), key=lambda trend: abs(trend.estimate) / trend.sd)
        named = " and ".join(contradictions)
        return gate(
            "failed", worst.estimate, reason=f"clicks are not exposure * relevance, but go by {named}: {told}"
        )
    if trust.power < ENOUGH_POWER:
        why = (
            f"the chance of finding a trend of {TRUST_TREND} was only {trust.power:.0%}, so this says little"
        )
        return gate("not_applicable", trust.estimate if trust.power else None, reason=f"{told}; {why}")
    return gate(
        "passed",
        trust.estimate,
        reason=f"{told}; a trend of {TRUST_TREND} would be found with chance {trust.power:.0%}",
    )


def _trend_words(checks: ClickChecks) -> str:
    named = {
        "trust": checks.trust,
        "distance of the last click": checks.distance,
        "clicks above": checks.above,
    }
    told = [f"{name} {t.estimate:+.2f} ± {CERTAIN * t.sd:.2f}" for name, t in named.items() if t.power]
    return "trends: " + (", ".join(told) or "none could be asked")


def _slice_words(found: Slice) -> str:
    verb = "agree" if found.agrees else "disagree"
    return (
        f"{found.answers:,} randomised answers {verb}: {found.matched:.4f} clicks an answer without a click model, "
        f"{found.modelled:.4f} by the model (difference ± {1.96 * found.sd:.4f})"
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
    worst = _worst_error(exposure) if len(places) else None
    if len(places) < 2 or share < LEAST_SHARE:
        least = frame.loc[(frame["log_se"] > MAX_LOG_SE).to_numpy(), "log_se"].min()
        why = "; ".join(exposure.reasons) or "no second place is known well enough"
        reason = f"only {len(places)} places with {share:.0%} of the shows can be used: {why}"
        return Gate("G4", asks, "failed", None if np.isnan(least) else float(least), threshold, reason)
    if held is None or not held.connected:
        return Gate(
            "G4", asks, "failed", worst, threshold, "clicked swaps do not connect the places after the cut"
        )
    left_out = (
        f"; {1 - share:.0%} of the shows stand at places known too poorly, which are left out"
        if share < 1
        else ""
    )
    errors = (
        "without errors: that it is exact is an assumption"
        if worst is None
        else f"with errors up to {worst:.3f}"
    )
    reason = f"{len(places)} places {_KNOWN[exposure.method]}, {errors}{left_out}"
    return Gate("G4", asks, "passed", worst, threshold, reason)


_KNOWN: Final = {
    "harvested": "are connected by swaps",
    "randomised": "were drawn at random",
    "given": "have the exposure that was given",
}
"""How the exposure of places is known, by method."""


def _worst_error(exposure: Exposure) -> float | None:
    """Return the largest error within the limit; None of a curve that was given without errors."""
    errors = exposure.frame["log_se"]
    if exposure.method == "given" and errors.iloc[1:].isna().all():
        return None
    return float(errors[(errors <= MAX_LOG_SE).to_numpy()].max())


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
