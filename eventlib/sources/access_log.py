"""Access logs: which agents fetched which pages, and page requests of visitors where the log names them.

There is no visitor in an access log, and none is made of an address and a user agent (S4.2): page requests of people are
counted, and become events only where a mapping says in which member the log has a visitor's own id.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from eventlib.geo.traffic import classify_agent, classify_engine
from eventlib.geo.verification import ADDRESS
from eventlib.masking import mask_emails, mask_values
from eventlib.model import Violation
from eventlib.sources.access_lines import USED, Request, read_line, read_record, unwrapped
from eventlib.sources.base import Event, Repairs, Skipped
from eventlib.sources.decode import decode_text, decode_wide
from eventlib.sources.meanings import content_of
from eventlib.sources.reading import first_of
from eventlib.sources.tables import Table
from eventlib.sources.tracker import Finished, TrackerAdapter

__all__ = ["AccessLogAdapter"]

_VERSION: Final = "1-0-1"
_REQUEST: Final = "request"
_LEFT: Final = "left"
_HEADER: Final = "header"
_HEALTH: Final = re.compile(
    r"/(health[a-z]*|health[-_]check|livez|readyz|ping|_ah/health|server-status|nginx_status)/?"
)
_CHECKERS: Final = ("ELB-HealthChecker", "kube-probe", "GoogleHC", "Amazon-Route53-Health-Check", "Consul Health Check")  # fmt: skip
_NAMED: Final = re.compile(r"\.([A-Za-z][A-Za-z0-9]{0,7})$")
_ASSETS: Final = frozenset({
    "css", "js", "mjs", "map", "png", "jpg", "jpeg", "gif", "svg", "webp", "avif", "ico", "bmp", "woff", "woff2", "ttf", "otf",
    "eot", "mp4", "webm", "mov", "mp3", "ogg", "wav", "m4a", "zip", "gz", "tgz", "rar", "7z", "exe", "dmg", "apk", "wasm",
})  # fmt: skip
"""Endings of files that neither people nor agents read; PDF, text, XML and JSON are none of these: agents do."""

_KEPT: Final = b'{"log":'
"""How a line begins that Docker keeps."""

_PAGES: Final = frozenset({"", "html", "htm", "xhtml", "shtml", "php", "asp", "aspx", "jsp", "do", "md"})
_DATA: Final = re.compile(r"/(api|graphql|wp-json|wp-admin|cgi-bin|rpc)(/|$)")


class AccessLogAdapter(TrackerAdapter):
    """Requests of a web server or an edge."""

    name: ClassVar[str] = "access_log"
    holds_addresses: ClassVar[bool] = True
    derived: ClassVar[Mapping[str, frozenset[str]]] = {
        "*": TrackerAdapter.derived["*"],
        "agent_fetch": frozenset({"observation", "content_id", "url", "status_code", "bytes_sent"}),
    }

    def __init__(self, table: Table | None = None) -> None:
        super().__init__(table)
        self.visitor = tuple(
            route
            for field in self.table.fields
            if field.target in {"anonymous_id", "user_id"}
            for route in field.alternatives
        )

    def decode(self, raw: bytes) -> Event | Violation:
        """Return the request of a line, and what else a JSON line holds where a visitor is among it."""
        if raw[:1] == b"#":
            return {_HEADER: True}
        record = decode_wide(raw) if raw[:1] == b"{" and not raw.startswith(_KEPT) else _line(raw)
        if isinstance(record, Violation):
            return record
        if isinstance(record, str):
            found, left = read_line(record), {}
        else:
            found = read_record(record)
            left = _others(record) if self.visitor else {}
        if found is None:
            return Violation("not_a_request", "$", "not a line of an access log")
        if found.host is None and "host" in self.table.defaults:
            found.host = str(self.table.defaults["host"])
        return {_REQUEST: found, _LEFT: left}

    def sniff(self, records: Sequence[Mapping[str, Any]]) -> str | None:  # type: ignore[override]  # of a table, not of a class
        """Look for HTTP requests."""
        hits = sum(_REQUEST in record and record[_REQUEST].method is not None for record in records)
        return f"{hits} of {len(records)} lines are HTTP requests" if hits else None

    def opened(self, record: Event, repairs: Repairs) -> Event | Skipped | Violation | Finished:
        """Turn an agent's fetch into an event and a visitor's page request into a record, and count all else by its kind."""
        if _HEADER in record:
            return Skipped("log_header")
        request: Request = record[_REQUEST]
        if kind := _kind(request):
            return Skipped(kind)
        if classify_agent(request.agent)[0]:
            fetch = self._fetch(request, repairs)
            return fetch if isinstance(fetch, Skipped) else Finished(fetch)
        if kind := _unviewed(request):
            return Skipped(kind)
        if first_of(record[_LEFT], self.visitor) is None:
            engine = classify_engine(request.referrer, request.target, None)[0]
            return Skipped("no_visitor_from_ai" if engine else "no_visitor")
        viewed = self._viewed(request, record[_LEFT], repairs)
        return self.of_another(viewed) or viewed

    def _fetch(self, request: Request, repairs: Repairs) -> Event | Skipped:
        """Return an agent's fetch: impersonal, so that nothing of the request is kept but what was fetched."""
        if request.status is None or not 100 <= request.status <= 599:
            return Skipped("request_failed")
        whole = _address(request, repairs)
        if (url := mask_values(whole)) != whole:  # for no consent is asked for it
            repairs.add("agent_fetch", "url", "says who somebody is in a part of it: masked")
        told = {
            "observation": "owned",
            "url": url,
            "status_code": request.status,
            "bytes_sent": request.size,
            "content_id": content_of(url) if _answered(request) else None,
            ADDRESS: request.address,
        }
        return {
            "event_id": request.id,
            "event_name": "agent_fetch",
            "schema_version": _VERSION,
            "occurred_at": request.time,
            "received_at": request.time,
            "source": self.source,
            "channel": "server",
            "context": {"user_agent": mask_emails(request.agent or "") or None},
            "properties": {name: value for name, value in told.items() if value is not None},
        }

    def _viewed(self, request: Request, left: Event, repairs: Repairs) -> Event:
        """Return a visitor's page request as the record that the table speaks of."""
        url = _address(request, repairs)
        view = request.id or "\0".join(
            map(str, (request.time, url, request.agent, first_of(left, self.visitor)))
        )
        made = {
            "event": "page_view",
            "time": request.time,
            "url": url,
            "referrer": request.referrer,
            "user_agent": request.agent,
            "request_id": request.id,
            "page_view_id": f"access-{hashlib.sha256(view.encode()).hexdigest()[:32]}",
            "status_code": request.status,
            "bytes_sent": request.size,
        }
        return {**left, **made}


