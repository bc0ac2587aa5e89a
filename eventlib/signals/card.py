"""The bundle's card: what the model is for, what it was trained on, what it cannot do, in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from eventlib.signals.spread import FEW_CELLS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventlib.ranking.clusters import Clusters
    from eventlib.ranking.pipeline import Ranking
    from eventlib.signals.spread import Spread

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


def write_card(ranking: Ranking, manifest: Mapping[str, Any], spread: Spread) -> str:
    """Return `card.md` for an exported ranking, its manifest, and what the intervals of its signals hold."""
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
single prompts. Features of a later moment may be used with the same model; positions may not.

{_intervals(manifest["signal_refits"], spread)}

## What it cannot do

- Places outside the {len(judged.places)} in use were not learned from: {_code(", ".join(judged.places))}.
- The position model (click = exposure * relevance) is an assumption; gate G2 says how far it was tested.
- Contents without a history before the cut get the average of what their features suggest.
- Histories end at the cut and grow old; the bundle has no expiry of its own.

## What is in `feedback/`

{_pairs(manifest["feedback"])}

{_briefs(manifest["feedback"]["briefs"])}

## What changed

{_changes(manifest)}
"""


def _intervals(refits: int, spread: Spread) -> str:
    few = " and ".join(
        f"{share.cells} for {name}"
        for name, share in (("known prompts", spread.prompt), ("new prompts", spread.cluster))
        if share.cells < FEW_CELLS
    )
    found = "cells of content and prompt that were shown after the cut"
    known = f" Few {found} tell of it ({few}): intervals are mostly a guess, and wide." if few else ""
    return (
        "`lower` and `upper` bound the true signal in 90 %: of a row `prompt:…` for that prompt, of any other for a prompt of the "
        f"cluster that was not seen before. They hold what other people would have changed ({refits} refits), and how far "
        f"clicks after the cut ({found}: {spread.prompt.cells} known, {spread.cluster.cells} treated as new) are from "
        f"signals: what shrinkage and trees take, and how prompts differ.{known} They do not hold a wrong click model."
    )


def _pairs(feedback: Mapping[str, Any]) -> str:
    held, left_out = feedback["pairs"], feedback["edits_left_out"]
    without = "; ".join(f"{count} {_LEFT_OUT[name]}" for name, count in left_out.items())
    rest = f" Edits with a verdict that gave none: {without}." if without else ""
    if not sum(held.values()):
        return f"There are no preference pairs: they come only from edits with a verdict.{rest}"
    sides = " and ".join(f"{count} of {name}" for name, count in held.items() if count)
    return (
        f"Preference pairs: {sides}. Each is two versions of one page of which an edit's verdict chose one, found on "
        "people who allow training; `edits.jsonl` says line by line what it rests on. A reference is "
        f"`content_id@content_version`, to be replaced by that version's text before any tuning.{rest}\n\n"
        "Found effects are on average larger than true ones, since those that chance favoured are found first: so are "
        "margins. Few pairs tune nothing; they are there to be collected over months."
    )


_LEFT_OUT: Final = {
    "judged_jointly": "judged jointly with others",
    "not_sure": "less sure than .9",
    "contradicted": "contradicted by another outcome",
    "versions_unknown": "whose versions are not known",
    "no_prompt": "without a prompt that ten people asked and saw it cited for",
}


def _briefs(count: int) -> str:
    if not count:
        return "There are no briefs: no page surely fails at a stage."
    return (
        f"Briefs: {count} pages that surely fail at a stage (cited, clicked, satisfied). What better pages have is an "
        "association, not a cause."
    )


def _changes(manifest: Mapping[str, Any]) -> str:
    if manifest["previous"] is None:
        return f"Nothing was compared: {_code(manifest['changes']['reason'])}."
    counts = manifest["changes"]["counts"]
    told = ", ".join(f"{count} `{kind}`" for kind, count in counts.items()) or "nothing moved"
    return (
        f"Since {_code(manifest['previous']['bundle'])}: {told}. A signal moved where it differs by more than 1.96 standard "
        "deviations of the difference by sampling alone, both bundles taken as independent. They share most of their people, so that small "
        "moves are not told."
    )
