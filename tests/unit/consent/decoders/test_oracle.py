"""Our decoders read what the IAB's own read, but for what the standards' text settles (decision 0060)."""

from __future__ import annotations

import gzip
import json
import os
import secrets
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.unit.consent.decoders.oracle import (
    GLOBAL_SCOPE,
    LEGITIMATE_INTEREST,
    UNKNOWN_SALE,
    compare,
)

FIXTURE = Path(__file__).parent / "data" / "oracle.jsonl.gz"  # consent.mjs 60 300
SCRIPT = Path(__file__).parents[3] / "oracles" / "consent.mjs"


def _lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_the_strings_kept_from_the_reference_are_read_alike():
    found = Counter(
        (line["kind"], compare(line)) for line in _lines(gzip.decompress(FIXTURE.read_bytes()).decode())
    )
    assert found == {
        ("tcf", None): 217,
        ("tcf", LEGITIMATE_INTEREST): 63,
        ("tcf", GLOBAL_SCOPE): 20,
        ("gpp", None): 291,
        ("gpp", UNKNOWN_SALE): 9,
    }


@pytest.mark.skipif(
    "EVENTLIB_ORACLES" not in os.environ, reason="EVENTLIB_ORACLES names no folder of node_modules"
)
def test_fresh_strings_of_the_reference_are_read_alike():
    seed = str(secrets.randbits(32))
    made = subprocess.run(["node", SCRIPT, seed, "500"], check=True, capture_output=True, text=True)
    lines = _lines(made.stdout)
    assert Counter(line["kind"] for line in lines) == {"tcf": 500, "gpp": 500}
    for line in lines:
        compare(line)
