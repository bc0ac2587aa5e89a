"""What the tests ask of every log that a tracker wrote."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import eventlib as el
from eventlib.api import ReadLog
from tests.clients.collector import Collector
from tests.clients.kept import Leaf, lost


@dataclass(frozen=True, slots=True)
class Tracker:
    """What a format's events are known by, and what of them is left out on purpose.

    Attributes
    ----------
    source
        The format.
    event_id
        Name of the member that holds the event's id.
    dropped
        Members that say what they are by the event's name, or who somebody is.
    scaled
        Members in another unit than the canonical one, and what their values are multiplied by.
    nothing
        What members say where there is nothing to say.
    called
        Members that the format calls otherwise when read, and how.
    opened
        How an event is read before its values are looked for, where the format has other names for what is sent.
    renamed
        What events are called in our vocabulary, by the tracker's name for them.
    """

    source: str
    event_id: str
    dropped: frozenset[str]
    scaled: Mapping[str, float] = field(default_factory=dict)
    nothing: frozenset[Leaf] = frozenset()
    called: Mapping[str, str] = field(default_factory=dict)
    opened: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict
    renamed: Mapping[str, str] = field(default_factory=dict)


ORDER = {"Order Completed": "conversion_complete"}
PARAMETERS = {
    "tv": "v_tracker", "tna": "name_tracker", "aid": "app_id", "p": "platform", "page": "page_title", "lang": "br_lang",
    "cookie": "br_cookies", "cs": "doc_charset", "cd": "br_colordepth", "tz": "os_timezone", "vid": "domain_sessionidx",
    "sid": "domain_sessionid", "se_ca": "se_category", "se_ac": "se_action", "se_la": "se_label", "se_pr": "se_property",
    "se_va": "se_value", "pp_mix": "pp_xoffset_min", "pp_max": "pp_xoffset_max", "pp_miy": "pp_yoffset_min",
    "pp_may": "pp_yoffset_max",
}  # fmt: skip
"""What Snowplow's enriched events call the parameters that its trackers send, as its protocol states it."""

SIZES = {
    "res": ("dvce_screenwidth", "dvce_screenheight"),
    "vp": ("br_viewwidth", "br_viewheight"),
    "ds": ("doc_width", "doc_height"),
}


def as_columns(sent: Mapping[str, Any]) -> dict[str, Any]:
    """Return a payload of Snowplow's under the names of columns."""
    found = {PARAMETERS.get(name, name): value for name, value in sent.items() if name not in SIZES}
    for name in SIZES.keys() & sent.keys():
        found |= dict(zip(SIZES[name], sent[name].split("x"), strict=True))
    return found


SNOWPLOW = Tracker(
    "snowplow",
    "eid",
    frozenset(
        {"e", "schema", "tnuid"}
    ),  # of a schema the name is the event's, and the vendor stands beside it
    scaled={"dtm": 1000, "stm": 1000},
    called={"id": "page_view_id"},  # of the context of the page
    opened=as_columns,
)
SEGMENT = Tracker("segment", "messageId", frozenset({"type", "email"}), renamed=ORDER)
OF_POSTHOG = {
    "$pageview": "page_view",
    "$pageleave": "page_exit",
    "$identify": "user_login",
    "$create_alias": "identity_link",
}
POSTHOG = Tracker(
    "posthog",
    "uuid",
    frozenset({"$set", "$set_once", "token"}),
    scaled={"$prev_pageview_duration": 1000, "$prev_pageview_max_scroll_percentage": 100},
    nothing=frozenset({("$referrer", "$direct")}),
    renamed=OF_POSTHOG,
)
RUDDERSTACK = Tracker(
    "rudderstack",
    "messageId",
    frozenset({"type", "email"}),
    nothing=frozenset({("referrer", "$direct")}),
    renamed=ORDER,
)


def read_whole(collector: Collector, folder: Path, tracker: Tracker, source: str = "auto") -> ReadLog:
    """Read a collector's log, and prove that each event that was sent is an event that has all that was sent."""
    sent = collector.sent
    log = el.read(collector.write(folder / "collected.ndjson"), source=source)
    rows = {row["event_id"]: row for row in log.log.events().to_pylist()}
    assert log.quarantine[["code", "json_path", "message"]].to_dict("records") == []
    assert {found["source"] for found in log.log.inputs} == {tracker.source}
    assert len(log.events) == len(sent)
    assert rows.keys() == {event[tracker.event_id] for event in sent}
    gone = [
        (_name_of(event), *leaf)
        for event in sent
        for leaf in _lost(event, rows[event[tracker.event_id]], tracker)
    ]
    assert gone == [], gone[:20]
    return log


def _lost(event: Mapping[str, Any], row: Mapping[str, Any], tracker: Tracker) -> list[Leaf]:
    """Return what is lost of an event; its own name is not, where the vocabulary's stands for it."""
    found = lost(tracker.opened(event), row, tracker.dropped, tracker.scaled, tracker.called)
    return [
        leaf
        for leaf in found
        if leaf not in tracker.nothing and tracker.renamed.get(str(leaf[1])) != row["event_name"]
    ]


def _name_of(event: Mapping[str, Any]) -> str:
    return str(event.get("event") or event.get("type") or event.get("e"))


def names(log: ReadLog, wanted: Iterable[str]) -> dict[str, int]:
    """Count events of some names."""
    found = log.events["event_name"].value_counts().to_dict()
    return {name: int(found.get(name, 0)) for name in wanted}


def links(log: ReadLog) -> set[frozenset[tuple[str, str]]]:
    """Return which ids the log says are one person's: what each `identity_link` names."""
    said = log.events["links"].dropna()
    return {frozenset((space, value) for space, value in json.loads(text)) for text in said}
