"""S6: engines by exact host, utm_source or declaration; agents by token, with a purpose."""

from __future__ import annotations

import pytest
from crawleruseragents import CRAWLER_USER_AGENTS_DATA

from eventlib.geo.traffic import classify_agent, classify_engine, tables_updated

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/141.0.0.0 Safari/537.36"
)
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.1 Mobile/15E148 Safari/604.1"
)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0"


@pytest.mark.parametrize(
    ("referrer", "engine"),
    [
        ("https://chatgpt.com/", "chatgpt"),
        ("https://chat.openai.com/c/123", "chatgpt"),
        ("https://www.perplexity.ai/search?q=x", "perplexity"),
        ("HTTPS://Perplexity.AI:443", "perplexity"),
        ("https://perplexity.ai./", "perplexity"),
        ("perplexity.ai", "perplexity"),
        ("https://gemini.google.com/app", "gemini"),
        ("https://copilot.microsoft.com/chats/x", "copilot"),
        ("https://www.copilot.com/", "copilot"),
        ("https://claude.ai/chat/1", "claude"),
        ("android-app://com.openai.chatgpt/", "chatgpt"),
        ("https://user:secret@chatgpt.com/", "chatgpt"),
    ],
)
def test_referrer_names_the_engine(referrer, engine):
    assert classify_engine(referrer, None, None) == (engine, "referrer")


@pytest.mark.parametrize(
    "referrer",
    [
        "https://chatgpt.com.example.org/",  # a host that only starts like one
        "https://notchatgpt.com/",  # a host that only ends like one
        "https://chatgpt.com@example.org/",  # userinfo, not a host
        "https://example.org/chatgpt.com",
        "https://example.org/?from=perplexity.ai",
        "https://www.google.com/search?udm=50",  # AI Overviews look like organic search
        "https://www.bing.com/",
        "https://openai.com/blog",  # the company, not the assistant
        "javascript://chatgpt.com/%0aalert(1)",
        "https://[chatgpt.com/",  # a broken address is a result, not an exception
        "ai",
        "",
        " ",
    ],
)
def test_near_misses_name_nobody(referrer):
    assert classify_engine(referrer, None, None) == (None, None)


@pytest.mark.parametrize(
    ("query", "engine"),
    [
        ("utm_source=chatgpt.com", "chatgpt"),
        ("a=1&utm_source=ChatGPT.com&utm_medium=referral", "chatgpt"),
        ("utm_source=perplexity", "perplexity"),
        ("utm_source=www.perplexity.ai", "perplexity"),
        ("utm_source=copilot.com", "copilot"),
    ],
)
def test_utm_source_names_the_engine(query, engine):
    assert classify_engine(None, f"https://example.com/page?{query}", None) == (engine, "utm_source")


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/?utm_source=newsletter",
        "https://example.com/?utm_source=chatgpt.com.evil.org",
        "https://example.com/?utm_source=perplexity-newsletter",
        "https://example.com/?x_utm_source=chatgpt.com",
        "https://example.com/#utm_source=chatgpt.com",
        "https://example.com/utm_source=chatgpt.com",
        "https://example.com/?utm_source=",
        "https://example.com/?" + "&".join(f"a{i}=1" for i in range(500)) + "&utm_source=x",
    ],
)
def test_other_sources_name_nobody(url):
    assert classify_engine(None, url, None) == (None, None)


def test_a_text_fragment_alone_is_evidence_without_an_engine():
    url = "https://example.com/a#:~:text=some%20words"
    assert classify_engine(None, url, None) == (None, "text_fragment")
    assert classify_engine("https://www.google.com/", url, None) == (None, "text_fragment")
    assert classify_engine("https://claude.ai/", url, None) == ("claude", "referrer")


def test_declared_engines_by_name_or_alias():
    assert classify_engine(None, None, "site_assistant") == ("site_assistant", "declared")
    assert classify_engine(None, None, "AI Overview") == ("google_ai_overview", "declared")
    assert classify_engine("https://chatgpt.com/", None, "perplexity") == ("perplexity", "declared")


def test_a_declaration_outside_the_table_leaves_the_decision_to_the_rest():
    assert classify_engine(None, None, "search:shop") == (None, None)
    assert classify_engine("https://chatgpt.com/", None, "search:shop") == ("chatgpt", "referrer")


