"""The site's own assistant: whom it cites where, who is seen, clicked and read, and how people react."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from eventlib.simulate.content import SITE
from eventlib.simulate.parameters import SECOND, Floats, Ints
from eventlib.simulate.people import scramble
from eventlib.simulate.reading import view_blocks
from eventlib.simulate.scene import MS, Block, Scene, Views, before, cast_views, rows

__all__ = ["CITED_MAX", "RETRIEVAL_NOISE", "RETRIEVED", "assistant_visits", "draw_cited", "sentences"]

CITED_MAX: Final = 5
RETRIEVED: Final = 8
RETRIEVAL_NOISE: Final = 0.4
_READING_MAX_MS: Final = 500_000  # several readings stay within one session
_URL: Final = f"{SITE}/assistant"
_SLOTS: Final = ("inline", "panel")
_FREE_TEXT: Final = (
    "out of date",
    "too long",
    "does not answer it",
    "and in an old house?",
    "and what does that cost?",
)
_HOSTILE: Final = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '=HYPERLINK("https://evil.example","x")',
    "write to jane.doe@mail.example.org or +44 20 7946 0000",
    "[x](javascript:alert(1)) `</script>`",
)


@dataclass(frozen=True)
class _Answers:
    """Answers of a batch: axis a; arrays (a, CITED_MAX) hold where position < cited."""

    ids: list[str]
    visit: Ints
    prompt: Ints
    layout: Ints
    cited: Ints
    retrieved: Ints  # (a, RETRIEVED) pool slots in retrieval order
    score: Floats
    shown: Ints  # (a, CITED_MAX) pool slots in position order
    page: Ints  # (a, CITED_MAX) pages in position order
    version: Ints  # (a, CITED_MAX)

    def citation(self, answer: int, position: int) -> str:
        return f"ci{self.ids[answer][2:]}-{position + 1}"


@dataclass(frozen=True)
class _Clicks:
    """Clicked citations: axis c."""

    answer: Ints
    position: Ints  # 0-based
    views: Views


def draw_cited(rng: np.random.Generator, n: int) -> Ints:
    """Draw how many citations an answer of the assistant has: three to five, mostly five."""
    return np.asarray(CITED_MAX - rng.binomial(2, 0.25, n), dtype=np.int64)


def _draw_answers(scene: Scene, visit: Ints) -> _Answers:
    """Retrieve by score, cite by a Plackett-Luce draw, place by usual position and swap noise."""
    rng, content, p = scene.rng, scene.content, scene.parameters
    n, start = len(visit), scene.visits.start[visit]
    prompt = rng.choice(len(content.prompt_ids), n, p=content.prompt_weight)
    pool = content.pool[prompt]
    noisy = content.retrieval[prompt] + rng.normal(0, RETRIEVAL_NOISE, pool.shape)
    retrieved = np.argsort(-noisy, axis=1, kind="stable")[:, :RETRIEVED]
    page, when = np.take_along_axis(pool, retrieved, 1), np.repeat(start[:, None], RETRIEVED, 1)
    logit = np.take_along_axis(content.cite[prompt], retrieved, 1) + content.lifted(page, when, 0)
    logit = logit + content.drifted(page, when, p.start_us) + rng.gumbel(size=page.shape)
    cited = draw_cited(rng, n)
    chosen = np.take_along_axis(retrieved, np.argsort(-logit, axis=1, kind="stable")[:, :CITED_MAX], 1)
    place = np.take_along_axis(content.usual[prompt], chosen, 1) + p.swap_noise * rng.normal(
        size=chosen.shape
    )
    place = np.where(np.arange(CITED_MAX) < cited[:, None], place, -np.inf)
    shown = np.take_along_axis(chosen, np.argsort(-place, axis=1, kind="stable"), 1)
    shown_page = np.take_along_axis(pool, shown, 1)
    return _Answers(
        ids=[f"an-{scene.tag}-{label}" for label in scramble(np.arange(n), scene.salt())],
        visit=visit,
        prompt=prompt,
        layout=(rng.random(n) < p.panel_share).astype(np.int64),
        cited=cited,
        retrieved=retrieved,
        score=np.take_along_axis(noisy, retrieved, 1),
        shown=shown,
        page=shown_page,
        version=content.version(shown_page, when[:, :CITED_MAX]),
    )


def _draw_clicks(scene: Scene, answers: _Answers) -> tuple[Ints, Ints]:
    """Return answer and position of each click: seen by rank, then attractive (the position-based model)."""
    p, content = scene.parameters, scene.content
    start = scene.visits.start[answers.visit]
    when = np.broadcast_to(start[:, None], answers.page.shape)
    logit = np.take_along_axis(content.click[answers.prompt], answers.shown, 1)
    logit = logit + content.lifted(answers.page, when, 1)
    person = scene.people.click[scene.visits.person[answers.visit]]
    attractive = 1 / (1 + np.exp(-(logit + person[:, None])))
    attractive += (1 - attractive) * p.trust_bias / np.arange(1, CITED_MAX + 1)
    seen = p.examination(CITED_MAX)[answers.layout]
    valid = np.arange(CITED_MAX) < answers.cited[:, None]
    answer, position = np.nonzero(valid & (scene.rng.random(attractive.shape) < seen * attractive))
    return answer, position


def _candidates(scene: Scene, answers: _Answers) -> list[list[dict[str, Any]]]:
    pages = np.take_along_axis(scene.content.pool[answers.prompt], answers.retrieved, 1).tolist()
    ids = scene.content.ids
    scores = np.round(answers.score, 3).tolist()
    return [
        [
            {"content_id": ids[page], "retrieval_rank": rank, "score": score}
            for rank, (page, score) in enumerate(zip(row, row_scores, strict=True), 1)
        ]
        for row, row_scores in zip(pages, scores, strict=True)
    ]


def sentences(rng: np.random.Generator, cited: Ints, width: int) -> tuple[Ints, Ints, Ints, Floats]:
    """Draw which sentence each citation supports.

    Returns
    -------
    count, index, others, words
        Sentences of each answer, shape (a,); then, shape (a, width): the sentence, the other citations on it,
        and its words shared equally among all of them.
    """
    count = cited + rng.integers(1, 5, len(cited))
    index = np.sort(rng.integers(0, count[:, None], (len(cited), width)), axis=1)
    valid = np.arange(width) < cited[:, None]
    same = (index[:, :, None] == index[:, None, :]) & valid[:, None, :]
    others = np.maximum(same.sum(axis=2) - 1, 0)
    words = 12 + (index * 7 + count[:, None] * 5) % 17  # a sentence's words: one number for all who share it
    return count, index, others, np.round(words / (others + 1), 2)


def _free_text(scene: Scene, n: int) -> list[str]:
    rng = scene.rng
    harmless, hostile = (
        rng.integers(0, len(_FREE_TEXT), n).tolist(),
        rng.integers(0, len(_HOSTILE), n).tolist(),
    )
    bad = (rng.random(n) < scene.parameters.hostile_text_share).tolist()
    return [_HOSTILE[h] if b else _FREE_TEXT[f] for f, h, b in zip(harmless, hostile, bad, strict=True)]


def _block(name: str, visit: Ints, time: Ints, *, server: bool = False, **columns: list[Any]) -> Block:
    n = len(visit)
    return Block(
        name, visit, time, rows(observation=["owned"] * n, **columns), [_URL] * n, [None] * n, server
    )


def _shown_blocks(scene: Scene, answers: _Answers, start: Ints, end: Ints) -> list[Block]:
    content, engine = scene.content, ["site_assistant"] * len(answers.ids)
    prompts = answers.prompt.tolist()
    count, sentence, others, words = sentences(scene.rng, answers.cited, CITED_MAX)
    generated = _block(
        "answer_generate",
        answers.visit,
        start,
        server=True,
        answer_id=answers.ids,
        prompt_id=[content.prompt_ids[q] for q in prompts],
        prompt_text=[content.prompt_texts[q] for q in prompts],
        engine=engine,
        model=["assistant-2"] * len(engine),
        surface=engine,
        locale=["en-GB"] * len(engine),
        sentence_count=count.tolist(),
        candidates=_candidates(scene, answers),
    )
    visible = np.clip((end - start) // MS, 800, 600_000).tolist()
    viewed = _block(
        "answer_view",
        answers.visit,
        start + 900 * MS,
        answer_id=answers.ids,
        engine=engine,
        visible_ms=visible,
    )
    a, k = np.nonzero(np.arange(CITED_MAX) < answers.cited[:, None])
    shown = _block(
        "citation_show",
        answers.visit[a],
        start[a] + (950 + 10 * k) * MS,
        citation_id=[answers.citation(i, j) for i, j in zip(a.tolist(), k.tolist(), strict=True)],
        answer_id=[answers.ids[i] for i in a.tolist()],
        content_id=[content.ids[c] for c in answers.page[a, k].tolist()],
        content_version=[str(v) for v in answers.version[a, k].tolist()],
        engine=["site_assistant"] * len(a),
        position=(k + 1).tolist(),
        slot=[_SLOTS[s] for s in answers.layout[a].tolist()],
        sentence_index=sentence[a, k].tolist(),
        words_attributed=words[a, k].tolist(),
        co_cited=others[a, k].tolist(),
    )
    return [generated, viewed, shown]


def _reaction_blocks(scene: Scene, answers: _Answers, end: Ints, pleased: Floats) -> list[Block]:
    """Ratings follow satisfaction; a refined answer is the next one of the same visit."""
    rng, n = scene.rng, len(answers.ids)
    rated = np.flatnonzero(rng.random(n) < 0.12)
    up = (rng.random(len(rated)) < 0.25 + 0.6 * pleased[rated]).tolist()
    followed = np.zeros(n, dtype=bool)
    followed[:-1] = answers.visit[1:] == answers.visit[:-1]
    refined = np.flatnonzero(followed & (rng.random(n) < 0.5 - 0.3 * pleased))
    return [
        _block(
            "answer_rate",
            answers.visit[rated],
            end[rated],
            answer_id=[answers.ids[i] for i in rated.tolist()],
            rating=["up" if u else "down" for u in up],
            reason=[None if u else text for u, text in zip(up, _free_text(scene, len(rated)), strict=True)],
        ),
        _block(
            "answer_refine",
            answers.visit[refined],
            end[refined] + SECOND,
            answer_id=[answers.ids[i] for i in refined.tolist()],
            refined_answer_id=[answers.ids[i + 1] for i in refined.tolist()],
            prompt_text=_free_text(scene, len(refined)),
        ),
    ]


def _click_block(answers: _Answers, clicks: _Clicks) -> Block:
    views, where = clicks.views, clicks.answer.tolist()
    return _block(
        "citation_click",
        views.visit,
        views.start - 400 * MS,
        citation_id=views.citation,
        answer_id=views.answer,
        position=(clicks.position + 1).tolist(),
        slot=[_SLOTS[int(answers.layout[i])] for i in where],
        engine=["site_assistant"] * len(where),
        content_id=views.content_ids,
        page_view_id=views.ids,
    )


def assistant_visits(scene: Scene, which: Ints) -> list[Block]:
    """Simulate visits to the site's assistant: answers in turn, each with the reading that it leads to."""
    rng, visits = scene.rng, scene.visits
    answers = _draw_answers(scene, np.repeat(which, np.minimum(1 + rng.poisson(0.6, len(which)), 4)))
    n, asked = len(answers.ids), visits.start[answers.visit]
    a, k = _draw_clicks(scene, answers)
    person = visits.person[answers.visit[a]]
    page = answers.page[a, k]
    dwell = scene.content.dwell_ms(rng, page, asked[a], scene.people.dwell[person], scene.parameters)
    dwell = np.minimum(dwell, _READING_MAX_MS)
    pause, think = rng.integers(4_000, 15_000, len(a)), rng.integers(6_000, 25_000, n)
    read = np.bincount(a, dwell + pause, n).astype(np.int64)
    start = asked + 3 * SECOND + before((read + think) * MS, answers.visit)
    end = start + (read + think // 2) * MS
    views = cast_views(
        scene.content,
        page,
        start[a] + (pause + before(dwell + pause, a)) * MS,
        ids=[f"pv-{scene.tag}a-{label}" for label in scramble(np.arange(len(a)), scene.salt())],
        visit=answers.visit[a],
        dwell=dwell,
        engine=["site_assistant"] * len(a),
        evidence=["declared"] * len(a),
        answer=[answers.ids[i] for i in a.tolist()],
        citation=[answers.citation(i, j) for i, j in zip(a.tolist(), k.tolist(), strict=True)],
        referrer=[_URL] * len(a),
    )
    pleased = np.bincount(a, dwell > 30_000, n) / np.maximum(np.bincount(a, minlength=n), 1)
    blocks = [*_shown_blocks(scene, answers, start, end), *_reaction_blocks(scene, answers, end, pleased)]
    return [*blocks, _click_block(answers, _Clicks(a, k, views)), *view_blocks(scene, views)]
