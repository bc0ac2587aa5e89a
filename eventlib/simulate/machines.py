"""Events about no person: catalogue, edits, prompt monitoring, crawlers; and bots that pose as visitors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from eventlib.simulate.assistant import sentences
from eventlib.simulate.content import NEVER, SITE, Content
from eventlib.simulate.lines import Labels, Lines, pack, stamp
from eventlib.simulate.parameters import DAY, ENGINES_THIRD_PARTY, SECOND, Ints, WorldParameters, WorldSize
from eventlib.simulate.people import scramble
from eventlib.simulate.scene import rows

__all__ = ["AGENTS", "BOT", "Machines", "probe_runs"]

BOT: Final = "bot-"
"""What a bot's true person begins with; its anonymous_id is `a-` and that."""

_GENERIC: Final = "Mozilla/5.0 (compatible; "
AGENTS: Final = (  # user agent, share of the fetches, the engine whose index it feeds
    (_GENERIC + "GPTBot/1.3; +https://openai.com/gptbot)", 0.2, None),
    (_GENERIC + "OAI-SearchBot/1.3; +https://openai.com/searchbot)", 0.12, "chatgpt"),
    (_GENERIC + "ChatGPT-User/1.0; +https://openai.com/bot)", 0.16, None),
    (_GENERIC + "PerplexityBot/1.0; +https://perplexity.ai/perplexitybot)", 0.1, "perplexity"),
    (_GENERIC + "Perplexity-User/1.0; +https://perplexity.ai/perplexity-user)", 0.05, None),
    (_GENERIC + "Googlebot/2.1; +http://www.google.com/bot.html)", 0.17, "google_ai_overview"),
    (_GENERIC + "Google-CloudVertexBot; +https://cloud.google.com/enterprise-search)", 0.02, "gemini"),
    (_GENERIC + "bingbot/2.0; +http://www.bing.com/bingbot.htm)", 0.08, "copilot"),
    (_GENERIC + "ClaudeBot/1.0; +claudebot@anthropic.com)", 0.06, None),
    ("CCBot/2.0 (https://commoncrawl.org/faq/)", 0.04, None),
)
_HEADLESS: Final = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/141.0"
)
_BOT_VISITORS: Final = (AGENTS[0][0], AGENTS[5][0], AGENTS[7][0], _HEADLESS)
_MODELS: Final = ("gpt", "sonar", "gemini", "overview", "copilot")
_MODEL_CHANGE: Final = "chatgpt"
"""The engine whose model changes in the middle of the window."""
_CITED_MAX: Final = 7
_RECEIPT_US: Final = 35_000


def probe_runs(size: WorldSize, p: WorldParameters) -> Ints:
    """Return the monitoring plan, rows (day, prompt, engine): once per period each prompt on every engine."""
    day, prompt, engine = np.indices((p.days, size.tracked_prompts, len(ENGINES_THIRD_PARTY))).reshape(3, -1)
    due = (day + prompt) % size.probe_period_days == 0
    return np.stack([day[due], prompt[due], engine[due]], axis=1).astype(np.int64)


@dataclass(frozen=True)
class _Probes:
    """Monitoring runs and whom they found cited: our pages from 0, rivals behind them."""

    ids: list[str]
    prompt: list[int]
    engine: list[str]
    model: list[str]
    day: list[int]
    time: Ints
    cited: Ints
    shown: Ints  # (runs, _CITED_MAX), valid where position < cited


