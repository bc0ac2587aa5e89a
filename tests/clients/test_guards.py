"""What keeps clients on the machine does keep them there, and the collector keeps what it is sent."""

from __future__ import annotations

import gzip
import socket
import urllib.request
import zlib
from pathlib import Path

import pytest

from tests.clients.collector import collecting
from tests.clients.conftest import staying

ELSEWHERE = ("192.0.2.1", 80)
"""An address for documents, which nobody has."""


def test_a_connection_to_elsewhere_is_refused_and_told():
    with staying() as tried, socket.socket() as client, pytest.raises(ConnectionRefusedError):
        client.connect(ELSEWHERE)
    assert tried == [ELSEWHERE]


@pytest.mark.parametrize("packed", [bytes, gzip.compress, zlib.compress], ids=["plain", "gzip", "deflate"])
def test_a_body_is_kept_as_its_tracker_made_it(packed, tmp_path: Path):
    said = b'{"batch":[{"event":"Gr\\u00f6\xc3\x9fe"},{"event":"b"}]}'
    with (
        collecting() as collector,
        urllib.request.urlopen(collector.url + "/v1/batch?x=1", packed(said)) as answer,
    ):
        assert answer.status == 200
    assert [event["event"] for event in collector.sent] == ["Größe", "b"]
    assert collector.write(tmp_path / "log.ndjson").read_bytes() == said + b"\n"
    assert (collector.requests[0].path, collector.requests[0].query) == ("/v1/batch", "x=1")


def test_parameters_are_an_event_and_what_is_served_is_none(tmp_path: Path):
    with collecting({"/tracker.js": ("text/javascript", b"1")}) as collector:
        for path in ("/tracker.js", "/i?e=pv&page=Gr%C3%B6%C3%9Fe+1&refr="):
            with urllib.request.urlopen(collector.url + path) as answer:
                answer.read()
    log = collector.write(tmp_path / "log.ndjson").read_text()
    assert log == '{"e": "pv", "page": "Größe 1", "refr": ""}\n'
