"""Masks hold for any wrapping of a secret, say nothing twice, and take time in proportion to the text (S10)."""

from __future__ import annotations

import html
import time
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventlib import masking
from eventlib.report import safe
from tests.poison import SECRETS, secrets_in

FULL_WIDTH = {number: number + 0xFEE0 for number in range(0x21, 0x7F)}
WRAPPINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "percent": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "percent twice": lambda text: quote(quote(text, safe=""), safe=""),
    "entities": lambda text: "".join(f"&#{ord(character)};" for character in text),
    "full width": lambda text: text.translate(FULL_WIDTH),
    "invisible": "\u200b".join,
    "in a path": lambda text: f"https://shop.example/u/{quote(text, safe='')}/x",
    "in a campaign": lambda text: f"https://shop.example/?utm_term={quote(text, safe='')}",
    "nested": lambda text: quote(html.escape(text.translate(FULL_WIDTH)), safe=""),
}
PLAIN = (
    "ann@poison-mail.example",
    "+49 151 98765432",
    "015198765432",
    "+49/151/98765432",
    "4111 1111 1111 1111",
    "4111-1111-1111-1111",
    "sk-plantedtoken0123456789ab",
    "https://ann:plantedword@shop.example/?session=plantedquery#plantedend",
)
AROUND = st.text(st.characters(exclude_categories=["L", "N"]), max_size=12)
PIECES = st.lists(
    st.sampled_from([*SECRETS, *PLAIN, "%", "%25", "&amp;", "@", " ", "?", "#", "/", "https://", "\u200b", "2026-10-03", "1", "a", "(at)"])
    | st.text(max_size=8),
    max_size=12,
)  # fmt: skip


@pytest.mark.parametrize("secret", SECRETS)
def test_no_planted_secret_passes(secret):
    assert secrets_in(secret) != []
    assert secrets_in(safe.clean(secret)) == []
    assert secrets_in(safe.clean_id(f"c-1 {secret}")) == []


@pytest.mark.parametrize("wrapping", WRAPPINGS)
@pytest.mark.parametrize("secret", PLAIN)
def test_no_wrapping_hides_a_secret(secret, wrapping):
    assert secrets_in(safe.clean(WRAPPINGS[wrapping](secret))) == []


@settings(deadline=None)
@given(AROUND, st.sampled_from(PLAIN), AROUND)
def test_what_stands_around_a_secret_does_not_save_it(before, secret, after):
    assert secrets_in(safe.clean(f"{before} {secret} {after}")) == []


@settings(deadline=None)
@given(PIECES)
def test_masking_twice_masks_nothing_more(pieces):
    text = "".join(pieces)
    for mask in (safe.mask_text, safe.mask_url, safe.clean):
        assert mask(mask(text)) == mask(text)


