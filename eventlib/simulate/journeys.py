"""What people do on a visit: ask the assistant and follow its citations, or land on a page and read on."""

from __future__ import annotations

from typing import Final

import numpy as np

from eventlib.simulate.assistant import assistant_visits
from eventlib.simulate.content import SITE
from eventlib.simulate.parameters import ENGINES_THIRD_PARTY, SECOND, Ints
from eventlib.simulate.people import scramble
from eventlib.simulate.reading import view_blocks
from eventlib.simulate.scene import MS, UTM, Block, Scene, Views, before, cast_views

__all__ = ["journeys"]

ASSISTANT, LANDING, BROWSING = range(3)
_REFERRERS: Final = {
    "chatgpt": "https://chatgpt.com/",
    "perplexity": "https://www.perplexity.ai/",
    "gemini": "https://gemini.google.com/",
    "google_ai_overview": "https://www.google.com/",
    "copilot": "https://copilot.microsoft.com/",
}
_ENGINE_SHARE: Final = (0.45, 0.2, 0.1, 0.15, 0.1)
_NO_ENGINE: Final = -1
_UNTOLD: Final = {"google_ai_overview": (0.5, "https://www.google.com/")}
"""Where the visit tells nothing: how often, and what stands in the referrer; else 0.15 and nothing."""
_BROWSED_FROM: Final = (
    ("https://www.google.com/", 0.45),
    (None, 0.3),
    ("https://www.bing.com/", 0.12),
    ("https://news.example.net/newsletter", 0.08),
    ("https://blog.example.net/why-chatgpt.com-cites-us", 0.03),  # no assistant: the name stands in the path
    ("https://notperplexity.example.net/", 0.02),  # nor this one
)


def _landing_pages(scene: Scene, engine: Ints, start: Ints) -> Ints:
    content = scene.content
    known = start[:, None] >= content.edit_seen[:, engine].T
    logit = content.engine_cite[engine] + known * content.lift[:, 0]
    return np.asarray(np.argmax(logit + scene.rng.gumbel(size=logit.shape), axis=1), dtype=np.int64)


Arrival = tuple[str | None, str | None, str | None]


def _arrival(engine: int, told: float, browsed: int) -> Arrival:
    """Return what sent a visitor, by what evidence, and the referrer."""
    if engine == _NO_ENGINE:
        return None, None, _BROWSED_FROM[browsed][0]
    name = ENGINES_THIRD_PARTY[engine]
    silent, referrer = _UNTOLD.get(name, (0.15, None))
    if told < silent:
        return None, None, referrer
    if name in UTM and told < 0.75:
        return name, "utm_source", _REFERRERS[name] if told > 0.4 else None
    return name, "text_fragment" if name in _UNTOLD else "referrer", _REFERRERS[name]


def _arrivals(scene: Scene, engine: Ints, first: Ints) -> list[Arrival]:
    told = scene.rng.random(len(engine)).tolist()
    share = [weight for _, weight in _BROWSED_FROM]
    browsed = scene.rng.choice(len(share), len(engine), p=share).tolist()
    inside: Arrival = (None, None, f"{SITE}/")
    drawn = zip(engine.tolist(), told, browsed, first.tolist(), strict=True)
    return [_arrival(e, t, b) if landing else inside for e, t, b, landing in drawn]


def _site_visits(scene: Scene, which: Ints, engine: Ints) -> Views:
    """Simulate visits that read: a landing, then perhaps more pages of the same topic."""
    rng, content, visits = scene.rng, scene.content, scene.visits
    pages = rng.geometric(0.7, len(which)) + (rng.random(len(which)) < 0.15)
    visit = np.repeat(which, pages)
    ordinal = before(np.ones(len(visit), dtype=np.int64), visit)
    start = visits.start[visit]
    landed = np.repeat(_landing_pages(scene, np.maximum(engine, 0), visits.start[which]), pages)
    topics = int(content.topic.max()) + 1
    step = rng.integers(1, max(2, len(content.ids) // topics), len(visit)) * topics
    page = np.where(ordinal == 0, landed, (landed + step) % len(content.ids))
    dwell = content.dwell_ms(rng, page, start, scene.people.dwell[visits.person[visit]], scene.parameters)
    opened = start + 2 * SECOND + before((dwell + 1500) * MS, visit)
    arrivals = _arrivals(scene, np.repeat(engine, pages), ordinal == 0)
    unknown: list[str | None] = [None] * len(visit)
    return cast_views(
        content,
        page,
        opened,
        ids=[f"pv-{scene.tag}b-{label}" for label in scramble(np.arange(len(visit)), scene.salt())],
        visit=visit,
        dwell=dwell,
        engine=[a[0] for a in arrivals],
        evidence=[a[1] for a in arrivals],
        referrer=[a[2] for a in arrivals],
        answer=unknown,
        citation=unknown,
    )


def journeys(scene: Scene) -> list[Block]:
    """Simulate what happens on all visits of a batch.

    Returns
    -------
    list of Block
        Blocks of events with true times; nothing is yet sent, lost or broken.
    """
    kind = scene.rng.choice(3, len(scene.visits.person), p=[0.66, 0.19, 0.15])
    blocks = assistant_visits(scene, np.flatnonzero(kind == ASSISTANT))
    which = np.flatnonzero(kind != ASSISTANT)
    engine = scene.rng.choice(len(_ENGINE_SHARE), len(which), p=_ENGINE_SHARE)
    views = _site_visits(scene, which, np.where(kind[which] == LANDING, engine, _NO_ENGINE))
    return [*blocks, *view_blocks(scene, views)]
