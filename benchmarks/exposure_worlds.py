"""Logs of shown citations from a position-based world whose exposure is known, at the level of `shown_citations`.

A prompt has ten contents with a usual position, correlated with how attractive they are; each answer puts them in that
order with noise, and a person clicks what they examine and find attractive. People differ in how readily they click, and
see several answers.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

__all__ = ["EXPOSURE", "LENGTH", "draw_rows"]

Floats = NDArray[np.float64]
LENGTH: Final = 10
EXPOSURE: Final[Floats] = np.arange(1, LENGTH + 1, dtype=np.float64) ** -0.7
_CLICKS_PER_ANSWER: Final = 1.85
_ANSWERS_PER_PROMPT: Final = 200


def draw_rows(
    seed: int,
    clicks: int,
    noise: float,
    *,
    prompts: int | None = None,
    person_sd: float = 0.4,
    answers_per_person: float = 5.0,
    kappa: float = 0.6,
    edited: float = 0.0,
    random_share: float = 0.0,
    swapping: int = LENGTH,
) -> pd.DataFrame:
    """Draw a log.

    Parameters
    ----------
    clicks
        About how many: a fifth more come, since what is attractive stands higher (kappa).
    noise
        Standard deviation of what moves a content from answer to answer, against a spread of usual positions of 1.
    prompts
        One for 200 answers if None.
    person_sd
        Of the logit of a person's clicks.
    kappa
        Correlation of usual position and attractiveness.
    edited
        Share of contents that are edited in the middle of the month: attractiveness and usual position change together.
    random_share
        Share of answers whose order is drawn at random, with the propensity logged.
    swapping
        Ranks below this one never change.

    Returns
    -------
    pandas.DataFrame
        The columns of `shown_citations` that exposure reads, one row per show.
    """
    rng = np.random.default_rng(seed)
    answers = round(clicks / _CLICKS_PER_ANSWER)
    many = max(10, answers // _ANSWERS_PER_PROMPT) if prompts is None else prompts
    prompt, late = rng.integers(0, many, answers), rng.random(answers) < 0.5
    logit = rng.normal(size=(many, LENGTH))
    usual = kappa * logit + np.sqrt(1 - kappa**2) * rng.normal(size=logit.shape)
    changed = rng.random(logit.shape) < edited
    gain = np.where(changed, rng.normal(0.8, 0.4, logit.shape), 0.0)
    now = np.where((changed[prompt] & late[:, None]), gain[prompt], 0.0)
    place = usual[prompt] + now
    place = _ordered_below(place, swapping) + noise * rng.normal(size=place.shape) * (swapping > 0)
    drawn = rng.random(answers) < random_share
    place = np.where(drawn[:, None], rng.random(place.shape), place)
    content = np.argsort(-place, axis=1)
    people = max(1, round(answers / answers_per_person))
    person, ready = rng.integers(0, people, answers), rng.normal(0, person_sd, people)
    interest = expit(np.take_along_axis(logit[prompt] + now, content, 1) + ready[person][:, None])
    return pd.DataFrame(
        {
            "engine": "site_assistant",
            "answer_id": np.repeat(np.arange(answers), LENGTH),
            "prompt_id": np.repeat(prompt, LENGTH),
            "content_id": content.ravel(),
            "content_version": np.take_along_axis(changed[prompt] & late[:, None], content, 1)
            .ravel()
            .astype(int),
            "month": 0,
            "person_id": np.repeat(person, LENGTH),
            "slot": "inline",
            "rank": np.tile(np.arange(1, LENGTH + 1), answers),
            "propensity": np.repeat(np.where(drawn, 1 / LENGTH, np.nan), LENGTH),
            "clicked": (rng.random(interest.shape) < EXPOSURE * interest).ravel(),
        }
    )


def _ordered_below(place: Floats, swapping: int) -> Floats:
    """Put what usually stands below a rank so far apart, and from what stands above, that no noise moves it."""
    if swapping >= LENGTH:
        return place
    usual = np.argsort(np.argsort(-place, axis=1), axis=1)
    return np.where(usual >= swapping, -1e3 * usual, place)
