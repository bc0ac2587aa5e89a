"""Simulated sites whose pages drift week by week, and whose edits do what we say: worlds for `geo_edits`.

A prompt has a pool of candidates, mostly of its topic. An answer cites three of them by a Plackett-Luce draw, readers
click by position and quality, and read. People have tastes; an answer asked again on a day is often the same answer.
Pages drift by a random walk in their log odds of being cited; volume has a trend and a season, topics have their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eventlib.geo.stages import Stage, cite_stage

if TYPE_CHECKING:
    from collections.abc import Sequence

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

WEEK = 7 * 86_400_000_000
T0 = 2_900 * WEEK  # a Thursday of 2025
POOL, CITED, TOPIC = 10, 3, 10
SEEN = np.arange(1, CITED + 1) ** -0.7


@dataclass(frozen=True)
class Spec:
    """What a world is like; `wrong` names what the method does not reckon with, if anything."""

    pages: int = 100
    weeks: int = 20
    per_week: float = 12.0  # expected citations of a page and week, on average
    drift: float = 0.05  # sd of a page's weekly step, log odds of being cited
    taste: float = 0.4
    rerun: float = 0.3  # share of answers that repeat another of the same prompt and day
    shock: str = ""  # "pages": a new model favours some; "all": it cites more and sends fewer clicks
    wrong: str = ""  # "heavy": steps with three degrees of freedom; "topic": a topic's shock; "neighbours"


def draw_spec(rng: np.random.Generator) -> Spec:
    """Draw a world of 30 to 300 pages and 12 to 26 weeks."""
    return Spec(
        pages=int(np.exp(rng.uniform(np.log(30), np.log(300)))), weeks=int(rng.integers(12, 27)),
        per_week=float(np.exp(rng.uniform(np.log(8), np.log(50)))), drift=float(rng.choice([0.02, 0.05, 0.1])),
        taste=float(rng.choice([0.2, 0.6])), rerun=float(rng.choice([0.0, 0.4])),
    )  # fmt: skip


@dataclass(frozen=True)
class Edit:
    """One edit: page, moment in weeks since the start, and what it truly multiplies of one outcome."""

    page: int
    week: float
    outcome: str = "cite"
    ratio: float = 1.0
    selected: float | None = None  # weeks since the start
    kind: str = "refresh"


@dataclass
class World:
    """All chance of one site, drawn once: edits change what comes of it and nothing else."""

    spec: Spec
    when: Floats  # weeks since the start, per answer
    prompt: Ints
    person: Ints
    content: Ints  # [answer, candidate]
    plain: Floats  # log odds of each
    score: Floats  # the same with their noise
    interest: Floats  # [page]
    pleased: Floats
    mood: Floats  # [answer]
    luck: Floats  # [answer, place, 2]

    @property
    def times(self) -> Ints:
        """Microseconds since 1970 of each answer."""
        return T0 + (self.when * WEEK).astype(np.int64)


def draw_world(rng: np.random.Generator, spec: Spec) -> World:
    """Draw the prompts, who asks what when, and how each candidate scores."""
    topics = max(spec.pages // TOPIC, 1)
    prompts, people = max(spec.pages * 2, 30), max(spec.pages * 4, 200)
    topic_of = np.arange(prompts) % topics
    at_home = np.arange(spec.pages) % topics == topic_of[:, None]
    pool = np.argsort(-(rng.gumbel(size=at_home.shape) + 4.0 * at_home), axis=1)[:, :POOL]
    answers = min(int(spec.per_week * spec.pages * spec.weeks / CITED), 25_000)
    when = _moments(rng, answers, spec.weeks)
    prompt = _asked(rng, when, topic_of, topics)
    person = rng.integers(0, people, answers)
    content = pool[prompt]
    quality = rng.normal(0, 0.5, spec.pages)
    level = quality + _drift(rng, spec, topics)
    match = rng.normal(0, 0.4, pool.shape)
    taste = rng.normal(0, spec.taste, (people, spec.pages))
    score = level[when.astype(int)[:, None], content] + match[prompt] + taste[person[:, None], content]
    noisy = score + _noise(rng, spec, prompt, when, content.shape)
    interest, pleased = (_rate(rng, quality) for _ in range(2))
    mood = np.exp(rng.normal(-0.02, 0.2, people))[person]
    if spec.shock == "all":
        mood = np.where(when > spec.weeks / 2, 0.7 * mood, mood)
    luck = rng.random((answers, CITED, 2))
    return World(spec, when, prompt, person, content, score, noisy, interest, pleased, mood, luck)


def _rate(rng: np.random.Generator, quality: Floats) -> Floats:
    """Return what better pages get more of, low enough to double."""
    rate: Floats = np.minimum(0.35 * np.exp(0.4 * quality + rng.normal(0, 0.2, len(quality))), 0.45)
    return rate


def _moments(rng: np.random.Generator, answers: int, weeks: int) -> Floats:
    week = np.arange(weeks)
    volume = np.exp(0.03 * rng.normal() * week + 0.3 * np.sin(2 * np.pi * (week / 13 + rng.random())))
    drawn: Floats = rng.choice(weeks, answers, p=volume / volume.sum()) + rng.random(answers)
    return np.sort(drawn)


def _asked(rng: np.random.Generator, when: Floats, topic_of: Ints, topics: int) -> Ints:
    """Which prompt each answer answers: some are asked more than others, and topics have seasons."""
    liking = np.exp(rng.normal(0, 0.5, len(topic_of)))
    season = rng.random(topics)
    prompt = np.zeros(len(when), dtype=np.int64)
    for week in range(int(when.max()) + 1):
        mine = when.astype(int) == week
        share = liking * np.exp(0.4 * np.sin(2 * np.pi * (week / 20 + season[topic_of])))
        prompt[mine] = rng.choice(len(topic_of), int(mine.sum()), p=share / share.sum())
    return prompt


def _drift(rng: np.random.Generator, spec: Spec, topics: int) -> Floats:
    """Return each page's log odds by week, apart from its quality."""
    steps = rng.normal(size=(spec.weeks, spec.pages))
    if spec.wrong == "heavy":
        steps = rng.standard_t(3, size=steps.shape)  # variance 3
    walk: Floats = np.cumsum(spec.drift * steps, axis=0)
    middle = np.arange(spec.weeks)[:, None] >= spec.weeks // 2
    if spec.shock == "pages":
        walk += middle * rng.normal(0, 0.4, spec.pages) * (rng.random(spec.pages) < 0.5)
    if spec.wrong == "topic":
        hit = rng.random(topics) < 0.3
        walk += middle * np.where(hit, rng.normal(0, 0.8, topics), 0.0)[np.arange(spec.pages) % topics]
    return walk


