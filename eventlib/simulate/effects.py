"""What edits truly do, in the reports' own units: log ratios of citations, clicks and satisfied readings."""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.special import ndtr

from eventlib.simulate.assistant import RETRIEVAL_NOISE, RETRIEVED, draw_cited
from eventlib.simulate.content import NEVER, Content
from eventlib.simulate.parameters import Floats, Ints, WorldParameters, generator

__all__ = ["edit_effects", "satisfaction"]

_DRAWS: Final = 4_000
_SATISFIED_S: Final = 30.0


def satisfaction(content: Content, p: WorldParameters, lift: Floats | float = 0.0) -> Floats:
    """Return the probability that a reading lasts at least 30 s, shape (pages,), for an average person."""
    spread = np.hypot(p.dwell_sd, p.person_dwell_sd)
    likely: Floats = ndtr((content.dwell_log_s + lift - np.log(_SATISFIED_S)) / spread)
    return likely


def _cited_share(content: Content, page: int, prompts: Ints, lift: float, seed: int) -> float:
    """Return how often the page is cited over its prompts, by simulation with common random numbers."""
    rng = generator(seed, 8, page)
    q = rng.choice(prompts, _DRAWS, p=content.prompt_weight[prompts] / content.prompt_weight[prompts].sum())
    pool = content.pool[q]
    noisy = content.retrieval[q] + rng.normal(0, RETRIEVAL_NOISE, pool.shape)
    limit = -np.partition(-noisy, RETRIEVED - 1, axis=1)[:, [RETRIEVED - 1]]
    logit = content.cite[q] + lift * (pool == page) + rng.gumbel(size=pool.shape)
    logit = np.where(noisy >= limit, logit, -np.inf)
    better = (logit > logit[pool == page][:, None]).sum(axis=1)
    cited = draw_cited(rng, _DRAWS)
    return float(np.mean((better < cited) & np.isfinite(logit[pool == page])))


def _clicked(content: Content, page: int, prompts: Ints, lift: float) -> float:
    slots = content.pool[prompts] == page
    logit = content.click[prompts][slots] + lift
    return float(np.average(1 / (1 + np.exp(-logit)), weights=content.prompt_weight[prompts]))


def edit_effects(content: Content, p: WorldParameters, seed: int) -> Floats:
    """Return each page's true log lifts at the site's own assistant.

    Parameters
    ----------
    content, p, seed
        The world.

    Returns
    -------
    ndarray of float64, shape (pages, 3)
        Log ratio, new version over old, of the citations per answer, of clicks once seen, and of readings
        of at least 30 s; 0 where the edit is null or there is none. Drift and rivals' edits are left out.
    """
    effects = np.zeros((len(content.ids), 3))
    satisfied, lifted = satisfaction(content, p), satisfaction(content, p, content.lift[:, 2])
    for page in np.flatnonzero((content.edit_at < NEVER) & ~content.edit_null).tolist():
        prompts = np.flatnonzero((content.pool == page).any(axis=1))
        if len(prompts) == 0:
            continue
        cite, click, _ = content.lift[page].tolist()
        before = _cited_share(content, page, prompts, 0.0, seed)
        after = _cited_share(content, page, prompts, cite, seed)
        clicks = _clicked(content, page, prompts, click) / _clicked(content, page, prompts, 0.0)
        effects[page] = np.log([after / before if before else 1.0, clicks, lifted[page] / satisfied[page]])
    return effects
