"""A policy file that cannot be used is refused by its name, whatever YAML lets it hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from eventlib.consent import load_policy
from eventlib.errors import BadCallError


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("sources: {web: {expires: 2027-02-30}}", "is not YAML: day is out of range"),
        ("sources: {no: {}}", "a key that is not a text"),
        ("1: 2", "a key that is not a text"),
        ("!!set {a, b}", "such as a set, bytes"),
        ("a: !!binary aGVsbG8=", "such as a set, bytes"),
        ("a: &a [*a]", "is not YAML"),
        ("[1, 2]", "is not valid at the top"),
    ],
)
def test_what_is_no_policy_is_refused_by_name(tmp_path: Path, content: str, message: str):
    path = tmp_path / "policy.yaml"
    path.write_text(content)
    with pytest.raises(BadCallError, match=rf"the policy .*policy\.yaml .*{message}"):
        load_policy(path)