def _noise(
    rng: np.random.Generator, spec: Spec, prompt: Ints, when: Floats, shape: tuple[int, ...]
) -> Floats:
    noise = rng.gumbel(size=shape)
    _, first, same = np.unique(
        prompt * 1_000 + (7 * when).astype(int), return_index=True, return_inverse=True
    )
    repeats = rng.random(len(prompt)) < spec.rerun
    noise[repeats] = noise[first[same[repeats]]]
    return noise


def lifts(world: World, edit: Edit, lag: float = 1.0) -> Floats:
    """Return what an edit adds to each score, so that its true ratio of expected citations is the one asked for.

    Given the others' scores, a candidate is cited if its own exceeds the third best of them; over its Gumbel
    noise that has the chance 1 - exp(-exp(s - t)), whose mean over the answers since is what is calibrated.
    """
    added = np.zeros(world.score.shape)
    mine = (world.content == edit.page) & (world.when >= edit.week + lag)[:, None]
    if edit.outcome != "cite" or edit.ratio == 1 or not mine.any():
        return added
    margin = _margin(world, world.score, mine)
    aim = edit.ratio * np.mean(_chance(margin))
    low, high = 0.0, 8.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if np.mean(_chance(margin + middle)) < aim else (low, middle)
    added[mine] = high
    if world.spec.wrong == "neighbours":  # half of it goes to the pages of its topic too
        topics = max(world.spec.pages // TOPIC, 1)
        beside = (world.content % topics == edit.page % topics) & (world.content != edit.page)
        added[beside & (world.when >= edit.week + lag)[:, None]] = high / 2
    return added


def _margin(world: World, score: Floats, mine: NDArray[np.bool_]) -> Floats:
    """Return by how much candidates' log odds exceed the third best of the others."""
    answer, place = np.nonzero(mine)
    others = np.where(np.arange(POOL) == place[:, None], -np.inf, score[answer])
    margin: Floats = world.plain[answer, place] - np.sort(others, axis=1)[:, -CITED]
    return margin


def joint_ratio(world: World, edits: Sequence[Edit], lag: float = 1.0) -> float:
    """Return the true ratio of expected citations of pages that were lifted together, and compete."""
    added = [lifts(world, edit, lag) for edit in edits]
    score, got, would = world.score + sum(added), 0.0, 0.0
    for edit, own in zip(edits, added, strict=True):
        mine = (world.content == edit.page) & (world.when >= edit.week + lag)[:, None]
        got += float(_chance(_margin(world, score, mine) + own[mine]).sum())
        would += float(_chance(_margin(world, world.score, mine)).sum())
    return got / would


def _chance(margin: Floats) -> Floats:
    chance: Floats = 1 - np.exp(-np.exp(margin))
    return chance


def feasible(world: World, edit: Edit) -> bool:
    """Tell whether an edit's ratio leaves a chance: a page that is cited in half of its answers cannot gain 150 %."""
    if edit.outcome == "cite":
        return float(lifts(world, edit).max()) < 7.9
    return True


def stages(world: World, edits: Sequence[Edit] = (), lag: float = 1.0) -> list[Stage]:
    """Return what is seen of a world with these edits: citations, clicks and satisfied visits."""
    score = world.score + sum(lifts(world, edit, lag) for edit in edits)
    cites = CITED + 1 if world.spec.shock == "all" else CITED
    order = np.argsort(-score, axis=1)
    many = world.when > world.spec.weeks / 2
    cited = np.zeros(score.shape, dtype=bool)
    np.put_along_axis(cited, order[:, :CITED], values=True, axis=1)
    if cites > CITED:
        cited[np.flatnonzero(many), order[many, CITED]] = True
    shown = np.take_along_axis(world.content, order[:, :CITED], 1)
    interest = world.interest[shown] * _multiples(world, edits, shown, "click", lag)
    clicked = world.luck[..., 0] < SEEN * interest * world.mood[:, None]
    pleased = world.pleased[shown] * _multiples(world, edits, shown, "satisfy", lag)
    read = world.luck[..., 1] < pleased * world.mood[:, None]
    rows = _rows(world, world.content)
    cite, _ = cite_stage(rows.assign(cited=cited.ravel()))
    assert cite is not None
    return [cite, _click(world, shown, clicked), _satisfy(world, shown, clicked, read)]


def _multiples(world: World, edits: Sequence[Edit], shown: Ints, outcome: str, lag: float) -> Floats:
    ratio = np.ones(shown.shape)
    for edit in edits:
        if edit.outcome == outcome:
            ratio[(shown == edit.page) & (world.when >= edit.week + lag)[:, None]] *= edit.ratio
    return ratio


def names(pages: Ints) -> NDArray[np.object_]:
    """Return page ids."""
    known = np.array([f"c{page:03d}" for page in range(int(pages.max(initial=0)) + 1)], dtype=object)
    return known[pages]


def _rows(world: World, content: Ints) -> pd.DataFrame:
    size = content.shape[1]
    return pd.DataFrame(
        {
            "content_id": names(content.ravel()), "cluster": np.repeat(world.person, size),
            "prompt_id": np.repeat(world.prompt, size),
            "time_us": np.repeat(world.times, size), "answer_id": np.repeat(np.arange(len(content)), size),
        }
    )  # fmt: skip


def _click(world: World, shown: Ints, clicked: NDArray[np.bool_]) -> Stage:
    rows, weight = _rows(world, shown), np.tile(SEEN, len(shown))
    base = float(clicked.sum() / weight.sum())
    return _made("click", rows, clicked.ravel(), weight * base, base)


def _satisfy(world: World, shown: Ints, clicked: NDArray[np.bool_], read: NDArray[np.bool_]) -> Stage:
    rows, seen = _rows(world, shown)[clicked.ravel()], read[clicked]
    base = float(seen.mean())
    return _made("satisfy", rows, seen, np.full(len(rows), base), base)


def _made(name: str, rows: pd.DataFrame, happened: NDArray[np.bool_], expected: Floats, base: float) -> Stage:
    return Stage(
        name, rows["content_id"].to_numpy(), rows["cluster"].to_numpy(), rows["time_us"].to_numpy(),
        rows["answer_id"].to_numpy(), happened.astype(np.float64), expected, base,
    )  # fmt: skip