def _line(raw: bytes) -> Event | str | Violation:
    """Return a server's line, or the JSON that it is."""
    text = decode_text(raw)
    if isinstance(text, Violation):
        return text
    text = unwrapped(text)
    return decode_wide(text.encode()) if text[:1] == "{" else text


def _others(record: Event) -> Event:
    """Return what a record holds beside the request."""
    return {
        name: value for name, value in record.items() if name not in USED and value not in ("-", "", None)
    }


def _kind(request: Request) -> str | None:
    """Return what a request is counted as, whoever made it, where it can fetch no page."""
    if request.method is None:
        return "malformed_request"
    if request.method != "GET":
        return "other_method"
    path = _path(request)
    if _HEALTH.fullmatch(path) or (request.agent or "").startswith(_CHECKERS):
        return "health_check"
    return "asset_request" if _ending(path) in _ASSETS else None


def _unviewed(request: Request) -> str | None:
    """Return what a person's request is counted as, where no page was viewed."""
    if not _is_page(_path(request)):
        return "asset_request"
    return None if _answered(request) else "request_failed"


def _path(request: Request) -> str:
    return request.target.partition("?")[0].partition("#")[0]


def _ending(path: str) -> str:
    match = _NAMED.search(path[-16:])
    return match[1].lower() if match else ""


def _is_page(path: str) -> bool:
    return _ending(path) in _PAGES and not _DATA.match(path)


def _answered(request: Request) -> bool:
    """Tell whether a page was sent, or is known to be the one that was sent before."""
    return request.status is not None and (200 <= request.status < 300 or request.status == 304)


def _address(request: Request, repairs: Repairs) -> str:
    """Return the address that was requested, as far as the log has it."""
    if request.host is None:
        repairs.add("(all)", "host", "no host in the log: the path alone stands for the address")
        return "/" + request.target.lstrip("/")
    if request.scheme is None:
        repairs.add("(all)", "scheme", "no scheme in the log: https stands for it")
    return f"{request.scheme or 'https'}://{request.host}{request.target}"
