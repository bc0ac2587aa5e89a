"""The trackers for pages, in a browser: a visit to a page is what is read, and no request leaves the machine."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.clients.collector import Answer, Collector, collecting
from tests.clients.node_clients import MODULES, require_node
from tests.clients.reading import POSTHOG, RUDDERSTACK, SEGMENT, SNOWPLOW, Tracker, names, read_whole

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

pytestmark = pytest.mark.browser

PAGES: Final = Path(__file__).parent / "pages"
PERSON: Final = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36"
)
"""A browser that somebody uses: trackers leave out what says that nobody does."""

PAGE: Final = """<!doctype html><html lang="de"><meta charset="utf-8"><title>Wie GEO wirkt: 指南</title>
<h1>Guide</h1><button id="menu">Menü</button><button id="order">Bestellen</button><p style="height: 3000px">…</p>
<script>
  const onClick = (tell) => document.querySelector('#menu').addEventListener('click', tell);
  const onOrder = (tell) => document.querySelector('#order').addEventListener('click', tell);
</script>
<script src="/tracker.js"></script><script src="/page.js"></script></html>"""

RUDDERSTACK_SETTINGS: Final = {
    "source": {
        "id": "s-1",
        "name": "web",
        "writeKey": "1abcdefghijklmnopqrstuvwxyz",
        "enabled": True,
        "workspaceId": "w-1",
        "config": {"statsCollection": {"errors": {"enabled": False}, "metrics": {"enabled": False}}},
        "destinations": [],
        "updatedAt": "2026-01-01T00:00:00Z",
    }
}


@dataclass(frozen=True, slots=True)
class Visit:
    """A tracker for pages, what it sends of the visit by its own names, and what of it is read as what."""

    tracker: Tracker
    script: str
    sends: Mapping[str, int]
    means: Mapping[str, int]
    leaving: int = 0

    @property
    def before_leaving(self) -> int:
        """How many events are sent before the page is left."""
        return sum(self.sends.values()) - self.leaving


_SPEC: Final = {
    "page": 1,
    "identify": 1,
    "group": 1,
    "citation_click": 1,
    "Menu Opened": 1,
    "Order Completed": 1,
}
_SPEC_MEANS: Final = {
    "page_view": 1, "identify": 1, "group": 1, "citation_click": 1, "Menu Opened": 1, "conversion_complete": 1,
}  # fmt: skip
_POSTHOG: Final = {
    "$pageview": 1, "$identify": 1, "$groupidentify": 1, "citation_click": 1, "Menu Opened": 1, "Order Completed": 1,
    "$autocapture": 2, "$pageleave": 1,
}  # fmt: skip
_POSTHOG_MEANS: Final = {
    "page_view": 1, "user_login": 1, "$groupidentify": 1, "citation_click": 1, "Menu Opened": 1, "Order Completed": 1,
    "$autocapture": 2, "page_exit": 1,
}  # fmt: skip
_SNOWPLOW: Final = {"pv": 1, "ue": 2, "se": 1, "pp": 1}
_SNOWPLOW_MEANS: Final = {
    "page_view": 1,
    "citation_click": 1,
    "menu_opened": 1,
    "complete": 1,
    "page_ping": 1,
}
VISITS: Final = [
    Visit(SEGMENT, "@segment/analytics-next/dist/umd/index.js", _SPEC, _SPEC_MEANS),
    Visit(RUDDERSTACK, "@rudderstack/analytics-js/dist/npm/modern/bundled/umd/index.js", _SPEC, _SPEC_MEANS),
    Visit(POSTHOG, "posthog-js/dist/array.full.js", _POSTHOG, _POSTHOG_MEANS, leaving=1),
    Visit(SNOWPLOW, "@snowplow/browser-tracker/dist/index.umd.min.js", _SNOWPLOW, _SNOWPLOW_MEANS),
]


@pytest.fixture(params=VISITS, ids=lambda visit: visit.tracker.source)
def visit(request) -> Visit:
    require_node()
    found: Visit = request.param
    return found


@pytest.fixture
def collector(visit: Visit) -> Iterator[Collector]:
    served: dict[str, Answer] = {
        "/guide": ("text/html; charset=utf-8", PAGE.encode()),
        "/elsewhere": ("text/html; charset=utf-8", b"<!doctype html><title>Elsewhere</title>"),
        "/favicon.ico": ("image/x-icon", b""),
        "/tracker.js": ("text/javascript", (MODULES / visit.script).read_bytes()),
        "/page.js": ("text/javascript", (PAGES / f"{visit.tracker.source}.js").read_bytes()),
        "/config/sourceConfig/": ("application/json", json.dumps(RUDDERSTACK_SETTINGS).encode()),
    }
    with collecting(served) as running:
        yield running


class Guarded:
    """A page whose requests reach the collector alone; what it asked of others, and what went wrong on it."""

    def __init__(self, page: Page, home: str) -> None:
        self.page, self.home = page, home
        self.outside: list[str] = []
        self.complaints: list[str] = []
        page.context.route("**/*", self._route)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _route(self, route: Route) -> None:
        if route.request.url.startswith((self.home, "data:", "blob:")):
            route.continue_()
        else:
            self.outside.append(route.request.url)
            route.abort()


@pytest.fixture
def guarded(browser: Browser, collector: Collector) -> Iterator[Guarded]:
    context = browser.new_context(user_agent=PERSON, locale="de-DE")
    yield Guarded(context.new_page(), collector.url + "/")
    context.close()


def test_a_visit_is_read_whole(visit: Visit, collector: Collector, guarded: Guarded, tmp_path: Path):
    _go_through(guarded.page, collector, visit)
    assert guarded.outside == []
    assert guarded.complaints == []
    assert Counter(map(_named, collector.sent)) == visit.sends
    log = read_whole(collector, tmp_path, visit.tracker)
    assert names(log, visit.means) == visit.means
    assert set(log.events["channel"]) == {"client"}
    assert set(log.events["user_agent"].dropna()) <= {PERSON}
    assert log.events["referrer"].isna().all(), "the page was opened from nowhere"
    assert len(set(log.events["anonymous_id"])) == 1
    assert set(log.events["user_id"].dropna()) == {"u-1"}
    views = [json.loads(text).get("page_view_id") for text in log.events["properties"]]
    if visit.tracker is SNOWPLOW:
        assert len(set(views)) == 1, "its trackers say of every event in which view of the page it was"
        assert None not in views
    page_views = log.events[log.events["event_name"] == "page_view"]
    assert list(page_views["url"]) == [f"{collector.url}/guide?utm_source=chatgpt.com"]
    assert list(page_views["ai_engine"]) == ["chatgpt"]


def _go_through(page: Page, collector: Collector, visit: Visit) -> None:
    """Open the page, press its buttons, and leave for another."""
    page.goto(f"{collector.url}/guide?utm_source=chatgpt.com")
    page.click("#menu")
    page.click("#order")
    _wait(page, collector, visit.before_leaving)
    page.wait_for_load_state("networkidle")
    page.goto(f"{collector.url}/elsewhere")
    _wait(page, collector, sum(visit.sends.values()))
    page.wait_for_timeout(200)  # what it says too much is counted too


def _wait(page: Page, collector: Collector, events: int) -> None:
    """Wait for events in the page's own time: its requests are let through only while it is waited for."""
    until = time.monotonic() + 15
    while len(collector.sent) < events and time.monotonic() < until:
        page.wait_for_timeout(20)


def _named(event: Mapping[str, object]) -> str:
    return str(event.get("event") or event.get("type") or event.get("e"))
