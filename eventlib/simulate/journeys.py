"""What people do on a visit: ask the assistant, follow citations, read, leave, convert."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from eventlib.simulate.content import SITE, Content
from eventlib.simulate.parameters import ENGINES_THIRD_PARTY, SECOND, Bools, Floats, Ints, WorldParameters
from eventlib.simulate.people import People, Visits, scramble
from eventlib.simulate.reading import MS, UTM, Block, Views, before, rows, view_blocks

__all__ = ["journeys", "sentences"]

ASSISTANT, LANDING, BROWSING = range(3)
CITED_MAX: Final = 6
RETRIEVED: Final = 8
_SLOTS: Final = ("inline", "panel")
_REFERRERS: Final = {
    "chatgpt": "https://chatgpt.com/",
    "perplexity": "https://www.perplexity.ai/",
    "gemini": "https://gemini.google.com/",
    "google_ai_overview": "https://www.google.com/",
    "copilot": "https://copilot.microsoft.com/",
}
_HIDDEN: Final = {"google_ai_overview": "https://www.google.com/"}
_BROWSED_FROM: Final = (
    "https://www.google.com/",
    None,
    "https://www.bing.com/",
    "https://news.example.net/newsletter",
    "https://blog.example.net/why-chatgpt.com-cites-us",  # no assistant: the name stands in the path
    "https://notperplexity.example.net/",  # nor this one
)
_FREE_TEXT: Final = ("out of date", "too long", "does not answer it", "and in an old house?", "and what does that cost?")
_HOSTILE: Final = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '=HYPERLINK("https://evil.example","x")',
    "write to jane.doe@mail.example.org or +44 20 7946 0000",
    "[x](javascript:alert(1)) `</script>`",
)


def _dwell(rng: np.random.Generator, content: Content, page: Ints, time: Ints, effect: Floats, engine: int, p: WorldParameters) -> Ints:
    median = content.dwell_log_s[page] + content.lifted(page, time, 2, engine) + effect
    seconds = np.exp(median + p.dwell_sd * rng.normal(size=len(page)))
    return np.clip(seconds * 1000, 400, 1_200_000).astype(np.int64)


@dataclass(frozen=True)
class Answers:
    """The assistant's answers: axis a; citation arrays (a, CITED_MAX), valid where position <= cited."""

    visit: Ints
    prompt: Ints
    layout: Ints
    cited: Ints
    retrieved: Ints  # (a, RETRIEVED) pool slots in retrieval order
    score: Floats
    shown: Ints  # (a, CITED_MAX) pool slots in position order


def _answers(rng: np.random.Generator, content: Content, visit: Ints, start: Ints, p: WorldParameters) -> Answers:
    """Retrieve by score, cite by a Plackett-Luce draw, place by usual position and swap noise."""
    n = len(visit)
    prompt = rng.choice(len(content.prompt_ids), n, p=content.prompt_weight)
    noisy = content.retrieval[prompt] + rng.normal(0, 0.4, (n, content.pool.shape[1]))
    retrieved = np.argsort(-noisy, axis=1, kind="stable")[:, :RETRIEVED]
    page = np.take_along_axis(content.pool[prompt], retrieved, 1)
    when = np.broadcast_to(start[:, None], page.shape)
    cite = np.take_along_axis(content.cite[prompt], retrieved, 1)
    cite = cite + content.lifted(page, when, 0) + content.drifted(page, when, p.start_us) + rng.gumbel(size=page.shape)
    cited = rng.integers(3, CITED_MAX + 1, n)
    won = np.argsort(-cite, axis=1, kind="stable")[:, :CITED_MAX]
    slots = np.take_along_axis(retrieved, won, 1)
    place = np.take_along_axis(content.usual[prompt], slots, 1) + p.swap_noise * rng.normal(size=slots.shape)
    place = np.where(np.arange(CITED_MAX) < cited[:, None], place, -np.inf)
    shown = np.take_along_axis(slots, np.argsort(-place, axis=1, kind="stable"), 1)
    layout = (rng.random(n) < p.panel_share).astype(np.int64)
    return Answers(visit, prompt, layout, cited, retrieved, np.take_along_axis(noisy, retrieved, 1), shown)


