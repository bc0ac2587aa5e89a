"""What the ranking reports show, as frames: each is empty, with its columns, where nothing was trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from eventlib.cells import hide_small_cells
from eventlib.exposure import CURVE, rank_graph
from eventlib.ranking.checks import calibration_bins
from eventlib.ranking.evaluation import LOGGING, UNIFORM, place_names
from eventlib.ranking.guards import loop_guards
from eventlib.ranking.importance import importance
from eventlib.ranking.judge import PREVIOUS, SHUFFLED, one_canary

if TYPE_CHECKING:
    from eventlib.ranking.pipeline import Ranking

__all__ = [
    "WORDS",
    "calibration_table",
    "caveats",
    "counts",
    "exposure_table",
    "importance",
    "lift",
    "loop_guards",
    "policies",
    "removed",
    "ties",
    "verdict",
]

WORDS: Final = {
    LOGGING: "as it was shown",
    "naive": "naive clicks",
    "debiased": "debiased",
    SHUFFLED: "shuffled labels (canary)",
    UNIFORM: "any order, by chance",
    PREVIOUS: "the last bundle",
}


def lift(ranking: Ranking) -> tuple[float | None, float | None, float | None]:
    """Return the champion's gain over the logging policy as a share of its value, with 90 % bounds."""
    judged = ranking.judged
    if judged is None:
        return None, None, None
    rows = judged.differences
    row = rows[(rows["policy"] == judged.champion) & (rows["over"] == LOGGING)].iloc[0]
    value = judged.policies.set_index("policy")["value"][LOGGING]
    return float(row["share"]), float(row["lower"] / value), float(row["upper"] / value)


def verdict(ranking: Ranking) -> str:
    """Say in words whether the champion may be exported."""
    if ranking.reason:
        return "nothing to ask"
    if ranking.exportable:
        return "may be exported"
    failed = [gate.gate for gate in ranking.gates if gate.state == "failed"]
    return f"refused by {', '.join(failed)}"


def caveats(ranking: Ranking) -> list[str]:
    """Return what must be known before using the figures."""
    if ranking.reason:
        return [f"Nothing was trained: {ranking.reason}."]
    said = [f"{g.gate} {g.asks} failed: {g.reason}." for g in ranking.gates if g.state == "failed"]
    # where exposure refused, nothing else could be asked, and saying so once is enough
    said += [
        f"{g.gate} {g.asks} could not be asked: {g.reason}."
        for g in ranking.gates
        if ranking.judged and g.state == "not_applicable"
    ]
    said += _clustered(ranking)
    removed = ranking.impressions.removed
    owned = sum(removed.values()) - removed["not_owned"] + len(ranking.impressions.frame)
    if owned and removed["no_training_consent"] > 0.2 * owned:
        share = removed["no_training_consent"] / owned
        said.append(
            f"{share:.0%} of the shows came from people who do not allow training; they may click otherwise."
        )
    return said


def _clustered(ranking: Ranking) -> list[str]:
    """Say how prompts are clustered where it is not by clusters that are kept and still hold."""
    if ranking.judged is None:
        return []
    clusters = ranking.judged.clusters
    if clusters.by == "topic":
        return [
            f"Prompts are clustered by the topics they were answered with, not by their text: {clusters.told}."
        ]
    said = (
        [] if ranking.options.prompt_clusters else [f"Prompts are clustered by their text: {clusters.told}."]
    )
    return said + ([f"{clusters.warning[:1].upper()}{clusters.warning[1:]}."] if clusters.warning else [])


def counts(ranking: Ranking) -> pd.DataFrame:
    """Return `engine, answers, shows, clicks, people, used` per owned engine; engines under ten people left out."""
    found = ranking.impressions.counts()
    found, _ = hide_small_cells(found, "people")
    return found.assign(used=found["engine"] == ranking.engine)


