"""What to do next about consent: each step with its figure and whose it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import pandas as pd

from eventlib.privacy.bases import bases
from eventlib.privacy.bounds import unseen
from eventlib.privacy.funnel import asked, withdrawn
from eventlib.privacy.stamped import withheld_cells
from eventlib.privacy.statements import notices, running_out
from eventlib.quality.verdict import percent
from eventlib.small_cells import OTHER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from eventlib.prepared import Prepared

__all__ = ["Step", "next_steps"]


class Step(NamedTuple):
    """What to do, the figure that says why, and who can."""

    what: str
    figure: str
    who: str


_CMP, _PRODUCERS, _ANALYST = "owner of the CMP", "producers", "analyst"
_CURED: Final = (
    ("C04", "mend the consent strings that cannot be read: no damaged string grants anything", _CMP),
    ("C13", "ask, or send the answer: nothing was said. A source that cannot ask needs a basis in the policy", _PRODUCERS),
    ("C14", "name the purpose in the consent object: it was sent without one", _PRODUCERS),
    ("C08", "ask again: the grant ran out, or its notice was superseded", _CMP),
    ("C09", "send one statement: two at the same moment disagree", _PRODUCERS),
    ("C02", "delete these raw logs: they are older than the policy keeps", "DPO"),
)  # fmt: skip


def _where(data: Prepared, rule: str) -> str:
    """Return where most of what a rule withheld lies, as far as that may be told."""
    said = []
    for by in ("source", "jurisdiction"):
        cells = withheld_cells(data.run, by)
        cells = cells[cells["rule"].str.startswith(rule) & (cells["segment"] != OTHER)]
        most = cells.groupby("segment")["events"].sum().sort_values(ascending=False, kind="stable")
        if len(most):
            said.append(f"{by} {most.index[0]} ({int(most.iloc[0]):,})")
    return f"; most in {', '.join(said)}" if said else ""


def _of_rules(data: Prepared) -> Iterator[tuple[int, Step]]:
    removed, every = data.ledger.removed("consent"), max(asked(data.ledger), 1)
    for rule, what, who in _CURED:
        events = sum(count for code, count in removed.items() if code.startswith(rule))
        if events:
            figure = f"{rule} withheld {events:,} events, {percent(events / every)}{_where(data, rule)}"
            yield events, Step(what, figure, who)


def _of_statements(data: Prepared) -> Iterator[Step]:
    events, every = withdrawn(data.events, data.ledger), max(asked(data.ledger), 1)
    if events:
        figure = f"C07: {events:,} events, {percent(events / every)}, withheld ones among them"
        yield Step("review for erasure what was withdrawn", figure, "DPO")
    found = running_out(data.run, "analytics", ("runs out in 30 days", "runs out in 90 days"))
    if found is not None and found[0]:
        yield Step("ask again before grants run out", f"{found[1]} run out within 90 days", _CMP)
    old = notices(data.run)
    superseded = int(old.loc[old["state"] == "superseded", "events"].sum())
    if superseded:
        yield Step(
            "ask again under the notice in force", f"{superseded:,} events name a superseded one", _CMP
        )


def _of_bases(data: Prepared) -> Iterator[Step]:
    found = bases(data.run)
    for row in found[~found["state"].isin(["holds", "not known"])].itertuples():
        what = f"assess anew the basis for {row.sources} ({row.purposes}): once expired it allows nothing"
        yield Step(what, f"expires {row.expires}, in {row.days_left:,} days", "its owner in the policy")


def _of_bias(left: pd.DataFrame, bound: pd.DataFrame, purpose: str) -> Iterator[Step]:
    quiet = left[left["heard"].isin(["too quiet", "not at all"]) & (left["segment"] != OTHER)]
    if len(quiet):
        row = quiet.sort_values("in_log_share", ascending=False, kind="stable").iloc[0]
        figure = f"{row['by']} {row['segment']} has {float(row['ratio']):.2f} of its voice"
        more = f"; {len(quiet):,} segments too quiet or not heard" if len(quiet) > 1 else ""
        yield Step(f"weight by segment what is used for {purpose}", figure + more, _ANALYST)
    for _, row in bound[bound["verdict"].str.startswith("too")].iterrows():
        figure = f"{percent(float(row['kept']))} as kept, {percent(float(row['weighted']))} weighted"
        yield Step(f"do not quote unweighted: {row['figure']}", figure, _ANALYST)


def _of_purposes(data: Prepared, unused: Sequence[str]) -> Iterator[Step]:
    for purpose in unused:
        what = f"do not rest on this log what needs {purpose}, until more of it allows that"
        yield Step(
            what, f"{percent(1 - (unseen(data, purpose) or 0.0))} of the events about people do", _ANALYST
        )


def next_steps(
    data: Prepared, left: pd.DataFrame, bound: pd.DataFrame, purpose: str, unused: Sequence[str] = ()
) -> pd.DataFrame:
    """Return what to do next, what withholds most events first.

    Parameters
    ----------
    data
        What `eventlib.load` gives.
    left
        From `bias.biases`.
    bound
        From `bounds.bounds`.
    purpose
        Whose bias was examined.
    unused
        Purposes that too few events allow.

    Returns
    -------
    pandas.DataFrame
        `what`, `figure`, `who`.
    """
    of_rules = sorted(_of_rules(data), key=lambda item: -item[0])
    steps = [
        *(step for _, step in of_rules),
        *_of_purposes(data, unused),
        *_of_statements(data),
        *_of_bases(data),
        *_of_bias(left, bound, purpose),
    ]
    return pd.DataFrame(steps, columns=list(Step._fields))