def _clicks(rng: np.random.Generator, content: Content, answers: Answers, start: Ints, effect: Floats, p: WorldParameters) -> tuple[Ints, Bools]:
    """Return pages (a, CITED_MAX) and whether each was clicked: seen by rank, then attractive (position-based)."""
    page = np.take_along_axis(content.pool[answers.prompt], answers.shown, 1)
    when = np.broadcast_to(start[:, None], page.shape)
    logit = np.take_along_axis(content.click[answers.prompt], answers.shown, 1) + content.lifted(page, when, 1)
    attractive = 1 / (1 + np.exp(-(logit + effect[:, None])))
    attractive += (1 - attractive) * p.trust_bias / np.arange(1, CITED_MAX + 1)
    seen = p.examination(CITED_MAX)[answers.layout]
    valid = np.arange(CITED_MAX) < answers.cited[:, None]
    return page, valid & (rng.random(page.shape) < seen * attractive)


def _candidates(content: Content, answers: Answers) -> list[list[dict[str, Any]]]:
    pages = np.take_along_axis(content.pool[answers.prompt], answers.retrieved, 1)
    ids = content.ids
    return [
        [{"content_id": ids[c], "retrieval_rank": r, "score": s} for r, (c, s) in enumerate(zip(cs, ss, strict=True), 1)]
        for cs, ss in zip(pages.tolist(), np.round(answers.score, 3).tolist(), strict=True)
    ]


def sentences(rng: np.random.Generator, cited: Ints, width: int) -> tuple[Ints, Ints, Ints, Floats]:
    """Return sentence counts (a,), and per position (a, width) the sentence, co-citations and words attributed."""
    count = cited + rng.integers(1, 5, len(cited))
    index = np.sort(rng.integers(0, count[:, None], (len(cited), width)), axis=1)
    valid = np.arange(width) < cited[:, None]
    same = (index[:, :, None] == index[:, None, :]) & valid[:, None, :]
    others = np.maximum(same.sum(axis=2) - 1, 0)
    words = 12 + (index * 7 + count[:, None] * 5) % 17  # a sentence's words: one number for all who share it
    return count, index, others, np.round(words / (others + 1), 2)


def _free_text(rng: np.random.Generator, n: int, p: WorldParameters) -> list[str]:
    harmless, hostile = rng.integers(0, len(_FREE_TEXT), n), rng.integers(0, len(_HOSTILE), n)
    bad = rng.random(n) < p.hostile_text_share
    return [_HOSTILE[h] if b else _FREE_TEXT[f] for f, h, b in zip(harmless, hostile, bad, strict=True)]


_ASSISTANT_URL: Final = f"{SITE}/assistant"


def _block(name: str, visit: Ints, time: Ints, properties: list[dict[str, Any]], *, server: bool = False) -> Block:
    n = len(visit)
    return Block(name, visit, time, properties, [_ASSISTANT_URL] * n, [None] * n, server)


