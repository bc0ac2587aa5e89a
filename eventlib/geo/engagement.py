"""Satisfied citations, observed over expected, per content and engine: the headline score (S7.4 to S7.7).

1 is an average page. The score is the product of its stages by definition, theta = cite * click * satisfy;
stages that an engine does not let us see are absent, and the score is named after those it has. Interval,
ranks and words come from joint draws of all stages, so that the stage bars sum to the log score. Cells are
contents, or finer: a content's versions, and the prompt clusters that it answers.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eventlib.cells import SMALL_CELL, distinct_clusters, hide_small_cells
from eventlib.errors import BadCallError
from eventlib.exposure import Exposure
from eventlib.geo.decay import choose_half_life, evidence_end
from eventlib.geo.dispersion import CellCounts, cluster_weights
from eventlib.geo.observed import Observed, observed_stages
from eventlib.geo.posterior import Counts, joint_draws
from eventlib.geo.stages import STAGES, Stage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "CELL_KEYS",
    "LEAST_CLUSTERS",
    "NO_STAGE",
    "Score",
    "score_engine",
    "score_engines",
    "score_frame",
    "score_observed",
]

Floats: TypeAlias = NDArray[np.float64]

CELL_KEYS: Final = ("content_id", "content_version", "prompt_cluster")
"""What a cell may be keyed by; the first always."""
LEAST_CLUSTERS: Final = 40
NO_STAGE: Final = "no stage was observed"
_LEAST_EXPECTED: Final = 5.0
_WIDEST: Final = 4.0
_SURE: Final = 0.95
_NO_CLUSTER: Final = "unknown"


@dataclass(frozen=True, slots=True)
class Score:
    """One engine's scores, one way of observing.

    Attributes
    ----------
    stages
        The stages observed, in order; the score is named after them.
    frame
        One row per cell: `content_id` (with `content_version`, `prompt_cluster` where cells are finer),
        `theta, lower, upper, p_better, word, rank, rank_lower, rank_upper`, `log_<stage>` (they sum to log
        theta), `<stage>_lower, <stage>_upper`, `observed_<stage>, expected_<stage>, phi_<stage>, people_<stage>`,
        `placement` (log of mean exposure over the engine's, outside theta), `enough` (whether it may be
        ranked), `needs` (about how many times the evidence it would take to be ranked, 1 where it is enough, NaN where
        a stage has none at all, so that no multiple would do),
        `people`, `stages_told` (whether no stage rests on fewer than 10 people who came that far, so that its
        stages may be shown apart).
    hidden
        Cells left out because fewer than 10 people stand behind them (S7.10).
    reasons
        Why stages are absent, or why there is no score at all.
    clusters
        People, or prompt-days of probes, behind all cells.
    half_life_days
        After so many days a row weighs half; theta is the mean over time so weighted. inf: all alike.
    source
        What `score_observed` made it of.
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
    half_life_days: float = float("inf")
    source: Observed | None = field(default=None, repr=False, compare=False)

    @property
    def name(self) -> str:
        """What the score is called: its stages.

        >>> Score("chatgpt", "owned", ("satisfy",), pd.DataFrame()).name
        'satisfy'
        """
        return " x ".join(self.stages) or "none"


