"""Bases other than consent (C11), who answers for them and until when; and what was erased."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from eventlib.cells import SMALL_CELL
from eventlib.model import PURPOSES
from eventlib.privacy.segments import about_people
from eventlib.privacy.stamped import days_between, terms
from eventlib.tombstones import ERASED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventlib.ledger import Ledger

__all__ = ["bases", "erasure_in_words", "erasures", "used_bases"]

_BASES: Final = ["basis", "purposes", "sources", "jurisdictions", "owner", "expires", "days_left", "state"]
_ERASURES: Final = ["erased_at", "searched_files", "verified", "stale"]


def _state(days: int | None) -> str:
    if days is None:
        return "not known"
    return "expired" if days < 0 else next((f"in {n} days" for n in (30, 90) if days <= n), "holds")


def bases(run: Mapping[str, Any]) -> pd.DataFrame:
    """Return the bases that the policy names, the first to expire on top.

    Returns
    -------
    pandas.DataFrame
        `basis`, `purposes`, `sources`, `jurisdictions` (in words), `owner`, `expires`, `days_left` (from the moment that the run looks
        back from), `state` (holds, in 90 days, in 30 days, expired).
    """
    rows = []
    for basis in terms(run).get("bases") or ():
        days = days_between(run, basis["expires"])
        named = [", ".join(basis[name]) if basis[name] else "all" for name in ("purposes", "sources", "jurisdictions")]  # fmt: skip
        rows.append((basis["basis"], *named, basis["owner"], basis["expires"], days, _state(days)))
    frame = pd.DataFrame(rows, columns=_BASES)
    return frame.sort_values("expires", ignore_index=True, kind="stable").astype({"days_left": "Int64"})


def used_bases(events: pd.DataFrame) -> pd.DataFrame:
    """Return kept events that a basis other than consent allowed (C11): `source`, `purpose`, `events`, `share` (of the source's).

    Sources of fewer than ten devices that are told apart are left out.
    """
    people = about_people(events)
    rules = people["consent_rule"].str.split(" ", expand=True) if len(people) else pd.DataFrame()
    rows = []
    for source, part in people.groupby("source"):
        devices = part["device"].nunique()
        for index, purpose in enumerate(PURPOSES):
            by_basis = int((rules.loc[part.index, index] == "C11").sum())
            if by_basis and not 0 < devices < SMALL_CELL:
                rows.append((str(source), purpose, by_basis, by_basis / len(part)))
    return pd.DataFrame(rows, columns=["source", "purpose", "events", "share"])


def erasures(run: Mapping[str, Any]) -> pd.DataFrame:
    """Return what `eventlib erase` did to this dataset, the latest first.

    Returns
    -------
    pandas.DataFrame
        `erased_at`, `searched_files`, `verified`, `stale` (models and bundles trained on what is erased).
    """
    found = run.get("erasures")
    rows = []
    for each in found if isinstance(found, list) else ():
        stale = ", ".join(map(str, each.get("stale") or ())) or "none"
        moment = str(each.get("erased_at", ""))[:19].replace("T", " ")
        rows.append((moment, *(each.get(name) for name in _ERASURES[1:-1]), stale))
    return pd.DataFrame(rows, columns=_ERASURES).sort_values(
        "erased_at", ascending=False, ignore_index=True, kind="stable"
    )


def erasure_in_words(run: Mapping[str, Any], ledger: Ledger) -> str:
    """Return the state of erasure in a sentence or two."""
    done, again = erasures(run), ledger.removed("consent").get(ERASED, 0)
    held = " The logs still hold events of erased people, which are withheld (C01)." if again else ""
    if done.empty:
        return f"No erasure so far.{held}"
    unsure = int((done["verified"] != True).sum())  # noqa: E712  # absent is not verified
    stale = int((done["stale"] != "none").sum())
    proof = "verified" if not unsure else f"{unsure:,} not verified"
    after = f"; {stale:,} left models or bundles stale: train and export them anew" if stale else ""
    times = "1 erasure" if len(done) == 1 else f"{len(done):,} erasures"
    return f"{times} so far, {proof}{after}.{held}"