def test_the_last_hop_beats_a_copied_link():
    url = "https://example.com/?utm_source=chatgpt.com"
    assert classify_engine("https://www.perplexity.ai/", url, None) == ("perplexity", "referrer")
    assert classify_engine("https://t.co/x", url, None) == ("chatgpt", "utm_source")


def test_nothing_known():
    assert classify_engine(None, None, None) == (None, None)


def test_very_long_strings_are_cut_not_kept():
    assert classify_engine("https://chatgpt.com/" + "x" * 1_000_000, None, None) == ("chatgpt", "referrer")
    assert classify_agent(CHROME + "x" * 1_000_000) == (None, None)


@pytest.mark.parametrize(
    ("user_agent", "name", "purpose"),
    [
        ("Mozilla/5.0 (KHTML, like Gecko; compatible; GPTBot/1.2)", "GPTBot", "training"),
        ("Mozilla/5.0 (compatible; OAI-SearchBot/1.0)", "OAI-SearchBot", "search_index"),
        ("Mozilla/5.0 (compatible; ChatGPT-User/1.0)", "ChatGPT-User", "user_fetch"),
        ("Mozilla/5.0 (compatible; PerplexityBot/1.0)", "PerplexityBot", "search_index"),
        ("Mozilla/5.0 (compatible; Perplexity-User/1.0)", "Perplexity-User", "user_fetch"),
        ("Mozilla/5.0 (compatible; ClaudeBot/1.0; +claudebot@anthropic.com)", "ClaudeBot", "training"),
        ("Mozilla/5.0 (compatible; Claude-User/1.0)", "Claude-User", "user_fetch"),
        ("Mozilla/5.0 (compatible; Claude-SearchBot/1.0)", "Claude-SearchBot", "search_index"),
        ("Mozilla/5.0 (compatible; Googlebot/2.1)", "Googlebot", "search_index"),
        ("Googlebot-Image/1.0", "Googlebot-Image", "search_index"),
        ("Mozilla/5.0 (compatible; bingbot/2.0)", "bingbot", "search_index"),
        ("Mozilla/5.0 (Macintosh) (Applebot/0.1)", "Applebot", "search_index"),
        ("Mozilla/5.0 (compatible; Amazonbot/0.1)", "Amazonbot", "training"),
        ("CCBot/2.0 (https://commoncrawl.org/faq/)", "CCBot", "training"),
        ("Mozilla/5.0 (Linux; Android 5.0) (compatible; Bytespider)", "Bytespider", "training"),
        ("meta-externalagent/1.1 (+https://example.com)", "meta-externalagent", "training"),
        ("Meta-ExternalAgent/1.1", "meta-externalagent", "training"),
        ("gptbot", "GPTBot", "training"),
        ("curl/8.5.0", "curl", "other"),
        ("python-requests/2.32", "python-requests", "other"),
        ("Mozilla/5.0 HeadlessChrome/120.0", "HeadlessChrome", "other"),
    ],
)
def test_agents_have_a_name_and_a_purpose(user_agent, name, purpose):
    assert classify_agent(user_agent) == (name, purpose)


@pytest.mark.parametrize("user_agent", [CHROME, IPHONE, FIREFOX, CHROME + " Edg/141.0.0.0"])
def test_people_are_nobody(user_agent):
    assert classify_agent(user_agent) == (None, None)


def test_no_user_agent_is_nobody():
    assert classify_agent(None) == (None, None)
    assert classify_agent("") == (None, None)


def test_tokens_match_whole_not_inside_words():
    assert classify_agent("NotGPTBot/1.0")[1] == "other"
    assert classify_agent("Googlebot-Image/1.0")[0] == "Googlebot-Image"


def test_every_example_of_the_package_is_recognised():
    examples = [text for entry in CRAWLER_USER_AGENTS_DATA for text in entry.get("instances", [])]
    assert len(examples) > 1_000
    assert [text for text in examples if classify_agent(text)[0] is None] == []


def test_tables_are_dated():
    assert set(tables_updated()) == {"engines", "agents"}
    assert all(date >= "2026-11-23" for date in tables_updated().values())