@dataclass(frozen=True)
class Machines:
    """The machines of one chunk of the log."""

    rng: np.random.Generator
    content: Content
    tag: str
    labels: Labels
    parameters: WorldParameters

    def _lines(
        self,
        name: str,
        source: str,
        times: Ints,
        properties: list[dict[str, Any]],
        agents: list[str] | None = None,
    ) -> Lines:
        n, received = len(properties), times + _RECEIPT_US
        observation = "probe" if source == "probe" else "owned"
        known: list[str] = agents or [""] * n
        columns = zip(self.labels(n), stamp(times), stamp(received), known, properties, strict=True)
        events = [
            {
                "event_id": event_id,
                "event_name": name,
                "schema_version": "1-0-0",
                "occurred_at": occurred,
                "received_at": receipt,
                "source": source,
                "channel": "server",
                **({"context": {"user_agent": agent}} if agent else {}),
                "properties": {"observation": observation, **what},
            }
            for event_id, occurred, receipt, agent, what in columns
        ]
        return pack(self.rng, events, received, times, self.parameters, person=[""] * n, fault=[""] * n)

    def catalogue(self) -> Lines:
        """Return the catalogue, published when the log begins."""
        content, n = self.content, len(self.content.ids)
        properties = [
            {
                "content_id": content.ids[i],
                "content_version": "1",
                **self._described(i),
                **content.features[i],
            }
            for i in range(n)
        ]
        when = self.parameters.start_us + np.sort(self.rng.integers(0, 1800, n)) * SECOND
        return self._lines("content_publish", "cms", when, properties)

    def edits(self) -> Lines:
        """Return the edits, each with the window by whose figures its page was chosen."""
        edited = np.flatnonzero(self.content.edit_at < NEVER)
        arms = (self.rng.random(len(edited)) < 0.5).tolist()
        properties = [self._edit(page, arm=arm) for page, arm in zip(edited.tolist(), arms, strict=True)]
        return self._lines("content_edit", "cms", self.content.edit_at[edited], properties)

    def _described(self, page: int) -> dict[str, Any]:
        content = self.content
        return {
            "url": content.urls[page],
            "title": content.titles[page],
            "content_type": content.kinds[page],
            "topic": content.topics[page],
        }

    def _edit(self, page: int, *, arm: bool) -> dict[str, Any]:
        content, at = self.content, int(self.content.edit_at[page])
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
            **self._described(page),
            **content.edited_features[page],
        }

    def crawls(self, n: int) -> Lines:
        """Return n fetches spread over the window."""
        p = self.parameters
        page = self.rng.integers(0, len(self.content.ids), n)
        times = p.start_us + self.rng.integers(0, p.days * DAY, n) // 1000 * 1000
        share = np.array([a[1] for a in AGENTS])
        return self._fetched(page, times, self.rng.choice(len(AGENTS), n, p=share / share.sum()))

    def discoveries(self) -> Lines:
        """Return the fetches by which each engine learns of each edit (S7.9)."""
        edited = np.flatnonzero(self.content.edit_at < NEVER)
        fed = [
            (i, ENGINES_THIRD_PARTY.index(engine))
            for i, (_, _, engine) in enumerate(AGENTS)
            if engine is not None
        ]
        agent = np.repeat([i for i, _ in fed], len(edited))
        times = np.concatenate([self.content.edit_seen[edited, e] for _, e in fed])
        return self._fetched(np.tile(edited, len(fed)), times // 1000 * 1000, agent)

    def _fetched(self, page: Ints, times: Ints, agent: Ints) -> Lines:
        pages = page.tolist()
        gone = (page * 31 + times // SECOND) % 50 == 0
        sizes = np.array([40 * int(self.content.features[c]["word_count"]) for c in pages], dtype=np.int64)
        properties = rows(
            content_id=[self.content.ids[c] for c in pages],
            url=[self.content.urls[c] for c in pages],
            status_code=np.where(gone, 503, 200).tolist(),
            bytes_sent=np.where(gone, 310, sizes).tolist(),
        )
        return self._lines("agent_fetch", "edge", times, properties, [AGENTS[a][0] for a in agent.tolist()])

    def _cited(self, prompt: Ints, engine: Ints, time: Ints) -> Ints:
        content, pool = self.content, self.content.pool[prompt]
        when = np.broadcast_to(time[:, None], pool.shape)
        known = when >= content.edit_seen[pool, engine[:, None]]
        ours = 0.5 * content.cite[prompt] + 0.5 * content.engine_cite[engine[:, None], pool]
        ours = ours + known * content.lift[pool, 0] + content.drifted(pool, when, self.parameters.start_us)
        topic = np.array([t for _, _, t in content.rivals])
        near = topic[None, :] == content.prompt_topic[prompt][:, None]
        logit = np.concatenate([ours, np.where(near, content.rival_cite + 0.8, -3.0)], axis=1)
        ranked = np.argsort(-(logit + self.rng.gumbel(size=logit.shape)), axis=1, kind="stable")[
            :, :_CITED_MAX
        ]
        own = np.take_along_axis(pool, np.minimum(ranked, pool.shape[1] - 1), 1)
        return np.where(ranked < pool.shape[1], own, len(content.ids) + ranked - pool.shape[1])

    def _probe(self, runs: Ints) -> _Probes:
        day, prompt, engine = runs.T
        n, p = len(runs), self.parameters
        time = p.start_us + day * DAY + 5 * 3600 * SECOND + self.rng.integers(0, 5400, n) * SECOND
        names = [ENGINES_THIRD_PARTY[e] for e in engine.tolist()]
        newer = ((day >= p.days // 2) & (engine == ENGINES_THIRD_PARTY.index(_MODEL_CHANGE))).tolist()
        salt = int(self.rng.integers(1 << 31))
        return _Probes(
            ids=[f"an-{self.tag}p-{label}" for label in scramble(np.arange(n), salt)],
            prompt=prompt.tolist(),
            engine=names,
            model=[
                f"{_MODELS[e]}-{'2026-09' if m else '2026-05'}"
                for e, m in zip(engine.tolist(), newer, strict=True)
            ],
            day=day.tolist(),
            time=time,
            cited=self.rng.integers(3, _CITED_MAX + 1, n),
            shown=self._cited(prompt, engine, time),
        )

    def probes(self, runs: Ints) -> Lines:
        """Return what prompt monitoring saw: answers of third-party engines and whom they cite."""
        content, probes = self.content, self._probe(runs)
        count, sentence, others, words = sentences(self.rng, probes.cited, _CITED_MAX)
        answers = rows(
            answer_id=probes.ids,
            prompt_id=[content.prompt_ids[q] for q in probes.prompt],
            prompt_text=[content.prompt_texts[q] for q in probes.prompt],
            run_id=[f"run-{d:03d}" for d in probes.day],
            engine=probes.engine,
            model=probes.model,
            surface=["search_overview" if e == "google_ai_overview" else "assistant" for e in probes.engine],
            locale=["en-GB"] * len(runs),
            sentence_count=count.tolist(),
        )
        a, k = np.nonzero(np.arange(_CITED_MAX) < probes.cited[:, None])
        everyone = [
            *zip(content.ids, content.urls, strict=True),
            *((name, url) for name, url, _ in content.rivals),
        ]
        who, where = [everyone[w] for w in probes.shown[a, k].tolist()], a.tolist()
        shows = rows(
            citation_id=[f"ci{probes.ids[i][2:]}-{j + 1}" for i, j in zip(where, k.tolist(), strict=True)],
            answer_id=[probes.ids[i] for i in where],
            content_id=[name for name, _ in who],
            engine=[probes.engine[i] for i in where],
            url=[url for _, url in who],
            position=(k + 1).tolist(),
            slot=["card" if probes.engine[i] == "google_ai_overview" else "inline" for i in where],
            sentence_index=sentence[a, k].tolist(),
            words_attributed=words[a, k].tolist(),
            co_cited=others[a, k].tolist(),
        )
        generated = self._lines("answer_generate", "probe", probes.time, answers)
        return Lines.of(
            [generated, self._lines("citation_show", "probe", probes.time[a] + 1000 * (k + 1), shows)]
        )

    def bots(self, n: int) -> Lines:
        """Return page views by bots that run the tracker: a new identifier on each visit, no consent."""
        rng, p, content = self.rng, self.parameters, self.content
        visit = np.cumsum(rng.random(n) < 0.12)
        count = int(visit.max(initial=0)) + 1
        start = p.start_us + rng.integers(0, p.days * DAY - 3600 * SECOND, count)
        agent = rng.integers(0, len(_BOT_VISITORS), count).tolist()
        time = (start[visit] + np.arange(n) * 700_000 % (600 * SECOND)) // 1000 * 1000
        page = rng.integers(0, len(content.ids), n).tolist()
        views = scramble(np.arange(n), int(rng.integers(1 << 31)))
        person = [f"{BOT}{self.tag}-{v}" for v in visit.tolist()]
        times = (stamp(time), stamp(time + 50_000), stamp(time + 90_000))
        events = [
            {
                "event_id": event_id,
                "event_name": "page_view",
                "schema_version": "1-0-0",
                "occurred_at": occurred,
                "sent_at": sent,
                "received_at": received,
                "source": "web",
                "channel": "client",
                "anonymous_id": f"a-{who}",
                "consent": None,
                "context": {
                    "url": content.urls[c],
                    "referrer": f"{SITE}/",
                    "user_agent": _BOT_VISITORS[agent[v]],
                },
                "properties": {
                    "observation": "owned",
                    "page_view_id": f"pv-{self.tag}c-{view}",
                    "content_id": content.ids[c],
                },
            }
            for event_id, occurred, sent, received, who, c, v, view in zip(
                self.labels(n), *times, person, page, visit.tolist(), views, strict=True
            )
        ]
        return pack(rng, events, time + 90_000, time, p, person=person, fault=["bot"] * n)
