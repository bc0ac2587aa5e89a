"""Numbered gates before an export: figure, threshold, reason, and what could not be asked (S8.6)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Gate", "State", "as_frame", "passed", "refusal"]

State: TypeAlias = Literal["passed", "failed", "not_applicable"]

COLUMNS: Final = ("gate", "asks", "state", "figure", "threshold", "reason")


@dataclass(frozen=True, slots=True)
class Gate:
    """One numbered check.

    Attributes
    ----------
    gate
        Its number, `G1` to `G6`.
    asks
        What it asks, in a phrase.
    state
        `passed`, `failed` or `not_applicable`; only a failure refuses the export.
    figure
        What was measured; None where nothing was.
    threshold
        What the figure is held to, in words.
    reason
        Why the state is what it is, in a sentence.
    """

    gate: str
    asks: str
    state: State
    figure: float | None
    threshold: str
    reason: str


def passed(gates: Sequence[Gate]) -> bool:
    """Tell whether an export may go out: gates were asked, and none failed."""
    return bool(gates) and all(gate.state != "failed" for gate in gates)


def refusal(gates: Sequence[Gate]) -> str:
    """Name each failed gate with its figure, in one line; empty if none failed.

    >>> refusal([Gate("G3", "enough evidence", "failed", 212.0, "at least 500", "212 effective clicks")])
    'G3 enough evidence: 212 effective clicks (figure 212, threshold at least 500)'
    """
    lines = []
    for gate in gates:
        if gate.state == "failed":
            figure = "none" if gate.figure is None else f"{gate.figure:.4g}"
            lines.append(
                f"{gate.gate} {gate.asks}: {gate.reason} (figure {figure}, threshold {gate.threshold})"
            )
    return "; ".join(lines)


def as_frame(gates: Sequence[Gate]) -> pd.DataFrame:
    """Return the gates as a table, one row each."""
    rows = [asdict(gate) | {"state": gate.state.replace("_", " ")} for gate in gates]
    return pd.DataFrame(rows, columns=list(COLUMNS))
