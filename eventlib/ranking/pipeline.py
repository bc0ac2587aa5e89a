"""From a prepared dataset to a judged ranker: split, exposure, features, models, held-out comparison, gates (S8)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from eventlib.columns import analysable, microseconds, texts
from eventlib.errors import BadCallError
from eventlib.exposure import MAX_LOG_SE, People, find_exposure
from eventlib.ranking import judge
from eventlib.ranking.clusters import find_clusters
from eventlib.ranking.evaluation import (
    HeldOut,
    Replicates,
    compare_policies,
    held_out,
    place_names,
    replicate,
)
from eventlib.ranking.evidence import Evidence, Learned, gather
from eventlib.ranking.features import Contents, code_cells, read_contents
from eventlib.ranking.gates import Gate, as_frame, passed
from eventlib.ranking.impressions import Impressions, allows_training, read_impressions
from eventlib.ranking.judge import DEBIASED, NAIVE, SHUFFLED
from eventlib.ranking.options import Options
from eventlib.ranking.previous import previous_scores
from eventlib.ranking.training import FittedRanker, TrainingData, fit_ranker, training_data
from eventlib.small_cells import SMALL_CELL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from eventlib.exposure import Exposure
    from eventlib.ranking.clusters import Clusters

__all__ = ["Judged", "Options", "Ranking", "Tables", "read_tables", "train_ranking"]

HOUR_US: Final = 3_600_000_000
LEAST_CLICKS: Final = 200
"""Clicks before the cut below which no exposure could be learned; half as many after it, to compare anything."""


SHUFFLES: Final = 4
"""Canaries of shuffled labels."""


@dataclass(frozen=True, slots=True)
class Tables:
    """What training reads, each as `el.properties` returns it."""

    shows: pd.DataFrame
    clicks: pd.DataFrame
    answers: pd.DataFrame
    publishes: pd.DataFrame
    edits: pd.DataFrame


@dataclass(frozen=True, slots=True)
class Judged:
    """A trained and judged ranker.

    Attributes
    ----------
    rankers
        `debiased` and `naive`, trained on the shows before the cut.
    exposure
        The curve that labels were divided by, from the shows before the cut.
    places
        Places in use (error of log exposure within the limit), the reference first.
    theta
        Their exposures, in that order.
    learned
        Shows before the cut at places in use, with `place` and `prompt_cluster`.
    train, held
        The same as codes, and the held-out ones.
    contents
        Contents as known at the cut.
    clusters
        How prompts are clustered.
    policies, differences
        As `compare_policies` returns them.
    champion
        `debiased` or `naive` (G1).
    evidence
        What the champion and the click model were checked by on held-out people.
    """

    rankers: Mapping[str, FittedRanker]
    exposure: Exposure
    places: list[str]
    theta: NDArray[np.float64]
    learned: pd.DataFrame
    train: TrainingData
    held: HeldOut
    draws: Replicates
    contents: Contents
    clusters: Clusters
    policies: pd.DataFrame
    differences: pd.DataFrame
    champion: str
    evidence: Evidence

    @property
    def ranker(self) -> FittedRanker:
        """The champion."""
        return self.rankers[self.champion]


@dataclass(frozen=True, slots=True)
class Ranking:
    """What training found, or in words why there was nothing to train on.

    Attributes
    ----------
    engine
        The engine ranked for; "" if the log has no owned one.
    impressions
        Shows that may train, of all owned engines, and what was left out.
    gates
        Numbered checks; empty where nothing was trained.
    reason
        Why nothing was trained; empty if a ranker was.
    cut
        End of the training window, µs since 1970, UTC; 0 if nothing was trained.
    judged
        The rankers and everything they were judged by; None if nothing was trained.
    """

    options: Options
    engine: str
    impressions: Impressions
    reason: str = ""
    gates: tuple[Gate, ...] = ()
    cut: int = 0
    exposure: Exposure | None = None
    judged: Judged | None = None
    rows: Mapping[str, int] = field(default_factory=dict)

    @property
    def exportable(self) -> bool:
        """A ranker was trained and no gate failed."""
        return self.judged is not None and passed(self.gates)

    @property
    def clusters_by(self) -> str:
        """What prompts are clustered by, `text` or `topic`; empty where no ranker was judged."""
        return self.judged.clusters.by if self.judged else ""

    @property
    def clicks(self) -> int | None:
        """Clicks on the engine's shows that may train; None where under ten people were shown any (S7.10)."""
        shows = self.impressions.of(self.engine)
        return None if _few(shows) else int(shows["clicked"].sum())

    @property
    def judged_shows(self) -> int:
        """Held-out shows at places in use."""
        return len(self.judged.held.frame) if self.judged else 0

    @property
    def champion_words(self) -> str:
        """The champion in brackets, for labels; empty where there is none."""
        return f" ({self.judged.champion})" if self.judged else ""

    @property
    def times(self) -> pd.Series[Any]:
        """When the engine's shows happened, up to the cut if there was one."""
        times = self.impressions.of(self.engine)["time_us"]
        return _moments(times[times < self.cut] if self.cut else times)

    @property
    def held_times(self) -> pd.Series[Any]:
        """When the held-out shows happened."""
        times = self.impressions.of(self.engine)["time_us"]
        after = self.cut + _embargo(self.options)
        return _moments(times[times >= after] if self.cut else times.head(0))

    @property
    def gate_table(self) -> pd.DataFrame:
        """The gates as a table."""
        return as_frame(self.gates)


