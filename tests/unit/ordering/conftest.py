"""Engines that many small frames share are closed when their tests are done."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.ordering.frames import shared


@pytest.fixture(scope="session", autouse=True)
def closed_engines() -> Iterator[None]:
    """Forget the shared engines at the end."""
    yield
    shared.cache_clear()