_REASONS: Final = {
    "not_owned": "seen by probes or platform reports, not on the own site",
    "no_training_consent": "the person does not allow training",
    "agent": "shown to a bot",
    "no_engine": "the engine is not named",
    "repeated": "the same citation again",
    "no_analytics_consent": "the person does not allow analytics",
}


def removed(ranking: Ranking) -> pd.DataFrame:
    """Return what became of every show: `became, shows`; the rows add up to all shows of the log."""
    rows = [(_REASONS[code], count) for code, count in ranking.impressions.removed.items() if count]
    rest = len(ranking.impressions.frame) - sum(ranking.rows.values())
    parts = [
        ("before the cut: trains", "train"),
        ("in the embargo", "embargo"),
        ("after it: held out", "held_out"),
    ]
    rows += [(words, ranking.rows.get(part, 0)) for words, part in parts]
    rows.append(("of other engines, or too few to split", rest))
    return pd.DataFrame(rows, columns=["became", "shows"])


def exposure_table(ranking: Ranking) -> pd.DataFrame:
    """Return the exposure curve before the cut, with `used` for the places that the ranker learned from."""
    frame = pd.DataFrame(columns=list(CURVE)) if ranking.exposure is None else ranking.exposure.frame
    frame, _ = hide_small_cells(frame, "people", within=["slot"])  # (S7.10)
    places = set(ranking.judged.places) if ranking.judged else set()
    return frame.drop(columns=["swap_clicks", "status"]).assign(used=place_names(frame).isin(places))


def ties(ranking: Ranking) -> pd.DataFrame:
    """Return which places share pages and prompts before the cut: what the curve rests on, the most clicks first.

    Returns
    -------
    DataFrame
        `place, other, keys` (contents of a prompt shown at both), `clicks` (on these at either), `clicked_first` (share
        of the clicks at `place`), `people` (who clicked), `tied` (both have an exposure relative to each other).
    """
    columns = ["place", "other", "keys", "clicks", "clicked_first", "people", "tied"]
    shows = ranking.impressions.of(ranking.engine)
    graph = rank_graph(shows[shows["time_us"] < ranking.cut], engine=ranking.engine) if len(shows) else None
    if graph is None or graph.empty:
        return pd.DataFrame(columns=columns)
    named = graph.assign(
        place=place_names(graph),
        other=graph["slot_b"] + " " + graph["rank_b"].astype(str),
        clicked_first=graph["clicked_here_share"],
        tied=graph["component"] > 0,
    )
    return named.sort_values(["clicks", "place"], ascending=[False, True], ignore_index=True)[columns]


def policies(ranking: Ranking) -> pd.DataFrame:
    """Return `policy, value, lower, upper, gain, gain_lower, gain_upper, moved_answers`, best first.

    `value` is clicks per held-out answer, `gain` its difference from the logging policy, both with 90 % bounds.
    """
    columns = ["policy", "value", "lower", "upper", "gain", "gain_lower", "gain_upper", "moved_answers"]
    if ranking.judged is None:
        return pd.DataFrame(columns=columns)
    over = ranking.judged.differences
    over = over[over["over"] == LOGGING].set_index("policy")
    frame = ranking.judged.policies
    for column, source in (("gain", "difference"), ("gain_lower", "lower"), ("gain_upper", "upper")):
        frame = frame.assign(**{column: frame["policy"].map(over[source])})
    frame = one_canary(frame)
    named = frame.assign(policy=frame["policy"].map(WORDS))
    return named.sort_values("value", ascending=False, ignore_index=True)[columns]


def calibration_table(ranking: Ranking) -> pd.DataFrame:
    """Return held-out clicks against exposure * relevance in bins, as `calibration_bins` does."""
    judged = ranking.judged
    if judged is None:
        none = np.empty(0)
        return calibration_bins(none, none, none.astype(np.intp), np.empty((0, 0)))
    held = judged.held
    return calibration_bins(judged.evidence.predicted, held.clicked, held.person, judged.draws.weights)
