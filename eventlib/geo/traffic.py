"""Which AI engine sent a visit, and which agent fetched a page (S6).

An engine is named by an exact host, a host under it, a `utm_source` value or a declaration, never by a
substring: `chatgpt.com.example.org` and `?q=chatgpt.com` are neither. AI Overview clicks arrive as ordinary
organic search and are named only where a producer declares them. A claimed agent is not a verified one: user
agents are self-reported.

The host and agent tables are dated data files beside this module (`tables/`).
"""

from __future__ import annotations

import json
import re
from functools import cache, lru_cache
from importlib.metadata import distribution
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Evidence",
    "Purpose",
    "agent_operators",
    "classify_agent",
    "classify_engine",
    "engine_operator",
    "range_files",
    "tables_updated",
]

Evidence: TypeAlias = Literal["declared", "referrer", "utm_source", "text_fragment"]
Purpose: TypeAlias = Literal["training", "search_index", "user_fetch", "other"]

_SCHEMES: Final = frozenset({"http", "https", "android-app", ""})
# Longer strings are hostile or broken; cutting them also bounds what the caches can hold.
_LONGEST: Final = 2_048
_CACHE: Final = 16_384
_FRAGMENT_DIRECTIVE: Final = ":~:text="
_WORD: Final = re.compile(r"[A-Za-z][\w-]*")
_METACHARACTER: Final = re.compile(r"(?<!\\)[\[\](){}.*+?^$|]|\\[a-zA-Z]")


class _Engines(NamedTuple):
    hosts: Mapping[str, str]
    sources: Mapping[str, str]
    names: Mapping[str, str]
    operators: Mapping[str, str]


class _Crawlers(NamedTuple):
    literals: tuple[tuple[str, str, Purpose], ...]
    patterns: tuple[tuple[re.Pattern[str], Purpose], ...]


def _table(name: str) -> dict[str, Any]:
    table: dict[str, Any] = json.loads((files("eventlib.geo") / "tables" / name).read_text(encoding="utf-8"))
    return table


def tables_updated() -> dict[str, str]:
    """Return the date of each table, for run stamps.

    >>> sorted(tables_updated())
    ['agents', 'engines']
    """
    return {name: str(_table(f"{name}.json")["updated"]) for name in ("agents", "engines")}


@cache
def _engines() -> _Engines:
    hosts: dict[str, str] = {}
    sources: dict[str, str] = {}
    names: dict[str, str] = {}
    operators: dict[str, str] = {}
    for engine, spellings in _table("engines.json")["engines"].items():
        hosts |= dict.fromkeys([*spellings["hosts"], *spellings["apps"]], engine)
        sources |= dict.fromkeys(spellings["utm_sources"], engine)
        names |= dict.fromkeys([engine, *spellings["names"]], engine)
        operators |= {engine: spellings["operator"]} if "operator" in spellings else {}
    return _Engines(hosts, sources, names, operators)


def _engine_of_host(host: str) -> str | None:
    """Look the host up, then each parent with at least two labels."""
    labels = host.strip(".").split(".")
    hosts = _engines().hosts
    parents = (".".join(labels[start:]) for start in range(max(len(labels) - 1, 0)))
    return next((hosts[parent] for parent in parents if parent in hosts), None)


@lru_cache(maxsize=_CACHE)
def _engine_of_referrer(referrer: str) -> str | None:
    text = referrer.strip()
    try:
        parts = urlsplit(text if "://" in text else f"//{text}")
        host = parts.hostname
    except ValueError:
        return None
    return _engine_of_host(host) if host and parts.scheme.lower() in _SCHEMES else None


@lru_cache(maxsize=_CACHE)
def _engine_of_utm_source(url: str) -> str | None:
    try:
        values = parse_qs(urlsplit(url.strip()).query, max_num_fields=100).get("utm_source", [""])
    except ValueError:
        return None
    source = values[0].strip().casefold()
    return _engines().sources.get(source) or _engine_of_host(source)


@lru_cache(maxsize=_CACHE)
def _engine_of_name(declared: str) -> str | None:
    return _engines().names.get(re.sub(r"[\s.-]+", "_", declared.strip().casefold()))


def classify_engine(
    referrer: str | None, url: str | None, declared: str | None
) -> tuple[str | None, Evidence | None]:
    """Name the AI engine that sent a visit, and the evidence for it.

    The first evidence that names an engine decides: a declaration by the producer, the referrer's host (the
    last hop), then the landing URL's `utm_source` (which survives when a link is copied elsewhere). A text
    fragment shows that something highlighted a passage, but never what: it is evidence without an engine.

    Parameters
    ----------
    referrer
        The page that linked here, with or without a scheme; `android-app://` names an app.
    url
        The landing page's own address.
    declared
        An engine named by the producer. Names outside the table (`search:shop`) are no AI engine.

    Returns
    -------
    tuple of (str or None, str or None)
        The engine, and `declared`, `referrer`, `utm_source` or `text_fragment`.

    Examples
    --------
    >>> classify_engine("https://www.perplexity.ai/", None, None)
    ('perplexity', 'referrer')
    >>> classify_engine(None, "https://example.com/a?utm_source=chatgpt.com", None)
    ('chatgpt', 'utm_source')
    >>> classify_engine("https://chatgpt.com.example.org/", "https://example.com/#:~:text=chatgpt", None)
    (None, 'text_fragment')
    """
    if declared and (engine := _engine_of_name(declared[:_LONGEST])):
        return engine, "declared"
    if referrer and (engine := _engine_of_referrer(referrer[:_LONGEST])):
        return engine, "referrer"
    if url:
        if "utm_source" in url and (engine := _engine_of_utm_source(url[:_LONGEST])):
            return engine, "utm_source"
        if _FRAGMENT_DIRECTIVE in url:
            return None, "text_fragment"
    return None, None