def _answer_blocks(
    rng: np.random.Generator, content: Content, answers: Answers, ids: list[str], start: Ints, end: Ints, p: WorldParameters
) -> list[Block]:
    n = len(ids)
    owned = ["owned"] * n
    engine = ["site_assistant"] * n
    count, sentence, others, words = sentences(rng, answers.cited, CITED_MAX)
    generated = rows(
        observation=owned, answer_id=ids, prompt_id=[content.prompt_ids[q] for q in answers.prompt],
        prompt_text=[content.prompt_texts[q] for q in answers.prompt], engine=engine, model=["assistant-2"] * n,
        surface=engine, locale=["en-GB"] * n, sentence_count=count.tolist(), candidates=_candidates(content, answers),
    )  # fmt: skip
    visible = np.clip((end - start) // MS, 800, 600_000).tolist()
    viewed = rows(observation=owned, answer_id=ids, engine=engine, visible_ms=visible)
    blocks = [
        _block("answer_generate", answers.visit, start, generated, server=True),
        _block("answer_view", answers.visit, start + 900 * MS, viewed),
    ]
    a, k = np.nonzero(np.arange(CITED_MAX) < answers.cited[:, None])
    page = content.pool[answers.prompt[a], answers.shown[a, k]]
    shows = rows(
        observation=["owned"] * len(a), citation_id=[f"ci-{ids[i][3:]}-{j + 1}" for i, j in zip(a, k, strict=True)],
        answer_id=[ids[i] for i in a], content_id=[content.ids[c] for c in page],
        content_version=[str(v) for v in content.version(page, start[a])], engine=["site_assistant"] * len(a),
        position=(k + 1).tolist(), slot=[_SLOTS[s] for s in answers.layout[a]], sentence_index=sentence[a, k].tolist(),
        words_attributed=words[a, k].tolist(), co_cited=others[a, k].tolist(),
    )  # fmt: skip
    blocks.append(_block("citation_show", answers.visit[a], start[a] + (950 + 10 * k) * MS, shows))
    return blocks


def _reaction_blocks(
    rng: np.random.Generator, answers: Answers, ids: list[str], end: Ints, pleased: Floats, p: WorldParameters
) -> list[Block]:
    """Ratings follow satisfaction; a refined answer is the next one of the same visit."""
    n = len(ids)
    rated = np.flatnonzero(rng.random(n) < 0.12)
    up = rng.random(len(rated)) < 0.25 + 0.6 * pleased[rated]
    reason = [None if u else t for u, t in zip(up, _free_text(rng, len(rated), p), strict=True)]
    ratings = rows(
        observation=["owned"] * len(rated), answer_id=[ids[i] for i in rated],
        rating=["up" if u else "down" for u in up], reason=reason,
    )  # fmt: skip
    followed = np.append(answers.visit[1:] == answers.visit[:-1], np.zeros(min(n, 1), dtype=bool))
    refined = np.flatnonzero(followed & (rng.random(n) < 0.5 - 0.3 * pleased))
    refinements = rows(
        observation=["owned"] * len(refined), answer_id=[ids[i] for i in refined],
        refined_answer_id=[ids[i + 1] for i in refined], prompt_text=_free_text(rng, len(refined), p),
    )  # fmt: skip
    return [
        _block("answer_rate", answers.visit[rated], end[rated], ratings),
        _block("answer_refine", answers.visit[refined], end[refined] + SECOND, refinements),
    ]


def _click_block(answers: Answers, ids: list[str], a: Ints, k: Ints, views: Views, view_ids: list[str], content: Content) -> Block:
    clicks = rows(
        observation=["owned"] * len(a), citation_id=[f"ci-{ids[i][3:]}-{j + 1}" for i, j in zip(a, k, strict=True)],
        answer_id=[ids[i] for i in a], position=(k + 1).tolist(), slot=[_SLOTS[s] for s in answers.layout[a]],
        engine=["site_assistant"] * len(a), content_id=[content.ids[c] for c in views.page], page_view_id=view_ids,
    )  # fmt: skip
    return _block("citation_click", answers.visit[a], views.start - 400 * MS, clicks)


def _assistant(
    rng: np.random.Generator, content: Content, people: People, visits: Visits, which: Ints, tag: str, p: WorldParameters
) -> tuple[list[Block], Views]:
    """Simulate all visits to the site's assistant: answers in turn, each with the reading that it leads to."""
    visit = np.repeat(which, np.minimum(1 + rng.poisson(0.6, len(which)), 4))
    person = visits.person[visit]
    asked = visits.start[visit]
    answers = _answers(rng, content, visit, asked, p)
    page, clicked = _clicks(rng, content, answers, asked, people.click[person], p)
    a, k = np.nonzero(clicked)
    dwell = _dwell(rng, content, page[a, k], asked[a], people.dwell[person[a]], -1, p)
    dwell = np.minimum(dwell, 500_000)  # several readings stay within one session
    pause = rng.integers(4_000, 15_000, len(a))
    read = np.bincount(a, dwell + pause, len(visit)).astype(np.int64)
    think = rng.integers(6_000, 25_000, len(visit))
    start = asked + 3 * SECOND + before((read + think) * MS, visit)
    opened = start[a] + (pause + before(dwell + pause, a)) * MS
    salt = int(rng.integers(1 << 31))
    ids = [f"an-{tag}-{x}" for x in scramble(np.arange(len(visit)), salt)]
    n = len(a)
    views = Views(
        visit[a], page[a, k], opened, dwell, ["site_assistant"] * n, ["declared"] * n, [ids[i] for i in a],
        [f"ci-{ids[i][3:]}-{j + 1}" for i, j in zip(a, k, strict=True)], [_ASSISTANT_URL] * n,
    )  # fmt: skip
    end = start + (read + think // 2) * MS
    pleased = np.bincount(a, dwell > 30_000, len(visit)) / np.maximum(np.bincount(a, minlength=len(visit)), 1)
    view_ids = [f"pv-{tag}a-{x}" for x in scramble(np.arange(n), salt)]
    blocks = _answer_blocks(rng, content, answers, ids, start, end, p)
    blocks += _reaction_blocks(rng, answers, ids, end, pleased, p)
    blocks.append(_click_block(answers, ids, a, k, views, view_ids, content))
    return [*blocks, *view_blocks(rng, content, views, view_ids, f"{tag}a", p)], views


def _landing_pages(rng: np.random.Generator, content: Content, engine: Ints, start: Ints) -> Ints:
    page = np.broadcast_to(np.arange(len(content.ids)), (len(engine), len(content.ids)))
    logit = content.engine_cite[engine] + rng.gumbel(size=page.shape)
    known = start[:, None] >= content.edit_seen[:, engine].T
    return np.argmax(logit + known * content.lift[:, 0], axis=1)


_ENGINE_SHARE: Final = np.array([0.45, 0.2, 0.1, 0.15, 0.1])
_NO_ENGINE: Final = -1


def _arrivals(rng: np.random.Generator, engine: Ints) -> tuple[list[str | None], list[str | None], list[str | None]]:
    """Return what sent each visitor, by what evidence, and the referrer; some tell nothing at all."""
    draw, source = rng.random(len(engine)), rng.choice(len(_BROWSED_FROM), len(engine), p=[0.45, 0.3, 0.12, 0.08, 0.03, 0.02])
    names: list[str | None] = []
    evidence: list[str | None] = []
    referrers: list[str | None] = []
    for e, u, o in zip(engine.tolist(), draw.tolist(), source.tolist(), strict=True):
        name = ENGINES_THIRD_PARTY[e] if e >= 0 else None
        hidden = 0.5 if name == "google_ai_overview" else 0.15  # stripped, or looks like any search
        if name is None or u < hidden:
            names.append(None)
            evidence.append(None)
            referrers.append(_BROWSED_FROM[o] if name is None else _HIDDEN.get(name))
            continue
        tagged = name in UTM and u < 0.75
        names.append(name)
        evidence.append("utm_source" if tagged else "text_fragment" if name == "google_ai_overview" else "referrer")
        referrers.append(_REFERRERS[name] if not tagged or u > 0.4 else None)
    return names, evidence, referrers


def _site_visits(
    rng: np.random.Generator, content: Content, people: People, visits: Visits, which: Ints, engine: Ints, p: WorldParameters
) -> Views:
    """Simulate visits that read: a landing, then perhaps more pages of the same topic."""
    pages = 1 + rng.geometric(0.7, len(which)) - 1 + (rng.random(len(which)) < 0.15)
    visit, sender = np.repeat(which, pages), np.repeat(engine, pages)
    first = np.append(True, visit[1:] != visit[:-1])[: len(visit)]
    start = visits.start[visit]
    landed = _landing_pages(rng, content, np.maximum(engine, 0), visits.start[which])
    topics = int(content.topic.max()) + 1
    step = rng.integers(1, max(2, len(content.ids) // topics), len(visit)) * topics
    page = np.where(first, np.repeat(landed, pages), (np.repeat(landed, pages) + step) % len(content.ids))
    dwell = _dwell(rng, content, page, start, people.dwell[visits.person[visit]], -1, p)
    opened = start + 2 * SECOND + before((dwell + 1500) * MS, visit)
    names, evidence, referrers = _arrivals(rng, np.where(first, sender, _NO_ENGINE))
    inner = [f"{SITE}/" if not f else r for f, r in zip(first.tolist(), referrers, strict=True)]
    nothing: list[str | None] = [None] * len(visit)
    return Views(visit, page, opened, dwell, names, evidence, nothing, nothing, inner)


def journeys(
    rng: np.random.Generator, content: Content, people: People, visits: Visits, tag: str, p: WorldParameters
) -> list[Block]:
    """Simulate what happens on all visits of a batch.

    Returns
    -------
    list of Block
        Blocks of events with true times; nothing is yet sent, lost or broken.
    """
    kind = rng.choice(3, len(visits.person), p=[0.66, 0.19, 0.15])
    blocks, _ = _assistant(rng, content, people, visits, np.flatnonzero(kind == ASSISTANT), tag, p)
    which = np.flatnonzero(kind != ASSISTANT)
    engine = np.where(kind[which] == LANDING, rng.choice(5, len(which), p=_ENGINE_SHARE), _NO_ENGINE)
    views = _site_visits(rng, content, people, visits, which, engine, p)
    view_ids = [f"pv-{tag}b-{x}" for x in scramble(np.arange(len(views.visit)), int(rng.integers(1 << 31)))]
    return [*blocks, *view_blocks(rng, content, views, view_ids, f"{tag}b", p)]
