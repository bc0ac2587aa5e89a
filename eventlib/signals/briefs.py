"""Briefs for editors: at which stage a page fails, how sure that is, and what similar better pages have (S9).

The failing stage is the one with the lowest score of those that are surely below average, P(theta < 1) >= .95
(S7.7): the upper bound of the 90 % interval is below 1. A page without such a stage has no brief.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from scipy.special import ndtr

from eventlib.cells import small_cells
from eventlib.masking import clean_id
from eventlib.ranking.evaluation import Z90
from eventlib.ranking.features import CONTENT_FEATURES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from eventlib.geo.engagement import Score
    from eventlib.ranking.features import Contents

__all__ = ["briefs", "failing_stages", "what_they_have"]

_SURE: Final = 0.95
_BETTER_MOST: Final = 5
_COMPARED_MOST: Final = 3
_LEAST_APART: Final = 0.5
"""Standard deviations over all contents by which a feature differs before it is worth a word."""

_FEATURES: Final = [
    f.name for f in CONTENT_FEATURES if f.name != "topic_match" and not f.name.startswith("is_")
]
_FAILS: Final = {
    "cite": "it is cited less often than an average page would be in the same answers",
    "click": "people who see it cited follow it less often than they would an average page in the same places",
    "satisfy": "its visitors are satisfied less often than those of an average page",
}


def failing_stages(score: Score) -> pd.DataFrame:
    """Return the stage at which each page surely fails, of those that have one.

    A page's stage that under ten people came to is not looked at, nor is that of the page with the next fewest
    (S7.10).

    Returns
    -------
    DataFrame
        `content_id, stage, theta, lower, upper, people, observed, expected`, by content.
    """
    parts = []
    for name in score.stages if len(score.frame) else ():
        hidden = small_cells(score.frame[f"people_{name}"].to_numpy(), nobody=True)
        frame = score.frame[
            ~hidden & (score.frame[f"people_{name}"] > 0) & (score.frame[f"{name}_upper"] < 1)
        ]
        parts.append(_stage(frame, name))
    if not parts:
        return pd.DataFrame(columns=["content_id", "stage"])
    order = pd.concat(parts).sort_values(["content_id", "theta"], kind="stable")
    return order.drop_duplicates("content_id", ignore_index=True)


def _stage(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "content_id": frame["content_id"].to_numpy(dtype=object),
            "stage": name,
            "theta": np.exp(frame[f"log_{name}"].to_numpy(np.float64)),
            "lower": frame[f"{name}_lower"].to_numpy(np.float64),
            "upper": frame[f"{name}_upper"].to_numpy(np.float64),
            "people": frame[f"people_{name}"].to_numpy(np.int64),
            "observed": frame[f"observed_{name}"].to_numpy(np.float64),
            "expected": frame[f"expected_{name}"].to_numpy(np.float64),
        }
    )


def briefs(score: Score | None, contents: Contents) -> list[dict[str, Any]]:
    """Return one brief per page that surely fails at a stage.

    `better` are contents of the same topic that are above this one at that stage with probability .95, as far as
    the stage's intervals tell; `compared` says in which features they differ from it most: an association to
    look into, not a promise that copying it helps.

    Parameters
    ----------
    score
        Of the engine ranked for; None where it shows no stage.
    contents
        As known at the moment of the prepared dataset.
    """
    if score is None:
        return []
    newest = contents.latest().set_index("content_id")
    known = {name: _known(score, name) for name in score.stages if len(score.frame)}
    written = []
    for row in failing_stages(score).to_dict("records"):
        content = str(row["content_id"])
        if content not in newest.index:
            continue
        better = _better(content, known[row["stage"]], newest["topic"])
        compared = _compared(content, better, newest) if better else []
        written.append(
            {
                "content_id": content,
                "content_version": str(newest["content_version"][content]),
                "topic": str(newest["topic"][content]),
                "failing_stage": row["stage"],
                "evidence": _evidence(row),
                "better": better,
                "compared": compared,
                "sentence": _sentence(row, better, compared),
            }
        )
    return written


def _known(score: Score, name: str) -> pd.DataFrame:
    """Return log score and its standard deviation of a stage by content, small cells left out."""
    hidden = small_cells(score.frame[f"people_{name}"].to_numpy(), nobody=True)
    frame = score.frame[~hidden & (score.frame[f"people_{name}"] > 0)].set_index("content_id")
    width = np.log(frame[f"{name}_upper"]) - np.log(frame[f"{name}_lower"])
    return pd.DataFrame({"log": frame[f"log_{name}"], "sd": width / (2 * Z90)})


def _better(content: str, known: pd.DataFrame, topics: pd.Series[Any]) -> list[str]:
    """Return the best contents of the same topic that are surely above this one, at most five."""
    topic = topics[content]
    peers = known[known.index.isin(topics.index[topics == topic])] if topic else known.iloc[:0]
    apart = (peers["log"] - known["log"][content]) / np.hypot(peers["sd"], known["sd"][content])
    sure = peers[ndtr(apart.to_numpy(np.float64)) >= _SURE]
    best = sure.sort_values("log", ascending=False, kind="stable").head(_BETTER_MOST)
    return [str(name) for name in best.index]


def _compared(content: str, better: Sequence[str], newest: pd.DataFrame) -> list[dict[str, Any]]:
    """Name the features in which the better ones differ most, in standard deviations over all contents."""
    spread = newest[_FEATURES].std().replace(0, np.nan).to_numpy(np.float64)
    mean = newest.loc[list(better), _FEATURES].mean()
    here = newest.loc[content, _FEATURES].astype(float)
    apart = np.abs(mean.to_numpy(np.float64) - here.to_numpy(np.float64)) / spread
    order = np.argsort(-apart, kind="stable")
    widest = [_FEATURES[at] for at in order if apart[at] >= _LEAST_APART]
    return [
        {"feature": name, "here": round(float(here[name]), 3), "better_mean": round(float(mean[name]), 3)}
        for name in widest[:_COMPARED_MOST]
    ]


def _evidence(row: Mapping[Any, Any]) -> dict[str, Any]:
    figures = {name: round(float(row[name]), 4) for name in ("theta", "lower", "upper")}
    counts = {name: round(float(row[name]), 1) for name in ("observed", "expected")}
    return figures | counts | {"people": int(row["people"])}


def _sentence(row: Mapping[Any, Any], better: Sequence[str], compared: Sequence[Mapping[str, Any]]) -> str:
    """Say it for who edits: what fails, how much, how sure, what others have."""
    said = (
        f"{clean_id(str(row['content_id']))}: {_FAILS[row['stage']]}, {row['theta']:.2f} times as often "
        f"(90 % interval {row['lower']:.2f} to {row['upper']:.2f}, {row['people']} people)."
    )
    if not better:
        return f"{said} No page of its topic is surely better there."
    named = ", ".join(clean_id(name) for name in better)
    if not compared:
        return f"{said} Better there on the same topic: {named}; the features known do not tell them apart."
    has = what_they_have(compared)
    return f"{said} Better there on the same topic: {named}. They have {has}: what goes together, not what causes it."


def what_they_have(compared: Sequence[Mapping[str, Any]]) -> str:
    """Say what better pages have more or fewer of, from a brief's `compared`."""
    return "; ".join(_has(one) for one in compared)


def _has(one: Mapping[str, Any]) -> str:
    """Say what the better ones have: counts are more or fewer, an ease of reading is higher or lower."""
    name = str(one["feature"])
    up = one["better_mean"] > one["here"]
    how = ("higher" if up else "lower") if name == "reading_ease" else ("more" if up else "fewer")
    plain = f"{name.removesuffix('_count')}s" if name.endswith("_count") else name.replace("_", " ")
    return f"{how} {plain} ({_number(one['better_mean'])} against {_number(one['here'])})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
