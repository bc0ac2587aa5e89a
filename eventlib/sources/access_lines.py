"""Lines of access logs as requests: Common and Combined as Apache and nginx write them, balancers', W3C extended, and JSON.

A W3C line comes here as JSON, under the names of the header before it (`containers.w3c_records`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from eventlib.sources.decode import lossless
from eventlib.sources.reading import Route, UnreadableError, first_of, read_time, routes

__all__ = ["USED", "Request", "read_line", "read_record", "unwrapped"]

_NAMES: Final[Mapping[str, tuple[Route, ...]]] = {
    name: routes(" | ".join(alternatives.split()))
    for name, alternatives in {
        "time": "time_iso8601 time_local @timestamp EdgeStartTimestamp timestamp time_start datetime ts msec "
        "timestamp(ms) StartUTC StartLocal start_time time",
        "line": "request request_line",
        "method": "request_method method ClientRequestMethod cs-method request.method RequestMethod http_method verb",
        "target": "request_uri uri url ClientRequestURI cs-uri-stem cs-uri request.uri RequestPath path request_path ClientRequestPath",
        "query": "cs-uri-query args query_string",
        "host": "http_host host ClientRequestHost x-host-header cs-host cs(Host) request.host "
        "RequestHost :authority authority vhost server_name",
        "scheme": "scheme ClientRequestScheme cs-protocol RequestScheme",
        "status": "status EdgeResponseStatus sc-status response_status DownstreamStatus response_code status_code",
        "size": "body_bytes_sent bytes_sent EdgeResponseBytes sc-bytes response_body_size DownstreamContentSize size bytes",
        "referrer": "http_referer http_referrer ClientRequestReferer cs(Referer) cs-referer request_referer referer referrer "
        "request.headers.Referer request_Referer",
        "agent": "http_user_agent ClientRequestUserAgent cs(User-Agent) cs-user-agent request_user_agent user_agent userAgent "
        "agent request.headers.User-Agent request_User-Agent user-agent",
        "address": "remote_addr ClientIP c-ip client_ip request.client_ip request.remote_ip remote_ip clientip "
        "ClientHost downstream_remote_address",
        "forwarded": "http_x_forwarded_for x-forwarded-for x_forwarded_for request_X-Forwarded-For",
        "id": "x-edge-request-id RayID request_id x-request-id",
    }.items()
}
"""Where the logs of servers and edges have what, the first that is there. Their own names: nginx's variables, Cloudflare's
Logpush fields, the W3C fields of CloudFront and IIS, the members of Caddy, Traefik and Envoy, the names in Fastly's examples."""

USED: Final = frozenset(route[0] for alternatives in _NAMES.values() for route in alternatives) | {"date"}
"""Members that are read here, and have no other meaning."""

_QUOTED: Final = r'"([^"\\]*(?:\\.[^"\\]*)*)"'
_MORE: Final = r'((?: (?:"[^"\\]*(?:\\.[^"\\]*)*"|[^\s"]\S*))*)'
_LINE: Final = re.compile(
    rf"(?:(\S+) (?!- ))?(\S+) \S+ [^\"]+? \[([^\]\s]+ [+-]\d{{4}})\] {_QUOTED} (\d{{3}}|-) (\d+|-)"
    rf"(?: (?:{_QUOTED}|-) (?:{_QUOTED}|-){_MORE}|(?: [^\s\"]\S*)*)\s*",
    re.ASCII,
)
_BALANCED: Final = re.compile(
    rf"(?:[a-z]\w{{1,5}} )?(\d{{4}}-\d\d-\d\dT[\d:.]+Z) \S+ (\S+) \S+ (?:-?[\d.]+ ){{3}}(\d{{3}}|-) \S+ \d+ (\d+) "
    rf"{_QUOTED} {_QUOTED}(?: .*)?",
    re.ASCII,
)
"""A line of a load balancer of AWS, of either kind."""

_BEFORE: Final = re.compile(
    r"(?:<\d{1,3}>)?(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT\S+) \S+ [^\s\[:]{1,64}(?:\[\d+\])?: +"
    r"|<\d{1,3}>1 \S+ \S+ \S+ \S+ \S+ (?:-|\[[^\]]*\]) "
    r"|\d{4}-\d\d-\d\dT\S+ std(?:out|err) [FP] ",
    re.ASCII,
)
"""What syslog, of either kind, and containers put before a server's line."""

