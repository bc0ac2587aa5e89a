"""What was merged, by which rule, and between which numbers of people the truth may lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pandas as pd

from eventlib.cells import SMALL_CELL, hide_small_cells

if TYPE_CHECKING:
    from eventlib.people.known import Known, Ratio

__all__ = ["RULES", "merged_by_rule", "people_range", "refused_people"]

RULES: Final = {
    "co_occurrence": "seen in the same events",
    "shared_device": "a user's own visits to a shared device",
    "identity_link": "said by an identity_link event",
    "must_link": "stated by hand",
    "single": "stands alone",
    "device_only": "stands alone: identity is not allowed",
}
"""What the rules of `people.parquet` mean."""


def merged_by_rule(people: pd.DataFrame) -> pd.DataFrame:
    """Return by which rule identifiers came to their people.

    Parameters
    ----------
    people
        `Prepared.people`.

    Returns
    -------
    pandas.DataFrame
        `rule`, `meaning`, `identifiers`, `people`; rules of under 10 people are left out, and the next rarest.
    """
    grouped = people.groupby("rule").agg(identifiers=("identifier", "size"), people=("person_id", "nunique"))
    found = grouped.reset_index().sort_values(
        "identifiers", ascending=False, kind="stable", ignore_index=True
    )
    shown, _ = hide_small_cells(found, "people")
    return shown.assign(meaning=shown["rule"].map(RULES))[["rule", "meaning", "identifiers", "people"]]


def refused_people(refused: pd.DataFrame, people: pd.DataFrame) -> int:
    """Return how many people refused evidence concerns: placeholders and addresses of several are nobody."""
    person = people.drop_duplicates("identifier").set_index("identifier")["person_id"]
    sides = pd.concat([refused["left_identifier"], refused["right_identifier"]])
    return int(sides.map(person).nunique())


def people_range(known: Known, per_person: Ratio) -> pd.DataFrame:
    """Return how many people there are: as devices, as merged, and if those who never sign in lose cookies as the others do.

    Parameters
    ----------
    known
        What is known of sign-ins.
    per_person
        From `known_devices`: device ids per person and browser of those who sign in.

    Returns
    -------
    pandas.DataFrame
        `counted as`, `people`, `lower`, `upper` (90 %, of the last row alone); null under 10 people.
    """
    rows = known.events
    signed_in = set(rows.dropna(subset=["user"])["person"])
    alone = set(rows["person"]) - signed_in
    merged = len(signed_in) + len(alone)
    counts: list[tuple[str, float, float | None, float | None]] = [
        ("device ids, of humans who allow identity", float(rows["device"].nunique()), None, None),
        ("people, as merged of these", float(merged), None, None),
    ]
    if per_person.value and per_person.lower and per_person.upper:
        ratios = (per_person.value, per_person.upper, per_person.lower)
        guess, low, high = (len(signed_in) + len(alone) / ratio for ratio in ratios)
        counts.append(("people, if the others lose cookies as those who sign in", guess, low, high))
    frame = pd.DataFrame(counts, columns=["counted as", "people", "lower", "upper"])
    columns = ["people", "lower", "upper"]
    several = int(rows.groupby("person")["device"].nunique().gt(1).sum())
    if 0 < several < SMALL_CELL:  # the difference would tell of those who have several devices
        frame.loc[0, "people"] = float("nan")
    frame.loc[frame["people"] < SMALL_CELL, columns] = float("nan")
    frame[columns] = frame[columns].astype("float64").round()
    return frame