def score_engine(
    engine: str,
    stages: Sequence[Stage],
    *,
    observation: str = "owned",
    by: Sequence[str] = ("content_id",),
    prompt_clusters: Mapping[str, str] | None = None,
    half_life_days: float = float("inf"),
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
        As `cite_stage`, `click_stage` and `satisfy_stage` return them.
    by
        What a cell is: `content_id`, and with it `content_version`, `prompt_cluster` or both. Finer cells are
        drawn towards their content.
    prompt_clusters
        The cluster of each prompt, where cells are keyed by it; other prompts are `unknown`.
    half_life_days
        After so many days a row weighs half; inf weighs all alike.
    draws, replicates
        Posterior draws, and cluster-bootstrap replicates for the dispersion.
    small_cell
        Fewest distinct people behind a cell that is shown.

    Returns
    -------
    Score
        Without rows, and with the reason, where fewer than 40 clusters were seen.

    Raises
    ------
    BadCallError
        A key of `by` that is none; a half-life that is not above 0; fewer than 1 draw or 2 replicates; a level
        outside (0, 1).
    """
    _check_keys(by)
    _check_numbers(half_life_days, draws, replicates, level)
    names = tuple(stage.name for stage in stages)
    clusters = pd.Index(sorted({cluster for stage in stages for cluster in stage.cluster}))
    if len(clusters) < LEAST_CLUSTERS or not stages:
        why = f"an interval needs {LEAST_CLUSTERS} people or prompt-days"
        why = why if stages else NO_STAGE
        return Score(
            engine, observation, names, pd.DataFrame(), 0, (*reasons, why), len(clusters), exposure, level
        )
    end_us = evidence_end(stages)
    faded = [stage.faded(end_us, half_life_days) for stage in stages]
    cells, codes = _cells(faded, by, prompt_clusters or {})
    rng = np.random.default_rng(seed)
    blocks = list(cluster_weights(rng, len(clusters), replicates))
    counted = [
        CellCounts.of(stage, code, clusters.get_indexer(pd.Index(stage.cluster)).astype(np.int64), len(cells))
        for stage, code in zip(faded, codes, strict=True)
    ]
    frame = cells.assign(people=_people(counted, len(cells)), placement=_placement(counted, len(cells)))
    frame = frame.assign(**_scored(counted, blocks, frame, draws, level, rng))
    came = frame[[f"people_{name}" for name in names]]
    frame["stages_told"] = ((came == 0) | (came >= small_cell)).all(axis=1)
    within = ["content_id"] if len(by) > 1 else []
    shown, hidden = hide_small_cells(frame, "people", within=within, k=small_cell)
    shown = shown.sort_values("theta", ascending=False, kind="stable", ignore_index=True)
    return Score(
        engine,
        observation,
        names,
        shown,
        hidden,
        tuple(reasons),
        len(clusters),
        exposure,
        level,
        half_life_days,
    )


def _check_keys(by: Sequence[str]) -> None:
    if by and by[0] == CELL_KEYS[0] and set(by) <= set(CELL_KEYS):
        return
    raise BadCallError(
        f"by={list(by)} does not key cells; it starts with content_id, and content_version and prompt_cluster may follow"
    )


def _check_numbers(half_life_days: float, draws: int, replicates: int, level: float) -> None:
    """Refuse what would give no interval, or an interval of nothing; NaN fails every comparison."""
    if not half_life_days > 0:
        raise BadCallError(
            f"half_life_days is {half_life_days}; give days above 0, or float('inf') to weigh all alike"
        )
    if draws < 1 or replicates < 2:
        raise BadCallError(
            f"draws is {draws} and replicates {replicates}; an interval needs 1 and 2 at the least, and some 400 and 100 to be steady"
        )
    if not 0 < level < 1:
        raise BadCallError(f"level is {level}; give the share that an interval is to cover, between 0 and 1")


def _cells(
    stages: Sequence[Stage], by: Sequence[str], prompt_clusters: Mapping[str, str]
) -> tuple[pd.DataFrame, list[NDArray[np.int64]]]:
    """Return the keys of all cells, sorted, and each stage's rows as codes of them."""
    keyed = [_keys(stage, by, prompt_clusters) for stage in stages]
    cells = pd.concat(keyed).drop_duplicates().sort_values(list(by)).reset_index(drop=True)
    index = pd.MultiIndex.from_frame(cells)
    codes = [index.get_indexer(pd.MultiIndex.from_frame(keys)).astype(np.int64) for keys in keyed]
    return cells, codes


def _keys(stage: Stage, by: Sequence[str], prompt_clusters: Mapping[str, str]) -> pd.DataFrame:
    empty = np.full(len(stage.content), "", dtype=object)
    columns: dict[str, NDArray[np.object_]] = {"content_id": stage.content}
    if "content_version" in by:
        columns["content_version"] = empty if stage.version is None else stage.version
    if "prompt_cluster" in by:
        prompts = empty if stage.prompt is None else stage.prompt
        columns["prompt_cluster"] = np.array(
            [prompt_clusters.get(prompt, _NO_CLUSTER) for prompt in prompts], dtype=object
        )
    return pd.DataFrame({name: columns[name] for name in by})


def _people(counted: Sequence[CellCounts], cells: int) -> NDArray[np.int64]:
    """Return how many distinct clusters stand behind each cell, all stages together."""
    cell, cluster = (np.concatenate([getattr(one, name) for one in counted]) for name in ("cell", "cluster"))
    return distinct_clusters(cell, cluster, cells)


def _scored(
    counted: Sequence[CellCounts],
    blocks: Sequence[Floats],
    cells: pd.DataFrame,
    draws: int,
    level: float,
    rng: np.random.Generator,
) -> dict[str, NDArray[Any]]:
    """Return the columns of each stage, then of the score."""
    spreads = [counts.spread(blocks) for counts in counted]
    known = [
        Counts(counts.observed, counts.expected, spread, counts.stage.base)
        for counts, spread in zip(counted, spreads, strict=True)
    ]
    page = pd.factorize(cells["content_id"])[0].astype(np.int64)
    group = page if page.max(initial=-1) + 1 < len(page) else None
    drawn = joint_draws(known, draws=draws, rng=rng, group=group)
    columns: dict[str, NDArray[Any]] = {}
    logs, strength = np.zeros_like(drawn[0]), np.full(len(cells), np.inf)
    for counts, spread, chance in zip(counted, spreads, drawn, strict=True):
        theta = chance * np.exp(counts.model_error() * rng.normal(size=chance.shape))
        phi = spread * (1 - np.minimum(counts.stage.base * theta.mean(axis=0), 0.98))
        columns |= _stage_columns(counts, phi, np.log(theta), level)
        logs += np.log(theta)
        strength = np.minimum(strength, counts.expected / phi)
    return columns | _verdict(logs, strength, level)


def _stage_columns(counts: CellCounts, phi: Floats, log_theta: Floats, level: float) -> dict[str, Floats]:
    name = counts.stage.name
    lower, upper = np.quantile(log_theta, [0.5 - level / 2, 0.5 + level / 2], axis=0)
    return {
        f"log_{name}": log_theta.mean(axis=0),
        f"{name}_lower": np.exp(lower),
        f"{name}_upper": np.exp(upper),
        f"observed_{name}": counts.observed,
        f"expected_{name}": counts.expected,
        f"phi_{name}": phi,
        f"people_{name}": counts.clusters(),
    }


def _verdict(logs: Floats, strength: Floats, level: float) -> dict[str, NDArray[Any]]:
    lower, upper = np.exp(np.quantile(logs, [0.5 - level / 2, 0.5 + level / 2], axis=0))
    better = (logs > 0).mean(axis=0)
    enough = (strength >= _LEAST_EXPECTED) & (upper / lower <= _WIDEST)
    with np.errstate(divide="ignore"):  # of no evidence there is no multiple that would do
        short = np.maximum(_LEAST_EXPECTED / strength, (np.log(upper / lower) / np.log(_WIDEST)) ** 2)
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
        "enough": enough, "needs": np.where(enough, 1.0, _rounded_up(short)),
        "rank": rank[0], "rank_lower": rank[1], "rank_upper": rank[2],
    }  # fmt: skip