_WITH_PORT: Final = re.compile(r"(\d{1,3}(?:\.\d{1,3}){3}|\[[0-9A-Fa-f:.]{2,45}\]):\d{1,5}", re.ASCII)
_REQUEST: Final = re.compile(r"([A-Z][A-Z-]{2,19}) (\S.*?)(?: HTTP/\d(?:\.\d)?)?", re.ASCII)
_METHOD: Final = re.compile(r"[A-Z][A-Z-]{2,19}", re.ASCII)
_HOST: Final = re.compile(r"[A-Za-z0-9_.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]", re.ASCII)
_TIME: Final = re.compile(r"(\d{2})/([A-Z][a-z]{2})/(\d{4}):(\d{2}:\d{2}:\d{2}) ([+-]\d{2})(\d{2})", re.ASCII)
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_NUMBER: Final = re.compile(r"\d{9,20}(\.\d{1,9})?", re.ASCII)
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_LIST: Final = re.compile(r"[0-9A-Fa-f.:, \[\]]{3,900}", re.ASCII)
_ESCAPED: Final = re.compile(rb"\\(?:x([0-9A-Fa-f]{2})|([\"\\]))")
_NANOSECONDS: Final = 10**17


@dataclass(slots=True)
class Request:
    """One request as a log has it; None is what it does not say, and a method of None is no HTTP at all."""

    time: object = None
    method: str | None = None
    target: str = ""
    host: str | None = None
    scheme: str | None = None
    status: int | None = None
    size: int | None = None
    referrer: str | None = None
    agent: str | None = None
    address: str | None = None
    id: str | None = None


def unwrapped(text: str) -> str:
    r"""Return a server's line without what passed it on: syslog's and containers' own words, and the JSON that Docker keeps it in.

    Examples
    --------
    >>> unwrapped("2026-10-03T08:15:31.1Z stdout F line"), unwrapped('{"log": "line\\n", "stream": "stdout", "time": ""}')
    ('line', 'line')
    """
    if text[:1] == "{":
        kept = lossless(text.encode()) if text.startswith('{"log":') else None
        return str(kept["log"]).strip() if isinstance(kept, dict) and "stream" in kept else text
    before = _BEFORE.match(text)
    return text[before.end() :] if before else text


def read_line(text: str) -> Request | None:
    """Read a line of a Common or Combined log, also one with a virtual host before it or more fields behind, or of a balancer.

    Examples
    --------
    >>> read_line('192.0.2.7 - - [10/Oct/2000:13:55:36 -0700] "GET /a HTTP/1.0" 200 2326').time
    '2000-10-10T13:55:36-07:00'
    >>> read_line('192.0.2.7 - - [10/Oct/2000:13:55:36 -0700] "GET /a HTTP/1.0" 200 2326 "-" "Mozi')
    """
    match = _LINE.fullmatch(text)
    if match is None:
        return _balanced(text)
    when = _of_clf(match[3])
    if when is None:
        return None
    host, address, _, request, status, size, referrer, agent, more = match.groups()
    made = Request(time=when, host=_host(host), status=_digits(status), size=_digits(size))
    made.referrer, made.agent = _said(_unescaped(referrer)), _said(_unescaped(agent))
    made.address = _addresses(address, _forwarded(more))
    _requested(made, _unescaped(request) or "")
    return made


def _balanced(text: str) -> Request | None:
    """Read a line of a load balancer: it names the address that a client asked for, and no page that led to it."""
    match = _BALANCED.fullmatch(text)
    if match is None:
        return None
    when, address, status, size, request, agent = match.groups()
    made = Request(time=when, status=_digits(status), size=_digits(size), agent=_said(_unescaped(agent)))
    made.address = _addresses(address, None)
    _requested(made, _unescaped(request) or "")
    return made


def read_record(record: Mapping[str, Any]) -> Request | None:
    """Read a JSON record of a server or an edge; None where it does not say what was requested, when and with what answer."""
    found = {name: _value(record, alternatives) for name, alternatives in _NAMES.items()}
    status = _digits(found["status"])
    when = _when(record, found["time"])
    line = found["line"]
    if status is None or when is None or (found["target"] is None and line is None):
        return None
    made = Request(time=when, host=_host(found["host"]), status=status, size=_digits(found["size"]))
    made.scheme = scheme if (scheme := _said(found["scheme"])) in {"http", "https"} else None
    made.referrer = _said(_decoded(record, _said(found["referrer"])))
    made.agent = _said(_decoded(record, _said(found["agent"]), spaced=True))
    made.address = _addresses(_said(found["address"]), _said(found["forwarded"]))
    made.id = _said(found["id"])
    if isinstance(line, str) and " " in line:
        _requested(made, line)
        return made
    method, target, query = (
        _said(value) for value in (found["method"] or line, found["target"], found["query"])
    )
    if target and query and "?" not in target:
        target = f"{target}?{query.removeprefix('?')}"
    _requested(made, f"{method} {target}" if method and target and _METHOD.fullmatch(method) else "")
    return made


