"""Worlds in which the true score of every page is known: answers that cite, people who click by place and read.

What S7.11 asks to vary: how far placement follows quality (kappa), how alike the clicks of one person and the
reruns of one question are, the shape of quality over pages, how many pages and answers there are, why visits
stop being tracked, and whether quality drifts. Truth is conditional on the design, as the score is: the true
chance of what happened over the true chance of an average page in the same places, over people.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, ndtr

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["KAPPAS", "SHAPES", "STAGES", "Setting", "World", "draw_setting", "simulate"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

STAGES: Final = ("cite", "click", "satisfy")
KAPPAS: Final = (0.0, 0.3, 0.6, 0.9)
POOL: Final = 8
CITED: Final = 5
WEEKS: Final = 13
_WEEK_US: Final = 7 * 86_400_000_000
_TAU_S: Final = 30.0
_DWELL_SD: Final = 0.9

SHAPES: Final[Mapping[str, Callable[[np.random.Generator, int], Floats]]] = {
    "normal": lambda rng, n: rng.normal(size=n),
    "heavy": lambda rng, n: rng.standard_t(4, n) / np.sqrt(2),
    "skewed": lambda rng, n: rng.exponential(size=n) - 1,
    "two groups": lambda rng, n: rng.choice([-1.0, 1.0], n) + 0.2 * rng.normal(size=n),
    "few stars": lambda rng, n: np.where(rng.random(n) < 0.1, 3.0, -1 / 3) + 0.1 * rng.normal(size=n),
    "all alike": lambda _, n: np.zeros(n),
}
"""Quality over pages, mean 0 and standard deviation 1 (but for the last)."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a world is like.

    Attributes
    ----------
    kappa
        Correlation of a citation's place with its page's quality.
    common
        Share of a page's quality that all three stages have in common.
    person_sd
        Of the logit of a click and of log dwell time, over people.
    rerun
        Share of answers that repeat the question of the one before for the same person, with the same choice
        of sources.
    drift_sd
        Weekly step of quality's random walk.
    stopping
        Why tracking stops before a visit has satisfied: `never`, `random`, `long` (long readings more often),
        `page` (on some pages more often: the score cannot know).
    """

    kappa: float = 0.6
    pages: int = 60
    answers: int = 1_100
    people: int = 350
    shape: str = "normal"
    common: float = 0.5
    person_sd: float = 0.4
    rerun: float = 0.0
    drift_sd: float = 0.0
    stopping: str = "random"


@dataclass(frozen=True, slots=True)
class World:
    """The rows of one world, and the true chances behind them.

    Attributes
    ----------
    candidates, shown, visits
        As `candidate_rows`, `shown_citations` and `engine_visits` return them.
    chances
        Per stage, one row per row of the frame above: `content_id, time_us, own, average` (the page's chance
        and an average page's in its place).
    """

    candidates: pd.DataFrame
    shown: pd.DataFrame
    visits: pd.DataFrame
    chances: dict[str, pd.DataFrame]

    def truth(self, weight: Callable[[Ints], Floats] | None = None) -> pd.DataFrame:
        """Return theta of every page (rows) and stage (columns), rows weighted by a function of their time."""
        return pd.DataFrame({name: _ratio(rows, weight) for name, rows in self.chances.items()})


def _ratio(rows: pd.DataFrame, weight: Callable[[Ints], Floats] | None) -> pd.Series:
    by = 1.0 if weight is None else weight(rows["time_us"].to_numpy())
    sums = rows[["own", "average"]].mul(by, axis=0).groupby(rows["content_id"]).sum()
    ratio: pd.Series = sums["own"] / sums["average"] * sums["average"].sum() / sums["own"].sum()
    return ratio


def draw_setting(rng: np.random.Generator, kappa: float) -> Setting:
    """Draw a world in which the score's model holds: all that S7.11 varies, but for kappa."""
    pages = int(np.round(np.exp(rng.uniform(np.log(30), np.log(300)))))
    answers = int(pages * np.exp(rng.uniform(np.log(8), np.log(60))))
    return Setting(
        kappa=kappa,
        pages=pages,
        answers=answers,
        people=max(60, int(answers * rng.uniform(0.15, 0.5))),
        shape=str(rng.choice([name for name in SHAPES if name != "all alike"])),
        common=float(rng.choice([0.0, 0.5, 0.9])),
        person_sd=float(rng.choice([0.2, 0.5, 1.0])),
        rerun=float(rng.choice([0.0, 0.3])),
        drift_sd=float(rng.choice([0.0, 0.1])),
        stopping=str(rng.choice(["never", "random", "long"])),
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """Answers in order of time; pool axis 8."""

    prompt: Ints
    person: Ints
    time_us: Ints
    content: Ints  # (answers, pool)
    strength: Floats  # (answers, pool)
    noise: Floats  # (answers, pool)


def _qualities(rng: np.random.Generator, of: Setting) -> Floats:
    """Return the quality of each page at each stage in each week, shape (3, pages, weeks)."""
    draw = SHAPES[of.shape]
    shared, own = draw(rng, of.pages), np.stack([draw(rng, of.pages) for _ in STAGES])
    quality = np.sqrt(of.common) * shared + np.sqrt(1 - of.common) * own
    steps = rng.normal(0, of.drift_sd, (3, of.pages, WEEKS))
    drifted: Floats = quality[:, :, None] + np.cumsum(steps, axis=2)
    return drifted


def _ask(rng: np.random.Generator, of: Setting, quality: Floats) -> _Asked:
    prompts = max(20, of.pages * 2 // 3)
    pool = np.argsort(rng.random((prompts, of.pages)), axis=1)[:, :POOL]
    match = rng.normal(0, 0.5, pool.shape)
    popular = 1 / (1 + np.arange(prompts)) ** 0.6
    prompt = rng.choice(prompts, of.answers, p=popular / popular.sum())
    person = rng.integers(0, of.people, of.answers)
    again = rng.random(of.answers) < of.rerun
    again[0] = False
    first = np.maximum.accumulate(np.where(again, 0, np.arange(of.answers)))
    prompt, person = prompt[first], person[first]
    week = np.sort(rng.random(of.answers)) * WEEKS
    content = pool[prompt]
    strength = 0.5 * quality[0][content, week.astype(np.int64)[:, None]] + match[prompt]
    noise = rng.gumbel(size=content.shape)[first]
    return _Asked(prompt, person, (week * _WEEK_US).astype(np.int64), content, strength, noise)


def simulate(rng: np.random.Generator, of: Setting | None = None) -> World:
    """Cite by a Plackett-Luce draw, place by quality and chance, click by place and quality, read."""
    of = of or Setting()
    quality = _qualities(rng, of)
    asked = _ask(rng, of, quality)
    week = (asked.time_us // _WEEK_US)[:, None]
    won = np.argsort(-(asked.strength + asked.noise), axis=1)[:, :CITED]
    cited = np.zeros(asked.content.shape, dtype=bool)
    np.put_along_axis(cited, won, values=True, axis=1)
    shown = np.take_along_axis(asked.content, won, 1)
    place = of.kappa * quality[1][shown, week] + np.sqrt(1 - of.kappa**2) * rng.normal(size=shown.shape)
    shown = np.take_along_axis(shown, np.argsort(-place, axis=1), 1)
    seen = np.broadcast_to(np.arange(1, CITED + 1) ** -0.7, shown.shape)
    mood = rng.normal(0, of.person_sd, (2, of.people))
    inclined = -0.6 + 0.7 * quality[1][shown, week]
    interest = expit(inclined + mood[0][asked.person][:, None])
    clicked = rng.random(shown.shape) < seen * interest
    answer, position = np.nonzero(np.ones(shown.shape, dtype=bool))
    rows = pd.DataFrame(
        {
            "answer_id": answer.astype(str), "content_id": shown.ravel(), "content_version": "", "engine": "e",
            "prompt_id": asked.prompt[answer], "month": 0, "slot": "inline", "rank": position + 1,
            "clicked": clicked.ravel(), "person_id": asked.person[answer], "time_us": asked.time_us[answer],
        }
    )  # fmt: skip
    visits, pleased = _read(rng, of, rows[rows["clicked"]], quality[2], mood[1])
    candidates = pd.DataFrame(
        {
            "answer_id": np.repeat(np.arange(of.answers), POOL).astype(str), "content_id": asked.content.ravel(),
            "prompt_id": np.repeat(asked.prompt, POOL), "content_version": "",
            "cluster": np.repeat(asked.person, POOL), "time_us": np.repeat(asked.time_us, POOL), "cited": cited.ravel(),
        }
    )  # fmt: skip
    chances = {
        "cite": _chances_of(candidates, *_cite_chances(rng, asked.strength)),
        "click": _chances_of(rows, *((seen * _over_people(logit, of)).ravel() for logit in (inclined, -0.6))),
        "satisfy": _chances_of(visits, *pleased),
    }
    return World(candidates, rows, visits, chances)


def _over_people(logit: Floats | float, of: Setting) -> Floats:
    """Return the mean chance over people, who differ by `person_sd` in their logit."""
    node, weight = np.polynomial.hermite_e.hermegauss(15)
    mean: Floats = expit(np.asarray(logit)[..., None] + of.person_sd * node) @ (weight / weight.sum())
    return mean


def _chances_of(rows: pd.DataFrame, own: Floats, average: Floats) -> pd.DataFrame:
    return rows[["content_id", "time_us"]].assign(own=own, average=average)


def _read(
    rng: np.random.Generator, of: Setting, clicks: pd.DataFrame, quality: Floats, mood: Floats
) -> tuple[pd.DataFrame, tuple[Floats, Floats]]:
    """Read for a log-normal time; what is seen of it ends where tracking stops."""
    page, person = clicks["content_id"].to_numpy(), clicks["person_id"].to_numpy()
    usual = np.full(len(page), np.log(32.0))
    median = usual + 0.4 * quality[page, clicks["time_us"].to_numpy() // _WEEK_US]
    dwell = np.exp(median + mood[person] + _DWELL_SD * rng.normal(size=len(page)))
    stop = rng.exponential(300.0, len(page))
    if of.stopping == "never":
        stop[:] = np.inf
    elif of.stopping == "long":
        stop /= np.sqrt(dwell / 30.0)
    elif of.stopping == "page":
        stop /= np.where(page % 4 == 0, 4.0, 0.5)
    satisfied = np.minimum(dwell, stop) >= _TAU_S
    own, average = (
        ndtr((middle - np.log(_TAU_S)) / np.hypot(_DWELL_SD, of.person_sd)) for middle in (median, usual)
    )
    return clicks.assign(satisfied=satisfied), (own, average)


def _cite_chances(rng: np.random.Generator, strength: Floats, draws: int = 200) -> tuple[Floats, Floats]:
    """Return each candidate's true chance of being cited, and an average page's in its place, by simulation."""
    own, average = np.zeros(strength.shape), np.zeros(strength.shape)
    for _ in range(draws):
        noise = rng.gumbel(size=strength.shape)
        score = strength + noise
        ranked = -np.sort(-score, axis=1)
        inside = score >= ranked[:, [CITED - 1]]
        own += inside
        # against the other candidates, an average page needs to beat the fifth best of them
        average += noise > np.where(inside, ranked[:, [CITED]], ranked[:, [CITED - 1]])
    return own.ravel() / draws, average.ravel() / draws
