"""Events for tests: each starts from a valid page view, and a test says only what matters to it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from eventlib.api import prepare
from eventlib.model import PURPOSES
from eventlib.prepared import Prepared

START = datetime(2026, 10, 1, 12, tzinfo=UTC)
ALL: Mapping[str, bool | None] = dict.fromkeys(PURPOSES, True)
KEY = "ab" * 32

_numbers = itertools.count()


def at(seconds: float) -> str:
    """A time, in seconds after START, as the log writes it."""
    return (START + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def consent(
    jurisdiction: str | None = "EEA", updated: float | None = -3600, **purposes: bool | None
) -> dict[str, Any]:
    """A consent object: all purposes granted but those named."""
    said = {"jurisdiction": jurisdiction, "purposes": {**ALL, **purposes}}
    return said if updated is None else {**said, "updated_at": at(updated)}


def event(
    seconds: float = 0, *, name: str = "page_view", skew: float = 0, delay: float = 0.5, **fields: Any
) -> dict[str, Any]:
    """A valid event that truly happened at `seconds`, by a device clock `skew` seconds ahead."""
    number = next(_numbers)
    made = {
        "event_id": f"e-{number}",
        "event_name": name,
        "schema_version": "1-0-0",
        "occurred_at": at(seconds + skew),
        "sent_at": at(seconds + skew),
        "received_at": at(seconds + delay),
        "source": "web",
        "channel": "client",
        "anonymous_id": "a-1",
        "consent": consent(),
        "properties": {"observation": "owned", "page_view_id": f"v-{number}", "content_id": "c-1"},
    }
    return {**made, **fields}


def login(seconds: float = 0, **fields: Any) -> dict[str, Any]:
    """A login of `user_id` on `anonymous_id`."""
    return event(seconds, name="user_login", properties={"method": "password"}, **fields)


def link(identifiers: Iterable[tuple[str, str]], seconds: float = 0, **fields: Any) -> dict[str, Any]:
    """An explicit identity link."""
    named = [{"namespace": namespace, "value": value} for namespace, value in identifiers]
    return event(seconds, name="identity_link", properties={"identifiers": named}, **fields)


def line(record: object) -> bytes:
    """One record as its log line, newline included."""
    return orjson.dumps(record) + b"\n"


def write_log(path: Path, events: Iterable[object]) -> Path:
    """Write records, or raw lines as bytes, as a native log."""
    path.write_bytes(b"".join(item if isinstance(item, bytes) else line(item) for item in events))
    return path


def prepared(tmp_path: Path, events: Iterable[object], **options: Any) -> Prepared:
    """Prepare events with plain identifiers and a fixed key; nothing is refused for its share."""
    key = tmp_path / "key"
    key.write_text(KEY)
    policy = options.pop("policy", None) or lenient_policy(tmp_path)
    log = write_log(tmp_path / f"log-{next(_numbers)}.ndjson", events)
    defaults = {"plain_identifiers": True, "max_rejected": 1.0}
    return prepare(log, key=key, policy=policy, **{**defaults, **options})


def lenient_policy(tmp_path: Path, **changes: Any) -> Path:
    """The default rules, but a log may be withheld whole."""
    content = {
        "version": "test",
        "jurisdictions": {"opt_out": ["US-CA"]},
        "impersonal": {
            "always": ["content_publish", "content_edit", "agent_fetch"],
            "unless_owned": ["answer_generate", "citation_show"],
        },
        "grant_max_age_days": 395,
        "max_withheld": 1.0,
        **changes,
    }
    path = tmp_path / f"policy-{next(_numbers)}.yaml"
    path.write_bytes(orjson.dumps(content))  # JSON is YAML
    return path
