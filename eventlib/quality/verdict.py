"""One verdict per area, each with its figure and the limits that it was held against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pandas as pd

from eventlib.errors import BadCallError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["ACT", "LIMITS", "Finding", "Limit", "answer", "limits", "percent", "size", "verdicts"]

GOOD, LOOK, ACT, UNKNOWN = "good", "look", "act", "not measured"


def percent(share: float) -> str:
    """Return a share in words, tiny ones not as nothing.

    Examples
    --------
    >>> percent(0.0731), percent(0.0001), percent(0.0)
    ('7.3 %', '0.01 %', '0 %')
    """
    return f"{100 * share:.1f} %" if share >= 0.001 else f"{100 * share:.2g} %"


def size(number: float) -> str:
    """Return bytes in words.

    Examples
    --------
    >>> size(820), size(1_500_000)
    ('820 B', '1.5 MB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000 or unit == "GB":
            break
        number /= 1000
    return f"{number:,.0f} B" if unit == "B" else f"{number:,.1f} {unit}"


@dataclass(frozen=True, slots=True)
class Limit:
    """From which share on an area wants a look, and from which it wants somebody to act."""

    look: float
    act: float

    def judge(self, share: float | None) -> str:
        """Return `good`, `look`, `act` or `not measured`."""
        if share is None or pd.isna(share):
            return UNKNOWN
        return ACT if share >= self.act else LOOK if share >= self.look else GOOD

    @property
    def text(self) -> str:
        """Both limits in words."""
        return f"look from {percent(self.look)}, act from {percent(self.act)}"


LIMITS: Final[Mapping[str, Limit]] = {
    "accounting": Limit(0.0001, 0.01),
    "schema": Limit(0.005, 0.02),
    "clocks": Limit(0.05, 0.20),
    "duplicates": Limit(0.01, 0.05),
    "lateness": Limit(0.01, 0.05),
    "names": Limit(0.001, 0.05),
    "payload": Limit(0.05, 0.20),
    "over-tracking": Limit(0.01, 0.10),
    "coverage": Limit(0.05, 0.15),
    "loss": Limit(0.01, 0.05),
}
"""Shares by area; the defaults are habits of ours, not laws, and each run may set its own."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one area: its share, and the figure in words."""

    area: str
    share: float | None
    figure: str


def limits(changes: Sequence[str] = (), known: Mapping[str, Limit] = LIMITS) -> dict[str, Limit]:
    """Return the limits by area, some of them changed.

    Parameters
    ----------
    changes
        Texts `area=look:act`, shares from 0 to 1.
    known
        The areas and their defaults.

    Raises
    ------
    BadCallError
        If there is no such area, or its limits are no two rising shares.

    Examples
    --------
    >>> limits(["schema=0.01:0.05"])["schema"]
    Limit(look=0.01, act=0.05)
    >>> limits(["schemas=0.01:0.05"])
    Traceback (most recent call last):
    eventlib.errors.BadCallError: unknown area 'schemas'. Did you mean 'schema'? ...
    """
    chosen = dict(known)
    for change in changes:
        area, _, shares = change.partition("=")
        if area not in chosen:
            raise BadCallError.unknown("area", area, chosen)
        try:
            look, act = map(float, shares.split(":"))
        except ValueError:
            raise BadCallError(f"limits: {change!r} is not of the form schema=0.01:0.05") from None
        if not 0 <= look <= act <= 1:
            raise BadCallError(
                f"limits: {change!r} must be two shares from 0 to 1, the first not above the other"
            )
        chosen[area] = Limit(look, act)
    return chosen


def verdicts(found: Sequence[Finding], held_against: Mapping[str, Limit] = LIMITS) -> pd.DataFrame:
    """Return the verdict of each area, the gravest first: `area`, `verdict`, `figure`, `limits`."""
    rows = [
        (item.area, held_against[item.area].judge(item.share), item.figure, held_against[item.area].text)
        for item in found
    ]
    rows.sort(key=lambda row: (ACT, LOOK, UNKNOWN, GOOD).index(row[1]))
    return pd.DataFrame(rows, columns=["area", "verdict", "figure", "limits"])


def answer(judged: pd.DataFrame) -> str:
    """Return what the verdicts come to, in a sentence; empty where all is good.

    Examples
    --------
    >>> answer(pd.DataFrame({"area": ["schema", "names", "loss"], "verdict": ["act", "look", "not measured"]}))
    'Act on schema; look at names. Not measured: loss.'
    """
    by_verdict = judged.groupby("verdict")["area"].agg(", ".join).to_dict()
    todo = [
        f"{words} {by_verdict[key]}"
        for key, words in ((ACT, "act on"), (LOOK, "look at"))
        if key in by_verdict
    ]
    said = "; ".join(todo)
    unknown = f" Not measured: {by_verdict[UNKNOWN]}." if UNKNOWN in by_verdict else ""
    return f"{said[:1].upper()}{said[1:]}{'.' if said else ''}{unknown}".strip()
