"""No client may reach further than this machine."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

LOOPBACK = {"127.0.0.1", "::1", "localhost"}


@contextmanager
def staying() -> Iterator[list[object]]:
    """Refuse connections to elsewhere while the block lasts, and list them."""
    tried: list[object] = []
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in {socket.AF_INET, socket.AF_INET6} and address[0] not in LOOPBACK:
            tried.append(address)
            raise ConnectionRefusedError(address)
        connect(self, address)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(socket.socket, "connect", guarded)
        yield tried


@pytest.fixture(scope="module", autouse=True)
def stays_on_the_machine() -> Iterator[None]:
    """Fail the module that asked for a connection to elsewhere: clients swallow the refusal itself."""
    with staying() as tried:
        yield
    assert tried == []