def _rounded_up(short: Floats) -> Floats:
    """Return multiples to a tenth, above 1: what is too little is never said to be enough."""
    tenths: Floats = np.maximum(np.ceil(10 * short) / 10, 1.1)
    return np.where(np.isfinite(tenths), tenths, np.nan)


def _placement(counted: Sequence[CellCounts], cells: int) -> Floats:
    """Return log mean exposure of each cell over the engine's: where it stands, not how good it is."""
    click = next((counts for counts in counted if counts.stage.name == "click"), None)
    if click is None or click.stage.swaps is None or click.stage.log_exposure is None:
        return np.full(cells, np.nan)
    seen = np.exp(click.stage.log_exposure)[click.stage.swaps.position]
    counted_as = np.ones(len(seen)) if click.stage.weight is None else click.stage.weight
    shows = np.bincount(click.cell, counted_as, cells)
    total = np.bincount(click.cell, counted_as * seen, cells)
    mean = np.divide(total, shows, out=np.full(cells, np.nan), where=shows > 0)
    placement: Floats = np.log(mean / np.average(seen, weights=counted_as))
    return placement


def score_observed(
    observed: Sequence[Observed], *, half_life_days: float | None = None, **options: Any
) -> list[Score]:
    """Score what `observed_stages` returned, most stages first.

    Parameters
    ----------
    half_life_days
        As in `score_engine`; by default, per engine, the one that foretells best.
    **options
        As `score_engine` takes them: `by, prompt_clusters, draws, replicates, level, seed, small_cell`.
    """
    scores = []
    for one in observed:
        half_life = choose_half_life(one.stages) if half_life_days is None else half_life_days
        score = score_engine(
            one.engine, one.stages, observation=one.observation, exposure=one.exposure, reasons=one.reasons,
            half_life_days=half_life, **options,
        )  # fmt: skip
        scores.append(replace(score, source=one))
    return sorted(scores, key=lambda score: (-len(score.stages), score.engine, score.observation))


def score_engines(frames: Mapping[str, pd.DataFrame], *, tau_ms: float = 0.0, **options: Any) -> list[Score]:
    """Score every engine by the stages that its events let us see; observations are never pooled.

    Parameters
    ----------
    frames
        `el.properties` frames by event name, as `eventlib.geo.read_frames` returns them.
    tau_ms
        As in `engine_visits`.
    **options
        As `score_observed` takes them.

    Returns
    -------
    list of Score
        Those with most stages first.
    """
    return score_observed(observed_stages(frames, tau_ms=tau_ms), **options)


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
