"""One bundle for all tests of this folder: nobody changes it in place."""

from __future__ import annotations

import pytest

from eventlib.signals import export_signals
from tests.unit.ranking.worlds import trained, world
from tests.unit.signals.datasets import MOMENT, frames, prepared


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    return export_signals(
        trained(), world().tables, prepared(folder), created=MOMENT, frames=frames(world().tables)
    )
