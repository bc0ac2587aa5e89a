"""Events about no person: the catalogue and its edits, prompt monitoring, crawlers and agents; and bots that pose as visitors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from eventlib.simulate.content import NEVER, SITE, Content
from eventlib.simulate.journeys import sentences
from eventlib.simulate.parameters import DAY, ENGINES_THIRD_PARTY, SECOND, Floats, Ints, WorldParameters, WorldSize
from eventlib.simulate.people import scramble
from eventlib.simulate.reading import rows
from eventlib.simulate.transport import Lines, stamp

__all__ = ["AGENTS", "bot_lines", "content_lines", "fetch_lines", "probe_lines"]

AGENTS: Final = (  # user agent, share of the fetches, the engine whose index it feeds
    ("Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.3; +https://openai.com/gptbot)", 0.2, None),
    ("Mozilla/5.0 (compatible; OAI-SearchBot/1.3; +https://openai.com/searchbot)", 0.12, "chatgpt"),
    ("Mozilla/5.0 (compatible; ChatGPT-User/1.0; +https://openai.com/bot)", 0.16, None),
    ("Mozilla/5.0 (compatible; PerplexityBot/1.0; +https://perplexity.ai/perplexitybot)", 0.1, "perplexity"),
    ("Mozilla/5.0 (compatible; Perplexity-User/1.0; +https://perplexity.ai/perplexity-user)", 0.05, None),
    ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", 0.17, "google_ai_overview"),
    ("Mozilla/5.0 (compatible; Google-CloudVertexBot; +https://cloud.google.com/enterprise-search)", 0.02, "gemini"),
    ("Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", 0.08, "copilot"),
    ("Mozilla/5.0 (compatible; ClaudeBot/1.0; +claudebot@anthropic.com)", 0.06, None),
    ("CCBot/2.0 (https://commoncrawl.org/faq/)", 0.04, None),
)
_BOT_VISITORS: Final = (0, 5, 7)
_HEADLESS: Final = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/141.0.0.0 Safari/537.36"
_MODELS: Final = {
    "chatgpt": "gpt",
    "perplexity": "sonar",
    "gemini": "gemini",
    "google_ai_overview": "overview",
    "copilot": "copilot",
}
_MODEL_CHANGE: Final = "chatgpt"
"""The engine whose model changes in the middle of the window."""

Labels = Callable[[int], list[str]]


def _impersonal(
    names: list[str], times: Ints, source: str, properties: list[dict[str, Any]], ids: list[str], agents: list[str] | None = None
) -> Lines:
    received = times // 1000 * 1000 + 35_000
    contexts = [{"user_agent": agent} for agent in agents] if agents else [None] * len(names)
    events = [
        {
            "event_id": event_id,
            "event_name": name,
            "schema_version": "1-0-0",
            "occurred_at": occurred,
            "received_at": receipt,
            "source": source,
            "channel": "server",
            **({"context": context} if context else {}),
            "properties": {"observation": "probe" if source == "probe" else "owned", **what},
        }
        for event_id, name, occurred, receipt, context, what in zip(
            ids, names, stamp(times), stamp(received), contexts, properties, strict=True
        )
    ]
    return Lines(events, received, times // 1000 * 1000, [""] * len(names), [""] * len(names))


def content_lines(rng: np.random.Generator, content: Content, labels: Labels, p: WorldParameters) -> Lines:
    """Return the catalogue, published when the log begins, and the edits."""
    n = len(content.ids)
    described = [
        {
            "url": content.urls[i], "title": content.titles[i], "content_type": content.kinds[i], "topic": content.topics[i],
        }
        for i in range(n)
    ]  # fmt: skip
    published = [{"content_id": content.ids[i], "content_version": "1", **described[i], **content.features[i]} for i in range(n)]
    when = p.start_us + np.sort(rng.integers(0, 1800, n)) * SECOND
    edited = np.flatnonzero(content.edit_at < NEVER)
    arms = rng.random(len(edited)) < 0.5
    edits = [_edit(content, i, described[i], arm=bool(arm)) for i, arm in zip(edited.tolist(), arms, strict=True)]
    catalogue = _impersonal(["content_publish"] * n, when, "cms", published, labels(n))
    return Lines.of([catalogue, _impersonal(["content_edit"] * len(edited), content.edit_at[edited], "cms", edits, labels(len(edited)))])


def _edit(content: Content, page: int, described: dict[str, Any], *, arm: bool) -> dict[str, Any]:
    at = int(content.edit_at[page])
    chosen = stamp(np.array([at - 15 * DAY, at - DAY]) // DAY * DAY)
    return {
        "edit_id": f"ed-{content.ids[page]}",
        "content_id": content.ids[page],
        "from_version": "1",
        "to_version": "2",
        "change_type": content.edit_change[page],
        **({"arm": "treatment"} if arm else {}),
        "selected_from": chosen[0],
        "selected_to": chosen[1],
        **described,
        **content.edited_features[page],
    }


def _fetched(content: Content, page: Ints, times: Ints, agent: Ints, labels: Labels) -> Lines:
    gone = (page * 31 + times // SECOND) % 50 == 0
    sizes = [40 * int(content.features[c]["word_count"]) for c in page.tolist()]
    properties = rows(
        content_id=[content.ids[c] for c in page], url=[content.urls[c] for c in page],
        status_code=np.where(gone, 503, 200).tolist(), bytes_sent=np.where(gone, 310, sizes).tolist(),
    )  # fmt: skip
    names = ["agent_fetch"] * len(page)
    return _impersonal(names, times, "edge", properties, labels(len(page)), [AGENTS[a][0] for a in agent])


def fetch_lines(rng: np.random.Generator, content: Content, n: int, labels: Labels, p: WorldParameters, *, edits: bool) -> Lines:
    """Return crawls spread over the window; with `edits`, those too by which engines learn of an edit."""
    page = rng.integers(0, len(content.ids), n)
    times = p.start_us + rng.integers(0, p.days * DAY, n)
    share = np.array([a[1] for a in AGENTS])
    agent = rng.choice(len(AGENTS), n, p=share / share.sum())
    if edits:
        edited = np.flatnonzero(content.edit_at < NEVER)
        for index, (_, _, engine) in enumerate(AGENTS):
            if engine is not None:
                page = np.append(page, edited)
                times = np.append(times, content.edit_seen[edited, ENGINES_THIRD_PARTY.index(engine)])
                agent = np.append(agent, np.full(len(edited), index))
    return _fetched(content, page, times, agent, labels)


_CITED_MAX: Final = 7


def _probed(rng: np.random.Generator, content: Content, prompt: Ints, engine: Ints, time: Ints, p: WorldParameters) -> tuple[Ints, Ints]:
    """Return per run how many are cited and whom, in order: our pages from 0, rivals behind them; -1 for none."""
    n, pool = len(prompt), content.pool[prompt]
    when = np.broadcast_to(time[:, None], pool.shape)
    known = when >= content.edit_seen[pool, engine[:, None]]
    ours = 0.5 * content.cite[prompt] + 0.5 * content.engine_cite[engine[:, None], pool] + known * content.lift[pool, 0]
    ours = ours + content.drifted(pool, when, p.start_us)
    topic = np.array([t for _, _, t in content.rivals])
    near = topic[None, :] == content.prompt_topic[prompt][:, None]
    theirs: Floats = np.where(near, content.rival_cite[None, :] + 0.8, -3.0)
    logit = np.concatenate([ours, theirs], axis=1)
    ranked = np.argsort(-(logit + rng.gumbel(size=logit.shape)), axis=1, kind="stable")[:, :_CITED_MAX]
    cited = rng.integers(3, _CITED_MAX + 1, n)
    rival = len(content.ids) + ranked - pool.shape[1]
    own = np.take_along_axis(pool, np.minimum(ranked, pool.shape[1] - 1), 1)
    return cited, np.where(ranked < pool.shape[1], own, rival)


def probe_runs(size: WorldSize, p: WorldParameters) -> Ints:
    """Return the monitoring plan as rows of (day, prompt, engine): every tracked prompt once per period, each engine."""
    day, prompt, engine = np.indices((p.days, size.tracked_prompts, len(ENGINES_THIRD_PARTY))).reshape(3, -1)
    due = (day + prompt) % size.probe_period_days == 0
    return np.stack([day[due], prompt[due], engine[due]], axis=1).astype(np.int64)


def probe_lines(rng: np.random.Generator, content: Content, runs: Ints, tag: str, labels: Labels, p: WorldParameters) -> Lines:
    """Return what prompt monitoring saw: answers of third-party engines and whom they cite."""
    n = len(runs)
    if n == 0:
        return _impersonal([], np.zeros(0, dtype=np.int64), "probe", [], [])
    day, prompt, engine = runs.T
    time = p.start_us + day * DAY + 5 * 3600 * SECOND + rng.integers(0, 5400, n) * SECOND
    cited, shown = _probed(rng, content, prompt, engine, time, p)
    count, sentence, others, words = sentences(rng, cited, _CITED_MAX)
    ids = [f"an-{tag}p-{x}" for x in scramble(np.arange(n), int(rng.integers(1 << 31)))]
    names = [ENGINES_THIRD_PARTY[e] for e in engine]
    late = day >= p.days // 2
    models = [f"{_MODELS[e]}-{'2026-09' if late_ and e == _MODEL_CHANGE else '2026-05'}" for e, late_ in zip(names, late, strict=True)]
    answers = rows(
        answer_id=ids, prompt_id=[content.prompt_ids[q] for q in prompt], prompt_text=[content.prompt_texts[q] for q in prompt],
        run_id=[f"run-{d:03d}" for d in day], engine=names, model=models,
        surface=["search_overview" if e == "google_ai_overview" else "assistant" for e in names], locale=["en-GB"] * n,
        sentence_count=count.tolist(),
    )  # fmt: skip
    a, k = np.nonzero(np.arange(_CITED_MAX) < cited[:, None])
    who = shown[a, k]
    everyone = [*zip(content.ids, content.urls, strict=True), *((i, u) for i, u, _ in content.rivals)]
    shows = rows(
        citation_id=[f"ci-{ids[i][3:]}-{j + 1}" for i, j in zip(a, k, strict=True)], answer_id=[ids[i] for i in a],
        content_id=[everyone[w][0] for w in who], url=[everyone[w][1] for w in who], engine=[names[i] for i in a],
        position=(k + 1).tolist(), slot=["card" if names[i] == "google_ai_overview" else "inline" for i in a],
        sentence_index=sentence[a, k].tolist(), words_attributed=words[a, k].tolist(), co_cited=others[a, k].tolist(),
    )  # fmt: skip
    return Lines.of(
        [
            _impersonal(["answer_generate"] * n, time, "probe", answers, labels(n)),
            _impersonal(["citation_show"] * len(a), time[a] + 1000 * (k + 1), "probe", shows, labels(len(a))),
        ]
    )


def bot_lines(rng: np.random.Generator, content: Content, n: int, tag: str, labels: Labels, p: WorldParameters) -> Lines:
    """Return page views by bots that run the tracker: an identifier for every visit, and no consent signal."""
    visit = np.cumsum(rng.random(n) < 0.12)
    count = int(visit.max(initial=0)) + 1
    start = p.start_us + rng.integers(0, p.days * DAY - 3600 * SECOND, count)
    chosen = rng.integers(0, len(_BOT_VISITORS) + 1, count).tolist()
    agents = [AGENTS[_BOT_VISITORS[c]][0] if c < len(_BOT_VISITORS) else _HEADLESS for c in chosen]
    time = (start[visit] + np.arange(n) * 700_000 % (600 * SECOND)) // 1000 * 1000
    page = rng.integers(0, len(content.ids), n)
    view_ids = [f"pv-{tag}c-{x}" for x in scramble(np.arange(n), int(rng.integers(1 << 31)))]
    who = [f"a-{tag}-bot{v}" for v in visit.tolist()]
    received = time + 90_000
    columns = zip(
        labels(n), stamp(time), stamp(time + 50_000), stamp(received), who, page.tolist(), visit.tolist(), view_ids, strict=True
    )
    events = [
        {
            "event_id": event_id,
            "event_name": "page_view",
            "schema_version": "1-0-0",
            "occurred_at": occurred,
            "sent_at": sent,
            "received_at": receipt,
            "source": "web",
            "channel": "client",
            "anonymous_id": name,
            "consent": None,
            "context": {"url": content.urls[c], "referrer": f"{SITE}/", "user_agent": agents[v]},
            "properties": {"observation": "owned", "page_view_id": view_id, "content_id": content.ids[c]},
        }
        for event_id, occurred, sent, receipt, name, c, v, view_id in columns
    ]
    return Lines(events, received, time, [f"bot-{tag}-{v}" for v in visit.tolist()], ["bot"] * n)
