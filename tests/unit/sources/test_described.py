"""What is told of formats is told the same by the command line and by the documentation, and is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from eventlib.sources import ADAPTERS, adapter
from eventlib.sources.describe import as_markdown, describe, list_sources
from eventlib.sources.reading import READERS
from eventlib.sources.tables import MEMBERS, TARGETS
from tests.unit.test_cli import run

GUIDE = (Path(__file__).resolve().parents[3] / "docs" / "sources.md").read_text(encoding="utf-8")


def test_the_guide_ends_with_what_the_command_prints():
    assert GUIDE.endswith("`eventlib sources --markdown`.\n\n" + as_markdown())


@pytest.mark.parametrize("name", ADAPTERS)
def test_each_format_has_a_title_versions_rows_and_traps(name):
    kind, rows = describe(name)
    assert kind.about.title
    assert kind.about.seen
    assert kind.about.traps
    assert len(rows) > 0


def test_the_commands_list_and_tell():
    listed = run("sources")
    assert listed.returncode == 0
    assert all(name in listed.stdout for name, _, _ in list_sources())
    told = run("sources", "segment")
    assert "messageId → event_id" in told.stdout
    assert "Trap: " in told.stdout
    unknown = run("sources", "omniture")
    assert unknown.returncode == 2
    assert "segment" in unknown.stderr


def test_the_guides_mapping_can_be_used(tmp_path):
    for nth, block in enumerate(re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)):
        path = tmp_path / f"{nth}.yaml"
        path.write_text(block)
        assert adapter(str(path)).about.title
        assert set(yaml.safe_load(block)) <= MEMBERS


def test_the_guide_names_every_member_place_and_reader():
    for name in (MEMBERS - {"documents", "recognise"}) | set(READERS):
        assert re.search(rf"[`, ]{re.escape(name)}[`,.]", GUIDE.replace("\n", " ")), name
    for name in TARGETS:
        assert name in GUIDE or name.startswith("consent."), name
