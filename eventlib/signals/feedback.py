"""Feedback for search engines: judgments and rank features, and the wordings of prompts that may be told (S9).

Nothing here is about a person; queries are written out only if ten people or more asked them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from eventlib.cells import SMALL_CELL
from eventlib.columns import texts
from eventlib.masking import clean
from eventlib.ranking.impressions import allows_training

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventlib.signals.table import SignalTable

__all__ = ["judgments", "prompt_texts", "rank_features", "wordings"]


def wordings(answers: pd.DataFrame) -> pd.DataFrame:
    """Return the most frequent wording of each prompt that at least ten people used; ties go to the first by name.

    A wording that a report would mask, for an address or a number in it, is not told, whoever used it; the next
    one is.

    Parameters
    ----------
    answers
        `el.properties(events, "answer_generate")`.

    Returns
    -------
    DataFrame
        `prompt_id, prompt_text, people`, one row per prompt.
    """
    allowed = answers[allows_training(answers) & answers["agent"].isna().to_numpy(dtype=bool)]
    columns = {name: texts(allowed, name) for name in ("prompt_id", "prompt_text", "person_id")}
    asked = pd.DataFrame(columns)
    asked = asked[(asked["prompt_text"] != "") & (asked["person_id"] != "")].drop_duplicates()
    people = asked.groupby(["prompt_id", "prompt_text"]).size().rename("people").reset_index()
    people = people[people["people"] >= SMALL_CELL]
    people = people[people["prompt_text"].map(_harmless).to_numpy(dtype=bool)]
    first = people.sort_values(["prompt_id", "people", "prompt_text"], ascending=[True, False, True])
    return first.drop_duplicates("prompt_id", ignore_index=True)


def _harmless(text: str) -> bool:
    return clean(text) == text


def prompt_texts(answers: pd.DataFrame) -> dict[str, str]:
    """Return the wording of each prompt as `wordings` does, by prompt."""
    first = wordings(answers)
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
    fields = _fields(rows["prompt_cluster"])
    return [
        {
            "content_id": str(content),
            "signal": {
                fields[cluster]: round(float(value), 6)
                for cluster, value in zip(group["prompt_cluster"], group["signal"], strict=True)
            },
        }
        for content, group in rows.groupby("content_id", sort=True)
    ]


def _fields(clusters: pd.Series[str]) -> dict[str, str]:
    """Name each cluster as a field: dots would nest, an empty name is refused; no two have one name."""
    fields: dict[str, str] = {}
    # those that keep their names come first
    for cluster in sorted(set(clusters), key=lambda name: (_field(name) != name, name)):
        name = _field(cluster)
        while name in fields.values():
            name += "_"
        fields[cluster] = name
    return fields


def _field(cluster: str) -> str:
    return cluster.replace(".", "_") or "other"
