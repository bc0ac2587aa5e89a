"""Feedback sets: judgments and rank features for search engines, briefs for editors (S9).

Preference pairs for language models are not written: they may come only from edits with a verdict (S7.8), and
this bundle is judged without any. Nothing here is about a person; queries are written out only if ten people or
more asked them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from eventlib.columns import texts
from eventlib.geo.cells import SMALL_CELL
from eventlib.ranking.features import CONTENT_FEATURES
from eventlib.ranking.impressions import allows_training

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventlib.signals.table import SignalTable

__all__ = ["briefs", "judgments", "prompt_texts", "rank_features"]

_FEATURES: Final = [
    f.name for f in CONTENT_FEATURES if f.name != "topic_match" and not f.name.startswith("is_")
]
_BETTER_MOST: Final = 5


def prompt_texts(answers: pd.DataFrame) -> dict[str, str]:
    """Return the most frequent wording of each prompt that at least ten people used; ties go to the first by name.

    Parameters
    ----------
    answers
        `el.properties(events, "answer_generate")`.
    """
    allowed = answers[allows_training(answers) & answers["agent"].isna().to_numpy(dtype=bool)]
    columns = {name: texts(allowed, name) for name in ("prompt_id", "prompt_text", "person_id")}
    asked = pd.DataFrame(columns)
    asked = asked[(asked["prompt_text"] != "") & (asked["person_id"] != "")].drop_duplicates()
    people = asked.groupby(["prompt_id", "prompt_text"]).size().rename("people").reset_index()
    people = people[people["people"] >= SMALL_CELL]
    first = people.sort_values(["prompt_id", "people", "prompt_text"], ascending=[True, False, True])
    first = first.drop_duplicates("prompt_id")
    return dict(zip(first["prompt_id"], first["prompt_text"], strict=True))


def judgments(signals: SignalTable, queries: Mapping[str, str], name: str) -> dict[str, Any]:
    """Return judgments in OpenSearch's import form: one query per prompt, ratings are signals.

    Parameters
    ----------
    signals
        Rows of single prompts are used.
    queries
        Wording per prompt; prompts without one are left out.
    name
        Of the judgment list.
    """
    rows = signals.frame.assign(prompt_id=signals.cells["prompt_id"])
    rows = rows[rows["prompt_id"].isin(list(queries))]
    rated = [
        {
            "query": queries[str(prompt)],
            "ratings": [
                {"docId": str(content), "rating": f"{value:.4f}"}
                for content, value in zip(group["content_id"], group["signal"], strict=True)
            ],
        }
        for prompt, group in rows.groupby("prompt_id", sort=True)
    ]
    description = "Probability of a click once examined, debiased for position; eventlib signal bundle"
    return {"name": name, "description": description, "type": "IMPORT_JUDGMENT", "judgmentRatings": rated}


def rank_features(signals: SignalTable) -> list[dict[str, Any]]:
    """Return one document update per content: `signal` as a strictly positive rank_features object per cluster."""
    rows = signals.frame[(signals.cells["prompt_id"] == "").to_numpy()]
    return [
        {
            "content_id": str(content),
            "signal": {
                _field(cluster): round(float(value), 6)
                for cluster, value in zip(group["prompt_cluster"], group["signal"], strict=True)
            },
        }
        for content, group in rows.groupby("content_id", sort=True)
    ]


def _field(cluster: str) -> str:
    """Name a cluster as a field: dots would nest, an empty name is refused."""
    return cluster.replace(".", "_") or "other"


def briefs(signals: SignalTable) -> list[dict[str, Any]]:
    """Return what editors may look at: contents whose interval lies below better ones of their topic and cluster.

    `compared` says what those better ones have more or less of: an association to look into, not a promise that
    copying it helps.
    """
    own = (signals.cells["prompt_id"] == "").to_numpy() & (signals.design[:, _column("topic_match")] == 1)
    rows = signals.frame.assign(**{name: signals.design[:, _column(name)] for name in _FEATURES})[own]
    written = []
    for _, row in rows.sort_values("content_id").iterrows():
        peers = rows[(rows["prompt_cluster"] == row["prompt_cluster"]) & (rows["lower"] > row["upper"])]
        if peers.empty or np.isnan(row["n_effective"]):
            continue
        best = peers.nlargest(_BETTER_MOST, "signal")
        written.append(
            {
                "content_id": row["content_id"],
                "content_version": row["content_version"],
                "failing_stage": row["stages"],
                "evidence": {
                    name: round(float(row[name]), 4) for name in ("signal", "lower", "upper", "n_effective")
                },
                "topic": signals.clusters.topic(str(row["prompt_cluster"])),
                "prompt_cluster": row["prompt_cluster"],
                "prompt_cluster_label": row["prompt_cluster_label"],
                "better": list(best["content_id"]),
                "compared": _compared(row, best, rows),
            }
        )
    return written


def _column(name: str) -> int:
    return [feature.name for feature in CONTENT_FEATURES].index(name)


def _compared(row: pd.Series[Any], best: pd.DataFrame, rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Name the three features in which the better ones differ most, in standard deviations over all contents."""
    spread = rows[_FEATURES].std().replace(0, np.nan)
    distance = ((best[_FEATURES].mean() - row[_FEATURES].astype(float)) / spread).dropna()
    widest = distance.abs().sort_values(ascending=False, kind="stable").index[:3]
    return [
        {
            "feature": name,
            "here": round(float(row[name]), 3),
            "better_mean": round(float(best[name].mean()), 3),
        }
        for name in widest
    ]