@pytest.mark.parametrize(
    "piece",
    ["a", "1", "1 ", "a-", "a@", "@a.", "%25", "%40", "&amp;", "http://", "(at)", "eyJ", "bearer ", "deadbeef-",
     "2026-10-03", "?a=b", "utm_a=1&", "a/", "\u200b", "\ufdfa", "\uff10", " ", "+", "(1", "12:30:", "/%41"],
)  # fmt: skip
def test_time_is_in_proportion_to_the_text(piece):
    started = time.process_time()
    safe.clean(f"https://shop.example/{piece * (1_000_000 // len(piece))}@")
    safe.clean(piece * (1_000_000 // len(piece)) + "@")
    assert time.process_time() - started < 3, "only what a report could show is looked at"
    started = time.process_time()
    masking._mask_plain(piece * (200_000 // len(piece)))  # the patterns themselves, on a text that is not cut
    assert time.process_time() - started < 3


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("2026-10-03 12 call ann@mail.example", "2026-10-03 12 call [e-mail]"),
        ('by "ann of site"@mail.example', "by [e-mail]"),
        ("alert(1)) 4111 1111 1111 1111", "alert[phone]"),
        ("4915123456789: now", "[phone]: now"),
        ("tel-0151-98765432", "tel-[phone]"),
        ("id4111111111111111x", "id[card]x"),
        ("/a?session=1&utm_source=x#to=1", "/a?utm_source=x"),
        ("deadbeef-dead-AAAAAAAAAAAAAAAA1111111111", "[token]"),
        ("12345678901234567890123", "[number]"),
    ],
)
def test_known_ways_around_the_masks_are_closed(text, masked):
    assert safe.mask_text(text) == masked


@pytest.mark.parametrize(
    "text",
    ["run 20261003T101112Z-abc123", "12:30:45.123456", "2026-10-03T08:15:30.123456Z to 2026-10-04", "sku-1234-567890",
     "c-12 2026-10-03", "sky-high-prices-explained", "log.ndjson:12,345", "AT&T at 100 %", "\u2764\ufe0f\u200d"],
)  # fmt: skip
def test_what_tells_on_nobody_passes(text):
    assert safe.clean(text) == text


MARKUP = st.text(st.sampled_from("<>&\"'`%{}[]()!*_#|\\\n ab:/=\u202e\x00") | st.characters(), max_size=60)


@settings(deadline=None)
@given(MARKUP)
def test_escaped_markdown_is_the_text_again_and_no_markup(text):
    escaped = safe.escape_markdown(text)
    bare = escaped.replace("\\\\", "")
    assert not any(bare[at] in "[]()!*_`#<>|~" and bare[at - 1 : at] != "\\" for at in range(len(bare)))


@settings(deadline=None)
@given(st.lists(MARKUP, max_size=3), MARKUP)
def test_no_string_of_a_figure_brings_markup(labels, title):
    figure = {
        "data": [
            {"x": labels, "name": title, "hovertemplate": f"%{{y}}<extra>{title}</extra>", "text": [labels]}
        ],
        "layout": {
            "title": {"text": f"<b>{title}</b>"},
            "xaxis": {"title": {"text": title}},
            "annotations": [{"text": title}],
        },
    }
    guarded = safe.guard_figure(figure)
    said = str(guarded)
    for markup in ("<b>", "</b>", "<extra>", "</extra>", "<br>"):
        said = said.replace(markup, "")
    assert "<" not in said
    assert "%{" not in str(guarded["layout"])


@given(st.text())
def test_no_cell_of_a_csv_is_a_formula(text):
    cell = str(safe.csv_cell(text))
    assert not cell.lstrip().startswith(("=", "+", "-", "@", "\0"))
    assert not cell.startswith(("\t", "\r", "\n"))


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("/a?x=ann%40mail.example;b=1&c", "/a?x=[masked];b=1&c"),
        ("/u/ann%2540mail.example/x", "/u/[masked]/x"),
        ("/a?ann@mail.example=1", "/a?[masked]=1"),
        ("/a?token=1234567890&page=2", "/a?token=[masked]&page=2"),
        ("/a?tel=%2B4915123456789", "/a?tel=[masked]"),
        ("/a?card=4111111111111111", "/a?card=[masked]"),
        ("/a;jsessionid=AB12CD34EF56AB12CD34EF56AB12CD34?x=1", "/a;jsessionid=[masked]?x=1"),
        ("/a?q=ann(at)mail(dot)example", "/a?q=[masked]"),
    ],
)
def test_parts_of_an_address_that_tell_on_somebody_are_masked(url, masked):
    assert masking.mask_values(url) == masked
    assert masking.mask_values(masked) == masked


@pytest.mark.parametrize(
    "url",
    [
        "/guide",
        "/a?id=8715946355320",
        "/p/9f8e7d6c5b4a39281706f5e4d3c2b1a0",
        "/@user/post?d=2026-10-03T08:15:30Z",
        "/a?u=3460ebf6-0000-4abd-83e3-3bde0ab486a5&&q=heat%20pumps",
        "/%zz?%zz=%zz",
        "/%E4%B8%AD?q=%E6%96%87",
        "",
    ],
)
def test_an_address_that_tells_on_nobody_stays_as_it_is(url):
    assert masking.mask_values(url) == url


@given(st.text(alphabet="/?&=;%@.a1-", max_size=40))
def test_masking_an_address_twice_is_masking_it_once(url):
    assert masking.mask_values(masking.mask_values(url)) == masking.mask_values(url)
