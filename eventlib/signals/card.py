"""The bundle's card: what the model is for, what it was trained on, what it cannot do, in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventlib.ranking.clusters import Clusters
    from eventlib.ranking.pipeline import Ranking

__all__ = ["write_card"]


def _code(text: object) -> str:
    """Put text that came with events into Markdown where nothing in it can act."""
    return "`" + str(text).replace("`", "'").replace("\n", " ").replace("|", "/") + "`"


def _clusters(clusters: Clusters) -> str:
    if clusters.text is None:
        return f"A prompt's cluster is the topic that it was most often answered with, since {_code(clusters.told)}."
    return (
        f"Prompts are clustered by their text: `prompt_clusters.json`, fitted on prompts up to "
        f"{_code(clusters.text.fitted['as_of'])}\nthat allow training. `features.json` holds the label of each cluster's id, "
        "and the topic that it was most often answered with."
    )


def write_card(ranking: Ranking, manifest: Mapping[str, Any]) -> str:
    """Return `card.md` for an exported ranking and its manifest."""
    judged = ranking.judged
    assert judged is not None
    window, totals = manifest["training_window"], manifest["ledger"]
    gates = "\n".join(
        f"| {g.gate} | {g.asks} | {g.state.replace('_', ' ')} | {g.threshold} | {_code(g.reason)} |"
        for g in ranking.gates
    )
    policies = "\n".join(
        f"| {row.policy} | {row.value:.4f} | {row.lower:.4f} to {row.upper:.4f} |"
        for row in judged.policies.itertuples()
    )
    return f"""# Ranking signals for {_code(ranking.engine)}

The signal of a content is the probability that a person who sees it cited follows it, cleaned of where it stood.
It speaks of clicks alone: not of being cited, and not of what a reader found.

## What it was trained on

Citations shown by {_code(ranking.engine)} from {window["from"]} to {window["cut"]}, judged on {window["judged_from"]} to
{window["to"]}: {ranking.rows["train"]:,} shows before the cut, {ranking.rows["held_out"]:,} after it. Only events that
allow training; bots left out. The log had {totals["rows_in"]:,} lines, of which {totals["rows_out"]:,} were kept.
Who refuses training is not in it, and may click otherwise.

{_clusters(judged.clusters)}

## Champion: {judged.champion}

| policy | clicks per answer | 90 % interval |
|---|---:|---|
{policies}

Values are estimates for held-out answers by inverse propensity scoring over {len(judged.places)} places; intervals come
from {ranking.options.replicates} replicates over people that each refit exposure.

## Gates

| gate | asks | state | threshold | found |
|---|---|---|---|---|
{gates}

A gate that is not applicable could not be asked with this log; it is no approval.

## How to use it

`model.onnx` takes float32 rows in the order of `features.json` and returns the signal; `golden.jsonl` holds rows to
test that with. `signals.parquet` holds the signal of every known content, per prompt cluster; rows `prompt:…` are for
single prompts. `lower` and `upper` bound 90 %, by {manifest["signal_refits"]} refits on resampled people. Features of a
later moment may be used with the same model; positions may not.

## What it cannot do

- Places outside the {len(judged.places)} in use were not learned from: {_code(", ".join(judged.places))}.
- The position model (click = exposure * relevance) is an assumption; gate G2 says how far it was tested.
- Contents without a history before the cut get the average of what their features suggest.
- Histories end at the cut and grow old; the bundle has no expiry of its own.
- There are no preference pairs in `feedback/`: they may come only from edits with a verdict, and none was at hand.
"""