def _moments(times: pd.Series[Any]) -> pd.Series[Any]:
    return pd.Series(pd.to_datetime(times.to_numpy(), unit="us", utc=True))


def read_tables(events: pd.DataFrame) -> Tables:
    """Read from a prepared dataset's events what training needs."""
    import eventlib as el  # noqa: PLC0415  # the façade is above this module

    names = ("citation_show", "citation_click", "answer_generate", "content_publish", "content_edit")
    return Tables(*(el.properties(events, name) for name in names))


def _engine(impressions: Impressions, wanted: str) -> str:
    counts = impressions.counts()
    if wanted and len(counts) and wanted not in set(counts["engine"]):
        raise BadCallError.unknown("engine", wanted, counts["engine"])
    return wanted or (str(counts["engine"].iloc[0]) if len(counts) else "")


def _split(shows: pd.DataFrame, options: Options) -> tuple[pd.DataFrame, pd.DataFrame, int]:
    """Split by time: before the cut, and after the embargo that follows it."""
    times = shows["time_us"].to_numpy()
    cut = int(np.quantile(times, 1 - options.evaluation_share, method="lower"))
    return shows[times < cut], shows[times >= cut + _embargo(options)], cut


def _few(shows: pd.DataFrame) -> bool:
    """Tell whether under ten people were shown these; answers with neither person nor device count as one (0055)."""
    return len(np.unique(People.of(shows).counted)) < SMALL_CELL


def _embargo(options: Options) -> int:
    """Return the embargo in microseconds."""
    return round(options.embargo_hours * HOUR_US)


def _known_in_time(train: pd.DataFrame, clicks: pd.DataFrame, end: int) -> pd.DataFrame:
    """Take clicks that came when the held-out part had begun from the shows before the cut: nobody knew them (S8.4)."""
    allowed = analysable(clicks[allows_training(clicks)])
    known = texts(allowed[microseconds(allowed) < end], "citation_id")
    return train.assign(clicked=train["clicked"] & train["citation_id"].isin(known))


def _used_places(exposure: Exposure) -> tuple[list[str], NDArray[np.float64]]:
    """Return the places whose error is within the limit, the reference first (S8.2: "at a rank used")."""
    frame = exposure.frame
    # who gives a curve without errors takes it for the truth
    errors = frame["log_se"].fillna(0.0) if exposure.method == "given" else frame["log_se"]
    precise = frame[(frame["exposure"].notna() & (errors <= MAX_LOG_SE)).to_numpy()]
    return list(place_names(precise)), precise["exposure"].to_numpy(np.float64)


def _given(path: str) -> pd.DataFrame | None:
    """Read a curve from elsewhere; its columns are checked where it is used."""
    if not path:
        return None
    try:
        return pd.read_csv(path)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise BadCallError(f"the exposure file {path} cannot be read: {why}") from None


def _too_little(train: pd.DataFrame, held: pd.DataFrame) -> str:
    before, after = int(train["clicked"].sum()), int(held["clicked"].sum())
    if before >= LEAST_CLICKS and after >= LEAST_CLICKS // 2:
        return ""
    return (
        f"{before:,} clicks before the cut and {after:,} after it; "
        f"at least {LEAST_CLICKS} and {LEAST_CLICKS // 2} are needed to ask what should rank higher"
    )