@cache
def _known_agents() -> tuple[re.Pattern[str], Mapping[str, tuple[str, Purpose]]]:
    """Return one pattern for every token of our table, and what each token means."""
    meaning: dict[str, tuple[str, Purpose]] = {}
    for purpose, tokens in _table("agents.json")["agents"].items():
        meaning |= {token.casefold(): (token, purpose) for token in tokens}
    # Longest first, and whole tokens only: `Googlebot-Image` is not `Googlebot`, nor `NotGPTBot` `GPTBot`.
    tokens = "|".join(re.escape(token) for token in sorted(meaning, key=len, reverse=True))
    return re.compile(rf"(?<![a-z0-9-])(?:{tokens})(?![a-z0-9-])"), meaning


def _crawler_entries() -> list[dict[str, Any]]:
    """Read the package's own data: importing it opens that in the encoding of the locale, which need not be UTF-8."""
    data = distribution("crawler-user-agents").locate_file("crawleruseragents/crawler-user-agents.json")
    entries: list[dict[str, Any]] = json.loads(Path(str(data)).read_bytes())
    return entries


@cache
def _crawlers() -> _Crawlers:
    """Split the package's patterns: `in` for plain text, which most are; regular expressions for the rest."""
    literals: list[tuple[str, str, Purpose]] = []
    patterns: list[tuple[re.Pattern[str], Purpose]] = []
    for entry in _crawler_entries():
        pattern = entry["pattern"]
        purpose: Purpose = "search_index" if "search-engine" in entry.get("tags", []) else "other"
        text = re.sub(r"\\(.)", r"\1", pattern)
        if _METACHARACTER.search(pattern):
            patterns.append((re.compile(pattern), purpose))
        else:
            literals.append((text, text.strip(" /;"), purpose))
    return _Crawlers(tuple(literals), tuple(patterns))


def _name_of(matched: str) -> str:
    word = _WORD.search(matched)
    return word[0][:40] if word else "unnamed"


@lru_cache(maxsize=_CACHE)
def _classify_agent(user_agent: str) -> tuple[str | None, Purpose | None]:
    pattern, meaning = _known_agents()
    if known := pattern.search(user_agent.casefold()):
        return meaning[known[0]]
    crawlers = _crawlers()
    for literal, name, purpose in crawlers.literals:
        if literal in user_agent:
            return name, purpose
    for regex, purpose in crawlers.patterns:
        if match := regex.search(user_agent):
            return _name_of(match[0]), purpose
    return None, None


def classify_agent(user_agent: str | None) -> tuple[str | None, Purpose | None]:
    """Name the bot or AI agent that a user agent claims to be, and what it fetches for.

    Our purpose table comes first; the `crawler-user-agents` package knows about 1,500 more, whose purpose is
    `search_index` where it says so, else `other`. The claim is not verified here: `eventlib.geo.verification` does that.

    Parameters
    ----------
    user_agent
        The HTTP user agent; None or empty is nobody.

    Returns
    -------
    tuple of (str or None, str or None)
        The agent's name, and `training`, `search_index`, `user_fetch` or `other`; two Nones for people.

    Examples
    --------
    >>> classify_agent("Mozilla/5.0 (compatible; ChatGPT-User/1.0; +https://openai.com/bot)")
    ('ChatGPT-User', 'user_fetch')
    >>> classify_agent("curl/8.5.0")
    ('curl', 'other')
    """
    return _classify_agent(user_agent[:_LONGEST]) if user_agent else (None, None)


def engine_operator(engine: str) -> str:
    """Return whose agents fetch pages for an engine's answers, "" where nobody's are known to.

    >>> engine_operator("chatgpt"), engine_operator("site_assistant")
    ('openai', '')
    """
    return _engines().operators.get(engine, "")


@cache
def agent_operators() -> Mapping[str, str]:
    """Return whose each agent is, where its operator is known.

    >>> agent_operators()["ChatGPT-User"]
    'openai'
    """
    table = _table("agents.json")["ranges"]
    return {agent: operator for operator, agents in table.items() for agent in agents}


@cache
def range_files() -> Mapping[str, tuple[str, frozenset[str]]]:
    """Return, by the name of a file of address ranges, its operator and the agents whose addresses stand there.

    >>> range_files()["gptbot"]
    ('openai', frozenset({'GPTBot'}))
    """
    table = _table("agents.json")
    found: dict[str, tuple[str, frozenset[str]]] = {
        name: (operator, frozenset()) for operator, names in table["more_files"].items() for name in names
    }
    for operator, agents in table["ranges"].items():
        for agent, names in agents.items():
            for name in names:
                found[name] = operator, found.get(name, (operator, frozenset()))[1] | {agent}
    return found
