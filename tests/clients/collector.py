"""A collector on loopback: it keeps what trackers send, as it came, and knows nothing of eventlib.

Its log is that of a simple capture collector: one line per request, the JSON body as it came, or the parameters of a request
without one as one flat object.
"""

from __future__ import annotations

import gzip
import json
import threading
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import parse_qsl, urlsplit

Answer = tuple[str, bytes]
"""Media type and content."""

CONTENT: Final[Answer] = ("application/json", b'{"success": true, "status": 1}')
"""What every tracker takes for success."""

_CORS: Final = "Access-Control-Allow-"


@dataclass(frozen=True, slots=True)
class Request:
    """One request, its body unpacked."""

    method: str
    path: str
    query: str
    body: bytes
    form: bool = False

    @property
    def line(self) -> bytes:
        """The request as a line of the log; of a beacon that says nothing, an empty one."""
        if self.body and not self.form:
            return self.body.replace(b"\n", b" ")
        said = dict(parse_qsl(self.body.decode() if self.form else self.query, keep_blank_values=True))
        return json.dumps(said, ensure_ascii=False).encode() if said else b""

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events that it holds, taken apart here as its trackers put them together."""
        said = json.loads(self.line or b"[]")
        if isinstance(said, dict):
            inside = said.get("batch", said.get("data"))
            return inside if isinstance(inside, list) else [said]
        return cast("list[dict[str, Any]]", said)


@dataclass
class Collector:
    """What a running collector was sent.

    Attributes
    ----------
    url
        Where it listens.
    served
        Answers by path, for what trackers load rather than send; such requests are no events.
    requests
        All others, in the order in which they came.
    """

    url: str
    served: dict[str, Answer] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.url.rpartition(":")[2])

    @property
    def sent(self) -> list[dict[str, Any]]:
        """All events, counted and taken apart without eventlib."""
        return [event for request in list(self.requests) for event in request.events]

    def write(self, path: Path) -> Path:
        """Write the log."""
        path.write_bytes(b"".join(request.line + b"\n" for request in self.requests if request.line))
        return path


@contextmanager
def collecting(served: Mapping[str, Answer] | None = None) -> Iterator[Collector]:
    """Run a collector on a free port of 127.0.0.1 for as long as the block lasts."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.collector = Collector(f"http://127.0.0.1:{server.server_port}", dict(served or {}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True  # a browser may hold connections open on which it says nothing more
    collector: Collector


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        collector = cast("_Server", self.server).collector
        if parts.path not in collector.served:
            collector.requests.append(Request("GET", parts.path, parts.query, b""))
        self.answer(*collector.served.get(parts.path, CONTENT))

    def do_POST(self) -> None:
        parts = urlsplit(self.path)
        body = unpacked(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        # RudderStack's client for Node calls its JSON a form
        stated = self.headers.get_content_type() == "application/x-www-form-urlencoded"
        form = stated and not body.startswith((b"{", b"["))
        collector = cast("_Server", self.server).collector
        if parts.path not in collector.served:
            collector.requests.append(Request("POST", parts.path, parts.query, body, form))
        self.answer(*collector.served.get(parts.path, CONTENT))

    def do_OPTIONS(self) -> None:
        self.answer(*CONTENT)

    def answer(self, media: str, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", media)
        self.send_header("Content-Length", str(len(content)))
        if origin := self.headers.get("Origin"):
            self.send_header(_CORS + "Origin", origin)
            self.send_header(_CORS + "Credentials", "true")
            self.send_header(_CORS + "Headers", self.headers.get("Access-Control-Request-Headers", "*"))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name in the base class
        """Say nothing: a test's output is the test's."""


def unpacked(body: bytes) -> bytes:
    """Return a body as its tracker made it, by what it is rather than by what its header says."""
    if body.startswith(b"\x1f\x8b"):
        return gzip.decompress(body)
    if body[:1] == b"\x78":  # no JSON and no form begins with it
        return zlib.decompress(body)
    return body
