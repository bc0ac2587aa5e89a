"""How right the merging is, where the truth is known: in simulated worlds, and wherever somebody checked by hand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from eventlib.arguments import AnyPath, as_path
from eventlib.errors import BadCallError
from eventlib.identity.measures import score_clusters

if TYPE_CHECKING:
    from eventlib.prepared import Prepared

__all__ = ["against_truth", "formats"]

_FAMILIES: Final = {
    "pairwise": "pairs (two of one person)",
    "b_cubed": "B³ (of the same person, item by item)",
    "exact": "whole people",
}
_DRAWS: Final = 500


def _people_of_events(folder: Path) -> pd.Series[Any]:
    file = next((f for name in ("events.csv.gz", "events.csv") if (f := folder / name).is_file()), None)
    if file is None:
        raise BadCallError(f"{folder} holds no events.csv.gz with the columns event_id and true_person")
    table = pd.read_csv(file, dtype="object", usecols=["event_id", "true_person"])
    found: pd.Series[Any] = table.dropna().drop_duplicates("event_id").set_index("event_id")["true_person"]
    return found


def against_truth(data: Prepared, truth: AnyPath) -> pd.DataFrame:
    """Return how well people were told apart, on events and on devices and users.

    Parameters
    ----------
    data
        What `eventlib.load` gives.
    truth
        Folder with `events.csv.gz` (or `.csv`): `event_id`, `true_person`, as `eventlib simulate` writes it. Events that it does
        not name, or of nobody, do not count.

    Returns
    -------
    pandas.DataFrame
        `on` (events, or devices and users), `measure`, `precision` and `recall`, each with `_lower` and `_upper` (90 %, by
        people), `items`, `people`. A device or user that several people used is left out of the second.

    Raises
    ------
    BadCallError
        If there is no truth, or it knows none of the events.
    """
    true = _people_of_events(as_path("truth", truth))
    events = data.events
    known = events["event_id"].isin(true.index) & events["person_id"].notna()
    rows = events.loc[known.to_numpy(dtype=bool), ["event_id", "person_id", "anonymous_id", "user_id"]]
    if rows.empty:
        raise BadCallError(f"{truth} knows none of the events: is it the truth of another log?")
    rows = rows.astype("object").assign(true=true.reindex(rows["event_id"]).to_numpy())
    parts = (("events", rows), ("devices and users", _identifiers(rows)))
    return pd.concat([_scored(name, part) for name, part in parts], ignore_index=True)


def formats(frame: pd.DataFrame) -> dict[str, str]:
    """Return how the shares among the columns of a table of this package are shown."""
    shares = ("precision", "recall", "share", "lower", "upper")
    return {str(name): "percent" for name in frame.columns if str(name).startswith(shares)}


def _identifiers(rows: pd.DataFrame) -> pd.DataFrame:
    """Return each device and user that is one person's, with the person whom most of its events were given to."""
    longer = rows.melt(id_vars=["person_id", "true"], value_vars=["anonymous_id", "user_id"]).dropna(
        subset=["value"]
    )
    per = longer.groupby(["variable", "value"])
    own = per["true"].nunique().eq(1).rename("own")
    counts = (
        longer.groupby(["variable", "value", "person_id"])
        .agg(n=("true", "size"), true=("true", "first"))
        .reset_index()
    )
    most = counts.sort_values(["n", "person_id"], ascending=[False, True]).drop_duplicates(
        ["variable", "value"]
    )
    joined = most.merge(own.reset_index(), on=["variable", "value"])
    return joined[joined["own"]]


def _scored(name: str, rows: pd.DataFrame) -> pd.DataFrame:
    scores = score_clusters(rows["person_id"], rows["true"], draws=_DRAWS)
    made = []
    for family, words in _FAMILIES.items():
        values = {
            f"{share}{suffix}": float(scores[column][f"{family}_{share}"])
            for share in ("precision", "recall")
            for suffix, column in (("", "value"), ("_lower", "lower_90"), ("_upper", "upper_90"))
        }
        made.append(
            {"on": name, "measure": words, **values, "items": len(rows), "people": rows["true"].nunique()}
        )
    return pd.DataFrame(made)
