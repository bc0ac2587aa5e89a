"""What one call of `el.validate(event)` costs, beside `jsonschema`'s own validator for the same schema.

    python benchmarks/validate.py [--calls 20000]

Processor time, both in one process in turn, so that the ratio holds when the machine's speed drifts.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # published without type information

import eventlib as el
from eventlib.schema import registry

PAGE_VIEW: dict[str, Any] = {
    "event_id": "0192f0c1-7a3e-7c11-9d52-2f6a8e0b4c11",
    "event_name": "page_view",
    "schema_version": "1-0-0",
    "occurred_at": "2026-10-03T08:15:30.123Z",
    "sent_at": "2026-10-03T08:15:31.000Z",
    "received_at": "2026-10-03T08:15:31.420Z",
    "sequence": 17,
    "source": "web",
    "channel": "client",
    "anonymous_id": "a-5f1c",
    "user_id": None,
    "consent": {"jurisdiction": "EEA", "purposes": {"analytics": True, "identity": False}},
    "context": {"url": "https://www.example.org/a", "referrer": None, "user_agent": "Mozilla/5.0"},
    "properties": {"observation": "owned", "page_view_id": "pv-9", "content_id": "c-142", "word_count": 1250},
}
INVALID = {**PAGE_VIEW, "channel": "clinet", "properties": {**PAGE_VIEW["properties"], "word_count": -1}}


def microseconds(call: Callable[[], object], calls: int) -> float:
    start = time.process_time()
    for _ in range(calls):
        call()
    return (time.process_time() - start) / calls * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=20_000)
    arguments = parser.parse_args()
    known = registry()
    own = {**known.properties_schema("page_view"), "$id": "urn:own"}
    theirs = jsonschema.Draft202012Validator(
        {"allOf": [known.envelope, {"properties": {"properties": own}}]},
        format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
    )
    assert not el.validate(PAGE_VIEW)
    print(f"{platform.machine()}, Python {platform.python_version()}, jsonschema {version('jsonschema')}")
    for what, event in (("valid", PAGE_VIEW), ("invalid", INVALID)):
        rounds = [
            (
                microseconds(lambda: el.validate(event), arguments.calls),  # noqa: B023  # called within the round
                microseconds(lambda: list(theirs.iter_errors(event)), arguments.calls // 100 + 1),  # noqa: B023  # as above
            )
            for _ in range(5)
        ]
        mine, other = (statistics.median(pair[side] for pair in rounds) for side in (0, 1))
        ratio = statistics.median(pair[1] / pair[0] for pair in rounds)
        print(
            f"{what:<8} el.validate {mine:6.2f} µs   jsonschema {other:8.1f} µs   {ratio:5.0f} times faster"
        )


if __name__ == "__main__":
    main()
