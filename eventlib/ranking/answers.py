"""What the training report says to somebody who reads nothing else: what beats what you have, and what to do (S8.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from eventlib.ranking.evaluation import LOGGING, UNIFORM, Z95
from eventlib.ranking.judge import DEBIASED, NAIVE, difference
from eventlib.ranking.views import WORDS, lift

if TYPE_CHECKING:
    from eventlib.ranking.pipeline import Judged, Ranking

__all__ = ["detectable_gain", "ranking_answers"]

_POWER: Final = 0.8416
"""Normal quantile of a chance of .8."""

_HELP: Final = {
    "G1": "Keep the order that you have. Nothing has to be done; ask again when there are more clicks, or other pages.",
    "G2": (
        "Show a small share of answers in an order drawn at random and log each place's probability as `propensity`: "
        "that decides whether the click model holds, whatever the trends."
    ),
    "G3": "Wait for more clicks, or hold out a larger share of the log.",
    "G4": (
        "Let places change: the same page at several places for the same prompt is what tells how much a place counts. "
        "Showing one answer in twenty in a random order, with its `propensity` logged, is the surest way."
    ),
    "G5": "Pages of this log do not differ by more than chance says: more clicks a page, or fewer pages, would tell them apart.",
    "G6": "Pages changed between the two parts of the log, or people did: a shorter log, or a later cut, may fit better.",
}
"""What helps against each refusal."""


def detectable_gain(judged: Judged) -> float:
    """Return the share of clicks that the champion would have to gain to be found with a chance of .8."""
    value = judged.policies.set_index("policy")["value"][LOGGING]
    return float((Z95 + _POWER) * difference(judged.differences, judged.champion, LOGGING)["sd"] / value)


def ranking_answers(found: Ranking) -> list[str]:
    """Return the verdict, what it rests on and what would help, in sentences.

    Parameters
    ----------
    found
        As `train_ranking` returns it.
    """
    if found.reason or found.judged is None:
        return [_unasked(found), *_helps(found)]
    said = [_verdict(found, found.judged), _beside(found.judged)]
    unasked = [gate.gate for gate in found.gates if gate.state == "not_applicable"]
    if unasked:
        said.append(f"{' and '.join(unasked)} could not be asked of this log, which is no approval.")
    return [*said, *_helps(found)]


def _unasked(found: Ranking) -> str:
    why = found.reason or "; ".join(gate.reason for gate in found.gates if gate.state == "failed")
    return f"Nothing can be said of what should rank higher: {why}."


def _helps(found: Ranking) -> list[str]:
    return [f"{gate.gate}: {_HELP[gate.gate]}" for gate in found.gates if gate.state == "failed"]


def _verdict(found: Ranking, judged: Judged) -> str:
    share, low, high = lift(found)
    gain = f"{share:+.1%} clicks an answer ({low:+.1%} to {high:+.1%})"
    if found.exportable:
        return f"An order by {WORDS[judged.champion]} would have earned {gain} on later answers, and may be exported."
    failed = [gate for gate in found.gates if gate.state == "failed"]
    if failed[0].gate == "G1" and failed[0].figure is not None and failed[0].figure <= 0:
        return (
            f"Nothing beats what you have: the best order found would have earned {gain} on later answers. A gain of "
            f"{detectable_gain(judged):.1%} would have been found with a chance of .8, a smaller one may be there."
        )
    return (
        f"An order by {WORDS[judged.champion]} seems to earn {gain}, but must not be exported: "
        f"{', '.join(gate.gate for gate in failed)} failed."
    )


def _beside(judged: Judged) -> str:
    """Say how good the order is that the log shows, against chance and against the rest."""
    order = difference(judged.differences, LOGGING, UNIFORM)["share"]
    other = NAIVE if judged.champion == DEBIASED else DEBIASED
    apart = difference(judged.differences, judged.champion, other)["share"]
    return (
        f"The order as it was shown earns {order:+.1%} against one drawn at random. The champion is by "
        f"{WORDS[judged.champion]}, {apart:+.1%} against {WORDS[other]}; debiased clicks replace naive ones only where "
        "they are surely better."
    )
