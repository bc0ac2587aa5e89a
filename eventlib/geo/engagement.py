"""Satisfied citations, observed over expected, per content and engine: the headline score (S7.4 to S7.7).

1 is an average page. The score is the product of its stages by definition, theta = cite * click * satisfy;
stages that an engine does not let us see are absent, and the score is named after those it has. Interval,
ranks and words come from joint draws in which each stage is shrunk on its own, so that the stage bars sum to
the log score.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array

from eventlib.exposure import Exposure, conditional_fit, shown_citations
from eventlib.geo.cells import SMALL_CELL, hide_small_cells
from eventlib.geo.satisfaction import engine_visits
from eventlib.geo.shrinkage import cluster_weights, dispersion, join_stages, posterior_draws, shrunk_ratio
from eventlib.geo.stages import STAGES, Stage, candidate_rows, cite_stage, click_stage, satisfy_stage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["LEAST_CLUSTERS", "Score", "owned_stages", "score_engine", "score_engines", "score_frame"]

Floats: TypeAlias = NDArray[np.float64]

LEAST_CLUSTERS: Final = 40
_LEAST_EXPECTED: Final = 5.0
_WIDEST: Final = 4.0
_SURE: Final = 0.95
_REFIT_STEPS: Final = 3  # from the estimate, Newton needs no more


@dataclass(frozen=True, slots=True)
class Score:
    """One engine's scores, one way of observing.

    Attributes
    ----------
    stages
        The stages observed, in order; the score is named after them.
    frame
        One row per content: `content_id, theta, lower, upper, p_better, word, rank, rank_lower, rank_upper`,
        `log_<stage>` (they sum to log theta), `<stage>_lower, <stage>_upper`, `observed_<stage>,
        expected_<stage>, phi_<stage>`, `placement` (log of mean exposure over the engine's, outside theta),
        `enough` (whether it may be ranked), `people`.
    hidden
        Contents left out because fewer than 10 people stand behind them (S7.10).
    reasons
        Why stages are absent, or why there is no score at all.
    """

    engine: str
    observation: str
    stages: tuple[str, ...]
    frame: pd.DataFrame
    hidden: int = 0
    reasons: tuple[str, ...] = ()
    clusters: int = 0
    exposure: Exposure | None = None
    level: float = 0.90

    @property
    def name(self) -> str:
        """What the score is called: its stages.

        >>> Score("chatgpt", "owned", ("satisfy",), pd.DataFrame()).name
        'satisfy'
        """
        return " x ".join(self.stages) or "none"


@dataclass(slots=True)
class _Counts:
    """A stage's counts per content, and their bootstrap replicates as they come in."""

    stage: Stage
    cell: NDArray[np.int64]
    cluster: NDArray[np.int64]
    observed: Floats
    expected: Floats
    residuals: list[Floats] = field(default_factory=list)


def _counts(stage: Stage, contents: pd.Index, clusters: pd.Index) -> _Counts:
    cell = contents.get_indexer(pd.Index(stage.content)).astype(np.int64)
    return _Counts(
        stage,
        cell,
        clusters.get_indexer(pd.Index(stage.cluster)).astype(np.int64),
        np.bincount(cell, stage.observed, len(contents)).astype(np.float64),
        np.bincount(cell, stage.expected, len(contents)).astype(np.float64),
    )


def _sums(counts: _Counts, column: NDArray[np.int64], values: Floats, width: int, clusters: int) -> csr_array:
    """Clusters by columns, summed: a replicate's totals are then one product with its weights."""
    return csr_array((values, (counts.cluster, column)), shape=(clusters, width))


def _spread(counts: _Counts, blocks: Sequence[Floats]) -> Floats:
    """Return the dispersion of each content's counts over the bootstrap's replicates."""
    _replicate(counts, blocks)
    residuals = np.concatenate(counts.residuals)
    stage, theta = counts.stage, shrunk_ratio(counts.observed, counts.expected)
    added = stage.model_error**2 * theta * counts.expected / (1 - np.minimum(stage.base * theta, 0.9))
    spread: Floats = dispersion(counts.observed, counts.expected, stage.base, residuals) + added
    return spread


def _replicate(counts: _Counts, blocks: Sequence[Floats]) -> None:
    """Fill in O* - theta E* of every replicate; each refits the exposure and the overall rate."""
    size, clusters = len(counts.observed), blocks[0].shape[1]
    theta = shrunk_ratio(counts.observed, counts.expected)
    observed = _sums(counts, counts.cell, counts.stage.observed, size, clusters)
    make = _fixed_hope if counts.stage.swaps is None else _refit_hope
    hope = make(counts, size, clusters)
    for weights in blocks:
        seen, hoped = weights @ observed, hope(weights)
        hoped *= seen.sum(axis=1, keepdims=True) / np.maximum(hoped.sum(axis=1, keepdims=True), 1e-12)
        counts.residuals.append(seen - theta * hoped)


def _fixed_hope(counts: _Counts, size: int, clusters: int) -> Callable[[Floats], Floats]:
    """Return a function from replicate weights to expected counts that only reweights them."""
    expected = _sums(counts, counts.cell, counts.stage.expected, size, clusters)
    return lambda weights: weights @ expected


def _refit_hope(counts: _Counts, size: int, clusters: int) -> Callable[[Floats], Floats]:
    """Return a function from replicate weights to expected counts at the exposure refitted to them."""
    swaps = counts.stage.swaps
    assert swaps is not None
    places = len(swaps.positions)
    cell, ones = swaps.key * places + swaps.position, np.ones(len(swaps.key))
    width = (int(swaps.key.max()) + 1) * places
    shows, clicks = (_sums(counts, cell, values, width, clusters) for values in (ones, swaps.clicked))
    placed = _sums(counts, counts.cell * places + swaps.position, ones, size * places, clusters)

    def hope(weights: Floats) -> Floats:
        curves = _refit(weights @ shows, weights @ clicks, places, counts.stage.log_exposure)
        placings = (weights @ placed).reshape(len(weights), size, places)
        expected: Floats = np.einsum("rcp,rp->rc", placings, curves)
        return expected

    return hope


def _refit(shows: Floats, clicks: Floats, places: int, start: Floats | None) -> Floats:
    curves = [
        conditional_fit(n.reshape(-1, places), c.reshape(-1, places), start, ridge=0.1, steps=_REFIT_STEPS)[0]
        for n, c in zip(shows, clicks, strict=True)
    ]
    return np.exp(np.array(curves))


def score_engine(
    engine: str,
    stages: Sequence[Stage],
    *,
    observation: str = "owned",
    exposure: Exposure | None = None,
    reasons: Sequence[str] = (),
    draws: int = 4_000,
    replicates: int = 200,
    level: float = 0.90,
    seed: int = 0,
    small_cell: int = SMALL_CELL,
) -> Score:
    """Score the contents of one engine from the rows of its stages.

    Parameters
    ----------
    stages
        As `cite_stage`, `click_stage` and `satisfy_stage` return them; at least one.
    draws, replicates
        Posterior draws, and cluster-bootstrap replicates for the dispersion.
    small_cell
        Fewest distinct people behind a content that is shown.

    Returns
    -------
    Score
        Without rows, and with the reason, where fewer than 40 clusters were seen.
    """
    names = tuple(stage.name for stage in stages)
    contents = pd.Index(sorted({content for stage in stages for content in stage.content}))
    clusters = pd.Index(sorted({cluster for stage in stages for cluster in stage.cluster}))
    if len(clusters) < LEAST_CLUSTERS or not stages:
        why = f"an interval needs {LEAST_CLUSTERS} people or prompt-days"
        why = why if stages else "no stage was observed"
        given = (*reasons, why)
        return Score(engine, observation, names, pd.DataFrame(), 0, given, len(clusters), exposure, level)
    rng = np.random.default_rng(seed)
    blocks = list(cluster_weights(rng, len(clusters), replicates))
    frame = pd.DataFrame({"content_id": contents})
    counted = [_counts(stage, contents, clusters) for stage in stages]
    spreads = [_spread(counts, blocks) for counts in counted]
    drawn = [
        posterior_draws(counts.observed, counts.expected, spread, counts.stage.base, draws=draws, rng=rng)
        for counts, spread in zip(counted, spreads, strict=True)
    ]
    logs, strength = np.zeros((draws, len(contents))), np.full(len(contents), np.inf)
    for counts, spread, theta in zip(counted, spreads, join_stages(drawn, rng), strict=True):
        phi = spread * (1 - np.minimum(counts.stage.base * theta.mean(axis=0), 0.98))
        frame = frame.assign(**_stage_columns(counts, phi, np.log(theta), level))
        logs += np.log(theta)
        strength = np.minimum(strength, counts.expected / phi)
    people = pd.concat([pd.DataFrame({"content": s.content, "cluster": s.cluster}) for s in stages])
    frame["people"] = contents.map(people.groupby("content")["cluster"].nunique()).astype(np.int64)
    frame = frame.assign(**_verdict(logs, strength, level), placement=_placement(stages, contents))
    shown, hidden = hide_small_cells(frame, "people", k=small_cell)
    shown = shown.sort_values("theta", ascending=False, ignore_index=True)
    return Score(engine, observation, names, shown, hidden, tuple(reasons), len(clusters), exposure, level)


def _stage_columns(counts: _Counts, phi: Floats, log_theta: Floats, level: float) -> dict[str, Floats]:
    name = counts.stage.name
    lower, upper = np.quantile(log_theta, [0.5 - level / 2, 0.5 + level / 2], axis=0)
    return {
        f"log_{name}": log_theta.mean(axis=0),
        f"{name}_lower": np.exp(lower),
        f"{name}_upper": np.exp(upper),
        f"observed_{name}": counts.observed,
        f"expected_{name}": counts.expected,
        f"phi_{name}": phi,
    }


def _verdict(logs: Floats, strength: Floats, level: float) -> dict[str, NDArray[Any]]:
    lower, upper = np.exp(np.quantile(logs, [0.5 - level / 2, 0.5 + level / 2], axis=0))
    better = (logs > 0).mean(axis=0)
    enough = (strength >= _LEAST_EXPECTED) & (upper / lower <= _WIDEST)
    word = np.select(
        [~enough, better >= _SURE, better <= 1 - _SURE],
        ["not enough evidence", "better", "worse"],
        default="as average, as far as can be told",
    )
    rank = np.full((3, logs.shape[1]), np.nan)
    if enough.any():
        places = np.argsort(np.argsort(-logs[:, enough], axis=1), axis=1) + 1
        rank[:, enough] = np.quantile(places, [0.5, 0.5 - level / 2, 0.5 + level / 2], axis=0)
    return {
        "theta": np.exp(logs.mean(axis=0)), "lower": lower, "upper": upper, "p_better": better, "word": word,
        "enough": enough, "rank": rank[0], "rank_lower": rank[1], "rank_upper": rank[2],
    }  # fmt: skip


def _placement(stages: Sequence[Stage], contents: pd.Index) -> Floats:
    """Return log mean exposure of each content over the engine's: where it stands, not how good it is."""
    click = next((stage for stage in stages if stage.name == "click"), None)
    if click is None or click.swaps is None or click.log_exposure is None:
        return np.full(len(contents), np.nan)
    weight = np.exp(click.log_exposure)[click.swaps.position]
    cell = contents.get_indexer(pd.Index(click.content))
    shows = np.bincount(cell, minlength=len(contents))
    total = np.bincount(cell, weight, len(contents))
    mean = np.divide(total, shows, out=np.full(len(contents), np.nan), where=shows > 0)
    placement: Floats = np.log(mean / weight.mean())
    return placement


def score_engines(
    frames: Mapping[str, pd.DataFrame],
    *,
    tau_ms: float = 0.0,
    draws: int = 4_000,
    replicates: int = 200,
    level: float = 0.90,
    seed: int = 0,
) -> list[Score]:
    """Score every engine by the stages that its events let us see; observations are never pooled.

    Parameters
    ----------
    frames
        `el.properties` frames by event name, as `eventlib.geo.read_frames` returns them.
    tau_ms
        As in `engine_visits`.

    Returns
    -------
    list of Score
        Owned engines with all stages first.
    """
    shown = shown_citations(frames["citation_show"], frames["citation_click"], frames["answer_generate"])
    visits = engine_visits(frames, tau_ms=tau_ms)
    candidates = candidate_rows(frames["answer_generate"], frames["citation_show"])
    engines = {(name, "owned") for name in {*shown["engine"], *visits["engine"]}}
    engines |= set(zip(candidates["engine"], candidates["observation"], strict=True))
    scores = []
    for engine, observation in sorted(engines):
        stages, reasons, exposure = _observed_stages(engine, observation, shown, visits, candidates)
        scores.append(
            score_engine(
                engine, stages, observation=observation, exposure=exposure, reasons=reasons,
                draws=draws, replicates=replicates, level=level, seed=seed,
            )
        )  # fmt: skip
    return sorted(scores, key=lambda score: (-len(score.stages), score.engine))


def owned_stages(frames: Mapping[str, pd.DataFrame], *, tau_ms: float = 0.0) -> dict[str, list[Stage]]:
    """Return the observed stages of each engine whose answers are the site's own, by engine."""
    shown = shown_citations(frames["citation_show"], frames["citation_click"], frames["answer_generate"])
    visits = engine_visits(frames, tau_ms=tau_ms)
    candidates = candidate_rows(frames["answer_generate"], frames["citation_show"])
    engines = sorted(shown["engine"].unique())
    return {engine: _observed_stages(engine, "owned", shown, visits, candidates)[0] for engine in engines}


def _observed_stages(
    engine: str, observation: str, shown: pd.DataFrame, visits: pd.DataFrame, candidates: pd.DataFrame
) -> tuple[list[Stage], list[str], Exposure | None]:
    own = (candidates["engine"] == engine) & (candidates["observation"] == observation)
    cite, why_cite = cite_stage(candidates[own])
    found, reasons, exposure = [cite], [f"cite: {why_cite}"] if why_cite else [], None
    if observation == "owned":
        click = None
        if (shown["engine"] == engine).any():
            click, exposure = click_stage(shown[shown["engine"] == engine])
            reasons += [f"click: {reason}" for reason in exposure.reasons]
        else:
            reasons.append("click: not shown in this log")
        satisfy, why_satisfy = satisfy_stage(visits[visits["engine"] == engine])
        reasons += [f"satisfy: {why_satisfy}"] if why_satisfy else []
        found += [click, satisfy]
    return [stage for stage in found if stage is not None], reasons, exposure


def score_frame(scores: Sequence[Score]) -> pd.DataFrame:
    """Return all scores in one frame, with `engine, observation, score` (its stages) in front."""
    parts = [
        score.frame.assign(engine=score.engine, observation=score.observation, score=score.name)
        for score in scores
        if len(score.frame)
    ]
    if not parts:
        return pd.DataFrame(
            columns=["engine", "observation", "score", "content_id", "theta", "lower", "upper", "word"]
        )
    joined = pd.concat(parts, ignore_index=True)
    front = ["engine", "observation", "score", "content_id"]
    stages = [f"log_{name}" for name in STAGES if f"log_{name}" in joined]
    return joined[[*front, *[name for name in joined if name not in {*front, *stages}], *stages]]