def _value(record: Mapping[str, Any], alternatives: tuple[Route, ...]) -> Any:
    at = first_of(record, alternatives)
    value = at[1] if at else None
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _said(value: object) -> str | None:
    return value if isinstance(value, str) and value and value != "-" else None


def _digits(value: object) -> int | None:
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdecimal() and len(value) < 16 else None
    return value if type(value) is int and 0 <= value < 2**53 else None


def _requested(made: Request, line: str) -> None:
    """Take a request line apart; one that is no HTTP leaves the method out."""
    match = _REQUEST.fullmatch(line)
    if match is None:
        return
    target = match[2]
    if target.startswith(("http://", "https://")):  # as to a proxy
        made.scheme, _, rest = target.partition("://")
        host, slash, path = rest.partition("/")
        made.host, target = _host(host), slash + path or "/"
    if target.startswith("/") or target == "*":
        made.method, made.target = match[1], target


def _host(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    name = value.removesuffix(":443").removesuffix(":80")
    return name.lower() if _HOST.fullmatch(name) and name not in {"-", "_"} else None


def _forwarded(more: str | None) -> str | None:
    """Return the addresses that proxies forwarded, where the last of the further fields holds such."""
    last = more.rstrip().rpartition(' "')[2].removesuffix('"') if more and '"' in more else ""
    return last if ("." in last or ":" in last) and _LIST.fullmatch(last) else None


def _addresses(direct: str | None, forwarded: str | None) -> str | None:
    """Return from where a request came, through whom: the list verifies more than its last member."""
    if direct and (ported := _WITH_PORT.fullmatch(direct)):
        direct = ported[1].strip("[]")
    if forwarded and _LIST.fullmatch(forwarded):
        return f"{forwarded}, {direct}" if direct and direct not in forwarded else forwarded
    return direct[:1024] if direct else None


def _unescaped(text: str | None) -> str | None:
    r"""Undo what servers escape; control characters stay as they are written.

    Examples
    --------
    >>> _unescaped(r'say \"hi\" \x22caf\xC3\xA9\x22 \x16')
    'say "hi" "café" \\x16'
    """
    if text is None or "\\" not in text:
        return text
    return _ESCAPED.sub(_byte, text.encode()).decode("utf-8", "replace")


def _byte(match: re.Match[bytes]) -> bytes:
    if match[2]:
        return match[2]
    value = int(match[1], 16)
    return match[0] if value < 0x20 or value == 0x7F else bytes([value])


def _decoded(record: Mapping[str, Any], text: str | None, *, spaced: bool = False) -> str | None:
    """Undo how CloudFront writes a header, in percents, and IIS what has spaces, with a plus for each."""
    if text is None:
        return None
    if "x-edge-location" in record or "x-edge-request-id" in record:
        return unquote(unquote(text)) if "%25" in text else unquote(text)
    return text.replace("+", " ") if spaced and "cs-uri-stem" in record and " " not in text else text


def _of_clf(text: str) -> str | None:
    match = _TIME.fullmatch(text)
    if match is None or match[2] not in _MONTHS:
        return None
    month = _MONTHS.index(match[2]) + 1
    return f"{match[3]}-{month:02d}-{match[1]}T{match[4]}{match[5]}:{match[6]}"


def _when(record: Mapping[str, Any], value: object) -> str | None:
    """Read a time of any of the forms; None where it is none."""
    day = record.get("date")
    if isinstance(day, str) and isinstance(value, str) and _DAY.fullmatch(day) and len(value) < 19:
        value = f"{day}T{value}Z"
    if isinstance(value, str):
        value = _of_clf(value) or (float(value) if _NUMBER.fullmatch(value) else value)
    if isinstance(value, int | float) and abs(value) >= _NANOSECONDS:
        value = value // 1000
    try:
        made = read_time(value)[0]
    except UnreadableError:
        return None
    return made if isinstance(made, str) else None
