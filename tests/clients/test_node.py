"""The trackers for Node: what they send is what is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.collector import collecting
from tests.clients.node_clients import run_tracker, tell
from tests.clients.reading import POSTHOG, RUDDERSTACK, SEGMENT, SNOWPLOW, Tracker, links, names, read_whole
from tests.clients.story import PEOPLE, SCROLLS, SPOKEN, Call, calls, story

_GEO = ("identity_link", "page_view", "citation_click")
_SPEC = dict.fromkeys((*_GEO, "conversion_complete", "identify", "group", "screen"), PEOPLE)
_POSTHOG = dict.fromkeys((*_GEO, "Order Completed", "user_login", "$groupidentify", "$screen"), PEOPLE)
_SNOWPLOW = dict.fromkeys(("page_view", "citation_click", "screen_view", "order_completed"), PEOPLE)
MEANT: list[tuple[Tracker, list[Call], dict[str, int]]] = [
    (SEGMENT, story(), _SPEC | {"Row Scrolled": PEOPLE * SCROLLS}),
    (RUDDERSTACK, story(), _SPEC | {"Row Scrolled": PEOPLE * SCROLLS}),
    (POSTHOG, story(), _POSTHOG | {"Row Scrolled": PEOPLE * SCROLLS}),
    (SNOWPLOW, calls(story(), *SPOKEN), _SNOWPLOW | {"row_scrolled": PEOPLE * SCROLLS}),
]


@pytest.mark.parametrize(("tracker", "told", "meant"), MEANT, ids=lambda value: getattr(value, "source", ""))
def test_nothing_that_was_sent_is_lost(
    tracker: Tracker, told: list[Call], meant: dict[str, int], tmp_path: Path
):
    with collecting() as collector:
        tell(tracker.source, collector, story())
    assert len(collector.requests) > 2, "it sent batches"
    assert len(collector.sent) == len(told)
    log = read_whole(collector, tmp_path, tracker, source=tracker.source)
    assert set(log.events["channel"]) == {"server"}
    assert names(log, meant) == meant
    joined = {frozenset({("user_id", call["user"]), ("anonymous_id", call["anonymous"])}) for call in story()}
    assert all(any(pair <= link for link in links(log)) for pair in joined) or tracker is SNOWPLOW
    assert sum(meant.values()) + PEOPLE == len(told), "all but one of each person's events are named here"


@pytest.mark.parametrize(
    "tracker", [SEGMENT, RUDDERSTACK, POSTHOG, SNOWPLOW], ids=lambda tracker: tracker.source
)
def test_a_tracker_that_would_leave_the_machine_is_ended(tracker: Tracker):
    found = run_tracker(tracker.source, "http://collector.invalid", story()[:3])
    assert (found.returncode, b"left the machine" in found.stderr) == (9, True)