def train_ranking(
    tables: Tables, options: Options | None = None, previous: pd.DataFrame | None = None
) -> Ranking:
    """Train a debiased and a naive ranker before a cut and compare them after it.

    The same tables and options give the same result. Never an exception for lack of data: `reason` says what is
    missing, `gates` what speaks against an export.

    Parameters
    ----------
    tables
        As `read_tables` returns them.
    options
        The defaults if None.
    previous
        Signals of the last bundle, `engine, content_id, prompt_cluster, signal`: a policy that the champion may not be
        worse than (G1); those of other engines are left out. None if there is none.

    Raises
    ------
    BadCallError
        The log has owned engines, but not the one named; or the file of prompt clusters may not be used.
    """
    options = options or Options()
    impressions = read_impressions(tables.shows, tables.clicks, tables.answers)
    engine = _engine(impressions, options.engine)
    shows = impressions.of(engine)
    if shows.empty:
        which = f"of {engine} " if engine else "of an owned engine "
        return Ranking(
            options, engine, impressions, f"no citation {which}was shown to people who allow training"
        )
    if _few(shows):
        why = f"citations of {engine} were shown to fewer than {SMALL_CELL} people who allow training"
        return Ranking(options, engine, impressions, why)
    train, held, cut = _split(shows, options)
    train = _known_in_time(train, tables.clicks, cut + _embargo(options))
    rows = {"train": len(train), "embargo": len(shows) - len(train) - len(held), "held_out": len(held)}
    if reason := _too_little(train, held):
        return Ranking(options, engine, impressions, reason, cut=cut, rows=rows)
    exposure = find_exposure(train, _given(options.exposure))
    contents = read_contents(tables.publishes, tables.edits, cut)
    clusters = find_clusters(
        tables.answers, train, contents.topics(), cut, options.prompt_clusters, options.seed
    )
    contents = replace(contents, cluster_topics=clusters.topics)
    if previous is not None:
        previous = previous[previous["engine"] == engine]
    judged, gates = _judge(train, held, exposure, contents, clusters, options, previous)
    return Ranking(options, engine, impressions, "", gates, cut, exposure, judged, rows)


def _placed(shows: pd.DataFrame, contents: Contents, clusters: Clusters, places: list[str]) -> pd.DataFrame:
    """Keep the shows at places in use, with their place and prompt cluster."""
    marked = shows.assign(place=place_names(shows), prompt_cluster=clusters.assign(shows, contents.topics()))
    return marked[marked["place"].isin(places)].reset_index(drop=True)


def _shuffled(data: TrainingData, seed: int) -> TrainingData:
    """Shuffle clicks among the shows of each place: rates by place stay, what was clicked is forgotten."""
    rng = np.random.default_rng(seed)
    clicked = data.clicked.copy()
    for place in np.unique(data.place):
        inside = np.flatnonzero(data.place == place)
        clicked[inside] = clicked[rng.permutation(inside)]
    return replace(data, clicked=clicked)


def _judge(
    train: pd.DataFrame,
    held: pd.DataFrame,
    exposure: Exposure,
    contents: Contents,
    clusters: Clusters,
    options: Options,
    previous: pd.DataFrame | None,
) -> tuple[Judged | None, tuple[Gate, ...]]:
    places, theta = _used_places(exposure)
    learned, seen = (_placed(part, contents, clusters, places) for part in (train, held))
    share = len(learned) / len(train)
    data = held_out(seen, places) if len(places) > 1 and len(seen) else None
    connected = judge.connection(exposure, places, share, data)
    if data is None or connected.state == "failed":
        return None, judge.unasked(connected)
    coded = training_data(learned, contents, places)
    rankers = {
        DEBIASED: fit_ranker(coded, theta, seed=options.seed, learner=options.learner),
        NAIVE: fit_ranker(
            coded, np.ones_like(theta), scale=theta, seed=options.seed, learner=options.learner
        ),
    }
    for number in range(1, SHUFFLES + 1):
        # only its order is looked at, so it needs no calibration
        shuffled = _shuffled(coded, options.seed + number)
        name = SHUFFLED if number == 1 else f"{SHUFFLED} {number}"
        rankers[name] = fit_ranker(
            shuffled, theta, seed=options.seed, calibration=(0.0, 1.0), learner=options.learner
        )
    relevance = {name: _scores(ranker, seen, contents) for name, ranker in rankers.items()}
    if previous is not None and len(previous):
        relevance[judge.PREVIOUS] = previous_scores(previous, seen)
    draws = replicate(data, options.replicates, options.seed)
    policies, differences = compare_policies(data, relevance, draws)
    champion = judge.champion(differences)
    evidence = gather(
        data, draws, Learned(learned, coded, theta, contents), rankers[champion], relevance[champion]
    )
    judged = Judged(
        rankers, exposure, places, theta, learned, coded, data, draws, contents, clusters, policies, differences, champion,
        evidence,
    )  # fmt: skip
    return judged, judge.gates(champion, policies, differences, evidence, connected)


def _scores(ranker: FittedRanker, shows: pd.DataFrame, contents: Contents) -> NDArray[np.float64]:
    """Score each show's cell; cells are scored once."""
    cells, where = code_cells(shows)
    return ranker.predict(ranker.design(cells, contents))[where]
